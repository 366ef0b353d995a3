package conversations

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// people is what Reached says, the latest instant by person, and checks that
// ReachedAt says the same.
func (b book) people(t testing.TB) map[int64]time.Time {
	t.Helper()
	got := map[int64]time.Time{}
	b.must(Reached(b.tx, Length, func(p Person) {
		if at := store.Time(p.Last); at.After(got[p.Root]) {
			got[p.Root] = at
		}
		if p.Category == "" || p.Category == text {
			t.Errorf("person %d counts for a message of category %q", p.Root, p.Category)
		}
	}))
	for root, want := range got {
		last, err := ReachedAt(b.tx, root, Length)
		b.must(err)
		if !store.Time(last).Equal(want) {
			t.Errorf("person %d counts at %v, asked alone %v", root, want, store.Time(last))
		}
	}
	return got
}

// Whom the messaging limit counts: everybody to whom the business began to write
// within a day, once by the person, from the last time on.
func TestReached(t *testing.T) {
	inBook(t, func(b book) {
		now := b.tx.Now()
		ago := func(h float64) time.Time { return now.Add(-time.Duration(h * float64(time.Hour))) }
		n := int64(0)
		put := func(m sending, since time.Time) {
			n++
			m.id = n
			b.send(m, since)
		}
		send := func(contact int64, number string, c whatsapp.Category, at time.Time) {
			put(sending{number: number, contact: contact, category: c, state: "sent", sent: at}, at)
		}
		write := func(contact int64, at time.Time, ad bool) {
			_, _, err := RecordInbound(b.tx, Inbound{Number: numberA, Contact: contact, Counts: true, Referral: ad, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", contact, at)), At: at})
			b.must(err)
		}
		want := map[int64]time.Time{}
		check := func(when string) {
			t.Helper()
			if d := cmp.Diff(want, b.people(t)); d != "" {
				t.Errorf("%s (-want +got):\n%s", when, d)
			}
		}
		check("at first")
		send(1, numberA, mkt, ago(23))
		send(2, numberA, mkt, ago(24)) // over, to the millisecond
		write(3, ago(2), false)
		send(3, numberA, text, ago(1)) // an answer
		want[1] = ago(23)
		check("one")
		send(1, numberB, util, ago(1)) // the same person on another number
		want[1] = ago(1)
		check("one, later")
		send(2, numberA, util, ago(24).Add(time.Millisecond))
		want[2] = ago(24).Add(time.Millisecond)
		check("two")
		_, err := b.tx.Exec(setRoot, 2, 1) // both are one person
		b.must(err)
		delete(want, 2)
		check("one again")
		send(3, numberA, mkt, ago(0.5))
		write(3, ago(0.4), true)
		send(3, numberA, text, ago(0.3)) // a free entry point ends what was open: it was begun all the same
		want[3] = ago(0.5)
		check("three")
		for c := int64(4); c <= 12; c++ {
			b.must(b.tx.One(putContact, c))
		}
		// What a chatbot sends from our number counts within the limit as well.
		b.send(sending{wamid: "wamid.bot", contact: 4, category: mkt, sent: ago(5)}, ago(5))
		want[4] = ago(5)
		check("a chatbot's")
		// A second message into an open conversation counts from its own time.
		send(5, numberA, mkt, ago(30))
		send(5, numberA, mkt, ago(20))
		want[5] = ago(20)
		check("a second one")
		// Meta counts what is delivered.
		put(sending{contact: 6, category: mkt, state: "delivered", accepted: ago(30), sent: ago(30), delivered: ago(3)}, ago(30))
		want[6] = ago(3)
		check("delivered late")
		// During a free entry point nothing opens, and it counts all the same.
		write(7, ago(50), true)
		send(7, numberA, text, ago(49))
		send(7, numberA, mkt, ago(2))
		want[7] = ago(2)
		check("during a free entry point")
		// What Meta holds back or did not answer may still count; what failed, or was
		// refused, does not.
		put(sending{contact: 8, category: mkt, state: "accepted_held", accepted: ago(4)}, ago(4))
		put(sending{contact: 9, category: mkt, state: "unknown", accepted: ago(6)}, ago(6))
		put(sending{contact: 10, category: mkt, state: "failed", accepted: ago(6), sent: ago(6), failed: ago(5)}, ago(6))
		put(sending{contact: 11, category: mkt, state: "refused"}, ago(6))
		put(sending{contact: 12, category: mkt, state: "unknown", accepted: ago(25)}, ago(25))
		want[8], want[9] = ago(4), ago(6)
		check("open ends")
	})
}

// Against all messages, one by one.
func TestReachedAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBook(t, func(b book) {
			now := b.tx.Now()
			hours := rapid.IntRange(0, 49)
			for i := range rapid.IntRange(1, 12).Draw(rt, "messages") {
				at := now.Add(-time.Duration(hours.Draw(rt, "ago"))*time.Hour - time.Duration(i)*time.Minute)
				m := sending{id: int64(i + 1), contact: rapid.Int64Range(1, 3).Draw(rt, "to"), number: rapid.SampledFrom([]string{numberA, numberB}).Draw(rt, "number"),
					category: rapid.SampledFrom([]whatsapp.Category{mkt, util, auth, text}).Draw(rt, "category"), run: int64(i%2) * int64(i+1), accepted: at,
					state: rapid.SampledFrom([]string{"accepted", "accepted_held", "unknown", "sent", "delivered", "failed"}).Draw(rt, "state")}
				later := func(what string) time.Time {
					t := at.Add(time.Duration(rapid.IntRange(0, 24).Draw(rt, what)) * time.Hour)
					if t.After(now) {
						return now
					}
					return t
				}
				switch m.state {
				case "sent":
					m.sent = at
				case "delivered":
					m.sent, m.delivered = at, later("delivered")
				case "failed":
					m.failed = later("failed")
				}
				b.send(m, at)
			}
			// What was sent more than a day ago and delivered since is found only where
			// something else leads to it: may holds these as well.
			want, may := map[int64]time.Time{}, map[int64]time.Time{}
			rows, err := store.All[modelRow](b.tx, sqlModel)
			b.must(err)
			put := func(in map[int64]time.Time, contact, ms int64) {
				if at := store.Time(ms); at.After(now.Add(-Length)) && at.After(in[contact]) {
					in[contact] = at
				}
			}
			for _, r := range rows {
				if r.state == "failed" || r.category == "service" {
					continue
				}
				at := max(r.accepted, r.sent, r.delivered)
				put(may, r.contact, at)
				if store.Time(r.accepted).After(now.Add(-Length)) {
					put(want, r.contact, at)
				}
			}
			got := b.people(t)
			for contact := range may {
				if at, ok := got[contact]; ok && at.Equal(may[contact]) {
					want[contact] = at
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				rt.Fatalf("(-want +got):\n%s", d)
			}
		})
	})
}

var sqlModel = store.SQL(`SELECT m.contact_id, m.state, s.category, m.accepted_at, m.sent_at, m.delivered_at FROM messages m JOIN streams s ON s.id = m.stream_id`)

type modelRow struct {
	contact                   int64
	state, category           string
	accepted, sent, delivered int64
}

// Fields names the places of sqlModel.
func (r *modelRow) Fields() []any {
	return []any{&r.contact, &r.state, &r.category, &r.accepted, &r.sent, &r.delivered}
}
