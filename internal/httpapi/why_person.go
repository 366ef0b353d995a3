package httpapi

import (
	"slices"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// WhyPerson is everything that decides about a person now.
type WhyPerson struct {
	Person
	Consents      []ConsentState  `json:"consents"`
	Windows       []WhyWindow     `json:"windows"`
	Conversations []Conversation  `json:"conversations"` // those open now
	Messages      []PersonMessage `json:"messages"`      // the latest
	Gate          []GateLine      `json:"gate"`          // what it would say now
}

// WhyWindow is a service window: 24 h from the person's last message.
type WhyWindow struct {
	Number   string    `json:"number"`
	Open     bool      `json:"open"`
	LastAt   time.Time `json:"last_at,omitzero"` // zero: the person never wrote
	ClosesAt time.Time `json:"closes_at,omitzero"`
}

// PersonMessage is one message to a person.
type PersonMessage struct {
	MessageState
	At       time.Time         `json:"at"`
	Category whatsapp.Category `json:"category"`
	Campaign string            `json:"campaign,omitempty"`
	Template string            `json:"template,omitempty"`
	Number   string            `json:"number"`

	SentAt      time.Time `json:"sent_at,omitzero" doc:"as Meta tells; left out: not known"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	FailedAt    time.Time `json:"failed_at,omitzero"`
}

// GateLine is the gate's answer for a category on a number. The first verdict
// decides; what concerns a single template or campaign only is not in it.
type GateLine struct {
	Number   string            `json:"number"`
	Category whatsapp.Category `json:"category"`
	Verdicts []Verdict         `json:"verdicts"`
}

// latestMessages is how many messages of a person are shown.
const latestMessages = 10

func (s *Server) whyPerson(q store.Querier, text string) (*WhyPerson, error) {
	p, err := s.person(q, text)
	if err != nil {
		return nil, err
	}
	out := &WhyPerson{Person: p}
	numbers, err := account.Numbers(q)
	if err != nil {
		return nil, err
	}
	if out.Consents, _, err = consentsOf(q, p.Contact, whatsapp.TemplateCategories, numbers); err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if err := out.onNumber(q, n); err != nil {
			return nil, err
		}
	}
	if !p.Known {
		return out, nil
	}
	names := numberNames(numbers)
	err = conversations.List(q, conversations.Filter{Open: true, Contact: p.Contact}, func(r conversations.Row) error {
		out.Conversations = append(out.Conversations, conversationOf(r, names, p.Phone, q.Now()))
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, err := personMessages(q, p.Joined, names, 0, latestMessages)
	out.Messages = page.Messages
	return out, err
}

// onNumber adds the service window, and what the gate says for each category.
func (p *WhyPerson) onNumber(q store.Querier, n account.Number) error {
	w, err := windowOf(q, n, p.Contact)
	if err != nil {
		return err
	}
	p.Windows = append(p.Windows, w)
	for _, c := range append(slices.Clone(whatsapp.TemplateCategories), whatsapp.Service) {
		var consent []ConsentState
		for _, cs := range p.Consents {
			if cs.Number == n.Name && cs.Category == c {
				consent = append(consent, cs)
			}
		}
		verdicts, err := ask(q, n, c, p.Contact, p.identity.Kind, consent)
		if err != nil {
			return err
		}
		p.Gate = append(p.Gate, GateLine{Number: n.Name, Category: c, Verdicts: verdicts})
	}
	return nil
}

// ask returns what the gate would say to a message of a category, whatever its
// template, from a number to a contact.
func ask(q store.Querier, n account.Number, c whatsapp.Category, contact int64, kind whatsapp.IdentityKind, consent []ConsentState) ([]Verdict, error) {
	stream := outbox.Stream{Number: n.ID, WABA: n.WABA, Category: c, Lane: c.Lane()}
	k, err := newRows(q, stream, 0, contact, consent)
	if err != nil {
		return nil, err
	}
	facts, err := gate.FactsOfPerson(q, contact, c, n)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		facts.Kind = kind
	}
	waits := gate.DecideStream(k.facts, q.Now())
	return k.all(gate.Decide(stream, waits, facts, q.Now()), waits, q.Now()), nil
}

func windowOf(q store.Querier, n account.Number, contact int64) (WhyWindow, error) {
	w, err := conversations.ServiceWindow(q, n.ID, contact, q.Now())
	return WhyWindow{Number: n.Name, Open: w.Open, LastAt: w.LastAt, ClosesAt: w.ClosesAt}, err
}

func numberNames(numbers []account.Number) map[string]string {
	names := map[string]string{}
	for _, n := range numbers {
		names[n.ID] = n.Name
	}
	return names
}
