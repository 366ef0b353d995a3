package optin

import (
	"errors"
	"testing"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// doubt puts what somebody wrote on the list.
func (l *ledger) doubt(id whatsapp.Identity, wamid, text string) (review int64) {
	l.Helper()
	l.write(func(tx *store.Tx) error {
		c, _, err := contacts.Ensure(tx, id)
		if err != nil {
			return err
		}
		hint, ok := Maybe(text)
		if !ok {
			l.Fatalf("%q is no hint", text)
		}
		review, err = OpenReview(tx, Doubt{Contact: c.ID, Number: "101", Wamid: whatsapp.Wamid(wamid), Text: text, Hint: hint, At: tx.Now()})
		return err
	})
	return review
}

// waits tells whether marketing to somebody waits for a review: the mark that
// the gate looks for.
func (l *ledger) waits(id whatsapp.Identity) (open bool) {
	l.Helper()
	l.read(func(q *store.Snap) error {
		c, ok, err := contacts.Find(q, id)
		if err != nil || !ok {
			return err
		}
		_, open, err = store.Value[int64](q, sqlReviewOf, c.ID)
		return err
	})
	return open
}

func (l *ledger) decide(review int64, stop bool) (out []outbox.Outcome) {
	l.Helper()
	l.write(func(tx *store.Tx) (err error) {
		_, out, err = DecideReview(tx, review, stop, "operator")
		return err
	})
	return out
}

func (l *ledger) review(id int64) (r Review) {
	l.Helper()
	l.read(func(q *store.Snap) (err error) {
		r, _, err = ReviewByID(q, id)
		return err
	})
	return r
}

const enough = "parem de me mandar mensagem"

func TestReviewHoldsAndIsDecided(t *testing.T) {
	l := newLedger(t)
	c := l.grant(ana, whatsapp.Marketing, "*", day(1))
	first := l.doubt(ana, "wamid.1", enough)
	if first == 0 || !l.waits(ana) {
		t.Fatalf("review %d, waits %v", first, l.waits(ana))
	}
	if again := l.doubt(ana, "wamid.2", enough); again != 0 {
		t.Errorf("a second review %d was opened beside the first", again)
	}
	if st := l.state(ana, whatsapp.Marketing); !st.Granted {
		t.Error("a doubt revoked: it must not")
	}
	r := l.review(first)
	if r.Text != enough || r.State != ReviewOpen || r.Hint.Rule != "stop_sending" || r.Contact != c.Contact || !r.SaidAt.Equal(day(30)) {
		t.Errorf("review %+v", r)
	}
	l.decide(first, false)
	if l.waits(ana) || !l.state(ana, whatsapp.Marketing).Granted {
		t.Error("kept, and marketing does not go")
	}
	if r := l.review(first); r.State != ReviewKept || r.Text != "" || r.DecidedBy != "operator" || r.DecidedAt.IsZero() {
		t.Errorf("kept review %+v", r)
	}
	if again := l.doubt(ana, "wamid.1", enough); again != 0 || l.waits(ana) {
		t.Error("the message that was decided came back and opened a review again")
	}
	// The next one is another matter, and this time it is one.
	*l.clock = day(31)
	message := l.queue(c.Contact, ana, whatsapp.Marketing, "101")
	other := l.queue(c.Contact, ana, whatsapp.Utility, "101")
	second := l.doubt(ana, "wamid.3", enough)
	out := l.decide(second, true)
	if got := messages(out); len(got) != 1 || got[0] != message {
		t.Errorf("cancelled %v, want %d and not %d", got, message, other)
	}
	if st := l.state(ana, whatsapp.Marketing); st.Reason != ReasonOptedOut || l.waits(ana) {
		t.Errorf("stopped: %+v, waits %v", st, l.waits(ana))
	}
	l.read(func(q *store.Snap) error {
		events, err := History(q, c.Contact)
		if last := events[len(events)-1]; last.Kind != kindRevoke || last.Evidence.Text != enough || last.Actor != "operator" || last.Source != SourceWhatsApp {
			t.Errorf("the evidence is %+v", last)
		}
		return err
	})
	err := l.Write(t.Context(), func(tx *store.Tx) error { _, _, err := DecideReview(tx, second, false, "operator"); return err })
	if !errors.Is(err, ErrNoReview) {
		t.Errorf("decided twice: %v", err)
	}
	if third := l.doubt(ana, "wamid.4", enough); third != 0 {
		t.Error("a review was opened for somebody who has stopped anyway")
	}
}

// A doubt holds for everybody whom a STOP would reach: joined contacts, other
// spellings, and spellings that are learnt or imported later. Deciding frees all.
func TestReviewReachesThePerson(t *testing.T) {
	phone, waID := ninth(t)
	user := whatsapp.BSUID("BR.1502").Identity()
	for _, later := range []bool{false, true} {
		l := newLedger(t)
		l.grant(phone, whatsapp.Marketing, "*", day(1))
		join := func() {
			l.write(func(tx *store.Tx) error {
				c, err := contacts.Learn(tx, waID, user)
				if err != nil {
					return err
				}
				_, err = Inherit(tx, c.ID)
				return err
			})
		}
		if !later {
			join()
		}
		review := l.doubt(user, "wamid.1", enough)
		if later {
			if l.waits(phone) {
				t.Error("a user id of nobody holds somebody")
			}
			join()
		}
		if !l.waits(phone) || !l.waits(user) {
			t.Errorf("later %v: the phone waits %v, the user id %v", later, l.waits(phone), l.waits(user))
		}
		l.read(func(q *store.Snap) error {
			c, _, err := contacts.Find(q, phone)
			if err != nil {
				return err
			}
			events, err := History(q, c.ID)
			for _, e := range events {
				if e.Kind == kindRevoke {
					t.Errorf("a doubt became the event %+v", e)
				}
			}
			return err
		})
		l.decide(review, false)
		if l.waits(phone) || l.waits(user) || l.waits(waID) {
			t.Errorf("later %v: somebody still waits after the decision", later)
		}
	}
}

// Who says clearly what they want ends the doubt; a revocation that does not hold
// (older than the grant, of another category, of one number) does not.
func TestClearWordsEndADoubt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(l *ledger)
		state string
	}{
		{"a STOP", func(l *ledger) { l.revoke(ana, whatsapp.Marketing, "*", l.clock.Add(time.Second)) }, ReviewStopped},
		{"an old revocation", func(l *ledger) { l.revoke(ana, whatsapp.Marketing, "*", day(1).Add(-time.Hour)) }, ReviewOpen},
		{"of utility", func(l *ledger) { l.revoke(ana, whatsapp.Utility, "*", day(30)) }, ReviewOpen},
		{"of one number", func(l *ledger) { l.revoke(ana, whatsapp.Marketing, "loja-sp", day(30)) }, ReviewOpen},
		{"settled by the person", func(l *ledger) {
			l.write(func(tx *store.Tx) error {
				c, _, err := contacts.Find(tx, ana)
				if err != nil {
					return err
				}
				return SettleReviews(tx, c.ID, ReviewKept, "person")
			})
		}, ReviewKept},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(t)
			l.grant(ana, whatsapp.Marketing, "*", day(1))
			id := l.doubt(ana, "wamid.1", enough)
			tt.do(l)
			if r := l.review(id); r.State != tt.state || l.waits(ana) != (tt.state == ReviewOpen) {
				t.Errorf("the review is %s, and marketing waits %v; want %s", r.State, l.waits(ana), tt.state)
			}
		})
	}
}

func TestReviewQueue(t *testing.T) {
	l := newLedger(t)
	l.grant(ana, whatsapp.Marketing, "*", day(1))
	l.grant(bruno, whatsapp.Marketing, "*", day(1))
	one := l.doubt(ana, "wamid.1", enough)
	*l.clock = day(31)
	two := l.doubt(bruno, "wamid.2", "stop texting this number")
	l.read(func(q *store.Snap) error {
		all, err := OpenReviews(q, 0, 10)
		if err != nil || len(all) != 2 || all[0].ID != one || all[1].ID != two {
			t.Errorf("%+v %v", all, err)
		}
		if rest, err := OpenReviews(q, one, 10); err != nil || len(rest) != 1 || rest[0].ID != two {
			t.Errorf("behind the first: %+v %v", rest, err)
		}
		n, oldest, err := ReviewQueue(q)
		if n != 2 || !oldest.Equal(day(30)) {
			t.Errorf("%d, the oldest since %v", n, oldest)
		}
		return err
	})
	l.decide(one, false)
	l.decide(two, false)
	l.read(func(q *store.Snap) error {
		n, oldest, err := ReviewQueue(q)
		if n != 0 || !oldest.IsZero() {
			t.Errorf("%d left, the oldest since %v", n, oldest)
		}
		return err
	})
}

// A STOP of a user id reaches the phone also when the number by which they belong
// together is learnt afterwards, and written in another way.
func TestStopReachesWhoIsLearntLater(t *testing.T) {
	phone, waID := ninth(t)
	user := whatsapp.BSUID("BR.1502").Identity()
	l := newLedger(t)
	l.grant(phone, whatsapp.Marketing, "*", day(1))
	l.revoke(user, whatsapp.Marketing, "*", day(29))
	if !l.state(phone, whatsapp.Marketing).Granted {
		t.Fatal("a user id of nobody stopped somebody")
	}
	for range 2 { // learning again changes nothing
		l.write(func(tx *store.Tx) error {
			c, err := contacts.Learn(tx, waID, user)
			if err != nil {
				return err
			}
			_, err = Inherit(tx, c.ID)
			return err
		})
		if st := l.state(phone, whatsapp.Marketing); st.Reason != ReasonOptedOut {
			t.Errorf("the phone is %+v", st)
		}
	}
	var n int64
	l.read(func(q *store.Snap) (err error) {
		n, _, err = store.Value[int64](q, sqlRevocations)
		return err
	})
	if n != 2 {
		t.Errorf("%d revocations stand in the ledger, want the person's and the phone's", n)
	}
}

var sqlRevocations = store.SQL(`SELECT COUNT(*) FROM consent_events WHERE kind = 'revoke'`)

// A mark of a review is no event, and the ledger is intact with it.
func TestReviewLeavesTheLedgerIntact(t *testing.T) {
	s := newSealed(t, 3)
	s.doubt(bruno, "wamid.1", enough)
	if !s.waits(bruno) {
		t.Fatal("no review is open")
	}
	if r := s.verify(); len(r.Faults) > 0 {
		t.Errorf("%+v", r.Faults)
	}
}
