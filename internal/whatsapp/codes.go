package whatsapp

import (
	"sort"
	"strings"
	"time"
)

// Class says at which scope an error of Meta acts and what kind of reaction it
// needs. The text is the same in database, metrics, API and docs.
type Class string

// The classes.
const (
	ClassRetry             Class = "retry"              // the same message again, with back-off, until its deadline
	ClassPair              Class = "pair"               // too fast for this (number, recipient) pair; the others flow on
	ClassThrottleNumber    Class = "throttle_number"    // the sending number is over its throughput; slow it down
	ClassThrottleApp       Class = "throttle_app"       // the app or account called too often; all its calls wait
	ClassWaitNumber        Class = "wait_number"        // the number cannot send for a moment; all of it waits for RetryAfter
	ClassPauseNumber       Class = "pause_number"       // business-initiated traffic of the number stops
	ClassPauseTemplate     Class = "pause_template"     // the template stops everywhere until it is approved again
	ClassWaitTemplate      Class = "wait_template"      // Meta is not ready with the template: it stops for RetryAfter
	ClassStopCampaign      Class = "stop_campaign"      // a fault of configuration: every message of the stream would fail
	ClassDrop              Class = "drop"               // final for this message; go on
	ClassBarCountry        Class = "bar_country"        // the account may not message people in this country
	ClassDropDefer         Class = "drop_defer"         // final; this person gets no marketing before RetryAfter
	ClassSuppressMarketing Class = "suppress_marketing" // the person stopped marketing at Meta; record the opt-out
	ClassSuppressUser      Class = "suppress_user"      // not reachable on WhatsApp; suppress after several of them
	ClassMedia             Class = "media"              // Meta cannot use the file: it is uploaded again, and tried a few times
	ClassWindow            Class = "window"             // free-form text outside the service window
	ClassHaltAuth          Class = "halt_auth"          // token or permission: all sending with it stops
	ClassHaltAccount       Class = "halt_account"       // the business account is blocked
	ClassHaltNumber        Class = "halt_number"        // the sending number cannot send
	ClassHaltPayment       Class = "halt_payment"       // no payment: all billed sending stops
	ClassUnknown           Class = "unknown"            // nobody knows whether the message was taken
)

// Acceptance says whether Meta may have taken the message although it answered
// with the error.
type Acceptance int

// AcceptedNo proves that the message was not sent; AcceptedMaybe proves
// nothing, so the message is not sent again blindly.
const (
	AcceptedNo Acceptance = iota
	AcceptedMaybe
)

// String returns "no" or "maybe".
func (a Acceptance) String() string {
	if a == AcceptedNo {
		return "no"
	}
	return "maybe"
}

// Code is what we know of one of Meta's error codes (Meta: Cloud API error
// codes).
type Code struct {
	Code       int
	Last       int // last code of a range that means the same, else 0
	Class      Class
	Accepted   Acceptance
	RetryAfter time.Duration // wait before the next try at the class's scope; 0 lets the back-off decide
	Meaning    string        // what Meta says, in plain words
	Do         string        // what the operator should do
	Documented bool          // it stands in the table
	// InARow: so many of it in a row to messages of one campaign are no matter of
	// single messages any more; they stop the campaign. 0: never.
	InARow int
}

// LookupCode returns what a code means. It is the one classifier for answers to
// requests and for statuses by webhook, where httpStatus is 0. Of a documented
// code the HTTP status is ignored: Meta sends throttles as 400 and permanent
// faults as 500. An undocumented code is a refusal of this message when the
// status is 4xx or 0, and unknown otherwise.
func LookupCode(code, httpStatus int) Code {
	i := sort.Search(len(codeTable), func(i int) bool { return max(codeTable[i].Code, codeTable[i].Last) >= code })
	if i < len(codeTable) && codeTable[i].Code <= code {
		c := codeTable[i]
		c.Code, c.Last = code, 0
		return c
	}
	if httpStatus == 0 || httpStatus >= 400 && httpStatus < 500 {
		return Code{
			Code: code, Class: ClassDrop, Accepted: AcceptedNo, InARow: 5,
			Meaning: "Meta refused the message with a code that its documentation did not list when this version was made",
			Do:      "look the code up on Meta's page of error codes",
		}
	}
	return Code{
		Code: code, Class: ClassUnknown, Accepted: AcceptedMaybe,
		Meaning: "Meta failed with a code that its documentation did not list when this version was made",
		Do:      "look the code up on Meta's page of error codes; the message may have been sent and is not sent again",
	}
}

// Said sharpens what a code means by Meta's words beside it, where one code
// stands for faults that act at different scopes. The words are Meta's own, as
// programs that meet them quote them; without them the code stands as it is.
func (c Code) Said(words string) Code {
	low := strings.ToLower(words)
	switch {
	case (c.Code == 100 || c.Code == 131009) && strings.Contains(strings.ReplaceAll(low, "recipient_type", ""), "recipient"):
		c.Class, c.InARow, c.Meaning, c.Do = ClassDrop, 5, "Meta does not take the recipient", "take the recipient out of the audience, or correct it"
	case (c.Code == 100 || c.Code == 131009) && strings.Contains(words, "media attachment ID"):
		c.Class, c.Meaning, c.Do = ClassMedia, "Meta does not know the file's id (any more)", "nothing; the file is uploaded again"
	case c.Code == 131009 && strings.Contains(strings.ToLower(words), "sync"):
		syncing := LookupCode(134101, 0)
		c.Class, c.RetryAfter, c.Meaning, c.Do = syncing.Class, syncing.RetryAfter, syncing.Meaning, syncing.Do
	}
	return c
}

// Codes returns the whole table in ascending order, for documentation.
func Codes() []Code { return append([]Code(nil), codeTable...) }
