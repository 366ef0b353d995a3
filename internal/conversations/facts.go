package conversations

import (
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// factsOf reads what a ledger is made of: the messages of a person (?1, by
// root) on a number (?2) that may lie at or after ?3, and the inbound ones after
// ?4. The two readings of messages name the terms of their partial indexes. The
// times are only sifted here; progress.instant decides. CROSS JOIN keeps the
// order of the tables: from the few contacts to their rows.
//
// The parameters are cast, here and in the other statements of the hot path,
// because SQLite prepares a join or a sorted reading anew each time a bare
// parameter that is compared for equality is bound: 72 µs in place of 5.
const factsOf = `
	SELECT 0, m.id, m.wamid, s.category, m.state, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at, 0, 0, ''
		FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id > 0
		AND (m.accepted_at >= ?3 OR m.sent_at >= ?3 OR m.delivered_at >= ?3 OR m.read_at >= ?3)
		AND s.id = m.stream_id AND s.number_id = CAST(?2 AS TEXT) AND s.dry_run = 0
	UNION ALL
	SELECT 0, m.id, m.wamid, s.category, m.state, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at, 0, 0, ''
		FROM contacts c CROSS JOIN messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0
		AND (m.accepted_at >= ?3 OR m.sent_at >= ?3 OR m.delivered_at >= ?3 OR m.read_at >= ?3)
		AND s.id = m.stream_id AND s.number_id = CAST(?2 AS TEXT) AND s.dry_run = 0
	UNION ALL
	SELECT 1, 0, f.wamid, f.category, 'sent', 0, f.sent_at, f.delivered_at, f.read_at, f.failed_at, 0, 0, ''
		FROM contacts c CROSS JOIN foreign_messages f
		WHERE c.root = CAST(?1 AS BIGINT) AND f.contact_id = c.id AND f.number_id = CAST(?2 AS TEXT)
		AND (f.sent_at >= ?3 OR f.delivered_at >= ?3 OR f.read_at >= ?3)
	UNION ALL
	SELECT 2, i.id, i.wamid, '', '', i.at, 0, 0, 0, 0, i.referral, i.answers, i.answers_wamid
		FROM contacts c CROSS JOIN inbound_messages i
		WHERE c.root = CAST(?1 AS BIGINT) AND i.contact_id = c.id AND i.number_id = CAST(?2 AS TEXT) AND i.at > ?4 AND i.counts = 1`

var (
	sqlFacts = store.SQL(factsOf)
	// With those that were moved to the past, which lie LastNews ago or longer.
	sqlAllFacts = store.SQL(factsOf + `
	UNION ALL
	SELECT 0, m.id, m.wamid, s.category, m.state, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.failed_at, 0, 0, ''
		FROM contacts c CROSS JOIN past_messages m CROSS JOIN streams s
		WHERE c.root = CAST(?1 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0
		AND (m.accepted_at >= ?3 OR m.sent_at >= ?3 OR m.delivered_at >= ?3 OR m.read_at >= ?3)
		AND s.id = m.stream_id AND s.number_id = CAST(?2 AS TEXT) AND s.dry_run = 0`)
)

// past reports whether messages at or after an instant may have been moved.
func past(q store.Querier, from time.Time) bool {
	return !from.After(q.Now().Add(-whatsapp.LastNews))
}

// source says from which table a fact came.
type source int

const (
	ours source = iota
	foreign
	inbound
)

type fact struct {
	source
	Event
	progress
}

// Fields names the places of sqlFacts' columns.
func (f *fact) Fields() []any {
	return []any{&f.source, &f.ID, &f.Wamid, &f.Category, &f.state, &f.accepted, &f.sent, &f.delivered, &f.read, &f.failedAt,
		&f.Referral, &f.Answers, &f.AnswersWamid}
}

// event returns the fact as the ledger takes it. ok is false for a message that
// opens nothing and counts nowhere.
func (f *fact) event() (e Event, ok bool) {
	e = f.Event
	if f.source == inbound {
		e.Inbound, e.At = true, store.Time(f.accepted)
		return e, true
	}
	at, provisional, ok := f.instant()
	e.At, e.Provisional = store.Time(at), provisional
	if f.source == foreign {
		// What Meta charged it as; a category we do not know opens nothing.
		e.Category, _ = whatsapp.FoldPricing(string(f.Category))
	}
	return e, ok
}

// events reads every message at or after from, and every inbound message that
// can still matter then.
func events(q store.Querier, number string, root int64, from time.Time) ([]Event, error) {
	var out []Event
	stmt := sqlFacts
	if past(q, from) {
		stmt = sqlAllFacts
	}
	err := store.Each(q, stmt, func(f *fact) error {
		if e, ok := f.event(); ok && (e.Inbound || !e.At.Before(from)) {
			out = append(out, e)
		}
		return nil
	}, root, number, store.Millis(from), from.Add(-WindowLength).UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("conversations: facts of contact %d: %w", root, err)
	}
	return out, nil
}
