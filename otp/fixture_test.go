package otp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

var (
	putTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, hash, seen_at, changed_at)
		VALUES ('900', ?1, ?2, 'authentication', ?3, 'h', 0, 0) ON CONFLICT (waba_id, name, language) DO UPDATE SET status = excluded.status`)
	allChallenges = store.SQL(`SELECT ` + challengeColumns + ` FROM challenges c ORDER BY c.created_at, c.id`)
	allSends      = store.SQL(`SELECT message_id, challenge_id, gen, again FROM code_sends ORDER BY message_id`)
	isCounted     = store.SQL(`SELECT counted FROM code_sends WHERE message_id = ?1`)
	moveMessage   = store.SQL(`UPDATE messages SET address = ?2 WHERE id = ?1`)
	countMessages = store.SQL(`SELECT COUNT(*) FROM messages`)
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	number = "100000000000001" // "loja"
	phone1 = "+12025550101"
	phone2 = "+12025550102"
	someIP = "203.0.113.7"
)

var app = Caller{Client: "app"}

// world is a database with one number and approved templates, whose clock stands
// where the test puts it.
type world struct {
	*store.DB
	*OTP
	wall    time.Time // zero: the clock of a bubble
	dir     string
	keyFile string
	wamids  int
	given   Deps // laid over the defaults
}

// loose are limits that bound nothing but the challenge itself: what the limits
// do has tests of its own.
func loose() Limits {
	l := DefaultLimits()
	for _, n := range []*int{&l.Phone10m, &l.PhoneHour, &l.PhoneDay, &l.Unverified, &l.Failures, &l.IP10m, &l.IPHour, &l.IPDay, &l.IPPhones,
		&l.IPCountries, &l.PrefixUnverified, &l.CountryDay, &l.CountryHour, &l.ClientBurst, &l.Lock, &l.VerifyIPMinute} {
		*n = -1
	}
	l.Cooldown, l.ClientPerSecond, l.PerSecond = -1, -1, -1
	return l
}

func testConfig() Config {
	return Config{
		Number: "loja", Countries: []string{"US", "BR"}, MaxSends: 1_000_000, MuteFor: time.Hour, AllowUnsafe: true, Limits: loose(),
		Fallback: Fallback{Mode: "off"},
		Purposes: map[string]Purpose{
			"login":    {Template: "codigo", AndroidTemplate: "um_toque", Languages: []string{"pt_BR", "en_US"}, Digits: 6, TTL: 10 * time.Minute},
			"recovery": {Template: "codigo", Languages: []string{"pt_BR"}, Digits: 8, TTL: 5 * time.Minute, StepUpRequired: true},
			"internal": {Template: "codigo", Languages: []string{"pt_BR"}, Digits: 6, TTL: 5 * time.Minute, Clients: []string{"backoffice"}},
		},
	}
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := build(t, t.TempDir(), change...)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// checker is what *testing.T and *rapid.T have in common.
type checker interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// newBareWorld is a world of one check of many; close removes it.
func newBareWorld(t checker, change ...func(*Config)) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "otp")
	if err != nil {
		t.Fatal(err)
	}
	w := build(t, dir, change...)
	w.dir = dir
	return w
}

func (w *world) close() { _, _ = w.Close(), os.RemoveAll(w.dir) }

func build(t checker, dir string, change ...func(*Config)) *world {
	t.Helper()
	w := &world{wall: start}
	w.open(t, dir, change...)
	w.furnish(t)
	return w
}

// open opens the database of a folder, and the room over it.
func (w *world) open(t checker, dir string, change ...func(*Config)) {
	t.Helper()
	w.keyFile = filepath.Join(dir, "otp.key")
	keys, err := OpenKeyring(w.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	db := store.Config{Path: filepath.Join(dir, "x.db")}
	if !w.wall.IsZero() {
		db.Wall = func() time.Time { return w.wall }
	}
	if w.DB, err = store.Open(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	cfg, deps := testConfig(), w.given
	for _, c := range change {
		c(&cfg)
	}
	if deps.DB, deps.Keys = w.DB, keys; deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if w.OTP, err = New(cfg, deps); err != nil {
		t.Fatal(err)
	}
}

// furnish makes a number, its templates, and people who agreed to codes.
func (w *world) furnish(t checker) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		if err := account.Declare(tx, []account.Number{{ID: number, Name: "loja", WABA: "900"}}); err != nil {
			return err
		}
		for _, name := range []string{"codigo/pt_BR", "codigo/en_US", "um_toque/pt_BR"} {
			if err := template(tx, name, whatsapp.TemplateApproved); err != nil {
				return err
			}
		}
		for _, p := range []string{phone1, phone2} {
			if err := consented(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func template(tx *store.Tx, name string, s whatsapp.TemplateStatus) error {
	_, err := tx.Exec(putTemplate, filepath.Dir(name), filepath.Base(name), string(s))
	return err
}

// consented records that somebody agreed to codes long ago.
func consented(tx *store.Tx, e164 string) error {
	_, err := optin.Record(tx, optin.Grant{Identity: whatsapp.Phone(e164).Identity(), Category: whatsapp.Authentication, Source: optin.SourceOperator,
		Actor: "test", At: tx.Now().Add(-time.Hour)})
	return err
}

func (w *world) write(t checker, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (w *world) read(t checker, fn func(*store.Snap) error) {
	t.Helper()
	if err := w.Read(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	if w.wall.IsZero() {
		time.Sleep(d)
		synctest.Wait()
		return
	}
	w.wall = w.wall.Add(d)
}

// asks is a request with the defaults of the tests.
func asks(change ...func(*Request)) Request {
	r := Request{To: phone1, Purpose: "login", ClientIP: someIP}
	for _, c := range change {
		c(&r)
	}
	return r
}

func (w *world) tryIssue(c Caller, r Request) (v View, err error) {
	err = w.Write(context.Background(), func(tx *store.Tx) (err error) { v, err = w.Issue(tx, c, r); return err })
	return v, err
}

func (w *world) issue(t checker, change ...func(*Request)) View {
	t.Helper()
	v, err := w.tryIssue(app, asks(change...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) tryResend(id string, r Resend) (v View, err error) {
	err = w.Write(context.Background(), func(tx *store.Tx) (err error) { v, err = w.Resend(tx, app, id, r); return err })
	return v, err
}

func (w *world) resend(t checker, id string, r Resend) View {
	t.Helper()
	v, err := w.tryResend(id, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) tryVerify(c Caller, id string, p Proof) (v Verdict, err error) {
	err = w.Write(context.Background(), func(tx *store.Tx) (err error) { v, err = w.Verify(tx, c, id, p); return err })
	return v, err
}

// verify guesses, and returns the public code of the refusal with its reason,
// "" for success.
func (w *world) verify(t checker, id, code string, change ...func(*Proof)) string {
	t.Helper()
	p := Proof{Code: code, ClientIP: someIP}
	for _, c := range change {
		c(&p)
	}
	v, err := w.tryVerify(app, id, p)
	if err != nil {
		t.Fatal(err)
	}
	return said(v.Denied)
}

func (w *world) cancel(t checker, id string) (v View, err error) {
	t.Helper()
	err = w.Write(t.Context(), func(tx *store.Tx) (err error) { v, err = w.Cancel(tx, app, id); return err })
	return v, err
}

func (w *world) view(t checker, id string) (v View) {
	t.Helper()
	w.read(t, func(q *store.Snap) (err error) { v, err = w.View(q, app, id); return err })
	return v
}

// said is the code of a refusal with its reason; "" of none.
func said(err error) string {
	d := (*Denied)(nil)
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &d):
		return "error: " + err.Error()
	case d == nil: // of a Verdict
		return ""
	case d.Reason != "":
		return d.Code + "/" + d.Reason
	default:
		return d.Code
	}
}

func (w *world) row(t checker, id string) (ch challenge) {
	t.Helper()
	w.read(t, func(q *store.Snap) error {
		var ok bool
		var err error
		if ch, ok, err = store.Get[challenge](q, sqlChallenge, id); err == nil && !ok {
			err = errors.New("no such row")
		}
		return err
	})
	return ch
}

// right is the code that a challenge expects now.
func (w *world) right(t checker, id string) string {
	t.Helper()
	ch := w.row(t, id)
	var out string
	w.read(t, func(q *store.Snap) error {
		p, ok, err := w.address(q, &ch)
		if err != nil || !ok {
			return fmt.Errorf("no address: %w", err)
		}
		c, ok, err := w.code(&ch, p)
		if err == nil && !ok {
			err = errors.New("there is no code any more")
		}
		out = c.Reveal()
		return err
	})
	return out
}

// wrongs returns n different codes that are not the right one.
func wrongs(right string, n int) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		if c := fmt.Sprintf("%0*d", len(right), i*37); c != right {
			out = append(out, c)
		}
	}
	return out
}

// claim takes what may leave now, as dispatch does.
func (w *world) claim(t checker) (claimed []outbox.Message) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		open, _, err := gate.Opens(tx, whatsapp.LaneAuthentication)
		for _, o := range open {
			if err != nil {
				return err
			}
			var ms []outbox.Message
			var out []outbox.Outcome
			if ms, out, err = gate.Claim(tx, o, 100); err == nil {
				claimed = append(claimed, ms...)
				err = w.Outcomes(tx, out)
			}
		}
		return err
	})
	return claimed
}

// carried reads the code out of a message as it leaves.
func (w *world) carried(t checker, m outbox.Message) string {
	t.Helper()
	params, _, err := w.Reveal(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return codeIn(t, params)
}

func codeIn(t checker, params string) string {
	t.Helper()
	var parts []whatsapp.Component
	if err := json.Unmarshal([]byte(params), &parts); err != nil || len(parts) != 2 {
		t.Fatalf("%d components, %v", len(parts), err)
	}
	body, button := parts[0].Parameters[0].Text, parts[1].Parameters[0].Text
	if parts[0].Type != "body" || parts[1].Type != "button" || parts[1].SubType != "url" || parts[1].Index != "0" || body != button {
		t.Fatalf("not an authentication template: %s, %s %s %s", parts[0].Type, parts[1].Type, parts[1].SubType, parts[1].Index)
	}
	return body
}

// settle writes what came of a claimed message.
func (w *world) settle(t checker, m outbox.Message, to outbox.State, change ...func(*outbox.Result)) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		r := outbox.Result{Message: m.ID, Attempt: m.Attempt, To: to, At: tx.Now()}
		if to == outbox.Accepted {
			w.wamids++
			r.Wamid = whatsapp.Wamid(fmt.Sprintf("wamid.%d", w.wamids))
		}
		for _, c := range change {
			c(&r)
		}
		out, err := outbox.Settle(tx, []outbox.Result{r})
		if err != nil {
			return err
		}
		return w.Outcomes(tx, out)
	})
}

func failing(code int) func(*outbox.Result) {
	return func(r *outbox.Result) { r.Code, r.Reason = code, "drop" }
}

// status is one of Meta's about a message.
func (w *world) status(t checker, m outbox.Message, status string, code int) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		out, found, err := outbox.Observe(tx, outbox.Observation{Message: m.ID, Attempt: m.Attempt, Wamid: whatsapp.Wamid(fmt.Sprint("wamid.s", m.ID)),
			Status: status, At: tx.Now(), Code: code})
		if err != nil || !found {
			return fmt.Errorf("found %v: %w", found, err)
		}
		return w.Outcomes(tx, out)
	})
}

// deliver takes the only message that waits, and lets it be accepted.
func (w *world) deliver(t checker) (outbox.Message, string) {
	t.Helper()
	ms := w.claim(t)
	if len(ms) != 1 {
		t.Fatalf("%d messages leave", len(ms))
	}
	code := w.carried(t, ms[0])
	w.settle(t, ms[0], outbox.Accepted)
	return ms[0], code
}

func (w *world) counts(t checker, message int64) (n int) {
	t.Helper()
	w.read(t, func(q *store.Snap) (err error) { n, _, err = store.Value[int](q, isCounted, message); return err })
	return n
}

func (w *world) state(t checker, message int64) (s outbox.State) {
	t.Helper()
	w.read(t, func(q *store.Snap) error {
		m, _, err := outbox.ByID(q, message)
		s = m.State
		return err
	})
	return s
}

func (w *world) contactOf(t checker, e164 string) (id int64) {
	t.Helper()
	w.read(t, func(q *store.Snap) error {
		c, _, err := contacts.Find(q, whatsapp.Phone(e164).Identity())
		id = c.ID
		return err
	})
	return id
}
