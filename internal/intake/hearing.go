package intake

import (
	"context"
	"fmt"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
)

// reasonSilent is the reason of the hold on marketing while Meta's news of
// messages do not reach us. A STOP would not be heard either.
const reasonSilent = "webhook_silent"

const (
	// lookEvery is how often it is asked whether news are missing.
	lookEvery = 15 * time.Second
	// settleIn is what a process is given after its start before it misses news:
	// while none ran, nobody could hear them.
	settleIn = 2 * time.Minute
	// writeEvery is how coarse heard_at is while nothing waits.
	writeEvery = 10 * time.Second
)

var (
	sqlHearing = store.SQL(`SELECT heard_at, waiting_since, held FROM hearing WHERE id = 1`)
	sqlHeard   = store.SQL(`UPDATE hearing SET heard_at = ?1, waiting_since = 0, held = 0
		WHERE id = 1 AND (waiting_since > 0 OR held = 1 OR heard_at < ?2)`)
	sqlWaiting = store.SQL(`UPDATE hearing SET waiting_since = ?1 WHERE id = 1 AND waiting_since = 0`)
	sqlSilent  = store.SQL(`UPDATE hearing SET held = 1 WHERE id = 1 AND held = 0`)
	sqlAnew    = store.SQL(`UPDATE hearing SET waiting_since = 0, held = 0 WHERE id = 1`)
)

// hearing is the row of that table.
type hearing struct {
	heard, waiting int64
	held           bool
}

// Fields names the places of sqlHearing.
func (h *hearing) Fields() []any { return []any{&h.heard, &h.waiting, &h.held} }

// Accepted notes that Meta took a message: news of it must come. One that Meta
// keeps back to assess its template is not waited for.
func (in *Intake) Accepted(tx *store.Tx, out []outbox.Outcome) error {
	for _, o := range out {
		if o.To == outbox.Accepted {
			_, err := tx.Exec(sqlWaiting, store.Millis(tx.Now()))
			return err
		}
	}
	return nil
}

// isNews says whether an event came by the field that brings what people write.
func isNews(e webhook.Event) bool {
	switch e.(type) {
	case webhook.Status, webhook.Inbound:
		return true
	default:
		return false
	}
}

// hear notes that news of messages came, and lifts the hold that stood because
// none did.
func (in *Intake) hear(tx *store.Tx, group []job) error {
	for _, j := range group {
		for _, e := range j.events {
			if !isNews(e) {
				continue
			}
			return in.heard(tx)
		}
	}
	return nil
}

func (in *Intake) heard(tx *store.Tx) error {
	n, err := tx.Exec(sqlHeard, store.Millis(tx.Now()), store.Millis(tx.Now().Add(-writeEvery)))
	if err != nil || n == 0 {
		return err
	}
	lifted, err := outbox.Lift(tx, outbox.ScopeCategory, string(whatsapp.Marketing), reasonSilent, "meta")
	if lifted > 0 {
		in.cfg.Log.Info("Meta's news of messages arrive again; marketing goes on")
	}
	return err
}

// Watch stops marketing when messages were accepted and no news of any message
// came for too long: then no STOP would be heard either. The first news lifts it.
func (in *Intake) Watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var started time.Time // by the database's clock
	for {
		if err := in.watch(ctx, &started); err != nil && ctx.Err() == nil {
			in.cfg.Log.Error("whether callbacks are missing could not be asked; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watch looks once.
func (in *Intake) watch(ctx context.Context, started *time.Time) error {
	if in.live.Load().Silent <= 0 {
		return nil
	}
	act := false
	err := in.cfg.DB.Read(ctx, func(q *store.Snap) error {
		if started.IsZero() || started.After(q.Now()) { // Now went back: the clock was accepted as it is
			*started = q.Now()
		}
		h, _, err := store.Get[hearing](q, sqlHearing)
		act = h.held || in.silent(h, *started, q.Now())
		return err
	})
	if err != nil || !act {
		return err
	}
	return in.cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return in.hush(tx, *started) })
}

// silent decides. For a short limit the grace after the start is that limit.
func (in *Intake) silent(h hearing, started, now time.Time) bool {
	return h.waiting > 0 && now.Sub(store.Time(h.waiting)) >= in.live.Load().Silent && now.Sub(started) >= min(settleIn, in.live.Load().Silent)
}

// hush places the hold. Where somebody has released it, time runs anew.
func (in *Intake) hush(tx *store.Tx, started time.Time) error {
	h, _, err := store.Get[hearing](tx, sqlHearing)
	if err != nil {
		return err
	}
	if h.held {
		holds, err := outbox.Holds(tx)
		if err != nil {
			return err
		}
		for _, o := range holds {
			if o.Scope == outbox.ScopeCategory && o.Target == string(whatsapp.Marketing) && o.Reason == reasonSilent {
				return nil
			}
		}
		return tx.One(sqlAnew)
	}
	if !in.silent(h, started, tx.Now()) {
		return nil
	}
	if err := tx.One(sqlSilent); err != nil {
		return err
	}
	detail := in.mend(h)
	in.cfg.Log.Error("no news of messages come from Meta: a STOP would not be heard, so marketing stands still", "do", detail)
	_, err = outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCategory, Target: string(whatsapp.Marketing), Reason: reasonSilent, Actor: "janela", Detail: detail})
	return err
}

// mend says what is known, and what to do about it.
func (in *Intake) mend(h hearing) string {
	since := store.Time(h.waiting).Format(time.RFC3339)
	if forged := in.Stats.Forged.Load(); forged > 0 {
		return fmt.Sprintf("messages were accepted since %s and %d callbacks came whose signature is not right: correct app_secret_file", since, forged)
	}
	const subscribe = "see in Meta's app that its callback URL leads here and that the field messages is subscribed, and that the account is subscribed to the app (POST /<account>/subscribed_apps)"
	if h.heard == 0 {
		return "messages were accepted since " + since + ", and no callback about a message has ever come: " + subscribe
	}
	return "messages were accepted since " + since + ", and no callback about a message came since " + store.Time(h.heard).Format(time.RFC3339) + ": " + subscribe
}
