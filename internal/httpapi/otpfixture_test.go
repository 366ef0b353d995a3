package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

var putTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, hash, missing, seen_at, changed_at)
	VALUES (?1, ?2, ?3, 'authentication', 'APPROVED', 'the hash', 0, 0, 0)`)

// desk is the public face over a real database, as clients reach it by TCP.
type desk struct {
	t      testing.TB
	db     *store.DB
	otp    *otp.OTP
	server *Server
	url    string
	keys   map[string]string // plain API keys by client
	log    lockedBuffer

	mu     sync.Mutex
	now    time.Time
	phones int
	told   [][]byte // every answer, with its headers
}

// lockedBuffer is a log that several requests write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// unlimited are limits that stand in no test's way; guesses have theirs.
func unlimited() otp.Limits {
	l := otp.DefaultLimits()
	l.Cooldown, l.Phone10m, l.PhoneHour, l.PhoneDay, l.Unverified = -1, -1, -1, -1, -1
	l.IP10m, l.IPHour, l.IPDay, l.IPPhones, l.IPCountries = -1, -1, -1, -1, -1
	l.PrefixUnverified, l.CountryDay, l.CountryHour = -1, -1, -1
	l.ClientPerSecond, l.PerSecond, l.VerifyIPMinute, l.Live = -1, -1, -1, -1
	return l
}

// newDesk opens a desk; its limits are those of limits, wall its clock (nil: one
// that stands still).
func newDesk(t testing.TB, limits otp.Limits, wall func() time.Time) *desk {
	d := &desk{t: t, now: began, keys: map[string]string{}}
	if wall == nil {
		wall = d.wall
	}
	dir := t.TempDir()
	var err error
	if d.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "janela.db"), Wall: wall}); err != nil {
		t.Fatal(err)
	}
	ring, err := otp.OpenKeyring(filepath.Join(dir, "otp.key"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	purpose := otp.Purpose{Template: "codigo", Languages: []string{"pt_BR"}, Digits: 6, TTL: 10 * time.Minute}
	recovery := purpose
	recovery.StepUpRequired = true
	d.otp, err = otp.New(otp.Config{Number: "loja", Countries: []string{"BR"}, MaxSends: 1_000_000, Limits: limits, AllowUnsafe: true, MuteFor: time.Hour,
		Purposes: map[string]otp.Purpose{"login": purpose, "signup": purpose, "recovery": recovery}, Fallback: otp.Fallback{Mode: "off"}},
		otp.Deps{DB: d.db, Keys: ring, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d.server = New(Config{DB: d.db, OTP: d.otp, Log: log, Account: account.NewSyncer(account.Config{DB: d.db, Log: log}),
		Campaigns: campaigns.New(campaigns.Config{DB: d.db, Folder: dir, Spool: dir, Log: log})})
	d.write(func(tx *store.Tx) error {
		if err := account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba}}); err != nil {
			return err
		}
		_, err := tx.Exec(putTemplate, waba, "codigo", "pt_BR")
		return err
	})
	for _, client := range []string{"app", "shop"} {
		d.keys[client] = d.key(access.KeyRequest{Client: client, Scopes: access.Scopes})
	}
	return d
}

// open serves the face over TCP, and closes all of it at the end.
func (d *desk) open() *desk {
	d.url = d.serve(d.server)
	d.t.Cleanup(func() {
		if err := d.db.Close(); err != nil {
			d.t.Error(err)
		}
	})
	return d
}

// serve puts a server of the same database on a port of its own.
func (d *desk) serve(s *Server) string {
	srv := httptest.NewUnstartedServer(s.Public())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&d.log, nil), slog.LevelError)
	srv.Config.RegisterOnShutdown(s.EndWaits)
	srv.Start()
	d.t.Cleanup(srv.Close)
	return srv.URL
}

func (d *desk) wall() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func (d *desk) write(fn func(*store.Tx) error) {
	d.t.Helper()
	if err := d.db.Write(d.t.Context(), fn); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) key(r access.KeyRequest) (plain string) {
	d.t.Helper()
	d.write(func(tx *store.Tx) (err error) {
		plain, _, err = access.NewKey(tx, r)
		return err
	})
	return plain
}

// phone is a number that no test used before.
func (d *desk) phone() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phones++
	return fmt.Sprintf("+55119000%05d", d.phones)
}

// told is an answer as it came.
type told struct {
	status int
	header http.Header
	body   []byte
}

// ask makes a request; header is name, value, name, value.
func (d *desk) ask(method, path, client, body string, header ...string) told {
	d.t.Helper()
	a, err := d.try(http.DefaultClient, d.url, method, path, d.keys[client], body, header...)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *desk) try(c *http.Client, url, method, path, key, body string, header ...string) (told, error) {
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return told{}, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return told{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := told{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	d.remember(a)
	asDescribed(d.t, method, path, req.Header, body, a)
	return a, nil
}

// remember keeps an answer for those who look for what it must not say.
func (d *desk) remember(a told) {
	var b bytes.Buffer
	_ = a.header.Write(&b)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, append(b.Bytes(), a.body...))
}

// wantCode checks that an answer is the Problem of a code, and returns it.
func (a told) wantCode(t testing.TB, status int, code string) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if a.status != status || p.Status != status || p.Code != code || p.Type != "/problems/"+code || p.Title == "" || p.Instance == "" ||
		p.Instance != a.header.Get("X-Request-Id") || a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %s %v, want %d %s", a.status, a.body, a.header, status, code)
	}
	return p
}

// want decodes a success.
func (a told) want(t testing.TB, status int) (r codeReply) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s %v, want %d", a.status, a.body, a.header, status)
	}
	if err := json.Unmarshal(a.body, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// requestFor is the body of a request for a code, of a person who agrees.
func requestFor(to string) string {
	return fmt.Sprintf(`{"to":%q,"purpose":"login","client_ip":"203.0.113.7","consent":{"source":"login_form"}}`, to)
}

var serial struct {
	sync.Mutex
	n int
}

// unique is an Idempotency-Key that nobody used.
func unique() string {
	serial.Lock()
	defer serial.Unlock()
	serial.n++
	return fmt.Sprintf("key-%d", serial.n)
}

// issue asks for a code and returns its challenge.
func (d *desk) issue(to string) string {
	d.t.Helper()
	return d.ask("POST", "/v1/otp", "app", requestFor(to), "Idempotency-Key", unique()).want(d.t, 202).ID
}

var (
	messageOf  = store.SQL(`SELECT message_id FROM challenges WHERE id = ?1`)
	codeDigits = regexp.MustCompile(`"text":"([0-9]{6,8})"`)
)

// code is what the phone shows: taken from what would go to Meta.
func (d *desk) code(id string) string {
	d.t.Helper()
	var m outbox.Message
	err := d.db.Read(d.t.Context(), func(q *store.Snap) error {
		n, ok, err := store.Value[int64](q, messageOf, id)
		if err != nil || !ok {
			return fmt.Errorf("challenge %s: %v, %w", id, ok, err)
		}
		m, _, err = outbox.ByID(q, n)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	params, _, err := d.otp.Reveal(d.t.Context(), m)
	if err != nil {
		d.t.Fatal(err)
	}
	found := codeDigits.FindStringSubmatch(params)
	if found == nil {
		d.t.Fatal("the message carries no code")
	}
	return found[1]
}

// other is a code of as many digits that is not this one.
func other(code string, n int) string {
	b := []byte(code)
	for i := range b {
		b[i] = '0' + (b[i]-'0'+byte(1+n%9))%10
		n /= 9
	}
	return string(b)
}

func guess(code string) string { return fmt.Sprintf(`{"code":%q,"client_ip":"203.0.113.7"}`, code) }

// agreed records that people agreed to codes long ago.
func (d *desk) agreed(to ...string) {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		for _, p := range to {
			_, err := optin.Record(tx, optin.Grant{Identity: whatsapp.Phone(p).Identity(), Category: whatsapp.Authentication, Source: optin.SourceOperator,
				Actor: "test", At: tx.Now().Add(-time.Hour)})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// claim takes what may leave, as dispatch does.
func (d *desk) claim() {
	d.t.Helper()
	d.write(func(tx *store.Tx) error {
		open, _, err := gate.Opens(tx, whatsapp.LaneAuthentication)
		for _, o := range open {
			if err == nil {
				_, _, err = gate.Claim(tx, o, 1000)
			}
		}
		return err
	})
}
