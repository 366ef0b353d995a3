package daemon

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/access"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

const codePurposes = `
[otp.purposes.login]
template = "codigo_acesso"
languages = ["pt_BR"]
[otp.purposes.recovery]
template = "codigo_seguro"
languages = ["pt_BR"]
digits = 8
`

// counter is a daemon that sends codes, with the sandbox in it, in fake time.
type counter struct {
	t      *testing.T
	d      *Daemon
	dir    string
	key    string
	client *http.Client
	log    bytes.Buffer
	told   []string // every answer
	stop   func()
}

// withCodes runs f against a running daemon.
func withCodes(t *testing.T, config string, f func(c *counter)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "campaigns.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(file(t, dir, "config.toml", small+"[sandbox]\nquiet = true\n"+config, 0o600), nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began))
		net := &wires{at: map[string]*wire{}}
		c := &counter{t: t, dir: dir, client: &http.Client{Transport: &http.Transport{DialContext: net.dial, DisableKeepAlives: true}}}
		ctx, cancel := context.WithCancel(context.Background())
		var err error
		c.d, err = New(ctx, Options{Config: cfg, Space: roomy, Log: slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Listen: net.listen, Dial: net.dial})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := c.d.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		c.stop = sync.OnceFunc(func() {
			cancel()
			running.Wait()
			if err := c.d.Close(); err != nil {
				t.Error(err)
			}
			for _, one := range c.d.clients.Load().byAccount {
				one.Close()
			}
			for _, one := range c.d.clients.Load().codes {
				one.Close()
			}
		})
		defer synctest.Wait()
		defer c.stop()
		time.Sleep(time.Second)
		err = c.d.DB().Write(ctx, func(tx *store.Tx) (err error) {
			c.key, _, err = access.NewKey(tx, access.KeyRequest{Client: "app", Scopes: []string{access.ScopeOTPSend, access.ScopeOTPVerify, access.ScopeOTPRead}, Actor: "test"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f(c)
	})
}

// challengeReply is what the test reads of an answer.
type challengeReply struct {
	ID, Code, To, Reason string
	Status               any // of a problem the number
	Delivery             struct {
		State string
		Error struct{ Reason string }
	}
}

// ask calls the API as a system of the business does.
func (c *counter) ask(method, path, body, repeat string) (int, challengeReply, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://127.0.0.1:8790"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", repeat)
	if repeat == "" {
		req.Header.Del("Idempotency-Key")
	}
	if method == http.MethodGet {
		req.Header.Set("Prefer", "wait=30")
	}
	var got challengeReply
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, got, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	c.told = append(c.told, string(text))
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	return resp.StatusCode, got, err
}

// request asks for a code and returns the challenge.
func (c *counter) request(to, purpose, repeat string) string {
	c.t.Helper()
	status, got, err := c.ask("POST", "/v1/otp", `{"to":"`+to+`","purpose":"`+purpose+`","client_ip":"203.0.113.7","consent":{"source":"login_form"}}`, repeat)
	if err != nil || status != http.StatusAccepted {
		c.t.Fatalf("%d %+v %v\n%s", status, got, err, c.log.String())
	}
	return got.ID
}

var digits = regexp.MustCompile(`\*([0-9]{6,8})\*`)

// code reads the latest code on a phone.
func (c *counter) code(phone string) string {
	c.t.Helper()
	list := c.d.Sandbox().Phone(phone, 1)
	if len(list) == 0 || digits.FindStringSubmatch(list[0].Text) == nil {
		c.t.Fatalf("the phone shows %+v", list)
	}
	return digits.FindStringSubmatch(list[0].Text)[1]
}

func (c *counter) verify(id, code string) (int, challengeReply) {
	c.t.Helper()
	status, got, err := c.ask("POST", "/v1/otp/"+id+"/verify", `{"code":"`+code+`","client_ip":"203.0.113.7"}`, "")
	if err != nil {
		c.t.Fatal(err)
	}
	return status, got
}

// metrics holds /metrics to lines.
func (c *counter) metrics(lines ...string) {
	c.t.Helper()
	text := get(c.d.public(), "GET", "/metrics").Body.String()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			c.t.Errorf("/metrics lacks %s", line)
		}
	}
	for line := range strings.Lines(text) { // the others come from Go itself, and are full of digits
		if strings.Contains(line, "janela") {
			c.told = append(c.told, line)
		}
	}
}

// holds looks for a secret. A code has so few digits that they are in every hash:
// it is looked for where it stands alone, or as in the template's address.
func holds(text []byte, secret string) bool {
	if len(secret) > 8 {
		return bytes.Contains(text, []byte(secret))
	}
	return regexp.MustCompile(`(^|[^0-9A-Za-z.]|otp)` + secret + `($|[^0-9A-Za-z])`).Match(text)
}

// wrong is a code of as many digits that is not this one.
func wrong(code string) string {
	return string('0'+(code[0]-'0'+1)%10) + code[1:]
}

// A code from the request to the success, and where it must not be: the number
// is in the database and in the success only, the code and the keys nowhere.
func TestCodesFromEndToEnd(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		keys := filepath.Join(c.dir, "var", "otp.key")
		if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("the key file: %v %v", info, err)
		}
		c.metrics("janela_otp_live 0", "janela_otp_budget_remaining 1000", "janela_otp_reported_total 0", "janela_alerts 0")
		id := c.request(ana, "login", "first")
		time.Sleep(10 * time.Second)
		if status, got, err := c.ask("GET", "/v1/otp/"+id, "", ""); status != 200 || got.Delivery.State != "read" || err != nil {
			t.Errorf("it is %d %+v %v", status, got, err)
		}
		code := c.code(ana)
		c.metrics("janela_otp_live 1", "janela_otp_budget_remaining 999", `janela_otp_requests_total{country="BR",purpose="login",result="accepted"} 1`,
			`janela_otp_sends_total{channel="whatsapp",outcome="delivered"} 1`, `janela_otp_stage_seconds_count{stage="accepted_delivered"} 1`,
			`janela_otp_stage_seconds_count{stage="queued_accepted"} 1`)
		if strings.Contains(get(c.d.public(), "GET", "/metrics").Body.String(), `outcome="sending"`) {
			t.Error("a message on its way has an outcome")
		}
		if status, got := c.verify(id, wrong(code)); status != http.StatusUnprocessableEntity || got.Code != "invalid-code" {
			t.Errorf("a wrong code: %d %+v", status, got)
		}
		if status, got := c.verify(id, code); status != 200 || got.To != ana || got.Status != "verified" {
			t.Errorf("the right code: %d %+v", status, got)
		}
		if status, got := c.verify(id, code); status != http.StatusGone || got.Reason != "verified" {
			t.Errorf("once more: %d %+v", status, got)
		}
		c.metrics("janela_otp_live 0", `janela_otp_verify_total{result="right"} 1`, `janela_otp_verify_total{result="wrong"} 1`, `janela_otp_verify_total{result="verified"} 1`,
			`janela_otp_stage_seconds_count{stage="delivered_verified"} 1`)

		// Eight digits, in another purpose, and one more than may be.
		second := c.request(bia, "recovery", "second")
		time.Sleep(10 * time.Second)
		long := c.code(bia)
		want(t, "digits for recovery", len(long), 8)
		if status, got := c.verify(second, long); status != 200 || got.To != bia {
			t.Errorf("recovery: %d %+v", status, got)
		}
		if status, got, err := c.ask("POST", "/v1/otp", `{"to":"+5511900000003","purpose":"payday","client_ip":"203.0.113.7"}`, "third"); status != http.StatusForbidden || err != nil {
			t.Errorf("no such purpose: %d %+v %v", status, got, err)
		}
		if status, got, err := c.ask("POST", "/v1/otp", `{"to":"+12025550123","purpose":"login","client_ip":"203.0.113.7"}`, "fourth"); status != http.StatusForbidden || err != nil {
			t.Errorf("no such country: %d %+v %v", status, got, err)
		}
		if status, got, err := c.ask("POST", "/v1/otp", `{"to":"+5511900000003","purpose":"login","client_ip":"203.0.113.7"}`, "fifth"); status != http.StatusForbidden || got.Code != "no-opt-in" || err != nil {
			t.Errorf("no consent: %d %+v %v", status, got, err)
		}
		for i := range 2 {
			_, _, _ = c.ask("POST", "/v1/otp", `{"to":"`+ana+`","purpose":"login","client_ip":"203.0.113.7"}`, "again"+string('0'+rune(i)))
		}
		c.metrics(`janela_otp_requests_total{country="other",purpose="login",result="country-not-allowed"} 1`, `janela_otp_requests_total{country="other",purpose="other",result="purpose-not-allowed"} 1`,
			`janela_otp_requests_total{country="BR",purpose="login",result="no-opt-in"} 1`, `janela_otp_limited_total{rule="cooldown"} 1`)

		var numbers, secrets []string
		secrets = append(secrets, code, long, wrong(code), c.key[len(c.key)-43:])
		material, err := os.ReadFile(keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, hexadecimal := range regexp.MustCompile(`[0-9a-f]{64}`).FindAllString(string(material), -1) {
			raw, err := hex.DecodeString(hexadecimal)
			if err != nil {
				t.Fatal(err)
			}
			secrets = append(secrets, hexadecimal, string(raw))
		}
		want(t, "secrets looked for", len(secrets), 8)
		for _, phone := range []string{ana, bia, "+5511900000003", "+12025550123"} {
			numbers = append(numbers, strings.TrimPrefix(phone, "+"))
		}
		for i, text := range append(c.told, c.log.String()) {
			for _, secret := range secrets {
				if holds([]byte(text), secret) {
					t.Errorf("answer %d, metrics or log hold a secret:\n%s", i, text)
				}
			}
			if strings.Contains(text, `"status":"verified","to":`) || strings.Contains(text, `"status":"verified"`) && strings.Contains(text, `"amr"`) {
				continue // the success names the number
			}
			for _, number := range numbers {
				if strings.Contains(text, number) {
					t.Errorf("answer %d, metrics or log hold a number:\n%s", i, text)
				}
			}
		}
		scan := func() {
			files := 0
			err := filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() || path == keys || e.Type()&fs.ModeSocket != 0 {
					return err
				}
				files++
				data, err := os.ReadFile(path)
				for _, secret := range secrets {
					if holds(data, secret) {
						t.Errorf("%s holds a secret", path)
					}
				}
				return err
			})
			if err != nil || files < 2 {
				t.Errorf("%d files: %v", files, err)
			}
		}
		scan()
		c.stop()
		scan()
	})
}

// Meta's side of a code: the number passes to another phone, the person did not
// ask, the number is not on WhatsApp.
func TestWhatMetaSaysOfCodes(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		box := c.d.Sandbox()
		if err := box.SetIdentityCheck(loja, true); err != nil {
			t.Fatal(err)
		}
		first := c.request(ana, "login", "1")
		time.Sleep(10 * time.Second)
		if status, got := c.verify(first, c.code(ana)); status != 200 {
			t.Fatalf("%d %+v", status, got)
		}
		if _, err := box.ChangePerson(sandbox.PersonChange{From: ana, NewIdentity: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		second := c.request(ana, "login", "2")
		time.Sleep(10 * time.Second)
		if status, got, err := c.ask("GET", "/v1/otp/"+second, "", ""); status != 200 || got.Status != "failed" || got.Delivery.Error.Reason != "identity_changed" || err != nil {
			t.Errorf("after a new phone: %d %+v %v", status, got, err)
		}
		c.metrics("janela_otp_identity_changed_total 1", `janela_otp_sends_total{channel="whatsapp",outcome="failed"} 1`)

		third := c.request(bia, "login", "3")
		time.Sleep(10 * time.Second)
		code := c.code(bia)
		if _, err := box.NotRequested(sandbox.NotRequested{From: ana, Of: bia}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		c.metrics("janela_otp_reported_total 0")
		if _, err := box.NotRequested(sandbox.NotRequested{From: bia}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if status, got := c.verify(third, code); status != http.StatusGone || got.Reason != "reported" {
			t.Errorf("after the report: %d %+v", status, got)
		}
		c.metrics("janela_otp_reported_total 1", `janela_otp_verify_total{result="reported"} 1`)

		carla := "+5511900000003"
		no := false
		if _, err := box.ChangePerson(sandbox.PersonChange{From: carla, OnWhatsApp: &no}); err != nil {
			t.Fatal(err)
		}
		fourth := c.request(carla, "login", "4")
		time.Sleep(10 * time.Second)
		if status, got, err := c.ask("GET", "/v1/otp/"+fourth, "", ""); status != 200 || got.Delivery.State != "failed" || got.Delivery.Error.Reason != "not_on_whatsapp" || err != nil {
			t.Errorf("not on WhatsApp: %d %+v %v", status, got, err)
		}
	})
}

// A purpose whose template is not usable is an alert, and 503 before anything is
// accepted.
func TestCodesWithoutTemplate(t *testing.T) {
	const two = `
[otp.purposes.login]
template = "codigo_acesso"
languages = ["pt_BR", "fr"]
[otp.purposes.signup]
template = "oferta_natal"
android_template = "codigo_nenhum"
languages = ["pt_BR"]
`
	withCodes(t, two, func(c *counter) {
		alerts := func() []string { return c.d.health(context.Background()).Alerts }
		always := []string{"codes for login cannot be sent with template codigo_acesso in fr: Meta does not list it",
			"codes for signup cannot be sent with template oferta_natal in pt_BR: its category is marketing",
			"codes for signup cannot be sent with template codigo_nenhum in pt_BR: Meta does not list it"}
		want(t, "alerts", alerts(), always)
		c.metrics("janela_alerts 3")
		if err := c.d.Sandbox().SetTemplate(sandbox.TemplateChange{Name: "codigo_acesso", Language: "pt_BR", Status: "PAUSED"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		want(t, "alerts", alerts(), append([]string{"codes for login cannot be sent with template codigo_acesso in pt_BR: it is PAUSED"}, always...))
		status, got, err := c.ask("POST", "/v1/otp", `{"to":"`+ana+`","purpose":"login","client_ip":"203.0.113.7","consent":{"source":"login_form"}}`, "1")
		if status != http.StatusServiceUnavailable || got.Code != "channel-unavailable" || err != nil {
			t.Errorf("%d %+v %v", status, got, err)
		}
		if err := c.d.Sandbox().SetTemplate(sandbox.TemplateChange{Name: "codigo_acesso", Language: "pt_BR", Status: "APPROVED"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		want(t, "alerts", alerts(), always)
		if n := c.d.Sandbox().Count(); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}

// A stop answers who waits for news at once, and expired challenges are swept
// while the daemon runs.
func TestStopAnswersWhoWaits(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		id := c.request(ana, "login", "1")
		time.Sleep(10 * time.Second)
		var waiting sync.WaitGroup
		began := time.Now()
		waiting.Go(func() {
			status, got, err := c.ask("GET", "/v1/otp/"+id, "", "")
			if status != 200 || got.Status != "pending" || err != nil {
				t.Errorf("%d %+v %v", status, got, err)
			}
		})
		time.Sleep(time.Second)
		c.stop()
		waiting.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestCodesExpireByThemselves(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		c.request(ana, "login", "1")
		time.Sleep(11 * time.Minute)
		seeds := store.SQL(`SELECT COUNT(*) FROM challenges WHERE state = 'pending' OR seed <> ''`)
		var left int
		err := c.d.DB().Read(context.Background(), func(q *store.Snap) (err error) {
			left, _, err = store.Value[int](q, seeds)
			return err
		})
		if err != nil || left != 0 {
			t.Errorf("%d challenges are open or have a seed: %v", left, err)
		}
	})
}

// Without a purpose there is no key file, no loop, and nobody answers.
func TestNoCodes(t *testing.T) {
	d := embedded(t)
	if d.otp != nil {
		t.Error("there is a room of codes")
	}
	if w := get(d.public(), "POST", "/v1/otp"); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if _, err := os.Stat(d.cfg.file(d.cfg.OTP.KeyFile)); !os.IsNotExist(err) {
		t.Errorf("the key file: %v", err)
	}
	if w := get(d.public(), "GET", "/metrics"); strings.Contains(w.Body.String(), "janela_otp_live") {
		t.Error("/metrics counts codes")
	}
}

// A key file that others can read keeps the daemon from starting.
func TestBadKeyFile(t *testing.T) {
	dir := t.TempDir()
	file(t, dir, "otp.key", "index "+strings.Repeat("00", 32)+"\n", 0o644)
	cfg, err := Load(file(t, dir, "config.toml", small+"[otp]\nkey_file = \"otp.key\"\n"+codePurposes, 0o600), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := New(t.Context(), Options{Config: cfg, Space: roomy}); err == nil || !strings.Contains(err.Error(), "otp.key") {
		t.Errorf("it started: %v", err)
		_ = d.Close()
	}
}

// The shipped configuration finds all its templates at the sandbox.
func TestShippedCodesHaveTheirTemplates(t *testing.T) {
	cfg, err := Load(shipped, nil)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, one := range sandbox.DefaultTemplates(waba) {
		if one.Status == "APPROVED" && one.Category == "AUTHENTICATION" {
			have[one.Name+"/"+one.Language] = true
		}
	}
	for name, p := range cfg.OTP.Purposes {
		for _, language := range p.Languages {
			for _, template := range []string{p.Template, p.AndroidTemplate} {
				if template != "" && !have[template+"/"+language] {
					t.Errorf("%s: there is no %s in %s", name, template, language)
				}
			}
		}
	}
}

// What is no code's is not counted as one.
func TestOtherMessagesAreNoCodes(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		err := c.d.DB().Write(context.Background(), func(tx *store.Tx) error {
			c.d.metrics.codeOutcomes(tx, []outbox.Outcome{
				{Category: whatsapp.Authentication, Campaign: "natal", From: outbox.Sent, To: outbox.Delivered},
				{Category: whatsapp.Utility, From: outbox.Sent, To: outbox.Delivered},
				{Category: whatsapp.Authentication, From: outbox.Sent, To: outbox.Sent},
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if text := get(c.d.public(), "GET", "/metrics").Body.String(); strings.Contains(text, "janela_otp_sends_total{") {
			t.Error("something was counted")
		}
	})
}

// The answers that repeats would get go when their time is over.
func TestRepliesAreSwept(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		rows := func() (n int) {
			err := c.d.DB().Read(context.Background(), func(q *store.Snap) (err error) { n, _, err = store.Value[int](q, countReplies); return err })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		c.request(ana, "login", "first") // kept for a day
		err := c.d.DB().Write(context.Background(), func(tx *store.Tx) error {
			return access.Keep(tx, access.Repeat{Client: "app", Route: "verify", Key: "k", Request: "r"}, access.Reply{Status: 200}, time.Minute)
		})
		if err != nil || rows() != 2 {
			t.Fatalf("%v; there are %d", err, rows())
		}
		time.Sleep(time.Minute + 11*time.Second)
		synctest.Wait()
		if rows() != 1 {
			t.Errorf("after their minute there are %d", rows())
		}
	})
}

var countReplies = store.SQL(`SELECT COUNT(*) FROM idempotent_replies`)
