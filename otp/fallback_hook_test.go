package otp

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

// hijacked answers with these bytes, and goes on only if more says so.
func hijacked(says string, more func(io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, says)
		if more != nil {
			more(conn)
		}
		_ = conn.Close()
	}
}

// drip writes a byte a second until nobody reads.
func drip(w io.Writer) {
	for _, err := w.Write([]byte("x")); err == nil; _, err = w.Write([]byte("x")) {
		time.Sleep(time.Second)
	}
}

// What a system that misbehaves is asked, and what becomes of the code.
func TestHostileHooks(t *testing.T) {
	for name, tt := range map[string]struct {
		does            http.HandlerFunc
		requests        int
		state, delivery string
		says            string
	}{
		"200":          {nil, 1, "sent", "sent", ""},
		"202":          {answer(202), 1, "sent", "sent", ""},
		"200 and HTML": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Welcome</html>") }, 1, "sent", "sent", ""},
		"200 and an endless body": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, 1, "sent", "sent", ""},
		"200 and a body that never comes": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 1, "sent", "sent", ""},
		"500":          {answer(500), 2, "failed", "failed", "status 500"},
		"404":          {answer(404), 2, "failed", "failed", "status 404"},
		"not modified": {answer(304), 2, "failed", "failed", "status 304"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, 2, "failed", "failed", "status 302"},
		"redirect 308": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		}, 2, "failed", "failed", "status 308"},
		"never answers":   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 2, "unknown", "unknown", "no answer in time"},
		"slow loris":      {hijacked("HTTP/1.1 200 OK\r\nX-A: ", drip), 2, "unknown", "unknown", "no answer in time"},
		"endless headers": {hijacked("HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("x", 1<<20), nil), 2, "unknown", "unknown", "no answer that can be read"},
		"closes early":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 2, "unknown", "unknown", "the connection broke off"},
		"no HTTP":         {hijacked("220 mail.example ESMTP\r\n\r\n", nil), 2, "unknown", "unknown", "no answer that can be read"},
		"another protocol": {hijacked("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", nil), 2, "failed", "failed",
			"status 101"},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				h.smsc.answers(tt.does)
				v := h.issue(t)
				h.deliver(t)
				h.bySMS(v.ID)
				h.pass(20 * time.Minute)
				all := h.smsc.log()
				if len(all) != tt.requests || len(h.smsc.dialled()) != tt.requests {
					t.Fatalf("%d requests, %d connections", len(all), len(h.smsc.dialled()))
				}
				for _, a := range all {
					if a.id != all[0].id || a.Code != all[0].Code || a.header.Get("Host") == "elsewhere.example" {
						t.Errorf("another request: %s", a.id)
					}
					if err := signedBy(a, hookSecret, a.at); err != nil {
						t.Error(err)
					}
				}
				row := h.handovers()[0]
				if string(row.State) != tt.state || row.Detail != tt.says {
					t.Errorf("%s: %s", row.State, row.Detail)
				}
				if n, fellBack := h.counted(); n != 2 || fellBack != 1 { // it may have been sent: it counts
					t.Errorf("%d sends, %d by the fallback", n, fellBack)
				}
				if diff := cmp.Diff(map[string]int{"asked " + tt.state: 1}, h.fellBack); diff != "" {
					t.Error(diff)
				}
				if d := h.view(t, v.ID).Delivery; d.State != tt.delivery {
					t.Errorf("%+v", d)
				}
				if tt.says != "" && !strings.Contains(h.lines.String(), tt.says) {
					t.Errorf("the log says nothing of it:\n%s", h.lines)
				}
			})
		})
	}
}

// What GET says while the challenge is still open, and the alert of operators.
func TestWhatIsSaidOfAHookThatFails(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		h.smsc.answers(answer(500))
		v := h.issue(t)
		h.deliver(t)
		h.bySMS(v.ID)
		if d := h.view(t, v.ID).Delivery; d.State != "queued" || d.Fallback != "sent" {
			t.Errorf("%+v", d)
		}
		h.pass(10 * time.Second)
		if d := h.view(t, v.ID).Delivery; d.State != "failed" || d.Reason != unknownReason || d.Code != 0 || d.Fallback != "offered" {
			t.Errorf("%+v", d)
		}
		if got := h.FallbackTrouble(time.Now()); got != "status 500" {
			t.Errorf("the alert is %q", got)
		}
		h.smsc.answers(nil)
		h.bySMS(v.ID)
		if d := h.view(t, v.ID).Delivery; d.State != "sent" || d.Fallback != "sent" || h.FallbackTrouble(time.Now()) != "" {
			t.Errorf("%+v, %q", d, h.FallbackTrouble(time.Now()))
		}
		if got := h.verify(t, v.ID, h.smsc.log()[2].Code); got != "" {
			t.Error(got)
		}
		// Both budgets are used up: nothing is offered any more.
		v = h.issue(t)
		h.missing()
		if d := h.view(t, v.ID).Delivery; d.State != "failed" || d.Fallback != "none" {
			t.Errorf("%+v", d)
		}
	})
	inTown(t, func(t *testing.T, h *town) { // one repeat heals
		var once sync.Once
		h.smsc.answers(func(w http.ResponseWriter, _ *http.Request) { once.Do(func() { w.WriteHeader(503) }) })
		v := h.issue(t)
		h.bySMS(v.ID)
		h.pass(doubtPause + time.Second)
		if all := h.smsc.log(); len(all) != 2 || all[0].id != all[1].id || all[0].Code != all[1].Code || h.states() != "sent" {
			t.Errorf("%d requests, %s", len(all), h.states())
		}
	})
}

// Nobody answers: surely nothing was sent, so it is tried until the code is too
// old to be typed, and given back to every limit then.
func TestHookThatIsAway(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		h.smsc.setAway(true)
		v := h.issue(t)
		h.deliver(t)
		v = h.bySMS(v.ID)
		if n, fellBack := h.counted(); n != 2 || fellBack != 1 {
			t.Errorf("%d sends, %d by the fallback", n, fellBack)
		}
		h.pass(9*time.Minute + 20*time.Second)
		if d := h.view(t, v.ID).Delivery; d.State != "queued" || d.Fallback != "sent" {
			t.Errorf("%+v", d)
		}
		if h.FallbackTrouble(time.Now()) != "the connection was refused" {
			t.Errorf("%q", h.FallbackTrouble(time.Now()))
		}
		h.pass(25 * time.Second)
		if d := h.view(t, v.ID).Delivery; d.State != "failed" || d.Reason != expiredTTL || d.Fallback != "none" && d.Fallback != "offered" {
			t.Errorf("%+v", d)
		}
		h.smsc.setAway(false)
		h.pass(time.Hour)
		dials := h.smsc.dialled()
		last := dials[len(dials)-1]
		if len(h.smsc.log()) != 0 || !last.Before(v.ExpiresAt.Add(-lastSend)) || len(dials) < 30 || len(dials) > 60 {
			t.Errorf("%d requests, the last connection of %d was tried %s before the code's end", len(h.smsc.log()), len(dials), v.ExpiresAt.Sub(last))
		}
		if n, fellBack := h.counted(); n != 1 || fellBack != 0 || h.states() != "expired" {
			t.Errorf("%d sends, %d by the fallback, %s", n, fellBack, h.states())
		}
		if h.FallbackTrouble(time.Now()) != "" {
			t.Error("the alert stands for ever")
		}
		if n := strings.Count(h.lines.String(), "refused"); n > 3 {
			t.Errorf("%d lines about it", n)
		}
	})
	inTown(t, func(t *testing.T, h *town) { // it comes back in time
		h.smsc.setAway(true)
		v := h.issue(t)
		h.bySMS(v.ID)
		h.pass(time.Minute)
		h.smsc.setAway(false)
		h.pass(maxPause)
		if n := len(h.smsc.log()); n != 1 || h.states() != "sent" {
			t.Errorf("%d requests, %s", n, h.states())
		}
		if got := h.verify(t, v.ID, h.smsc.log()[0].Code); got != "" {
			t.Error(got)
		}
	})
}

// More codes than may be under way at once: all arrive, none twice, and the
// others do not wait for the one that hangs.
func TestManyFallbacksAtOnce(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		var mu sync.Mutex
		flying, most := 0, 0
		h.smsc.answers(func(http.ResponseWriter, *http.Request) {
			mu.Lock()
			flying++
			most = max(most, flying)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			flying--
			mu.Unlock()
		})
		var ids []string
		for range 3*hookAtOnce + 5 {
			ids = append(ids, h.issue(t).ID)
		}
		h.write(t, func(tx *store.Tx) error {
			for _, id := range ids {
				if _, err := h.Resend(tx, app, id, Resend{Channel: sms}); err != nil {
					return err
				}
			}
			return nil
		})
		h.pass(4 * time.Second)
		got := map[string]int{}
		for _, a := range h.smsc.log() {
			got[a.ID]++
		}
		for _, id := range ids {
			if got[id] != 1 {
				t.Errorf("%d requests for one code", got[id])
			}
		}
		if most != hookAtOnce {
			t.Errorf("%d at once", most)
		}
	}, func(c *Config) { c.Fallback.PerDay, c.Fallback.Share = -1, -1 })
}

// A stop waits for the request under way and writes what became of it; what
// waits leaves after the next start.
func TestStopWaitsForTheHook(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		release := make(chan struct{})
		h.smsc.answers(func(http.ResponseWriter, *http.Request) { <-release })
		v := h.issue(t)
		h.bySMS(v.ID)
		h.cancel()
		synctest.Wait()
		w := h.issue(t, func(r *Request) { r.To = phone2 })
		h.resend(t, w.ID, Resend{Channel: sms})
		select {
		case <-h.done:
			t.Error("it did not wait")
		default:
		}
		close(release)
		<-h.done
		if h.states() != "sent queued" {
			t.Errorf("after the stop: %s", h.states())
		}
		if err := h.DB.Close(); err != nil {
			t.Error(err)
		}
		h.begin()
		h.run()
		if all := h.smsc.log(); len(all) != 2 || all[0].ID == all[1].ID || h.states() != "sent sent" {
			t.Errorf("%d requests, %s", len(all), h.states())
		}
	})
	// One that never answers keeps nobody longer than its time.
	inTown(t, func(t *testing.T, h *town) {
		h.smsc.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		h.bySMS(h.issue(t).ID)
		began := time.Now()
		h.stop()
		if took := time.Since(began); took > hookTimeout {
			t.Errorf("the stop took %s", took)
		}
		if r := h.handovers()[0]; r.State != handedQueued || r.Doubts != 1 {
			t.Errorf("%+v", r)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Wherever the process dies, the hook is asked at most twice, for the same code
// with the same id, and what was promised by 202 arrives.
func TestAKillAtEveryStepOfTheFallback(t *testing.T) {
	for name, step := range map[string]struct {
		kill     func(h *town, once *sync.Once)
		requests int
	}{
		"never": {func(*town, *sync.Once) {}, 1},
		"between the commit and the claim": {func(h *town, _ *sync.Once) {
			h.stop() // nobody claims
		}, 1},
		"between the claim and the request": {func(h *town, once *sync.Once) {
			h.wrap = func(inner http.RoundTripper) http.RoundTripper {
				return tripper(func(r *http.Request) (resp *http.Response, err error) {
					err = context.DeadlineExceeded
					dies := false
					once.Do(func() { h.DB.Crash(); dies = true })
					if !dies {
						resp, err = inner.RoundTrip(r)
					}
					return resp, err
				})
			}
		}, 1},
		"while the hook works": {func(h *town, once *sync.Once) {
			h.smsc.answers(func(http.ResponseWriter, *http.Request) { once.Do(h.DB.Crash) })
		}, 2},
		"while the hook works, and it answers nothing": {func(h *town, once *sync.Once) {
			h.smsc.answers(func(http.ResponseWriter, *http.Request) {
				once.Do(func() { h.DB.Crash(); panic(http.ErrAbortHandler) })
			})
		}, 2},
		"between the answer and its row": {func(h *town, once *sync.Once) {
			h.wrap = func(inner http.RoundTripper) http.RoundTripper {
				return tripper(func(r *http.Request) (*http.Response, error) {
					resp, err := inner.RoundTrip(r)
					once.Do(h.DB.Crash)
					return resp, err
				})
			}
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, func(t *testing.T, h *town) {
				var once sync.Once
				v := h.issue(t)
				h.deliver(t)
				step.kill(h, &once)
				if h.wrap != nil {
					h.stop()
					if err := h.DB.Close(); err != nil {
						t.Fatal(err)
					}
					h.begin()
					h.run()
				}
				if _, err := h.tryResend(v.ID, Resend{Channel: sms}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				h.crash()
				h.pass(20 * time.Minute)
				all := h.smsc.log()
				if len(all) != step.requests {
					t.Fatalf("%d requests, %s", len(all), h.states())
				}
				for _, a := range all {
					if a.id != all[0].id || a.Code != all[0].Code {
						t.Errorf("another code, or another id: %s", a.id)
					}
				}
				if h.states() != "sent" {
					t.Errorf("%s", h.states())
				}
				if n, fellBack := h.counted(); n != 2 || fellBack != 1 {
					t.Errorf("%d sends, %d by the fallback", n, fellBack)
				}
			})
		})
	}
}

// However often it dies with a request under way, there is no third one.
func TestNoThirdRequest(t *testing.T) {
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		h.smsc.answers(func(http.ResponseWriter, *http.Request) { h.DB.Crash() })
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.reopen()
		h.reopen() // the second request ended this one too
		h.smsc.answers(nil)
		h.pass(20 * time.Minute)
		all := h.smsc.log()
		if len(all) != 2 || all[0].id != all[1].id || h.states() != "unknown" {
			t.Errorf("%d requests, %s", len(all), h.states())
		}
		if !strings.Contains(h.lines.String(), "janela ended before the answer came") {
			t.Errorf("nothing is said of it:\n%s", h.lines)
		}
	})
	// A refused connection in between is no request.
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		h.smsc.answers(func(http.ResponseWriter, *http.Request) { h.DB.Crash() })
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.smsc.setAway(true)
		h.reopen()
		h.pass(20 * time.Second)
		h.smsc.setAway(false)
		h.smsc.answers(answer(500))
		h.pass(20 * time.Minute)
		if all := h.smsc.log(); len(all) != 2 || h.states() != "failed" {
			t.Errorf("%d requests, %s", len(all), h.states())
		}
	})
	// What was under way when the time was over, and what is left when the fallback
	// was switched off meanwhile, is not asked again.
	inTown(t, func(t *testing.T, h *town) {
		v := h.issue(t)
		h.smsc.answers(func(http.ResponseWriter, *http.Request) { h.DB.Crash() })
		if _, err := h.tryResend(v.ID, Resend{Channel: sms}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.stop()
		time.Sleep(9*time.Minute + 30*time.Second)
		h.begin()
		h.run()
		h.pass(time.Minute)
		if n := len(h.smsc.log()); n != 1 || h.states() != "unknown" {
			t.Errorf("%d requests, %s", n, h.states())
		}
	})
	inTown(t, func(t *testing.T, h *town) {
		h.smsc.setAway(true)
		h.bySMS(h.issue(t).ID)
		h.smsc.setAway(false)
		h.change = append(slices.Clone(h.change), func(c *Config) { c.Fallback.Mode = modeOff })
		h.crash()
		h.pass(time.Minute)
		if n := len(h.smsc.log()); n != 0 || h.states() != "expired" {
			t.Errorf("%d requests, %s", n, h.states())
		}
	})
}
