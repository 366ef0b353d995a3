package outbox

import (
	"math"
	"slices"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// State is where a message is in its life.
type State string

// The states; doc.go draws them.
const (
	Queued          State = "queued"
	Sending         State = "sending"
	Accepted        State = "accepted"
	AcceptedHeld    State = "accepted_held"
	Sent            State = "sent"
	Delivered       State = "delivered"
	Read            State = "read"
	Unknown         State = "unknown"
	Failed          State = "failed"
	PresumedExpired State = "presumed_expired"
	Refused         State = "refused"
	Cancelled       State = "cancelled"
	Expired         State = "expired"
)

// States lists every state in the order of a message's life, for reports.
var States = []State{Queued, Sending, Accepted, AcceptedHeld, Sent, Delivered, Read, Unknown, Failed, PresumedExpired, Refused, Cancelled, Expired}

// Message is one row of the outbox.
type Message struct {
	ID, Stream, Run, Contact int64
	Address                  string // personal: where it goes
	Kind                     whatsapp.IdentityKind
	Params                   string // personal: rendered components, or the text
	ReplyTo                  whatsapp.Wamid
	Line                     int
	ExternalID               string
	State                    State
	Reason                   string
	Code, Attempt            int
	NotBefore, Deadline      int64 // ms, 0 for none
	CreatedAt, ClaimedAt     int64
	AcceptedAt, SentAt       int64
	DeliveredAt, ReadAt      int64
	FailedAt                 int64
	Held                     bool
	Wamid                    whatsapp.Wamid
}

const messageColumns = `id, stream_id, run_id, contact_id, address, kind, params, reply_to, line, external_id,
	state, reason, code, attempt, not_before, deadline, created_at, claimed_at, accepted_at, sent_at, delivered_at,
	read_at, failed_at, held, wamid`

// Fields names the places of messageColumns.
func (m *Message) Fields() []any {
	return []any{&m.ID, &m.Stream, &m.Run, &m.Contact, &m.Address, &m.Kind, &m.Params, &m.ReplyTo, &m.Line, &m.ExternalID,
		&m.State, &m.Reason, &m.Code, &m.Attempt, &m.NotBefore, &m.Deadline, &m.CreatedAt, &m.ClaimedAt, &m.AcceptedAt, &m.SentAt, &m.DeliveredAt,
		&m.ReadAt, &m.FailedAt, &m.Held, &m.Wamid}
}

// To returns the identity the message goes to.
func (m *Message) To() whatsapp.Identity { return whatsapp.Identity{Kind: m.Kind, Value: m.Address} }

var (
	sqlMessage       = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE id = ?1`)
	sqlOfContactRuns = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id > 0 AND id < ?2 ORDER BY id DESC LIMIT ?3`)
	sqlOfContactOnce = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE contact_id = ?1 AND contact_id > 0 AND run_id = 0 AND id < ?2 ORDER BY id DESC LIMIT ?3`)
)

// ByID returns a message. Of one that was moved to the past, what it said is not
// known any more.
func ByID(q store.Querier, id int64) (Message, bool, error) {
	m, ok, err := present(q, id)
	if err != nil || ok {
		return m, ok, err
	}
	return store.Get[Message](q, sqlPastMessage, id)
}

// present returns a message that was not moved.
func present(q store.Querier, id int64) (Message, bool, error) {
	return store.Get[Message](q, sqlMessage, id)
}

// sqlNamed finds the message of a person (?1, any contact of theirs) that Meta
// knows by a wamid. There is no index on it: ids come in no order, and a million
// of them would cost as much to write as all the rest.
var sqlNamed = store.SQL(`SELECT m.id FROM contacts p CROSS JOIN contacts k CROSS JOIN messages m
		WHERE p.id = CAST(?1 AS BIGINT) AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id > 0 AND m.wamid = CAST(?2 AS TEXT)
	UNION ALL SELECT m.id FROM contacts p CROSS JOIN contacts k CROSS JOIN messages m
		WHERE p.id = CAST(?1 AS BIGINT) AND k.root = p.root AND m.contact_id = k.id AND m.contact_id > 0 AND m.run_id = 0 AND m.wamid = CAST(?2 AS TEXT)`)

// ByWamid returns the message that Meta knows by that id, of those to the people
// whom the contacts belong to.
func ByWamid(q store.Querier, w whatsapp.Wamid, people ...int64) (Message, bool, error) {
	id, ok, err := idByWamid(q, w, people)
	if err != nil || !ok {
		return Message{}, false, err
	}
	return ByID(q, id)
}

func idByWamid(q store.Querier, w whatsapp.Wamid, people []int64) (id int64, ok bool, err error) {
	for _, contact := range people {
		if w == "" || ok || err != nil {
			break
		}
		if id, ok, err = store.Value[int64](q, sqlNamed, contact, string(w)); err == nil && !ok {
			id, ok, err = store.Value[int64](q, sqlPastNamed, contact, string(w))
		}
	}
	return id, ok, err
}

// name gives the message the id by which Meta knows it, unless it has one.
func (m *Message) name(w whatsapp.Wamid) {
	if m.Wamid == "" {
		m.Wamid = w
	}
}

// OfContact returns a contact's latest messages with an id below before (0: of
// all), at most limit of campaigns, limit of single ones, and limit of the past.
func OfContact(q store.Querier, contact, before int64, limit int) ([]Message, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	runs, err := store.All[Message](q, sqlOfContactRuns, contact, before, limit)
	if err != nil {
		return nil, err
	}
	once, err := store.All[Message](q, sqlOfContactOnce, contact, before, limit)
	if err != nil {
		return nil, err
	}
	past, err := store.All[Message](q, sqlPastOfContact, contact, before, limit)
	return slices.Concat(runs, once, past), err
}

// Outcome says that a message changed its state. Since is the earliest instant
// at which the conversation ledger may differ now; zero if it cannot. Confirmed
// is Meta's own time of a message that counted with our acceptance until now,
// where nothing else differs, and Was that acceptance; zero else.
type Outcome struct {
	Message, Run, Stream, Contact int64
	Campaign, Number              string
	Category                      whatsapp.Category
	From, To                      State
	Reason                        string
	Code                          int
	Since, Confirmed, Was         time.Time
}
