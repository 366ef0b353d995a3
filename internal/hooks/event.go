package hooks

import (
	"encoding/json"
	"fmt"
	"time"

	"janela/internal/store"
)

// Event is something that happened, for targets of the modes events and stream.
type Event struct {
	Type   string    // "message.delivered": lower case words, joined by dots
	At     time.Time // when it happened; zero: the transaction's Now
	Number string    // the number it concerns (phone_number_id); "": none
	// Key is what the order is kept by: events of the same key reach a target
	// one after the other ("message:123"). "": no order.
	Key string
	// Data becomes JSON. It holds ids and masked numbers: no full number, no
	// text, no code.
	Data any
}

// Wants reports whether any target hears of events of that type: so that data
// need not be gathered for nobody.
func (h *Hooks) Wants(kind string) bool {
	if h == nil {
		return false
	}
	for _, w := range h.all() {
		if w.target().Mode != Passthrough && matches(w.target().Events, kind) {
			return true
		}
	}
	return false
}

// isType checks the form of a type: [a-z0-9_]+ joined by dots (Standard Webhooks
// 1.0, Event types). By hand: every outcome of a campaign passes here.
func isType(s string) bool {
	dot := true // an empty word is none
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && dot:
			return false
		case c == '.', c == '_', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			dot = c == '.'
		default:
			return false
		}
	}
	return !dot
}

// stamp is how a body says when: RFC 3339 in UTC, with milliseconds.
const stamp = "2006-01-02T15:04:05.000Z"

// Emit tells the targets that want it of an event, once the transaction is
// committed. It writes one payload and one delivery per target, nothing if there
// is none. An error is the database's, or the program's (a type or data that is
// none).
func (h *Hooks) Emit(tx *store.Tx, e Event) error {
	if h == nil {
		return nil
	}
	if !isType(e.Type) {
		return fmt.Errorf("hooks: %q is no type of an event", e.Type)
	}
	var to []*worker
	for _, w := range h.all() {
		if w.target().wantsEvent(&e) {
			to = append(to, w)
		}
	}
	if len(to) == 0 {
		return nil
	}
	if e.At.IsZero() {
		e.At = tx.Now()
	}
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      any    `json:"data"`
	}{e.Type, e.At.UTC().Format(stamp), e.Data})
	if err != nil {
		return fmt.Errorf("hooks: the data of %s: %w", e.Type, err)
	}
	return h.enqueue(tx, to, e.Key, payload{kind: kindEvent, kindOf: e.Type, body: body, contentType: "application/json"})
}
