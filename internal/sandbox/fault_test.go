package sandbox

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFaults lets each fault happen once: what the client sees, whether the
// message exists, and what is posted of it. The request after it is untouched.
func TestFaults(t *testing.T) {
	const broken = -1 // the connection, or the client's patience
	all := "sent delivered read"
	for _, one := range []struct {
		name     string
		fault    Fault
		status   int
		code     int // of the Graph error; 0: none
		accepted int
		after    time.Duration // how long the client waited
		posted   string
	}{
		{"error", Fault{Kind: FaultError, Code: 130429}, 400, 130429, 0, 0, ""},
		{"error with status", Fault{Kind: FaultError, Code: 130429, HTTPStatus: 429}, 429, 130429, 0, 0, ""},
		{"error 500", Fault{Kind: FaultError, Code: 131000}, 500, 131000, 0, 0, ""},
		{"error and processed", Fault{Kind: FaultError, Code: 131000, Process: true}, 500, 131000, 1, 0, all},
		{"unknown code", Fault{Kind: FaultError, Code: 199999}, 400, 199999, 0, 0, ""},
		{"reset before", Fault{Kind: FaultResetBefore}, broken, 0, 0, 0, ""},
		{"reset after", Fault{Kind: FaultResetAfter}, broken, 0, 1, 0, all},
		{"timeout", Fault{Kind: FaultTimeout}, broken, 0, 1, time.Minute, all},
		{"timeout with an end", Fault{Kind: FaultTimeout, Delay: 5 * time.Second}, broken, 0, 1, 5 * time.Second, all},
		{"garbage", Fault{Kind: FaultGarbage}, 200, 0, 1, 0, all},
		{"no wamid", Fault{Kind: FaultNoWamid}, 200, 0, 1, 0, all},
		{"bad gateway", Fault{Kind: FaultBadGateway}, 502, 0, 0, 0, ""},
		{"proxy throttles", Fault{Kind: FaultBadGateway, HTTPStatus: 429}, 429, 0, 0, 0, ""},
		{"bad gateway, processed", Fault{Kind: FaultBadGateway, Process: true}, 502, 0, 1, 0, all},
		{"slow", Fault{Kind: FaultSlow, Delay: 9 * time.Second}, 200, 0, 1, 9 * time.Second, all},
		{"status first", Fault{Kind: FaultStatusBeforeAnswer}, 200, 0, 1, 2 * time.Second, all},
		{"redirect", Fault{Kind: FaultRedirect}, 307, 0, 0, 0, ""},
		{"failed", Fault{Kind: FaultFailedStatus, Code: 131049}, 200, 0, 1, 0, "failed 131049"},
		{"held", Fault{Kind: FaultHeld}, 200, 0, 1, 0, ""}, // comes after ten minutes
		{"silence", Fault{Kind: FaultSilence}, 200, 0, 1, 0, ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				w.client.Transport.(*http.Transport).DisableKeepAlives = true
				if _, err := w.s.AddFault(one.fault); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				status, body, err := w.do("POST", sendPath, oferta(ana, "k"))
				if err != nil {
					status = broken
				}
				if took := time.Since(begun); took != one.after {
					t.Errorf("the client waited %v, want %v", took, one.after)
				}
				if status != one.status || one.code != 0 && codeOf(body) != one.code {
					t.Errorf("status %d (%v), want %d with code %d: %s", status, err, one.status, one.code, body)
				}
				if held := strings.Contains(body, "held_for_quality_assessment"); held != (one.fault.Kind == FaultHeld) {
					t.Errorf("held: %s", body)
				}
				if n := w.s.Tally("k").Accepted; n != one.accepted {
					t.Errorf("accepted %d, want %d", n, one.accepted)
				}
				if one.fault.Kind == FaultStatusBeforeAnswer {
					if first := w.hook.all()[0].At; first != 0 {
						t.Errorf("the first status came after %v, want at once", first)
					}
				}
				time.Sleep(time.Minute)
				if got := strings.Join(w.hook.statuses("k"), " "); got != one.posted {
					t.Errorf("posted %q, want %q", got, one.posted)
				}
				if len(w.s.Faults()) != 0 {
					t.Error("the fault is still there")
				}
				w.must("POST", sendPath, oferta(ana, "next"))
			})
		})
	}
}

func TestFaultMatches(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for _, f := range []Fault{
			{Match: Match{Recipient: "0002"}, Kind: FaultError, Code: 1, Count: -1},
			{Match: Match{Template: "oferta_natal", Number: numB}, Kind: FaultError, Code: 2},
			{Match: Match{Kind: "text"}, Kind: FaultError, Code: 3, Count: 2},
			{Match: Match{Kind: "read"}, Kind: FaultError, Code: 4},
			{Match: Match{Key: "j1.db.77."}, Kind: FaultError, Code: 368},
		} {
			if _, err := w.s.AddFault(f); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(method, path, body string) int {
			status, text, err := w.do(method, path, body)
			if err != nil {
				t.Fatal(err)
			}
			if status == 200 {
				return 0
			}
			return codeOf(text)
		}
		toB := "/v25.0/" + numB + "/messages"
		got := []int{
			ask("POST", sendPath, oferta(ana, "k")),
			ask("POST", sendPath, oferta("+5511900000002", "k")),
			ask("POST", sendPath, oferta("+5511900000002", "k")),
			ask("POST", toB, oferta(ana, "k")),
			ask("POST", toB, oferta(ana, "k")),
			ask("POST", sendPath, text(ana, "k")),
			ask("POST", sendPath, text(ana, "k")),
			ask("POST", sendPath, text(ana, "k")),
			ask("GET", "/v25.0/"+waba+"/message_templates", ""),
			ask("GET", "/v25.0/"+waba+"/message_templates", ""),
			ask("POST", sendPath, oferta(ana, "j1.db.77.1")),
		}
		if diff := cmp.Diff([]int{0, 1, 1, 2, 0, 3, 3, 0, 4, 0, 368}, got); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if n := len(w.s.Faults()); n != 1 {
			t.Errorf("%d faults left, want the endless one", n)
		}
		if !w.s.RemoveFault(0) || w.s.RemoveFault(0) {
			t.Error("RemoveFault")
		}
		for _, f := range []Fault{
			{Kind: "nonsense"}, {Kind: FaultFailedStatus},
			{Kind: FaultSlow, Delay: -1}, {Kind: FaultError, Code: 1, HTTPStatus: 200},
		} {
			if _, err := w.s.AddFault(f); err == nil {
				t.Errorf("%+v was taken", f)
			}
		}
	})
}

// TestHangsEnd checks that a request left hanging does not outlive the sandbox.
func TestHangsEnd(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.client.Timeout = 0
		if _, err := w.s.AddFault(Fault{Kind: FaultTimeout}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			_, _, err := w.do("POST", sendPath, oferta(ana, "k"))
			done <- err
		})
		time.Sleep(time.Hour)
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("the hanging request was answered")
		}
	})
}

// A fault with a chance meets its share of the requests, the same ones with the
// same seed, and no other fault stands behind it in vain.
func TestFaultsByChance(t *testing.T) {
	met := func() string {
		var which strings.Builder
		inBubble(t, nil, func(w *world) {
			for _, f := range []Fault{{Kind: FaultError, Code: 131057, Chance: 0.1, Count: -1}, {Kind: FaultError, Code: 130429, Chance: 1, Count: 20}} {
				if _, err := w.s.AddFault(f); err != nil {
					t.Fatal(err)
				}
			}
			for range 400 {
				_, body, err := w.do("POST", sendPath, oferta(ana, ""))
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case strings.Contains(body, "131057"):
					which.WriteByte('x')
				case strings.Contains(body, "130429"):
					which.WriteByte('o')
				default:
					which.WriteByte('.')
				}
			}
		})
		return which.String()
	}
	first := met()
	if n := strings.Count(first, "x"); n < 20 || n > 70 || strings.Count(first, "o") != 20 {
		t.Errorf("a tenth of 400 requests, and 20 others, met: %s", first)
	}
	if again := met(); again != first {
		t.Errorf("the same seed met others:\n%s\n%s", first, again)
	}
	inBubble(t, nil, func(w *world) {
		if _, err := w.s.AddFault(Fault{Kind: FaultResetAfter, Chance: 1.5}); err == nil {
			t.Error("a chance of 1.5 was taken")
		}
	})
}
