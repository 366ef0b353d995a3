package intake

import (
	"slices"
	"time"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// said is what a message of a person asks for. At most one of these is true.
type said struct {
	stop  optin.Keyword
	offer optin.Offer
	word  string // the offer's, folded
	hint  optin.Hint

	stops, joins, confirms, doubts bool
}

// listen reads what people want, outside of any transaction: looking for hints
// takes as long as writing a message down.
func (in *Intake) listen(events []webhook.Event) []said {
	out := make([]said, len(events))
	for i, e := range events {
		if m, ok := e.(webhook.Inbound); ok && m.System == nil {
			out[i] = in.understand(m)
		}
	}
	return out
}

func (in *Intake) understand(m webhook.Inbound) (s said) {
	texts := []string{m.Text} // a caption, too
	switch {
	case m.Button != nil && m.Button.Payload == didNotRequest:
		return s // of a code, and nothing else
	case m.Button != nil:
		s.stop, s.stops = optin.StopButton(m.Button.Payload, m.Button.Text)
		texts = []string{m.Button.Payload, m.Button.Text}
	case m.Interactive != nil:
		s.stop, s.stops = optin.StopButton(m.Interactive.ID, m.Interactive.Title)
		texts = []string{m.Interactive.ID, m.Interactive.Title}
	default:
		s.stop, s.stops = optin.Stop(m.Text)
	}
	if s.stops {
		return s
	}
	for _, t := range texts {
		if s.offer, s.word, s.joins = in.live.Load().Offers.Match(t); s.joins {
			return s
		}
		if word := optin.FoldWord(t); word != "" && slices.Contains(in.live.Load().ConfirmWords, word) {
			s.word, s.confirms = word, true
			return s
		}
	}
	s.hint, s.doubts = optin.Maybe(texts[len(texts)-1]) // what the person read, or wrote
	return s
}

// applyWish carries out what a person asks for: words and buttons that stop, the
// preferences of WhatsApp itself, words that sign up; and puts on the list what
// may mean a STOP. why names what was not understood.
func (in *Intake) applyWish(tx *store.Tx, e webhook.Event, s said) (why string, err error) {
	switch e := e.(type) {
	case webhook.Preference:
		return "", in.preference(tx, e)
	case webhook.Inbound:
		switch {
		case s.stops:
			return in.stop(tx, e, s.stop)
		case s.joins:
			return in.join(tx, e, s)
		case s.confirms:
			return in.confirmPending(tx, e, s.word)
		case s.doubts:
			return in.doubt(tx, e, s.hint)
		}
	}
	return "", nil
}

// stop revokes before anything else, and says so to the person, once: where the
// revocation changed something.
func (in *Intake) stop(tx *store.Tx, m webhook.Inbound, word optin.Keyword) (why string, err error) {
	ids := identities(m.From, m.UserID, m.ParentUserID)
	if len(ids) == 0 {
		return "", nil
	}
	c, err := learn(tx, ids...)
	if err != nil {
		return "", err
	}
	before, err := stopped(tx, c.ID, word.Categories())
	if err != nil {
		return "", err
	}
	_, out, err := optin.Revoke(tx, optin.Revocation{Identities: ids, Categories: word.Categories(), Source: optin.SourceWhatsApp,
		Actor: "person", Evidence: optin.Evidence{Text: word.Word, Origin: "reply to number " + m.NumberID}, At: conversations.SaneTime(m.At, tx.Now())})
	if err != nil {
		return "", err
	}
	if err := in.tell(tx, out); err != nil {
		return "", err
	}
	after, err := stopped(tx, c.ID, word.Categories())
	if err != nil {
		return "", err
	}
	h, why, err := in.inbound(tx, m) // before the answer: it opens the window
	if err != nil || slices.Equal(before, after) || h.id == 0 || in.cfg.Confirm == nil {
		return why, err
	}
	return why, in.confirm(tx, m.NumberID, h, in.cfg.Confirm(word))
}

// stopped tells of each category whether the person has stopped it everywhere.
func stopped(q store.Querier, contact int64, categories []whatsapp.Category) ([]bool, error) {
	out := make([]bool, len(categories))
	for i, c := range categories {
		st, err := optin.Current(q, contact, c, optin.Scopes("", ""))
		if err != nil {
			return nil, err
		}
		out[i] = !st.RevokedAt.IsZero() && !st.Granted
	}
	return out, nil
}

const (
	// confirmFor is how long a confirmation is worth sending.
	confirmFor = time.Hour
	// beforeClosing is how long before the end of the window nothing leaves any
	// more.
	beforeClosing = 2 * time.Minute
)

// confirm answers the person on the number they wrote to. It is free-form, in the
// lane of services: the window is open since they wrote, and the revocation does
// not stop it. A STOP that comes so late that the window is closed again is not
// answered.
func (in *Intake) confirm(tx *store.Tx, number string, to recorded, text string) error {
	n, known, err := account.NumberByID(tx, number)
	if err != nil || !known || text == "" {
		return err
	}
	w, err := conversations.ServiceWindow(tx, number, to.contact, tx.Now())
	if err != nil {
		return err
	}
	until := w.ClosesAt.Add(-beforeClosing)
	if !w.Open || !until.After(tx.Now()) {
		return nil
	}
	if soon := tx.Now().Add(confirmFor); soon.Before(until) {
		until = soon
	}
	s, err := outbox.OpenStream(tx, outbox.Stream{Number: n.ID, WABA: n.WABA, Category: whatsapp.Service})
	if err != nil {
		return err
	}
	_, out, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: to.contact, To: to.from, Params: text, Deadline: until}})
	if err != nil {
		return err
	}
	return in.tell(tx, out)
}

// join records that a person agreed by sending the word of an offer. The proof is
// their message and what was published beside the word. It settles a doubt about
// what they wrote before, and counts also of somebody who was forgotten: it is the
// person who says so.
func (in *Intake) join(tx *store.Tx, m webhook.Inbound, s said) (why string, err error) {
	h, why, err := in.inbound(tx, m)
	if err != nil || h.id == 0 {
		return why, err
	}
	for _, c := range s.offer.Categories {
		_, err := optin.Record(tx, optin.Grant{Identity: h.from, Category: c, Scope: s.offer.Scope, AfterForgetting: true, Purpose: s.offer.Purpose, Source: optin.SourceWhatsApp,
			Actor: "person", At: conversations.SaneTime(m.At, tx.Now()),
			Evidence: optin.Evidence{Text: s.offer.Text, Version: s.offer.Version, Origin: "word \"" + s.word + "\" to number " + m.NumberID, Message: fmtID(h.id)}})
		if err != nil {
			return why, err
		}
	}
	if !h.fresh || !slices.Contains(s.offer.Categories, whatsapp.Marketing) {
		return why, nil
	}
	return why, optin.SettleReviews(tx, h.contact, optin.ReviewKept, "person")
}

// confirmPending records what waits for the person to confirm it (double opt-in).
// Of who has nothing to confirm the word says nothing.
func (in *Intake) confirmPending(tx *store.Tx, m webhook.Inbound, word string) (why string, err error) {
	h, why, err := in.inbound(tx, m)
	if err != nil || !h.fresh {
		return why, err
	}
	done, err := optin.ConfirmAll(tx, h.contact, optin.Confirmation{Source: optin.SourceWhatsApp, Actor: "person", At: conversations.SaneTime(m.At, tx.Now()),
		Evidence: optin.Evidence{Text: word, Origin: "reply to number " + m.NumberID, Message: fmtID(h.id)}})
	if err != nil || len(done) == 0 {
		return why, err
	}
	return why, optin.SettleReviews(tx, h.contact, optin.ReviewKept, "person")
}

// doubt puts on the list what may mean a STOP: marketing waits until somebody has
// decided.
func (in *Intake) doubt(tx *store.Tx, m webhook.Inbound, hint optin.Hint) (why string, err error) {
	h, why, err := in.inbound(tx, m)
	if err != nil || !h.fresh {
		return why, err
	}
	id, err := optin.OpenReview(tx, optin.Doubt{Contact: h.contact, Number: m.NumberID, Wamid: m.Wamid, Text: m.Text, Hint: hint,
		At: conversations.SaneTime(m.At, tx.Now())})
	if err != nil || id == 0 {
		return why, err
	}
	in.Stats.Doubts.Add(1)
	return why, in.tellReview(tx, m, h.contact, id, hint)
}
