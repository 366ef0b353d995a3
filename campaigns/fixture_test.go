package campaigns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/scheduler"
)

var (
	putTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, parameter_format, components, hash, seen_at, changed_at)
		VALUES ('100000000000001', ?1, 'pt_BR', ?2, ?3, 'POSITIONAL', ?4, ?5, 1, 1)
		ON CONFLICT (waba_id, name, language) DO UPDATE SET category = excluded.category, status = excluded.status,
			components = excluded.components, hash = excluded.hash`)
	putSeen    = store.SQL(`UPDATE numbers SET seen_at = 1`)
	getAudit   = store.SQL(`SELECT actor || ' ' || command || ' ' || object FROM audit ORDER BY id`)
	getReasons = store.SQL(`SELECT state || ' ' || reason || ' ' || count(*) FROM messages WHERE run_id > 0 GROUP BY state, reason ORDER BY 1`)
	getLines   = store.SQL(`SELECT line FROM messages WHERE run_id > 0 ORDER BY line`)
	getRejects = store.SQL(`SELECT line || ' ' || reason FROM rejects ORDER BY run_id, line`)
	countAlive = store.SQL(`SELECT count(*) FROM messages WHERE state = 'queued' OR state = 'sending'`)
)

// worldStart is a Friday, 10 h in São Paulo.
var worldStart = time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)

// world is the room with everything it stands on, in fake time: Campaigns, the
// scheduler, and a sender that Meta never refuses.
type world struct {
	t     testing.TB
	dir   string
	cfg   Config
	db    *store.DB
	c     *Campaigns
	log   bytes.Buffer
	logMu sync.Mutex
	stop  func()
}

// Write takes the log.
func (w *world) Write(b []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(b)
}

func (w *world) logged(text string) int {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return strings.Count(w.log.String(), text)
}

// inWorld runs fn in a bubble that begins at worldStart.
func inWorld(t *testing.T, change func(*Config), fn func(t *testing.T, w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(worldStart))
		w := &world{t: t, dir: dir}
		w.cfg = Config{Folder: filepath.Join(dir, "folder"), Status: filepath.Join(dir, "status"), Spool: filepath.Join(dir, "spool"),
			Zone: "America/Sao_Paulo", Region: "BR", Poll: 500 * time.Millisecond, Stable: 2 * time.Second, Approval: "off",
			TestNumbers: []whatsapp.Phone{"+5511900009999"}, PerSecond: func(account.Number) float64 { return 100 },
			Media: func(context.Context, account.Number, account.File) (string, error) { return "1", nil },
			Log:   slog.New(slog.NewTextHandler(w, nil))}
		if change != nil {
			change(&w.cfg)
		}
		if err := os.MkdirAll(w.cfg.Folder, 0o755); err != nil {
			t.Fatal(err)
		}
		w.open()
		defer func() { w.halt(); _ = w.db.Close() }()
		w.must(func(tx *store.Tx) error {
			if err := account.Declare(tx, []account.Number{{ID: "200000000000001", Name: "loja", WABA: "100000000000001"}}); err != nil {
				return err
			}
			_, err := tx.Exec(putSeen)
			return err
		})
		w.template("oferta", "marketing", "APPROVED", "Olá {{1}}!")
		w.template("aviso", "utility", "APPROVED", "Aviso para {{1}}.")
		fn(t, w)
	})
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.db, err = store.Open(context.Background(), store.Config{Path: filepath.Join(w.dir, "x.db")}); err != nil {
		w.t.Fatal(err)
	}
	w.cfg.DB = w.db
	w.c = New(w.cfg)
}

// run starts the loops; halt stops them.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	loop := scheduler.NewLoop(w.db, w.c.Fire, w.cfg.Log)
	wg.Go(func() { _ = w.c.Run(ctx) })
	wg.Go(func() { _ = loop.Run(ctx) })
	w.stop = func() { cancel(); wg.Wait() }
}

func (w *world) halt() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// crash loses what is not committed, and opens the database again.
func (w *world) crash() {
	w.db.Crash()
	w.halt()
	w.open()
}

func (w *world) must(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(fn func(*store.Snap) error) {
	w.t.Helper()
	if err := w.db.Read(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) list(s *store.Stmt, args ...any) (out []string) {
	w.t.Helper()
	w.read(func(q *store.Snap) error {
		return store.Each(q, s, func(c *store.Col[string]) error { out = append(out, c.V); return nil }, args...)
	})
	return out
}

// template makes or changes one, and tells those who listen.
func (w *world) template(name, category, status, body string) {
	w.must(func(tx *store.Tx) error {
		outbox.WakeAll(tx)
		tx.Wake(account.Changed)
		_, err := tx.Exec(putTemplate, name, category, status, fmt.Sprintf(`[{"type":"BODY","text":%q}]`, body), digest(category, body)[:16])
		return err
	})
}

func (w *world) path(name string) string { return filepath.Join(w.cfg.Folder, name) }

func (w *world) put(name, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.path(name)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets fake time go by and everything settle.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// testPhone is the i-th example number.
func testPhone(i int) string { return fmt.Sprintf("+55119%08d", i) }

// consent records that people agreed a day ago.
func (w *world) consent(category whatsapp.Category, from, to int) {
	w.t.Helper()
	for i := from; i <= to; i += 100 {
		w.must(func(tx *store.Tx) error {
			for j := i; j < min(i+100, to+1); j++ {
				_, err := optin.Record(tx, optin.Grant{Identity: whatsapp.Phone(testPhone(j)).Identity(), Category: category, Source: optin.SourceImport,
					At: tx.Now().Add(-24 * time.Hour)})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// people is an audience of the example numbers from to to.
func people(from, to int) string {
	var b strings.Builder
	b.WriteString("nome;telefone\n")
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "P%d;%s\n", i, testPhone(i))
	}
	return b.String()
}

// oneOff and series write a definition; more goes into [recipients], rest to
// the end of the file.
func oneOff(id, at, more, rest string) string {
	return definition(id, "marketing", "oferta", "at = "+at, more, rest)
}

func series(id, cron, more, rest string) string {
	return definition(id, "utility", "aviso", fmt.Sprintf("cron = %q", cron), more, rest)
}

func definition(id, category, template, when, more, rest string) string {
	return fmt.Sprintf(`id = %q
category = %q
[template]
name = %q
language = "pt_BR"
[[template.body]]
column = "nome"
[recipients]
file = "%s.csv"
phone_column = "telefone"
%s
[schedule]
%s
%s
`, id, category, template, id, more, when, rest)
}

func (w *world) campaign(id string) (camp Campaign) {
	w.t.Helper()
	w.read(func(q *store.Snap) (err error) {
		camp, _, err = ByID(q, id)
		return err
	})
	return camp
}

func (w *world) runs(id string) (runs []RunRecord) {
	w.t.Helper()
	w.read(func(q *store.Snap) (err error) {
		runs, err = Runs(q, id, 100)
		return err
	})
	return runs
}

func (w *world) waiting(id string) (rev Revision) {
	w.t.Helper()
	w.read(func(q *store.Snap) (err error) {
		camp, _, err := ByID(q, id)
		if err != nil {
			return err
		}
		rev, _, err = RevisionByID(q, camp.Next)
		return err
	})
	return rev
}

func (w *world) holds() (out []string) {
	w.read(func(q *store.Snap) error {
		all, err := outbox.Holds(q)
		for _, h := range all {
			out = append(out, fmt.Sprintf("%s %s %s", h.Scope, h.Target, h.Reason))
		}
		return err
	})
	return out
}

// send does what the sender does until nothing may leave now, and returns how
// many left. Meta takes everything.
func (w *world) send() int {
	w.t.Helper()
	left := 0
	for _, lane := range []whatsapp.Lane{whatsapp.LaneUtility, whatsapp.LaneMarketing} {
		for more := true; more; {
			more = false
			var open []gate.Open
			w.read(func(q *store.Snap) (err error) {
				open, _, err = gate.Opens(q, lane)
				return err
			})
			for _, o := range open {
				n := w.turn(o)
				left += n.left
				more = more || n.moved > 0
			}
		}
	}
	synctest.Wait()
	return left
}

type turned struct{ left, moved int }

// turn claims and settles one batch of a stream.
func (w *world) turn(o gate.Open) (n turned) {
	w.t.Helper()
	w.must(func(tx *store.Tx) error {
		claimed, out, err := gate.Claim(tx, o, 100)
		if err != nil {
			return err
		}
		n = turned{len(claimed), len(out)}
		var results []outbox.Result
		for _, m := range claimed {
			results = append(results, outbox.Result{Message: m.ID, Attempt: m.Attempt, To: outbox.Accepted, At: tx.Now(), Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.%d", m.ID))})
		}
		settled, err := outbox.Settle(tx, results)
		if err != nil {
			return err
		}
		return w.c.Outcomes(tx, append(out, settled...))
	})
	return n
}

// refused checks that a command was refused with a text.
func refused(t testing.TB, err error, text string) {
	t.Helper()
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want a refusal with %q", err, text)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
