package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// accept judges a send against the state of the sandbox and, if nothing is
// wrong with it, makes it a message: journal first, then ledger and plan.
func (s *Sandbox) accept(q *request, num *number, f *Fault) (*accepted, *graphError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	k := kind{typ: q.Type, category: "service"}
	var out rendered
	var e *graphError
	var ttl int32
	var via flags
	if q.Type == "template" {
		if out, via, e = s.judge(q, num, now); e != nil {
			return nil, e
		}
		t := s.templates[s.refOf(q, num)]
		k.template, k.language, k.category = t.Name, t.Language, strings.ToLower(t.Category)
		ttl = int32(max(t.TTLSeconds, 0))
	} else {
		if m := q.freeMedia(); m != nil {
			out.media = []shown{{m, q.Type}}
		}
		if q.Text != nil {
			out.text = q.Text.Body
		}
	}
	if s.app.recipients != nil && !slices.Contains(s.app.recipients, digitsOf(q.To)) {
		return nil, refuse(131030, "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.")
	}
	if e := s.checkMedia(num, out.media, now); e != nil {
		return nil, e
	}
	if q.Type == "template" {
		if e := s.limitReach(num, q.who, now); e != nil {
			return nil, e
		}
	}
	if e := s.limit(num, q.who, now); e != nil {
		return nil, e
	}
	r := record{
		key: q.Callback, to: q.who, at: now.UnixMilli(), ttl: ttl,
		kind: s.ledger.kind(k), number: num.index, flags: via,
	}
	r.nth = s.ledger.next(r.key, r.to, r.kind)
	luck := s.chance(&r)
	s.destine(&r, q, k, luck, f, now)
	if s.journal != nil {
		if err := s.journal.send(&r, num.ID, k); err != nil {
			s.log.Error("sandbox: the journal cannot be written; refusing", "err", err)
			return nil, refuse(2, "the sandbox cannot write its journal")
		}
	}
	s.reached(&r, k, luck)
	s.openEntryPoint(&r, now)
	i := s.ledger.add(r, out.text)
	s.plan(i, f != nil && f.Kind == FaultStatusBeforeAnswer)
	return &accepted{answer: s.sendAnswer(q, &r, k), latency: luck.latency}, nil
}

func (s *Sandbox) refOf(q *request, num *number) whatsapp.TemplateRef {
	return whatsapp.TemplateRef{WABA: num.account.ID, Name: q.template.Name, Language: q.template.Language.Code}
}

// judge compares the send with the template as it stands at this moment.
func (s *Sandbox) judge(q *request, num *number, now time.Time) (out rendered, via flags, e *graphError) {
	ref := s.refOf(q, num)
	t := s.templates[ref]
	if t == nil {
		return out, 0, refuse(132001, "template name (%s) does not exist in %s", ref.Name, ref.Language)
	}
	switch t.Status {
	case "APPROVED":
	case "PAUSED":
		return out, 0, refuse(132015, "template (%s) is paused due to low quality", ref.Name)
	case "DISABLED":
		return out, 0, refuse(132016, "template (%s) has been paused too many times due to low quality and is now permanently disabled", ref.Name)
	default:
		return out, 0, refuse(132001, "template (%s) in %s is not approved, its status is %s", ref.Name, ref.Language, t.Status)
	}
	if t.Category == "AUTHENTICATION" && isBSUID(q.who) {
		return out, 0, refuse(131062, "Authentication templates can only be sent to a phone number")
	}
	lite, e := s.viaMarketing(q, num, t, now)
	if e != nil {
		return out, 0, e
	}
	if q.marketing {
		via |= flagMarketing
	}
	if lite {
		via |= flagLite
	}
	out, e = t.check(&q.template, now)
	return out, via, e
}

// destine decides at acceptance whether the message will be held or fail. What
// a fault and the state of the person say goes before chance.
func (s *Sandbox) destine(r *record, q *request, k kind, luck fate, f *Fault, now time.Time) {
	marketing := k.category == "marketing"
	p := s.persons[r.to]
	if p != nil && p.entryOpen(r.number, now) {
		r.flags |= flagFreeEnd
	}
	open := p != nil && p.windowOpen(r.number, now)
	if k.category == "service" && !open {
		r.flags |= flagNoWindow
	}
	if !s.reachable() || f != nil && f.Kind == FaultSilence {
		r.flags |= flagSilent
	}
	check := s.byIndex[r.number].IdentityCheck
	if check && q.IdentityHash == "" {
		r.flags |= flagIdentity
	}
	switch {
	case f != nil && f.Kind == FaultFailedStatus:
		r.code = int32(f.Code)
	case f != nil && f.Kind == FaultHeld:
		r.flags |= flagHeld
	case !s.onWhatsApp(r.to):
		r.code = 131026
	case check && q.IdentityHash != "" && q.IdentityHash != s.identityOf(r.to):
		r.code = 137000
	case r.flags&flagNoWindow != 0:
		r.code = 131047
	case marketing && p != nil && p.Stopped:
		r.code = 131050
	case luck.undeliverable:
		r.code = 131026
	case marketing && luck.capped && !open:
		r.code = 131049
	case marketing && luck.held:
		r.flags |= flagHeld
	}
	if p != nil && p.offline && r.code == 0 {
		r.flags |= flagOffline
	}
}

// chance is what chance holds for a message: it depends on the message's own key
// only. It keeps no code from its person: whoever tries the first one shall see it
// arrive, and who wants a failure may ask for it.
func (s *Sandbox) chance(r *record) fate {
	k := s.ledger.kinds[r.kind]
	luck := s.profile.fate(dice(s.cfg.Seed, "fate", r.key, r.to, k.typ, k.template, k.language, strconv.Itoa(int(r.nth))))
	if k.category == "authentication" {
		luck.undeliverable, luck.never = false, false
	}
	return luck
}

func (s *Sandbox) wamidOf(r *record) string {
	k := s.ledger.kinds[r.kind]
	h := digest(s.cfg.Seed, "wamid", r.key, r.to, k.typ, k.template, k.language, strconv.Itoa(int(r.nth)))
	return wamid(r.to, h[:9], false)
}

// userID returns the BSUID of a person where this sandbox shows it, else "".
func (s *Sandbox) userID(who string) string {
	if isBSUID(who) {
		return who
	}
	if dice(s.cfg.Seed, "shows", who).Float64() < s.profile.BSUIDChance {
		return bsuid(s.cfg.Seed, who)
	}
	return ""
}

func (s *Sandbox) sendAnswer(q *request, r *record, k kind) sendAnswer {
	contact := answerContact{Input: q.To, WaID: r.to, UserID: s.userID(r.to)}
	if isBSUID(r.to) {
		contact = answerContact{Input: r.to, UserID: r.to}
	}
	m := answerMessage{ID: s.wamidOf(r)}
	if k.typ == "template" {
		m.Status = "accepted"
		if r.flags&flagHeld != 0 {
			m.Status = "held_for_quality_assessment"
		}
	}
	return sendAnswer{Product: "whatsapp", Contacts: []answerContact{contact}, Messages: []answerMessage{m}}
}
