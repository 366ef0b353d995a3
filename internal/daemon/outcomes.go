package daemon

import (
	"janela/internal/outbox"
	"janela/internal/store"
)

// Outcomes follows up what became of messages, for those who change them in the
// same process beside the daemon's own doors. Call it in the transaction of the
// change.
func (d *Daemon) Outcomes(tx *store.Tx, out []outbox.Outcome) error { return d.outcomes(tx, out) }
