package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Contact is everything about a person that somebody who writes to them asks for;
// the dossier has the rest.
type Contact struct {
	ID            int64             `json:"id,omitempty" doc:"left out: nobody is known by that"`
	Known         bool              `json:"known"`
	Phone         string            `json:"phone,omitempty" doc:"in full; never by the public face"`
	ToMasked      string            `json:"to_masked,omitempty" doc:"left out for people without a number, and forgotten ones"`
	Repairs       []string          `json:"repairs,omitempty" doc:"what was understood of the number that was asked for"`
	Contacts      []int64           `json:"contacts" doc:"all that are the same person, the one of id among them"`
	AlsoStopped   []int64           `json:"also_stopped" doc:"other spellings of the number: a STOP of this person binds them as well"`
	Identities    []ContactIdentity `json:"identities"`
	Consents      []ConsentState    `json:"consents" doc:"what holds, by number and category"`
	Events        []ConsentEvent    `json:"events" doc:"the consent ledger with its evidence, oldest first; a stop is one of kind revoke"`
	Windows       []WhyWindow       `json:"windows"`
	Conversations []Conversation    `json:"conversations" doc:"the latest 20, newest first; GET /v1/conversations?contact= has all"`
	Messages      []PersonMessage   `json:"messages" doc:"the latest 20"`
	Next          int64             `json:"next,omitempty" doc:"after= of /v1/contacts/{contact}/messages, which goes on"`
	Gate          []GateLine        `json:"gate" doc:"what may be sent to the person now, by number and category, and why not. The first verdict decides; what concerns a single template or campaign only is not in it"`
}

// ContactIdentity is one name of a person.
type ContactIdentity struct {
	Kind   whatsapp.IdentityKind `json:"kind" enum:"phone,wa_id,bsuid,parent_bsuid"`
	Value  string                `json:"value,omitempty" doc:"in full; never by the public face"`
	Masked string                `json:"masked"`
}

// ContactMessages is a page of the messages to a person, newest first.
type ContactMessages struct {
	Messages []PersonMessage `json:"messages"`
	Next     int64           `json:"next,omitempty" doc:"left out: these were the last"`
}

// ContactRequest names a person: by telephone number as people write it, or by an
// id as Meta writes it. It stands in no address, because addresses are logged.
type ContactRequest struct {
	Of string `json:"of" doc:"a number as people write it, or an id as Meta writes it" minLength:"1" maxLength:"200"`
}

// latestOfContact is how many messages and conversations a contact shows at once.
const latestOfContact = 20

// personOperations are those on one person.
func (s *Server) personOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/contacts/{id}":          s.contact,
		"GET /v1/contacts/{id}/messages": s.contactMessages,
		"POST /v1/contacts/lookup":       s.lookupContact,
	}
}

func noContact() *Problem {
	return notFound("no contact has this id").hint("janela dossier PHONE shows what is known of a person")
}

// contact shows a person by id.
func (s *Server) contact(w http.ResponseWriter, r *http.Request) error {
	id, ok := rowID(r.PathValue("id"))
	if !ok {
		return noContact()
	}
	var out Contact
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		members, err := contacts.Members(q, id)
		if err != nil {
			return err
		}
		if len(members) == 0 {
			return noContact()
		}
		p := Person{Known: true, Contact: id}
		names, err := contacts.Identities(q, id)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			p.identity = names[0]
		}
		if err := p.fill(q); err != nil {
			return err
		}
		out, err = contactOf(q, p)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// lookupContact shows a person by number; of somebody unknown what the gate says
// of strangers.
func (s *Server) lookupContact(w http.ResponseWriter, r *http.Request) error {
	var in ContactRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	var out Contact
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		p, err := s.person(q, in.Of)
		if err != nil {
			return err
		}
		out, err = contactOf(q, p)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func contactOf(q store.Querier, p Person) (Contact, error) {
	out := Contact{ID: p.Contact, Known: p.Known, Phone: p.Phone, ToMasked: whatsapp.Mask(p.Phone), Repairs: p.Repairs, Contacts: some(p.Joined), AlsoStopped: some(p.AlsoStopped),
		Identities: []ContactIdentity{}, Conversations: []Conversation{}, Messages: []PersonMessage{}}
	if p.Known {
		names, err := contacts.Identities(q, p.Contact)
		if err != nil {
			return out, err
		}
		for _, n := range names {
			out.Identities = append(out.Identities, ContactIdentity{n.Kind, n.Value, n.String()})
		}
	}
	numbers, err := account.Numbers(q)
	if err != nil {
		return out, err
	}
	who := WhyPerson{Person: p}
	if who.Consents, out.Events, err = consentsOf(q, p.Contact, whatsapp.TemplateCategories, numbers); err != nil {
		return out, err
	}
	for _, n := range numbers {
		if err := who.onNumber(q, n); err != nil {
			return out, err
		}
	}
	out.Consents, out.Windows, out.Gate, out.Events = some(who.Consents), some(who.Windows), some(who.Gate), some(out.Events)
	if !p.Known {
		return out, nil
	}
	names := numberNames(numbers)
	if out.Conversations, err = latestConversations(q, p, names); err != nil {
		return out, err
	}
	page, err := personMessages(q, p.Joined, names, 0, latestOfContact)
	out.Messages, out.Next = page.Messages, page.Next
	return out, err
}

// some is a list that is never null.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// latestConversations are a person's latest, newest first. One person has few.
func latestConversations(q store.Querier, p Person, names map[string]string) ([]Conversation, error) {
	out := []Conversation{}
	err := conversations.List(q, conversations.Filter{Contact: p.Contact}, func(r conversations.Row) error {
		out = append(out, conversationOf(r, names, p.Phone, q.Now()))
		return nil
	})
	slices.Reverse(out)
	return out[:min(len(out), latestOfContact)], err
}

// contactMessages pages through the messages to a person.
func (s *Server) contactMessages(w http.ResponseWriter, r *http.Request) error {
	id, ok := rowID(r.PathValue("id"))
	if !ok {
		return noContact()
	}
	before, err := whole(r, "after", 0)
	if err != nil {
		return err
	}
	limit, err := whole(r, "limit", usualPage)
	if err != nil {
		return err
	}
	var out ContactMessages
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		members, err := contacts.Members(q, id)
		if err != nil {
			return err
		}
		if len(members) == 0 {
			return noContact()
		}
		names, err := allNames(q)
		if err != nil {
			return err
		}
		out, err = personMessages(q, members, names, before, int(min(max(limit, 1), maxPage)))
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// personMessages returns the latest messages to any contact of a person, of those
// with an id below before; 0 for the latest of all.
func personMessages(q store.Querier, members []int64, names map[string]string, before int64, limit int) (ContactMessages, error) {
	out := ContactMessages{Messages: []PersonMessage{}}
	var all []outbox.Message
	for _, c := range members {
		ms, err := outbox.OfContact(q, c, before, limit+1)
		if err != nil {
			return out, err
		}
		all = append(all, ms...)
	}
	slices.SortFunc(all, func(a, b outbox.Message) int { return int(b.ID - a.ID) })
	if len(all) > limit {
		all = all[:limit]
		out.Next = all[limit-1].ID
	}
	for _, m := range all {
		stream, _, err := outbox.StreamByID(q, m.Stream)
		if err != nil {
			return out, err
		}
		pm := PersonMessage{MessageState: stateOf(m), At: store.Time(m.CreatedAt), Category: stream.Category, Campaign: stream.Campaign,
			Number: names[stream.Number], SentAt: store.Time(m.SentAt), DeliveredAt: store.Time(m.DeliveredAt), ReadAt: store.Time(m.ReadAt), FailedAt: store.Time(m.FailedAt)}
		if stream.Template != "" {
			pm.Template = stream.Ref().String()
		}
		out.Messages = append(out.Messages, pm)
	}
	return out, nil
}

// maskedContact takes out what the public face does not tell: full numbers, and
// wamids, which contain one.
func maskedContact(c *Contact) {
	c.Phone, c.Repairs = "", nil
	for i := range c.Identities {
		c.Identities[i].Value = ""
	}
	for i := range c.Conversations {
		masked(&c.Conversations[i])
		c.Conversations[i].OpenedByWamid = ""
	}
}

// Contact shows a person by the id of any contact of theirs.
func (c *Client) Contact(ctx context.Context, id int64) (out Contact, err error) {
	return out, c.call(ctx, "GET", "/v1/contacts/"+strconv.FormatInt(id, 10), nil, nil, &out)
}

// FindContact shows a person by number, or by an id as Meta writes it.
func (c *Client) FindContact(ctx context.Context, of string) (out Contact, err error) {
	return out, c.call(ctx, "POST", "/v1/contacts/lookup", nil, ContactRequest{Of: of}, &out)
}

// ContactMessages pages through the messages to a person, newest first; after is
// the Next of the page before, 0 for the first.
func (c *Client) ContactMessages(ctx context.Context, id, after int64, limit int) (out ContactMessages, err error) {
	v := url.Values{}
	if after > 0 {
		v.Set("after", strconv.FormatInt(after, 10))
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	return out, c.call(ctx, "GET", "/v1/contacts/"+strconv.FormatInt(id, 10)+"/messages", v, nil, &out)
}
