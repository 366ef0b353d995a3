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
// goes on in pages, each in a snapshot of its own; at the end it looks only at
// what comes into the stream, and for people who begin to count.
type scan struct {
	notBefore, id int64 // up to where it has looked
	done          bool
	next          time.Time // when the next look is due
	began         time.Time // this pass
	queued        int64     // in the stream when it looked last
	added         int       // to the people who count, by then
	people        []int64   // of those, who is still to be looked for
	found         []int64
}

const (
	scanPage  = 1000
	scanPause = 10 * time.Millisecond // between two pages, or four times as long as one took
	scanAgain = time.Hour             // for what was missed: messages that came due behind it
)

// The parameters are cast as in conversations: bare ones would be prepared anew
// each time.
var sqlScan = store.SQL(`SELECT m.id, m.not_before, c.root FROM messages m CROSS JOIN contacts c
	WHERE m.stream_id = CAST(?1 AS BIGINT) AND m.state = 'queued' AND (m.not_before, m.id) > (CAST(?2 AS BIGINT), CAST(?3 AS BIGINT)) AND m.not_before <= CAST(?4 AS BIGINT)
	AND c.id = m.contact_id ORDER BY m.not_before, m.id LIMIT ?5`)

var (
	sqlScanRun = store.SQL(`SELECT m.id, m.not_before, c.root FROM contacts c CROSS JOIN messages m
		WHERE c.root = CAST(?2 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = CAST(?3 AS BIGINT) AND m.run_id > 0
		AND m.stream_id = ?1 AND m.state = 'queued' AND m.not_before <= ?4`)
	sqlScanOne = store.SQL(`SELECT m.id, m.not_before, c.root FROM contacts c CROSS JOIN messages m
		WHERE c.root = CAST(?2 AS BIGINT) AND m.contact_id = c.id AND m.contact_id > 0 AND m.run_id = 0
		AND m.stream_id = ?1 AND m.state = 'queued' AND m.not_before <= ?4 AND CAST(?3 AS BIGINT) = 0`)
)

type scanned struct{ id, notBefore, root int64 }

// Fields names the places of sqlScan's columns.
func (s *scanned) Fields() []any { return []any{&s.id, &s.notBefore, &s.root} }

// scanAll takes the next look at every stream that is waiting for one.
func (l *lane) scanAll(ctx context.Context) error {
	for key, s := range l.scans {
		if s.done && len(s.people) == 0 || len(s.found) > 0 || time.Now().Before(s.next) {
			continue
		}
		begun := time.Now()
		err := l.d.cfg.DB.Read(ctx, func(q *store.Snap) error {
			if len(s.people) > 0 {
				return l.lookFor(q, key, s)
			}
			return l.page(q, key.stream, s)
		})
		if err != nil {
			return fmt.Errorf("dispatch: look for people who count already: %w", err)
		}
		s.next = time.Now().Add(max(scanPause, 4*time.Since(begun)))
	}
	return nil
}

// page looks at the next messages of a stream.
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

// lookFor looks for messages to people who have begun to count.
func (l *lane) lookFor(q *store.Snap, key scanKey, s *scan) error {
	stmt := sqlScanRun
	if key.run == 0 {
		stmt = sqlScanOne
	}
	n := min(len(s.people), chunk)
	for _, root := range s.people[:n] {
		rows, err := store.All[scanned](q, stmt, key.stream, root, key.run, store.Millis(q.Now()))
		if err != nil {
			return err
		}
		for _, r := range rows {
			s.found = append(s.found, r.id)
		}
	}
	s.people = s.people[n:]
	return nil
}

// scanKey is the stream of a scan.
type scanKey struct{ stream, run int64 }

// free returns at most n messages of a stream that wait for nobody's leaving, or
// else how long until it is known whether there are any.
func (l *lane) free(o gate.Open, n int, now time.Time) (ids []int64, wait time.Duration) {
	key := scanKey{o.ID, o.Run}
	s := l.scans[key]
	if s != nil && s.done {
		roots, added, ok := l.d.reach.since(s.added)
		s.people, s.added = append(s.people, roots...), added
		switch {
		case !ok || now.Sub(s.began) >= scanAgain || s.queued != o.Queued && s.notBefore > 0:
			s = nil // from the beginning
		case s.queued != o.Queued:
			s.done, s.queued = false, o.Queued // what came stands behind
		}
	}
	if s == nil {
		_, added, _ := l.d.reach.since(0)
		s = &scan{began: now, next: now, queued: o.Queued, added: added}
		l.scans[key] = s
	}
	switch {
	case len(s.found) > 0:
		n = min(n, len(s.found))
		ids, s.found = s.found[:n:n], s.found[n:]
		return ids, max(s.next.Sub(now), time.Millisecond)
	case s.done && len(s.people) == 0:
		return nil, idle
	default:
		return nil, max(s.next.Sub(now), time.Millisecond)
	}
}

// notAll has the messages looked for again that were found and could not leave.
func (l *lane) notAll(o gate.Open) { delete(l.scans, scanKey{o.ID, o.Run}) }
