package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"janela/campaigns"
	"janela/internal/store"
	"janela/optin"
)

// Problem is an answer that is no success (RFC 9457, with a code and a hint).
// Code is stable: programs may decide by it.
type Problem struct {
	Type   string `json:"type,omitempty" doc:"a reference that names the code, of the public face"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code"`
	Hint   string `json:"hint,omitempty" doc:"what to do next"`

	// Of the public face only.
	ClosedAt     string  `json:"closed_at,omitempty" doc:"when the service window closed, or closes"`
	Instance     string  `json:"instance,omitempty" doc:"the request's id, as in X-Request-Id and the log"`
	Reason       string  `json:"reason,omitempty" doc:"how a challenge ended, or what the gate says"`
	Scope        string  `json:"scope,omitempty" doc:"whom a limit is about, coarsely"`
	RetryAfter   int     `json:"retry_after,omitempty" doc:"whole seconds, as in Retry-After; 0: nobody knows, or never"`
	AttemptsLeft *int    `json:"attempts_left,omitempty" doc:"of a wrong code"`
	Faults       []Fault `json:"faults,omitempty" doc:"of an upload: all of them, with line and column"`

	challenge string // WWW-Authenticate
	policy    string // RateLimit-Policy
}

// Error returns title, detail and hint.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Hint != "" {
		text += "\n  " + p.Hint
	}
	return text
}

// Codes of problems that are no reasons of the gate.
const (
	CodeInvalid  = "invalid"      // the request is wrong
	CodeNotFound = "not_found"    // there is no such thing
	CodeRefused  = "refused"      // a rule said no
	CodeDenied   = "denied"       // nobody known is asking
	CodeInternal = "internal"     // something broke
	CodeBusy     = "busy"         // somebody else was first
	CodeMeta     = "meta_failed"  // Meta did not answer as it should
	CodeGone     = "not_answered" // the client got no answer
)

func invalid(format string, args ...any) *Problem {
	return &Problem{Title: "the request is not valid", Status: http.StatusBadRequest, Code: CodeInvalid, Detail: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *Problem {
	return &Problem{Title: "not found", Status: http.StatusNotFound, Code: CodeNotFound, Detail: fmt.Sprintf(format, args...)}
}

func refused(code, format string, args ...any) *Problem {
	return &Problem{Title: "refused", Status: http.StatusConflict, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (p *Problem) hint(format string, args ...any) *Problem {
	p.Hint = fmt.Sprintf(format, args...)
	return p
}

// problemOf says what an error of the rooms means to the one who asked.
func problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, optin.ErrInvalid):
		return invalid("%v", err)
	case errors.Is(err, campaigns.ErrNotFound):
		return notFound("%v", err)
	case errors.Is(err, campaigns.ErrRefused):
		return refused(CodeRefused, "%v", err)
	case errors.Is(err, store.ErrLost):
		return (&Problem{Title: "somebody else was first", Status: http.StatusConflict, Code: CodeBusy}).hint("look again, and repeat the command")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrClosed):
		return (&Problem{Title: "the daemon is stopping, or took too long", Status: http.StatusServiceUnavailable, Code: CodeBusy, Detail: err.Error()}).hint("janela status says whether it runs; then look whether it was done, and repeat the command")
	case store.Unwell(err):
		return (&Problem{Title: "the database cannot be written", Status: http.StatusServiceUnavailable, Code: CodeBusy}).hint("look at the disk and at /readyz; then repeat the command")
	default:
		return (&Problem{Title: "something broke", Status: http.StatusInternalServerError, Code: CodeInternal, Detail: err.Error()}).hint("janela doctor looks what is wrong; the daemon's log says more")
	}
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
