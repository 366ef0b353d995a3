package webhook

import (
	"encoding/json"
	"fmt"
	"time"
)

// envelope is the outside of every callback. encoding/json leaves an element of
// another type than expected empty and goes on; an empty one becomes Unknown.
type envelope struct {
	Object text `json:"object"`
	Entry  []struct {
		ID      text    `json:"id"`
		Time    instant `json:"time"`
		Changes []struct {
			Field text            `json:"field"`
			Value json.RawMessage `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

// Decode reads the body of a verified callback. It returns an error only for a
// body that is no JSON or not Meta's envelope; single elements that cannot be
// read become Unknown events in their place.
func Decode(body []byte) ([]Event, error) {
	if events, ok := quickly(body); ok {
		return events, nil
	}
	return slowly(body)
}

// Statuses is Decode for a callback that holds nothing but statuses, in the form
// in which most come; ok is false for every other, which it does not judge.
func Statuses(body []byte) (statuses []Event, ok bool) {
	events, ok := quickly(body)
	for _, e := range events {
		if _, is := e.(Status); !is {
			return nil, false
		}
	}
	return events, ok
}

// slowly decodes any body.
func slowly(body []byte) ([]Event, error) {
	var outer envelope
	if err := json.Unmarshal(body, &outer); err != nil && !isTypeError(err) {
		return nil, fmt.Errorf("the callback is no JSON")
	}
	if outer.Entry == nil {
		return nil, fmt.Errorf("the callback is no object with a list of entries; it is not from a WhatsApp business account")
	}
	if outer.Object != "" && outer.Object != "whatsapp_business_account" {
		return []Event{Unknown{Field: bound(outer.Object), Reason: "the callback is of another product"}}, nil
	}
	var events []Event
	for _, entry := range outer.Entry {
		waba := string(entry.ID)
		if len(entry.Changes) == 0 {
			events = append(events, Unknown{WABA: waba, Field: "entry", Reason: "the entry holds no changes"})
		}
		for _, change := range entry.Changes {
			events = decodeChange(events, waba, entry.Time.Time, change.Field, change.Value)
		}
	}
	return events, nil
}

func decodeChange(events []Event, waba string, at time.Time, name text, value json.RawMessage) []Event {
	switch field := string(name); field {
	case "messages", "user_preferences", "user_id_update":
		return decodePeople(events, waba, field, value)
	case "message_template_status_update", "message_template_quality_update", "message_template_components_update", "template_category_update":
		return append(events, decodeTemplate(waba, at, field, value))
	case "phone_number_quality_update", "business_capability_update", "account_update", "account_alerts", "account_review_update",
		"business_username_update", "business_username_updates":
		return append(events, decodeAccount(waba, at, field, value))
	case "":
		return append(events, Unknown{WABA: waba, Reason: "the change names no field"})
	default:
		return append(events, Unknown{WABA: waba, Field: bound(name), Reason: "the field is not known"})
	}
}

// bound shortens a name that came from outside, for metrics and logs.
func bound(t text) string {
	const most = 64
	name := []byte(t)
	if len(name) > most {
		name = name[:most]
	}
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			name[i] = '?'
		}
	}
	return string(name)
}
