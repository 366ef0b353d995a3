package otp

import "janela/internal/store"

// Cancel ends a challenge that its client does not need any more. Cancelling
// again changes nothing; one that ended otherwise is gone.
func (o *OTP) Cancel(tx *store.Tx, c Caller, id string) (View, error) {
	ch, err := o.find(tx, c, id)
	if err != nil {
		return View{}, err
	}
	switch ch.now(tx.Now()) {
	case Pending:
		if err := o.end(tx, &ch, Cancelled, ""); err != nil {
			return View{}, err
		}
	case Cancelled:
	default:
		return View{}, ch.gone(tx.Now())
	}
	return o.View(tx, c, id)
}
