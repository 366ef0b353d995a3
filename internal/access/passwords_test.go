package access_test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/store"
)

func TestPasswordsThatCannotBeUsed(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	for plain, want := range map[string]string{
		"":                           "has 0 characters and needs 12",
		"elevenchars":                "has 11 characters",
		"ççççççççççá":                "has 11 characters",
		"maria-silva1":               "",
		"maria.lourdes":              "it is the name",
		"Maria.Lourdes":              "it is the name",
		"maria.lourdesmaria.lourdes": "it is the name",
		" maria.lourdes_":            "it is the name",
		"aaaaaaaaaaaaa":              "one character over and over",
		"correct\thorse battery":     "no form can send",
		"correct horse\n":            "no form can send",
		"correct horse \xff\xfe":     "not UTF-8",
		strings.Repeat("ab", 513):    "more than 1024 bytes",
		strings.Repeat("ab", 512):    "",
		"correct horse":              "",
		"senha muito longa ção":      "",
	} {
		p, err := access.HashPassword(bg, "maria.lourdes", plain)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", plain, err)
		case want != "" && (!errors.Is(err, access.ErrPassword) || !strings.Contains(err.Error(), want) || p.PHC() != ""):
			t.Errorf("%q: %v, want %q", plain, err, want)
		}
	}
}

// What is kept is argon2id as OWASP wants it, and every hash has a salt.
func TestHashIsArgon2id(t *testing.T) {
	one, two := hash(t, "maria", phrase).PHC(), hash(t, "maria", phrase).PHC()
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(one) || one == two {
		t.Errorf("kept are %s and %s", one, two)
	}
}

// A password typed with composed letters is the same as one with combining ones.
func TestPasswordOfAnyKeyboard(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	addOperator(t, db, "maria", access.RoleViewer, "corac\u0327a\u0303o e mel")
	if _, _, err := logins(db).Login(bg, "maria", "coração e mel", somewhere); err != nil {
		t.Error(err)
	}
}

func TestOperatorsThatCannotBeMade(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	p := hash(t, "x", phrase)
	for _, c := range []struct {
		name string
		role access.Role
		p    access.Password
		want string
	}{
		{"", access.RoleViewer, p, "a name has"}, {"Maria", access.RoleViewer, p, "a name has"}, {"1maria", access.RoleViewer, p, "a name has"},
		{"maria silva", access.RoleViewer, p, "a name has"}, {"maria\n", access.RoleViewer, p, "a name has"}, {strings.Repeat("m", 33), access.RoleViewer, p, "a name has"},
		{"operator:maria", access.RoleViewer, p, "a name has"}, {"maria", "", p, "role"}, {"maria", "boss", p, `role "boss"`},
		{"maria", access.RoleViewer, access.Password{}, "without a password"}, {"M", "boss", p, "a name has"}, {"M", "boss", p, "role"},
	} {
		err := db.Write(bg, func(tx *store.Tx) error { return access.AddOperator(tx, c.name, c.role, c.p, "root") })
		if !errors.Is(err, access.ErrInvalidOperator) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v, want %q", c.name, c.role, err, c.want)
		}
	}
	for what, change := range map[string]func(tx *store.Tx) error{
		"password": func(tx *store.Tx) error { return access.SetPassword(tx, "maria", p, "root") },
		"role":     func(tx *store.Tx) error { _, err := access.SetRole(tx, "maria", access.RoleViewer, "root"); return err },
		"disable":  func(tx *store.Tx) error { _, err := access.DisableOperator(tx, "maria", "root"); return err },
	} {
		if err := db.Write(bg, change); !errors.Is(err, access.ErrNoOperator) {
			t.Errorf("%s of nobody: %v", what, err)
		}
	}
	if n := len(list(t, db, 0, 10)); n != 0 {
		t.Errorf("%d lines in the audit log", n)
	}
}

// An unknown name costs the one hash that a wrong password costs, and never more
// than two are computed at once.
func TestWhatALoginCosts(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	addOperator(t, db, "joao", access.RoleViewer, phrase)
	write(t, db, func(tx *store.Tx) error { _, err := access.DisableOperator(tx, "joao", "root"); return err })
	var hashes, most atomic.Int64
	access.OnHash(t.Cleanup, func(atOnce int) {
		hashes.Add(1)
		time.Sleep(time.Millisecond) // others have the time to come
		for m := most.Load(); int64(atOnce) > m && !most.CompareAndSwap(m, int64(atOnce)); m = most.Load() {
		}
	})
	for _, c := range [][2]string{{"maria", second}, {"bia", second}, {"joao", phrase}, {"maria", strings.Repeat("x", 5000)}} {
		before := hashes.Load()
		if _, _, err := l.Login(bg, c[0], c[1], somewhere); !errors.Is(err, access.ErrLogin) || hashes.Load() != before+1 {
			t.Errorf("%s: %v after %d hashes", c[0], err, hashes.Load()-before)
		}
	}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			if _, _, err := l.Login(bg, fmt.Sprint("n", i), phrase, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})); !errors.Is(err, access.ErrLogin) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if hashes.Load() != 28 || most.Load() > 2 {
		t.Errorf("%d hashes, %d at once", hashes.Load(), most.Load())
	}
}

func TestGuessersWaitLongerAndLonger(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	addOperator(t, db, "joao", access.RoleViewer, phrase)
	next := byte(0)
	elsewhere := func() netip.Addr { next++; return netip.AddrFrom4([4]byte{198, 51, 100, next}) }
	guess := func(name, password string, from netip.Addr) time.Duration {
		t.Helper()
		_, _, err := l.Login(bg, name, password, from)
		var many *access.TooManyError
		switch {
		case errors.As(err, &many):
			if want := fmt.Sprintf("too many attempts, wait %d s", many.Seconds()); err.Error() != want || many.Wait <= 0 {
				t.Errorf("%q, want %q", err, want)
			}
			return many.Wait
		case password == phrase && err != nil, password != phrase && !errors.Is(err, access.ErrLogin):
			t.Fatalf("%v", err)
		}
		return 0
	}
	// By name, from everywhere: five are free, then the waits double up to five
	// minutes; who comes too early neither waits longer nor learns anything.
	var waits []string
	for range 16 {
		for wait := guess("maria", second, elsewhere()); wait > 0; wait = guess("maria", second, elsewhere()) {
			if got := guess("maria", phrase, elsewhere()); got != wait {
				t.Errorf("the right password waits %v, a wrong one %v", got, wait)
			}
			waits = append(waits, wait.String())
			wall = wall.Add(wait - time.Millisecond)
			if again := guess("maria", second, elsewhere()); again != time.Millisecond {
				t.Errorf("%v before the end", again)
			}
			wall = wall.Add(time.Millisecond)
		}
	}
	if want := "1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 5m0s 5m0s"; strings.Join(waits, " ") != want {
		t.Errorf("waits %v, want %s", waits, want)
	}
	if wait := guess("joao", phrase, elsewhere()); wait != 0 {
		t.Errorf("somebody else waits %v", wait)
	}
	wall = wall.Add(5 * time.Minute)
	if wait := guess("maria", phrase, elsewhere()); wait != 0 {
		t.Errorf("after the wait the right password waits %v", wait)
	}
	for range 5 { // she begins anew
		if wait := guess("maria", second, elsewhere()); wait != 0 {
			t.Errorf("after a login a mistake waits %v", wait)
		}
	}
	// By address, over all names: an IPv4 address, or a /64.
	for _, c := range []struct{ from, same, other string }{
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::9", "2001:db8:0:2::1"},
	} {
		for i := range 5 {
			if wait := guess(fmt.Sprint("n", i, c.from[:3]), second, netip.MustParseAddr(c.from)); wait != 0 {
				t.Errorf("guess %d waits %v", i, wait)
			}
		}
		if wait := guess("joao", phrase, netip.MustParseAddr(c.same)); wait != time.Second {
			t.Errorf("%s waits %v", c.same, wait)
		}
		if _, _, err := l.LoginByKey(bg, "jnl_x", netip.MustParseAddr(c.same)); !errors.As(err, new(*access.TooManyError)) {
			t.Errorf("keys: %v", err)
		}
		if wait := guess("joao", phrase, netip.MustParseAddr(c.other)); wait != 0 {
			t.Errorf("%s waits %v", c.other, wait)
		}
		var link string
		write(t, db, func(tx *store.Tx) (err error) { link, _, err = access.MakeLink(tx, "joana"); return err })
		if _, _, err := l.LoginByLink(bg, link, netip.MustParseAddr(c.from)); err != nil {
			t.Errorf("the machine's own user does not come in: %v", err)
		}
	}
	wall = wall.Add(time.Hour) // and all is forgotten
	for range 5 {
		if wait := guess("joao", second, netip.MustParseAddr("192.0.2.1")); wait != 0 {
			t.Errorf("after an hour it waits %v", wait)
		}
	}
}

// Many at once are many: no more than five are looked at.
func TestGuessesAtOnce(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	var hashes atomic.Int64
	access.OnHash(t.Cleanup, func(int) { hashes.Add(1) })
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			_, _, err := l.Login(bg, "maria", second, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
			if !errors.Is(err, access.ErrLogin) && !errors.As(err, new(*access.TooManyError)) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if hashes.Load() != 5 {
		t.Errorf("%d were looked at", hashes.Load())
	}
}

// However many names come: what is counted stays small, and who was guessed at
// is not forgotten for it.
func TestGuessersAreBounded(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	for i := range 6 {
		_, _, _ = l.Login(bg, "maria", second, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
	}
	for i := range access.MaxGuessers {
		if i%10 == 0 {
			wall = wall.Add(time.Millisecond) // they are younger than she is
		}
		_, _, err := l.Login(bg, fmt.Sprint("n", i), second, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		if !errors.Is(err, access.ErrLogin) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if n := l.Guessers(); n != access.MaxGuessers {
		t.Errorf("%d are counted", n)
	}
	if _, _, err := l.Login(bg, "maria", phrase, somewhere); !errors.As(err, new(*access.TooManyError)) {
		t.Errorf("she was forgotten: %v", err)
	}
}
