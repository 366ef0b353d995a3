package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// restart ends the sandbox and begins another on the same journal.
func (w *world) restart() {
	w.stop()
	w.start()
}

// TestReplay kills the sandbox while the webhook is down: what is owed comes
// after the restart, once; what was acknowledged does not come again.
func TestReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	inBubble(t, func(c *Config) { c.Journal = path }, func(w *world) {
		w.must("POST", sendPath, oferta(ana, "j1.db.1.1"))
		time.Sleep(2500 * time.Millisecond) // sent and delivered, not read
		w.hook.set(503)
		w.must("POST", sendPath, oferta(bob, "j1.db.2.1"))
		id, err := w.s.Inbound(Inbound{From: ana, Text: "oi"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.s.SetTemplate(TemplateChange{Name: "pedido_enviado", Language: "pt_BR", Status: "PAUSED", Silent: true}); err != nil {
			t.Fatal(err)
		}
		if err := w.s.Preference(Preference{From: bob, Value: "stop"}); err != nil {
			t.Fatal(err)
		}
		_, media := upload(w, "image/png", "png")
		time.Sleep(time.Minute)
		before := w.s.Sends()
		for i := range before {
			before[i].Text = "" // not in the journal
		}
		pending := w.s.Pending()

		w.restart()
		if diff := cmp.Diff(before, w.s.Sends()); diff != "" {
			t.Errorf("ledger (-before +after):\n%s", diff)
		}
		if w.s.Pending() != pending || pending != 1+3+2 {
			t.Errorf("%d owed after the restart, %d before, want 6", w.s.Pending(), pending)
		}
		w.hook.set(0)
		time.Sleep(time.Hour)
		for key, want := range map[string]string{"j1.db.1.1": "sent delivered read", "j1.db.2.1": "sent delivered read"} {
			if got := strings.Join(w.hook.statuses(key), " "); got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
		var inbound, preferences int
		for _, p := range w.hook.all() {
			inbound += strings.Count(string(p.Body), id)
			preferences += strings.Count(string(p.Body), `"user_preferences"`) / 2 // field and value
		}
		if inbound != 1 || preferences != 1 {
			t.Errorf("%d inbound, %d preferences; want each once", inbound, preferences)
		}
		// What opened before the restart is open after it.
		w.must("POST", sendPath, text(ana, "window"))
		w.must("POST", sendPath, oferta(bob, "j1.db.3.1"))
		time.Sleep(time.Minute)
		got := w.hook.statuses("window")[0] + ", " + w.hook.statuses("j1.db.3.1")[0]
		if got != "sent, failed 131050" {
			t.Errorf("window and preference: %s", got)
		}
		if _, body, _ := w.do("POST", sendPath, strings.Replace(oferta(ana, "k"), "oferta_natal", "pedido_enviado", 1)); codeOf(body) != 132015 {
			t.Errorf("the pause is forgotten: %s", body)
		}
		var file struct{ ID string }
		if err := json.Unmarshal([]byte(media), &file); err != nil {
			t.Fatal(err)
		}
		w.must("GET", "/v25.0/"+file.ID, "")
		if w.s.Tally("j1.db.1.1").Accepted != 1 {
			t.Error("tally")
		}
		w.hook.set(503) // else it may be posted before the restart, or at once after it
		next, err := w.s.Inbound(Inbound{From: ana, Text: "oi"})
		if err != nil || next == id {
			t.Errorf("inbound after the restart has the id of one before it: %v", err)
		}
		w.restart()
		if n := w.s.Pending(); n != 1 { // the last inbound, not accepted yet
			t.Errorf("%d owed, want 1", n)
		}
	})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: %v %v", info.Mode(), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(raw), "20%") {
		t.Errorf("the journal tells what was sent: %v", err)
	}
}

func TestTornJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	cfg := testConfig()
	cfg.Journal = path
	inBubble(t, func(c *Config) { c.Journal = path }, func(w *world) {
		w.must("POST", sendPath, oferta(ana, "j1.db.1.1"))
	})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(whole) + `{"send":{"key":"j1.d`)
	s, err := New(cfg)
	if err != nil || s.Count() != 1 {
		t.Fatalf("torn last line: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if cut, err := os.ReadFile(path); err != nil || string(cut) != string(whole) {
		t.Errorf("the torn line is still there: %v %s", err, cut)
	}
	write(string(whole) + "nonsense\n" + string(whole))
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("broken line: %v", err)
	}
	write(string(whole))
	cfg.Seed++
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "seed 8") {
		t.Errorf("other seed: %v", err)
	}
}

// TestJournalFull refuses what it could not remember.
func TestJournalFull(t *testing.T) {
	inBubble(t, func(c *Config) { c.Journal = filepath.Join(t.TempDir(), "journal") }, func(w *world) {
		if err := w.s.journal.close(); err != nil {
			t.Fatal(err)
		}
		status, body, err := w.do("POST", sendPath, oferta(ana, "k"))
		if err != nil || status != 503 || codeOf(body) != 2 || w.s.Count() != 0 {
			t.Errorf("status %d, %v, %d messages: %s", status, err, w.s.Count(), body)
		}
	})
}
