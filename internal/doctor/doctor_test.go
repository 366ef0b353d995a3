package doctor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
)

// A house in which everything is well has twenty checks that say so.
func TestWell(t *testing.T) {
	r := newPlace(t).run(t.Context())
	for i, c := range r.Results {
		if c.Level != OK || c.Number != i+1 || c.Text == "" {
			t.Errorf("%d %s is %s: %s %+v", c.Number, c.Check, c.Level, c.Text, c.Findings)
		}
	}
	if r.OK != len(checks) || r.Warn+r.Fail+r.Skip != 0 {
		t.Errorf("%d fine, %d, %d, %d", r.OK, r.Warn, r.Fail, r.Skip)
	}
}

func list(items ...string) *[]string { return &items }

func word(s string) *string { return &s }

// broken says for each fault how it comes about. Every fault stands here.
var broken = map[string]func(p *place){
	"config/unread": func(p *place) { p.world.Unread = errors.New("no config.toml") },
	"config/fault":  func(p *place) { p.swap("folder = ", "foldre = ") },
	"config/warning": func(p *place) {
		p.faults = tomlfile.Problems{{File: "config.toml", Line: 1, Column: 1, Severity: tomlfile.Warning, Message: "codes are easy to guess", Hint: "use more digits"}}
	},

	"secrets/missing":            func(p *place) { p.swap(`"app-secret"`, `"nowhere"`) },
	"secrets/readable_by_others": func(p *place) { p.write("token", token, 0o644) },
	"secrets/not_readable": func(p *place) {
		p.write("x", "", 0o600)
		p.swap(`"app-secret"`, `"x/secret"`)
	},
	"secrets/empty":           func(p *place) { p.write("verify-token", "\n", 0o600) },
	"secrets/folder_writable": func(p *place) { p.chmod(".", 0o777) },

	"timezones/old": func(p *place) {
		p.world.Zone = func(string) (*time.Location, error) { return time.FixedZone("old", -2*3600), nil }
	},

	"filesystem/network":   func(p *place) { p.lies("nfs", "network") },
	"filesystem/memory":    func(p *place) { p.lies("tmpfs", "memory") },
	"filesystem/container": func(p *place) { p.lies("overlay", "container") },

	"database/folder_not_writable": func(p *place) { p.swap(`"db/janela.db"`, `"token/db/janela.db"`) },
	"database/unreadable":          func(p *place) { p.spoil("this is no database, only some text that is long enough to be looked at") },
	"database/damaged":             nil, // see TestDamaged
	"database/journal":             func(p *place) { p.alter("PRAGMA journal_mode = delete") },
	"database/newer":               func(p *place) { p.alter("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)") },
	"database/older": func(p *place) {
		p.alter("DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)")
	},
	"database/readable_by_others": func(p *place) { p.chmod("db/janela.db", 0o644) },
	"database/not_looked_through": func(p *place) {
		usual := lookThrough
		lookThrough = 1
		p.t.Cleanup(func() { lookThrough = usual })
	},

	"disk/below_reserve": func(p *place) {
		p.world.Space = func(string) (guard.Space, error) { return guard.Space{Free: 1 << 30, Total: 200 << 30}, nil }
	},
	"disk/low": func(p *place) {
		p.world.Space = func(string) (guard.Space, error) { return guard.Space{Free: 5 << 30, Total: 200 << 30}, nil }
	},

	"daemon/none":          func(p *place) { p.silent, p.unlock = true, true },
	"daemon/silent":        func(p *place) { p.silent = true },
	"daemon/lock_gone":     func(p *place) { p.unlock = true },
	"daemon/other_version": func(p *place) { p.self.Version = "v2" },
	"daemon/other_numbers": func(p *place) { p.self.Numbers = nil },
	"daemon/problem":       func(p *place) { p.health.Problems = []string{"the database does not answer"} },
	"daemon/alert":         func(p *place) { p.health.Alerts = []string{"a definition is refused"} },

	"ports/taken": func(p *place) {
		p.silent, p.unlock = true, true
		p.swap(`listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", p.listener()))
	},
	"ports/other": func(p *place) { p.swap(`listen = "127.0.0.1:0"`, `listen = "127.0.0.1:8790"`) },

	"folder/unreadable":         func(p *place) { p.swap(`folder = "campaigns.d"`, `folder = "nowhere"`) },
	"folder/stopped":            func(p *place) { p.write("campaigns.d/STOP", "", 0o600) },
	"folder/writable_by_others": func(p *place) { p.chmod("campaigns.d", 0o777) },
	"folder/future": func(p *place) {
		at := time.Now().Add(time.Hour)
		if err := os.Chtimes(p.path("campaigns.d/natal.toml"), at, at); err != nil {
			p.t.Fatal(err)
		}
	},
	"folder/status_not_writable": func(p *place) { p.swap(`status = "status"`, `status = "token"`) },

	"graph/unreachable": func(p *place) { p.swap(p.graph.URL, "http://"+closedPort(p.t)) },
	"graph/expired":     func(p *place) { p.app(sandbox.AppChange{OldestVersion: word("v26.0")}) },
	"graph/ends": func(p *place) {
		p.swap("[[whatsapp.accounts]]", "graph_version = \"v24.0\"\n[[whatsapp.accounts]]")
		p.world.Now = func() time.Time { return time.Date(2028, 2, 1, 0, 0, 0, 0, time.UTC) }
	},

	"clock/off":    func(p *place) { p.app(sandbox.AppChange{DateOffset: word("-5m")}) },
	"clock/drifts": func(p *place) { p.app(sandbox.AppChange{DateOffset: word("10s")}) },

	"token/unreadable":  func(p *place) { p.write("token", "", 0o600) },
	"token/refused":     func(p *place) { p.write("token", "another-token", 0o600) },
	"token/of_a_person": func(p *place) { p.app(sandbox.AppChange{TokenType: word("USER")}) },

	"scopes/no_messaging":  func(p *place) { p.app(sandbox.AppChange{Scopes: list("whatsapp_business_management")}) },
	"scopes/no_management": func(p *place) { p.app(sandbox.AppChange{Scopes: list("whatsapp_business_messaging")}) },

	"expiry/soon":         func(p *place) { p.expires(10 * 24 * time.Hour) },
	"expiry/within_a_day": func(p *place) { p.expires(2 * time.Hour) },

	"accounts/not_seen":     func(p *place) { p.swap(`id = "100000000000001"`, `id = "100000000000009"`) },
	"accounts/not_approved": func(p *place) { p.rewrite(`"account_review_status":"APPROVED"`, `"account_review_status":"PENDING"`) },
	"accounts/blocked": func(p *place) {
		p.rewrite(`"entity_type":"WABA"`, `"entity_type":"WABA","errors":[{"error_code":141006,"error_description":"no payment method","possible_solution":"add one"}]`, `"can_send_message":"AVAILABLE"`, `"can_send_message":"BLOCKED"`)
	},
	"accounts/limited": func(p *place) { p.rewrite(`"can_send_message":"AVAILABLE"`, `"can_send_message":"LIMITED"`) },

	"numbers/not_listed":    func(p *place) { p.swap(`id = "200000000000001"`, `id = "200000000000009"`) },
	"numbers/unreadable":    func(p *place) { p.app(sandbox.AppChange{Scopes: list("whatsapp_business_messaging")}) },
	"numbers/not_connected": func(p *place) { p.number(sandbox.Number{Status: "RESTRICTED"}) },
	"numbers/quality":       func(p *place) { p.number(sandbox.Number{Quality: "RED"}) },
	"numbers/name":          func(p *place) { p.number(sandbox.Number{NameStatus: "DECLINED"}) },
	"numbers/limit":         func(p *place) { p.number(sandbox.Number{MessagingLimit: "TIER_250"}) },
	"numbers/blocked":       func(p *place) { p.number(sandbox.Number{Status: "BANNED"}) },
	"numbers/limited":       func(p *place) { p.rewrite(`"can_send_message":"AVAILABLE"`, `"can_send_message":"LIMITED"`) },

	"callback/unreachable": func(p *place) { p.swap(p.hook.URL, "http://"+closedPort(p.t)) },
	"callback/handshake":   func(p *place) { p.write("verify-token", "another", 0o600) },
	"callback/handshake_open": func(p *place) {
		p.answer = func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge")))
		}
	},
	"callback/signature": func(p *place) { p.write("app-secret", "another", 0o600) },
	"callback/certificate": func(p *place) {
		hook := httptest.NewTLSServer(http.HandlerFunc(p.serveHook))
		p.t.Cleanup(hook.Close)
		p.swap(p.hook.URL, hook.URL)
		p.world.HTTP = hook.Client()
		p.world.Now = func() time.Time { return hook.Certificate().NotAfter.Add(-24 * time.Hour) }
	},
	"callback/no_address": func(p *place) { p.swap("callback_url", "# callback_url") },

	"subscription/account_not_subscribed": func(p *place) {
		off := false
		if err := p.meta.SetAccount(sandbox.AccountChange{Subscribed: &off}); err != nil {
			p.t.Fatal(err)
		}
	},
	"subscription/unreadable":          func(p *place) { p.app(sandbox.AppChange{Scopes: list("whatsapp_business_messaging")}) },
	"subscription/app_secret":          func(p *place) { p.write("app-secret", "another", 0o600) },
	"subscription/no_callback_address": func(p *place) { p.app(sandbox.AppChange{CallbackURL: word("")}) },
	"subscription/other_address":       func(p *place) { p.app(sandbox.AppChange{CallbackURL: word("https://other.example/hook")}) },
	"subscription/messages_missing":    func(p *place) { p.app(sandbox.AppChange{Fields: list("account_update")}) },
	"subscription/fields_missing":      func(p *place) { p.app(sandbox.AppChange{Fields: list("messages", "account_update")}) },

	"templates/unreadable": func(p *place) { p.app(sandbox.AppChange{Scopes: list("whatsapp_business_messaging")}) },
	"templates/unfit": func(p *place) {
		p.write("campaigns.d/natal.toml", strings.Replace(natal, "oferta_natal", "oferta_pascoa", 1), 0o600)
	},
	"templates/waits":             func(p *place) { p.template("oferta_natal", "PAUSED") },
	"templates/no_code_template":  func(p *place) { p.swap(`template = "codigo_acesso"`, `template = "codigo_novo"`) },
	"templates/bad_code_template": func(p *place) { p.template("codigo_acesso", "PENDING") },

	"guards/restored": func(p *place) {
		p.hold(outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: guard.ReasonRestored, Actor: "janela"})
	},
	"guards/clock": func(p *place) {
		p.hold(outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: guard.ReasonClockJump, Actor: "janela", Detail: "the clock jumped forward by 1h0m0s"})
	},
	"guards/clock_behind": func(p *place) {
		p.alter("INSERT INTO settings (name, value) VALUES ('clock', '4000000000000') ON CONFLICT (name) DO UPDATE SET value = excluded.value")
	},
	"guards/hold": func(p *place) {
		p.hold(outbox.Hold{Scope: outbox.ScopeNumber, Target: numberID, Reason: "operator", Actor: "ana", Detail: "a look at the figures first"})
	},
}

func (p *place) chmod(name string, mode os.FileMode) {
	if err := os.Chmod(p.path(name), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) lies(name, doubt string) {
	p.world.FileSystem = func(string) (guard.FileSystem, error) { return guard.FileSystem{Name: name, Doubt: doubt}, nil }
}

// spoil puts something else in the place of the database.
func (p *place) spoil(text string) {
	p.unlock, p.silent = true, true
	if err := p.db.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.write("db/janela.db", text, 0o600)
}

// alter runs a statement on the closed database.
func (p *place) alter(statement string) {
	p.unlock, p.silent = true, true
	if err := p.db.Close(); err != nil {
		p.t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", p.path("db/janela.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = db.Exec(statement)
	if err := errors.Join(err, db.Close()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) listener() string {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = lis.Close() })
	return lis.Addr().String()
}

// closedPort is where nobody listens: the port is ours, and closed.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}

func (p *place) expires(in time.Duration) {
	p.app(sandbox.AppChange{ExpiresAt: word(time.Now().Add(in).UTC().Format(time.RFC3339))})
}

func (p *place) number(n sandbox.Number) {
	n.ID = numberID
	if err := p.meta.SetNumber(n); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) template(name, status string) {
	if err := p.meta.SetTemplate(sandbox.TemplateChange{Name: name, Language: "pt_BR", Status: status}); err != nil {
		p.t.Fatal(err)
	}
}

// rewrite changes Meta's answers on their way.
func (p *place) rewrite(pairs ...string) {
	r := strings.NewReplacer(pairs...)
	inner := p.graph.Config.Handler
	p.graph.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		held := &heldAnswer{header: http.Header{}}
		inner.ServeHTTP(held, q)
		for name, values := range held.header {
			if name != "Content-Length" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(max(held.status, http.StatusOK))
		_, _ = w.Write([]byte(r.Replace(string(held.body))))
	})
}

type heldAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (h *heldAnswer) Header() http.Header { return h.header }
func (h *heldAnswer) WriteHeader(s int)   { h.status = s }
func (h *heldAnswer) Write(b []byte) (int, error) {
	h.body = append(h.body, b...)
	return len(b), nil
}

// Every broken state is found, by its own check, with its fix; and no fault is
// without one.
func TestBroken(t *testing.T) {
	for _, f := range faults {
		code := f.check + "/" + f.name
		breaks, known := broken[code]
		if !known {
			t.Errorf("nothing shows %s: say in broken how it comes about", code)
			continue
		}
		if breaks == nil {
			continue
		}
		t.Run(code, func(t *testing.T) {
			p := newPlace(t)
			breaks(p)
			expect(t, p.run(t.Context()), code, f.level)
		})
	}
	if len(broken) != len(faults) {
		t.Errorf("%d faults are broken, and there are %d", len(broken), len(faults))
	}
}

// expect finds a finding, and nothing left to fill in.
func expect(t *testing.T, r Report, code string, level Level) {
	t.Helper()
	check, _, _ := strings.Cut(code, "/")
	for _, c := range r.Results {
		for _, f := range c.Findings {
			if strings.ContainsAny(f.Text+f.Fix, "{}") || f.Text == "" || f.Fix == "" {
				t.Errorf("%s is not filled in: %s\n  %s", f.Code, f.Text, f.Fix)
			}
			for _, hidden := range []string{token, secret, verify} {
				if strings.Contains(f.Text+f.Fix, hidden) {
					t.Errorf("%s shows a secret: %s", f.Code, f.Text)
				}
			}
		}
		if c.Check != check {
			continue
		}
		if !slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Code == code && f.Level == level }) {
			t.Errorf("%s was not found: %s %s %+v", code, c.Level, c.Text, c.Findings)
		}
		if c.Level != level && level == FAIL {
			t.Errorf("%s: the check is %s", code, c.Level)
		}
	}
	if level == FAIL && r.Fail == 0 {
		t.Error("nothing failed")
	}
}

// What is damaged is named as such.
func TestDamaged(t *testing.T) {
	p := newPlace(t)
	for i := range 200 {
		err := p.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCampaign, Target: fmt.Sprint("c", i), Reason: "operator", Actor: "ana", Detail: strings.Repeat("x", 3000)})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.unlock, p.silent = true, true
	if err := p.db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(p.path("db/janela.db"))
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)/2+100*4096 && i < len(data); i++ {
		data[i] = 0xA5
	}
	p.write("db/janela.db", string(data), 0o600)
	expect(t, p.run(t.Context()), "database/damaged", FAIL)
}

// Who stops it gets what was found until then.
func TestInterrupted(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := p.run(ctx)
	if r.Skip != len(checks) {
		t.Errorf("%+v", r)
	}
}

// Offline nothing is asked of Meta, and what is known all the same is said.
func TestOffline(t *testing.T) {
	p := newPlace(t)
	p.world.Offline = true
	p.swap(p.graph.URL, "http://"+closedPort(t))
	p.swap("[[whatsapp.accounts]]", "graph_version = \"v20.0\"\n[[whatsapp.accounts]]")
	p.world.Now = func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }
	r := p.run(t.Context())
	expect(t, r, "graph/expired", FAIL)
	for _, c := range r.Results {
		if slices.Contains([]string{"clock", "token", "scopes", "expiry", "accounts", "numbers", "subscription", "templates"}, c.Check) && c.Level != SKIP {
			t.Errorf("%s was looked at offline: %+v", c.Check, c)
		}
	}
}
