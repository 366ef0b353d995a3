package access

import "janela/internal/store"

// Entry is one change somebody made.
type Entry struct {
	ID      int64
	At      int64 // ms
	Actor   string
	Command string // "campaigns approve", "hold", …
	Object  string // what it was done to, never a full number
	Before  string
	After   string
}

// Fields names the places of sqlAudit.
func (e *Entry) Fields() []any {
	return []any{&e.ID, &e.At, &e.Actor, &e.Command, &e.Object, &e.Before, &e.After}
}

var (
	sqlNote  = store.SQL(`INSERT INTO audit (id, at, actor, command, object, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`)
	sqlAudit = store.SQL(`SELECT id, at, actor, command, object, before, after FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2`)
)

// Note appends an entry in the transaction of the change itself.
func Note(tx *store.Tx, e Entry) error {
	_, err := tx.Exec(sqlNote, tx.NewID(), store.Millis(tx.Now()), e.Actor, e.Command, e.Object, e.Before, e.After)
	return err
}

// Audit returns at most limit entries before an id (0: the newest), newest first.
func Audit(q store.Querier, before int64, limit int) ([]Entry, error) {
	if before <= 0 {
		before = 1<<62 - 1
	}
	return store.All[Entry](q, sqlAudit, before, limit)
}
