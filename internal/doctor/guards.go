package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
)

var (
	guardsRestored = declare("guards", "restored", FAIL, "{what} stands still: the database is not the one that ran here last", "janela recover shows what is known; janela recover --confirm goes on")
	guardsClock    = declare("guards", "clock", WARN, "{what} stands still because of the clock: {detail}", "correct the clock, and wait a minute; where it is right and was wrong before: janela clock --accept")
	guardsBehind   = declare("guards", "clock_behind", WARN, "the clock is {by} behind the database: time stands for janela until it has caught up", "correct the clock; where it is right and was wrong before: janela clock --accept")
	guardsHold     = declare("guards", "hold", WARN, "{what} stands still ({reason}, by {actor}): {detail}", "docs/reasons.md says what ends {reason}; janela holds lists them, janela release lifts one")
)

func (l *look) guards(ctx context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	var o outcome
	err := store.Glance(ctx, l.Config.File(l.Config.Store.Path), func(q *store.Snap) error {
		if by := q.Now().Sub(q.Wall()); by > time.Minute {
			o.found = append(o.found, guardsBehind.of("by", by.Round(time.Second).String()))
		}
		holds, err := outbox.Holds(q)
		for _, h := range holds {
			if h.Over(q.Now()) {
				continue
			}
			f := guardsHold
			switch h.Reason {
			case guard.ReasonRestored:
				f = guardsRestored
			case guard.ReasonClockJump, guard.ReasonClockBehind:
				f = guardsClock
			}
			o.found = append(o.found, f.of("what", strings.TrimSpace(string(h.Scope)+" "+h.Target), "reason", h.Reason, "actor", h.Actor, "detail", h.Detail))
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outcome{ok: "there is no database yet"}
	case err != nil:
		return outcome{skip: err.Error()}
	}
	o.ok = "nothing stands still"
	return o
}
