package otp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/keyfile"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Tests of attacks that are about no one file. The table in docs/otp.md names
// the test of each.

// A day of guessing, sending again, and guessing on: never more guesses than the
// phone has in 24 hours. Where sending again gives guesses back, as elsewhere,
// the same attack gets many more.
func TestResendsThatGiveGuessesBackLoseTheBound(t *testing.T) {
	limits := DefaultLimits()
	limits.Lock = -1
	attack := func(naive bool) (looked int) {
		w := newWorld(t, func(c *Config) { c.Limits = limits })
		for end := w.wall.Add(day); w.wall.Before(end); w.pass(10 * time.Minute) {
			v, err := w.tryIssue(app, asks())
			if err != nil {
				continue
			}
			for sent := true; sent; {
				for _, code := range wrongs(w.right(t, v.ID), limits.Attempts-1) { // the last one would end it
					if w.verify(t, v.ID, code) == CodeInvalidCode {
						looked++
					}
				}
				w.pass(2 * time.Minute)
				_, err := w.tryResend(v.ID, Resend{Code: "new"})
				if sent = err == nil; sent && naive {
					w.write(t, func(tx *store.Tx) error {
						_, err := tx.Exec(sqlForgive, w.row(t, v.ID).PhoneKey)
						return errors.Join(err, tx.One(setGuesses, v.ID, 0))
					})
				}
			}
		}
		return looked
	}
	real, naive := attack(false), attack(true)
	t.Logf("%d guesses in a day; %d where sending again gives them back", real, naive)
	if real > limits.Failures || real < 8 {
		t.Errorf("%d guesses, at most %d", real, limits.Failures)
	}
	if naive <= limits.Failures {
		t.Errorf("the naive way allows %d: this test shows nothing", naive)
	}
}

// Somebody who knows a victim's number, and has the same login page, does what
// the page lets them, twenty times a second: the victim's code, asked for before,
// is right all the same; and the device that the victim is known by always gets
// one.
func TestGriefing(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = DefaultLimits() })
	victim := w.issue(t, func(r *Request) { r.Binding = "victim" })
	_, code := w.deliver(t)
	var theirs []string
	answers := map[string]int{}
	grief := func(seconds int) {
		for i := range seconds * 20 {
			if i%20 == 0 {
				w.pass(time.Second)
			}
			bind := func(r *Request) { r.Binding, r.ClientIP = fmt.Sprint("attacker ", i), fmt.Sprintf("2001:db8:%x::1", i) }
			if v, err := w.tryIssue(app, asks(bind)); err == nil {
				theirs = append(theirs, v.ID)
			} else {
				answers[said(err)]++
			}
			for n, id := range append([]string{victim.ID, newID(time.Now())}, theirs...) {
				binding := ""
				if n > 1 {
					binding = fmt.Sprint("attacker ", i)
				}
				got, err := w.tryVerify(app, id, Proof{Code: fmt.Sprintf("%06d", i), Binding: binding, ClientIP: fmt.Sprintf("2001:db8:%x::2", i)})
				if err != nil {
					t.Fatal(err)
				}
				answers[said(got.Denied)]++
			}
		}
	}
	grief(60)
	for _, id := range theirs { // and their own ones, until nothing is left
		for _, wrong := range wrongs("999999", 6) {
			got := w.guessAnySession(t, id, wrong)
			answers[got]++
		}
	}
	grief(60)
	if got := w.verify(t, victim.ID, code, func(p *Proof) { p.Binding = "victim" }); got != "" {
		t.Errorf("the victim: %s, after %v", got, answers)
	}
	grief(30)
	known, err := w.tryIssue(app, asks(func(r *Request) { r.Binding, r.Trusted = "at home", true }))
	if err != nil {
		t.Fatalf("the victim's own device: %v", err)
	}
	for i := range 100 { // locked, too
		w.write(t, func(tx *store.Tx) error {
			_, err := w.guessedWrong(tx, w.row(t, known.ID).PhoneKey, false, DefaultLimits())
			if i == 99 {
				return errors.Join(err, w.mustBeLocked(tx, w.row(t, known.ID).PhoneKey))
			}
			return err
		})
	}
	if got := w.verify(t, known.ID, w.right(t, known.ID), func(p *Proof) { p.Binding = "at home" }); got != "" {
		t.Errorf("the victim's own device, of a locked phone: %s", got)
	}
	for _, a := range []string{"rate-limited", "not-found", "invalid-code", "gone/exhausted"} {
		if answers[a] == 0 {
			t.Errorf("the attacker was never told %q: %v", a, answers)
		}
	}
}

// guessAnySession guesses as the session that asked for it.
func (w *world) guessAnySession(t *testing.T, id, code string) string {
	t.Helper()
	binding := w.row(t, id).Binding
	for i := range 2000 {
		if text := fmt.Sprint("attacker ", i); w.MAC("binding", []byte(text)) == binding {
			return w.verify(t, id, code, func(p *Proof) { p.Binding = text })
		}
	}
	t.Fatal("whose session is it?")
	return ""
}

func (w *world) mustBeLocked(q store.Querier, phoneKey string) error {
	l := DefaultLimits()
	if r, _, err := guessable(q, phoneKey, false, &l); err != nil || r.rule != ruleLock {
		return fmt.Errorf("it is not locked: %q, %w", r.rule, err)
	}
	return nil
}

// theft is all that a thief of the database has: every value of every table.
func (w *world) theft(t *testing.T) (values []string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(filepath.Dir(w.keyFile), "x.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	column := func(query string) (out []string) {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			cells, into := make([]sql.RawBytes, len(names)), make([]any, len(names))
			for i := range cells {
				into[i] = &cells[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, c := range cells {
				if len(c) > 0 {
					out = append(out, string(c))
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, table := range column(`SELECT name FROM sqlite_master WHERE type = 'table'`) {
		values = append(values, column(`SELECT * FROM "`+table+`"`)...)
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// confirms says how, if at all, a thief of the values can tell that a code is
// right: it stands there, or a hash of it does, plain, with any value before or
// behind it, or keyed with any value.
func confirms(values []string, code string) string {
	there := map[string]bool{}
	for _, v := range values {
		there[v] = true
		if strings.Contains(v, code) && len(v) < 64 && !strings.ContainsAny(v, "abcdef") {
			return "it stands in " + v
		}
	}
	seen := func(sum []byte) bool {
		for _, n := range []int{len(sum), 16} { // whole, and cut as ours are
			for _, text := range []string{hex.EncodeToString(sum[:n]), base64.RawURLEncoding.EncodeToString(sum[:n]), base64.StdEncoding.EncodeToString(sum[:n]), string(sum[:n])} {
				if there[text] {
					return true
				}
			}
		}
		return false
	}
	for name, algorithm := range map[string]func() hash.Hash{"SHA-1": sha1.New, "SHA-256": sha256.New} {
		plain := func(text string) []byte { h := algorithm(); h.Write([]byte(text)); return h.Sum(nil) }
		if seen(plain(code)) {
			return name
		}
		for _, v := range values {
			keys := []string{v}
			if raw, err := hex.DecodeString(v); err == nil {
				keys = append(keys, string(raw))
			}
			for _, k := range keys {
				m := hmac.New(algorithm, []byte(k))
				m.Write([]byte(code))
				if seen(m.Sum(nil)) || seen(plain(k+code)) || seen(plain(code+k)) || seen(plain(k+":"+code)) {
					return name + " with " + v
				}
			}
		}
	}
	return ""
}

var setMetadata = store.SQL(`UPDATE challenges SET metadata = ?2 WHERE id = ?1`)

// Whoever has the database has no way to tell a right code from a wrong one, and
// can make none: not with any value of it as the key. With the key file as well
// both is easy, which shows that the thief knows how; and after the end nobody
// can.
//
// Six digits stand in some number of the database, or come out with some key, by
// chance in about one run of a thousand: what comes again with other codes is none.
func TestStolenDatabase(t *testing.T) {
	var faults []string
	for range 3 {
		if faults = steal(t); len(faults) == 0 {
			return
		}
	}
	t.Errorf("again and again:\n%s", strings.Join(faults, "\n"))
}

// steal returns what a thief found out.
func steal(t *testing.T) (faults []string) {
	w := newWorld(t)
	var live []View
	var codes []string
	for i := range 3 {
		live = append(live, w.issue(t, func(r *Request) { r.Binding = fmt.Sprint("session ", i) }))
		_, code := w.deliver(t)
		codes = append(codes, code)
	}
	values := w.theft(t)
	if len(values) < 60 {
		t.Fatalf("only %d values were stolen", len(values))
	}
	rows := make([]challenge, len(live))
	for i, v := range live {
		rows[i] = w.row(t, v.ID)
		if how := confirms(values, codes[i]); how != "" {
			faults = append(faults, "a code can be confirmed: "+how)
		}
	}
	// made returns the codes of all rows under a key, by the very algorithm.
	made := func(keys *Keyring) (out []string) {
		o := &OTP{deps: Deps{Keys: keys}}
		for i := range rows {
			c, ok, err := o.code(&rows[i], phone1)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				out = append(out, c.Reveal())
			}
		}
		return out
	}
	own := w.deps.Keys
	tried := 0
	for _, v := range append(values, "", strings.Repeat("\x00", 32), "janela", "otp") {
		for _, key := range [][]byte{[]byte(v), hashOf(v)} {
			if raw, err := hex.DecodeString(v); err == nil && len(raw) >= 20 {
				key = raw
			}
			k := &Keyring{}
			if err := k.take([]keyfile.Line{{Name: indexName, Key: key}, {Name: own.newest(), Key: key}}); err != nil {
				t.Fatal(err)
			}
			tried++
			for i, c := range made(k) {
				if c == codes[i] {
					faults = append(faults, fmt.Sprintf("the code of row %d comes out with the key %q", i, v))
				}
			}
		}
	}
	if tried < 120 {
		t.Errorf("%d keys were tried", tried)
	}
	stolen, err := OpenKeyring(w.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := made(stolen); !cmp.Equal(got, codes) {
		t.Error("the thief's way gives no codes even with the key: this test shows nothing")
	}
	for how, planted := range map[string]string{"plain": codes[0], "SHA-256": hex.EncodeToString(hashOf(codes[0])),
		"SHA-256 with the id": hex.EncodeToString(hashOf(live[0].ID + codes[0]))} {
		w.write(t, func(tx *store.Tx) error { return tx.One(setMetadata, live[0].ID, planted) })
		if confirms(w.theft(t), codes[0]) == "" {
			t.Errorf("%s: what was planted is not found", how)
		}
		w.write(t, func(tx *store.Tx) error { return tx.One(setMetadata, live[0].ID, "") })
	}
	// The end: one verified, one cancelled, one exhausted.
	for _, code := range wrongs(codes[1], 5) {
		w.verify(t, live[1].ID, code, func(p *Proof) { p.Binding = "session 1" })
	}
	if _, err := w.cancel(t, live[2].ID); err != nil {
		t.Fatal(err)
	}
	if got := w.verify(t, live[0].ID, codes[0], func(p *Proof) { p.Binding = "session 0" }); got != "" {
		t.Fatal(got)
	}
	for i, v := range live {
		rows[i] = w.row(t, v.ID)
	}
	if got := made(stolen); len(got) > 0 {
		t.Errorf("%d codes can still be made", len(got))
	}
	return faults
}

func hashOf(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

// Statuses twice, late, in any order, of messages that are none of ours: the
// delivery that is shown is the same in the end, and never goes back; the
// challenge is as it was.
func TestStatusesOfCodesInAnyOrder(t *testing.T) {
	order := []string{"queued", "accepted", "sent", "delivered", "read"}
	statuses := []string{"sent", "delivered", "read", "delivered"}
	for _, sequence := range permutations(statuses) {
		w := newWorld(t)
		v := w.issue(t)
		m, code := w.deliver(t)
		at := 0
		for _, s := range sequence {
			w.status(t, m, s, 0)
			w.forged(t, "failed", 137000)
			w.forged(t, s, 0)
			now := w.view(t, v.ID)
			if rank := slices.Index(order, now.Delivery.State); rank < at || now.State != Pending {
				t.Fatalf("%v: it is %s, %s after %s", sequence, now.State, now.Delivery.State, order[at])
			} else {
				at = rank
			}
		}
		if at != 4 {
			t.Fatalf("%v: in the end it is %s", sequence, order[at])
		}
		w.status(t, m, "failed", 131000) // after all of it
		if s := w.view(t, v.ID).State; s != Pending {
			t.Errorf("it is %s", s)
		}
		if got := w.verify(t, v.ID, code); got != "" {
			t.Errorf("%v: %s", sequence, got)
		}
		for _, s := range []string{"failed", "sent"} {
			w.status(t, m, s, 131026)
		}
		if row := w.row(t, v.ID); row.State != Verified {
			t.Errorf("a late status made it %s", row.State)
		}
		if _, err := w.tryIssue(app, asks()); err != nil {
			t.Errorf("then: %v", err)
		}
	}
}

// forged is a status about a message that we did not send.
func (w *world) forged(t *testing.T, status string, code int) {
	t.Helper()
	w.write(t, func(tx *store.Tx) error {
		for _, o := range []outbox.Observation{{Wamid: "wamid.never"}, {Message: 4711, Attempt: 1, Wamid: "wamid.never"}} {
			o.Status, o.Code, o.At = status, code, tx.Now()
			out, found, err := outbox.Observe(tx, o)
			if err != nil || found || len(out) > 0 {
				return fmt.Errorf("found %v, %d outcomes: %w", found, len(out), err)
			}
		}
		return nil
	})
}

func permutations(list []string) (out [][]string) {
	if len(list) < 2 {
		return [][]string{list}
	}
	for i := range list {
		rest := append(slices.Clone(list[:i]), list[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]string{list[i]}, p...))
		}
	}
	return out
}

// Every wrong guess runs the same statements, however many of its digits are
// right, and the digits are compared by the one function that takes the same time
// for all.
func TestWrongGuessesCostTheSame(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Attempts = 100 })
	v := w.issue(t)
	_, code := w.deliver(t)
	ran := map[int]int{}
	for same := range len(code) {
		typed := []byte(code)
		typed[same] = '0' + (typed[same]-'0'+1)%10 // the first digits are right
		w.write(t, func(tx *store.Tx) error {
			before := tx.Statements()
			got, err := w.Verify(tx, app, v.ID, Proof{Code: string(typed), ClientIP: someIP})
			if ran[tx.Statements()-before]++; said(got.Denied) != CodeInvalidCode {
				t.Errorf("%d digits are right: %s", same, said(got.Denied))
			}
			return err
		})
	}
	if len(ran) != 1 {
		t.Errorf("statements by guess: %v", ran)
	}
	source, err := os.ReadFile("code.go")
	if err != nil {
		t.Fatal(err)
	}
	_, equal, _ := strings.Cut(string(source), "func (c Code) Equal(")
	equal, _, _ = strings.Cut(equal, "\n}")
	if !strings.Contains(equal, "subtle.ConstantTimeCompare(") || strings.Contains(equal, "== typed") || strings.Contains(equal, "for ") {
		t.Errorf("codes are compared so:%s", equal)
	}
}

// A clock that jumps back, while it runs or over a restart, revives nothing, and
// gives no guesses and no sends back.
func TestClockThatJumpsBack(t *testing.T) {
	dir := t.TempDir()
	limits := DefaultLimits()
	set := func(c *Config) { c.Limits = limits }
	w := build(t, dir, set)
	old := w.issue(t, func(r *Request) { r.To = phone2 })
	used := w.issue(t)
	codes := map[string]string{old.ID: w.right(t, old.ID), used.ID: w.right(t, used.ID)}
	if got := w.verify(t, used.ID, codes[used.ID]); got != "" {
		t.Fatal(got)
	}
	w.pass(10*time.Minute + 5*time.Second)
	if err := w.sweepNothing(t); err != nil { // as the daemon does every ten seconds
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		if got := w.verify(t, old.ID, codes[old.ID]); got != "gone/expired" {
			t.Errorf("%s: the old code: %s", when, got)
		}
		if got := w.verify(t, used.ID, codes[used.ID]); got != "gone/verified" {
			t.Errorf("%s: the used code: %s", when, got)
		}
	}
	check("before")
	w.pass(-time.Hour)
	check("an hour back")
	fresh := w.issue(t)
	if left := fresh.ExpiresAt.Sub(start); left < 20*time.Minute || left > 21*time.Minute {
		t.Errorf("a code of now ends %s after the start", left)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = build(t, dir, set) // its clock stands at the start again
	defer func() { _ = w.Close() }()
	check("after a restart")
	if _, err := w.tryIssue(app, asks()); said(err) != CodeRateLimited {
		t.Errorf("the cooldown: %v", err)
	}
}

// sweepNothing lets the store note the time, as any commit does.
func (w *world) sweepNothing(t *testing.T) error {
	return w.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(sqlAbsent, "nobody", 0, store.Millis(tx.Now()))
		return err
	})
}
