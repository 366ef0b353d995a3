package dossier

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"janela/internal/intake"
	"janela/internal/store"
)

var (
	sqlNumbers    = store.SQL(`SELECT id, name, unit FROM numbers ORDER BY name`)
	sqlIdentities = store.SQL(`SELECT i.kind, i.value, i.first_seen, i.last_seen FROM contacts c CROSS JOIN identities i
		WHERE c.root = CAST(?1 AS BIGINT) AND i.contact_id = c.id ORDER BY i.first_seen, i.kind, i.value`)
	sqlReviews = store.SQL(`SELECT r.said_at, r.text, r.state, r.decided_at, r.decided_by FROM contacts c CROSS JOIN consent_reviews r
		WHERE c.root = CAST(?1 AS BIGINT) AND r.contact_id = c.id ORDER BY r.id`)
	sqlPending = store.SQL(`SELECT p.created_at, p.expires_at, p.grants FROM contacts c CROSS JOIN pending_consents p
		WHERE c.root = CAST(?1 AS BIGINT) AND p.contact_id = c.id ORDER BY p.created_at, p.id`)
	sqlConversations = store.SQL(`SELECT COALESCE(n.name, ''), v.category, v.origin, v.opened_at, v.expires_at, v.messages_out, v.messages_in
		FROM contacts c CROSS JOIN conversations v LEFT JOIN numbers n ON n.id = v.number_id
		WHERE c.root = CAST(?1 AS BIGINT) AND v.contact_id = c.id ORDER BY v.opened_at, v.id`)
	sqlInbound = store.SQL(`SELECT i.at, COALESCE(n.name, ''), i.type, i.answers FROM contacts c CROSS JOIN inbound_messages i LEFT JOIN numbers n ON n.id = i.number_id
		WHERE c.root = CAST(?1 AS BIGINT) AND i.contact_id = c.id ORDER BY i.at, i.id`)
	// Codes are found by their messages, which stand in no run.
	sqlCodes = store.SQL(`SELECT DISTINCT h.purpose, h.client, h.state, h.channel, h.created_at
		FROM contacts c CROSS JOIN messages m CROSS JOIN code_sends s CROSS JOIN challenges h
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0
		AND s.message_id = m.id AND h.id = s.challenge_id ORDER BY h.created_at`)
	sqlSetbacks = store.SQL(`SELECT d.contact_id, d.capped_until, d.days, d.undeliverable_at FROM contacts c CROSS JOIN setbacks d
		WHERE c.root = CAST(?1 AS BIGINT) AND d.contact_id = c.id ORDER BY d.contact_id`)
	sqlMessages = store.SQL(`SELECT m.id, m.contact_id, s.number_id, s.category, s.template, s.language, s.campaign_id, m.address, m.params, m.state, m.reason,
			m.created_at, m.claimed_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at
		FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id > 0 AND s.id = m.stream_id
		UNION ALL
		SELECT m.id, m.contact_id, s.number_id, s.category, s.template, s.language, s.campaign_id, m.address, m.params, m.state, m.reason,
			m.created_at, m.claimed_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at
		FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0 AND s.id = m.stream_id
		UNION ALL
		SELECT m.id, m.contact_id, s.number_id, s.category, s.template, s.language, s.campaign_id, m.address, '', m.state, m.reason,
			m.created_at, m.claimed_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at
		FROM contacts c CROSS JOIN past_messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND s.id = m.stream_id`)
)

// rowsOf reads all rows of a person, and makes of each what the file has.
func rowsOf[P store.Row[R], R, T any](q store.Querier, stmt *store.Stmt, root int64, of func(P) T) ([]T, error) {
	out := []T{}
	err := store.Each(q, stmt, func(r P) error { out = append(out, of(r)); return nil }, root)
	return out, err
}

type numberRow struct{ id, name, unit string }

// Fields names the places of sqlNumbers' columns.
func (n *numberRow) Fields() []any { return []any{&n.id, &n.name, &n.unit} }

func numbersOf(q store.Querier) ([]numberRow, error) { return store.All[numberRow](q, sqlNumbers) }

type identityRow struct {
	Identity
	first, last int64
}

// Fields names the places of sqlIdentities' columns.
func (r *identityRow) Fields() []any { return []any{&r.Kind, &r.Value, &r.first, &r.last} }

func (r *identityRow) of() Identity {
	r.FirstSeen, r.LastSeen = store.Time(r.first), store.Time(r.last)
	return r.Identity
}

type setbackRow struct {
	Setback
	capped, gone int64
}

// Fields names the places of sqlSetbacks' columns.
func (r *setbackRow) Fields() []any { return []any{&r.Contact, &r.capped, &r.Days, &r.gone} }

func (r *setbackRow) of() Setback {
	r.CappedUntil, r.Undeliverable = store.Time(r.capped), store.Time(r.gone)
	return r.Setback
}

type reviewRow struct {
	Review
	said, decided int64
}

// Fields names the places of sqlReviews' columns.
func (r *reviewRow) Fields() []any {
	return []any{&r.said, &r.Text, &r.State, &r.decided, &r.DecidedBy}
}

func (r *reviewRow) of() Review {
	r.At, r.DecidedAt = store.Time(r.said), store.Time(r.decided)
	return r.Review
}

type pendingRow struct {
	created, expires int64
	grants           string
}

// Fields names the places of sqlPending's columns.
func (r *pendingRow) Fields() []any { return []any{&r.created, &r.expires, &r.grants} }

func (r *pendingRow) of() Pending {
	return Pending{store.Time(r.created), store.Time(r.expires), json.RawMessage(r.grants)}
}

type conversationRow struct {
	Conversation
	opened, expires int64
}

// Fields names the places of sqlConversations' columns.
func (r *conversationRow) Fields() []any {
	return []any{&r.Number, &r.Category, &r.Origin, &r.opened, &r.expires, &r.Out, &r.In}
}

func (r *conversationRow) of() Conversation {
	r.OpenedAt, r.ExpiresAt = store.Time(r.opened), store.Time(r.expires)
	return r.Conversation
}

type inboundRow struct {
	Inbound
	at int64
}

// Fields names the places of sqlInbound's columns.
func (r *inboundRow) Fields() []any { return []any{&r.at, &r.Number, &r.Type, &r.Answers} }

func (r *inboundRow) of() Inbound {
	r.At = store.Time(r.at)
	return r.Inbound
}

type codeRow struct {
	Code
	created int64
}

// Fields names the places of sqlCodes' columns.
func (r *codeRow) Fields() []any {
	return []any{&r.Purpose, &r.Client, &r.State, &r.Channel, &r.created}
}

func (r *codeRow) of() Code {
	r.CreatedAt = store.Time(r.created)
	return r.Code
}

type messageRow struct {
	Message
	contact                                                   int64
	params                                                    string
	created, claimed, accepted, sent, delivered, read, failed int64
}

// Fields names the places of sqlMessages' columns.
func (r *messageRow) Fields() []any {
	return []any{&r.ID, &r.contact, &r.Number, &r.Category, &r.Template, &r.Language, &r.Campaign, &r.To, &r.params, &r.State, &r.Reason,
		&r.created, &r.claimed, &r.accepted, &r.sent, &r.delivered, &r.read, &r.failed}
}

func (r *messageRow) message() Message {
	r.CreatedAt, r.Delivered, r.Read, r.Failed = store.Time(r.created), store.Time(r.delivered), store.Time(r.read), store.Time(r.failed)
	if r.SentAt = store.Time(r.sent); r.sent == 0 {
		r.SentAt = store.Time(r.accepted)
	}
	switch {
	case r.params == "":
	case json.Valid([]byte(r.params)):
		r.Content = json.RawMessage(r.params)
	default:
		r.Content, _ = json.Marshal(r.params) // a string always encodes
	}
	return r.Message
}

// callbackPage is how many callbacks one snapshot reads.
const callbackPage = 500

// countCallbacks looks through all that Meta posted, some at a time.
func countCallbacks(ctx context.Context, db *store.DB, needles []string) (n int, err error) {
	if len(needles) == 0 {
		return 0, nil
	}
	for after, more := int64(0), true; more; {
		err := db.Read(ctx, func(q *store.Snap) (err error) {
			after, more, err = intake.Bodies(q, after, callbackPage, func(_ int64, body []byte) {
				if slices.ContainsFunc(needles, func(needle string) bool { return bytes.Contains(body, []byte(needle)) }) {
					n++
				}
			})
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
