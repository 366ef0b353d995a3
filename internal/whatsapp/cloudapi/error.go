package cloudapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Error is every failure of a call.
type Error struct {
	Op         string // send, upload media, list templates, …
	Code       int    // Meta's code; 0 also when there was none, then Coded is false
	Coded      bool   // the answer was a Graph error with a code
	HTTPStatus int    // 0 when no answer came
	Class      whatsapp.Class
	NotSent    bool          // proved: the request had no effect
	Message    string        // Meta's words, without token or phone numbers
	Details    string        // Meta's details, likewise
	Trace      string        // fbtrace_id, for Meta's support
	RetryAfter time.Duration // from the answer, else from the code; 0 to 1 h
	Err        error         // what broke, when it was not Meta who refused
}

// Error says what happened and whether it had an effect.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	switch {
	case e.Coded:
		fmt.Fprintf(&b, ": Meta refused with code %d (%s, HTTP %d)", e.Code, e.Class, e.HTTPStatus)
		if e.Message != "" {
			b.WriteString(": " + e.Message)
		}
		if e.Details != "" && e.Details != e.Message {
			b.WriteString(": " + e.Details)
		}
		if e.Trace != "" {
			b.WriteString(" [trace " + e.Trace + "]")
		}
	case e.HTTPStatus != 0:
		fmt.Fprintf(&b, ": no clear answer (HTTP %d)", e.HTTPStatus)
	case e.NotSent:
		b.WriteString(": Meta was not reached")
	default:
		b.WriteString(": no answer")
	}
	if e.Err != nil {
		b.WriteString(": " + scrub(e.Err.Error(), ""))
	}
	if !e.NotSent && e.Op == opSend {
		b.WriteString("; the message may have been sent")
	}
	return b.String()
}

const opSend = "send"

// Unwrap returns what broke, for errors.Is.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what the operator should do.
func (e *Error) Hint() string {
	switch {
	case e.Coded:
		return whatsapp.LookupCode(e.Code, e.HTTPStatus).Do
	case e.Class == whatsapp.ClassHaltAuth:
		return "write a system-user token into the token file"
	case e.HTTPStatus != 0:
		return "look whether base_url points to Meta and whether a proxy stands in between"
	case e.NotSent:
		return "check this machine's network, DNS and clock, and base_url"
	default:
		return "nothing; if Meta took it, its status arrives by webhook"
	}
}

// graphError is the error object of an answer (Meta: Graph API, handling
// errors). subcode, title and HTTP status say nothing that the code does not.
type graphError struct {
	Message text            `json:"message"`
	Type    text            `json:"type"`
	Code    *number         `json:"code"`
	Trace   text            `json:"fbtrace_id"`
	Data    json.RawMessage `json:"error_data"` // an object, or a string in the template calls
	UserMsg text            `json:"error_user_msg"`
}

// parseGraph reads a Graph error. ok is false for a body that is not Meta's: a
// proxy's page, or JSON that merely has an "error" in it.
func parseGraph(body []byte) (g graphError, ok bool) {
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &outer) != nil || len(outer.Error) == 0 || outer.Error[0] != '{' {
		return g, false
	}
	if err := json.Unmarshal(outer.Error, &g); err != nil && !isTypeError(err) {
		return g, false
	}
	return g, g.Code != nil && g.Code.known && (g.Type != "" || g.Trace != "")
}

// details returns Meta's long explanation.
func (g graphError) details() string {
	var object struct {
		Details text `json:"details"`
	}
	if json.Unmarshal(g.Data, &object) == nil && object.Details != "" {
		return string(object.Details)
	}
	var plain string
	if json.Unmarshal(g.Data, &plain) == nil && plain != "" {
		return plain
	}
	return string(g.UserMsg)
}

// refusal judges an answer by its Graph error, else by its status; nil means a
// 2xx without an error in it.
func refusal(op string, resp *http.Response, body []byte, token string) *Error {
	ok := resp.StatusCode >= 200 && resp.StatusCode < 300
	redirect := resp.StatusCode >= 300 && resp.StatusCode < 400
	g, graph := parseGraph(body)
	switch {
	case graph && !redirect:
		code := whatsapp.LookupCode(int(g.Code.value), resp.StatusCode)
		e := &Error{
			Op: op, Code: code.Code, Coded: true, HTTPStatus: resp.StatusCode,
			Class: code.Class, NotSent: code.Accepted == whatsapp.AcceptedNo,
			Message: scrub(string(g.Message), token), Details: scrub(g.details(), token), Trace: scrub(string(g.Trace), token),
			RetryAfter: retryAfter(resp.Header),
		}
		if e.RetryAfter == 0 && e.Class == whatsapp.ClassThrottleApp {
			e.RetryAfter = regainAccess(resp.Header)
		}
		if e.RetryAfter == 0 {
			e.RetryAfter = min(code.RetryAfter, maxRetryAfter)
		}
		return e
	case redirect:
		return &Error{Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassUnknown, Err: errors.New("the server redirects; redirects are not followed")}
	case !ok:
		return &Error{
			Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassUnknown, RetryAfter: retryAfter(resp.Header),
			Err: errors.New("the answer is not in Meta's form"),
		}
	}
	return nil
}

// withoutURL drops the address from net/http's error: a query may hold secrets.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// scrubbed prints an error without what must not be printed, and stays
// transparent for errors.Is.
type scrubbed struct {
	err   error
	token string
}

func (s scrubbed) Error() string { return scrub(s.err.Error(), s.token) }
func (s scrubbed) Unwrap() error { return s.err }
