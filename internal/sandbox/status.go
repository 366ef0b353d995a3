package sandbox

import (
	"encoding/hex"
	"strconv"
)

// The webhook's envelope (Meta: Webhooks, messages).
type notification struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

type entry struct {
	ID      string   `json:"id"`
	Time    int64    `json:"time,omitempty"` // on fields other than messages
	Changes []change `json:"changes"`
}

type change struct {
	Value any    `json:"value"`
	Field string `json:"field"`
}

type messagesValue struct {
	Product  string           `json:"messaging_product"`
	Metadata metadata         `json:"metadata"`
	Contacts []contact        `json:"contacts,omitempty"`
	Messages []map[string]any `json:"messages,omitempty"`
	Statuses []statusValue    `json:"statuses,omitempty"`
}

type metadata struct {
	Display string `json:"display_phone_number"` // digits
	ID      string `json:"phone_number_id"`
}

type contact struct {
	Profile *profileValue `json:"profile,omitempty"`
	WaID    string        `json:"wa_id,omitempty"`
	UserID  string        `json:"user_id,omitempty"`

	IdentityKeyHash string `json:"identity_key_hash,omitempty"` // on inbound messages
}

type profileValue struct {
	Name     string `json:"name"`
	Username string `json:"username,omitempty"`
}

type statusValue struct {
	ID              string             `json:"id"`
	Status          string             `json:"status"`
	Timestamp       string             `json:"timestamp"`
	RecipientID     string             `json:"recipient_id,omitempty"`
	RecipientUserID string             `json:"recipient_user_id,omitempty"`
	IdentityKeyHash string             `json:"recipient_identity_key_hash,omitempty"`
	Callback        string             `json:"biz_opaque_callback_data,omitempty"`
	Conversation    *conversationValue `json:"conversation,omitempty"`
	Pricing         *pricingValue      `json:"pricing,omitempty"`
	Errors          []statusError      `json:"errors,omitempty"`
}

type conversationValue struct {
	ID         string      `json:"id"`
	Expiration string      `json:"expiration_timestamp,omitempty"`
	Origin     originValue `json:"origin"`
}

type originValue struct {
	Type string `json:"type"`
}

type pricingValue struct {
	Billable bool   `json:"billable"`
	Model    string `json:"pricing_model"`
	Type     string `json:"type"`
	Category string `json:"category"`
}

type statusError struct {
	Code      int       `json:"code"`
	Title     string    `json:"title"`
	Message   string    `json:"message"`
	ErrorData errorData `json:"error_data"`
	Href      string    `json:"href"`
}

func failure(code int) statusError {
	title := infoOf(code).title
	return statusError{
		Code: code, Title: title, Message: title,
		ErrorData: errorData{Details: title + " (sandbox)"},
		Href:      "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
	}
}

// status renders one event of a message.
func (s *Sandbox) status(r *record, e event) statusValue {
	slot := e.slot % slotAgain
	v := statusValue{
		ID:              s.wamidOf(r),
		Status:          [...]string{"sent", "delivered", "read", "failed"}[slot],
		Timestamp:       strconv.FormatInt(e.at, 10),
		RecipientID:     r.to,
		RecipientUserID: s.userID(r.to),
		Callback:        r.key,
	}
	if isBSUID(r.to) {
		v.RecipientID = ""
	}
	if slot == slotFailed {
		code := int(r.code)
		if r.flags&flagDropped != 0 {
			code = 132015
		}
		v.Errors = []statusError{failure(code)}
		return v
	}
	if r.flags&flagIdentity != 0 {
		v.IdentityKeyHash = s.identityOf(r.to)
	}
	if e.priced {
		v.Pricing = s.pricing(r)
		v.Conversation = s.conversation(r, e, v.ID)
	}
	return v
}

func (s *Sandbox) pricing(r *record) *pricingValue {
	category := r.priced(s.ledger.kinds[r.kind].category)
	switch {
	case r.flags&flagFreeEnd != 0:
		return &pricingValue{false, "PMP", "free_entry_point", "referral_conversion"}
	case category == "service":
		return &pricingValue{false, "PMP", "free_customer_service", category}
	default:
		return &pricingValue{true, "PMP", "regular", category}
	}
}

// conversation renders the conversation object: always as of v23.0, where its
// id is new with each message; from v24.0 on only inside a free entry point
// window, which has one id (Meta: Webhooks, messages, status object).
func (s *Sandbox) conversation(r *record, e event, id string) *conversationValue {
	origin := r.priced(s.ledger.kinds[r.kind].category)
	unique := []string{id}
	end := expiration(e.at)
	if r.flags&flagFreeEnd != 0 {
		origin = "referral_conversion"
		unique = []string{"entry", r.to, s.byIndex[r.number].ID}
		if p := s.persons[r.to]; p != nil && p.windows[r.number] != nil {
			end = p.windows[r.number].entry / 1000
			unique = append(unique, strconv.FormatInt(end, 10))
		}
	} else if !s.profile.WithConversation {
		return nil
	}
	h := digest(s.cfg.Seed, append([]string{"conversation"}, unique...)...)
	c := &conversationValue{ID: hex.EncodeToString(h[:16]), Origin: originValue{origin}}
	if e.slot%slotAgain == slotSent {
		c.Expiration = strconv.FormatInt(end, 10)
	}
	return c
}

// statuses renders events as one webhook: an entry for each business account, a
// change for each number, everything in the order of the events.
func (s *Sandbox) statuses(events []event) notification {
	n := notification{Object: "whatsapp_business_account"}
	accounts := map[string]int{}
	values := map[uint16]*messagesValue{}
	for _, e := range events {
		r := s.ledger.get(int(e.rec))
		num := s.byIndex[r.number]
		v := values[r.number]
		if v == nil {
			v = &messagesValue{Product: "whatsapp", Metadata: num.metadata()}
			values[r.number] = v
			at, ok := accounts[num.account.ID]
			if !ok {
				at = len(n.Entry)
				accounts[num.account.ID] = at
				n.Entry = append(n.Entry, entry{ID: num.account.ID})
			}
			n.Entry[at].Changes = append(n.Entry[at].Changes, change{Value: v, Field: "messages"})
		}
		st := s.status(r, e)
		v.Statuses = append(v.Statuses, st)
		if st.Status != "failed" && st.RecipientUserID != "" {
			v.addContact(contact{WaID: st.RecipientID, UserID: st.RecipientUserID})
		}
	}
	return n
}

func (v *messagesValue) addContact(c contact) {
	for _, known := range v.Contacts {
		if known.UserID == c.UserID {
			return
		}
	}
	v.Contacts = append(v.Contacts, c)
}

func (n *number) metadata() metadata {
	return metadata{Display: digitsOf(n.Display), ID: n.ID}
}
