package console

import "janela/internal/outbox"

// today is the first page.
func (v *visit) today() error {
	status, err := v.api.Status(v.ctx())
	if err != nil {
		return err
	}
	return v.render("today", status)
}

// brakes reports whether a hold is what the emergency brake sets: on everything,
// or on all marketing.
func brakes(scope, target string) bool {
	return scope == string(outbox.ScopeAll) || scope == string(outbox.ScopeCategory) && target == "marketing"
}
