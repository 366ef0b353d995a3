package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// messageReply says that a message is queued. It is kept for repeats, and names
// nobody.
type messageReply struct {
	ID        string            `json:"id"`
	Status    string            `json:"status" doc:"queued"`
	Number    string            `json:"number"`
	Category  whatsapp.Category `json:"category"`
	SendAt    string            `json:"send_at,omitempty" doc:"left out: now"`
	ExpiresAt string            `json:"expires_at" doc:"it does not leave later"`
	Waits     []string          `json:"waits,omitempty" doc:"reasons why it does not leave at once"`
}

// sendMessage queues one message: POST /v1/messages. It is answered when the
// message is durable; whether it may leave is asked now, and again when it does.
func (c *call) sendMessage() (a answer, err error) {
	err = c.withLargeBody(maxMessageBody, func(body []byte) error {
		rep, err := c.repeat("messages", body, true)
		if err != nil {
			return err
		}
		in, err := readMessage(body)
		if err != nil {
			return err
		}
		a, err = c.once(rep, effect{keep: keepChange, at: messagePath, do: func(tx *store.Tx) (answer, []byte, error) {
			out, err := c.queueMessage(tx, &in)
			if err != nil {
				return answer{}, nil, err
			}
			body := line(out)
			return answer{status: http.StatusAccepted, body: body, location: messagePath(out.ID)}, body, nil
		}})
		return err
	})
	return a, err
}

func messagePath(id string) string { return "/v1/messages/" + id }

// draft is a message on its way to the outbox.
type draft struct {
	in     *messageRequest
	person Person
	number account.Number
	stream outbox.Stream
	params string
	from   time.Time // not before; zero: now
	until  time.Time // the deadline
}

func (c *call) queueMessage(tx *store.Tx, in *messageRequest) (out messageReply, err error) {
	m := &draft{in: in, from: in.sendAt}
	if m.person, err = c.addressee(tx, in); err != nil {
		return out, err
	}
	if err := c.allowed(tx, m.person); err != nil {
		return out, err
	}
	if !m.from.After(tx.Now()) {
		m.from = time.Time{}
	}
	if m.from.Sub(tx.Now()) > maxAhead {
		return out, malformed("send_at is more than %d days ahead", int(maxAhead.Hours()/24))
	}
	if in.text != nil {
		err = m.asText(tx)
	} else {
		err = m.asTemplate(tx)
	}
	if err != nil {
		return out, err
	}
	if err := m.lives(tx.Now()); err != nil {
		return out, err
	}
	if in.template != nil {
		if m.until, err = in.template.timely(tx.Now(), m.from, m.until); err != nil {
			return out, err
		}
	}
	if err := m.quotes(tx); err != nil {
		return out, err
	}
	waits, err := m.ask(tx)
	if err != nil {
		return out, err
	}
	if m.stream, err = outbox.OpenStream(tx, m.stream); err != nil {
		return out, err
	}
	ids, outcomes, err := outbox.Enqueue(tx, m.stream, []outbox.New{{Contact: m.person.Contact, To: m.person.identity, Params: m.params,
		ReplyTo: in.replyTo, ExternalID: in.externalID, NotBefore: m.from, Deadline: m.until}})
	if err != nil {
		return out, err
	}
	if err := c.server.cfg.Outcomes(tx, outcomes); err != nil {
		return out, err
	}
	out = messageReply{ID: strconv.FormatInt(ids[0], 10), Status: "queued", Number: m.number.Name, Category: m.stream.Category,
		SendAt: stamp(m.from), ExpiresAt: stamp(m.until), Waits: waits}
	return out, access.Note(tx, access.Entry{Actor: c.actor(), Command: "messages", Object: m.person.identity.String(),
		After: fmt.Sprintf("message %s, %s on %s", out.ID, m.stream.Category, m.number.Name)})
}

// addressee finds to whom a message goes, and by which name. Somebody nobody
// knows is refused later, with the reason of what was to be sent.
func (c *call) addressee(q store.Querier, in *messageRequest) (Person, error) {
	if in.to != "" {
		p, err := c.recipient(q, in.to)
		if err == nil && p.identity.Kind == whatsapp.KindParentBSUID {
			err = publicProblem(codeRecipient, "a parent user id names nobody who could be written to")
		}
		return p, err
	}
	// Of the contact's own names, the surest: consent counts where it was given,
	// not with another contact of the same person.
	ids, err := contacts.Identities(q, in.contact)
	if err != nil {
		return Person{}, err
	}
	for _, id := range ids {
		own, ok, err := contacts.Find(q, id)
		if err != nil {
			return Person{}, err
		}
		if ok && own.ID == in.contact && id.Kind != whatsapp.KindParentBSUID {
			return Person{Known: true, Contact: own.ID, identity: id}, nil
		}
	}
	return Person{}, publicProblem(codeRecipient, "there is no such contact, or nothing is known by which to write to them")
}

// allowed keeps a key to the countries that it was made for.
func (c *call) allowed(q store.Querier, p Person) error {
	if len(c.key.Countries) == 0 {
		return nil
	}
	where := whatsapp.Phone(p.Phone).Region()
	if p.Phone == "" && p.Known {
		var err error
		if where, err = country(q, p.Contact); err != nil {
			return err
		}
	}
	if where == "" || !slices.Contains(c.key.Countries, where) {
		return publicProblem(otp.CodeCountry, "this key was made for other countries")
	}
	return nil
}

// asText makes a free-form text of it: to whoever wrote within the last day.
func (m *draft) asText(tx *store.Tx) error {
	n, window, err := openWindow(tx, m.person, m.in.number)
	if err != nil {
		return replyProblem(problemOf(err), window)
	}
	last := window.ClosesAt.Add(-beforeClosing)
	if !tx.Now().Before(last) || !m.from.Before(last) {
		return windowClosed(window)
	}
	m.number, m.params = n, *m.in.text
	m.stream = outbox.Stream{Number: n.ID, WABA: n.WABA, Category: whatsapp.Service}
	m.until = last
	return nil
}

// replyProblem says in the words of the public face why no text can be sent.
func replyProblem(p *Problem, w conversations.Window) error {
	switch p.Code {
	case string(gate.WindowClosed):
		return windowClosed(w)
	case CodeInvalid:
		return malformed("the person wrote to several numbers; say which with number")
	case CodeNotFound:
		return unknownNumber()
	default:
		return p
	}
}

func unknownNumber() error { return malformed("number is none of the configuration's") }

// windowClosed is the answer outside the service window. closed_at is when the
// window ended, or ends, and left out for somebody who never wrote.
func windowClosed(w conversations.Window) error {
	p := publicProblem(codeWindow, "free-form text is for replies within 24 hours of something the person wrote, less two minutes; send a template")
	p.Reason = string(gate.WindowClosed)
	p.ClosedAt = stamp(w.ClosesAt)
	return p
}

// asTemplate makes a template send of it. Its category is what Meta approved.
func (m *draft) asTemplate(tx *store.Tx) error {
	t := m.in.template
	numbers, err := account.Numbers(tx)
	if err != nil {
		return err
	}
	switch at := slices.IndexFunc(numbers, func(n account.Number) bool { return n.Name == m.in.number }); {
	case at >= 0:
		m.number = numbers[at]
	case m.in.number != "":
		return unknownNumber()
	case len(numbers) == 1:
		m.number = numbers[0]
	default:
		return malformed("there are several numbers; say which with number")
	}
	ref := whatsapp.TemplateRef{WABA: m.number.WABA, Name: t.name, Language: whatsapp.Language(t.language)}
	have, ok, err := account.Lookup(tx, ref)
	switch {
	case err != nil:
		return err
	case !ok || have.Missing:
		p := publicProblem(codeTemplate, "Meta lists no such template in this language")
		p.Reason = string(gate.TemplateUnknown)
		return p
	case have.Category == whatsapp.Authentication:
		return publicProblem(codeCategory, "codes go by /v1/otp, which makes them and counts guesses")
	case have.Category == "":
		return templateProblem(gate.Verdict{Reason: gate.CategoryDrift})
	}
	needs, err := campaigns.Required(have.ParameterFormat, have.Components)
	if err != nil {
		return wrongValues("%v", err) // names parts of the template
	}
	if m.params, err = t.render(needs); err != nil {
		return err
	}
	m.stream = outbox.Stream{Number: m.number.ID, WABA: m.number.WABA, Category: have.Category, Template: ref.Name, Language: ref.Language}
	m.until = m.from
	if m.until.IsZero() {
		m.until = tx.Now()
	}
	m.until = m.until.Add(usualLife)
	return nil
}

// lives sets the deadline that the caller wants.
func (m *draft) lives(now time.Time) error {
	from := m.from
	if from.IsZero() {
		from = now
	}
	switch at := m.in.expiresAt; {
	case at.IsZero():
		return nil
	case !at.After(from):
		return malformed("expires_at is not after send_at, or has passed")
	case at.Sub(from) > maxLife:
		return malformed("expires_at is more than %d days after send_at", int(maxLife.Hours()/24))
	case m.in.text != nil && at.After(m.until):
		return nil // the window's end comes first
	default:
		m.until = at
		return nil
	}
}

// quotes refuses an answer to what this person did not write to this number.
func (m *draft) quotes(q store.Querier) error {
	if m.in.replyTo == "" {
		return nil
	}
	from, number, ok, err := conversations.Heard(q, m.in.replyTo)
	if err != nil {
		return err
	}
	person, err := contacts.Members(q, m.person.Contact)
	if err != nil {
		return err
	}
	if !ok || number != m.number.ID || !slices.Contains(person, from) {
		return malformed("reply_to is no message of this person to this number")
	}
	return nil
}

// ask asks the gate. What it refuses is refused here; waits are told.
func (m *draft) ask(q store.Querier) (waits []string, err error) {
	holds, err := outbox.Holds(q)
	if err != nil {
		return nil, err
	}
	m.stream.Lane = m.stream.Category.Lane()
	stream, err := gate.FactsOfStream(q, m.stream, holds)
	if err != nil {
		return nil, err
	}
	facts := gate.MessageFacts{}
	if m.person.Known {
		if facts, err = gate.FactsOfPerson(q, m.person.Contact, m.stream.Category, m.number); err != nil {
			return nil, err
		}
	}
	facts.Kind, facts.Deadline = m.person.identity.Kind, store.Millis(m.until)
	all := gate.DecideStream(stream, q.Now())
	for _, v := range all {
		switch v.Reason {
		case gate.TemplateUnknown, gate.TemplateNotApproved, gate.CategoryDrift, gate.TemplateChanged:
			return nil, templateProblem(v)
		}
		waits = append(waits, string(v.Reason))
	}
	switch v := gate.Decide(m.stream, all, facts, q.Now()); {
	case v.Kind != gate.Refuse:
		if v.Kind == gate.Wait && !slices.Contains(waits, string(v.Reason)) {
			waits = append(waits, string(v.Reason))
		}
		return waits, nil
	case v.Reason == gate.NoOptIn:
		p := publicProblem(otp.CodeNoOptIn, "nobody has recorded that this person agreed to messages of this category; record a grant first")
		p.Reason = string(v.Reason)
		return nil, p
	case v.Reason == gate.OptedOut:
		p := publicProblem(otp.CodeOptedOut, "this person took their consent back")
		p.Reason = string(v.Reason)
		return nil, p
	case v.Reason == gate.NotReachable:
		p := publicProblem(codeUndeliverable, "on several days nothing could be delivered to this person; they must write first, or an operator clears it")
		p.Reason = string(v.Reason)
		return nil, p
	case v.Reason == gate.CountryBarred:
		p := publicProblem(otp.CodeCountry, "Meta does not let this account's messages to the person's country")
		p.Reason = string(v.Reason)
		return nil, p
	case v.Reason == gate.MarketingCapped:
		p := publicProblem(codeCapped, "Meta chose not to deliver marketing to this person, and the message would expire before it may be tried again")
		p.Reason, p.RetryAfter = string(v.Reason), wholeSeconds(store.Time(facts.CappedUntil).Sub(q.Now()))
		return nil, p
	default:
		w, err := conversations.ServiceWindow(q, m.number.ID, m.person.Contact, q.Now())
		if err != nil {
			return nil, err
		}
		return nil, windowClosed(w)
	}
}

// templateProblem says that a template cannot be sent at this moment.
func templateProblem(v gate.Verdict) error {
	p := publicProblem(codeTemplateNow, "Meta has not approved it, paused it, or put it into another category; nothing was accepted")
	p.Reason = string(v.Reason)
	p.RetryAfter = 60
	return p
}
