package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// Codes of the public face that do not come from the otp room.
const (
	codeUnauthorized  = "unauthorized"
	codeScope         = "scope"
	codeBrowser       = "browser-refused"
	codeMethod        = "method-not-allowed"
	codeForgotten     = "forgotten"
	codeKeyMissing    = "idempotency-key-missing"
	codeKeyReused     = "idempotency-key-reused"
	codeKeyInFlight   = "idempotency-in-flight"
	codeRecipient     = "invalid-recipient"
	codeParameters    = "invalid-parameters"
	codeTemplate      = "template-unknown"
	codeTemplateNow   = "template-unavailable"
	codeCategory      = "category-refused"
	codeWindow        = "service_window_closed" // the gate's own word
	codeUndeliverable = "undeliverable"
	codeCapped        = "marketing-capped"

	codeRule       = "rule-refused"
	codeMeta       = "meta-failed"
	codeUpload     = "upload-malformed"
	codeDefinition = "definition-refused"
)

// publicCodes are every code that the public face answers with, its status and
// what it means in words that never change.
var publicCodes = map[string]struct {
	status int
	title  string
}{
	otp.CodeMalformed:        {http.StatusBadRequest, "the request is not valid"},
	otp.CodeInvalidPhone:     {http.StatusBadRequest, "codes cannot go to this phone number"},
	otp.CodeInvalidFormat:    {http.StatusBadRequest, "this is no code; the guess was not counted"},
	codeRecipient:            {http.StatusBadRequest, "this is nobody to whom anything can be sent"},
	codeParameters:           {http.StatusBadRequest, "the values do not fit the template"},
	codeTemplate:             {http.StatusUnprocessableEntity, "there is no such template"},
	codeTemplateNow:          {http.StatusServiceUnavailable, "this template cannot be sent now"},
	codeCategory:             {http.StatusForbidden, "messages of this category are not sent here"},
	codeWindow:               {http.StatusConflict, "the service window is closed"},
	codeUndeliverable:        {http.StatusConflict, "this person cannot be reached on WhatsApp"},
	codeCapped:               {http.StatusConflict, "Meta delivers no marketing to this person at present"},
	codeKeyMissing:           {http.StatusBadRequest, "an Idempotency-Key is needed"},
	codeUnauthorized:         {http.StatusUnauthorized, "a valid API key is needed"},
	codeScope:                {http.StatusForbidden, "this API key may not do that"},
	codeForgotten:            {http.StatusForbidden, "this person asked to be forgotten"},
	codeBrowser:              {http.StatusForbidden, "this is for servers, not for browsers"},
	otp.CodePurpose:          {http.StatusForbidden, "codes of this purpose may not be asked for"},
	otp.CodeCountry:          {http.StatusForbidden, "nothing may be sent to this country"},
	otp.CodeNoOptIn:          {http.StatusForbidden, "this person has not agreed to get this"},
	otp.CodeOptedOut:         {http.StatusForbidden, "this person does not want to get this"},
	otp.CodeIdentityChanged:  {http.StatusForbidden, "another person or device may have this number now"},
	otp.CodeFallbackDisabled: {http.StatusForbidden, "no other channel is configured"},
	otp.CodeNotFound:         {http.StatusNotFound, "there is no such thing"},
	codeMethod:               {http.StatusMethodNotAllowed, "this method is not for this address"},
	codeKeyInFlight:          {http.StatusConflict, "the first request with this Idempotency-Key has not ended"},
	otp.CodeGone:             {http.StatusGone, "this challenge has ended"},
	otp.CodeInvalidCode:      {http.StatusUnprocessableEntity, "the code is wrong"},
	codeKeyReused:            {http.StatusUnprocessableEntity, "this Idempotency-Key was used for another request"},
	otp.CodeRateLimited:      {http.StatusTooManyRequests, "too many requests"},
	otp.CodePhoneLocked:      {http.StatusTooManyRequests, "this phone number is locked"},
	otp.CodePumping:          {http.StatusTooManyRequests, "codes to this range of numbers are stopped"},
	otp.CodeChannel:          {http.StatusServiceUnavailable, "nothing can be sent now"},
	codeRule:                 {http.StatusConflict, "a rule says no"},
	codeMeta:                 {http.StatusBadGateway, "Meta did not answer as it should"},
	codeUpload:               {http.StatusBadRequest, "the upload is not as it should be"},
	codeDefinition:           {http.StatusUnprocessableEntity, "the definition has faults"},
	CodeInternal:             {http.StatusInternalServerError, "something broke"},
}

// publicProblem makes the Problem of a code. detail never repeats anything of
// the request.
func publicProblem(code, detail string) *Problem {
	known, ok := publicCodes[code]
	if !ok {
		code, detail, known = CodeInternal, "", publicCodes[CodeInternal]
	}
	return &Problem{Type: "/problems/" + code, Title: known.title, Status: known.status, Code: code, Detail: detail}
}

func malformed(format string, args ...any) *Problem {
	return publicProblem(otp.CodeMalformed, fmt.Sprintf(format, args...))
}

func noPath() *Problem { return publicProblem(otp.CodeNotFound, "there is nothing at this address") }

// unknownChallenge is the one answer for what never was, what is another
// client's, and what belongs to another session.
func unknownChallenge() *Problem {
	return publicProblem(otp.CodeNotFound, "it is unknown, or not yours, or of another session")
}

// problem says what an error means to the one who asked. Nothing of an error
// that is no answer of the rooms is told.
func (c *call) problem(err error) *Problem {
	var p *Problem
	var d *otp.Denied
	switch {
	case errors.As(err, &p):
	case errors.As(err, &d):
		p = deniedProblem(d)
	case errors.Is(err, access.ErrUnauthorized):
		p = publicProblem(codeUnauthorized, "send Authorization: Bearer with a key that is valid")
		p.challenge = "Bearer"
	case errors.Is(err, access.ErrKeyReused):
		p = publicProblem(codeKeyReused, "its body was another one; take a new key for a new request")
	case store.Passing(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p = publicProblem(otp.CodeChannel, "janela cannot take it at this moment; nothing was done")
		p.RetryAfter = 1
	default:
		p = publicProblem(CodeInternal, "the log says more under this instance; a repeat with the same Idempotency-Key is safe")
	}
	p.Instance = c.id
	return p
}

// deniedProblem turns a no of the otp room into a Problem. Which rule it was is
// not told.
func deniedProblem(d *otp.Denied) *Problem {
	if d.Code == otp.CodeNotFound {
		return unknownChallenge()
	}
	p := publicProblem(d.Code, d.Detail)
	p.Reason, p.Scope, p.RetryAfter = d.Reason, d.Scope, wholeSeconds(d.RetryAfter)
	switch p.Code {
	case otp.CodeGone: // to try again is useless
		p.RetryAfter = 0
	case otp.CodeInvalidCode:
		p.AttemptsLeft = &d.AttemptsLeft
	case otp.CodeChannel:
		p.RetryAfter = max(p.RetryAfter, 1)
	}
	return p
}

// wholeSeconds rounds up, so that who waits that long does not come too early.
func wholeSeconds(d time.Duration) int {
	return int((max(d, 0) + time.Second - 1) / time.Second)
}

// headers sets what a Problem says beside its body.
func (p *Problem) headers(h http.Header) {
	if p.challenge != "" {
		h["Www-Authenticate"] = []string{p.challenge}
	}
	if p.RetryAfter > 0 {
		h["Retry-After"] = seconds(p.RetryAfter)
	}
	if p.policy != "" {
		h["Ratelimit-Policy"] = []string{p.policy}
	}
	if p.Status == http.StatusTooManyRequests && p.Scope != "" && p.RetryAfter > 0 {
		h["Ratelimit"] = []string{fmt.Sprintf(`"%s";r=0;t=%d`, p.Scope, p.RetryAfter)}
	}
}
