package conversations

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/whatsapp"
)

const (
	mkt  = whatsapp.Marketing
	util = whatsapp.Utility
	auth = whatsapp.Authentication
	text = whatsapp.Service
)

var day = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// at is the instant that many hours into the test's day.
func at(hours float64) time.Time { return day.Add(time.Duration(hours * float64(time.Hour))) }

func out(id int64, hours float64, c whatsapp.Category) Event {
	return Event{At: at(hours), ID: id, Category: c, Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.out%d", id))}
}

func other(n int, hours float64, c whatsapp.Category) Event {
	return Event{At: at(hours), Category: c, Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.other%02d", n))}
}

func in(id int64, hours float64) Event {
	return Event{Inbound: true, At: at(hours), ID: id, Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.in%02d", id))}
}

func ad(id int64, hours float64) Event { e := in(id, hours); e.Referral = true; return e }

func answering(e Event, message int64, wamid whatsapp.Wamid) Event {
	e.Answers, e.AnswersWamid = message, wamid
	return e
}

// show writes a conversation as "marketing [0,24) business by 1; out 1 in 0".
func show(rows []Conversation) []string {
	var out []string
	h := func(t time.Time) string { return fmt.Sprintf("%g", t.Sub(day).Hours()) }
	for _, c := range rows {
		s := fmt.Sprintf("%s [%s,%s)", c.Category, h(c.OpenedAt), h(c.ExpiresAt))
		if !c.ClosedAt.IsZero() {
			s += " closed " + h(c.ClosedAt)
		}
		if c.FreeEntryPoint {
			s += " free"
		}
		if c.Provisional {
			s += " provisional"
		}
		s += " " + string(c.Origin)
		if c.Inbound != 0 {
			s += fmt.Sprintf(" of %d", c.Inbound)
		}
		out = append(out, fmt.Sprintf("%s by %d%s; out %d in %d", s, c.OpenedBy,
			strings.TrimPrefix(string(c.OpenedByWamid), "wamid."), c.MessagesOut, c.MessagesIn))
	}
	return out
}

func TestLedger(t *testing.T) {
	later := func(e Event, d time.Duration) Event { e.At = e.At.Add(d); return e }
	provisional := func(e Event) Event { e.Provisional = true; return e }
	fifty := []Event{out(1, 0, mkt)}
	for i := range 49 {
		fifty = append(fifty, out(int64(i+2), 0.1+float64(i)*0.4, text), in(int64(i+100), 0.2+float64(i)*0.4))
	}
	for _, c := range []struct {
		name   string
		events []Event
		want   []string
	}{
		{"nothing", nil, nil},
		{"the platform's example: a reply inside opens nothing, a text after it does",
			[]Event{out(1, 0, mkt), in(9, 4), out(2, 5, text), out(3, 25, text), out(4, 26, text)},
			[]string{"marketing [0,24) business by 1; out 2 in 1", "service [25,49) user of 9 by 3; out 2 in 0"}},
		{"a second category opens beside the first, and is not extended",
			[]Event{out(1, 0, mkt), out(2, 4, util), out(3, 10, util)},
			[]string{"marketing [0,24) business by 1; out 1 in 0", "utility [4,28) business by 2; out 2 in 0"}},
		{"half open: at 24 h a new one opens", []Event{out(1, 0, mkt), out(2, 24, mkt)},
			[]string{"marketing [0,24) business by 1; out 1 in 0", "marketing [24,48) business by 2; out 1 in 0"}},
		{"and not a millisecond before", []Event{out(1, 0, mkt), later(out(2, 24, mkt), -time.Millisecond)},
			[]string{"marketing [0,24) business by 1; out 2 in 0"}},
		{"free entry point: 72 h from the answer, which is a template",
			[]Event{ad(9, 10), out(1, 22, mkt), out(2, 23, mkt), out(3, 93.9, util), in(10, 50), out(4, 94, util)},
			[]string{"service [22,94) free user of 9 by 1; out 3 in 1", "utility [94,118) business by 4; out 1 in 0"}},
		{"an ad answered after 24 h is an ordinary inbound message",
			[]Event{ad(9, 10), out(1, 34, mkt)}, []string{"marketing [34,58) business by 1; out 1 in 0"}},
		{"a free entry point ends the others; their expiry stays",
			[]Event{out(1, 0, mkt), out(2, 1, util), ad(9, 2), out(3, 3, text)},
			[]string{"marketing [0,24) closed 3 business by 1; out 1 in 0", "utility [1,25) closed 3 business by 2; out 1 in 1",
				"service [3,75) free user of 9 by 3; out 1 in 0"}},
		{"an ad during a free entry point never counts, one at its end does",
			[]Event{ad(9, 0), out(1, 0, text), ad(10, 71), out(2, 72, mkt), ad(11, 72), out(3, 73, text)},
			[]string{"service [0,72) free user of 9 by 1; out 1 in 2", "service [72,144) free user of 11 by 2; out 2 in 1"}},
		{"of two ads the later is named", []Event{ad(9, 0), ad(10, 1), in(11, 2), out(1, 3, util)},
			[]string{"service [3,75) free user of 10 by 1; out 1 in 0"}},
		{"the user writes first: the reply opens, and names what it answers",
			[]Event{in(9, 0), in(10, 1), out(1, 2, text)}, []string{"service [2,26) user of 10 by 1; out 1 in 0"}},
		{"a template inside the window is still the business's", []Event{in(9, 0), out(1, 1, util)},
			[]string{"utility [1,25) business by 1; out 1 in 0"}},
		{"a text that answers nothing we know of", []Event{in(9, 0), out(1, 24, text)},
			[]string{"service [24,48) business by 1; out 1 in 0"}},
		{"fifty messages both ways are one row with the same end", fifty,
			[]string{"marketing [0,24) business by 1; out 50 in 49"}},
		{"a text counts in the service conversation, else in the latest",
			[]Event{in(9, 0), out(1, 1, text), out(2, 2, mkt), out(3, 3, text), out(4, 25, text), out(5, 25.5, util), out(6, 25.6, text)},
			// out 4 comes when the service conversation is over: the latest open
			// one is then marketing; out 6 finds utility, opened later.
			[]string{"service [1,25) user of 9 by 1; out 2 in 0", "marketing [2,26) business by 2; out 2 in 0",
				"utility [25.5,49.5) business by 5; out 2 in 0"}},
		{"an inbound message counts where it answers, if that is open",
			[]Event{out(1, 0, mkt), out(2, 1, util), answering(in(9, 2), 1, ""), answering(in(10, 3), 0, "wamid.out1"), in(11, 4),
				answering(in(12, 24.5), 1, ""), answering(in(13, 5), 0, "wamid.unheard")},
			[]string{"marketing [0,24) business by 1; out 1 in 2", "utility [1,25) business by 2; out 1 in 3"}},
		{"foreign messages open as ours do, and come after ours",
			[]Event{other(2, 0, mkt), other(1, 0, mkt), out(7, 0, mkt), other(3, 1, util), other(4, 2, "")},
			[]string{"marketing [0,24) business by 7; out 3 in 0", "utility [1,25) business by 0other03; out 2 in 0"}},
		{"a foreign message without a category opens nothing, not even for an ad",
			[]Event{ad(9, 0), other(1, 1, ""), other(2, 2, text)}, []string{"service [2,74) free user of 9 by 0other02; out 1 in 0"}},
		{"at one instant the user wrote first", []Event{out(1, 5, text), in(9, 5)},
			[]string{"service [5,29) user of 9 by 1; out 1 in 1"}},
		{"an authentication code beside an open service conversation", []Event{in(9, 0), out(1, 1, text), out(2, 2, auth)},
			[]string{"service [1,25) user of 9 by 1; out 1 in 0", "authentication [2,26) business by 2; out 1 in 0"}},
		{"a provisional opener", []Event{provisional(out(1, 0, mkt)), out(2, 1, mkt)},
			[]string{"marketing [0,24) provisional business by 1; out 2 in 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, show(Ledger(time.Time{}, slices.Clone(c.events)))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestInstant(t *testing.T) {
	for _, c := range []struct {
		name        string
		p           progress
		at          int64
		provisional bool
		ok          bool
	}{
		{"queued", progress{state: "queued"}, 0, false, false},
		{"accepted", progress{state: "accepted", accepted: 5}, 5, true, true},
		{"held for quality assessment", progress{state: "accepted_held", accepted: 5}, 0, false, false},
		{"held, then sent", progress{state: "sent", accepted: 5, sent: 9}, 9, false, true},
		{"unknown", progress{state: "unknown"}, 0, false, false},
		{"unknown, then delivered", progress{state: "delivered", delivered: 7}, 7, false, true},
		{"sent before accepted", progress{state: "sent", accepted: 5, sent: 4}, 4, false, true},
		{"delivered without sent", progress{state: "delivered", accepted: 5, delivered: 8, read: 7}, 8, false, true},
		{"read only", progress{state: "read", accepted: 5, read: 9}, 9, false, true},
		{"presumed expired after sent", progress{state: "presumed_expired", accepted: 5, sent: 6}, 0, false, false},
		{"failed by the answer", progress{state: "failed"}, 0, false, false},
		{"failed after sent", progress{state: "failed", accepted: 5, sent: 6, failedAt: 7}, 0, false, false},
		{"failed and yet delivered", progress{state: "delivered", accepted: 5, sent: 6, delivered: 8, failedAt: 7}, 6, false, true},
		{"a failed status while accepted", progress{state: "accepted", accepted: 5, failedAt: 7}, 0, false, false},
	} {
		at, provisional, ok := c.p.instant()
		if at != c.at || provisional != c.provisional || ok != c.ok {
			t.Errorf("%s: %d, provisional %v, %v; want %d, %v, %v", c.name, at, provisional, ok, c.at, c.provisional, c.ok)
		}
	}
}

func TestSaneTime(t *testing.T) {
	now := at(9)
	for _, c := range []struct{ in, want time.Time }{
		{at(3), at(3)},
		{time.Time{}, now},
		{time.Unix(0, 0), now},
		{time.Date(2008, 12, 31, 23, 59, 59, 999e6, time.UTC), now},
		{earliest, earliest},
		{now.Add(24 * time.Hour), now.Add(24 * time.Hour)},
		{now.Add(24*time.Hour + time.Millisecond), now},
		{time.UnixMilli(now.Unix()), now}, // seconds taken for milliseconds
		{time.Unix(now.UnixMilli(), 0), now},
	} {
		if got := SaneTime(c.in, now); !got.Equal(c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

func TestCounts(t *testing.T) {
	for typ, want := range map[string]bool{"text": true, "button": true, "image": true, "unsupported": true, "": true,
		"system": false, "reaction": false, "edit": false, "revoke": false, "user_preferences": false} {
		if Counts(typ) != want {
			t.Errorf("%q counts: %v", typ, !want)
		}
	}
}

func TestLedgerAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := drawEvents(rt)
		want := model(events)
		got := Ledger(time.Time{}, slices.Clone(events))
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatalf("(-model +ledger):\n%s", d)
		}
		// In whatever order they come.
		shuffled := rapid.Permutation(events).Draw(rt, "order")
		if d := cmp.Diff(got, Ledger(time.Time{}, shuffled)); d != "" {
			rt.Fatalf("another order (-first +second):\n%s", d)
		}
	})
}

func TestLedgerInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := drawEvents(rt)
		rows := Ledger(time.Time{}, events)
		var sent, counted int64
		for _, e := range events {
			if !e.Inbound {
				sent++
			}
		}
		for i, c := range rows {
			counted += c.MessagesOut
			if (c.Origin == FromUser) != (c.Inbound != 0) {
				rt.Errorf("row %d: origin %s, inbound %d", i, c.Origin, c.Inbound)
			}
			if c.MessagesOut == 0 {
				rt.Errorf("row %d counts no message, not even its opener", i)
			}
			if !c.ClosedAt.IsZero() && (c.FreeEntryPoint || !c.ClosedAt.After(c.OpenedAt) || !c.ClosedAt.Before(c.ExpiresAt)) {
				rt.Errorf("row %d closed at %v: %+v", i, c.ClosedAt, c)
			}
			for _, d := range rows[:i] {
				overlap := c.OpenedAt.Before(d.Ends()) && d.OpenedAt.Before(c.Ends())
				if overlap && (c.Category == d.Category || c.FreeEntryPoint || d.FreeEntryPoint) {
					rt.Errorf("two open at once:\n%+v\n%+v", d, c)
				}
			}
		}
		if counted > sent {
			rt.Errorf("%d messages counted of %d", counted, sent)
		}
	})
}
