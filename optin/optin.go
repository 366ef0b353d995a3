package optin

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Source says by what door a consent or a revocation came in.
type Source string

// The sources.
const (
	SourceImport      Source = "import"           // a CSV file
	SourceSandbox     Source = "sandbox"          // made up for the sandbox
	SourceOperator    Source = "operator"         // somebody of the business, by console or command line
	SourceAPI         Source = "api"              // the business's own system
	SourceWhatsApp    Source = "whatsapp"         // the person, in the chat
	SourcePreferences Source = "user_preferences" // the person, in WhatsApp's settings (Meta: Webhooks, user_preferences)
	SourceMeta        Source = "meta"             // Meta refused a message with 131050 (Meta: Cloud API, Error codes)
)

// Sources lists every source.
var Sources = []Source{SourceImport, SourceSandbox, SourceOperator, SourceAPI, SourceWhatsApp, SourcePreferences, SourceMeta}

// Scopes that are not the name of a number or of a business unit.
const (
	ScopeAll  = "*"     // every number
	ScopeMeta = "@meta" // the block in WhatsApp itself; set by Revoke, cleared by Lift
)

// Reasons of a State, and of the messages that are refused or cancelled for it.
const (
	ReasonNoOptIn  = "no_opt_in" // nobody has seen this person consent
	ReasonOptedOut = "opted_out" // the person revoked, and has not consented since
)

// maxAhead is how far in the future a grant may be dated: clocks and time zones
// are wrong by hours, years are mistyped.
const maxAhead = 24 * time.Hour

// earliest is when WhatsApp began: nobody consented to it, or stopped it, before.
var earliest = time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC)

// ErrInvalid says that a grant, revocation or lift cannot be recorded as given.
var ErrInvalid = errors.New("optin")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// Evidence is the proof of an event. It is stored as JSON, never logged.
type Evidence struct {
	Text      string    `json:"text,omitempty"`       // what the person was shown, or wrote
	Version   string    `json:"version,omitempty"`    // which version of that text
	Reference string    `json:"reference,omitempty"`  // where the business keeps its own proof
	Origin    string    `json:"origin,omitempty"`     // where it was collected: site form, shop, call
	URL       string    `json:"url,omitempty"`        // the page on which the person agreed
	IP        string    `json:"ip,omitempty"`         // the address from which
	UserAgent string    `json:"user_agent,omitempty"` // the browser with which
	File      string    `json:"file,omitempty"`       // name of the imported file
	FileHash  string    `json:"file_hash,omitempty"`  // SHA-256 of its bytes, hex
	Line      int       `json:"line,omitempty"`       // line in it, counted from 1
	Message   string    `json:"message,omitempty"`    // our id of the inbound message
	Asked     string    `json:"asked,omitempty"`      // RFC 3339: when the person first agreed, where they had to confirm it
	Confirmed *Evidence `json:"confirmed,omitempty"`  // how they confirmed it
	Via       string    `json:"via,omitempty"`        // why a revocation stands with a contact that did not give it itself
}

// Grant is a person's consent to messages of one category.
type Grant struct {
	Identity whatsapp.Identity
	Category whatsapp.Category // marketing, utility or authentication
	Scope    string            // ScopeAll if empty, the name of a number, or a business unit
	Purpose  string            // what for, in the business's words; kept as proof, decides nothing
	Source   Source
	Actor    string // who recorded it
	Evidence Evidence
	At       time.Time // when the person consented; at most a day ahead
	// AfterForgetting says that the person was asked anew after they had been
	// forgotten; without it, such a grant is ErrForgotten unless it came by
	// WhatsApp.
	AfterForgetting bool
}

// Revocation takes consent back, in one or several categories.
type Revocation struct {
	Identities []whatsapp.Identity // everything by which the person was named
	Categories []whatsapp.Category
	Scope      string // ScopeAll if empty, the name of a number, a business unit, or ScopeMeta
	Source     Source
	Actor      string
	Evidence   Evidence
	At         time.Time
}

// Recorded says what became of a grant.
type Recorded struct {
	Contact int64
	Event   int64 // the event that holds this grant
	Fresh   bool  // it was appended now; false: it was there already
	Changed bool  // the contact could not be written to in this scope before, and can now
	State   State // what holds afterwards, in this scope
}

// Event is one line of the ledger.
type Event struct {
	ID         int64
	Contact    int64
	Category   whatsapp.Category
	Kind       string // "grant" or "revoke"; a grant in ScopeMeta is a lifted block
	Scope      string
	Purpose    string
	Source     Source
	Evidence   Evidence
	Actor      string
	At         time.Time // when the person did it
	RecordedAt time.Time // when it was written down
}

// Kinds of event.
const (
	kindGrant  = "grant"
	kindRevoke = "revoke"
)

// Scopes returns the scopes that cover a number: its name, its business unit if
// it has one, and all.
func Scopes(number, unit string) []string {
	out := []string{ScopeAll}
	for _, s := range []string{number, unit} {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (g *Grant) check(now time.Time) error {
	switch {
	case g.Identity.Zero():
		return invalid("a grant needs the person's identity")
	case !slices.Contains(whatsapp.TemplateCategories, g.Category):
		return invalid("category %q cannot be consented to; write marketing, utility or authentication", g.Category)
	case !slices.Contains(Sources, g.Source):
		return invalid("source %q is not known", g.Source)
	case g.At.IsZero():
		return invalid("a grant needs the time at which the person consented")
	case g.At.Before(earliest):
		return invalid("the consent is dated %s, before WhatsApp existed", g.At.UTC().Format(time.DateOnly))
	case g.At.After(now.Add(maxAhead)):
		return invalid("the consent is dated %s, which is still to come", g.At.UTC().Format(time.RFC3339))
	}
	scope, err := cleanScope(g.Scope)
	if err == nil && scope == ScopeMeta {
		err = invalid("scope %s is Meta's own block; a consent cannot lift it", ScopeMeta)
	}
	g.Scope = scope
	return err
}

func (r *Revocation) check() error {
	if len(r.Identities) == 0 || slices.ContainsFunc(r.Identities, whatsapp.Identity.Zero) {
		return invalid("a revocation needs the person's identity")
	}
	if len(r.Categories) == 0 {
		return invalid("a revocation needs a category")
	}
	for _, c := range r.Categories {
		if !slices.Contains(whatsapp.TemplateCategories, c) {
			return invalid("category %q cannot be revoked; write marketing, utility or authentication", c)
		}
	}
	if !slices.Contains(Sources, r.Source) {
		return invalid("source %q is not known", r.Source)
	}
	if r.At.IsZero() {
		return invalid("a revocation needs the time at which the person revoked")
	}
	var err error
	r.Scope, err = cleanScope(r.Scope)
	return err
}

// cleanScope gives the default and refuses what begins like a reserved scope.
func cleanScope(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return ScopeAll, nil
	}
	if strings.HasPrefix(s, "@") && s != ScopeMeta {
		return "", invalid("scope %q begins with @, which is reserved", s)
	}
	return s, nil
}

func (e Evidence) json() string {
	b, err := json.Marshal(e)
	if err != nil { // strings and an int: cannot happen
		panic(err)
	}
	return string(b)
}
