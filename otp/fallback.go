package otp

import (
	"errors"

	"janela/internal/store"
)

// fallBack hands the challenge's code to another way than WhatsApp. There is
// none in this release: it is always refused.
func (o *OTP) fallBack(_ *store.Tx, _ *challenge, _ string) error {
	return denied(CodeFallbackDisabled, "no fallback is configured; see [otp.fallback] in config.toml")
}

// fallBackAlone falls back without being asked, where the configuration says so.
// That it may not is no error.
func (o *OTP) fallBackAlone(tx *store.Tx, ch *challenge, reason string) error {
	if o.cfg.Fallback.Mode != "on_failed" {
		return nil
	}
	err := o.fallBack(tx, ch, reason)
	if d := (*Denied)(nil); errors.As(err, &d) {
		return nil
	}
	return err
}

// offer says what a caller is told of the fallback: offered, sent or none.
func (o *OTP) offer(_ store.Querier, _ *challenge, _ Delivery) (string, error) { return "none", nil }
