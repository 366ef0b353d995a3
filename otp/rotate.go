package otp

import (
	"fmt"

	"janela/internal/access"
	"janela/internal/store"
)

// RotateKey puts a new key on top of the key file, as Keyring.Rotate does, and
// notes it. The file is replaced before the transaction commits: an error
// afterwards leaves the new key in use, which harms nothing.
func (o *OTP) RotateKey(tx *store.Tx, actor string) (kid string, err error) {
	before := o.deps.Keys.newest()
	if kid, err = o.deps.Keys.Rotate(); err != nil {
		return "", fmt.Errorf("rotate the key of codes: %w", err)
	}
	return kid, access.Note(tx, access.Entry{Actor: actor, Command: "otp rotate-key", Object: "key file", Before: before, After: kid})
}
