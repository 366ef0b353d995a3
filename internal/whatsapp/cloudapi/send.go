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
	ctx, cancel := context.WithTimeout(ctx, c.sendTimeout)
	defer cancel()
	var answer Answer
	err := c.post(ctx, "send", c.base+"/"+url.PathEscape(numberID)+edge, "application/json", int64(len(body)), body, func(b []byte) (ok bool) {
		answer, ok = scanAnswer(b)
		return ok
	}, func(b []byte) (err error) {
		answer, err = parseAnswer(b)
		return err
	})
	return answer, err
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
// retryablehttp.ReaderFunc. quick reads the body of a 2xx answer that has the
// usual form, in which no error can stand; decode any other, and its error makes
// the outcome unknown.
func (c *Client) post(ctx context.Context, op, address, contentType string, size int64, body any, quick func([]byte) bool, decode func([]byte) error) error {
	header, token, err := c.bearer()
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassHaltAuth, NotSent: true, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: err}
	}
	ctx, w := watch(ctx, c.honest)
	defer w.close()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	// net/http writes a request again by itself (HTTP/2 stream resets) when it
	// can get the body again. Only retryUnsent may decide that.
	req.GetBody = nil
	req.ContentLength = size
	req.Header.Set("Authorization", header)
	req.Header.Set("Content-Type", contentType)

	resp, err := c.sends.Do(req)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		e := &Error{Op: op, Class: whatsapp.ClassUnknown, Err: scrubbed{withoutURL(err), token}}
		if w.notSent() {
			e.NotSent, e.Class = true, whatsapp.ClassRetry
		}
		return e
	}
	defer resp.Body.Close()
	if err := failpoint.Err("cloudapi.headers_read"); err != nil {
		return &Error{Op: op, Class: whatsapp.ClassUnknown, Err: err}
	}

	buf := answers.Get().(*bytes.Buffer)
	defer answers.Put(buf)
	buf.Reset()
	_, readErr := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer))
	if err := failpoint.Err("cloudapi.body_read"); err != nil {
		return &Error{Op: op, Class: whatsapp.ClassUnknown, Err: err}
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 && quick != nil && quick(buf.Bytes()) {
		return nil
	}
	if e := refusal(op, resp, buf.Bytes(), token); e != nil {
		return e
	}
	if err := decode(buf.Bytes()); err != nil {
		if readErr != nil {
			err = fmt.Errorf("the answer broke off: %w", readErr)
		}
		return &Error{Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassUnknown, Err: scrubbed{err, token}}
	}
	return nil
}
