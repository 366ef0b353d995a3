package conversations

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// countries are where the three people of the tests are.
func countries(root int64) (string, error) { return []string{"", "BR", "US", ""}[root], nil }

func whole(q store.Querier, from, to time.Time, page int) ([]Share, error) {
	r := NewReport(from, to)
	for after, more := int64(0), true; more; {
		var err error
		if after, more, err = r.Add(q, after, page, countries); err != nil {
			return nil, err
		}
	}
	return r.Shares(), nil
}

// A month worked out by hand; testdata/month.want says of each figure why.
func TestMonthByHand(t *testing.T) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, zone)
	to := from.AddDate(0, 1, 0) // 99 h after the tests' day
	inBook(t, func(b book) {
		mail := func(id, contact int64, hours float64, c whatsapp.Category) sending {
			m := sent(id, hours, c)
			m.contact, m.wamid = contact, whatsapp.Wamid(fmt.Sprintf("wamid.m%d", id))
			return m
		}
		price := func(id int, kind, billable string) {
			b.must(RecordPricing(b.tx, Pricing{Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.m%d", id)), Type: kind, Billable: billable, At: at(0)}))
		}
		wrote := func(contact int64, hours float64) {
			_, _, err := RecordInbound(b.tx, Inbound{Number: numberA, Contact: contact, At: at(hours), Type: "text", Counts: true,
				Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.i%d", contact))})
			b.must(err)
		}
		put := func(m sending) { b.send(m, m.sent) }

		put(mail(1, 1, -622, mkt)) // 23:00 on 31 October in São Paulo
		put(mail(2, 1, -600, mkt))
		price(2, "", "true")
		put(mail(3, 1, 0, mkt))
		price(3, "regular", "")
		wrote(1, 4)
		put(mail(4, 1, 5, text))
		price(4, "free_customer_service", "false")
		put(mail(5, 1, 6, util))
		put(mail(6, 1, 27.5, text)) // the window lasts until 28, marketing until 24, utility until 30
		price(6, "regular", "false")
		put(mail(13, 1, 40, mkt))
		price(13, "", "true")
		wrote(2, 10)
		put(mail(7, 2, 11, text))
		price(7, "FREE_ENTRY_POINT", "")
		failed := mail(8, 2, 12, util)
		failed.state, failed.failed = "failed", at(12)
		put(failed)
		put(sending{wamid: "wamid.m9", contact: 2, category: mkt, sent: at(13)})
		price(9, "regular", "true")
		put(mail(10, 3, 99-1.0/3600, auth))
		price(10, "something_new", "")
		put(mail(12, 3, 99, auth))
		put(sending{wamid: "wamid.m11", contact: 3, sent: at(50)})

		want, err := os.ReadFile("testdata/month.want")
		b.must(err)
		var lines []string
		for line := range strings.Lines(string(want)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		for _, page := range []int{1, 2, 100} {
			shares, err := whole(b.tx, from, to, page)
			b.must(err)
			var got []string
			for _, s := range shares {
				got = append(got, fmt.Sprint(s.Reading, " ", cmp.Or(s.Category, "-"), " ", cmp.Or(s.Country, "-"), " ", s.Origin, " ",
					s.Conversations, " ", s.Messages, " ", s.Billed, " ", s.Free, " ", s.Unknown))
			}
			if d := diff.Diff(lines, got); d != "" {
				t.Errorf("by pages of %d (-by hand +got):\n%s", page, d)
			}
		}
	})
}

// A report over any span counts each conversation that opened in it, and each
// message, once in both readings; and two spans that meet add up to the whole.
func TestReportAddsUp(t *testing.T) {
	db := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, false)
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			w, err := reveal(tx, h)
			if err != nil {
				return err
			}
			for _, s := range h.steps {
				if _, _, err := w.apply(tx, s); err != nil {
					return err
				}
			}
			cut := at(float64(rapid.IntRange(0, 260).Draw(rt, "cut")))
			counted := map[Reading]Share{}
			for _, span := range [][2]time.Time{{at(-1), cut}, {cut, at(400)}} {
				shares, err := whole(tx, span[0], span[1], 2)
				if err != nil {
					return err
				}
				opened := map[Reading]map[whatsapp.Category]int64{ByMeta: {}, ByWindow: {}}
				for _, s := range shares {
					sum := counted[s.Reading]
					sum.Conversations += s.Conversations
					sum.Messages += s.Messages
					counted[s.Reading] = sum
					opened[s.Reading][s.Category] += s.Conversations
					if s.Messages != s.Billed+s.Free+s.Unknown {
						return fmt.Errorf("%+v does not add up", s)
					}
				}
				rows, err := stored(tx)
				if err != nil {
					return err
				}
				want := map[whatsapp.Category]int64{}
				for _, r := range rows {
					if !r.OpenedAt.Before(span[0]) && r.OpenedAt.Before(span[1]) {
						want[r.Category]++
					}
				}
				for _, reading := range []Reading{ByMeta, ByWindow} {
					for _, c := range []whatsapp.Category{mkt, util, auth, text, ""} {
						if opened[reading][c] != want[c] {
							return fmt.Errorf("%s: %d %s conversations opened in [%v, %v), want %d", reading, opened[reading][c], c, span[0], span[1], want[c])
						}
					}
				}
			}
			events := int64(0)
			for i := range h.messages {
				if m, known := w.now(i); known {
					if _, ok := m.event(); ok {
						events++
					}
				}
			}
			if counted[ByMeta].Messages != events || counted[ByWindow].Messages != events {
				return fmt.Errorf("%+v, want %d messages", counted, events)
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
