package intake

import (
	"slices"
	"strconv"
	"time"

	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// identities lists what a callback calls a person, the surest first.
func identities(wa whatsapp.WaID, user, parent whatsapp.BSUID) []whatsapp.Identity {
	var out []whatsapp.Identity
	if wa != "" {
		out = append(out, wa.Identity())
	}
	if user != "" {
		out = append(out, user.Identity())
	}
	if parent != "" {
		out = append(out, whatsapp.Identity{Kind: whatsapp.KindParentBSUID, Value: string(parent)})
	}
	return out
}

// learn finds or makes the contact of a person and keeps the identities that
// came together. ids are brought to the form in which the book has them.
func learn(tx *store.Tx, ids ...whatsapp.Identity) (contacts.Contact, error) {
	for i := range ids {
		var err error
		if ids[i], err = inBook(tx, ids[i]); err != nil {
			return contacts.Contact{}, err
		}
	}
	if len(ids) == 1 {
		c, _, err := contacts.Ensure(tx, ids[0])
		return c, err
	}
	c, err := contacts.Learn(tx, ids...)
	if err != nil {
		return c, err
	}
	if _, err := conversations.Merge(tx, c.ID); err != nil { // they may have been two people until now
		return c, err
	}
	// A new spelling may be one that somebody revoked before.
	_, err = optin.Inherit(tx, c.ID)
	return c, err
}

// people are the contacts whom a message with Meta's id may have gone to: those
// whom a callback names with it, and the one that the id itself names.
func people(q store.Querier, w whatsapp.Wamid, ids ...whatsapp.Identity) (out []int64, err error) {
	for _, id := range ids {
		if id, err = inBook(q, id); err != nil {
			return nil, err
		}
		c, ok, err := contacts.Find(q, id)
		if err != nil {
			return nil, err
		}
		if ok && !slices.Contains(out, c.ID) {
			out = append(out, c.ID)
		}
	}
	c, ok, err := contacts.OfWamid(q, w)
	if ok && !slices.Contains(out, c.ID) {
		out = append(out, c.ID)
	}
	return out, err
}

// byWamid finds the message of ours that a person answers.
func byWamid(q store.Querier, w whatsapp.Wamid, from int64) (outbox.Message, bool, error) {
	if w == "" {
		return outbox.Message{}, false, nil
	}
	who, err := people(q, w)
	if err != nil {
		return outbox.Message{}, false, err
	}
	return outbox.ByWamid(q, w, append(who, from)...)
}

// inBook returns the identity under which the book has, or should have, a wa_id.
// One that is a whole telephone number, digit for digit, is that number: whoever
// writes to us first and is sent something afterwards is one contact. One that
// is not (Brazil without the ninth digit, Mexico with the old 1) stays a wa_id
// until Meta shows it together with the number.
func inBook(q store.Querier, id whatsapp.Identity) (whatsapp.Identity, error) {
	if id.Kind != whatsapp.KindWaID {
		return id, nil
	}
	phone := whatsapp.Identity{Kind: whatsapp.KindPhone, Value: "+" + id.Value}
	if _, known, err := contacts.Find(q, phone); err != nil || known {
		return phone, err
	}
	if _, known, err := contacts.Find(q, id); err != nil || known {
		return id, err
	}
	if p, err := whatsapp.ParsePhone(phone.Value, ""); err == nil && len(p.Repairs) == 0 && string(p.Phone) == phone.Value {
		return phone, nil
	}
	return id, nil
}

// react does at its scope what an error does that came by status.
func (in *Intake) react(tx *store.Tx, m outbox.Message, s outbox.Stream, code whatsapp.Code) error {
	r, err := gate.React(tx, gate.Failure{Message: m, Stream: s, Code: code, ByStatus: true})
	if err != nil {
		return err
	}
	if r.Placed {
		in.cfg.Log.Warn("a failed status stops messages", "scope", r.Hold.Scope, "target", r.Hold.Target, "reason", r.Hold.Reason,
			"code", code.Code, "meaning", code.Meaning, "do", code.Do)
	}
	if r.Gone {
		in.cfg.Log.Info("messages to a person could not be delivered on several days; only codes and answers go to them now", "contact", m.Contact)
	}
	if in.cfg.Failed != nil {
		in.cfg.Failed(code.Class, "status")
	}
	return in.tell(tx, r.Outcomes)
}

// join notes that identities are one person's. Where that is news, it brings
// their conversations together, and home what was revoked under a spelling that
// was learnt with it. Most statuses tell nothing new of the person.
func join(tx *store.Tx, ids ...whatsapp.Identity) error {
	known, err := together(tx, ids)
	if err != nil {
		return err
	}
	return joinAs(tx, known, ids)
}

func joinAs(tx *store.Tx, known bool, ids []whatsapp.Identity) error {
	c, err := contacts.Learn(tx, ids...)
	if err != nil || known {
		return err
	}
	if _, err := conversations.Merge(tx, c.ID); err != nil {
		return err
	}
	_, err = optin.Inherit(tx, c.ID)
	return err
}

// together says whether all of the identities are known, and of one person.
func together(q store.Querier, ids []whatsapp.Identity) (bool, error) {
	root := int64(0)
	for _, id := range ids {
		if id.Zero() {
			continue
		}
		c, ok, err := contacts.Find(q, id)
		if err != nil || !ok || root != 0 && c.Root != root {
			return false, err
		}
		root = c.Root
	}
	return true, nil
}

// foreign keeps a status of a message that somebody else sent from our number:
// it counts in conversations and budgets, never in campaigns.
func (in *Intake) foreign(tx *store.Tx, s webhook.Status, at time.Time) error {
	ids := identities(s.RecipientID, s.RecipientUserID, s.ParentUserID)
	if s.Wamid == "" || s.NumberID == "" || len(ids) == 0 {
		return nil
	}
	c, err := learn(tx, ids...)
	if err != nil {
		return err
	}
	if err := in.sameRecipient(tx, s.Wamid, c, ids[0]); err != nil {
		return err
	}
	f := outbox.Foreign{Wamid: s.Wamid, Number: s.NumberID, Contact: c.ID, Status: s.Status, At: at}
	if s.Pricing != nil {
		f.Category, _ = whatsapp.FoldPricing(s.Pricing.Category)
	}
	if f.InWindow, err = conversations.InWindowAt(tx, s.NumberID, c.ID, at); err != nil {
		return err
	}
	since, err := outbox.ObserveForeign(tx, f)
	if err != nil {
		return err
	}
	if err := in.price(tx, s); err != nil || since.IsZero() {
		return err
	}
	_, err = conversations.Recompute(tx, conversations.Touch{Number: s.NumberID, Contact: c.ID, Since: since})
	if err != nil || in.cfg.Foreign == nil {
		return err
	}
	return in.cfg.Foreign(tx, c.ID, f.Category)
}

// sameRecipient joins the people whom two statuses of one foreign message name:
// it went to one.
func (in *Intake) sameRecipient(tx *store.Tx, w whatsapp.Wamid, c contacts.Contact, id whatsapp.Identity) error {
	before, ok, err := outbox.ForeignContact(tx, w)
	if err != nil || !ok || before == c.ID {
		return err
	}
	known, err := contacts.Identities(tx, before)
	if err != nil || len(known) == 0 {
		return err
	}
	return join(tx, known[0], id)
}

// price keeps verbatim what Meta says of a foreign message's price and conversation.
func (in *Intake) price(tx *store.Tx, s webhook.Status) error {
	p, ok := priceOf(tx, s, 0)
	if !ok {
		return nil
	}
	return conversations.RecordPricing(tx, p)
}

// priceOf is what a status says of the price of a message of ours, or of another's
// (0); ok is false where it says nothing.
func priceOf(tx *store.Tx, s webhook.Status, message int64) (p conversations.Pricing, ok bool) {
	if s.Pricing == nil && s.Conversation == nil || s.Wamid == "" {
		return p, false
	}
	p = conversations.Pricing{Wamid: s.Wamid, Message: message, At: conversations.SaneTime(s.At, tx.Now())}
	if s.Pricing != nil {
		p.Model, p.Type, p.Category = s.Pricing.Model, s.Pricing.Type, s.Pricing.Category
		if s.Pricing.Billable != nil {
			p.Billable = strconv.FormatBool(*s.Pricing.Billable)
		}
	}
	if s.Conversation != nil {
		p.ConversationID, p.ConversationOrigin, p.ConversationEnds = s.Conversation.ID, s.Conversation.Origin, s.Conversation.ExpiresAt
	}
	return p, true
}

// inbound keeps what a person wrote: identities, conversation, service window.
// A tap on a button is a message of the person like any other, also the one
// under a code that they did not ask for.
// rec is what became of it.
func (in *Intake) inbound(tx *store.Tx, m webhook.Inbound) (rec recorded, why string, err error) {
	ids := identities(m.From, m.UserID, m.ParentUserID)
	if len(ids) == 0 || m.Wamid == "" || m.NumberID == "" {
		return rec, "", nil
	}
	c, err := learn(tx, ids...)
	if err != nil {
		return rec, "", err
	}
	rec.contact, rec.from = c.ID, ids[0]
	if m.System != nil {
		return rec, "", in.changedIdentity(tx, m, ids[0])
	}
	rec.id, rec.fresh, err = conversations.RecordInbound(tx, conversations.Inbound{Number: m.NumberID, Contact: c.ID, Wamid: m.Wamid,
		At: conversations.SaneTime(m.At, tx.Now()), Type: m.Type, Counts: m.OpensWindow(), Referral: m.Referral != nil, AnswersWamid: m.ReplyTo})
	if err != nil || !rec.fresh {
		return rec, "", err
	}
	if _, err := gate.Reachable(tx, c.ID); err != nil { // who writes has WhatsApp
		return rec, "", err
	}
	if err := in.tellInbound(tx, m, rec); err != nil {
		return rec, "", err
	}
	why, err = in.notRequested(tx, m, c.ID)
	return rec, why, err
}

// recorded is a message of a person as it is written down.
type recorded struct {
	id, contact int64
	from        whatsapp.Identity // as the book has it: where an answer goes
	fresh       bool              // it was not known before
}

// didNotRequest is what the button under a code sends: "I didn't request a
// code" (Meta: Authentication templates).
const didNotRequest = "DID_NOT_REQUEST_CODE"

// notRequested hears a person who did not ask for the code that they got. It
// counts only from whom the code went to, and under a code of ours; why says
// what was wrong otherwise.
func (in *Intake) notRequested(tx *store.Tx, m webhook.Inbound, from int64) (why string, err error) {
	if m.Type != "button" || m.Button == nil || m.Button.Payload != didNotRequest {
		return "", nil
	}
	code, ok, err := byWamid(tx, m.ReplyTo, from)
	if err != nil {
		return "", err
	}
	if !ok {
		return "a code that was not requested is none of ours", nil
	}
	s, _, err := outbox.StreamByID(tx, code.Stream)
	if err != nil {
		return "", err
	}
	if s.Category != whatsapp.Authentication {
		return "a code that was not requested is no code", nil
	}
	person, err := contacts.Members(tx, from)
	if err != nil {
		return "", err
	}
	if !slices.Contains(person, code.Contact) {
		return "a code that was not requested went to somebody else", nil
	}
	if in.cfg.NotRequested == nil {
		return "", nil
	}
	return "", in.cfg.NotRequested(tx, code.ID)
}

// changedIdentity takes in a change of number or user id. What is new gets a
// contact of its own, joined to the old one: every revocation goes with the
// person; a grant does not, because it counts only where it was given.
func (in *Intake) changedIdentity(tx *store.Tx, m webhook.Inbound, old whatsapp.Identity) error {
	ids := identities(m.System.NewWaID, m.System.UserID, m.System.ParentUserID)
	if len(ids) == 0 {
		return nil
	}
	if _, err := learn(tx, ids...); err != nil { // it brings ids to the form of the book
		return err
	}
	return join(tx, old, ids[0])
}

// tell hands outcomes on, in the same transaction.
func (in *Intake) tell(tx *store.Tx, out []outbox.Outcome) error {
	if len(out) == 0 || in.cfg.Outcomes == nil {
		return nil
	}
	return in.cfg.Outcomes(tx, out)
}
