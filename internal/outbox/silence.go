package outbox

import (
	"maps"
	"slices"
	"time"

	"janela/internal/store"
)

var (
	sqlMark = store.SQL(`INSERT INTO watermarks (number_id, claimed_at) VALUES (?1, ?2)
		ON CONFLICT (number_id) DO UPDATE SET claimed_at = excluded.claimed_at WHERE excluded.claimed_at > watermarks.claimed_at OR watermarks.claimed_at > ?3`)
	sqlWatermark     = store.SQL(`SELECT claimed_at FROM watermarks WHERE number_id = ?1 AND claimed_at <= ?2`)
	sqlSilentStreams = store.SQL(`SELECT DISTINCT ` + streamColumns + `, s.created_at FROM tallies t CROSS JOIN streams s
		WHERE t.state IN ('accepted','accepted_held','sent') AND t.n > 0 AND s.id = t.stream_id`)
	sqlSilent = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE stream_id = ?1 AND run_id = 0 AND (state = 'accepted' OR state = 'accepted_held' OR state = 'sent')
		AND claimed_at < ?2 AND (state <> 'accepted_held' OR claimed_at < ?3) ORDER BY claimed_at LIMIT ?4`)
	sqlSilentOfRun = store.SQL(`SELECT ` + messageColumns + ` FROM messages WHERE run_id = ?1 AND run_id > 0 AND id > ?2 AND id <= ?3
		AND state IN ('accepted','accepted_held','sent') AND claimed_at < ?4 AND (state <> 'accepted_held' OR claimed_at < ?5) ORDER BY id LIMIT ?6`)
	sqlPiece   = store.SQL(`SELECT COALESCE(MAX(p.id), 0) FROM (SELECT m.id FROM messages m WHERE m.run_id = ?1 AND m.run_id > 0 AND m.id > ?2 ORDER BY m.id LIMIT ?3) p`)
	sqlPresume = store.SQL(`UPDATE messages SET state = 'presumed_expired' WHERE id = ?1 AND state = ?2 AND attempt = ?3`)
)

// mark moves the watermarks of numbers: a status came of a message that was
// claimed at that time (ms). They never go back; but one that lies ahead, because
// the clock was set back, proves nothing, and is replaced.
func mark(tx *store.Tx, claimed map[string]int64) error {
	for _, number := range slices.Sorted(maps.Keys(claimed)) {
		if _, err := tx.Exec(sqlMark, number, claimed[number], store.Millis(tx.Now())); err != nil {
			return err
		}
	}
	return nil
}

// Watermark returns when the message was claimed up to which Meta's news of a
// number reach; zero: none came yet.
func Watermark(q store.Querier, number string) (time.Time, error) {
	ms, _, err := store.Value[int64](q, sqlWatermark, number, store.Millis(q.Now()))
	return store.Time(ms), err
}

// SilentStream is a stream with messages that Meta took and that have not
// arrived.
type SilentStream struct {
	Stream
	CreatedAt int64 // ms; none of its messages was claimed before
}

// Fields names the places of sqlSilentStreams.
func (s *SilentStream) Fields() []any { return append(s.Stream.Fields(), &s.CreatedAt) }

// SilentStreams returns them all.
func SilentStreams(q store.Querier) ([]SilentStream, error) {
	return store.All[SilentStream](q, sqlSilentStreams)
}

// Before says how old silent messages must be: claimed before that instant, and
// those that Meta held back before Held.
type Before struct{ Claimed, Held time.Time }

// Silent returns at most limit single messages of a stream that have neither
// arrived nor failed.
func Silent(q store.Querier, stream int64, b Before, limit int) ([]Message, error) {
	return store.All[Message](q, sqlSilent, stream, store.Millis(b.Claimed), store.Millis(b.Held), limit)
}

// SilentOfRun looks at most at piece messages of a run from behind an id on, and
// returns at most limit of them that have neither arrived nor failed; next is the
// id to go on from, 0 when the run has been seen to its end. If there are limit,
// ask again from the same id once they are changed.
func SilentOfRun(q store.Querier, run, after int64, b Before, piece, limit int) (rows []Message, next int64, err error) {
	next, _, err = store.Value[int64](q, sqlPiece, run, after, piece)
	if err != nil || next == 0 {
		return nil, 0, err
	}
	rows, err = store.All[Message](q, sqlSilentOfRun, run, after, next, store.Millis(b.Claimed), store.Millis(b.Held), limit)
	return rows, next, err
}

// PresumeExpired ends messages that have outlived their time to live in silence:
// Meta drops those without a word. A status that comes later revives them.
func PresumeExpired(tx *store.Tx, rows []Message) ([]Outcome, error) {
	c := begin(tx)
	for i := range rows {
		after := rows[i]
		after.State = PresumedExpired
		if err := tx.One(sqlPresume, after.ID, string(rows[i].State), after.Attempt); err != nil {
			return nil, err
		}
		if err := c.moved(&rows[i], &after); err != nil {
			return nil, err
		}
	}
	return c.end()
}
