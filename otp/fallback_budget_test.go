package otp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"janela/internal/store"
)

// A thousand numbers without WhatsApp are fed to a service that falls back by
// itself: what goes out as text messages, each at its price, stays a share of the
// hour and country, and a phone gets two a day.
func TestForcedFallback(t *testing.T) {
	const share, perDay = 0.2, 2
	brazil := func(i int) string { return fmt.Sprintf("+55119000%05d", i) }
	inTown(t, func(t *testing.T, h *town) {
		var sent [2][24]int // WhatsApp messages by country (BR, US) and hour
		for hour := range 5 {
			for batch := range 10 {
				h.write(t, func(tx *store.Tx) error {
					for i := range 20 {
						// Three of four are in Brazil, of which every fifth is one phone.
						to, country := fmt.Sprintf("+1202555%04d", 100+(20*batch+i)%100), 1
						if i%4 > 0 {
							to, country = brazil(20*batch+i), 0
						}
						if i%5 == 1 {
							to, country = brazil(99), 0
						}
						if err := consented(tx, to); err != nil {
							return err
						}
						_, err := h.Issue(tx, app, asks(func(r *Request) { r.To = to }))
						if err != nil {
							return err
						}
						sent[country][hour]++
					}
					// What is known not to be on WhatsApp gets no message; here it is forgotten, so
					// that each of the thousand is fed anew.
					_, err := tx.Exec(forgetAbsence)
					return err
				})
				for _, m := range h.claim(t) {
					h.status(t, m, "failed", codeNotOnWhatsApp)
				}
				h.write(t, func(tx *store.Tx) error { _, err := tx.Exec(forgetAbsence); return err })
				h.pass(2 * time.Minute)
			}
			h.pass(50 * time.Minute) // more than an hour from the first, and from the last: no window sees two rounds
		}
		var got [2][24]int
		phones := map[string]int{}
		for _, a := range h.smsc.log() {
			country := 1
			if a.To[:3] == "+55" {
				country = 0
			}
			got[country][int(a.at.Sub(start)/(70*time.Minute))]++
			phones[a.To]++
		}
		total := 0
		for hour := range 5 {
			for country := range 2 {
				n, most := got[country][hour], max(fewFallbacks, int(share*float64(sent[country][hour])))
				if total += n; n > most || hour == 0 && n < most-1 { // later on phones have had theirs of the day
					t.Errorf("hour %d, country %d: %d of %d fell back, at most %d may", hour, country, n, sent[country][hour], most)
				}
			}
		}
		for phone, n := range phones {
			if n > perDay {
				t.Errorf("%d text messages to one phone (…%s)", n, phone[len(phone)-2:])
			}
		}
		if total < 150 || total > 200 {
			t.Errorf("%d text messages for 1,000 numbers", total)
		}
		t.Logf("1,000 numbers without WhatsApp: %d text messages", total)
	}, onFailed, func(c *Config) { c.Fallback.Share, c.Fallback.PerDay = share, perDay })
}

var forgetAbsence = store.SQL(`UPDATE code_phones SET not_on_whatsapp_until = 0`)

// Two a day to one phone, however it is written and by whatever it is asked for;
// what surely was not sent counts for nothing.
func TestFallbacksOfAPhone(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		again := func(change ...func(*Request)) error {
			_, err := h.tryResend(h.issue(t, change...).ID, Resend{Channel: sms})
			synctest.Wait()
			return err
		}
		refused := func(what string, err error, after time.Duration) {
			t.Helper()
			if d := (*Denied)(nil); !errors.As(err, &d) || d.Rule != ruleFallbackDay || d.Scope != "phone" || d.RetryAfter != after {
				t.Errorf("%s: %+v", what, err)
			}
		}
		h.smsc.setAway(true)
		if err := again(); err != nil {
			t.Error(err)
		}
		h.pass(20 * time.Minute) // it never left
		h.smsc.setAway(false)
		began := time.Now()
		if err := again(func(r *Request) { r.Trusted = true }); err != nil {
			t.Error(err)
		}
		h.pass(time.Hour)
		if err := again(); err != nil {
			t.Error(err)
		}
		refused("a third", again(), 23*time.Hour)
		refused("of a known device", again(func(r *Request) { r.Trusted = true }), 23*time.Hour)
		if d := h.issue(t, func(r *Request) { r.To = phone2 }); d.ID == "" {
			t.Error("another phone is bound as well")
		}
		h.pass(time.Until(began.Add(24*time.Hour - time.Millisecond)))
		refused("a millisecond before", again(), time.Millisecond)
		h.pass(time.Millisecond)
		if err := again(); err != nil {
			t.Error(err)
		}
		refused("and then", again(), time.Hour)
		if n := len(h.smsc.log()); n != 3 {
			t.Errorf("%d requests", n)
		}
	})
}

// The share is of what goes by WhatsApp, an hour long, for each country by
// itself; who asks when it is used up is told so, and so is the operator, once.
func TestShareOfTheFallback(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		try := func() error {
			_, err := h.tryResend(h.issue(t).ID, Resend{Channel: sms})
			synctest.Wait()
			return err
		}
		deliver := func() {
			for range h.claim(t) {
			}
		}
		for range fewFallbacks {
			if err := try(); err != nil {
				t.Error(err)
			}
		}
		for range 5 {
			err := try()
			if d := (*Denied)(nil); !errors.As(err, &d) || d.Rule != ruleFallbackShare || d.Scope != "service" || d.RetryAfter <= 0 || d.RetryAfter > tenMinutes {
				t.Errorf("%+v", err)
			}
			deliver()
		}
		// 5 messages went by WhatsApp. With 20 a fourth code may fall back.
		for range 14 {
			h.issue(t)
			deliver()
		}
		if err := try(); err != nil { // the 20th is its own, and then withdrawn
			t.Error(err)
		}
		if err := try(); said(err) != CodeRateLimited {
			t.Error(err)
		}
		if n := len(h.smsc.log()); n != 4 {
			t.Errorf("%d requests", n)
		}
		if n := countLines(h.lines.String(), "share of the hour is used up"); n != 1 {
			t.Errorf("%d lines about it", n)
		}
		if n := countLines(h.lines.String(), "country=US"); n != 1 {
			t.Error("the country is not named")
		}
		h.pass(71 * time.Minute)
		if err := try(); err != nil {
			t.Error(err)
		}
	}, func(c *Config) { c.Fallback.PerDay = -1 })
}

func countLines(text, part string) (n int) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// Whatever comes in whatever order, what falls back in an hour is the few that
// always may or a share of the rest, and doctor's bound of a day holds.
func TestBoundOfTheFallback(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.SampledFrom([]float64{0.05, 0.2, 0.5, 1}).Draw(t, "share")
		most := rapid.IntRange(50, 2000).Draw(t, "max_sends_24h")
		bound := fallbackBound(Config{MaxSends: most, Countries: []string{"BR"}, Fallback: Fallback{Mode: modeManual, Share: share, PerDay: 2}})
		var whatsApp, fellBack []int64 // times, ms
		within := func(times []int64, from int64) (n int64) {
			for _, at := range times {
				if at >= from {
					n++
				}
			}
			return n
		}
		now := int64(0)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, 40*time.Minute.Milliseconds()).Draw(t, "later")
			for range rapid.IntRange(0, 40).Draw(t, "messages") {
				if within(whatsApp, now-day.Milliseconds())+within(fellBack, now-day.Milliseconds()) < int64(most) {
					whatsApp = append(whatsApp, now)
				}
			}
			for range rapid.IntRange(0, 40).Draw(t, "asked") {
				window := bucketOf(now-time.Hour.Milliseconds()) * tenMinutes.Milliseconds()
				w, f := within(whatsApp, window), within(fellBack, window)
				ok := shareFull(w+f, f, share, now) <= now && within(whatsApp, now-day.Milliseconds())+within(fellBack, now-day.Milliseconds()) < int64(most)
				if naive := float64(f+1) <= max(fewFallbacks, share*float64(w)); ok && !naive {
					t.Fatalf("%d of %d fell back", f+1, w)
				}
				if ok {
					fellBack = append(fellBack, now)
				}
			}
			if n := within(fellBack, now-day.Milliseconds()+1); n > int64(bound) {
				t.Fatalf("%d in a day, doctor says %d", n, bound)
			}
		}
	})
	for _, tt := range []struct {
		f    Fallback
		want int
	}{
		{Fallback{Mode: modeOff, Share: 0.2, PerDay: 2}, 0},
		{Fallback{Mode: modeManual, Share: 0.2, PerDay: 2}, 893},
		{Fallback{Mode: modeFailed, Share: -1, PerDay: 2}, 5000},
		{Fallback{Mode: modeFailed, Share: 1, PerDay: -1}, 2536},
	} {
		if got := fallbackBound(Config{MaxSends: 5000, Countries: []string{"BR"}, Fallback: tt.f}); got != tt.want {
			t.Errorf("%+v: %d, expected %d", tt.f.Mode, got, tt.want)
		}
	}
}
