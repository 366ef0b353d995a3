package dossier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// ErrUnknown says that nobody has this contact id.
var ErrUnknown = errors.New("dossier: nobody is known by that")

// File is everything that is known of a person.
type File struct {
	At            time.Time      `json:"at"`
	Contacts      []int64        `json:"contacts"` // found to be one person
	Identities    []Identity     `json:"identities"`
	Standing      []Standing     `json:"standing"` // what holds now, on every number
	Consents      []Consent      `json:"consents"` // the whole ledger, oldest first
	Pending       []Pending      `json:"pending"`  // consents that the person has not confirmed
	Reviews       []Review       `json:"reviews"`
	Messages      []Message      `json:"messages"`
	Conversations []Conversation `json:"conversations"`
	Inbound       []Inbound      `json:"inbound"`
	Codes         []Code         `json:"codes"`
	Setbacks      []Setback      `json:"setbacks"`  // what Meta's errors say of the person
	Callbacks     int            `json:"callbacks"` // Meta's callbacks that name the person, with what they wrote
}

// Identity is a name of the person.
type Identity struct {
	Kind      string    `json:"kind"` // phone, wa_id, bsuid, parent_bsuid
	Value     string    `json:"value"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// Standing is whether messages of a category may be sent from a number.
type Standing struct {
	Number   string `json:"number"`
	Category string `json:"category"`
	State    string `json:"state"` // granted, no_opt_in, opted_out
}

// Consent is one line of the ledger.
type Consent struct {
	Event      int64          `json:"event"`
	Kind       string         `json:"kind"` // grant or revoke
	Category   string         `json:"category"`
	Scope      string         `json:"scope"`
	Purpose    string         `json:"purpose,omitempty"`
	At         time.Time      `json:"at"`
	RecordedAt time.Time      `json:"recorded_at"`
	Through    string         `json:"through"` // the door: api, import, whatsapp, …
	By         string         `json:"by"`
	Evidence   optin.Evidence `json:"evidence"`
}

// Pending is consent that the person has not confirmed (double opt-in).
type Pending struct {
	At        time.Time       `json:"at"`
	ExpiresAt time.Time       `json:"expires_at"`
	Content   json.RawMessage `json:"content"`
}

// Review is a message that may have meant an opt-out.
type Review struct {
	At        time.Time `json:"at"`
	Text      string    `json:"text,omitempty"` // until it is decided
	State     string    `json:"state"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	DecidedBy string    `json:"decided_by,omitempty"`
}

// Message is one that was to go to the person.
type Message struct {
	ID        int64           `json:"id"`
	Number    string          `json:"number"`
	Category  string          `json:"category"`
	Template  string          `json:"template,omitempty"`
	Language  string          `json:"language,omitempty"`
	Campaign  string          `json:"campaign,omitempty"`
	To        string          `json:"to"`
	Content   json.RawMessage `json:"content,omitempty"` // of the template's parameters, or the text; never of a code
	State     string          `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	SentAt    time.Time       `json:"sent_at,omitzero"` // when Meta took it, or when it says that it was sent
	Delivered time.Time       `json:"delivered_at,omitzero"`
	Read      time.Time       `json:"read_at,omitzero"`
	Failed    time.Time       `json:"failed_at,omitzero"`
	Consent   int64           `json:"consent_event,omitempty"` // the grant in force when it was claimed; 0: it was not sent, or needs none
}

// Conversation is 24 hours with the person.
type Conversation struct {
	Number    string    `json:"number"`
	Category  string    `json:"category"`
	Origin    string    `json:"origin"`
	OpenedAt  time.Time `json:"opened_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Out       int       `json:"messages_out"`
	In        int       `json:"messages_in"`
}

// Inbound is that the person wrote, and when; what, stands in Meta's callbacks.
type Inbound struct {
	At      time.Time `json:"at"`
	Number  string    `json:"number"`
	Type    string    `json:"type"`
	Answers int64     `json:"answers,omitempty"` // our message
}

// Code is that a one-time code was asked for.
type Code struct {
	Purpose   string    `json:"purpose"`
	Client    string    `json:"client"`
	State     string    `json:"state"`
	Channel   string    `json:"channel"`
	CreatedAt time.Time `json:"created_at"`
}

// Setback is what Meta's errors say of a contact of the person.
type Setback struct {
	Contact       int64     `json:"contact"`
	CappedUntil   time.Time `json:"capped_until,omitzero"`  // Meta chose not to deliver marketing
	Days          int       `json:"days,omitempty"`         // on which nothing could be delivered
	Undeliverable time.Time `json:"undeliverable,omitzero"` // since when only codes and answers go to them
}

// Build gathers the file of the person whom a contact belongs to. Meta's
// callbacks are looked through after the rest, some at a time.
func Build(ctx context.Context, db *store.DB, contact int64) (File, error) {
	var f File
	err := db.Read(ctx, func(q *store.Snap) error { return f.gather(q, contact) })
	if err != nil {
		return f, err
	}
	f.Callbacks, err = countCallbacks(ctx, db, f.needles())
	return f, err
}

func (f *File) gather(q store.Querier, contact int64) (err error) {
	f.At = q.Now()
	if f.Contacts, err = contacts.Members(q, contact); err != nil {
		return err
	}
	if len(f.Contacts) == 0 {
		return ErrUnknown
	}
	root := f.Contacts[0]
	history, err := optin.History(q, contact)
	if err != nil {
		return err
	}
	f.Consents = []Consent{}
	for _, e := range history {
		f.Consents = append(f.Consents, Consent{e.ID, e.Kind, string(e.Category), e.Scope, e.Purpose, e.At, e.RecordedAt, string(e.Source), e.Actor, e.Evidence})
	}
	numbers, err := numbersOf(q)
	if err != nil {
		return err
	}
	for _, read := range []func() error{
		func() error { f.Identities, err = rowsOf(q, sqlIdentities, root, (*identityRow).of); return err },
		func() error { f.Reviews, err = rowsOf(q, sqlReviews, root, (*reviewRow).of); return err },
		func() error { f.Pending, err = rowsOf(q, sqlPending, root, (*pendingRow).of); return err },
		func() error {
			f.Conversations, err = rowsOf(q, sqlConversations, root, (*conversationRow).of)
			return err
		},
		func() error { f.Inbound, err = rowsOf(q, sqlInbound, root, (*inboundRow).of); return err },
		func() error { f.Codes, err = rowsOf(q, sqlCodes, root, (*codeRow).of); return err },
		func() error { f.Setbacks, err = rowsOf(q, sqlSetbacks, root, (*setbackRow).of); return err },
		func() error { return f.messages(q, root, history, numbers) },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	f.Standing = []Standing{}
	for _, n := range numbers {
		for _, c := range whatsapp.TemplateCategories {
			st, err := optin.Current(q, contact, c, optin.Scopes(n.name, n.unit))
			if err != nil {
				return err
			}
			state := st.Reason
			if st.Granted {
				state = "granted"
			}
			f.Standing = append(f.Standing, Standing{n.name, string(c), state})
		}
	}
	return nil
}

// messages reads them, and finds the consent that each was sent under.
func (f *File) messages(q store.Querier, root int64, history []optin.Event, numbers []numberRow) error {
	f.Messages = []Message{}
	err := store.Each(q, sqlMessages, func(r *messageRow) error {
		m := r.message()
		if r.claimed > 0 && r.Category != string(whatsapp.Service) {
			scopes := optin.Scopes("", "")
			for _, n := range numbers {
				if n.id == r.Number {
					scopes = optin.Scopes(n.name, n.unit)
				}
			}
			m.Consent = inForce(history, r.contact, whatsapp.Category(r.Category), scopes, r.claimed)
		}
		for _, n := range numbers {
			if n.id == r.Number {
				m.Number = n.name
			}
		}
		f.Messages = append(f.Messages, m)
		return nil
	}, root)
	slices.SortFunc(f.Messages, func(a, b Message) int { return int(a.ID - b.ID) })
	return err
}

// inForce is the grant that decided at an instant (ms): what was known by then,
// and no later.
func inForce(history []optin.Event, contact int64, category whatsapp.Category, scopes []string, at int64) int64 {
	var rows []optin.Standing
	for _, e := range history {
		if e.Category != category || store.Millis(e.RecordedAt) > at {
			continue
		}
		counts := e.At
		if counts.After(e.RecordedAt) {
			counts = e.RecordedAt
		}
		s := optin.Standing{Contact: e.Contact, Scope: e.Scope}
		if e.Kind == "grant" {
			s.GrantedAt, s.GrantEvent = counts, e.ID
		} else {
			s.RevokedAt, s.RevokeEvent = counts, e.ID
		}
		rows = append(rows, s)
	}
	st := optin.Decide(optin.Gather(contact, scopes, rows))
	if !st.Granted {
		return 0
	}
	return st.GrantEvent
}

// needles are the texts by which a callback names the person.
func (f *File) needles() []string {
	var out []string
	for _, id := range f.Identities {
		v := strings.TrimPrefix(id.Value, "+")
		if len(v) >= 6 && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
