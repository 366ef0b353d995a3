package dispatch

import (
	"context"
	"fmt"
	"time"

	"janela/internal/gate"
	"janela/internal/store"
)

// scan looks through a stream whose messages wait for the messaging limit for
// those to people who count already: they cost nothing, and need not wait. It
// goes on in pages, each in a snapshot of its own, and begins anew when something
// has changed.
type scan struct {
	notBefore, id int64 // up to where it has looked
	done          bool
	next          time.Time     // when the next page, or the next pass, is due
	spent         time.Duration // on this pass
	began         time.Time     // this pass
	queued        int64         // in the stream when it began
	added         int           // to the people who count, by then
	found         []int64
}

const (
	scanPage  = 1000
	scanPause = 10 * time.Millisecond // between two pages, or four times as long as one took
	scanEvery = time.Second           // between two passes, or fifty times as long as one took
)

// The parameters are cast as in conversations: bare ones would be prepared anew
// each time.
var sqlScan = store.SQL(`SELECT m.id, m.not_before, c.root FROM messages m CROSS JOIN contacts c
	WHERE m.stream_id = CAST(?1 AS BIGINT) AND m.state = 'queued' AND (m.not_before, m.id) > (CAST(?2 AS BIGINT), CAST(?3 AS BIGINT)) AND m.not_before <= CAST(?4 AS BIGINT)
	AND c.id = m.contact_id ORDER BY m.not_before, m.id LIMIT ?5`)

type scanned struct{ id, notBefore, root int64 }

// Fields names the places of sqlScan.
func (s *scanned) Fields() []any { return []any{&s.id, &s.notBefore, &s.root} }

// scanAll looks at the next page of every stream that is waiting for one.
func (l *lane) scanAll(ctx context.Context) error {
	for stream, s := range l.scans {
		if s.done || len(s.found) > 0 || time.Now().Before(s.next) {
			continue
		}
		begun := time.Now()
		err := l.d.cfg.DB.Read(ctx, func(q *store.Snap) error { return l.page(q, stream, s) })
		if err != nil {
			return fmt.Errorf("dispatch: look for people who count already: %w", err)
		}
		took := time.Since(begun)
		s.spent += took
		s.next = time.Now().Add(max(scanPause, 4*took))
		if s.done {
			s.next = time.Now().Add(max(scanEvery, 50*s.spent))
		}
	}
	return nil
}

func (l *lane) page(q *store.Snap, stream int64, s *scan) error {
	rows, err := store.All[scanned](q, sqlScan, stream, s.notBefore, s.id, store.Millis(q.Now()), scanPage)
	for _, r := range rows {
		s.notBefore, s.id = r.notBefore, r.id
		if l.d.reach.counts(store.Millis(q.Now()), r.root) {
			if s.found = append(s.found, r.id); len(s.found) == chunk {
				return err
			}
		}
	}
	s.done = len(rows) < scanPage
	return err
}

// free returns at most n messages of a stream that wait for nobody's leaving, or
// else how long until it is known whether there are any.
func (l *lane) free(o gate.Open, n int, now time.Time) (ids []int64, wait time.Duration) {
	added := l.d.reach.additions()
	s := l.scans[o.ID]
	changed := s != nil && (s.queued != o.Queued || s.added != added || now.Sub(s.began) >= idle)
	if s == nil || s.done && len(s.found) == 0 && changed && !now.Before(s.next) {
		s = &scan{began: now, queued: o.Queued, added: added, next: now}
		l.scans[o.ID] = s
	}
	switch {
	case len(s.found) > 0:
		n = min(n, len(s.found))
		ids, s.found = s.found[:n:n], s.found[n:]
		return ids, max(s.next.Sub(now), time.Millisecond)
	case s.done && !changed:
		return nil, idle
	default:
		return nil, max(s.next.Sub(now), time.Millisecond)
	}
}

func (r *reach) additions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.added
}
