package hooks

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"janela/internal/store"
)

// Callback is one of Meta's callbacks whose signature was right, as it came.
type Callback struct {
	Body        []byte
	Signature   string // X-Hub-Signature-256
	ContentType string
	Changes     []Change // what it is about; none where it could not be read
}

// Change is what of a callback decides where it goes.
type Change struct {
	Field  string // Meta's webhook field: messages, message_template_status_update, …
	Number string // phone_number_id; "" where the change concerns none
	Person string // personal: by which the order is kept; "" where it concerns none, or several
}

// Callback reads a callback for Pass, outside of any transaction. Where no target
// is of mode passthrough it reads nothing.
func (h *Hooks) Callback(body []byte, header http.Header) Callback {
	if !h.passes() {
		return Callback{}
	}
	return Callback{Body: body, Signature: header.Get("X-Hub-Signature-256"), ContentType: header.Get("Content-Type"), Changes: Changes(body)}
}

// passes reports whether any target is of mode passthrough.
func (h *Hooks) passes() bool {
	if h == nil {
		return false
	}
	for _, w := range h.all() {
		if w.target().Mode == Passthrough {
			return true
		}
	}
	return false
}

// Pass hands a callback on, once the transaction is committed, to the targets
// that want it. Call it only for callbacks that are new: one that Meta sends
// again was passed on already. An error is the database's.
func (h *Hooks) Pass(tx *store.Tx, c Callback) error {
	if !h.passes() {
		return nil
	}
	var to []*worker
	for _, w := range h.all() {
		if w.target().wantsCallback(c.Changes) {
			to = append(to, w)
		}
	}
	if len(to) == 0 {
		return nil
	}
	kind := "unreadable"
	if len(c.Changes) > 0 {
		kind = c.Changes[0].Field
	}
	return h.enqueue(tx, to, orderOf(c.Changes),
		payload{kind: kindCallback, kindOf: kind, body: c.Body, contentType: c.ContentType, signature: c.Signature})
}

// orderOf is the key of a callback: the person whom all of it is about, on one
// number. One about several people, or nobody, comes as it comes: Meta promises
// no order either.
func orderOf(changes []Change) string {
	if len(changes) == 0 || changes[0].Person == "" {
		return ""
	}
	for _, c := range changes[1:] {
		if c.Person != changes[0].Person || c.Number != changes[0].Number {
			return ""
		}
	}
	return changes[0].Number + "/" + changes[0].Person
}

// label is a text that may come as a number; anything else is "".
type label string

// UnmarshalJSON takes what it can, and never fails.
func (l *label) UnmarshalJSON(b []byte) error {
	s := string(b)
	switch {
	case len(b) > maxLabel || b[0] == '{' || b[0] == '[' || s == "null" || s == "true" || s == "false":
		return nil
	case b[0] == '"':
		if json.Unmarshal(b, &s) != nil {
			return nil
		}
	}
	*l = label(s)
	return nil
}

// maxLabel bounds a label's bytes, as JSON writes it.
const maxLabel = 256

// who is the sender of a message, or the recipient of a status.
type who struct {
	From     label `json:"from"`
	FromUser label `json:"from_user_id"`
	To       label `json:"recipient_id"`
	ToUser   label `json:"recipient_user_id"`
}

func (w who) person() string { return string(cmp.Or(w.From, w.To, w.FromUser, w.ToUser)) }

// envelope is what of a callback decides where it goes.
type envelope struct {
	Entry []struct {
		Changes []struct {
			Field label `json:"field"`
			Value struct {
				Metadata struct {
					Number label `json:"phone_number_id"`
				} `json:"metadata"`
				Messages []who `json:"messages"`
				Statuses []who `json:"statuses"`
			} `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

// Changes reads what decides where a callback goes: fields, numbers, people.
// Where a part is not as Meta writes it, it is left out; what is no JSON has
// none. It never fails.
func Changes(body []byte) []Change {
	var v envelope
	var odd *json.UnmarshalTypeError // what has another type stays empty, and the rest is read
	if err := json.Unmarshal(body, &v); err != nil && !errors.As(err, &odd) {
		return nil
	}
	var out []Change
	for _, e := range v.Entry {
		for _, c := range e.Changes {
			out = append(out, Change{Field: string(c.Field), Number: string(c.Value.Metadata.Number), Person: one(c.Value.Messages, c.Value.Statuses)})
		}
	}
	return out
}

// one is the one person whom all messages and statuses are about, "" for none or
// several.
func one(lists ...[]who) string {
	person := ""
	for _, l := range lists {
		for _, w := range l {
			p := w.person()
			if p == "" || person != "" && p != person {
				return ""
			}
			person = p
		}
	}
	return person
}
