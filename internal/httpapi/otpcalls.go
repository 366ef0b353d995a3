package httpapi

import (
	"net/http"

	"janela/internal/store"
	"janela/otp"
)

// request asks for a code: POST /v1/otp. It is answered when the message is
// durable.
func (c *call) request() (answer, error) {
	return c.send("otp", func(body []byte) (sending, error) {
		in, err := readRequest(body)
		if err != nil {
			return nil, err
		}
		return c.otp.Prepare(c.caller(), in), nil
	})
}

// resend asks for another message: POST /v1/otp/{id}/resend.
func (c *call) resend(id string) (answer, error) {
	return c.send("resend "+id, func(body []byte) (sending, error) {
		in, err := readResend(body)
		return func(tx *store.Tx) (otp.View, error) { return c.otp.Resend(tx, c.caller(), id, in) }, err
	})
}

// sending queues a message.
type sending func(tx *store.Tx) (otp.View, error)

// send queues what a body asks for. A caller who would rather wait learns
// whether Meta took the message; it stays queued, whatever comes in between.
func (c *call) send(route string, read func(body []byte) (sending, error)) (a answer, err error) {
	var v otp.View
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat(route, body, true)
		if err != nil {
			return err
		}
		do, err := read(body)
		if err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepChange, at: challengePath, do: func(tx *store.Tx) (answer, []byte, error) {
			var err error
			if v, err = do(tx); err != nil {
				return answer{}, nil, err
			}
			body := line(briefReply(v))
			return answer{status: http.StatusAccepted, body: body, location: challengePath(v.ID)}, body, nil
		}})
		return err
	})
	if err != nil || a.replayed {
		return a, err
	}
	if wait := c.preferred(maxWaitSend); wait > 0 {
		_ = c.await(v.ID, wait, func(v otp.View) bool {
			a.body = line(briefReply(v))
			return v.Delivery.State != "queued" || v.State != otp.Pending
		}) // without another look, the first answer stands
	}
	return a, nil
}

// cancel ends a challenge: POST /v1/otp/{id}/cancel.
func (c *call) cancel(id string) (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat("cancel "+id, body, false)
		if err != nil {
			return err
		}
		if err := readNothing(body); err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepChange, do: func(tx *store.Tx) (answer, []byte, error) {
			v, err := c.otp.Cancel(tx, c.caller(), id)
			if err != nil {
				return answer{}, nil, err
			}
			body := line(briefReply(v))
			return answer{status: http.StatusOK, body: body}, body, nil
		}})
		return err
	})
	return a, err
}

// verify tries a code: POST /v1/otp/{id}/verify. What a guess cost is committed
// with its answer.
func (c *call) verify(id string) (a answer, err error) {
	err = c.withBody(func(body []byte) error {
		rep, err := c.repeat("verify "+id, body, false)
		if err != nil {
			return err
		}
		in, err := readProof(body)
		if err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepGuess, do: func(tx *store.Tx) (answer, []byte, error) {
			v, err := c.otp.Verify(tx, c.caller(), id, in)
			if err != nil {
				return answer{}, nil, err
			}
			a, keep := c.judged(v)
			return a, keep, nil
		}, remade: func(tx *store.Tx) (answer, error) {
			v, err := c.otp.VerifiedNumber(tx, c.caller(), id)
			if err != nil {
				return answer{}, err
			}
			a, _ := c.judged(v)
			return a, nil
		}})
		return err
	})
	return a, err
}

// judged is the answer to a guess, and what of it is kept for repeats: of a
// success nothing but that it was one, because the whole number is made again
// from its own ledger.
func (c *call) judged(v otp.Verdict) (a answer, keep []byte) {
	if v.Denied == nil {
		return answer{status: http.StatusOK, body: line(verifiedReply(v))}, []byte{}
	}
	a = c.problem(v.Denied).answer()
	if v.Denied.Code == otp.CodeInvalidCode || v.Denied.Code == otp.CodeGone { // counted, or beyond repair
		keep = a.body
	}
	return a, keep
}

func challengePath(id string) string { return "/v1/otp/" + id }
