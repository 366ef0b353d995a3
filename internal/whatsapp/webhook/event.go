package webhook

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"janela/internal/whatsapp"
)

// Event is one thing that happened. The set is closed: the types of this
// package and no others.
type Event interface{ event() }

// Statuses of a message. A status this version does not know is StatusOther.
const (
	StatusSent      = "sent"
	StatusDelivered = "delivered"
	StatusRead      = "read"
	StatusPlayed    = "played"
	StatusFailed    = "failed"
	StatusOther     = "other"
)

// Status is news of a message that a business number sent, ours or another
// app's. Order is not guaranteed, and each may come several times.
type Status struct {
	WABA            string
	NumberID        string
	Wamid           whatsapp.Wamid
	Status          string
	At              time.Time // Meta's, in seconds, UTC; zero when not told
	RecipientID     whatsapp.WaID
	RecipientUserID whatsapp.BSUID
	ParentUserID    whatsapp.BSUID
	Callback        string // biz_opaque_callback_data, as we sent it
	IdentityKeyHash string
	Conversation    *Conversation // nil in most statuses from v24 on
	Pricing         *Pricing      // nil on all but sent and one of delivered and read
	Errors          []ErrorDetail // with failed
}

// Conversation is Meta's own view, verbatim; ours is computed elsewhere.
type Conversation struct {
	ID        string
	Origin    string    // marketing, utility, referral_conversion, …
	ExpiresAt time.Time // with sent only; zero otherwise
}

// Pricing is how Meta billed the message, verbatim; values pass through as they
// are, unknown ones too.
type Pricing struct {
	Model    string // CBP or PMP
	Type     string // regular, free_customer_service, free_entry_point, …
	Category string
	Billable *bool // announced for removal; nil when absent
}

// ErrorDetail is one error of a callback. Code is Meta's, for
// whatsapp.LookupCode(Code, 0); -1 when Meta named none.
type ErrorDetail struct {
	Code    int
	Title   string
	Message string
	Details string
}

// Inbound is a message or an action of a person. What it carries is personal;
// printing it prints its kind only.
type Inbound struct {
	WABA         string
	NumberID     string
	DisplayPhone string // of the business; may lack digits, so never a key
	Wamid        whatsapp.Wamid
	From         whatsapp.WaID  // "" for a person who hides the number
	UserID       whatsapp.BSUID // "" before user ids existed
	ParentUserID whatsapp.BSUID
	Username     string // without @
	ProfileName  string
	At           time.Time
	Type         string // text, button, interactive, image, …, unsupported; Meta's word
	Text         string // the text, a button's or reply's title, or a caption
	Button       *Button
	Interactive  *Interactive
	ReplyTo      whatsapp.Wamid // the message this one answers; may be ours
	Referral     *Referral      // came from an advertisement
	Reaction     *Reaction
	System       *System
	Errors       []ErrorDetail // with unsupported
	Raw          json.RawMessage
}

// Button is a tap on a template's quick reply.
type Button struct{ Payload, Text string }

// Interactive is an answer to an interactive message.
type Interactive struct {
	Kind  string // button_reply, list_reply, nfm_reply, …
	ID    string
	Title string
}

// Referral is the advertisement or post that brought the person: the condition
// of a free entry point.
type Referral struct {
	SourceURL, SourceID, SourceType, Headline, ClickID string
}

// Reaction is an emoji on a message; "" takes it away.
type Reaction struct {
	Wamid whatsapp.Wamid
	Emoji string
}

// System tells that a person's identity changed.
type System struct {
	Kind         string // user_changed_number, user_changed_user_id, customer_identity_changed
	NewWaID      whatsapp.WaID
	UserID       whatsapp.BSUID
	ParentUserID whatsapp.BSUID
}

// OpensWindow tells whether the message opens or renews the 24 hours in which
// free-form text may be sent. Meta says of a person's messages that they do;
// of reactions, edits, revocations and greetings requests it says nothing, so
// they are not relied upon.
func (m Inbound) OpensWindow() bool {
	switch m.Type {
	case "", "system", "reaction", "edit", "revoke", "request_welcome":
		return false
	default: // unsupported too: the person did write something
		return true
	}
}

// Preference is a person's choice in WhatsApp itself. Stop is an opt-out at
// once; resume only lifts Meta's own block and grants nothing.
type Preference struct {
	WABA         string
	NumberID     string
	WaID         whatsapp.WaID
	UserID       whatsapp.BSUID
	ParentUserID whatsapp.BSUID
	Category     string // marketing_messages
	Value        string // stop or resume
	Detail       string
	At           time.Time
}

// UserIDUpdate tells that a person got a new user id, with a new phone.
type UserIDUpdate struct {
	WABA           string
	NumberID       string
	WaID           whatsapp.WaID
	Previous       whatsapp.BSUID
	Current        whatsapp.BSUID
	PreviousParent whatsapp.BSUID
	CurrentParent  whatsapp.BSUID
	At             time.Time
}

// AccountError is a fault of the account or app that came where messages come.
type AccountError struct {
	WABA     string
	NumberID string
	Errors   []ErrorDetail
}

// Unknown stands for an element that this version does not know, or could not
// read. Count it; never refuse the callback for it.
type Unknown struct {
	WABA     string
	NumberID string
	Field    string // Meta's field, bounded; "" when even that is missing
	Reason   string // never content
}

func (Status) event()       {}
func (Inbound) event()      {}
func (Preference) event()   {}
func (UserIDUpdate) event() {}
func (AccountError) event() {}
func (Unknown) event()      {}

// String names kind and masked ids, never content.
func (m Inbound) String() string {
	return fmt.Sprintf("inbound %s %v from %v %v", m.Type, m.Wamid, m.From, m.UserID)
}

// Format makes every fmt verb print the masked form.
func (m Inbound) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(m.String())) }

// LogValue makes slog print the masked form.
func (m Inbound) LogValue() slog.Value { return slog.StringValue(m.String()) }
