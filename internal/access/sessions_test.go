package access_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"janela/internal/access"
	"janela/internal/store"
)

var somewhere = netip.MustParseAddr("192.0.2.7")

func logins(db *store.DB) *access.Logins {
	return access.NewLogins(db, slog.New(slog.DiscardHandler))
}

func hash(t failer, name, plain string) access.Password {
	t.Helper()
	p, err := access.HashPassword(bg, name, plain)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

func addOperator(t failer, db *store.DB, name string, role access.Role, plain string) {
	t.Helper()
	p := hash(t, name, plain)
	write(t, db, func(tx *store.Tx) error { return access.AddOperator(tx, name, role, p, "root") })
}

// sessionOf asks in a snapshot and in a transaction: both must agree.
func sessionOf(t failer, db *store.DB, token string) (access.Session, error) {
	t.Helper()
	var s, same access.Session
	var asked, again error
	if err := db.Read(bg, func(q *store.Snap) error { s, asked = access.SessionOf(q, token); return nil }); err != nil {
		t.Fatalf("%v", err)
	}
	write(t, db, func(tx *store.Tx) error { same, again = access.SessionOf(tx, token); return nil })
	if diff := cmp.Diff(s, same); diff != "" || !errors.Is(asked, again) {
		t.Fatalf("a snapshot answers %v, a transaction %v\n%s", asked, again, diff)
	}
	return s, asked
}

func wantIn(t failer, db *store.DB, token string, role access.Role) {
	t.Helper()
	if s, err := sessionOf(t, db, token); err != nil || s.Role != role {
		t.Fatalf("%+v, %v; want role %s", s, err, role)
	}
}

func wantOut(t failer, db *store.DB, token string) {
	t.Helper()
	if s, err := sessionOf(t, db, token); !errors.Is(err, access.ErrNoSession) || s != (access.Session{}) {
		t.Fatalf("%+v, %v; want none", s, err)
	}
}

func TestRoles(t *testing.T) {
	for i, have := range access.Roles {
		for j, need := range access.Roles {
			if have.May(need) != (i >= j) {
				t.Errorf("%s may %s: %v", have, need, have.May(need))
			}
		}
		for _, other := range []access.Role{"", "boss", "Viewer"} {
			if have.May(other) || other.May(have) || other.May(other) {
				t.Errorf("%q and %q", have, other)
			}
		}
	}
}

const (
	phrase = "correct horse battery"
	second = "staple correct horse"
)

func TestLoginByEachWay(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleOperator, phrase)
	expires := noon.Add(12 * time.Hour)
	ignore := cmpopts.IgnoreFields(access.Session{}, "ID")
	check := func(what, token string, got access.Session, err error, want access.Session, actor string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		want.Created, want.Seen, want.Expires = noon, noon, expires
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
		same, err := sessionOf(t, db, token)
		if diff := cmp.Diff(got, same); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
		if secret, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(secret) != 32 {
			t.Errorf("%s: a token of %d bytes", what, len(secret))
		}
		if e := list(t, db, 0, 1)[0]; got.Actor() != actor || e.Actor != actor || e.Command != "login" || e.After != "by "+want.How+", "+string(want.Role) {
			t.Errorf("%s: the audit log has %+v, the actor is %s", what, e, got.Actor())
		}
	}
	token, s, err := l.Login(bg, " Maria ", phrase, somewhere)
	check("password", token, s, err, access.Session{Name: "maria", Role: access.RoleOperator, How: "password"}, "operator:maria")
	for _, c := range []struct {
		scopes []string
		role   access.Role
	}{
		{[]string{access.ScopeConsoleView, access.ScopeOTPSend}, access.RoleViewer},
		{[]string{access.ScopeConsoleOperate}, access.RoleOperator},
		{[]string{access.ScopeConsoleApprove, access.ScopeConsoleView}, access.RoleApprover},
	} {
		plain, _ := makeKey(t, db, access.KeyRequest{Client: "site", Scopes: c.scopes})
		token, s, err := l.LoginByKey(bg, plain+"\n", somewhere)
		check("key", token, s, err, access.Session{Name: "site", Role: c.role, How: "key"}, "key:site")
	}
	var link string
	var until time.Time
	write(t, db, func(tx *store.Tx) (err error) { link, until, err = access.MakeLink(tx, "joana"); return err })
	if !until.Equal(noon.Add(5 * time.Minute)) {
		t.Errorf("the link works until %v", until)
	}
	token, s, err = l.LoginByLink(bg, link, somewhere)
	check("link", token, s, err, access.Session{Name: "joana", Role: access.RoleApprover, How: "link"}, "joana")
	if _, _, err := l.LoginByLink(bg, link, somewhere); !errors.Is(err, access.ErrLogin) {
		t.Errorf("the link works twice: %v", err)
	}
}

// Whatever is wrong, the answer is one.
func TestRefusedLogins(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	var said strings.Builder
	l := access.NewLogins(db, slog.New(slog.NewTextHandler(&said, nil)))
	addOperator(t, db, "maria", access.RoleOperator, phrase)
	addOperator(t, db, "joao", access.RoleOperator, phrase)
	write(t, db, func(tx *store.Tx) error { _, err := access.DisableOperator(tx, "joao", "root"); return err })
	plain, k := makeKey(t, db, access.KeyRequest{Client: "site", Scopes: []string{access.ScopeConsoleView}})
	revoked, gone := makeKey(t, db, access.KeyRequest{Client: "site", Scopes: []string{access.ScopeConsoleView}})
	revoke(t, db, gone.ID)
	without, _ := makeKey(t, db, access.KeyRequest{Client: "site", Scopes: []string{access.ScopeStatusRead}})
	var late, fine string
	write(t, db, func(tx *store.Tx) (err error) { late, _, err = access.MakeLink(tx, "joana"); return err })
	wall = wall.Add(5 * time.Minute)
	write(t, db, func(tx *store.Tx) (err error) { fine, _, err = access.MakeLink(tx, "joana"); return err })
	refused := func(what string, token string, s access.Session, err error) {
		t.Helper()
		if !errors.Is(err, access.ErrLogin) || err.Error() != access.ErrLogin.Error() || token != "" || s != (access.Session{}) {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
		wall = wall.Add(time.Hour) // nobody is waiting for the throttle
	}
	for what, c := range map[string][2]string{"wrong": {"maria", phrase + "."}, "none": {"maria", ""}, "unknown": {"bia", phrase}, "disabled": {"joao", phrase},
		"odd": {"maria' OR 1=1 --", phrase}, "nobody": {"", ""}, "long": {"maria", strings.Repeat(phrase, 1000)}, "hers as a name": {phrase, "maria"}} {
		token, s, err := l.Login(bg, c[0], c[1], somewhere)
		refused(what, token, s, err)
	}
	for what, text := range map[string]string{"mistyped": plain[:len(plain)-2] + "__", "revoked": revoked, "without the scope": without, "id": k.ID, "none": "", "link": fine} {
		token, s, err := l.LoginByKey(bg, text, somewhere)
		refused("key "+what, token, s, err)
	}
	wall = noon.Add(5 * time.Minute)
	for what, text := range map[string]string{"late": late, "mistyped": fine[1:] + "A", "none": "", "key": plain} {
		token, s, err := l.LoginByLink(bg, text, somewhere)
		refused("link "+what, token, s, err)
		wall = noon.Add(5 * time.Minute)
	}
	for _, secret := range []string{phrase, plain[17:], fine, late, "correct"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
	if !strings.Contains(said.String(), "name=maria address=192.0.2.7") || strings.Contains(said.String(), "bia") {
		t.Errorf("the log says %s", said.String())
	}
}

// Sessions begin, are used, and end in every way there is; each opens exactly
// while a naive model says so, with the role that it says.
func TestSessionsAgainstAModel(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	type person struct {
		role     access.Role
		disabled bool
	}
	type held struct {
		token, how, name, key string
		created, seen         time.Time
		ended                 bool
	}
	run, wall := 0, noon
	db := open(t, &wall)
	rapid.Check(t, func(t *rapid.T) {
		run++
		l := logins(db)
		people := map[string]*person{}
		revoked := map[string]bool{}
		keysOf := map[string]access.Role{}
		var model []held
		names := []string{fmt.Sprint("maria", run), fmt.Sprint("joao", run)}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			role := rapid.SampledFrom(access.Roles).Draw(t, "role")
			who := people[name]
			in := who != nil && !who.disabled
			i := -1
			if len(model) > 0 {
				i = rapid.IntRange(0, len(model)-1).Draw(t, "which")
			}
			end := func(keep int, mine func(h held) bool) {
				for j := range model {
					if j != keep && mine(model[j]) {
						model[j].ended = true
					}
				}
			}
			ofName := func(h held) bool { return h.how == "password" && h.name == name }
			alive := func(h held) bool {
				valid := !h.ended && wall.Before(h.seen.Add(access.SessionIdle)) && wall.Before(h.created.Add(access.SessionLife))
				if h.how == "password" {
					return valid && people[h.name] != nil && !people[h.name].disabled
				}
				return valid && !revoked[h.key]
			}
			var err error
			switch what := rapid.SampledFrom([]string{"add", "login", "login", "key", "link", "role", "password", "disable", "end", "touch", "touch", "logout", "others", "revoke", "wait", "wait", "sweep"}).Draw(t, "what"); what {
			case "add":
				p := hash(t, name, phrase)
				err = db.Write(bg, func(tx *store.Tx) error { return access.AddOperator(tx, name, role, p, "root") })
				if in {
					if !errors.Is(err, access.ErrOperatorExists) {
						t.Fatalf("%v", err)
					}
					err = nil
				} else {
					people[name] = &person{role: role}
				}
			case "login":
				var token string
				token, _, err = l.Login(bg, name, phrase, somewhere)
				if !in {
					if !errors.Is(err, access.ErrLogin) && !errors.As(err, new(*access.TooManyError)) {
						t.Fatalf("%v", err)
					}
					err = nil
				} else if errors.As(err, new(*access.TooManyError)) {
					err = nil
				} else {
					model = append(model, held{token: token, how: "password", name: name, created: wall, seen: wall})
				}
			case "key":
				scope := map[access.Role]string{access.RoleViewer: access.ScopeConsoleView, access.RoleOperator: access.ScopeConsoleOperate, access.RoleApprover: access.ScopeConsoleApprove}[role]
				plain, k := makeKey(t, db, access.KeyRequest{Client: name, Scopes: []string{scope}})
				keysOf[k.ID] = role
				var token string
				token, _, err = l.LoginByKey(bg, plain, netip.MustParseAddr("198.51.100.1"))
				model = append(model, held{token: token, how: "key", name: name, key: k.ID, created: wall, seen: wall})
			case "link":
				var link, token string
				write(t, db, func(tx *store.Tx) (err error) { link, _, err = access.MakeLink(tx, name); return err })
				token, _, err = l.LoginByLink(bg, link, somewhere)
				model = append(model, held{token: token, how: "link", name: name, created: wall, seen: wall})
			case "role":
				err = db.Write(bg, func(tx *store.Tx) error { _, err := access.SetRole(tx, name, role, "root"); return err })
				if in {
					who.role = role
				} else {
					err = nil
				}
			case "password":
				p := hash(t, name, phrase)
				err = db.Write(bg, func(tx *store.Tx) error { return access.SetPassword(tx, name, p, "root") })
				if in {
					end(-1, ofName)
				} else {
					err = nil
				}
			case "disable":
				err = db.Write(bg, func(tx *store.Tx) error { _, err := access.DisableOperator(tx, name, "root"); return err })
				if who == nil {
					err = nil
				} else {
					who.disabled = true
					end(-1, ofName)
				}
			case "end":
				err = db.Write(bg, func(tx *store.Tx) error { _, err := access.EndSessions(tx, name, "root"); return err })
				end(-1, ofName)
			case "touch", "logout", "others":
				if i < 0 {
					continue
				}
				h := &model[i]
				was := alive(*h)
				err = db.Write(bg, func(tx *store.Tx) (err error) {
					switch what {
					case "touch":
						return access.Touch(tx, h.token)
					case "logout":
						return access.Logout(tx, h.token)
					default:
						_, err = access.EndOthers(tx, h.token)
						return err
					}
				})
				switch {
				case !was && what == "logout": // it stays over
				case !was:
					if !errors.Is(err, access.ErrNoSession) {
						t.Fatalf("%s of a session that is over: %v", what, err)
					}
					err = nil
				case what == "touch" && wall.Sub(h.seen) >= time.Minute:
					h.seen = wall
				case what == "logout":
					h.ended = true
				case what == "others":
					end(i, func(o held) bool { return o.how == h.how && o.name == h.name })
				}
			case "revoke":
				if i >= 0 && model[i].key != "" {
					revoke(t, db, model[i].key)
					revoked[model[i].key] = true
				}
			case "wait":
				wall = wall.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 11 * time.Hour, 12*time.Hour - time.Millisecond, 12 * time.Hour, 24 * time.Hour}).Draw(t, "long"))
			case "sweep":
				err = db.Write(bg, access.SweepSessions)
			}
			if err != nil {
				t.Fatalf("%v", err)
			}
			for j, h := range model {
				s, err := sessionOf(t, db, h.token)
				if !alive(h) {
					if !errors.Is(err, access.ErrNoSession) || s != (access.Session{}) {
						t.Fatalf("session %d (%+v) is over, and opens: %+v, %v", j, h, s, err)
					}
					continue
				}
				want := access.Session{ID: s.ID, Name: h.name, How: h.how, Created: h.created, Seen: h.seen, Expires: h.seen.Add(access.SessionIdle)}
				if last := h.created.Add(access.SessionLife); last.Before(want.Expires) {
					want.Expires = last
				}
				switch h.how {
				case "password":
					want.Role = people[h.name].role
				case "key":
					want.Role = keysOf[h.key]
				default:
					want.Role = access.RoleApprover
				}
				if diff := cmp.Diff(want, s); diff != "" || err != nil {
					t.Fatalf("session %d: %v\n%s", j, err, diff)
				}
			}
		}
	})
}

// Whoever may no more is out with the next request, also within a transaction.
func TestWhatEndsSessions(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleApprover, phrase)
	in := func() string {
		token, _, err := l.Login(bg, "maria", phrase, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := in()
	write(t, db, func(tx *store.Tx) error { _, err := access.SetRole(tx, "maria", access.RoleViewer, "root"); return err })
	wantIn(t, db, token, access.RoleViewer)
	write(t, db, func(tx *store.Tx) error { _, err := access.DisableOperator(tx, "maria", "root"); return err })
	wantOut(t, db, token)
	addOperator(t, db, "maria", access.RoleOperator, phrase) // who comes back does not find the old session open
	wantOut(t, db, token)
	one, two := in(), in()
	write(t, db, func(tx *store.Tx) error { return access.Logout(tx, one) })
	wantOut(t, db, one)
	wantIn(t, db, two, access.RoleOperator)
	p := hash(t, "maria", second)
	write(t, db, func(tx *store.Tx) error { return access.SetPassword(tx, "maria", p, "root") })
	wantOut(t, db, two)
	if _, _, err := l.Login(bg, "maria", phrase, somewhere); !errors.Is(err, access.ErrLogin) {
		t.Errorf("the old password opens: %v", err)
	}
	token, _, err := l.Login(bg, "maria", second, somewhere)
	if err != nil {
		t.Fatal(err)
	}
	wall = wall.Add(access.SessionIdle - time.Millisecond)
	wantIn(t, db, token, access.RoleOperator)
	write(t, db, func(tx *store.Tx) error { return access.Touch(tx, token) })
	for end := noon.Add(access.SessionLife); wall.Before(end.Add(-8 * time.Hour)); { // however often: not longer than seven days
		wall = wall.Add(8 * time.Hour)
		write(t, db, func(tx *store.Tx) error { return access.Touch(tx, token) })
	}
	wall = noon.Add(access.SessionLife - time.Millisecond)
	wantIn(t, db, token, access.RoleOperator)
	wall = noon.Add(access.SessionLife)
	wantOut(t, db, token)
	var lines []string
	for _, e := range list(t, db, 0, 20) {
		lines = append(lines, strings.TrimRight(strings.Join([]string{e.Actor, e.Command, e.Object, e.Before, e.After}, "|"), "|"))
	}
	slices.Reverse(lines)
	want := []string{"root|operators add|operator maria||approver", "operator:maria|login|console||by password, approver",
		"root|operators role|operator maria|approver|viewer", "root|operators disable|operator maria|viewer|disabled, 1 session ended",
		"root|operators add|operator maria|disabled|operator", "operator:maria|login|console||by password, operator",
		"operator:maria|login|console||by password, operator", "operator:maria|logout|console",
		"root|operators password|operator maria||another password, 1 session ended", "operator:maria|login|console||by password, operator"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

// A link lets in once, however many come with it at the same moment.
func TestLinkOpensOnce(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	var link string
	write(t, db, func(tx *store.Tx) (err error) { link, _, err = access.MakeLink(tx, "joana"); return err })
	var wg sync.WaitGroup
	var in, out atomic.Int64
	for range 32 {
		wg.Go(func() {
			switch _, _, err := l.LoginByLink(bg, link, somewhere); {
			case err == nil:
				in.Add(1)
			case errors.Is(err, access.ErrLogin):
				out.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || out.Load() != 31 {
		t.Errorf("%d came in, %d were refused", in.Load(), out.Load())
	}
	if n := len(list(t, db, 0, 100)); n != 2 {
		t.Errorf("%d lines in the audit log", n)
	}
}

// A restart keeps who is in; what was killed between the login and its answer is
// a session that nobody has the token of, and its link is used up.
func TestSessionsOutliveTheProcess(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall, dir := noon, t.TempDir()
	db := openIn(t, dir, &wall)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	token, _, err := logins(db).Login(bg, "maria", phrase, somewhere)
	if err != nil {
		t.Fatal(err)
	}
	var link string
	write(t, db, func(tx *store.Tx) (err error) { link, _, err = access.MakeLink(tx, "joana"); return err })
	lost, _, err := logins(db).LoginByLink(bg, link, somewhere)
	if err != nil {
		t.Fatal(err)
	}
	db.Crash()
	_, all := contents(t, dir)
	for what, secret := range map[string]string{"token": token, "link": link, "lost token": lost, "password": phrase} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the %s stands in the database", what)
		}
	}
	db = openIn(t, dir, &wall)
	wantIn(t, db, token, access.RoleViewer)
	if _, _, err := logins(db).LoginByLink(bg, link, somewhere); !errors.Is(err, access.ErrLogin) {
		t.Errorf("the link works again: %v", err)
	}
	if _, _, err := logins(db).Login(bg, "maria", phrase, somewhere); err != nil {
		t.Errorf("logging in again: %v", err)
	}
	wall = wall.Add(access.SessionIdle)
	wantOut(t, db, token)
	wantOut(t, db, lost)
}

func TestOwnPasswordAndOtherSessions(t *testing.T) {
	access.CheapPasswords(t.Cleanup)
	wall := noon
	db := open(t, &wall)
	l := logins(db)
	addOperator(t, db, "maria", access.RoleViewer, phrase)
	in := func(password string) string {
		token, _, err := l.Login(bg, "maria", password, somewhere)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	one, two, three := in(phrase), in(phrase), in(phrase)
	mine := func(token string) (ids []string) {
		s, err := sessionOf(t, db, token)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(bg, func(q *store.Snap) error {
			all, err := access.Sessions(q, s)
			for _, one := range all {
				ids = append(ids, one.ID)
			}
			return err
		})
		if err != nil || !slices.Contains(ids, s.ID) {
			t.Errorf("%v: own session %s is missing in %v", err, s.ID, ids)
		}
		return ids
	}
	if ids := mine(two); len(ids) != 3 {
		t.Errorf("sessions %v", ids)
	}
	write(t, db, func(tx *store.Tx) error {
		n, err := access.EndOthers(tx, two)
		if n != 2 {
			t.Errorf("%d others", n)
		}
		return err
	})
	wantOut(t, db, one)
	wantOut(t, db, three)
	wantIn(t, db, two, access.RoleViewer)

	for want, c := range map[error][2]string{access.ErrLogin: {second, second}, access.ErrPassword: {phrase, "short"}} {
		if next, err := l.ChangePassword(bg, two, c[0], c[1], somewhere); !errors.Is(err, want) || next != "" {
			t.Errorf("%v, want %v", err, want)
		}
	}
	wantIn(t, db, two, access.RoleViewer)
	four := in(phrase)
	next, err := l.ChangePassword(bg, two, phrase, second, somewhere)
	if err != nil || next == two {
		t.Fatalf("the session goes on with its old token (%v)", err)
	}
	wantOut(t, db, two)
	wantOut(t, db, four)
	wantIn(t, db, next, access.RoleViewer)
	if _, err := l.ChangePassword(bg, two, second, phrase, somewhere); !errors.Is(err, access.ErrNoSession) {
		t.Errorf("an old token changes the password: %v", err)
	}
	var link string
	write(t, db, func(tx *store.Tx) (err error) { link, _, err = access.MakeLink(tx, "maria"); return err })
	byLink, _, err := l.LoginByLink(bg, link, somewhere)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ChangePassword(bg, byLink, second, phrase, somewhere); !errors.Is(err, access.ErrNoSession) {
		t.Errorf("the machine's user changes an operator's password: %v", err)
	}
	if ids := mine(byLink); len(ids) != 1 {
		t.Errorf("the machine's user sees an operator's sessions: %v", ids)
	}
	in(second)
}

// What is over is swept away, and nothing else.
func TestRunForgetsSessions(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		db, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "x.db")})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := access.Run(ctx, db, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
		defer func() {
			cancel()
			running.Wait()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		count := func(want [2]int) {
			t.Helper()
			synctest.Wait()
			for i, s := range []*store.Stmt{sqlCountSessions, sqlCountLinks} {
				err := db.Read(ctx, func(q *store.Snap) error {
					n, _, err := store.Get[store.Col[int]](q, s)
					if n.V != want[i] {
						t.Errorf("%d rows of table %d, want %d", n.V, i, want[i])
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		var used, unused string
		write(t, db, func(tx *store.Tx) (err error) {
			used, _, err = access.MakeLink(tx, "joana")
			if err == nil {
				unused, _, err = access.MakeLink(tx, "joana")
			}
			return err
		})
		if _, _, err := logins(db).LoginByLink(ctx, used, somewhere); err != nil || unused == used {
			t.Fatal(err)
		}
		count([2]int{1, 1})
		time.Sleep(5*time.Minute + 10*time.Second)
		count([2]int{1, 0})
		time.Sleep(12 * time.Hour)
		count([2]int{0, 0})
	})
}

var (
	sqlCountSessions = store.SQL(`SELECT count(*) FROM sessions`)
	sqlCountLinks    = store.SQL(`SELECT count(*) FROM login_links`)
)
