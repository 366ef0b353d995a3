package daemon

import (
	"janela/internal/access"
	"janela/internal/dispatch"
	"janela/internal/store"
)

// What becomes of utility messages of which nothing is heard.
const (
	onPark        = "park"         // they stay as they are
	onResendAfter = "resend_after" // unknown ones go out once more
	onResend      = "resend"       // so do those that outlived their time to live
)

// policy is what the configuration says of them.
func (c *Config) policy() (p dispatch.Policy) {
	if c.WhatsApp.OnUnknown == onResendAfter {
		p.ResendAfter = c.WhatsApp.ResendAfter
	}
	p.ResendExpired = c.WhatsApp.OnTTLExpired == onResend
	return p
}

// note writes into the audit log what the daemon did by itself.
func note(tx *store.Tx, command, object, before, after string) error {
	return access.Note(tx, access.Entry{Actor: "janela", Command: command, Object: object, Before: before, After: after})
}
