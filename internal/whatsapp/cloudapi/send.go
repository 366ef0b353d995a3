package cloudapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"janela/internal/failpoint"
	"janela/internal/whatsapp"
)

// maxAnswer bounds what is read of an answer to a send or an upload; Meta's are
// under 1 KiB.
const maxAnswer = 256 << 10

var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Send posts one message. It returns an Answer only when Meta named the
// message's id; see the package comment for what an error proves.
func (c *Client) Send(ctx context.Context, numberID string, body []byte) (Answer, error) {
	return c.sendTo(ctx, numberID, "/messages", body)
}

// SendMarketing posts one marketing template by the Marketing Messages API. An
// account that is not onboarded to it sends by the Cloud API all the same, unless
// the message's policy is STRICT.
func (c *Client) SendMarketing(ctx context.Context, numberID string, body []byte) (Answer, error) {
	return c.sendTo(ctx, numberID, "/marketing_messages", body)
}

func (c *Client) sendTo(ctx context.Context, numberID, edge string, body []byte) (Answer, error) {
	h, err := c.auth()
	if err != nil {
		return Answer{}, &Error{Op: opSend, Class: whatsapp.ClassHaltAuth, NotSent: true, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, &Error{Op: opSend, Class: whatsapp.ClassRetry, NotSent: true, Err: err}
	}
	u, err := c.door(numberID, edge)
	if err != nil {
		return Answer{}, &Error{Op: opSend, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	var by time.Time
	if l, ok := ctx.Value(leaveByKey{}).(*leaving); ok {
		if by = l.at; ctx == context.Context(l) {
			ctx = l.Context // the same for many messages
		}
	}
	k := c.calls.get(ctx, c.honest)
	k.begin(c.sendTimeout, by)
	if err := k.request(u, h.header(c.honest), body); err != nil {
		k.drop()
		return Answer{}, &Error{Op: opSend, Class: whatsapp.ClassRetry, NotSent: true, Err: err}
	}
	a, whole, err := c.exchange(k, h.token)
	if whole && c.honest && k.over() {
		c.calls.put(k)
	} else {
		k.drop()
	}
	return a, err
}

// exchange makes the request of a call and reads the answer; whole: to its end.
func (c *Client) exchange(k *call, token string) (a Answer, whole bool, err error) {
	resp, err := c.sends.Do(&k.req)
	if err != nil {
		return a, false, unanswered(opSend, resp, err, &k.witness, token)
	}
	defer resp.Body.Close()
	buf := answers.Get().(*bytes.Buffer)
	defer answers.Put(buf)
	buf.Reset()
	k.limit = io.LimitedReader{R: resp.Body, N: maxAnswer}
	readErr, err := readAnswer(opSend, buf, &k.limit)
	k.limit.R = nil
	if err != nil {
		return a, false, err
	}
	whole = readErr == nil && k.limit.N > 0
	// No error can stand in an answer of the usual form.
	if a, ok := scanAnswer(buf.Bytes()); ok && resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return a, whole, nil
	}
	a, err = judgeAnswer(resp, buf.Bytes(), readErr, token)
	return a, whole, err
}

// judgeAnswer reads an answer that is not of the usual form.
func judgeAnswer(resp *http.Response, body []byte, readErr error, token string) (a Answer, err error) {
	err = judge(opSend, resp, body, readErr, token, func(b []byte) (err error) {
		a, err = parseAnswer(b)
		return err
	})
	return a, err
}

// authorization is an access token, and the header of the sends that carry it.
type authorization struct {
	token string
	sends http.Header
}

// header is that of a send. A transport that is net/http's own changes none, so
// that all sends share it.
func (a *authorization) header(honest bool) http.Header {
	if honest {
		return a.sends
	}
	return a.sends.Clone()
}

// auth returns the token of now.
func (c *Client) auth() (*authorization, error) {
	header, token, err := c.bearer()
	if err != nil {
		return nil, err
	}
	if a := c.authorized.Load(); a != nil && a.token == token {
		return a, nil
	}
	a := &authorization{token, http.Header{"Authorization": {header}, "Content-Type": {"application/json"},
		// An answer has 200 bytes: to pack them costs more than it saves.
		"Accept-Encoding": {"identity"}}}
	c.authorized.Store(a)
	return a, nil
}

// door is the address at which a number sends, by edge: where that is "/messages".
type door struct{ number, edge string }

// mostDoors is how many addresses are kept; an account has some numbers.
const mostDoors = 1000

// door returns the address, which nobody changes.
func (c *Client) door(numberID, edge string) (*url.URL, error) {
	at := door{numberID, edge}
	c.doorsMu.Lock()
	defer c.doorsMu.Unlock()
	if u, ok := c.doors[at]; ok {
		return u, nil
	}
	u, err := url.Parse(c.base + "/" + url.PathEscape(numberID) + edge)
	if err != nil {
		return nil, err
	}
	if len(c.doors) >= mostDoors {
		clear(c.doors)
	}
	c.doors[at] = u
	return u, nil
}

// parseAnswer reads an acceptance, however it is written.
func parseAnswer(b []byte) (a Answer, err error) {
	var parsed struct {
		Contacts []struct {
			WaID   text `json:"wa_id"`
			UserID text `json:"user_id"`
		} `json:"contacts"`
		Messages []struct {
			ID     text `json:"id"`
			Status text `json:"message_status"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(b, &parsed); err != nil && !isTypeError(err) {
		return a, errors.New("the answer is no JSON")
	}
	if len(parsed.Messages) == 0 || parsed.Messages[0].ID == "" {
		return a, errors.New("the answer names no message id")
	}
	a.Wamid = whatsapp.Wamid(parsed.Messages[0].ID)
	a.state(string(parsed.Messages[0].Status))
	if len(parsed.Contacts) > 0 {
		a.WaID, a.UserID = whatsapp.WaID(parsed.Contacts[0].WaID), whatsapp.BSUID(parsed.Contacts[0].UserID)
	}
	return a, nil
}

// state takes in what Meta calls message_status.
func (a *Answer) state(s string) {
	a.Held, a.Paused = s == "held_for_quality_assessment", s == "paused"
}

// post makes one request that may have an effect. body is a []byte or a
// retryablehttp.ReaderFunc. decode reads the body of a 2xx answer; its error makes
// the outcome unknown.
func (c *Client) post(ctx context.Context, op, address, contentType string, size int64, body any, decode func([]byte) error) error {
	header, token, err := c.bearer()
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassHaltAuth, NotSent: true, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: err}
	}
	ctx, w := watch(ctx, c.honest)
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	req.GetBody = nil // see call.request
	req.ContentLength = size
	req.Header.Set("Authorization", header)
	req.Header.Set("Content-Type", contentType)

	resp, err := c.sends.Do(req)
	if err != nil {
		return unanswered(op, resp, err, w, token)
	}
	defer resp.Body.Close()
	buf := answers.Get().(*bytes.Buffer)
	defer answers.Put(buf)
	buf.Reset()
	readErr, err := readAnswer(op, buf, io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	return judge(op, resp, buf.Bytes(), readErr, token, decode)
}

// unanswered is the error of a request that has no answer.
func unanswered(op string, resp *http.Response, err error, w *witness, token string) error {
	if resp != nil {
		_ = resp.Body.Close()
	}
	e := &Error{Op: op, Class: whatsapp.ClassUnknown, Err: scrubbed{withoutURL(err), token}}
	if w.notSent() {
		e.NotSent, e.Class = true, whatsapp.ClassRetry
	}
	return e
}

// readAnswer reads an answer's body; broke says why not all of it came.
func readAnswer(op string, buf *bytes.Buffer, body io.Reader) (broke, err error) {
	if err := failpoint.Err("cloudapi.headers_read"); err != nil {
		return nil, &Error{Op: op, Class: whatsapp.ClassUnknown, Err: err}
	}
	_, broke = buf.ReadFrom(body)
	if err := failpoint.Err("cloudapi.body_read"); err != nil {
		return nil, &Error{Op: op, Class: whatsapp.ClassUnknown, Err: err}
	}
	return broke, nil
}

// judge says what an answer proves; nil: that what was asked for was done.
func judge(op string, resp *http.Response, body []byte, broke error, token string, decode func([]byte) error) error {
	if e := refusal(op, resp, body, token); e != nil {
		return e
	}
	if err := decode(body); err != nil {
		if broke != nil {
			err = fmt.Errorf("the answer broke off: %w", broke)
		}
		return &Error{Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassUnknown, Err: scrubbed{err, token}}
	}
	return nil
}
