package otp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"janela/internal/hooks"
	"janela/internal/store"
)

// hookTimeout is how long the hook may take to answer: it takes the code, it
// does not wait until an SMS has gone.
const hookTimeout = 5 * time.Second

// hook makes the requests of the fallback.
type hook struct {
	Fallback
	client *http.Client
}

// newHook returns nil where there is no fallback; Check has seen its address and
// secrets.
func newHook(f Fallback, transport http.RoundTripper) *hook {
	if !f.on() {
		return nil
	}
	if transport == nil {
		// Each request has a connection of its own: there are few, and one that the
		// hook has closed meanwhile would leave in doubt what it took.
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10}
	}
	return &hook{f, &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// sign makes the header webhook-signature, with every secret of the file: two
// while one is replaced.
func (f *Fallback) sign(id string, at time.Time, body []byte) (string, error) {
	b, err := f.Secret()
	if err != nil {
		return "", err
	}
	return hooks.Sign(bytes.Fields(b), id, at, body)
}

// fate is what became of a request.
type fate int

const (
	taken    fate = iota // 2xx
	unsent               // there was no connection: the hook surely has nothing
	doubtful             // the hook may have it
	ended                // there is no code to send any more
)

// answered is a code with what became of its request.
type answered struct {
	handover
	fate fate
	what string // in a few words, without the address
}

// passed is the body of a request.
type passed struct {
	ID        string `json:"id"`
	To        string `json:"to"`
	Code      string `json:"code"`
	Purpose   string `json:"purpose"`
	Locale    string `json:"locale"`
	Channel   string `json:"channel"`
	ExpiresAt string `json:"expires_at"`
}

// compose makes the code and the body that carries it. ok is false when there is
// none any more.
func (o *OTP) compose(ctx context.Context, h *handover) (body []byte, at time.Time, ok bool, err error) {
	err = o.deps.DB.Read(ctx, func(q *store.Snap) error {
		at = q.Now()
		ch, found, err := store.Get[challenge](q, sqlChallenge, h.Challenge)
		if err != nil || !found || ch.Decoy || ch.now(at) != Pending || ch.Gen != h.Gen || ch.ExpiresAt-store.Millis(at) <= lastSend.Milliseconds() {
			return err
		}
		if p, _, err := store.Get[phone](q, sqlPhone, ch.PhoneKey); err != nil || p.Changed > 0 {
			return err // somebody else may have the number
		}
		to, found, err := o.address(q, &ch)
		if err != nil || !found {
			return err
		}
		code, found, err := o.code(&ch, to)
		if err != nil || !found {
			return err
		}
		body, err = json.Marshal(passed{ID: ch.ID, To: to.E164(), Code: code.Reveal(), Purpose: ch.Purpose, Locale: ch.Language, Channel: sms,
			ExpiresAt: store.Time(ch.ExpiresAt).Format("2006-01-02T15:04:05.000Z")})
		ok = err == nil
		return err
	})
	return body, at, ok && err == nil, err
}

// pass makes one request. A stop of the daemon does not break it off.
func (o *OTP) pass(ctx context.Context, h handover) answered {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookTimeout)
	defer cancel()
	a := answered{handover: h}
	hook := o.hook()
	body, at, ok, err := o.compose(ctx, &h)
	switch {
	case hook == nil: // it was taken out of the configuration since
		a.fate, a.what = unsent, "no fallback is configured any more"
		return a
	case err != nil:
		a.fate, a.what = unsent, "the code could not be made"
		return a
	case !ok:
		a.fate = ended
		return a
	}
	a.fate, a.what = hook.post(ctx, h.webhookID(), at, body)
	return a
}

func (h *hook) post(ctx context.Context, id string, at time.Time, body []byte) (fate, string) {
	signature, err := h.sign(id, at, body)
	if err != nil {
		return unsent, "no secret to sign with"
	}
	var connected atomic.Bool
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return unsent, "the address cannot be used"
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "janela")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("Webhook-Signature", signature)
	resp, err := h.client.Do(req)
	switch {
	case err != nil && connected.Load():
		return doubtful, hooks.Failure(err)
	case err != nil:
		return unsent, hooks.Failure(err)
	}
	_ = resp.Body.Close() // what it says does not matter
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return doubtful, status + strconv.Itoa(resp.StatusCode)
	}
	return taken, ""
}
