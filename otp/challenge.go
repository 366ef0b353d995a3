package otp

import (
	"time"
)

// State is where a challenge is in its life. Only a pending one can be verified.
type State string

// The states.
const (
	Pending    State = "pending"
	Verified   State = "verified"
	Expired    State = "expired"
	Cancelled  State = "cancelled"  // by the caller
	Superseded State = "superseded" // by a newer one of the same session, or another one's success
	Exhausted  State = "exhausted"  // too many wrong guesses
	Reported   State = "reported"   // the person says they did not ask for it
	Failed     State = "failed"     // it can never be verified: reason identity_changed
)

// Caller is who asks: an API client. Its key was checked before.
type Caller struct {
	Client    string
	Purposes  []string // that its key may use; empty: all
	Countries []string // that its key may use; empty: those of the configuration
}

// Request asks for a code.
type Request struct {
	To       string            // E.164 with its plus, nothing else
	Purpose  string            // of the configuration
	Locale   string            // pt_BR; "" or an unknown one: the purpose's first language
	ClientIP string            // of the person, as the caller saw it
	Binding  string            // the caller's session, opaque, at most 256 bytes; the same must come with verify
	Trusted  bool              // a device on which this person was verified before
	Decoy    bool              // answer as if it were real, and send nothing
	Device   string            // android, ios, web or ""
	Consent  *Consent          // evidence that the person agreed to get codes; nil: an earlier grant must stand
	Metadata map[string]string // at most 10, returned, never logged
}

// Consent is evidence for a grant in the category authentication.
type Consent struct {
	Source string    // where it was given: login_form, …
	Text   string    // what the person was shown
	At     time.Time // zero: now
}

// View is what a caller may know of a challenge.
type View struct {
	ID             string
	State          State
	Reason         string
	Purpose        string
	ToMasked       string
	Channel        string
	Delivery       Delivery
	CreatedAt      time.Time
	ExpiresAt      time.Time
	ResendAfter    time.Time // when the phone's own limits let another message pass; stays until one is sent
	ResendsLeft    int
	AttemptsLeft   int
	VerifiedAt     time.Time
	StepUpRequired bool
	Metadata       map[string]string
	ChangesAt      time.Time // when it changes next without any commit, as far as is known; zero: not
}

// Delivery is how far the latest message with a code came.
type Delivery struct {
	State    string // queued, accepted, sent, delivered, read, failed, delayed, unknown
	At       map[string]time.Time
	Code     int    // Meta's error code
	Reason   string // of failed: not_on_whatsapp, identity_changed, rate_pair, template_unavailable, expired_ttl, unknown
	Fallback string // offered, sent, none
}

// Proof is a guess.
type Proof struct {
	Code     string // as typed; spaces, hyphens and full-width digits are understood
	Binding  string
	ClientIP string
}

// Verdict is the answer to a guess. When Denied is set, what the guess cost is
// written all the same: the transaction must be committed.
type Verdict struct {
	Denied          *Denied
	ID              string
	To              string // personal: the whole number that was verified
	Purpose         string
	Channel         string // by which the latest code went: whatsapp or sms
	VerifiedAt      time.Time
	IdentityChanged bool
	StepUpRequired  bool
}
