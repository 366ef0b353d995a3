package feed

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/hooks"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// world is a feed over a real database, whose webhooks stay in their queue.
type world struct {
	t    *testing.T
	db   *store.DB
	now  time.Time
	feed *Feed
}

func newWorld(t *testing.T, events ...string) *world {
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	var err error
	w.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"), Wall: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	w.listen(events...)
	return w
}

// listen starts anew, with a target that wants these events; none: with no target.
func (w *world) listen(events ...string) {
	w.t.Helper()
	secret := [][]byte{[]byte(hooks.NewSecret())}
	var targets []hooks.Target
	if len(events) > 0 {
		targets = []hooks.Target{{Name: "crm", URL: "https://crm.example/x", Mode: hooks.Events, Events: events, Secrets: func() [][]byte { return secret }}}
	}
	h, err := hooks.New(w.t.Context(), hooks.Config{DB: w.db, Targets: targets})
	if err != nil {
		w.t.Fatal(err)
	}
	w.feed = New(Config{DB: w.db, Hooks: h, Log: slog.New(slog.DiscardHandler)})
	if err := w.feed.start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

var sqlTold = store.SQL(`SELECT body FROM hook_payloads ORDER BY id`)

// told looks, and returns the types of all events so far.
func (w *world) told() (out []string) {
	w.t.Helper()
	if err := w.feed.look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	err := w.db.Read(w.t.Context(), func(q *store.Snap) error {
		return store.Each(q, sqlTold, func(c *store.Col[[]byte]) error {
			var e struct{ Type string }
			if strings.Contains(string(c.V), "55119") || strings.Contains(string(c.V), "quero") {
				w.t.Errorf("an event names somebody: %s", c.V)
			}
			out = append(out, "")
			err := json.Unmarshal(c.V, &e)
			out[len(out)-1] = e.Type
			return err
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) consent(revoke bool) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	ana := whatsapp.Phone("+5511900000001").Identity()
	w.write(func(tx *store.Tx) error {
		if revoke {
			_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{ana}, Categories: []whatsapp.Category{whatsapp.Marketing}, Source: optin.SourceAPI, At: tx.Now()})
			return err
		}
		_, err := optin.Record(tx, optin.Grant{Identity: ana, Category: whatsapp.Marketing, Source: optin.SourceAPI, At: tx.Now(), Evidence: optin.Evidence{Text: "quero receber"}})
		return err
	})
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Each is told once, over restarts; what happened while nobody listened is not.
func TestToldOnceFromWhenSomebodyListens(t *testing.T) {
	w := newWorld(t)
	w.consent(false)
	w.listen("optin.*")
	same(t, "from before", w.told())
	w.consent(true)
	same(t, "a revocation", w.told(), "optin.revoked")
	same(t, "looking again", w.told(), "optin.revoked")
	w.consent(false)
	w.listen("optin.*") // a restart before it was told
	same(t, "after a restart", w.told(), "optin.revoked", "optin.granted")
	w.listen("hold.*") // nobody wants to hear of consents
	w.consent(true)
	w.listen("optin.*")
	same(t, "after a pause", w.told(), "optin.revoked", "optin.granted")
}

// Holds are told when they are placed and when they are lifted, also those that
// came and went between two looks, or while nothing ran.
func TestHoldsComeAndGo(t *testing.T) {
	w := newWorld(t, "hold.*")
	place := func(reason string) {
		w.write(func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAll, Reason: reason, Actor: "test"})
			return err
		})
	}
	lift := func(reason string) {
		w.write(func(tx *store.Tx) error { _, err := outbox.Lift(tx, outbox.ScopeAll, "", reason, "test"); return err })
	}
	place("one")
	same(t, "placed", w.told(), "hold.placed")
	place("two")
	lift("two")
	same(t, "came and went", w.told(), "hold.placed", "hold.placed", "hold.lifted")
	lift("one")
	w.listen("hold.*")
	same(t, "lifted while nothing ran", w.told(), "hold.placed", "hold.placed", "hold.lifted", "hold.lifted")
}

var sqlEndRun = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at, ended_at) VALUES (?1, 'natal', 1, 0, '', 'finished', 1, ?2)`)

// What gets its instant in the very transaction before is told by the next look,
// not missed and not told twice.
func TestInstantsAtTheMark(t *testing.T) {
	w := newWorld(t, "campaign.done")
	var want []string
	for i := range 5 {
		w.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlEndRun, i+1, store.Millis(tx.Now())); return err })
		same(t, "at its own instant", w.told(), want...)
		w.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlEndRun, i+100, store.Millis(tx.Now())); return err })
		w.now = w.now.Add(time.Millisecond)
		want = append(want, "campaign.done", "campaign.done")
		same(t, "after it", w.told(), want...)
	}
}

func TestOutcomesAreTold(t *testing.T) {
	w := newWorld(t, "message.delivered", "message.failed")
	w.write(func(tx *store.Tx) error {
		return w.feed.Outcomes(tx, []outbox.Outcome{
			{Message: 1, From: outbox.Sent, To: outbox.Delivered}, {Message: 1, From: outbox.Delivered, To: outbox.Delivered},
			{Message: 2, From: outbox.Queued, To: outbox.Sending}, {Message: 2, From: outbox.Sending, To: outbox.Queued},
			{Message: 2, From: outbox.Sending, To: outbox.Failed, Code: 131026}, {Message: 3, From: outbox.Sending, To: outbox.Accepted}})
	})
	same(t, "told", w.told(), "message.delivered", "message.failed")
}
