package daemon

import (
	"context"

	"janela/internal/account"
	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Health is what /readyz answers.
type Health struct {
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems,omitempty"`
	Alerts   []string `json:"alerts,omitempty"` // somebody should look; work goes on
}

// health asks the database and the holds that stop a whole account.
func (d *Daemon) health(ctx context.Context) Health {
	h := Health{Ready: d.ready.Load()}
	if !h.Ready {
		h.Problems = append(h.Problems, "starting or stopping")
	}
	if problems := guard.Problems(d.db); len(problems) > 0 {
		h.Ready = false
		h.Problems = append(h.Problems, problems...)
	}
	if text := guard.LogAlert(d.db); text != "" {
		h.Alerts = append(h.Alerts, text)
	}
	err := d.db.Read(ctx, func(q *store.Snap) error {
		holds, err := outbox.Holds(q)
		for _, hold := range holds {
			if hold.Scope == outbox.ScopeAccount && hold.Reason == account.ReasonBadToken {
				h.Ready = false
				h.Problems = append(h.Problems, "account "+hold.Target+": "+hold.Detail)
			}
		}
		if err != nil {
			return err
		}
		more, err := d.codeAlerts(q)
		h.Alerts = append(h.Alerts, more...)
		if err != nil {
			return err
		}
		more, err = d.hearingAlerts(q)
		h.Alerts = append(h.Alerts, more...)
		if err != nil {
			return err
		}
		more, err = guard.Alerts(q)
		h.Alerts = append(h.Alerts, more...)
		return err
	})
	if err != nil {
		h.Ready = false
		h.Problems = append(h.Problems, "the database does not answer: "+err.Error())
	}
	h.Alerts = append(h.Alerts, d.backups.Alerts()...)
	h.Alerts = append(h.Alerts, d.waiting()...)
	for _, a := range d.campaigns.Alerts() {
		h.Alerts = append(h.Alerts, a.Text)
	}
	return h
}
