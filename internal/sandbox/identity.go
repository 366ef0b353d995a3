package sandbox

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// unlimitedTTL is how long a message without a time to live of its own is tried
// (Meta: Time-to-live).
const unlimitedTTL = 30 * 24 * time.Hour

// PersonChange is what happens to a person's WhatsApp. Fields left out stay as
// they are.
type PersonChange struct {
	From        string `json:"from,omitempty"`         // E.164, digits
	OnWhatsApp  *bool  `json:"on_whatsapp,omitempty"`  // false: what is sent is accepted and then fails with 131026
	Online      *bool  `json:"online,omitempty"`       // false: the phone is off; true: it gets what has not outlived its time
	NewIdentity bool   `json:"new_identity,omitempty"` // another phone, or another person with this number: 137000 for the old hash
}

// Person is somebody as WhatsApp knows them.
type Person struct {
	WaID       string `json:"wa_id"`
	UserID     string `json:"user_id"`
	Identity   string `json:"identity_key_hash"`
	OnWhatsApp bool   `json:"on_whatsapp"`
	Online     bool   `json:"online"`
	Stopped    bool   `json:"marketing_stopped"`
}

// ChangePerson changes what becomes of messages to a person. A phone that is
// switched on gets at once what waits for it; a message whose time to live has
// passed meanwhile is dropped without a word, as Meta does.
func (s *Sandbox) ChangePerson(c PersonChange) (Person, error) {
	wa := s.who(c.From)
	if wa == "" || isBSUID(wa) {
		return Person{}, errors.New("sandbox: a person needs from, a telephone number with its country code")
	}
	if c.OnWhatsApp == nil && c.Online == nil && !c.NewIdentity {
		return Person{}, errors.New("sandbox: nothing to change; write on_whatsapp, online or new_identity")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.From = ""
	l := &personLine{WaID: wa, At: time.Now().UnixMilli(), PersonChange: c}
	if err := s.note(line{Person: l}); err != nil {
		return Person{}, err
	}
	for _, e := range s.changePerson(l) {
		s.queue.add(e)
	}
	s.kick()
	return s.view(wa), nil
}

// Person tells what WhatsApp knows of a number, given as E.164 or digits.
func (s *Sandbox) Person(address string) Person {
	who := s.who(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.persons[who]; p != nil { // known by their BSUID too
		who = p.wa
	} else if who != "" && !isBSUID(who) {
		s.person(who)
	}
	return s.view(who)
}

func (s *Sandbox) view(wa string) Person {
	v := Person{WaID: wa, UserID: bsuid(s.cfg.Seed, wa), Identity: s.identityOf(wa), OnWhatsApp: s.onWhatsApp(wa), Online: true}
	if p := s.persons[wa]; p != nil {
		v.Online, v.Stopped = !p.offline, p.Stopped
	}
	return v
}

// changePerson applies a change and returns the statuses that follow from it. It
// depends on the line only, so that a restart comes to the same.
func (s *Sandbox) changePerson(l *personLine) []event {
	p := s.person(l.WaID)
	if l.OnWhatsApp != nil {
		p.member = l.OnWhatsApp
	}
	if l.NewIdentity {
		p.identity++
	}
	if l.Online == nil {
		return nil
	}
	p.offline = !*l.Online
	if p.offline {
		return nil
	}
	var list []event
	for i := range s.ledger.count {
		r := s.ledger.get(i)
		if r.flags&flagOffline == 0 || r.flags&flagDropped != 0 || s.persons[r.to] != p || l.At >= r.expires() {
			continue
		}
		r.flags &^= flagOffline
		luck := s.chance(r)
		if luck.never || r.flags&flagSilent != 0 {
			continue
		}
		delivered := max(l.At, r.sentAt(luck)) + luck.delivered.Milliseconds()
		for _, e := range repeated(arrivals(delivered, luck), luck) {
			e.rec = int32(i)
			list = append(list, e)
		}
	}
	return list
}

// expires is when a message is dropped that has not been delivered. Unix
// milliseconds.
func (r *record) expires() int64 {
	if r.ttl == 0 {
		return r.at + unlimitedTTL.Milliseconds()
	}
	return r.at + int64(r.ttl)*1000
}

// onWhatsApp reports whether there is an account with this wa_id or BSUID.
func (s *Sandbox) onWhatsApp(who string) bool {
	if p := s.persons[who]; p != nil && p.member != nil {
		return *p.member
	}
	for _, prefix := range s.profile.Absent {
		if strings.HasPrefix(who, prefix) {
			return false
		}
	}
	return true
}

// identityOf returns the hash of a person's identity key: eight bytes in
// base64, as in Meta's examples.
func (s *Sandbox) identityOf(who string) string {
	changes := uint32(0)
	if p := s.persons[who]; p != nil {
		who, changes = p.wa, p.identity
	}
	h := digest(s.cfg.Seed, "identity", who, strconv.Itoa(int(changes)))
	return base64.StdEncoding.EncodeToString(h[:8])
}

// arrives reports whether the person ever sees a message.
func (s *Sandbox) arrives(r *record) bool {
	if r.code != 0 || r.flags&(flagOffline|flagDropped) != 0 || r.flags&flagHeld != 0 && r.state == stateAccepted {
		return false
	}
	return !s.chance(r).never
}

// reportPayload is what the button below a code brings (Meta: Authentication
// templates, "I didn't request a code").
const reportPayload = "DID_NOT_REQUEST_CODE"

// NotRequested is a person who says that they did not ask for a code.
type NotRequested struct {
	From string `json:"from"` // E.164, digits: who taps
	Of   string `json:"of"`   // whose code it is; empty: From's own. Another's is a forgery, which Meta never posts
}

// NotRequested posts the webhook of the button "I didn't request a code" below
// the latest code that a person has received, and returns its wamid. It returns
// an error when there is none.
func (s *Sandbox) NotRequested(n NotRequested) (string, error) {
	if n.Of == "" {
		n.Of = n.From
	}
	who := s.who(n.Of)
	in := Inbound{From: n.From, Type: "button", Text: "I didn't request a code", ButtonPayload: reportPayload}
	s.mu.Lock()
	for i := s.ledger.count - 1; i >= 0 && in.ReplyTo == ""; i-- {
		r := s.ledger.get(i)
		if r.to == who && s.ledger.kinds[r.kind].category == "authentication" && s.arrives(r) {
			in.ReplyTo, in.NumberID = s.wamidOf(r), s.byIndex[r.number].ID
		}
	}
	s.mu.Unlock()
	if in.ReplyTo == "" {
		return "", errors.New("sandbox: this person has received no code")
	}
	return s.Inbound(in)
}

// SetIdentityCheck switches a number's identity key check: with it, statuses of
// messages that were sent without a hash, and inbound messages, carry the
// person's hash, and a message with a hash of old fails with 137000 (Meta:
// Identity change check).
func (s *Sandbox) SetIdentityCheck(number string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	num, err := s.numberOrFirst(number)
	if err != nil {
		return err
	}
	if err := s.note(line{Identity: &identityLine{num.ID, on}}); err != nil {
		return err
	}
	num.IdentityCheck = on
	return nil
}

// settings is the body of POST /{number}/settings, as far as it is emulated.
type settings struct {
	Identity *identitySetting `json:"user_identity_change"`
}

type identitySetting struct {
	Check *bool `json:"enable_identity_key_check"`
}

// numberSettings is GET and POST /{number}/settings.
func (s *Sandbox) numberSettings(c *call, n *number) {
	if c.r.Method == http.MethodGet {
		s.mu.Lock()
		on := n.IdentityCheck
		s.mu.Unlock()
		s.answer(c.w, http.StatusOK, settings{&identitySetting{&on}})
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		s.answerError(c.w, badParameter("the body could not be read"))
		return
	}
	var in settings
	if e := decode(raw, &in, "settings"); e != nil {
		s.answerError(c.w, e)
		return
	}
	if in.Identity == nil || in.Identity.Check == nil {
		s.answerError(c.w, badParameter("The parameter user_identity_change['enable_identity_key_check'] is required; the sandbox emulates no other setting."))
		return
	}
	if err := s.SetIdentityCheck(n.ID, *in.Identity.Check); err != nil {
		s.answerError(c.w, refuse(2, "the sandbox cannot write its journal"))
		return
	}
	s.answer(c.w, http.StatusOK, map[string]bool{"success": true})
}

// numberChange is POST /numbers of the management door.
type numberChange struct {
	Number
	IdentityCheck *bool `json:"identity_key_check"`
}

func (s *Sandbox) changeNumber(c numberChange) error {
	if err := s.SetNumber(c.Number); err != nil || c.IdentityCheck == nil {
		return err
	}
	return s.SetIdentityCheck(c.ID, *c.IdentityCheck)
}

func (s *Sandbox) getNumbers(w http.ResponseWriter, _ *http.Request) {
	list := []Number{}
	s.mu.Lock()
	for _, n := range s.byIndex {
		list = append(list, n.Number)
	}
	s.mu.Unlock()
	manageAnswer(w, http.StatusOK, map[string]any{"numbers": list})
}
