package access

import (
	"errors"
	"time"

	"janela/internal/store"
)

// ErrKeyReused says that an Idempotency-Key came before, with another body.
var ErrKeyReused = errors.New("access: the Idempotency-Key was used for another request")

// Repeat names a request that may come twice.
type Repeat struct {
	Client  string
	Route   string
	Key     string // hash of the Idempotency-Key as sent
	Request string // keyed hash of the body
}

// Reply is what it was answered. Body holds no personal data.
type Reply struct {
	Status int
	Body   string
}

// replyRow is a row of idempotent_replies.
type replyRow struct {
	request string
	status  int
	reply   string
}

// Fields names the places of sqlReply.
func (r *replyRow) Fields() []any { return []any{&r.request, &r.status, &r.reply} }

var (
	sqlReply = store.SQL(`SELECT request, status, reply FROM idempotent_replies
		WHERE client = ?1 AND route = ?2 AND key = ?3 AND expires_at > ?4`)
	sqlKeep = store.SQL(`INSERT INTO idempotent_replies (client, route, key, request, status, reply, expires_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT (client, route, key) DO UPDATE SET request = excluded.request, status = excluded.status, reply = excluded.reply,
		expires_at = excluded.expires_at WHERE idempotent_replies.expires_at <= ?8`)
	sqlSweepReplies = store.SQL(`DELETE FROM idempotent_replies WHERE (client, route, key) IN
		(SELECT client, route, key FROM idempotent_replies WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)`)
)

// Replay returns what a request was answered before, if it was. Ask in the
// transaction that will have the effect: two of the same key at once then wait
// for each other, and the second finds the first's reply.
func Replay(q store.Querier, r Repeat) (Reply, bool, error) {
	row, ok, err := store.Get[replyRow](q, sqlReply, r.Client, r.Route, r.Key, store.Millis(q.Now()))
	switch {
	case err != nil || !ok:
		return Reply{}, false, err
	case row.request != r.Request:
		return Reply{}, false, ErrKeyReused
	default:
		return Reply{row.status, row.reply}, true, nil
	}
}

// Keep remembers a reply for ttl, in the transaction of what it tells of. Where
// a live one stands, it is store.ErrLost: the effect must not come twice.
func Keep(tx *store.Tx, r Repeat, reply Reply, ttl time.Duration) error {
	now := tx.Now()
	return tx.One(sqlKeep, r.Client, r.Route, r.Key, r.Request, reply.Status, reply.Body, store.Millis(now.Add(ttl)), store.Millis(now))
}

// SweepReplies removes at most limit replies whose time is over, and returns
// how many.
func SweepReplies(tx *store.Tx, limit int) (int, error) {
	n, err := tx.Exec(sqlSweepReplies, store.Millis(tx.Now()), limit)
	return int(n), err
}
