package conversations

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var pricing = store.SQL(`SELECT model || ' ' || type || ' ' || category || ' ' || billable || ' ' ||
	conversation_id || ' ' || conversation_origin || ' ' || conversation_ends || ' ' || at FROM message_prices WHERE id = ?1 OR wamid = ?2`)

// collect lists page by page.
func collect(t testing.TB, q store.Querier, f Filter, page int) (rows []Row) {
	t.Helper()
	for f.Limit = page; ; {
		n := 0
		err := List(q, f, func(r Row) error {
			rows, f.After, n = append(rows, r), r.Cursor(), n+1
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if page == 0 || n < page {
			return rows
		}
	}
}

// takes is what a filter means, row by row.
func (f Filter) takes(r Row, now time.Time) bool {
	return (!f.Open || r.OpenAt(now)) &&
		(f.From.IsZero() || r.Ends().After(f.From)) && (f.To.IsZero() || r.OpenedAt.Before(f.To)) &&
		(f.Number == "" || r.Number == f.Number) && (f.Category == "" || r.Category == f.Category) &&
		(f.OpenedFrom.IsZero() || !r.OpenedAt.Before(f.OpenedFrom)) && (f.OpenedTo.IsZero() || r.OpenedAt.Before(f.OpenedTo)) &&
		(f.Origin == "" || r.Origin == f.Origin) && (f.Contact == 0 || r.Contact == f.Contact)
}

func TestListAndCount(t *testing.T) {
	inBook(t, func(b book) {
		now := b.tx.Now()
		n := int64(0)
		for contact := int64(1); contact <= 3; contact++ {
			for _, number := range []string{numberA, numberB} {
				_, _, err := RecordInbound(b.tx, Inbound{Number: number, Contact: contact, Counts: true, Referral: true,
					Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", contact, number)), At: now.Add(-80 * time.Hour)})
				b.must(err)
				for _, before := range []int{120, 100, 79, 60, 7, 2} { // hours; the third answers the ad
					n++
					if (n*7)%5 < 2 {
						continue
					}
					at := now.Add(-time.Duration(before)*time.Hour - time.Duration(n)*time.Minute)
					b.send(sending{id: n, number: number, contact: contact, category: []whatsapp.Category{mkt, util, text}[n%3],
						state: "sent", sent: at}, at)
				}
			}
		}
		all, err := stored(b.tx)
		b.must(err)
		if len(all) < 10 || !slices.ContainsFunc(all, func(r Row) bool { return !r.ClosedAt.IsZero() }) {
			t.Fatalf("too little to list:\n%s", strings.Join(showRows(all), "\n"))
		}
		rapid.Check(t, func(rt *rapid.T) {
			hours := rapid.Custom(func(t *rapid.T) time.Time {
				if h := rapid.IntRange(-1, 140).Draw(t, "h"); h >= 0 {
					return now.Add(-time.Duration(h) * time.Hour)
				}
				return time.Time{}
			})
			f := Filter{Open: rapid.Bool().Draw(rt, "open"), From: hours.Draw(rt, "from"), To: hours.Draw(rt, "to"),
				Number:   rapid.SampledFrom([]string{"", numberA, numberB}).Draw(rt, "number"),
				Category: rapid.SampledFrom([]whatsapp.Category{"", mkt, util, text}).Draw(rt, "category"),
				Contact:  rapid.Int64Range(0, 3).Draw(rt, "contact")}
			if rapid.Bool().Draw(rt, "by opening") {
				f.OpenedFrom, f.OpenedTo = hours.Draw(rt, "opened from"), hours.Draw(rt, "opened to")
				if rapid.Bool().Draw(rt, "to the millisecond") {
					f.OpenedFrom = rapid.SampledFrom(all).Draw(rt, "first").OpenedAt
					f.OpenedTo = rapid.SampledFrom(all).Draw(rt, "last").OpenedAt
				}
			}
			f.Origin = rapid.SampledFrom([]Origin{"", "", FromBusiness, FromUser}).Draw(rt, "origin")
			var want []Row
			var wantOpen int64
			for _, r := range all {
				if f.takes(r, now) {
					want = append(want, r)
					wantOpen += flag(r.OpenAt(now))
				}
			}
			slices.SortFunc(want, func(a, b Row) int {
				if c := a.ExpiresAt.Compare(b.ExpiresAt); c != 0 {
					return c
				}
				return int(a.ID - b.ID)
			})
			page := rapid.IntRange(0, 3).Draw(rt, "page")
			if d := cmp.Diff(showRows(want), showRows(collect(t, b.tx, f, page))); d != "" {
				rt.Fatalf("%+v in pages of %d (-want +got):\n%s", f, page, d)
			}
			open, total, err := Count(b.tx, f)
			if err != nil || open != wantOpen || total != int64(len(want)) {
				rt.Fatalf("%+v: %d open of %d, %v; want %d of %d", f, open, total, err, wantOpen, len(want))
			}
		})
		// What the caller says stops the listing, and comes back as it was.
		stop, seen := errors.New("enough"), 0
		if err := List(b.tx, Filter{}, func(Row) error { seen++; return stop }); err != stop || seen != 1 {
			t.Errorf("%v after %d rows", err, seen)
		}
	})
}

// Of ours the row is known by the message, of others by the wamid.
func TestPricingIsVerbatim(t *testing.T) {
	for _, message := range []int64{7, 0} {
		inBook(t, func(b book) {
			ms := func(h float64) int64 { return store.Millis(at(h)) }
			put := func(p Pricing) { p.Wamid, p.Message = "wamid.p", message; b.must(RecordPricing(b.tx, p)) }
			want := func(s string) {
				t.Helper()
				got, _, err := store.Value[string](b.tx, pricing, message, "wamid.p")
				b.must(err)
				if got != s {
					t.Errorf("got  %s\nwant %s", got, s)
				}
			}
			put(Pricing{Model: "PMP", Type: "regular", Category: "Marketing_Lite", Billable: "true",
				ConversationID: "c1", ConversationOrigin: "referral_conversion", ConversationEnds: at(24), At: at(1)})
			want(fmt.Sprintf("PMP regular Marketing_Lite true c1 referral_conversion %d %d", ms(24), ms(1)))
			// delivered says less; once more changes nothing.
			for range 2 {
				put(Pricing{Type: "free_entry_point", At: at(2)})
				want(fmt.Sprintf("PMP free_entry_point Marketing_Lite true c1 referral_conversion %d %d", ms(24), ms(2)))
			}
			// sent, coming late, takes nothing back.
			put(Pricing{Type: "regular", ConversationEnds: at(20), At: at(1)})
			want(fmt.Sprintf("PMP free_entry_point Marketing_Lite true c1 referral_conversion %d %d", ms(24), ms(2)))
			p, ok, err := PriceOf(b.tx, message, "wamid.p")
			b.must(err)
			if !ok || p.Message != message || p.Category != "Marketing_Lite" || !p.ConversationEnds.Equal(at(24)) || !p.At.Equal(at(2)) {
				t.Errorf("the price is %+v, %t", p, ok)
			}
			if _, ok, err := PriceOf(b.tx, 8, "wamid.q"); err != nil || ok {
				t.Error("another message has this price", err)
			}
			if err := RecordPricing(b.tx, Pricing{Model: "PMP"}); err == nil {
				t.Error("a price of no message was accepted")
			}
		})
	}
}
