package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
)

func TestHandshake(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name, query string
		token       string
		code        int
		body        string
	}{
		{"right", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=verify-token", verify, 200, "1158201444"},
		{"wrong token", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=verify-tokem", verify, 403, ""},
		{"no token", "hub.mode=subscribe&hub.challenge=1", verify, 403, ""},
		{"none configured", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", "", 403, ""},
		{"another mode", "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=verify-token", verify, 403, ""},
		{"nothing", "", verify, 403, ""},
		{"markup comes back as text", "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=verify-token", verify, 200, "<script>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.in.cfg.VerifyToken = func() string { return tt.token }
			w := httptest.NewRecorder()
			h.in.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/webhooks/whatsapp?"+tt.query, nil))
			if w.Code != tt.code || tt.code == 200 && w.Body.String() != tt.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.code, tt.body)
			}
			if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("content type %q with X-Content-Type-Options %q", ct, w.Header().Get("X-Content-Type-Options"))
			}
		})
	}
}

func TestOtherMethods(t *testing.T) {
	h := newHouse(t)
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions} {
		w := httptest.NewRecorder()
		h.in.ServeHTTP(w, httptest.NewRequest(method, "/webhooks/whatsapp", strings.NewReader("{}")))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, POST" {
			t.Errorf("%s: got %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestSignature(t *testing.T) {
	h := newHouse(t)
	body := envelope("messages", messages(h.text(ana, "Oi")))
	right := sign(secret, body)
	for _, tt := range []struct {
		name, signature string
		ok              bool
	}{
		{"right", right, true},
		{"by the second secret", sign(older, body), true},
		{"absent", "", false},
		{"empty", "sha256=", false},
		{"short", right[:len(right)-2], false},
		{"long", right + "00", false},
		{"wrong", right[:len(right)-2] + "zz", false},
		{"of another secret", sign("app-secret-three", body), false},
		{"of no secret", sign("", body), false},
		{"of another body", sign(secret, body+" "), false},
		{"without its name", strings.TrimPrefix(right, "sha256="), false},
		{"by another name", "sha1=" + strings.TrimPrefix(right, "sha256="), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(h.rows())
			forged := h.in.Stats.Forged.Load()
			w := h.post(body, tt.signature)
			switch {
			case tt.ok && w.Code != http.StatusOK:
				t.Errorf("got %d %s", w.Code, w.Body)
			case !tt.ok && w.Code != http.StatusUnauthorized:
				t.Errorf("got %d, want 401", w.Code)
			case !tt.ok && (len(h.rows()) != before || h.in.Stats.Forged.Load() != forged+1):
				t.Errorf("a forged callback was stored, or not counted")
			}
		})
	}
	if n := len(h.rows()); n != 1 {
		t.Errorf("%d callbacks are stored, want the one", n)
	}
	h.in.cfg.Secrets = func() [][]byte { return nil }
	if w := h.post(body, sign("", body)); w.Code != http.StatusUnauthorized {
		t.Errorf("without any secret got %d", w.Code)
	}
}

func TestSize(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name string
		size int
		code int
	}{{"3 MB", 3_000_000, 200}, {"4 MiB", 4 << 20, 200}, {"one more", 4<<20 + 1, 413}, {"8 MiB", 8 << 20, 413}} {
		t.Run(tt.name, func(t *testing.T) {
			head, tail := envelope("messages", messages(h.text(ana, tt.name))), ""
			body := head + strings.Repeat(" ", tt.size-len(head)-len(tail)) + tail
			if w := h.post(body, sign(secret, body)); w.Code != tt.code {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, tt.code)
			}
			rows := h.rows()
			if kept := rows[max(len(rows)-1, 0)].Body == body; kept != (tt.code == 200) {
				t.Errorf("kept byte for byte: %v", kept)
			}
		})
	}
	h.apply()
	h.applied()
}

func TestBodyThatBreaksOff(t *testing.T) {
	h := newHouse(t)
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(`{"object"`), broken{}))
	w := httptest.NewRecorder()
	h.in.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || len(h.rows()) != 0 || h.in.Stats.Refused.Load() != 1 {
		t.Errorf("got %d with %d stored", w.Code, len(h.rows()))
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func TestSameBytesAreStoredOnce(t *testing.T) {
	h := newHouse(t)
	body := envelope("messages", messages(h.text(ana, "Oi")))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if w := h.post(body, sign(secret, body)); w.Code != http.StatusOK {
				t.Errorf("got %d", w.Code)
			}
		})
	}
	wg.Wait()
	h.apply()
	h.deliver(body) // also after it was applied
	if rows := h.rows(); len(rows) != 1 || rows[0].State != "applied" {
		t.Errorf("rows %+v", rows)
	}
	s := &h.in.Stats
	if s.Stored.Load() != 1 || s.Again.Load() != 20 || s.Applied.Load() != 1 {
		t.Errorf("stored %d, again %d, applied %d; want 1, 20, 1", s.Stored.Load(), s.Again.Load(), s.Applied.Load())
	}
}

// What could not be written is answered 503; Meta sends it again, and then it
// counts, once.
func TestStoreFailure(t *testing.T) {
	h := newHouse(t)
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	body := envelope("messages", statuses(h.status("wamid.a", "delivered", h.callback(id), ana)))
	h.db.Crash()
	if w := h.post(body, sign(secret, body)); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("got %d, want 503", w.Code)
	}
	h.open()
	if n := len(h.rows()); n != 0 {
		t.Fatalf("%d callbacks survived, none was confirmed", n)
	}
	h.deliver(body)
	if m := h.message(id); m.State != outbox.Delivered {
		t.Errorf("state %s", m.State)
	}
}

// Between the 200 and the ledgers the process may die: what is on disk is
// applied by the next, once.
func TestKilledBetweenStoredAndApplied(t *testing.T) {
	h := newHouse(t)
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	bodies := []string{
		envelope("messages", messages(h.text(bia, "Oi"))),
		envelope("messages", statuses(h.status("wamid.a", "delivered", h.callback(id), ana))),
		envelope("messages", messages(h.text(ana, "SAIR"))),
	}
	for _, b := range bodies {
		if w := h.post(b, sign(secret, b)); w.Code != http.StatusOK {
			t.Fatalf("got %d", w.Code)
		}
	}
	h.crash()
	if n := len(h.rows()); n != 3 {
		t.Fatalf("%d of 3 confirmed callbacks are on disk", n)
	}
	h.run(func() bool { return h.in.Stats.Applied.Load() >= 3 })
	h.applied()
	if m := h.message(id); m.State != outbox.Delivered || h.may(ana, whatsapp.Marketing) {
		t.Errorf("state %s, may be sent to: %v", m.State, h.may(ana, whatsapp.Marketing))
	}
	told := len(h.outcomes)
	h.crash()
	h.apply()
	if len(h.outcomes) != told {
		t.Error("applied callbacks were applied again")
	}
}

// run lets Run work until something is true.
func (h *house) run(until func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- h.in.Run(ctx) })
	deadline := time.Now().Add(10 * time.Second)
	for !until() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if !until() {
		h.t.Error("Run did not get there in 10 s")
	}
	cancel()
	wg.Wait()
	if err := <-done; err != nil {
		h.t.Errorf("Run ended with %v", err)
	}
}

// A callback that comes while Run sleeps wakes it.
func TestRunIsWoken(t *testing.T) {
	h := newHouse(t)
	sent := false
	h.run(func() bool {
		if !sent {
			sent = true
			time.Sleep(20 * time.Millisecond) // Run has looked and sleeps
			body := envelope("messages", messages(h.text(ana, "Oi")))
			if w := h.post(body, sign(secret, body)); w.Code != http.StatusOK {
				t.Errorf("got %d", w.Code)
			}
		}
		return h.in.Stats.Applied.Load() == 1
	})
}

// One callback that cannot be applied is set aside with the reason; those
// around it are applied, each once.
func TestPoison(t *testing.T) {
	h := newHouse(t)
	a := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	b := h.sent(bia, "oferta", whatsapp.Marketing, "wamid.b")
	h.onTell = func(_ *store.Tx, out []outbox.Outcome) error {
		for _, o := range out {
			if o.Message == b && o.To == outbox.Delivered {
				return errors.New("a follower cannot take this")
			}
		}
		return nil
	}
	h.deliver(
		envelope("messages", statuses(h.status("wamid.a", "delivered", h.callback(a), ana))),
		`this is no JSON`,
		`{"object":"whatsapp_business_account"}`,
		envelope("messages", statuses(h.status("wamid.b", "delivered", h.callback(b), bia))),
		envelope("messages", messages(h.text(ana, "PARAR"))),
	)
	var states []string
	for _, r := range h.rows() {
		states = append(states, r.State)
		if failed := r.State == "failed"; failed != (r.Note != "") || r.AppliedAt == 0 {
			t.Errorf("state %s with note %q at %d", r.State, r.Note, r.AppliedAt)
		}
	}
	if got := strings.Join(states, " "); got != "applied failed failed failed applied" {
		t.Errorf("states %s", got)
	}
	if m := h.message(a); m.State != outbox.Delivered {
		t.Errorf("the message before the poison is %s", m.State)
	}
	if m := h.message(b); m.State != outbox.Accepted {
		t.Errorf("of the poison something was applied: %s", m.State)
	}
	if h.may(ana, whatsapp.Marketing) {
		t.Error("the STOP behind the poison was lost")
	}
	s := &h.in.Stats
	if s.Applied.Load() != 2 || s.Failed.Load() != 3 {
		t.Errorf("counted %d applied and %d failed; want 2 and 3", s.Applied.Load(), s.Failed.Load())
	}
	for _, secret := range []string{digits(ana), digits(bia), "PARAR"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, h.log.String())
		}
	}
}

func TestManyCallbacksInOrder(t *testing.T) {
	h := newHouse(t)
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	for range 60 { // more than one batch
		b := envelope("messages", messages(h.text(bia, "Oi")))
		h.post(b, sign(secret, b))
	}
	h.pass(time.Second)
	h.deliver(envelope("messages", statuses(h.status("wamid.a", "sent", h.callback(id), ana))),
		envelope("messages", statuses(h.status("wamid.a", "read", h.callback(id), ana))))
	h.applied()
	if m := h.message(id); m.State != outbox.Read {
		t.Errorf("state %s", m.State)
	}
	if s := h.in.Stats.Applied.Load(); s != int64(len(h.rows())) {
		t.Errorf("%d applied of %d", s, len(h.rows()))
	}
}

func FuzzPost(f *testing.F) {
	h := newHouse(f)
	f.Add([]byte(envelope("messages", messages(`{"from":"5511900000001","id":"wamid.x","timestamp":"1764000000","type":"text","text":{"body":"SAIR"}}`))))
	f.Add([]byte(envelope("messages", statuses(`{"id":"wamid.y","status":"failed","timestamp":1764000000000,"recipient_id":"5511900000001","errors":[{"code":131050}]}`))))
	f.Add([]byte(envelope("user_preferences", `{"user_preferences":[{"wa_id":"5511900000001","category":"marketing_messages","value":"stop","timestamp":1764000000}]}`)))
	f.Add([]byte(envelope("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"DISABLE"}}`)))
	f.Add([]byte(`{"entry":[{}]}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		mac := sign(secret, string(body))
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set(webhook.SignatureHeader, mac)
		w := httptest.NewRecorder()
		h.in.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("a signed body was answered %d", w.Code)
		}
		n, err := h.in.applyStored(context.Background())
		if err != nil || n > 1 {
			t.Fatalf("applied %d, %v", n, err)
		}
	})
}

// A disk that is full for a moment is not the callback's fault: it waits, and
// the STOP in it is not lost.
func TestPassingFailureSetsNothingAside(t *testing.T) {
	h := newHouse(t)
	h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	h.queue(ana, "oferta", whatsapp.Marketing)
	full := 3
	h.onTell = func(*store.Tx, []outbox.Outcome) error {
		if full--; full >= 0 {
			return fmt.Errorf("write: %w", sqlite3.Error{Code: sqlite3.ErrFull})
		}
		return nil
	}
	body := envelope("messages", messages(h.text(ana, "PARAR")))
	h.post(body, sign(secret, body))
	for range 5 { // Run tries again after a second
		if _, err := h.in.applyStored(context.Background()); err != nil && !store.Passing(err) {
			t.Fatal(err)
		}
	}
	if full >= 0 {
		t.Fatal("the disk was never full: the test is blind")
	}
	for _, r := range h.rows() {
		if r.State != "applied" {
			t.Errorf("a callback is %s: %s", r.State, r.Note)
		}
	}
	if h.may(ana, whatsapp.Marketing) {
		t.Error("the STOP was lost")
	}
}
