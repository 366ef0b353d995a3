package access_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"janela/internal/access"
	"janela/internal/store"
)

var bg = context.Background() // databases that outlive one example

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// failer is what both *testing.T and *rapid.T are.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func write(t failer, db *store.DB, fn func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Write(bg, fn); err != nil {
		t.Fatalf("%v", err)
	}
}

func makeKey(t failer, db *store.DB, r access.KeyRequest) (plain string, k access.Key) {
	t.Helper()
	write(t, db, func(tx *store.Tx) (err error) { plain, k, err = access.NewKey(tx, r); return err })
	return plain, k
}

func revoke(t failer, db *store.DB, id string) {
	t.Helper()
	write(t, db, func(tx *store.Tx) error { return access.RevokeKey(tx, id, "maria") })
}

// try authenticates in a snapshot and in a transaction: both must agree.
func try(t failer, db *store.DB, plain string) (access.Key, error) {
	t.Helper()
	var k, same access.Key
	var asked, again error
	if err := db.Read(bg, func(s *store.Snap) error { k, asked = access.Authenticate(s, plain); return nil }); err != nil {
		t.Fatalf("%v", err)
	}
	write(t, db, func(tx *store.Tx) error { same, again = access.Authenticate(tx, plain); return nil })
	if diff := cmp.Diff(k, same); diff != "" || !errors.Is(asked, again) {
		t.Fatalf("a snapshot answers %v, a transaction %v\n%s", asked, again, diff)
	}
	return k, asked
}

func keys(t failer, db *store.DB) (out []access.Key) {
	t.Helper()
	if err := db.Read(bg, func(s *store.Snap) (err error) { out, err = access.Keys(s); return err }); err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func TestKeyIsMadeListedAndUsed(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	plain, k := makeKey(t, db, access.KeyRequest{Client: "app", Scopes: []string{"otp:verify", "otp:send", "otp:send"}, Purposes: []string{"signup", "login", "login"},
		Countries: []string{"PT", "BR"}, ExpiresAt: noon.AddDate(0, 3, 0), Actor: "maria"})
	want := access.Key{ID: k.ID, Client: "app", Scopes: []string{access.ScopeOTPSend, access.ScopeOTPVerify}, Purposes: []string{"login", "signup"},
		Countries: []string{"BR", "PT"}, CreatedAt: noon, CreatedBy: "maria", ExpiresAt: noon.AddDate(0, 3, 0)}
	if diff := cmp.Diff(want, k); diff != "" {
		t.Error(diff)
	}
	if !regexp.MustCompile(`^jnl_` + k.ID + `_[A-Za-z0-9_-]{43}$`).MatchString(plain) {
		t.Errorf("the key of %s has another form (%d characters)", k.ID, len(plain))
	}
	if secret, err := base64.RawURLEncoding.DecodeString(plain[len(plain)-43:]); err != nil || len(secret) != 32 {
		t.Errorf("the secret has %d bytes (%v), want 256 bits", len(secret), err)
	}
	got, err := try(t, db, plain)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff([]access.Key{want}, keys(t, db)); diff != "" {
		t.Error(diff)
	}
	if !got.May(access.ScopeOTPSend) || !got.May(access.ScopeOTPVerify) || got.May(access.ScopeOTPRead) || got.May("") {
		t.Errorf("%v may what it may not, or the other way round", got.Scopes)
	}
}

// While a client moves from one key to the next, both open.
func TestRotationWithTwoKeysAtOnce(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	req := access.KeyRequest{Client: "app", Scopes: access.Scopes, Actor: "maria"}
	first, k1 := makeKey(t, db, req)
	wall = wall.Add(time.Second)
	second, k2 := makeKey(t, db, req)
	if k1.ID == k2.ID || first == second {
		t.Fatal("two keys are one")
	}
	for _, c := range []struct{ plain, id string }{{first, k1.ID}, {second, k2.ID}, {first, k1.ID}} {
		if k, err := try(t, db, c.plain); err != nil || k.ID != c.id || k.Client != "app" {
			t.Fatalf("%+v, %v", k, err)
		}
	}
	revoke(t, db, k1.ID)
	if k, err := try(t, db, first); !errors.Is(err, access.ErrUnauthorized) || !cmp.Equal(k, access.Key{}) {
		t.Errorf("a revoked key opens: %+v, %v", k, err)
	}
	if k, err := try(t, db, second); err != nil || k.ID != k2.ID {
		t.Errorf("its successor does not open: %v", err)
	}
	all := keys(t, db)
	if len(all) != 2 || all[0].ID != k2.ID || all[1].ID != k1.ID || all[1].RevokedBy != "maria" || all[1].Valid(wall) || !all[0].Valid(wall) {
		t.Errorf("got %+v", all)
	}
}

// Revoked is revoked from the next statement of the same transaction on, and
// the first revocation stays the one that is told.
func TestRevokedAtOnce(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	plain, k := makeKey(t, db, access.KeyRequest{Client: "app", Scopes: access.Scopes})
	write(t, db, func(tx *store.Tx) error {
		if _, err := access.Authenticate(tx, plain); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := access.RevokeKey(tx, k.ID, "maria"); err != nil {
			return err
		}
		if _, err := access.Authenticate(tx, plain); !errors.Is(err, access.ErrUnauthorized) {
			t.Errorf("after: %v", err)
		}
		return nil
	})
	wall = wall.Add(time.Hour)
	write(t, db, func(tx *store.Tx) error { return access.RevokeKey(tx, k.ID, "joana") })
	if got := keys(t, db); !got[0].RevokedAt.Equal(noon) || got[0].RevokedBy != "maria" {
		t.Errorf("revoked %v by %s", got[0].RevokedAt, got[0].RevokedBy)
	}
	entries := list(t, db, 0, 10)
	if len(entries) != 2 || entries[0].Command != "keys revoke" || entries[1].Command != "keys add" {
		t.Errorf("the audit log tells %+v", entries)
	}
	err := db.Write(t.Context(), func(tx *store.Tx) error { return access.RevokeKey(tx, "aaaaaaaaaaaa", "maria") })
	if !errors.Is(err, access.ErrNoKey) {
		t.Errorf("no key was revoked: %v", err)
	}
}

func TestKeyExpiresToTheMillisecond(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	until := noon.Add(time.Hour + 7*time.Millisecond)
	plain, k := makeKey(t, db, access.KeyRequest{Client: "app", Scopes: access.Scopes, ExpiresAt: until.Add(999 * time.Microsecond)})
	if !k.ExpiresAt.Equal(until) {
		t.Errorf("it expires at %v, the database keeps milliseconds", k.ExpiresAt)
	}
	for _, c := range []struct {
		at   time.Time
		open bool
	}{{noon, true}, {until.Add(-time.Millisecond), true}, {until, false}, {until.Add(time.Millisecond), false}, {until.AddDate(10, 0, 0), false}} {
		wall = c.at
		got, err := try(t, db, plain)
		if c.open != (err == nil) || !c.open && (!errors.Is(err, access.ErrUnauthorized) || got.ID != "") {
			t.Errorf("%v before its end: %v", until.Sub(c.at), err)
		}
		if k.Valid(c.at) != c.open {
			t.Errorf("%v before its end Valid says %v", until.Sub(c.at), k.Valid(c.at))
		}
	}
}

// No text but the key itself opens: not one changed character, not another
// key's secret, and not what base64 would read as the same bytes.
func TestTamperedKeysNeverOpen(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	req := access.KeyRequest{Client: "app", Scopes: access.Scopes}
	plain, k := makeKey(t, db, req)
	other, _ := makeKey(t, db, req)
	secret, err := base64.RawURLEncoding.DecodeString(plain[17:])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(plain[17:]))
	bad := []string{"", "jnl_", "jnl__", "Bearer " + plain, plain + " ", " " + plain, plain + "\n", plain + "=", plain + "A", plain[:len(plain)-1], plain[1:],
		strings.ToUpper(plain), strings.ToLower(plain), strings.Replace(plain, "jnl_", "JNL_", 1), plain[:17] + other[17:], other[:17] + plain[17:],
		plain[:17], plain[17:], "jnl_aaaaaaaaaaaa_" + plain[17:], plain[:17] + hex.EncodeToString(secret), plain[:17] + hex.EncodeToString(sum[:]),
		plain[:17] + base64.URLEncoding.EncodeToString(secret), plain[:17] + strings.Repeat("-", 43), plain[:17] + strings.Repeat("-", 64),
		plain[:16] + "'" + plain[17:], "jnl_" + k.ID + "' OR 1=1 --_" + plain[17:], strings.Repeat("x", 1<<20)}
	for i := range plain {
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \x00\nß" {
			if string(c) != plain[i:i+1] {
				bad = append(bad, plain[:i]+string(c)+plain[i+1:])
			}
		}
	}
	err = db.Read(t.Context(), func(s *store.Snap) error {
		for i, text := range bad {
			if got, err := access.Authenticate(s, text); !errors.Is(err, access.ErrUnauthorized) || got.ID != "" {
				t.Errorf("bad key %d of %d opens (%v)", i, len(bad), err)
			}
		}
		_, err := access.Authenticate(s, plain)
		return err
	})
	if err != nil {
		t.Errorf("and the key itself does not: %v", err)
	}
}

// Keys are made, revoked and grow old in any order; each opens exactly while a
// list of times says so.
func TestKeysAgainstAModel(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	type held struct {
		plain            string
		key              access.Key
		revoked, expires time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		var model []held
		before := len(keys(t, db))
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now := wall
			switch what := rapid.SampledFrom([]string{"make", "make", "revoke", "wait", "try"}).Draw(t, "what"); {
			case what == "make":
				h := held{}
				if ms := rapid.Int64Range(0, 20).Draw(t, "life in ms"); ms > 0 {
					h.expires = now.Add(time.Duration(ms) * time.Millisecond)
				}
				h.plain, h.key = makeKey(t, db, access.KeyRequest{Client: rapid.SampledFrom([]string{"app", "site"}).Draw(t, "client"),
					Scopes: rapid.SliceOfN(rapid.SampledFrom(access.Scopes), 1, 4).Draw(t, "scopes"), ExpiresAt: h.expires})
				model = append(model, h)
			case what == "revoke" && len(model) > 0:
				h := &model[rapid.IntRange(0, len(model)-1).Draw(t, "which")]
				revoke(t, db, h.key.ID)
				if h.revoked.IsZero() {
					h.revoked = now
				}
			case what == "wait":
				wall = wall.Add(time.Duration(rapid.Int64Range(1, 10).Draw(t, "ms")) * time.Millisecond)
			}
			for i, h := range model {
				got, err := try(t, db, h.plain)
				valid := h.revoked.IsZero() && (h.expires.IsZero() || wall.Before(h.expires))
				switch {
				case valid && (err != nil || !cmp.Equal(h.key, got)):
					t.Fatalf("key %d is valid and gives %+v, %v", i, got, err)
				case !valid && (!errors.Is(err, access.ErrUnauthorized) || !cmp.Equal(access.Key{}, got)):
					t.Fatalf("key %d is not valid (revoked %v, expires %v, now %v) and gives %+v, %v", i, h.revoked, h.expires, wall, got, err)
				}
			}
		}
		all := keys(t, db)
		if len(all) != before+len(model) {
			t.Fatalf("%d keys are listed, want %d more than %d", len(all), len(model), before)
		}
		for _, h := range model {
			at := slices.IndexFunc(all, func(k access.Key) bool { return k.ID == h.key.ID })
			h.key.RevokedAt = h.revoked
			if diff := cmp.Diff(h.key, all[at], cmpopts.IgnoreFields(access.Key{}, "RevokedBy")); diff != "" {
				t.Fatalf("the list differs: %s", diff)
			}
		}
		wall = wall.Add(time.Second) // the next example's keys have a time of their own
	})
}

func TestKeysThatCannotBeMade(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	fine := func() access.KeyRequest {
		return access.KeyRequest{Client: "app", Scopes: []string{access.ScopeOTPSend}}
	}
	for _, c := range []struct {
		want string
		bad  func(r *access.KeyRequest)
	}{
		{"client's name", func(r *access.KeyRequest) { r.Client = "" }},
		{"client's name", func(r *access.KeyRequest) { r.Client = "App" }},
		{"client's name", func(r *access.KeyRequest) { r.Client = "-app" }},
		{"client's name", func(r *access.KeyRequest) { r.Client = "app\n" }},
		{"client's name", func(r *access.KeyRequest) { r.Client = "my app" }},
		{"client's name", func(r *access.KeyRequest) { r.Client = strings.Repeat("a", 33) }},
		{"needs a scope", func(r *access.KeyRequest) { r.Scopes = nil }},
		{`scope "otp:all" is not known`, func(r *access.KeyRequest) { r.Scopes = append(r.Scopes, "otp:all") }},
		{`scope "" is not known`, func(r *access.KeyRequest) { r.Scopes = append(r.Scopes, "") }},
		{"a purpose", func(r *access.KeyRequest) { r.Purposes = []string{"login", "Sign up"} }},
		{"a purpose", func(r *access.KeyRequest) { r.Purposes = []string{""} }},
		{"a country", func(r *access.KeyRequest) { r.Countries = []string{"br"} }},
		{"a country", func(r *access.KeyRequest) { r.Countries = []string{"BR", "BRA"} }},
		{"expired already", func(r *access.KeyRequest) { r.ExpiresAt = noon }},
		{"expired already", func(r *access.KeyRequest) { r.ExpiresAt = noon.Add(time.Microsecond) }},
		{"expired already", func(r *access.KeyRequest) { r.ExpiresAt = noon.AddDate(-1, 0, 0) }},
	} {
		r := fine()
		c.bad(&r)
		var plain string
		err := db.Write(t.Context(), func(tx *store.Tx) (err error) { plain, _, err = access.NewKey(tx, r); return err })
		if !errors.Is(err, access.ErrInvalidKey) || !strings.Contains(err.Error(), c.want) || plain != "" {
			t.Errorf("%+v: %v, want %q", r, err, c.want)
		}
	}
	for _, client := range []string{"a", "0", "app-2_x", strings.Repeat("a", 32)} {
		r := fine()
		r.Client = client
		makeKey(t, db, r)
	}
	if n := len(keys(t, db)); n != 4 {
		t.Errorf("%d keys were made, want 4", n)
	}
}

// Nothing in the database's files or in an error tells a key: not after a kill,
// when all still stands in the log of writes, and not after a good end.
func TestNoKeyIsKept(t *testing.T) {
	for name, end := range map[string]func(db *store.DB) error{
		"killed": func(db *store.DB) error { db.Crash(); return nil },
		"closed": (*store.DB).Close,
	} {
		t.Run(name, func(t *testing.T) {
			wall, dir := noon, t.TempDir()
			db := openIn(t, dir, &wall)
			var plains []string
			for range 5 {
				plain, k := makeKey(t, db, access.KeyRequest{Client: "app", Scopes: access.Scopes, Actor: "maria"})
				plains = append(plains, plain)
				wrong := plain[:len(plain)-2] + "__"
				if _, err := try(t, db, wrong); err == nil || strings.Contains(fmt.Sprintf("%v %#v", err, err), wrong[17:40]) {
					t.Errorf("the error is %v", err)
				}
				revoke(t, db, k.ID)
			}
			if err := end(db); err != nil {
				t.Fatal(err)
			}
			files, all := contents(t, dir)
			if !bytes.Contains(all, []byte(plains[4][4:16])) {
				t.Fatalf("not even the key's id is in %v: the wrong files are looked at", files)
			}
			for i, plain := range plains {
				raw, err := base64.RawURLEncoding.DecodeString(plain[17:])
				if err != nil {
					t.Fatal(err)
				}
				for what, secret := range map[string]string{"key": plain, "secret": plain[17:], "beginning": plain[17:33], "end": plain[44:], "raw secret": string(raw),
					"secret in hex": hex.EncodeToString(raw)} {
					if bytes.Contains(all, []byte(secret)) {
						t.Errorf("key %d: its %s stands in %v", i, what, files)
					}
				}
			}
		})
	}
}

// contents reads every file of a folder.
func contents(t *testing.T, dir string) (names []string, all []byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		names, all = append(names, e.Name()), append(all, b...)
	}
	return names, all
}

func TestKeyID(t *testing.T) {
	wall := noon
	plain, k := makeKey(t, open(t, &wall), access.KeyRequest{Client: "app", Scopes: access.Scopes})
	for text, want := range map[string]string{plain: k.ID, k.ID: k.ID, "": "", plain + "x": plain + "x", "jnl_x": "jnl_x"} {
		if got := access.KeyID(text); got != want {
			t.Errorf("of %d characters: %q", len(text), got)
		}
	}
}

// Whatever is sent: only the key itself opens, everything else is the same
// error, and nothing panics.
func FuzzAuthenticate(f *testing.F) {
	wall := noon
	db := open(f, &wall)
	var plain string
	err := db.Write(bg, func(tx *store.Tx) (err error) {
		plain, _, err = access.NewKey(tx, access.KeyRequest{Client: "app", Scopes: access.Scopes})
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", plain, "jnl_aaaaaaaaaaaa_" + strings.Repeat("A", 43), "jnl_", "jnl_a_b", "jnl__" + strings.Repeat("_", 55), plain[:17], "\x00", strings.Repeat("jnl_", 17)} {
		f.Add(s, 0)
		f.Add(s, 30)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		for _, candidate := range []string{text, plain[:17] + text, text + plain[17:], splice(plain, text, at)} {
			err := db.Read(t.Context(), func(s *store.Snap) error { _, err := access.Authenticate(s, candidate); return err })
			if candidate == plain && err != nil || candidate != plain && !errors.Is(err, access.ErrUnauthorized) {
				t.Errorf("%q: %v", candidate, err)
			}
		}
	})
}

// splice writes text over plain from a place on, and keeps the length.
func splice(plain, text string, at int) string {
	if at < 0 || at >= len(plain) {
		return plain
	}
	n := copy([]byte(plain)[at:], text)
	return plain[:at] + text[:n] + plain[at+n:]
}

// An unknown id is looked up, read, hashed and compared like a known one. What
// is allocated on the way counts the work better than a clock.
func TestUnknownIDCostsTheSameWork(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	plain, _ := makeKey(t, db, access.KeyRequest{Client: "app", Scopes: []string{access.ScopeOTPSend, access.ScopeOTPVerify}})
	cost := func(text string) (n float64) {
		err := db.Read(t.Context(), func(s *store.Snap) error {
			n = testing.AllocsPerRun(300, func() {
				if _, err := access.Authenticate(s, text); !errors.Is(err, access.ErrUnauthorized) {
					t.Errorf("got %v", err)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	wrong, unknown := cost(plain[:17]+strings.Repeat("A", 43)), cost("jnl_aaaaaaaaaaaa_"+plain[17:])
	if diff := wrong - unknown; diff < -3 || diff > 3 || wrong < 10 {
		t.Errorf("a wrong secret allocates %v times, an unknown id %v times", wrong, unknown)
	}
}

// What a key costs to check: one that is good, one of another secret, one of an
// unknown id. The last two should cost the same.
func BenchmarkAuthenticate(b *testing.B) {
	wall := noon
	db := open(b, &wall)
	var plain string
	err := db.Write(bg, func(tx *store.Tx) (err error) {
		for range 50 {
			if plain, _, err = access.NewKey(tx, access.KeyRequest{Client: "app", Scopes: access.Scopes}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"good": plain, "wrong": plain[:17] + strings.Repeat("A", 43), "unknown": "jnl_aaaaaaaaaaaa_" + plain[17:]} {
		b.Run(name, func(b *testing.B) {
			err := db.Read(bg, func(s *store.Snap) error {
				for b.Loop() {
					if _, err := access.Authenticate(s, text); (err == nil) != (name == "good") {
						return fmt.Errorf("got %w", err)
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
