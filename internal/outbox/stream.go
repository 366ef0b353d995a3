package outbox

import (
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Stream is a set of messages that are stopped and paced alike.
type Stream struct {
	ID           int64
	Lane         whatsapp.Lane
	Number       string // phone_number_id
	WABA         string
	Category     whatsapp.Category
	Template     string // "" for free-form text
	Language     string
	Campaign     string
	Run          int64
	Windows      Windows // when it may send; empty: always
	PerSecond    float64 // its own limit; 0: the number's alone
	NotApproved  string  // wait, skip or fail
	TemplateHash string  // of the template that the parameters were made for; "": any
	DryRun       bool

	Throttle Throttle // how fast it may send beside PerSecond
	FirstAt  int64    // ms: when its first message left, of a stream with a ramp; 0: none has

	Files         string // SHA-256 of the files its messages show, apart by spaces; "" for none
	ProductPolicy string // of marketing by /marketing_messages; "": as the configuration says
}

// Ref returns the identity of the stream's template.
func (s *Stream) Ref() whatsapp.TemplateRef {
	return whatsapp.TemplateRef{WABA: s.WABA, Name: s.Template, Language: s.Language}
}

const streamColumns = `s.id, s.lane, s.number_id, s.waba_id, s.category, s.template, s.language, s.campaign_id, s.run_id,
	s.windows, s.per_second, s.not_approved, s.template_hash, s.dry_run, s.files, s.product_policy, s.throttle, s.first_at`

// Fields names the places of streamColumns.
func (s *Stream) Fields() []any {
	return []any{&s.ID, &s.Lane, &s.Number, &s.WABA, &s.Category, &s.Template, &s.Language, &s.Campaign, &s.Run,
		&s.Windows, &s.PerSecond, &s.NotApproved, &s.TemplateHash, &s.DryRun, &s.Files, &s.ProductPolicy, &s.Throttle, &s.FirstAt}
}

var (
	sqlStream     = store.SQL(`SELECT ` + streamColumns + ` FROM streams s WHERE s.id = ?1`)
	sqlStreamKey  = store.SQL(`SELECT ` + streamColumns + ` FROM streams s WHERE s.run_id = ?1 AND s.number_id = ?2 AND s.category = ?3 AND s.template = ?4 AND s.language = ?5 AND s.campaign_id = ?6`)
	sqlStreamRun  = store.SQL(`SELECT ` + streamColumns + ` FROM streams s WHERE s.run_id = ?1 AND s.run_id > 0`)
	sqlStreamCamp = store.SQL(`SELECT ` + streamColumns + ` FROM streams s WHERE s.campaign_id = ?1 AND s.campaign_id <> ''`)
	sqlNewStream  = store.SQL(`INSERT INTO streams (id, lane, number_id, waba_id, category, template, language, campaign_id, run_id, windows, per_second, not_approved, template_hash, dry_run, created_at, files, product_policy, throttle)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)`)
	sqlReady = store.SQL(`SELECT ` + streamColumns + `, t.n FROM tallies t CROSS JOIN streams s
		WHERE s.id = t.stream_id AND t.state = 'queued' AND t.n > 0 AND t.reason = '' AND s.lane = ?1 ORDER BY t.stream_id`)
	sqlRemake  = store.SQL(`UPDATE streams SET template_hash = ?2 WHERE id = ?1`)
	sqlNextDue = store.SQL(`SELECT not_before FROM messages WHERE stream_id = ?1 AND state = 'queued' ORDER BY not_before, id LIMIT 1`)
)

// OpenStream returns the stream with s's key, and makes it if it is not there.
func OpenStream(tx *store.Tx, s Stream) (Stream, error) {
	have, ok, err := store.Get[Stream](tx, sqlStreamKey, s.Run, s.Number, s.Category, s.Template, s.Language, s.Campaign)
	if err != nil || ok {
		return have, err
	}
	s.ID = tx.NewID()
	s.Lane = s.Category.Lane()
	if s.NotApproved == "" {
		s.NotApproved = "wait"
	}
	_, err = tx.Exec(sqlNewStream, s.ID, int(s.Lane), s.Number, s.WABA, s.Category, s.Template, s.Language, s.Campaign, s.Run,
		s.Windows, s.PerSecond, s.NotApproved, s.TemplateHash, s.DryRun, store.Millis(tx.Now()), s.Files, s.ProductPolicy, s.Throttle)
	return s, err
}

// StreamByID returns a stream.
func StreamByID(q store.Querier, id int64) (Stream, bool, error) {
	return store.Get[Stream](q, sqlStream, id)
}

// StreamsOfRun returns the streams of one run.
func StreamsOfRun(q store.Querier, run int64) ([]Stream, error) {
	return store.All[Stream](q, sqlStreamRun, run)
}

// StreamsOfCampaign returns the streams of all runs of a campaign.
func StreamsOfCampaign(q store.Querier, campaign string) ([]Stream, error) {
	return store.All[Stream](q, sqlStreamCamp, campaign)
}

// Ready is a stream that has queued messages.
type Ready struct {
	Stream
	Queued int64
}

// Fields names the places of a ready stream.
func (r *Ready) Fields() []any { return append(r.Stream.Fields(), &r.Queued) }

// ReadyStreams returns the streams of a lane that have queued messages, oldest
// first. It walks the tallies of waiting streams, never their messages.
func ReadyStreams(q store.Querier, lane whatsapp.Lane) ([]Ready, error) {
	return store.All[Ready](q, sqlReady, int(lane))
}

// Remake notes that a stream's parameters fit the template as it is now.
func Remake(tx *store.Tx, stream int64, hash string) error {
	tx.Wake(Topic(whatsapp.LaneUtility))
	tx.Wake(Topic(whatsapp.LaneMarketing))
	return tx.One(sqlRemake, stream, hash)
}

// NextDue returns the earliest not_before (ms) of a stream's queued messages.
func NextDue(q store.Querier, stream int64) (int64, bool, error) {
	return store.Value[int64](q, sqlNextDue, stream)
}

// Topic is what the store wakes when messages of a lane become claimable.
func Topic(l whatsapp.Lane) store.Topic { return store.Topic("outbox." + l.String()) }
