package intake

import (
	"context"
	"errors"
	"sync"

	"janela/internal/failpoint"
	"janela/internal/hooks"
	"janela/internal/store"
	"janela/internal/whatsapp/webhook"
)

// newcomer is a callback of nothing but statuses that is on its way in.
type newcomer struct {
	body     []byte
	key      string // the hash of its bytes
	pass     hooks.Callback
	statuses []webhook.Event

	lead chan struct{} // closed: it leads the next group
	done chan struct{} // closed: err says what became of it
	err  error
}

// gathering is where callbacks of statuses wait for each other. One of those that
// wait leads: it has the next transaction, and takes along whoever has come until
// that begins. So a commit is paid once for many, and a callback is written once,
// as applied.
type gathering struct {
	sync.Mutex
	led     bool
	waiting []*newcomer
}

const (
	// mostStatuses bounds the statuses of one transaction, as perTurn does.
	mostStatuses = perTurn
	// longest is how long a callback of that many statuses is at most, in bytes.
	longest = 128 << 10
)

var sqlTakeIn = store.SQLMany(`INSERT INTO callbacks (received_at, applied_at, state, id, hash, body) VALUES {rows} ON CONFLICT (hash) DO NOTHING`,
	`(?1, ?1, 'applied', ?r1, ?r2, ?r3)`)

// errApart says that callbacks could not be taken in together, and that each must
// be stored by itself.
var errApart = errors.New("intake: not together")

// statusesOnly reads a callback that can be applied as it comes in. Statuses may:
// in whatever order they are heard, they make the same rows. What people want is
// applied in the order in which it was stored.
func statusesOnly(body []byte) ([]webhook.Event, bool) {
	if len(body) > longest {
		return nil, false
	}
	events, ok := webhook.Statuses(body)
	return events, ok && len(events) <= mostStatuses
}

// takeIn stores and applies a callback in one transaction with others of its
// kind. After an error nothing of it is written.
func (in *Intake) takeIn(n *newcomer) error {
	n.lead, n.done = make(chan struct{}), make(chan struct{})
	g := &in.gather
	g.Lock()
	g.waiting = append(g.waiting, n)
	led := g.led
	g.led = true
	g.Unlock()
	if led {
		select {
		case <-n.done:
			return n.err
		case <-n.lead:
		}
	}
	return in.leads(n)
}

// leads takes in those who wait, first the one who leads.
func (in *Intake) leads(n *newcomer) (err error) {
	var group []*newcomer
	err = errApart // of a panic
	defer func() {
		if len(group) == 0 { // the database was closed before
			group = in.gather.next()
		}
		for _, o := range group {
			if o.err = err; o != n {
				close(o.done)
			}
		}
	}()
	// Nobody who leaves may leave the others behind; and as nobody but Meta waits,
	// codes go before.
	err = in.cfg.DB.Bulk(context.Background(), func(tx *store.Tx) error {
		group = in.gather.next()
		return in.takeInAll(tx, group)
	})
	if err == nil {
		_ = kept() // what was committed stays so
		applied()
		in.Stats.Stored.Add(int64(len(group)))
		in.Stats.Applied.Add(int64(len(group)))
	}
	return err
}

// next returns those who go together now, and lets the first of the others lead.
func (g *gathering) next() []*newcomer {
	g.Lock()
	defer g.Unlock()
	n, size := 0, 0
	for n < len(g.waiting) && (n == 0 || size+len(g.waiting[n].statuses) <= mostStatuses) {
		size += len(g.waiting[n].statuses)
		n++
	}
	group := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; len(g.waiting) > 0 {
		close(g.waiting[0].lead)
	} else {
		g.led, g.waiting = false, nil
	}
	return group
}

func (in *Intake) takeInAll(tx *store.Tx, group []*newcomer) error {
	n, err := tx.ExecMany(sqlTakeIn, len(group), func(i int, args []any) []any {
		return append(args, tx.NewID(), group[i].key, group[i].body)
	}, store.Millis(tx.Now()))
	if err != nil {
		return err
	}
	if n != int64(len(group)) {
		return errApart // one of them came before
	}
	if err := in.heard(tx); err != nil {
		return err
	}
	seen := in.statuses(tx)
	if err := seen.load(group); err != nil {
		return err
	}
	for _, c := range group {
		if err := in.cfg.Hooks.Pass(tx, c.pass); err != nil {
			return err
		}
		for _, e := range c.statuses {
			if err := seen.apply(e.(webhook.Status)); err != nil {
				return err
			}
		}
	}
	if err := seen.write(); err != nil {
		return err
	}
	return errors.Join(keeping(), applying())
}

// The places at which a test breaks what stores and what applies callbacks.
func keeping() error  { return failpoint.Err("intake.keep.commit") }
func kept() error     { return failpoint.Err("intake.keep.committed") }
func applying() error { return failpoint.Err("intake.apply.commit") }
func applied()        { failpoint.Hit("intake.apply.committed") }
