package gate

import (
	"slices"
	"testing"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// hit is one failure of a message to a person, by what brought it.
func (w *world) hit(t *testing.T, contact int64, code int, byStatus bool) Reaction {
	t.Helper()
	var r Reaction
	w.write(t, func(tx *store.Tx) (err error) {
		s := inCampaign()
		r, err = React(tx, Failure{Message: outbox.Message{Contact: contact}, Stream: s, Code: whatsapp.LookupCode(code, 0), ByStatus: byStatus})
		return err
	})
	return r
}

func (w *world) setback(t *testing.T, contact int64) (s Setback) {
	t.Helper()
	err := w.Read(t.Context(), func(q *store.Snap) (err error) { s, err = SetbackOf(q, contact); return err })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// joined is a person with two contacts, and a stranger, all of whom agreed to
// everything.
func (w *world) joined(t *testing.T) (phoneID, bsuidID, strangerID int64) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		p, err := person(tx, 1)
		if err != nil {
			return err
		}
		b, err := contacts.Learn(tx, whatsapp.BSUID("BR.1502").Identity())
		if err != nil {
			return err
		}
		if _, err := contacts.Learn(tx, phone(1), whatsapp.BSUID("BR.1502").Identity()); err != nil {
			return err
		}
		s, err := person(tx, 2)
		if err != nil {
			return err
		}
		for _, id := range []int64{p.ID, b.ID, s.ID} {
			for _, c := range whatsapp.TemplateCategories {
				if err := grant(tx, id, c); err != nil {
					return err
				}
			}
		}
		phoneID, bsuidID, strangerID = p.ID, b.ID, s.ID
		return nil
	})
	return phoneID, bsuidID, strangerID
}

// Meta chose not to deliver marketing (131049), by an answer or a status: no
// marketing to the person for a day, and nothing else changes. What cannot wait
// so long is refused.
func TestMarketingCapped(t *testing.T) {
	for _, byStatus := range []bool{false, true} {
		w := newWorld(t)
		ana, too, bruno := w.joined(t)
		w.hit(t, ana, 131049, byStatus)
		want := func(contact int64, c whatsapp.Category, deadline time.Time, kind Kind, reason Reason, until time.Time) {
			t.Helper()
			w.undone(t, func(tx *store.Tx) error {
				s, err := outbox.OpenStream(tx, streamOf(c))
				if err != nil {
					return err
				}
				ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: phone(1), Deadline: deadline}})
				if err != nil {
					return err
				}
				m, _, err := outbox.ByID(tx, ids[0])
				if err != nil {
					return err
				}
				v, _, err := Judge(tx, m)
				if v.Kind != kind || v.Reason != reason || !v.Until.Equal(until) {
					t.Errorf("%s to %d: %s %q until %s", c, contact, v.Kind, v.Reason, v.Until)
				}
				return err
			})
		}
		day := start.Add(24 * time.Hour)
		for _, contact := range []int64{ana, too} {
			want(contact, whatsapp.Marketing, time.Time{}, Wait, MarketingCapped, day)
			want(contact, whatsapp.Marketing, day.Add(time.Minute), Wait, MarketingCapped, day)
			want(contact, whatsapp.Marketing, day, Refuse, MarketingCapped, time.Time{})
			want(contact, whatsapp.Utility, time.Time{}, Go, "", time.Time{})
			want(contact, whatsapp.Authentication, time.Time{}, Go, "", time.Time{})
		}
		want(bruno, whatsapp.Marketing, time.Time{}, Go, "", time.Time{})
		w.wall = day.Add(-time.Millisecond)
		want(ana, whatsapp.Marketing, time.Time{}, Wait, MarketingCapped, day)
		w.hit(t, too, 131049, byStatus) // again, from then on
		w.wall = day
		want(ana, whatsapp.Marketing, time.Time{}, Wait, MarketingCapped, day.Add(24*time.Hour-time.Millisecond))
		w.wall = day.Add(24 * time.Hour)
		want(ana, whatsapp.Marketing, time.Time{}, Go, "", time.Time{})
	}
}

// A claim parks a capped message until the cap is over, and burns no attempt.
func TestCappedWaitsInTheQueue(t *testing.T) {
	w := newWorld(t)
	ana, _, bruno := w.joined(t)
	w.hit(t, ana, 131049, true)
	w.write(t, func(tx *store.Tx) error {
		_, ids, err := queue(tx, inCampaign(), ana, bruno)
		if err != nil {
			return err
		}
		claimed, _, err := claimAll(tx, whatsapp.LaneMarketing, 10)
		if err != nil {
			return err
		}
		if len(claimed) != 1 || claimed[0].Contact != bruno {
			t.Errorf("claimed %+v", claimed)
		}
		m, _, err := outbox.ByID(tx, ids[0])
		if m.State != outbox.Queued || m.Attempt != 0 || m.NotBefore != store.Millis(start.Add(24*time.Hour)) {
			t.Errorf("it is %s after %d attempts, until %d", m.State, m.Attempt, m.NotBefore)
		}
		return err
	})
}

// A person to whom nothing could be delivered on three different days gets only
// codes and answers, until they can be reached again.
func TestUndeliverable(t *testing.T) {
	refused := func(w *world, contact int64) (out []whatsapp.Category) {
		for _, c := range []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Authentication} {
			w.undone(t, func(tx *store.Tx) error {
				s := streamOf(c)
				s.Lane = c.Lane()
				f, err := FactsOfPerson(tx, contact, c, accountNumber())
				if v := Decide(s, nil, f, tx.Now()); v.Kind == Refuse && v.Reason == NotReachable {
					out = append(out, c)
				}
				return err
			})
		}
		return out
	}
	both := []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	w := newWorld(t)
	ana, too, bruno := w.joined(t)
	for i, after := range []time.Duration{0, time.Hour, 18 * time.Hour, 5 * time.Hour, 12 * time.Hour, 8 * time.Hour} {
		w.wall = w.wall.Add(after)
		r := w.hit(t, []int64{ana, too}[i%2], 131026, i%2 == 0)
		if r.Gone != (i == 5) {
			t.Errorf("failure %d: gone is %v; %+v", i, r.Gone, w.setback(t, ana))
		}
		if got := refused(w, ana); (len(got) > 0) != (i == 5) {
			t.Errorf("failure %d: refused are %v", i, got)
		}
	}
	for _, contact := range []int64{ana, too} {
		if got := refused(w, contact); !slices.Equal(got, both) {
			t.Errorf("contact %d: refused are %v", contact, got)
		}
	}
	if got := refused(w, bruno); got != nil {
		t.Errorf("somebody else: refused are %v", got)
	}
	w.write(t, func(tx *store.Tx) error {
		list, err := Undeliverable(tx, Setback{}, 10)
		if err != nil || len(list) != 2 || list[0].Contact != ana || list[1].Contact != too {
			t.Errorf("listed %+v (%v)", list, err)
		}
		rest, err := Undeliverable(tx, list[0], 10)
		if err != nil || len(rest) != 1 || rest[0].Contact != too {
			t.Errorf("from behind the first on %+v (%v)", rest, err)
		}
		if n, err := CountUndeliverable(tx); err != nil || n != 2 {
			t.Errorf("%d are counted (%v)", n, err)
		}
		n, err := Reachable(tx, bruno)
		if err != nil || n != 0 {
			t.Errorf("somebody else: %d (%v)", n, err)
		}
		n, err = Reachable(tx, too)
		if err != nil || n != 2 {
			t.Errorf("the person: %d (%v)", n, err)
		}
		return err
	})
	if got := refused(w, ana); got != nil {
		t.Errorf("after they could be reached: refused are %v", got)
	}
	if s := w.setback(t, ana); s.Days != 0 {
		t.Errorf("days are counted on: %+v", s)
	}
}

// What arrives between begins the count anew.
func TestArrivalBeginsTheCountAnew(t *testing.T) {
	w := newWorld(t)
	ana, too, _ := w.joined(t)
	days := func(after time.Duration) int {
		w.wall = w.wall.Add(after)
		w.hit(t, ana, 131026, true)
		return w.setback(t, ana).Days
	}
	if n := days(0); n != 1 {
		t.Fatalf("%d days", n)
	}
	if n := days(24 * time.Hour); n != 2 {
		t.Fatalf("%d days", n)
	}
	w.wall = w.wall.Add(time.Hour)
	w.write(t, func(tx *store.Tx) error { // a message to the other name
		s, ids, err := queue(tx, streamOf(whatsapp.Utility), too)
		if err != nil {
			return err
		}
		m, _, err := outbox.ByID(tx, ids[0])
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		_, _, err = outbox.Observe(tx, outbox.Observation{Message: m.ID, Attempt: 1, Status: "delivered", At: tx.Now()})
		return err
	})
	for i, want := range []int{1, 2, 3} {
		if n := days(24 * time.Hour); n != want {
			t.Errorf("failure %d: %d days, want %d", i, n, want)
		}
	}
	if s := w.setback(t, ana); s.UndeliverableAt != store.Millis(w.wall) {
		t.Errorf("%+v", s)
	}
}

// Meta bars the account from a country (130497): nothing but codes and answers
// goes there for a day; then one message tries again.
func TestBarredCountry(t *testing.T) {
	w := newWorld(t)
	var us, br int64
	number := accountNumber()
	w.write(t, func(tx *store.Tx) error {
		for who, id := range map[*int64]whatsapp.Identity{&us: whatsapp.Phone("+12025550101").Identity(), &br: whatsapp.Phone("+5511900000001").Identity()} {
			c, _, err := contacts.Ensure(tx, id)
			if err != nil {
				return err
			}
			*who = c.ID
			for _, category := range whatsapp.TemplateCategories {
				if err := grant(tx, c.ID, category); err != nil {
					return err
				}
			}
		}
		for _, m := range []outbox.Message{{Contact: us, Kind: whatsapp.KindPhone, Address: "+12025550101"}, {Contact: 7, Kind: whatsapp.KindBSUID, Address: "BR.1502"}} {
			if _, err := React(tx, Failure{Message: m, Stream: inCampaign(), Code: whatsapp.LookupCode(130497, 0)}); err != nil {
				return err
			}
		}
		return nil
	})
	refused := func(contact int64) (out []whatsapp.Category) {
		for _, c := range []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Authentication} {
			w.undone(t, func(tx *store.Tx) error {
				f, err := FactsOfPerson(tx, contact, c, number)
				if v := Decide(streamOf(c), nil, f, tx.Now()); v.Reason == CountryBarred && v.Kind == Refuse {
					out = append(out, c)
				}
				return err
			})
		}
		return out
	}
	if got := refused(us); !slices.Equal(got, []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}) {
		t.Errorf("refused to the country are %v", got)
	}
	if got := refused(br); got != nil {
		t.Errorf("refused elsewhere are %v", got)
	}
	number.WABA = "another"
	if got := refused(us); got != nil {
		t.Errorf("of another account are refused %v", got)
	}
	number = accountNumber()
	w.write(t, func(tx *store.Tx) error { // a claim says the same, and tries nothing
		s, ids, err := queue(tx, inCampaign(), us, br)
		if err != nil {
			return err
		}
		for i, to := range []string{"+12025550101", "+5511900000001"} {
			if err := tx.One(setAddress, ids[i], to); err != nil {
				return err
			}
		}
		claimed, _, err := claimAll(tx, whatsapp.LaneMarketing, 10)
		if err != nil {
			return err
		}
		if len(claimed) != 1 || claimed[0].Contact != br || claimed[0].Stream != s.ID {
			t.Errorf("claimed %+v", claimed)
		}
		m, _, err := outbox.ByID(tx, ids[0])
		if m.State != outbox.Refused || m.Reason != string(CountryBarred) || m.Attempt != 0 {
			t.Errorf("it is %s %q after %d attempts", m.State, m.Reason, m.Attempt)
		}
		return err
	})
	w.wall = w.wall.Add(24 * time.Hour)
	if got := refused(us); got != nil {
		t.Errorf("after a day are refused %v", got)
	}
}

var setAddress = store.SQL(`UPDATE messages SET address = ?2 WHERE id = ?1`)
