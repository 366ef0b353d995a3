package otp

import (
	"time"
)

// Denied says no to a request for a code, or to a guess. Code is stable and
// public; Scope is coarse on purpose (phone, source, service), the exact Rule
// stands in the audit log and the metrics only.
type Denied struct {
	Code         string
	Reason       string        // of CodeGone: how the challenge ended; of the gate's: its reason
	Scope        string        // of CodeRateLimited and its like
	Rule         string        // which limit; never told outside
	Detail       string        // what to do, in words, for the one who calls; never a number or code
	RetryAfter   time.Duration // 0: retrying does not help, or nobody knows when
	AttemptsLeft int           // of CodeInvalidCode
}

// Codes of a Denied, and the HTTP status of each.
const (
	CodeInvalidPhone     = "invalid-phone"           // 400
	CodeMalformed        = "malformed"               // 400
	CodeInvalidFormat    = "invalid-code-format"     // 400: burns no attempt
	CodePurpose          = "purpose-not-allowed"     // 403
	CodeCountry          = "country-not-allowed"     // 403
	CodeNoOptIn          = "no-opt-in"               // 403: nobody has seen this person agree
	CodeOptedOut         = "opted-out"               // 403: the person refused codes as well
	CodeIdentityChanged  = "identity-changed"        // 403: another device or person has this number now
	CodeNotFound         = "not-found"               // 404: unknown, another client's, or another session's
	CodeGone             = "gone"                    // 410
	CodeInvalidCode      = "invalid-code"            // 422
	CodeRateLimited      = "rate-limited"            // 429
	CodePhoneLocked      = "phone-locked"            // 429
	CodePumping          = "pumping-block"           // 429
	CodeChannel          = "channel-unavailable"     // 503
	CodeFallbackDisabled = "fallback-not-configured" // 403
)

// Error returns code and detail.
func (d *Denied) Error() string {
	text := "otp: " + d.Code
	if d.Reason != "" {
		text += " (" + d.Reason + ")"
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	return text
}
