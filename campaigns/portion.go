package campaigns

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"janela/internal/contacts"
	"janela/internal/failpoint"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

const (
	batchRows = 200  // are written between two looks whether somebody waits for the database
	mostRows  = 2000 // go into one transaction when nobody does

	firstPortion = 1000   // so that the first message need not wait
	mostPortion  = 24_576 // some 10 MiB of rows
)

var (
	sqlRunAdmitted = store.SQL(`UPDATE runs SET position = ?2, admitted = admitted + ?4, rejected = rejected + ?5, duplicates = duplicates + ?6
		WHERE id = ?1 AND position = ?3 AND admitted + rejected + duplicates = ?7 AND state = 'expanding'`)
	sqlLinesAdmitted = store.SQL(`SELECT line FROM messages WHERE run_id = ?1 AND run_id > 0 ORDER BY id DESC LIMIT ?2`)
	sqlLinesRejected = store.SQL(`SELECT line FROM rejects WHERE run_id = ?1 AND line >= ?2`)
	sqlOtherRuns     = store.SQL(`SELECT 1 FROM runs WHERE campaign_id = ?1 AND id <> ?2 LIMIT 1`)
)

// entry is one row of the audience.
type entry struct {
	r         Recipient
	bad       *Reject
	duplicate bool
	person    contacts.Known
	met       bool // person was found beforehand: who it is, or that nobody is
}

func (e *entry) line() int {
	if e.bad != nil {
		return e.bad.Line
	}
	return e.r.Line
}

// named reports whether the row asks for somebody.
func (e *entry) named() bool { return e.bad == nil && !e.duplicate }

// done is how many rows have become a message or a reject.
func (r *RunRecord) done() int64 { return r.Admitted + r.Rejected + r.Duplicates }

// admit turns rows into messages, a portion after the other, from the row that
// was reached before. A portion is admitted in the order of its people: the
// unique index of messages, consents and conversations lie in that order, so that
// a transaction touches few of their pages, at admission and at each step after
// it. Where a file was in another order, messages leave in that order too.
func (x *expansion) admit(ctx context.Context, path string) error {
	var some []entry
	from, size := int(x.run.Position), firstPortion
	write := func() error {
		err := x.portion(ctx, some)
		clear(some) // the rows may be large
		some = some[:0]
		size = min(2*size, mostPortion)
		return err
	}
	first := true
	_, err := x.each(ctx, path, func(row int, r Recipient, bad *Reject) error {
		if row < from {
			return nil
		}
		e := entry{r: r, bad: bad, duplicate: bad == nil && x.skip.has(row)}
		if err := x.meets(row, &e); err != nil {
			return err
		}
		e.r.Phone, e.r.ExternalID = whatsapp.Phone(strings.Clone(string(r.Phone))), strings.Clone(r.ExternalID) // a cell keeps its whole row in memory
		if some = append(some, e); len(some) < size {
			return nil
		}
		err := write()
		if first && x.people == nil && err == nil { // the first message waits no more
			first = false
			x.people, err = x.acquaint(ctx, row+1, x.rows)
		}
		return err
	})
	if err != nil || len(some) == 0 {
		return err
	}
	return write()
}

// portion admits the rows that come next. Where a crash broke it off, those that
// are done are passed over: position moves when a portion is through.
func (x *expansion) portion(ctx context.Context, all []entry) error {
	some, err := x.order(ctx, all)
	if err != nil {
		return err
	}
	for to := x.run.Position + int64(len(all)); ; {
		n, err := x.write(ctx, some, to)
		if err != nil {
			return err
		}
		if some = some[n:]; len(some) == 0 {
			return nil
		}
	}
}

// order returns the rows of a portion that are not done, in the order of their
// people.
func (x *expansion) order(ctx context.Context, all []entry) ([]*entry, error) {
	some := make([]*entry, 0, len(all))
	err := x.c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if err := x.readDone(q, all[0].line()); err != nil {
			return err
		}
		for i := range all {
			if e := &all[i]; !x.finished[e.line()] {
				some = append(some, e)
			}
		}
		if x.people != nil && contacts.PhonesStand(q, x.people.at) {
			x.known = x.people.at
			return know(q, strangers(some))
		}
		x.known = q.Moment()
		return know(q, some)
	})
	if err == nil && len(x.in.Def.Recipients.OncePer) == 0 { // else the first row of the file carries the notice
		slices.SortStableFunc(some, func(a, b *entry) int { return cmp.Compare(a.person.Root, b.person.Root) })
	}
	return some, err
}

// readDone notes, after a crash in a portion, which rows it had got to.
func (x *expansion) readDone(q store.Querier, firstLine int) error {
	if x.finished != nil {
		return nil
	}
	x.finished = map[int]bool{}
	if x.run.done() == x.run.Position {
		return nil
	}
	// A row from here on was admitted in a portion that began less than a portion
	// before here, and no row after that began a portion after here.
	admitted, err := store.All[store.Col[int]](q, sqlLinesAdmitted, x.run.ID, 2*mostPortion)
	if err != nil {
		return err
	}
	rejected, err := store.All[store.Col[int]](q, sqlLinesRejected, x.run.ID, firstLine)
	for _, line := range append(admitted, rejected...) {
		x.finished[line.V] = true
	}
	return err
}

// strangers returns the rows whose people were not found beforehand.
func strangers(some []*entry) []*entry {
	var out []*entry
	for _, e := range some {
		if !e.met {
			out = append(out, e)
		}
	}
	return out
}

// know looks up the people of rows.
func know(q store.Querier, some []*entry) error {
	ids, at := make([]whatsapp.Identity, 0, len(some)), make([]int, 0, len(some))
	for i := range some {
		if some[i].named() {
			ids, at = append(ids, some[i].r.Phone.Identity()), append(at, i)
		}
	}
	known, err := contacts.FindMany(q, ids)
	for i, k := range known {
		some[at[i]].person = k
	}
	return err
}

// write admits rows in one transaction, as many as nobody minds, and returns how
// many; to is the position when they were the last of their portion. Who the
// people are is asked again where the book of contacts has changed since.
func (x *expansion) write(ctx context.Context, some []*entry, to int64) (n int, err error) {
	run := x.run
	err = x.c.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		n, run = 0, x.run
		_, others, err := store.Value[int64](tx, sqlOtherRuns, run.Campaign, run.ID)
		if err != nil {
			return err
		}
		for n < min(len(some), mostRows) && (n == 0 || !tx.Hurry()) {
			batch := some[n:min(n+batchRows, len(some))]
			if !contacts.PhonesStand(tx, x.known) {
				if err := know(tx, batch); err != nil {
					return err
				}
			}
			w := batchWriter{x: x, tx: tx, others: others}
			for _, e := range batch {
				if err := w.add(e); err != nil {
					return err
				}
			}
			if err := w.enqueue(); err != nil {
				return err
			}
			n += len(batch)
			run.Admitted, run.Rejected, run.Duplicates = run.Admitted+int64(w.admitted), run.Rejected+int64(w.rejected), run.Duplicates+int64(w.duplicates)
		}
		if n == len(some) {
			run.Position = to
		}
		if err := tx.One(sqlRunAdmitted, run.ID, run.Position, x.run.Position,
			run.Admitted-x.run.Admitted, run.Rejected-x.run.Rejected, run.Duplicates-x.run.Duplicates, x.run.done()); err != nil {
			return err
		}
		tx.Wake(statusTopic)
		return failpoint.Err("campaigns.admit.commit")
	})
	if err != nil {
		return 0, err
	}
	x.run = run
	return n, failpoint.Err("campaigns.admitted")
}
