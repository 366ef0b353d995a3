package conversations

import (
	"errors"
	"fmt"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Touch says which rows may have changed: those of a person on a number, from
// an instant on.
type Touch struct {
	Number  string
	Contact int64 // any contact of the person
	// Since is the earliest instant whose facts changed. For a message whose
	// time moved or that stopped to count, it is the lesser of its old and new
	// times. The zero time recomputes the whole history.
	Since time.Time
	// Accepted is the message whose acceptance, at Since, is all that changed, and
	// Category its category; 0 for any other change.
	Accepted int64
	Category whatsapp.Category
}

// Change is what Recompute did to one row.
type Change struct {
	ID     int64
	Opened bool // the row is new
	Gone   bool // the row was deleted; Row is what it was
	Row    Row
}

var (
	sqlPerson = store.SQL(`SELECT c.root,
		CASE WHEN EXISTS (SELECT 1 FROM contacts m WHERE m.root = c.root AND m.id <> c.root) THEN 1 ELSE 0 END
		FROM contacts c WHERE c.id = ?1`)
	// Numbers on which something still stands under a contact that is no longer
	// a root, or never left a row of ours to see that by.
	sqlUnmerged = store.SQL(`
		SELECT v.number_id FROM contacts c CROSS JOIN conversations v
			WHERE c.root = CAST(?1 AS BIGINT) AND c.id <> ?1 AND v.contact_id = c.id
		UNION SELECT w.number_id FROM contacts c CROSS JOIN service_windows w
			WHERE c.root = CAST(?1 AS BIGINT) AND c.id <> ?1 AND w.contact_id = c.id
		UNION SELECT f.number_id FROM contacts c CROSS JOIN foreign_messages f
			WHERE c.root = CAST(?1 AS BIGINT) AND c.id <> ?1 AND f.contact_id = c.id AND f.category = ''`)
	sqlMembers = store.SQL(`SELECT id FROM contacts WHERE root = CAST(?1 AS BIGINT) ORDER BY id`)
	sqlStored  = store.SQL(`SELECT ` + columns + ` FROM conversations
		WHERE contact_id = CAST(?1 AS BIGINT) AND number_id = CAST(?2 AS TEXT) ORDER BY opened_at DESC`)

	sqlInsert = store.SQL(`INSERT INTO conversations (` + columns + `)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)`)
	sqlUpdate = store.SQL(`UPDATE conversations SET contact_id = ?3, category = ?4, origin = ?5,
		free_entry_point = ?6, opened_at = ?7, expires_at = ?8, closed_at = ?9, provisional = ?10, opened_by = ?11,
		opened_by_wamid = ?12, inbound_id = ?13, messages_out = ?14, messages_in = ?15
		WHERE id = ?1 AND number_id = ?2`)
	sqlDelete = store.SQL(`DELETE FROM conversations WHERE id = ?1`)
)

type person struct {
	root   int64
	joined bool // more than one contact
}

// Fields names the places of sqlPerson's columns.
func (p *person) Fields() []any { return []any{&p.root, &p.joined} }

// ledgerKey names one ledger: the rows of a person on a number.
type ledgerKey struct {
	number string
	root   int64
}

// task is a ledger to bring up to date from since on; merge gathers what stands
// under other contacts of the person.
type task struct {
	ledgerKey
	since time.Time
	merge bool
}

// Merge brings together what stands under the contacts of one person that may
// just have been joined, on all numbers. Nobody else announces a join; without
// this it would wait for the person's next message.
func Merge(tx *store.Tx, contact int64) (changed []Change, err error) {
	p, ok, err := store.Get[person](tx, sqlPerson, contact)
	if err != nil {
		return nil, fmt.Errorf("conversations: contact %d: %w", contact, err)
	}
	if !ok || !p.joined {
		return nil, nil
	}
	numbers, err := store.All[store.Col[string]](tx, sqlUnmerged, p.root)
	if err != nil {
		return nil, fmt.Errorf("conversations: join to contact %d: %w", p.root, err)
	}
	for _, n := range numbers {
		t := task{ledgerKey: ledgerKey{n.V, p.root}, merge: true}
		if changed, err = t.run(tx, changed); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// Recompute brings the touched rows up to date from messages, foreign_messages
// and inbound_messages, and returns what it changed. Rows before the last
// instant at which nothing was open are not read. It is idempotent; touches of
// contacts that contacts does not know change nothing.
func Recompute(tx *store.Tx, touches ...Touch) (changed []Change, err error) {
	left, changed, err := begin(tx, touches)
	if err != nil {
		return nil, err
	}
	tasks, err := plan(tx, left)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if changed, err = t.run(tx, changed); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// plan resolves the touches to one task per ledger.
func plan(tx *store.Tx, touches []Touch) ([]task, error) {
	var tasks []task
	at := make(map[ledgerKey]int, len(touches))
	add := func(t task) {
		i, ok := at[t.ledgerKey]
		if !ok {
			at[t.ledgerKey] = len(tasks)
			tasks = append(tasks, t)
			return
		}
		if t.since.Before(tasks[i].since) {
			tasks[i].since = t.since
		}
		tasks[i].merge = tasks[i].merge || t.merge
	}
	for _, touch := range touches {
		p, ok, err := store.Get[person](tx, sqlPerson, touch.Contact)
		if err != nil {
			return nil, fmt.Errorf("conversations: contact %d: %w", touch.Contact, err)
		}
		if !ok {
			continue
		}
		add(task{ledgerKey: ledgerKey{touch.Number, p.root}, since: touch.Since})
		if !p.joined {
			continue
		}
		numbers, err := store.All[store.Col[string]](tx, sqlUnmerged, p.root)
		if err != nil {
			return nil, fmt.Errorf("conversations: join to contact %d: %w", p.root, err)
		}
		for _, n := range numbers {
			add(task{ledgerKey: ledgerKey{n.V, p.root}, merge: true}) // the whole history
		}
	}
	return tasks, nil
}

// run recomputes one ledger and appends its changes.
func (t task) run(tx *store.Tx, changed []Change) ([]Change, error) {
	back, err := t.load(tx)
	if err != nil {
		return nil, err
	}
	facts, err := events(tx, t.number, t.root, back.from)
	if err != nil {
		return nil, err
	}
	changed, err = t.write(tx, back.rows, Ledger(back.freeEntryEnd, facts), changed)
	if err != nil || !t.merge {
		return changed, err
	}
	return changed, mergeWindows(tx, t.number, t.root)
}

// load returns the rows that may change and where the ledger is to begin.
func (t task) load(q store.Querier) (back walk, err error) {
	back.from = t.since
	owners := []store.Col[int64]{{V: t.root}}
	if t.merge {
		if owners, err = store.All[store.Col[int64]](q, sqlMembers, t.root); err != nil {
			return back, fmt.Errorf("conversations: members of contact %d: %w", t.root, err)
		}
	}
	for _, owner := range owners {
		err := store.Each(q, sqlStored, back.step, owner.V, t.number)
		if err != nil && !errors.Is(err, errReached) {
			return back, fmt.Errorf("conversations: rows of contact %d: %w", owner.V, err)
		}
	}
	return back, nil
}

// errReached ends a walk.
var errReached = errors.New("reached")

// walk goes back over the rows, latest first, to the last instant at or before
// from at which nothing was open, and moves from there.
//
// It asks expires_at, not closed_at: a free entry point that ended a row may
// itself be among what changes. As every conversation of a kind lasts equally
// long, and nothing opens during a free entry point, the first row that was
// over is a proof that all before it were.
type walk struct {
	rows         []Row     // those that opened at from or later
	from         time.Time // where the ledger is to begin
	freeEntryEnd time.Time // when a free entry point was the last before from
}

func (w *walk) step(r *rowScan) error {
	row := r.row()
	if row.OpenedAt.Before(w.from) {
		if !row.ExpiresAt.After(w.from) {
			// An ad may be a day old when it is answered, and counts only after the
			// end of the free entry point before it. If another conversation came
			// between, that end is more than a day ago and rules out nothing.
			if row.FreeEntryPoint {
				w.freeEntryEnd = row.ExpiresAt
			}
			return errReached
		}
		w.from = row.OpenedAt
	}
	w.rows = append(w.rows, row)
	return nil
}

// slot is what a row is known by within a ledger.
type slot struct {
	openedAt time.Time
	category whatsapp.Category
}

// opener is who opened a row.
type opener struct {
	message int64
	wamid   whatsapp.Wamid
}

// write stores the difference between the rows that are and those that should
// be. A row keeps its id if one with the same slot should be, else if one with
// the same opener should (its time moved, as when Meta's replaces ours).
func (t task) write(tx *store.Tx, stored []Row, want []Conversation, changed []Change) ([]Change, error) {
	rows, left := pair(t.root, stored, want)
	open := ends{}
	for _, old := range left {
		open.add(old.Conversation, -1)
		if err := tx.One(sqlDelete, old.ID); err != nil {
			return nil, fmt.Errorf("conversations: remove a row of contact %d: %w", t.root, err)
		}
		changed = append(changed, Change{ID: old.ID, Gone: true, Row: old})
	}
	for i, old := range rows {
		row := Row{ID: old.ID, Number: t.number, Contact: t.root, Conversation: want[i]}
		if row == old {
			continue
		}
		stmt, opened := sqlUpdate, old.ID == 0
		if opened {
			stmt, row.ID = sqlInsert, tx.NewID()
		} else {
			open.add(old.Conversation, -1)
		}
		open.add(row.Conversation, 1)
		if err := tx.One(stmt, row.values()...); err != nil {
			return nil, fmt.Errorf("conversations: store a row of contact %d: %w", t.root, err)
		}
		changed = append(changed, Change{ID: row.ID, Opened: opened, Row: row})
	}
	return changed, open.write(tx)
}

// pair returns for each wanted conversation the stored row it becomes (the zero
// Row for none), and the stored rows that are left over. A row paired by its
// opener moves to a slot that no stored row has, or that one would have been
// paired: so updates never meet each other in the unique index.
func pair(root int64, stored []Row, want []Conversation) (rows, left []Row) {
	bySlot := make(map[slot]int, len(stored))
	for i, r := range stored {
		s := slot{r.OpenedAt, r.Category}
		if j, ok := bySlot[s]; !ok || stored[j].Contact != root {
			bySlot[s] = i
		}
	}
	rows = make([]Row, len(want))
	taken := make([]bool, len(stored))
	for i, c := range want {
		if j, ok := bySlot[slot{c.OpenedAt, c.Category}]; ok {
			rows[i], taken[j] = stored[j], true
		}
	}
	byOpener := make(map[opener]int, len(stored))
	for i, r := range stored {
		if !taken[i] {
			byOpener[opener{r.OpenedBy, r.OpenedByWamid}] = i
		}
	}
	for i, c := range want {
		j, ok := byOpener[opener{c.OpenedBy, c.OpenedByWamid}]
		if ok && rows[i].ID == 0 {
			rows[i], taken[j] = stored[j], true
		}
	}
	for i, r := range stored {
		if !taken[i] {
			left = append(left, r)
		}
	}
	return rows, left
}
