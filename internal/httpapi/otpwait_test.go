package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// bubble runs a test in fake time, with a desk whose database and requests live
// in it: what is left behind at its end, a goroutine or a wait, fails the test.
func bubble(t *testing.T, test func(t *testing.T, d *desk)) { bubbleOf(t, unlimited(), test) }

func bubbleOf(t *testing.T, l otp.Limits, test func(t *testing.T, d *desk)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began)) // a bubble begins in 2000, before consent by WhatsApp could be given
		d := newDesk(t, l, time.Now)
		defer func() {
			if err := d.db.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, d)
	})
}

// serveHTTP makes a request without a network, and says how long it took.
func (d *desk) here(ctx context.Context, method, path, body string, header ...string) (told, time.Duration) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+d.keys["app"])
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	start := time.Now()
	d.server.Public().ServeHTTP(w, r)
	return told{w.Code, w.Header(), w.Body.Bytes()}, time.Since(start)
}

func (d *desk) issueHere() string {
	a, _ := d.here(d.t.Context(), "POST", "/v1/otp", requestFor(d.phone()), "Idempotency-Key", unique())
	return a.want(d.t, 202).ID
}

// within allows for what waiting itself takes: a gathering of wake-ups.
func within(t *testing.T, what string, took, want time.Duration) {
	t.Helper()
	if took < want || took > want+20*time.Millisecond {
		t.Errorf("%s: took %v, want %v", what, took, want)
	}
}

// POST waits until Meta has taken the message, at most so long, and is 202 in
// any case.
func TestRequestWaitsForMeta(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		for _, c := range []struct {
			prefer, applied string
			takes, want     time.Duration
			state           string
		}{
			{"wait=3", "wait=3", time.Second, time.Second, "accepted"},
			{"wait=3", "wait=3", 4 * time.Second, 3 * time.Second, "queued"},
			{"wait=60", "wait=10", time.Minute, 10 * time.Second, "queued"},
			{"", "", time.Second, 0, "queued"},
		} {
			var other sync.WaitGroup
			other.Go(func() {
				time.Sleep(c.takes)
				d.accept(d.newest())
			})
			a, took := d.here(t.Context(), "POST", "/v1/otp", requestFor(d.phone()), "Idempotency-Key", unique(), "Prefer", c.prefer)
			r := a.want(t, 202)
			within(t, c.prefer, took, c.want)
			if r.Delivery.State != c.state || a.header.Get("Preference-Applied") != c.applied {
				t.Errorf("%s: %s %v", c.prefer, a.body, a.header)
			}
			other.Wait()
		}
	})
}

// GET answers as soon as anything changes, and not before.
func TestLookWaitsForAChange(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.issueHere()
		path := "/v1/otp/" + id
		a, _ := d.here(t.Context(), "GET", path, "")
		etag := a.header.Get("ETag")
		if a.want(t, 200); etag == "" {
			t.Fatal("no ETag")
		}
		a, took := d.here(t.Context(), "GET", path, "", "If-None-Match", etag)
		if within(t, "304", took, 0); a.status != 304 || len(a.body) != 0 || a.header.Get("ETag") != etag {
			t.Errorf("%d %s %v", a.status, a.body, a.header)
		}
		a, took = d.here(t.Context(), "GET", path, "", "If-None-Match", `"another"`, "Prefer", "wait=20")
		if within(t, "another ETag", took, 0); a.status != 200 || a.header.Get("Preference-Applied") != "" {
			t.Errorf("%d %v", a.status, a.header)
		}
		a, took = d.here(t.Context(), "GET", path, "", "If-None-Match", etag, "Prefer", "wait=5")
		if within(t, "nothing changes", took, 5*time.Second); a.status != 304 || a.header.Get("Preference-Applied") != "wait=5" {
			t.Errorf("%d %v", a.status, a.header)
		}
		a, took = d.here(t.Context(), "GET", path, "", "Prefer", "wait=500")
		if within(t, "nothing changes, without ETag", took, 30*time.Second); a.status != 200 || a.header.Get("ETag") != etag || a.header.Get("Preference-Applied") != "wait=30" {
			t.Errorf("%d %v", a.status, a.header)
		}
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(2 * time.Second)
			d.issueHere() // another challenge is no change
			time.Sleep(2 * time.Second)
			d.accept(id)
		})
		a, took = d.here(t.Context(), "GET", path, "", "If-None-Match", etag, "Prefer", "wait=20")
		within(t, "accepted", took, 4*time.Second)
		if r := a.want(t, 200); r.Delivery.State != "accepted" || a.header.Get("ETag") == etag {
			t.Errorf("%s %v", a.body, a.header)
		}
		other.Wait()
	})
}

// Every look at a challenge of which nothing has changed gives the same bytes and
// the same ETag, before resend_after and when it has passed; another message
// changes both.
func TestLooksStayTheSame(t *testing.T) {
	bubbleOf(t, otp.DefaultLimits(), func(t *testing.T, d *desk) {
		id := d.issueHere()
		path := "/v1/otp/" + id
		first, _ := d.here(t.Context(), "GET", path, "")
		next, err := time.Parse(time.RFC3339, first.want(t, 200).ResendAfter)
		if err != nil || time.Until(next) != 30*time.Second {
			t.Fatalf("another message may go in %v: %v", time.Until(next), err)
		}
		for range 8 {
			time.Sleep(13 * time.Second)
			a, _ := d.here(t.Context(), "GET", path, "")
			if string(a.body) != string(first.body) || a.header.Get("ETag") != first.header.Get("ETag") {
				t.Fatalf("%v before it:\n%s instead of\n%s", time.Until(next), a.body, first.body)
			}
		}
		a, _ := d.here(t.Context(), "POST", path+"/resend", "", "Idempotency-Key", unique())
		a.want(t, 202)
		a, _ = d.here(t.Context(), "GET", path, "")
		if r := a.want(t, 200); r.ResendAfter == first.want(t, 200).ResendAfter || a.header.Get("ETag") == first.header.Get("ETag") {
			t.Errorf("after another message: %s", a.body)
		}
	})
}

// What changes by time alone ends a wait too: the hint that a message is late,
// and the end of the code.
func TestLookHearsTheClock(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.issueHere()
		path := "/v1/otp/" + id
		d.accept(id)
		time.Sleep(5 * time.Second)
		a, took := d.here(t.Context(), "GET", path, "", "Prefer", "wait=30")
		within(t, "delayed", took, 15*time.Second)
		if r := a.want(t, 200); r.Delivery.State != "delayed" {
			t.Errorf("%s", a.body)
		}
		time.Sleep(9*time.Minute + 25*time.Second) // 15 s before its end
		a, took = d.here(t.Context(), "GET", path, "", "Prefer", "wait=30")
		within(t, "expired", took, 15*time.Second)
		if r := a.want(t, 200); r.Status != "expired" || r.TerminalReason != "expired" {
			t.Errorf("%s", a.body)
		}
		a, took = d.here(t.Context(), "GET", path, "", "Prefer", "wait=30")
		if within(t, "it is over", took, 0); a.header.Get("Preference-Applied") != "" {
			t.Errorf("%v", a.header)
		}
	})
}

// A caller who goes away, and a daemon that stops, end every wait.
func TestWaitsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.issueHere()
		path := "/v1/otp/" + id
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, took := d.here(ctx, "GET", path, "", "Prefer", "wait=30")
		within(t, "the caller goes", took, time.Second)

		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				id := d.issueHere()
				a, took := d.here(t.Context(), "GET", "/v1/otp/"+id, "", "Prefer", "wait=30")
				a.want(t, 200)
				within(t, "the daemon stops", took, 3*time.Second)
			})
			waiting.Go(func() {
				a, took := d.here(t.Context(), "POST", "/v1/otp", requestFor(d.phone()), "Idempotency-Key", unique(), "Prefer", "wait=10")
				a.want(t, 202)
				within(t, "the daemon stops", took, 3*time.Second)
			})
		}
		time.Sleep(3 * time.Second)
		d.server.EndWaits()
		d.server.EndWaits() // twice is once
		waiting.Wait()
		if n := d.server.public.waits.n; n != 0 {
			t.Errorf("%d are still counted", n)
		}
		a, took := d.here(t.Context(), "GET", path, "", "Prefer", "wait=30")
		if within(t, "afterwards", took, 0); a.want(t, 200).Status != "pending" || a.header.Get("Preference-Applied") != "" {
			t.Errorf("%v", a.header)
		}
	})
}

// Hundreds wait while everything changes all the time: each hears of its own
// change soon.
func TestManyWait(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		const n = 300
		ids := make([]string, n)
		for i := range ids {
			ids[i] = d.issueHere()
		}
		var waiting sync.WaitGroup
		for i, id := range ids {
			waiting.Go(func() {
				a, took := d.here(t.Context(), "GET", "/v1/otp/"+id, "", "Prefer", "wait=30")
				want := time.Second + time.Duration(i)*10*time.Millisecond
				if r := a.want(t, 200); r.Delivery.State != "accepted" || took < want || took > want+200*time.Millisecond {
					t.Errorf("%d: %s after %v, want %v", i, r.Delivery.State, took, want)
				}
			})
		}
		time.Sleep(time.Second)
		for _, id := range ids {
			d.accept(id)
			time.Sleep(10 * time.Millisecond)
		}
		waiting.Wait()
	})
}

// A change at the very moment at which somebody begins to wait, heard by others
// who wait already, is not missed.
func TestNoWakeUpIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		for range 50 {
			id := d.issueHere()
			first, _ := d.here(t.Context(), "GET", "/v1/otp/"+id, "")
			look := func() {
				a, took := d.here(t.Context(), "GET", "/v1/otp/"+id, "", "Prefer", "wait=30", "If-None-Match", first.header.Get("ETag"))
				if r := a.want(t, 200); took > 100*time.Millisecond || r.Delivery.State != "accepted" {
					t.Errorf("%s after %v", a.body, took)
				}
			}
			var all sync.WaitGroup
			all.Go(func() {
				a, _ := d.here(t.Context(), "GET", "/v1/otp/"+id, "", "Prefer", "wait=30")
				a.want(t, 200)
			})
			synctest.Wait() // somebody waits
			all.Go(look)
			all.Go(func() { d.accept(id) })
			all.Go(look)
			all.Wait()
		}
	})
}

// The more wait, the less often each looks: together at most two thousand times
// a second.
func TestWaitsLookSeldom(t *testing.T) {
	w := waits{}
	for _, n := range []int{1, 10, 100, maxWaiting} {
		w.n = n
		if looks := float64(n) / w.pause().Seconds(); looks > 2000 {
			t.Errorf("%d look %.0f times a second", n, looks)
		}
	}
}

// More than may wait are answered at once.
func TestTooManyWait(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.issueHere()
		d.server.public.waits.n = maxWaiting
		a, took := d.here(t.Context(), "GET", "/v1/otp/"+id, "", "Prefer", "wait=30")
		if within(t, "one more", took, 0); a.want(t, 200).Status != "pending" || a.header.Get("Preference-Applied") != "" {
			t.Errorf("%v", a.header)
		}
	})
}

// newest is the challenge that was made last.
func (d *desk) newest() (id string) {
	err := d.db.Read(context.Background(), func(q *store.Snap) (err error) {
		id, _, err = store.Value[string](q, latest)
		return err
	})
	if err != nil {
		d.t.Error(err)
	}
	return id
}

var latest = store.SQL(`SELECT id FROM challenges ORDER BY created_at DESC, message_id DESC LIMIT 1`)

// accept lets Meta take a challenge's message now.
func (d *desk) accept(id string) {
	err := d.db.Write(context.Background(), func(tx *store.Tx) error {
		n, _, err := store.Value[int64](tx, messageOf, id)
		if err != nil {
			return err
		}
		open, _, err := gate.Opens(tx, whatsapp.LaneAuthentication)
		if err != nil {
			return err
		}
		for _, o := range open {
			if _, _, err := gate.Claim(tx, o, 1000); err != nil {
				return err
			}
		}
		m, _, err := outbox.ByID(tx, n)
		if err != nil {
			return err
		}
		out, err := outbox.Settle(tx, []outbox.Result{{Message: n, Attempt: m.Attempt, To: outbox.Accepted, Wamid: whatsapp.Wamid("wamid." + id), At: tx.Now()}})
		if err != nil {
			return err
		}
		return d.otp.Outcomes(tx, out)
	})
	if err != nil {
		d.t.Error(err)
	}
}
