package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func ms(minutes int) int64 { return store.Millis(at(minutes)) }

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// good are facts with which a marketing message leaves.
func good() (StreamFacts, MessageFacts) {
	return StreamFacts{
			Stream: outbox.Stream{Number: number1, WABA: waba, Category: whatsapp.Marketing, Template: "sale", Language: "pt_BR", NotApproved: "wait", TemplateHash: hash},
			Number: account.Number{ID: number1}, Known: true,
			Template: account.Template{Category: whatsapp.Marketing, Status: whatsapp.TemplateApproved, Hash: hash}, Listed: true,
		}, MessageFacts{
			Kind: whatsapp.KindPhone, Contact: 1, Consent: Consent{GrantedAt: ms(-60)},
		}
}

func TestDecide(t *testing.T) {
	weekday := outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{start.Weekday()}, From: 720, To: 780}}} // from start on, an hour
	later := outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{start.Weekday()}, From: 780, To: 800}}}
	never := outbox.Windows{Zone: "UTC", List: []outbox.Window{{From: 780, To: 800}}}
	hold := outbox.Hold{Scope: outbox.ScopeAll, Reason: "paused", Actor: "operator"}
	for _, c := range []struct {
		name   string
		change func(*StreamFacts, *MessageFacts)
		want   Verdict // without the detail
	}{
		{"as it should be", func(*StreamFacts, *MessageFacts) {}, Verdict{}},
		{"no grant", func(_ *StreamFacts, m *MessageFacts) { m.Consent = Consent{} }, Verdict{Kind: Refuse, Reason: NoOptIn}},
		{"revoked", func(_ *StreamFacts, m *MessageFacts) { m.Consent.RevokedAt = ms(-59) }, Verdict{Kind: Refuse, Reason: OptedOut}},
		{"revoked at the instant of the grant", func(_ *StreamFacts, m *MessageFacts) { m.Consent.RevokedAt = ms(-60) }, Verdict{Kind: Refuse, Reason: OptedOut}},
		{"revoked, and granted again", func(_ *StreamFacts, m *MessageFacts) { m.Consent.RevokedAt = ms(-61) }, Verdict{}},
		{"revoked and never granted", func(_ *StreamFacts, m *MessageFacts) { m.Consent = Consent{RevokedAt: ms(-1)} }, Verdict{Kind: Refuse, Reason: OptedOut}},
		{"blocked before the grant", func(_ *StreamFacts, m *MessageFacts) { m.Consent.MetaBlock = ms(-90) }, Verdict{Kind: Refuse, Reason: OptedOut}},
		{"blocked and never granted", func(_ *StreamFacts, m *MessageFacts) { m.Consent = Consent{MetaBlock: ms(-1)} }, Verdict{Kind: Refuse, Reason: OptedOut}},

		{"deadline to come", func(_ *StreamFacts, m *MessageFacts) { m.Deadline = ms(0) + 1 }, Verdict{}},
		{"deadline now", func(_ *StreamFacts, m *MessageFacts) { m.Deadline = ms(0) }, Verdict{Kind: Refuse, Reason: Deadline}},
		{"deadline passed while held", func(f *StreamFacts, m *MessageFacts) { m.Deadline, f.Holds = ms(-1), []outbox.Hold{hold} }, Verdict{Kind: Refuse, Reason: Deadline}},
		{"nobody's consent is asked of the dead", func(_ *StreamFacts, m *MessageFacts) { m.Deadline, m.Consent = ms(-1), Consent{} }, Verdict{Kind: Refuse, Reason: NoOptIn}},

		{"held", func(f *StreamFacts, _ *MessageFacts) { f.Holds = []outbox.Hold{hold} }, Verdict{Kind: Wait, Reason: Held}},
		{"held for a time", func(f *StreamFacts, _ *MessageFacts) { hold := hold; hold.Until = ms(5); f.Holds = []outbox.Hold{hold} }, Verdict{Kind: Wait, Reason: Held, Until: at(5)}},
		{"held until now", func(f *StreamFacts, _ *MessageFacts) { hold := hold; hold.Until = ms(0); f.Holds = []outbox.Hold{hold} }, Verdict{}},
		{"held, and a probe may go", func(f *StreamFacts, _ *MessageFacts) {
			hold := hold
			hold.Until, hold.Probe = ms(0), true
			f.Holds = []outbox.Hold{hold}
		}, Verdict{}},
		{"one hold ended, another stands", func(f *StreamFacts, _ *MessageFacts) {
			ended := hold
			ended.Until = ms(-1)
			f.Holds = []outbox.Hold{ended, hold}
		}, Verdict{Kind: Wait, Reason: Held}},

		{"number not configured", func(f *StreamFacts, _ *MessageFacts) { f.Known = false }, Verdict{Kind: Wait, Reason: NumberUnknown}},
		{"template not listed", func(f *StreamFacts, _ *MessageFacts) { f.Listed = false }, Verdict{Kind: Wait, Reason: TemplateUnknown}},
		{"template missing", func(f *StreamFacts, _ *MessageFacts) { f.Template.Missing = true }, Verdict{Kind: Wait, Reason: TemplateUnknown}},
		{"template paused", func(f *StreamFacts, _ *MessageFacts) { f.Template.Status = whatsapp.TemplatePaused }, Verdict{Kind: Wait, Reason: TemplateNotApproved}},
		{"template of a status nobody knows", func(f *StreamFacts, _ *MessageFacts) { f.Template.Status = "IN_APPEAL" }, Verdict{Kind: Wait, Reason: TemplateNotApproved}},
		{"template of no status", func(f *StreamFacts, _ *MessageFacts) { f.Template.Status = "" }, Verdict{Kind: Wait, Reason: TemplateNotApproved}},
		{"template of another category", func(f *StreamFacts, _ *MessageFacts) { f.Template.Category = whatsapp.Utility }, Verdict{Kind: Wait, Reason: CategoryDrift}},
		{"template of no category of ours", func(f *StreamFacts, _ *MessageFacts) { f.Template.Category = "" }, Verdict{Kind: Wait, Reason: CategoryDrift}},
		{"template changed", func(f *StreamFacts, _ *MessageFacts) { f.Template.Hash = "new" }, Verdict{Kind: Wait, Reason: TemplateChanged}},
		{"template changed and any will do", func(f *StreamFacts, _ *MessageFacts) { f.Template.Hash, f.Stream.TemplateHash = "new", "" }, Verdict{}},
		{"skip what is paused", func(f *StreamFacts, _ *MessageFacts) {
			f.Template.Status, f.Stream.NotApproved = whatsapp.TemplatePaused, "skip"
		}, Verdict{Kind: Refuse, Reason: TemplateSkipped}},
		{"fail what is unknown", func(f *StreamFacts, _ *MessageFacts) { f.Listed, f.Stream.NotApproved = false, "fail" }, Verdict{Kind: Refuse, Reason: TemplateSkipped}},
		{"skip does not concern a change", func(f *StreamFacts, _ *MessageFacts) { f.Template.Hash, f.Stream.NotApproved = "new", "skip" }, Verdict{Kind: Wait, Reason: TemplateChanged}},
		{"skip does not concern a drift", func(f *StreamFacts, _ *MessageFacts) {
			f.Template.Category, f.Stream.NotApproved = whatsapp.Utility, "fail"
		}, Verdict{Kind: Wait, Reason: CategoryDrift}},

		{"within its windows", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows = weekday }, Verdict{}},
		{"within its windows, and people are not there yet", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows, f.Behind = weekday, 20*time.Minute },
			Verdict{Kind: Wait, Reason: OutsideWindow, Until: at(20)}},
		{"within its windows, by both clocks", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows, f.Behind = weekday, 7*24*time.Hour }, Verdict{}},
		{"no windows, and people are far behind", func(f *StreamFacts, _ *MessageFacts) { f.Behind = 20 * time.Minute }, Verdict{}},
		{"outside its windows, and people are behind", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows, f.Behind = later, 20*time.Minute },
			Verdict{Kind: Wait, Reason: OutsideWindow, Until: at(60)}},
		{"outside its windows", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows = later }, Verdict{Kind: Wait, Reason: OutsideWindow, Until: at(60)}},
		{"its last message of the day", func(f *StreamFacts, _ *MessageFacts) {
			f.Stream.Throttle, f.Today = outbox.Throttle{PerDay: 3, Zone: "America/Sao_Paulo"}, 2
		}, Verdict{}},
		{"no more today", func(f *StreamFacts, _ *MessageFacts) {
			f.Stream.Throttle, f.Today = outbox.Throttle{PerDay: 3, Zone: "America/Sao_Paulo"}, 3
		}, Verdict{Kind: Wait, Reason: DayLimit, Until: at(15 * 60)}},
		{"windows that never open", func(f *StreamFacts, _ *MessageFacts) { f.Stream.Windows = never }, Verdict{Kind: Wait, Reason: OutsideWindow}},
		{"not due", func(_ *StreamFacts, m *MessageFacts) { m.NotBefore = ms(1) }, Verdict{Kind: Wait, Reason: NotDue, Until: at(1)}},
		{"due now", func(_ *StreamFacts, m *MessageFacts) { m.NotBefore = ms(0) }, Verdict{}},
		{"dry run", func(f *StreamFacts, _ *MessageFacts) { f.Stream.DryRun = true }, Verdict{Kind: Refuse, Reason: DryRun}},
		{"dry run that is held", func(f *StreamFacts, _ *MessageFacts) { f.Stream.DryRun, f.Holds = true, []outbox.Hold{hold} }, Verdict{Kind: Wait, Reason: Held}},

		{"a code to a phone", func(f *StreamFacts, _ *MessageFacts) { authentication(f) }, Verdict{}},
		{"a code to a wa_id", func(f *StreamFacts, m *MessageFacts) { authentication(f); m.Kind = whatsapp.KindWaID }, Verdict{}},
		{"a code to a user id", func(f *StreamFacts, m *MessageFacts) { authentication(f); m.Kind = whatsapp.KindBSUID }, Verdict{Kind: Refuse, Reason: AuthenticationOnly}},
		{"a code to a parent's user id", func(f *StreamFacts, m *MessageFacts) { authentication(f); m.Kind = whatsapp.KindParentBSUID }, Verdict{Kind: Refuse, Reason: AuthenticationOnly}},
		{"a campaign to a user id", func(_ *StreamFacts, m *MessageFacts) { m.Kind = whatsapp.KindBSUID }, Verdict{}},

		{"under review", func(_ *StreamFacts, m *MessageFacts) { m.Consent.ReviewAt = ms(-1) }, Verdict{Kind: Wait, Reason: UnderReview}},
		{"under review and revoked", func(_ *StreamFacts, m *MessageFacts) { m.Consent.ReviewAt, m.Consent.RevokedAt = ms(-2), ms(-1) }, Verdict{Kind: Refuse, Reason: OptedOut}},
		{"under review and too late", func(_ *StreamFacts, m *MessageFacts) { m.Consent.ReviewAt, m.Deadline = ms(-2), ms(0) }, Verdict{Kind: Refuse, Reason: Deadline}},
		{"under review, of a stream that is held", func(f *StreamFacts, m *MessageFacts) { m.Consent.ReviewAt, f.Holds = ms(-2), []outbox.Hold{hold} }, Verdict{Kind: Wait, Reason: Held}},
		{"a reply to who is under review", func(f *StreamFacts, m *MessageFacts) {
			service(f)
			m.Consent.ReviewAt, m.WindowEnd = ms(-1), ms(60)
		}, Verdict{}},

		{"a reply within the window", func(f *StreamFacts, m *MessageFacts) { service(f); m.Consent, m.WindowEnd = Consent{}, ms(2)+1 }, Verdict{}},
		{"a reply two minutes before its end", func(f *StreamFacts, m *MessageFacts) { service(f); m.WindowEnd = ms(2) }, Verdict{Kind: Refuse, Reason: WindowClosed}},
		{"a reply to who never wrote", func(f *StreamFacts, m *MessageFacts) { service(f) }, Verdict{Kind: Refuse, Reason: WindowClosed}},
		{"a reply to who opted out of marketing", func(f *StreamFacts, m *MessageFacts) {
			service(f)
			m.Consent, m.WindowEnd = Consent{RevokedAt: ms(-1), MetaBlock: ms(-1)}, ms(60)
		}, Verdict{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, m := good()
			c.change(&f, &m)
			got := Decide(f.Stream, DecideStream(f, start), m, start)
			if (got.Detail == "") != (got.Kind == Go) {
				t.Errorf("detail %q of %s", got.Detail, got.Kind)
			}
			if got.Detail = ""; !cmp.Equal(c.want, got) {
				t.Error(cmp.Diff(c.want, got))
			}
		})
	}
}

func authentication(f *StreamFacts) {
	f.Stream.Category, f.Template.Category = whatsapp.Authentication, whatsapp.Authentication
}

func service(f *StreamFacts) {
	f.Stream.Category, f.Stream.Template, f.Stream.TemplateHash, f.Listed = whatsapp.Service, "", "", false
}

// naive is a second judge: everything that speaks against the message, in the
// order of what the sender should hear first.
func naive(f StreamFacts, m MessageFacts, now int64) (all []Verdict) {
	s := f.Stream
	say := func(when bool, k Kind, r Reason, until int64) {
		if when {
			all = append(all, Verdict{Kind: k, Reason: r, Until: store.Time(until)})
		}
	}
	told := s.Category != whatsapp.Service // a template: consent decides
	c := m.Consent
	say(s.Category == whatsapp.Authentication && (m.Kind == whatsapp.KindBSUID || m.Kind == whatsapp.KindParentBSUID), Refuse, AuthenticationOnly, 0)
	say(told && (c.MetaBlock > 0 || c.RevokedAt > 0 && c.RevokedAt >= c.GrantedAt), Refuse, OptedOut, 0)
	say(told && c.MetaBlock == 0 && c.RevokedAt == 0 && c.GrantedAt == 0, Refuse, NoOptIn, 0)
	offered := s.Category == whatsapp.Marketing || s.Category == whatsapp.Utility
	say(offered && m.UndeliverableAt > 0, Refuse, NotReachable, 0)
	say(offered && m.Barred != "", Refuse, CountryBarred, 0)
	say(m.Deadline > 0 && m.Deadline <= now, Refuse, Deadline, 0)
	hasTemplate := s.Template != ""
	there := f.Listed && !f.Template.Missing
	approved := there && f.Template.Status == "APPROVED"
	say(hasTemplate && !approved && s.NotApproved != "wait", Refuse, TemplateSkipped, 0)
	for _, h := range f.Holds {
		say(h.Until == 0 || h.Until > now, Wait, Held, h.Until)
	}
	say(!f.Known, Wait, NumberUnknown, 0)
	say(hasTemplate && !there, Wait, TemplateUnknown, 0)
	say(hasTemplate && there && !approved, Wait, TemplateNotApproved, 0)
	say(hasTemplate && approved && f.Template.Category != s.Category, Wait, CategoryDrift, 0)
	say(hasTemplate && approved && f.Template.Category == s.Category && s.TemplateHash != "" && s.TemplateHash != f.Template.Hash, Wait, TemplateChanged, 0)
	say(f.Fileless, Wait, MediaExpired, 0)
	say(s.Throttle.PerDay > 0 && f.Today >= s.Throttle.PerDay, Wait, DayLimit, ms(12*60)) // midnight
	// The one window of this test is an hour of the start's day.
	day := int64(24 * 60 * 60 * 1000)
	if len(s.Windows.List) > 0 {
		from := ms(0) + int64(s.Windows.List[0].From-720)*60_000
		opens := from
		if now >= from+3_600_000 {
			opens += day
		}
		say(now < from || now >= from+3_600_000, Wait, OutsideWindow, opens)
	}
	say(told && c.ReviewAt > 0, Wait, UnderReview, 0)
	capped := s.Category == whatsapp.Marketing && m.CappedUntil > now
	tooLate := m.Deadline > 0 && m.Deadline <= m.CappedUntil
	say(capped && tooLate, Refuse, MarketingCapped, 0)
	say(capped && !tooLate, Wait, MarketingCapped, m.CappedUntil)
	say(m.NotBefore > now, Wait, NotDue, m.NotBefore)
	say(!told && m.WindowEnd <= now+120_000, Refuse, WindowClosed, 0)
	say(s.DryRun, Refuse, DryRun, 0)
	return all
}

func drawFacts(t *rapid.T) (StreamFacts, MessageFacts) {
	f, m := good()
	minute := func(name string) int64 {
		return rapid.SampledFrom([]int64{0, 0, ms(-60), ms(-60) + 1, ms(-1), ms(0), ms(0) + 1, ms(1), ms(2), ms(2) + 1, ms(90)}).Draw(t, name)
	}
	odd := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
	switch rapid.IntRange(0, 3).Draw(t, "category") {
	case 0:
		authentication(&f)
	case 1:
		service(&f)
	}
	f.Stream.NotApproved = rapid.SampledFrom([]string{"wait", "skip", "fail"}).Draw(t, "not approved")
	f.Stream.DryRun, f.Known = odd("dry run"), !odd("number unknown")
	f.Fileless = odd("a file is missing")
	if odd("a limit per day") {
		f.Stream.Throttle, f.Today = outbox.Throttle{PerDay: 10, Zone: "UTC"}, rapid.Int64Range(8, 12).Draw(t, "today")
	}
	differences := rapid.SampledFrom([][]string{nil, nil, {"listing"}, {"missing"}, {"status"}, {"category"}, {"hash"}, {"hash"},
		{"missing", "status"}, {"status", "category", "hash"}, {"category", "hash"}}).Draw(t, "template differs in")
	differs := func(what string) bool { return slices.Contains(differences, what) }
	f.Listed = f.Stream.Template != "" && !differs("listing")
	f.Template.Missing = differs("missing")
	if differs("status") {
		f.Template.Status = rapid.SampledFrom([]whatsapp.TemplateStatus{"PAUSED", "DISABLED", "", "approved"}).Draw(t, "status")
	}
	if differs("category") {
		f.Template.Category = rapid.SampledFrom([]whatsapp.Category{whatsapp.Utility, ""}).Draw(t, "template's category")
	}
	if differs("hash") {
		f.Template.Hash = "new"
	}
	if odd("any hash") {
		f.Stream.TemplateHash = ""
	}
	for range rapid.IntRange(0, 2).Draw(t, "holds") {
		f.Holds = append(f.Holds, outbox.Hold{Scope: outbox.ScopeAll, Until: minute("until"), Probe: rapid.Bool().Draw(t, "probe")})
	}
	if odd("windows") {
		hour := rapid.SampledFrom([]int{660, 661, 700, 720, 721, 780}).Draw(t, "from")
		f.Stream.Windows = outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: hour, To: hour + 60}}}
	}
	m.Kind = rapid.SampledFrom([]whatsapp.IdentityKind{whatsapp.KindPhone, whatsapp.KindPhone, whatsapp.KindWaID, whatsapp.KindBSUID, whatsapp.KindParentBSUID}).Draw(t, "kind")
	m.Consent = Consent{GrantedAt: minute("granted"), RevokedAt: minute("revoked")}
	if odd("consents") {
		m.Consent = Consent{GrantedAt: ms(-60)}
	}
	if odd("block") {
		m.Consent.MetaBlock = minute("blocked")
	}
	if odd("review") {
		m.Consent.ReviewAt = minute("under review since")
	}
	if odd("setbacks") {
		m.CappedUntil = minute("capped until")
	}
	if odd("setbacks") {
		m.UndeliverableAt = minute("undeliverable since")
	}
	if odd("country") {
		m.Barred = "XX"
	}
	if odd("deadlines") {
		m.Deadline, m.NotBefore = minute("deadline"), minute("not before")
	}
	m.WindowEnd = minute("window")
	return f, m
}

func TestDecideAgainstASecondJudge(t *testing.T) {
	reasons := map[Reason]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 50 { // a verdict costs nothing, a check of rapid does
			f, m := drawFacts(t)
			all := naive(f, m, ms(0))
			got := Decide(f.Stream, DecideStream(f, start), m, start)
			reasons[got.Reason]++
			var want Verdict
			if len(all) > 0 {
				want = all[0]
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Verdict{}, "Detail")); diff != "" {
				t.Fatalf("%+v\n%+v\n%s", f, m, diff)
			}
			if got.Kind == Go && len(all) > 0 { // whatever the order: nothing may speak against it
				t.Fatalf("goes, although %v", all)
			}
			// What stops the stream stops every message of it, and is all told.
			var stream []Verdict
			for _, v := range all {
				if v.Kind == Wait && v.Reason != NotDue && v.Reason != UnderReview && v.Reason != MarketingCapped {
					stream = append(stream, v)
				}
			}
			if diff := cmp.Diff(stream, DecideStream(f, start), cmpopts.IgnoreFields(Verdict{}, "Detail"), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%+v\n%s", f, diff)
			}
		}
	})
	if testing.Short() {
		return
	}
	for _, r := range append(Reasons(), "") {
		if reasons[r] == 0 {
			t.Errorf("the test never met the reason %q", r)
		}
	}
}

func TestReasonsAreListedOnce(t *testing.T) {
	all := Reasons()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%v has doubles", all)
	}
}
