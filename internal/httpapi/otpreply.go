package httpapi

import (
	"time"

	"janela/otp"
)

// codeReply is what a caller learns of a challenge. No reply has a field that
// could hold a code, and only codeVerified has the whole number.
type codeReply struct {
	ID             string            `json:"id"`
	Status         string            `json:"status"`
	TerminalReason string            `json:"terminal_reason,omitempty"`
	Purpose        string            `json:"purpose"`
	ToMasked       string            `json:"to_masked"`
	Channel        string            `json:"channel"`
	Delivery       codeDelivery      `json:"delivery"`
	CreatedAt      string            `json:"created_at,omitempty" doc:"GET only"`
	ExpiresAt      string            `json:"expires_at"`
	ResendAfter    string            `json:"resend_after,omitempty"`
	ResendsLeft    int               `json:"resends_left"`
	AttemptsLeft   *int              `json:"attempts_left,omitempty" doc:"GET only, as what follows"`
	VerifiedAt     string            `json:"verified_at,omitempty"`
	StepUpRequired bool              `json:"step_up_required,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// codeDelivery says how far the latest message came.
type codeDelivery struct {
	State   string            `json:"state"`
	Channel string            `json:"channel,omitempty"`
	At      map[string]string `json:"at,omitempty" doc:"by state"`
	Error   *codeError        `json:"error,omitempty"`
}

// codeError says why a message did not arrive, and whether there is another way.
type codeError struct {
	Code     int    `json:"code,omitempty" doc:"Meta's"`
	Reason   string `json:"reason,omitempty"`
	Fallback string `json:"fallback,omitempty"`
}

// codeVerified is the answer to the right code.
type codeVerified struct {
	ID              string   `json:"id"`
	Status          string   `json:"status"`
	To              string   `json:"to" doc:"in full: it was just proved"`
	Purpose         string   `json:"purpose"`
	VerifiedAt      string   `json:"verified_at"`
	IdentityChanged bool     `json:"identity_changed"`
	StepUpRequired  bool     `json:"step_up_required,omitempty"`
	AMR             []string `json:"amr" doc:"RFC 8176"`
}

// stamp writes an instant as every answer does: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// briefReply is what changes answer. It is kept for repeats, so it holds
// nothing of the caller's metadata, which may name people.
func briefReply(v otp.View) codeReply {
	r := codeReply{ID: v.ID, Status: string(v.State), TerminalReason: v.Reason, Purpose: v.Purpose, ToMasked: v.ToMasked, Channel: v.Channel,
		ExpiresAt: stamp(v.ExpiresAt), ResendAfter: stamp(v.ResendAfter), ResendsLeft: v.ResendsLeft}
	d := v.Delivery
	r.Delivery.State = d.State
	if d.Code != 0 || d.Reason != "" || d.Fallback != "" && d.Fallback != "none" {
		r.Delivery.Error = &codeError{d.Code, d.Reason, d.Fallback}
	}
	return r
}

// fullReply is what GET answers.
func fullReply(v otp.View) codeReply {
	r := briefReply(v)
	r.Delivery.Channel = v.Channel
	if len(v.Delivery.At) > 0 {
		r.Delivery.At = make(map[string]string, len(v.Delivery.At))
		for state, at := range v.Delivery.At {
			r.Delivery.At[state] = stamp(at)
		}
	}
	r.CreatedAt, r.VerifiedAt, r.AttemptsLeft = stamp(v.CreatedAt), stamp(v.VerifiedAt), &v.AttemptsLeft
	r.StepUpRequired, r.Metadata = v.StepUpRequired, v.Metadata
	return r
}

// verifiedReply is the answer to the right code.
func verifiedReply(v otp.Verdict) codeVerified {
	return codeVerified{ID: v.ID, Status: string(otp.Verified), To: v.To, Purpose: v.Purpose, VerifiedAt: stamp(v.VerifiedAt),
		IdentityChanged: v.IdentityChanged, StepUpRequired: v.StepUpRequired, AMR: []string{"otp", v.Channel}}
}
