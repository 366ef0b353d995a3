package hooks

import (
	"time"

	"janela/internal/store"
)

// result is what became of a request.
type result struct {
	row     delivery
	verdict verdict
	failure string        // in a few words, without address and secret
	asked   time.Duration // the target's Retry-After
}

// settled is what a turn's answers came to.
type settled struct {
	health          health
	bytes           int64
	arrived, failed int
	gone            bool
	failure         string // the last one
}

var (
	sqlAgain = store.SQL(`UPDATE hook_deliveries SET state = 'queued', failing_since = ?3, failure = ?4, not_before = ?5, key = ?6
		WHERE id = ?1 AND state = 'sending' AND attempt = ?2`)
	sqlUnsent = store.SQL(`UPDATE hook_deliveries SET state = 'queued' WHERE id = ?1 AND state = 'sending' AND attempt = ?2`)
	sqlGone   = store.SQL(`UPDATE hook_targets SET state = 'paused', reason = 'gone', actor = '', since = ?2
		WHERE name = ?1 AND state = 'active'`)
)

// settle writes down what became of requests.
func (w *worker) settle(tx *store.Tx, results []result) (settled, error) {
	s := settled{health: w.health}
	for i := range results {
		r := &results[i]
		s.bytes += r.row.bytes
		var err error
		switch r.verdict {
		case arrived:
			s.health.reset()
			s.arrived++
			err = w.finish(tx, r)
		case interrupted:
			_, err = tx.Exec(sqlUnsent, r.row.id, r.row.attempt)
		case gone:
			s.gone = true
			if _, err = tx.Exec(sqlGone, w.target().Name, store.Millis(tx.Now())); err == nil {
				err = w.again(tx, r, &s)
			}
		default:
			s.health.failure(tx.Now(), r.asked, w.target().Mode.probe(), random())
			err = w.again(tx, r, &s)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (w *worker) finish(tx *store.Tx, r *result) error {
	ok, err := remove(tx, &r.row, sqlArrived)
	if err != nil || !ok {
		return err
	}
	return promote(tx, w.target().Name, r.row.key)
}

// again queues a delivery for another request. Whether its time is over the next
// claim, or the sweep, will see.
func (w *worker) again(tx *store.Tx, r *result, s *settled) error {
	now := tx.Now()
	s.failed++
	s.failure = r.failure
	since, key, pause := r.row.failingSince, r.row.key, time.Duration(0) // the target's own pause decides
	if r.verdict == failed {
		if since == 0 {
			since = store.Millis(now)
		}
		failing, patience := now.Sub(store.Time(since)), w.target().Mode.patience()
		pause = backoff(failing, s.health.down(), random())
		if failing >= patience {
			key = "" // steps aside
		} else {
			pause = min(pause, patience-failing)
		}
	}
	if r.verdict == away && !s.health.down() {
		pause = minPause
	}
	n, err := tx.Exec(sqlAgain, r.row.id, r.row.attempt, since, r.failure, store.Millis(now.Add(pause)), key)
	if err != nil || n == 0 || key == r.row.key {
		return err
	}
	return promote(tx, w.target().Name, r.row.key)
}
