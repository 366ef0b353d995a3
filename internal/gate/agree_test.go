package gate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// drawState fills the database with something random: people, joins, consents,
// windows, holds, a stream and its messages.
func drawState(rt *rapid.T, tx *store.Tx) (outbox.Stream, []int64, error) {
	var zero outbox.Stream
	few := func(name string) bool { return rapid.IntRange(0, 4).Draw(rt, name) == 0 }
	minute := rapid.SampledFrom([]int64{0, ms(-60), ms(-30), ms(-1), ms(0)})
	contacts := []int64{1, 2, 3, 4}
	for _, c := range contacts {
		root := c
		if c > 1 && few("join") {
			root = 1
		}
		if _, err := tx.Exec(putContact, c, root); err != nil {
			return zero, nil, err
		}
	}
	category := rapid.SampledFrom([]whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Authentication, whatsapp.Service}).Draw(rt, "category")
	for _, c := range contacts {
		for range rapid.IntRange(0, 3).Draw(rt, "consents") {
			scope := rapid.SampledFrom([]string{"*", "*", "loja", "varejo", "cobranca", "@meta", "@review"}).Draw(rt, "scope")
			of := category
			if of == whatsapp.Service || few("another category") {
				of = whatsapp.Marketing
			}
			if _, err := tx.Exec(putConsent, c, string(of), scope, minute.Draw(rt, "granted"), minute.Draw(rt, "revoked")); err != nil {
				return zero, nil, err
			}
		}
		if few("setback") {
			until, since := rapid.SampledFrom([]int64{0, ms(-1), ms(0), ms(1), ms(90)}).Draw(rt, "capped until"), rapid.SampledFrom([]int64{0, 0, ms(-60)}).Draw(rt, "undeliverable")
			if _, err := tx.Exec(putSetback, c, until, since); err != nil {
				return zero, nil, err
			}
		}
		if few("wrote to us") {
			ends := rapid.SampledFrom([]int64{ms(-1), ms(2), ms(2) + 1, ms(90)}).Draw(rt, "window")
			if _, err := tx.Exec(putWindow, rapid.SampledFrom([]string{number1, number2}).Draw(rt, "window's number"), c, ends); err != nil {
				return zero, nil, err
			}
		}
	}
	if few("barred") {
		if _, err := tx.Exec(sqlBar, waba, rapid.SampledFrom([]string{"US", "BR"}).Draw(rt, "country"), rapid.SampledFrom([]int64{ms(0), ms(1)}).Draw(rt, "barred until")); err != nil {
			return zero, nil, err
		}
	}
	for i := range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(rt, "holds") {
		h := rapid.SampledFrom([]outbox.Hold{{Scope: outbox.ScopeAll}, {Scope: outbox.ScopeNumber, Target: number1}, {Scope: outbox.ScopeCategory, Target: "utility"},
			{Scope: outbox.ScopeCampaign, Target: "natal"}}).Draw(rt, "hold")
		until := rapid.SampledFrom([]int64{0, ms(-1), ms(0), ms(1)}).Draw(rt, "until")
		if _, err := tx.Exec(putHold, i+1, string(h.Scope), h.Target, fmt.Sprint("reason", i), ms(-60), until, rapid.Bool().Draw(rt, "probe"), 0); err != nil {
			return zero, nil, err
		}
	}
	s := streamOf(category)
	s.Number = rapid.SampledFrom([]string{number1, number1, number2, number3}).Draw(rt, "number")
	if s.Template != "" && few("template") {
		name, status := "odd", rapid.SampledFrom([]whatsapp.TemplateStatus{whatsapp.TemplateApproved, whatsapp.TemplatePaused}).Draw(rt, "status")
		of := rapid.SampledFrom([]whatsapp.Category{category, whatsapp.Marketing}).Draw(rt, "template's category")
		err := listed(tx, name, of, status, rapid.SampledFrom([]string{hash, "new"}).Draw(rt, "hash"), few("missing"))
		if err != nil {
			return zero, nil, err
		}
		s.Template = rapid.SampledFrom([]string{name, "invented"}).Draw(rt, "which")
	}
	s.NotApproved = rapid.SampledFrom([]string{"wait", "skip", "fail"}).Draw(rt, "not approved")
	s.DryRun = few("dry run")
	if few("campaign") {
		s.Campaign = "natal"
	}
	if few("windows") {
		s.Windows = outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{start.Weekday()}, From: rapid.SampledFrom([]int{0, 720, 721}).Draw(rt, "from"), To: 780}}}
	}
	s, err := outbox.OpenStream(tx, s)
	if err != nil {
		return zero, nil, err
	}
	rows := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) outbox.New {
		n := outbox.New{Contact: rapid.SampledFrom(contacts).Draw(rt, "contact"), To: phone(1)}
		if few("user id") {
			n.To = whatsapp.BSUID("BR.1502").Identity()
		}
		if few("deadline") {
			n.Deadline = rapid.SampledFrom([]time.Time{at(-1), at(0), at(1)}).Draw(rt, "deadline at")
		}
		if few("later") {
			n.NotBefore = rapid.SampledFrom([]time.Time{at(-1), at(0), at(1)}).Draw(rt, "not before")
		}
		return n
	}), 1, 6).Draw(rt, "messages")
	ids, _, err := outbox.Enqueue(tx, s, rows)
	return s, ids, err
}

// TestJudgeAgreesWithClaim asks for the verdict on every message of a random
// database, then claims: what was said must be what happens. The facts that plan
// and the API ask for, and the consent ledger's own answer, must say the same.
func TestJudgeAgreesWithClaim(t *testing.T) {
	w := newWorld(t)
	ends := map[outbox.State]int{}
	// Several databases a check: each is undone, and costs nothing on disk.
	check := func(rt *rapid.T) {
		err := w.Write(context.Background(), func(tx *store.Tx) error {
			s, ids, err := drawState(rt, tx)
			if err != nil {
				return err
			}
			number, _, err := account.NumberByID(tx, s.Number)
			if err != nil {
				return err
			}
			number.ID = s.Number
			said := map[int64]Verdict{}
			var waits []Verdict
			for _, id := range ids {
				m, _, err := outbox.ByID(tx, id)
				if err != nil {
					return err
				}
				if said[id], waits, err = Judge(tx, m); err != nil {
					return err
				}
				f, err := FactsOfPerson(tx, m.Contact, s.Category, number)
				if err != nil {
					return err
				}
				f.Kind, f.NotBefore, f.Deadline = m.Kind, m.NotBefore, m.Deadline
				countries, err := barred(tx, s.WABA) // by the address: these people have no names
				if err != nil {
					return err
				}
				if !reaches(s.Category) {
					f.Barred = barredIn(countries, countryOf(m.Kind, m.Address))
				}
				if diff := cmp.Diff(said[id], Decide(s, waits, f, tx.Now())); diff != "" {
					return fmt.Errorf("judge and the facts of the person disagree about message %d:\n%s", id, diff)
				}
				if s.Category == whatsapp.Service {
					continue
				}
				c, err := optin.Current(tx, m.Contact, s.Category, optin.Scopes(number.Name, number.Unit))
				if err != nil {
					return err
				}
				if r := string(said[id].Reason); r != string(AuthenticationOnly) && (r == optin.ReasonOptedOut || r == optin.ReasonNoOptIn) != !c.Granted || !c.Granted && r != string(AuthenticationOnly) && r != c.Reason {
					return fmt.Errorf("message %d: the gate says %q, the consent ledger granted %v %q", id, r, c.Granted, c.Reason)
				}
			}
			holds, err := outbox.Holds(tx)
			if err != nil {
				return err
			}
			probing := false
			for _, h := range holds {
				probing = probing || h.Stops(&s) && h.MayProbe(tx.Now())
			}
			open, _, err := Opens(tx, s.Category.Lane())
			if err != nil {
				return err
			}
			refusing := false // the stream stands, and its messages are refused for it
			for _, v := range waits {
				refusing = refusing || s.NotApproved != "wait" && (v.Reason == TemplateNotApproved || v.Reason == TemplateUnknown)
			}
			if want := len(waits) == 0 || refusing; want != (len(open) == 1) {
				return fmt.Errorf("%d streams are open, and what stops it is %v", len(open), waits)
			}
			looked := 0 // rows that a claim may look at
			if len(open) == 1 {
				if looked = len(ids); probing {
					looked = 1
				}
				if _, _, err := Claim(tx, open[0], len(ids)); err != nil {
					return err
				}
			}
			moved := 0
			for _, id := range ids {
				m, _, err := outbox.ByID(tx, id)
				if err != nil {
					return err
				}
				ends[m.State]++
				v := said[id]
				want, reason := outbox.Queued, ""
				switch due := m.NotBefore <= store.Millis(tx.Now()); {
				case !due || len(open) == 0 || v.Kind == Wait:
				case probing && m.State == outbox.Queued: // perhaps not the first in the queue
				case v.Kind == Go:
					want = outbox.Sending
				case v.Reason == Deadline:
					want, reason = outbox.Expired, "deadline"
				case v.Reason == DryRun:
					want, reason = outbox.Cancelled, "dry_run"
				default:
					want, reason = outbox.Refused, string(v.Reason)
				}
				if m.State != want || m.Reason != reason {
					return fmt.Errorf("message %d: judged %s %q, and became %s %q", id, v.Kind, v.Reason, m.State, m.Reason)
				}
				if m.State != outbox.Queued {
					moved++
				}
			}
			if moved > looked {
				return fmt.Errorf("%d messages moved, at most %d may", moved, looked)
			}
			if probing && looked == 1 && moved == 0 && len(open) == 1 {
				for _, id := range ids { // then nothing was due, or the first in the queue was passed over
					if said[id].Reason == UnderReview || said[id].Reason == MarketingCapped {
						return errUndo
					}
				}
				for _, id := range ids {
					if m, _, _ := outbox.ByID(tx, id); m.NotBefore <= store.Millis(tx.Now()) {
						return fmt.Errorf("message %d was due, and no probe went", id)
					}
				}
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			rt.Fatal(err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			check(rt)
		}
	})
	if testing.Short() {
		return
	}
	for _, s := range []outbox.State{outbox.Queued, outbox.Sending, outbox.Refused, outbox.Expired, outbox.Cancelled} {
		if ends[s] == 0 {
			t.Errorf("no message ever became %s: the test is blind", s)
		}
	}
}
