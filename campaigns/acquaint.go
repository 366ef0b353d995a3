package campaigns

import (
	"context"
	"strconv"
	"strings"

	"janela/internal/contacts"
	"janela/internal/store"
)

const (
	walkedRatio = 4    // the walk costs a fourth, per contact, of finding a row's person
	walkedRows  = 5000 // in one snapshot
)

// acquaintance is who the people of an audience's rows are, found by a walk through
// the whole book of contacts: both are brought into the order of their numbers,
// and what matches into that of the rows. Each number by itself would be looked
// for in another place of a large database.
type acquaintance struct {
	at    store.Moment // of the first snapshot
	found pairs        // by row
	next  func() (pair, bool, error)
	head  pair
	more  bool
}

// asked marks a person who is several contacts: each such row is asked for.
const asked = 1 << 63

// acquaint finds the people of the rows from one on, unless they are few beside
// the book. nil: they are asked for, portion by portion.
func (x *expansion) acquaint(ctx context.Context, from, rows int) (*acquaintance, error) {
	if rows-from < x.walkFrom {
		return nil, nil
	}
	return x.walk(ctx, from, rows)
}

func (x *expansion) walk(ctx context.Context, from, rows int) (a *acquaintance, err error) {
	a = &acquaintance{found: newPairs(x.c.cfg.Spool)}
	defer func() {
		if err != nil {
			a.found.close()
			a = nil
		}
	}()
	large := false
	err = x.c.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
		a.at = q.Moment()
		large, err = contacts.MoreThan(q, walkedRatio*(rows-from))
		return err
	})
	if err != nil || large {
		return nil, err
	}
	book := newPairs(x.c.cfg.Spool)
	defer book.close()
	for last, more := int64(0), true; more; {
		var some []contacts.Named
		err := x.c.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
			some, last, err = contacts.Walk(q, last, walkedRows)
			return err
		})
		if err != nil {
			return a, err
		}
		more = len(some) > 0
		for i := range some {
			n := &some[i]
			digits, ok := strings.CutPrefix(n.Phone, "+")
			number, err := strconv.ParseUint(digits, 10, 64)
			if err != nil || !ok || strings.HasPrefix(digits, "0") {
				continue // no number that an audience can have
			}
			who := uint64(n.ID)
			if !n.Alone {
				who |= asked
			}
			if err := book.put(pair{number, who}); err != nil {
				return a, err
			}
		}
	}
	if err := x.meet(&book, a, from); err != nil {
		return a, err
	}
	x.dups.close() // what it found is in skip
	if a.next, err = a.found.sorted(); err == nil {
		a.head, a.more, err = a.next()
	}
	return a, err
}

// meet puts into a who has the number of each row from one on: 0 where nobody has.
func (x *expansion) meet(book *pairs, a *acquaintance, from int) error {
	next, err := book.sorted()
	if err != nil {
		return err
	}
	known, more, err := next()
	if err != nil {
		return err
	}
	var failed error
	err = x.dups.merge(func(row pair) {
		for failed == nil && more && known.key < row.key {
			known, more, failed = next()
		}
		if failed != nil || row.value < uint64(from) || x.skip.has(int(row.value)) {
			return
		}
		who := uint64(0)
		if more && known.key == row.key {
			who = known.value
		}
		failed = a.found.put(pair{row.value, who})
	})
	if err == nil {
		err = failed
	}
	return err
}

// of returns who the person of a row is; ok is false where that must be asked.
// Rows come in their order.
func (a *acquaintance) of(row int) (k contacts.Known, ok bool, err error) {
	for a.more && a.head.key < uint64(row) {
		if a.head, a.more, err = a.next(); err != nil {
			return k, false, err
		}
	}
	if !a.more || a.head.key != uint64(row) || a.head.value&asked != 0 {
		return k, false, nil
	}
	if id := int64(a.head.value); id > 0 {
		k = contacts.Known{Contact: contacts.Contact{ID: id, Root: id}, Alone: true}
	}
	return k, true, nil
}

// meets puts into e who the person of the row is, if that was found beforehand.
func (x *expansion) meets(row int, e *entry) (err error) {
	if x.people != nil && e.named() {
		e.person, e.met, err = x.people.of(row)
	}
	return err
}

func (a *acquaintance) close() {
	if a != nil {
		a.found.close()
	}
}
