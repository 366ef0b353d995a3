package optin

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	ana   = whatsapp.Phone("+5511900000001").Identity()
	bruno = whatsapp.Phone("+12025550101").Identity()
)

var sqlPutNumber = store.SQL(`INSERT INTO numbers (id, name, waba_id, unit) VALUES (?1, ?2, 'w', ?3)`)

// ledger is a database with the numbers loja-sp, loja-rj (unit varejo) and
// cobranca, and a clock that the test sets.
type ledger struct {
	testing.TB
	*store.DB
	clock *time.Time
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	now := day(30)
	l := &ledger{TB: t, clock: &now}
	var err error
	l.DB, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "j.db"), Wall: func() time.Time { return *l.clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	l.write(func(tx *store.Tx) error {
		for _, n := range [][3]string{{"101", "loja-sp", "varejo"}, {"102", "loja-rj", "varejo"}, {"103", "cobranca", ""}} {
			if _, err := tx.Exec(sqlPutNumber, n[0], n[1], n[2]); err != nil {
				return err
			}
		}
		return nil
	})
	return l
}

// day is noon of a day of March 2026 (UTC).
func day(d int) time.Time { return time.Date(2026, 3, d, 12, 0, 0, 0, time.UTC) }

func (l *ledger) write(fn func(*store.Tx) error) {
	l.Helper()
	if err := l.Write(l.Context(), fn); err != nil {
		l.Fatal(err)
	}
}

func (l *ledger) read(fn func(*store.Snap) error) {
	l.Helper()
	if err := l.Read(l.Context(), fn); err != nil {
		l.Fatal(err)
	}
}

func (l *ledger) grant(id whatsapp.Identity, c whatsapp.Category, scope string, at time.Time) (r Recorded) {
	l.Helper()
	l.write(func(tx *store.Tx) (err error) {
		r, err = Record(tx, Grant{Identity: id, Category: c, Scope: scope, Source: SourceAPI, At: at, Evidence: Evidence{Text: "quero receber"}})
		return err
	})
	return r
}

func (l *ledger) revoke(id whatsapp.Identity, c whatsapp.Category, scope string, at time.Time) (reached []int64, out []outbox.Outcome) {
	l.Helper()
	l.write(func(tx *store.Tx) (err error) {
		reached, out, err = Revoke(tx, Revocation{Identities: []whatsapp.Identity{id}, Categories: []whatsapp.Category{c}, Scope: scope,
			Source: SourceWhatsApp, At: at, Evidence: Evidence{Message: "77"}})
		return err
	})
	return reached, out
}

func (l *ledger) state(id whatsapp.Identity, c whatsapp.Category, scopes ...string) (s State) {
	l.Helper()
	if len(scopes) == 0 {
		scopes = Scopes("loja-sp", "varejo")
	}
	l.read(func(q *store.Snap) error {
		who, ok, err := contacts.Find(q, id)
		if err != nil || !ok {
			l.Fatalf("%v is not known: %v", id, err)
		}
		s, err = Current(q, who.ID, c, scopes)
		return err
	})
	return s
}

// queue puts a message of the category on a number's stream.
func (l *ledger) queue(contact int64, id whatsapp.Identity, c whatsapp.Category, number string) (msg int64) {
	l.Helper()
	l.write(func(tx *store.Tx) error {
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: number, WABA: "w", Category: c, Template: "t", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: id}})
		msg = ids[0]
		return err
	})
	return msg
}

func messages(out []outbox.Outcome) []int64 {
	var ids []int64
	for _, o := range out {
		ids = append(ids, o.Message)
	}
	return ids
}

// ninth returns a Brazilian mobile as a phone with its ninth digit, and as the
// wa_id without it that Meta answers. The range for examples has no such pair.
func ninth(t testing.TB) (phone, waID whatsapp.Identity) {
	t.Helper()
	f, err := os.Open("../internal/whatsapp/testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		cells := strings.Split(sc.Text(), "|")
		if len(cells) < 4 || strings.TrimSpace(cells[0]) != "br eight digits" {
			continue
		}
		digits := strings.NewReplacer("+", "", " ", "", "-", "").Replace(cells[1])
		return whatsapp.Phone(strings.TrimSpace(cells[3])).Identity(), whatsapp.WaID(digits).Identity()
	}
	t.Fatal("no number for the ninth digit")
	return
}

func TestGrantThenStop(t *testing.T) {
	l := newLedger(t)
	r := l.grant(ana, whatsapp.Marketing, "", day(1))
	if !r.Fresh || !r.Changed || !r.State.Granted {
		t.Fatalf("first grant: %+v", r)
	}
	if s := l.state(ana, whatsapp.Utility); s.Granted || s.Reason != ReasonNoOptIn {
		t.Errorf("a grant for marketing says of utility %+v", s)
	}
	again := l.grant(ana, whatsapp.Marketing, "*", day(1))
	if again.Fresh || again.Changed || again.Event != r.Event {
		t.Errorf("the same grant again: %+v", again)
	}
	l.revoke(ana, whatsapp.Marketing, "", day(5))
	want := State{GrantedAt: day(1), RevokedAt: day(5), GrantEvent: r.Event, Reason: ReasonOptedOut}
	got := l.state(ana, whatsapp.Marketing)
	want.RevokeEvent = got.RevokeEvent
	if diff := cmp.Diff(want, got); diff != "" || got.RevokeEvent == 0 {
		t.Errorf("after STOP (-want +got):\n%s", diff)
	}
	if r := l.grant(ana, whatsapp.Marketing, "", day(3)); !r.Fresh || r.Changed || r.State.Granted {
		t.Errorf("an older grant overrides a later revocation: %+v", r)
	}
	if r := l.grant(ana, whatsapp.Marketing, "", day(5)); r.State.Granted {
		t.Errorf("at a tie the revocation must stand: %+v", r)
	}
	if r := l.grant(ana, whatsapp.Marketing, "", day(6)); !r.Changed || !l.state(ana, whatsapp.Marketing).Granted {
		t.Errorf("a later grant does not count: %+v", r)
	}
	l.read(func(q *store.Snap) error {
		events, err := History(q, r.Contact)
		var got []string
		for _, e := range events {
			got = append(got, e.Kind+" "+e.At.Format("01-02")+" "+string(e.Source)+" "+e.Evidence.Text+e.Evidence.Message)
		}
		want := []string{"grant 03-01 api quero receber", "revoke 03-05 whatsapp 77", "grant 03-03 api quero receber",
			"grant 03-05 api quero receber", "grant 03-06 api quero receber"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		return err
	})
}

func TestScopes(t *testing.T) {
	l := newLedger(t)
	l.grant(ana, whatsapp.Marketing, "varejo", day(1))
	sp, rj, billing := Scopes("loja-sp", "varejo"), Scopes("loja-rj", "varejo"), Scopes("cobranca", "")
	check := func(when string, want map[string]bool) {
		t.Helper()
		for name, scopes := range map[string][]string{"sp": sp, "rj": rj, "billing": billing} {
			if got := l.state(ana, whatsapp.Marketing, scopes...).Granted; got != want[name] {
				t.Errorf("%s: %s granted = %t", when, name, got)
			}
		}
	}
	check("granted to the unit", map[string]bool{"sp": true, "rj": true})
	l.revoke(ana, whatsapp.Marketing, "loja-sp", day(2))
	check("revoked for one number", map[string]bool{"rj": true})
	l.grant(ana, whatsapp.Marketing, "*", day(3))
	check("granted to all, later", map[string]bool{"sp": true, "rj": true, "billing": true})
	l.revoke(ana, whatsapp.Marketing, "*", day(4))
	check("revoked for all", nil)
	l.grant(ana, whatsapp.Marketing, "cobranca", day(5))
	check("granted to one number, later", map[string]bool{"billing": true})
}

func TestMetaBlockAndLift(t *testing.T) {
	l := newLedger(t)
	l.grant(ana, whatsapp.Marketing, "", day(1))
	l.revoke(ana, whatsapp.Marketing, ScopeMeta, day(2))
	l.grant(ana, whatsapp.Marketing, "", day(3))
	if s := l.state(ana, whatsapp.Marketing); s.Granted || s.Reason != ReasonOptedOut || !s.RevokedAt.Equal(day(2)) {
		t.Errorf("a block in WhatsApp is overridden by a grant with us: %+v", s)
	}
	lift := func(at time.Time) (changed []int64) {
		l.write(func(tx *store.Tx) (err error) {
			changed, err = Lift(tx, ana, whatsapp.Marketing, SourcePreferences, "", Evidence{}, at)
			return err
		})
		return changed
	}
	if got := lift(day(4)); len(got) != 1 || !l.state(ana, whatsapp.Marketing).Granted {
		t.Errorf("the lift changed %v", got)
	}
	if got := lift(day(4)); got != nil {
		t.Errorf("the same lift again changed %v", got)
	}
	l.revoke(ana, whatsapp.Marketing, "", day(5))
	lift(day(6))
	if l.state(ana, whatsapp.Marketing).Granted {
		t.Error("resuming in WhatsApp took back a STOP that was said to us")
	}
	l.revoke(ana, whatsapp.Marketing, ScopeMeta, day(5))
	l.grant(ana, whatsapp.Marketing, "", day(7))
	if !l.state(ana, whatsapp.Marketing).Granted {
		t.Error("a block that arrives after its lift stands")
	}
	l.write(func(tx *store.Tx) error {
		_, err := Record(tx, Grant{Identity: ana, Category: whatsapp.Marketing, Scope: ScopeMeta, Source: SourceAPI, At: day(8)})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("a grant lifted Meta's block: %v", err)
		}
		return nil
	})
}

func TestStopReachesEverySpelling(t *testing.T) {
	l := newLedger(t)
	phone, waID := ninth(t)
	a := l.grant(phone, whatsapp.Marketing, "", day(1))
	reached, _ := l.revoke(waID, whatsapp.Marketing, "", day(2))
	if len(reached) != 2 || l.state(phone, whatsapp.Marketing).Reason != ReasonOptedOut {
		t.Fatalf("a STOP from the wa_id reached %v", reached)
	}
	l.read(func(q *store.Snap) error {
		events, err := History(q, a.Contact)
		if last := events[len(events)-1]; last.Kind != kindRevoke || !strings.HasPrefix(last.Evidence.Via, "revoked by contact ") {
			t.Errorf("the reached contact's event is %+v", last)
		}
		return err
	})
	l.grant(waID, whatsapp.Marketing, "", day(3))
	if l.state(phone, whatsapp.Marketing).Granted {
		t.Error("a grant travelled by the wide key")
	}
}

func TestContactMadeLaterInherits(t *testing.T) {
	l := newLedger(t)
	phone, waID := ninth(t)
	l.revoke(waID, whatsapp.Marketing, "", day(5))
	r := l.grant(phone, whatsapp.Marketing, "", day(1))
	if r.State.Granted || r.State.Reason != ReasonOptedOut {
		t.Errorf("an older grant under another spelling overrides the STOP: %+v", r)
	}
	l.read(func(q *store.Snap) error {
		events, err := History(q, r.Contact)
		if len(events) != 2 || events[0].Kind != kindRevoke || !events[0].At.Equal(day(5)) || !strings.HasPrefix(events[0].Evidence.Via, "inherited from contact ") {
			t.Errorf("history: %+v", events)
		}
		return err
	})
	l.write(func(tx *store.Tx) error {
		n, err := Inherit(tx, r.Contact)
		if n != 0 {
			t.Errorf("inherited %d events again", n)
		}
		return err
	})
	if r := l.grant(phone, whatsapp.Marketing, "", day(6)); !r.State.Granted {
		t.Errorf("a later grant does not count: %+v", r)
	}
}

func TestRevocationBindsTheWholePerson(t *testing.T) {
	l := newLedger(t)
	bsuid := whatsapp.BSUID("BR.150212345").Identity()
	l.grant(ana, whatsapp.Marketing, "", day(1))
	l.revoke(bsuid, whatsapp.Marketing, "", day(2))
	if !l.state(ana, whatsapp.Marketing).Granted {
		t.Fatal("a stranger's STOP binds")
	}
	l.write(func(tx *store.Tx) error {
		_, err := contacts.Learn(tx, ana, bsuid)
		return err
	})
	if s := l.state(ana, whatsapp.Marketing); s.Granted || s.Reason != ReasonOptedOut {
		t.Errorf("after the pair was learnt: %+v", s)
	}
	l.grant(bsuid, whatsapp.Marketing, "", day(3))
	if l.state(ana, whatsapp.Marketing).Granted {
		t.Error("a grant counts where it was not given")
	}
}

func TestRevokeCancelsWhatItForbids(t *testing.T) {
	l := newLedger(t)
	phone, waID := ninth(t)
	r := l.grant(phone, whatsapp.Marketing, "", day(1))
	sp := l.queue(r.Contact, phone, whatsapp.Marketing, "101")
	rj := l.queue(r.Contact, phone, whatsapp.Marketing, "102")
	bill := l.queue(r.Contact, phone, whatsapp.Marketing, "103")
	util := l.queue(r.Contact, phone, whatsapp.Utility, "101")
	other := l.grant(bruno, whatsapp.Marketing, "", day(1))
	l.queue(other.Contact, bruno, whatsapp.Marketing, "101")

	for _, c := range []struct {
		what, scope string
		category    whatsapp.Category
		at          time.Time
		want        []int64
	}{
		{"older than the grant", "*", whatsapp.Marketing, day(1).Add(-time.Hour), nil},
		{"scope of nobody", "nowhere", whatsapp.Marketing, day(2), nil},
		{"one number", "loja-sp", whatsapp.Marketing, day(2), []int64{sp}},
		{"unit", "varejo", whatsapp.Marketing, day(3), []int64{rj}},
		{"all", "*", whatsapp.Marketing, day(4), []int64{bill}},
		{"block", ScopeMeta, whatsapp.Utility, day(4), []int64{util}},
	} {
		_, out := l.revoke(waID, c.category, c.scope, c.at)
		if diff := cmp.Diff(c.want, messages(out)); diff != "" {
			t.Errorf("%s: cancelled (-want +got):\n%s", c.what, diff)
		}
		for _, o := range out {
			if o.To != outbox.Cancelled || o.Reason != ReasonOptedOut {
				t.Errorf("%s: outcome %+v", c.what, o)
			}
		}
	}
}

func TestNumberGrantedLaterKeepsItsMessages(t *testing.T) {
	l := newLedger(t)
	l.grant(ana, whatsapp.Marketing, "", day(1))
	r := l.grant(ana, whatsapp.Marketing, "cobranca", day(9))
	bill := l.queue(r.Contact, ana, whatsapp.Marketing, "103")
	sp := l.queue(r.Contact, ana, whatsapp.Marketing, "101")
	_, out := l.revoke(ana, whatsapp.Marketing, "*", day(5))
	if diff := cmp.Diff([]int64{sp}, messages(out)); diff != "" {
		t.Errorf("cancelled (-want +got), %d must stay:\n%s", bill, diff)
	}
}

func TestRevokeRemembersStrangers(t *testing.T) {
	l := newLedger(t)
	reached, _ := l.revoke(ana, whatsapp.Marketing, "", day(2))
	if len(reached) != 1 {
		t.Fatalf("reached %v", reached)
	}
	if r := l.grant(ana, whatsapp.Marketing, "", day(1)); r.State.Reason != ReasonOptedOut {
		t.Errorf("an older grant after the STOP: %+v", r.State)
	}
}

func TestDatesOutsideReason(t *testing.T) {
	l := newLedger(t)
	l.grant(ana, whatsapp.Marketing, "", day(30).Add(20*time.Hour))
	*l.clock = day(30).Add(time.Minute)
	l.revoke(ana, whatsapp.Marketing, "", day(30).Add(time.Minute))
	if l.state(ana, whatsapp.Marketing).Granted {
		t.Error("a grant dated ahead beats a STOP that came after it was recorded")
	}
	for _, at := range []time.Time{{}, time.Unix(0, 0), day(30).Add(25 * time.Hour)} {
		l.write(func(tx *store.Tx) error {
			if _, err := Record(tx, Grant{Identity: bruno, Category: whatsapp.Marketing, Source: SourceAPI, At: at}); !errors.Is(err, ErrInvalid) {
				t.Errorf("a grant of %v: %v", at, err)
			}
			return nil
		})
	}
	l.grant(bruno, whatsapp.Marketing, "", day(1))
	l.revoke(bruno, whatsapp.Marketing, "", time.Unix(1, 0)) // a revocation is never lost for its date
	if l.state(bruno, whatsapp.Marketing).Granted {
		t.Error("a revocation with an impossible date was lost")
	}
}

func TestRefused(t *testing.T) {
	l := newLedger(t)
	good := Grant{Identity: ana, Category: whatsapp.Marketing, Source: SourceAPI, At: day(1)}
	for what, spoil := range map[string]func(*Grant){
		"nobody":         func(g *Grant) { g.Identity = whatsapp.Identity{} },
		"service":        func(g *Grant) { g.Category = whatsapp.Service },
		"no source":      func(g *Grant) { g.Source = "" },
		"reserved scope": func(g *Grant) { g.Scope = "@home" },
	} {
		g := good
		spoil(&g)
		l.write(func(tx *store.Tx) error {
			if _, err := Record(tx, g); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
			return nil
		})
	}
	l.write(func(tx *store.Tx) error {
		for _, r := range []Revocation{
			{Categories: []whatsapp.Category{whatsapp.Marketing}, Source: SourceAPI, At: day(1)},
			{Identities: []whatsapp.Identity{ana}, Source: SourceAPI, At: day(1)},
			{Identities: []whatsapp.Identity{ana}, Categories: []whatsapp.Category{whatsapp.Service}, Source: SourceAPI, At: day(1)},
			{Identities: []whatsapp.Identity{ana}, Categories: []whatsapp.Category{whatsapp.Marketing}, At: day(1)},
			{Identities: []whatsapp.Identity{ana}, Categories: []whatsapp.Category{whatsapp.Marketing}, Source: SourceAPI},
		} {
			if _, _, err := Revoke(tx, r); !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v: %v", r, err)
			}
		}
		return nil
	})
}
