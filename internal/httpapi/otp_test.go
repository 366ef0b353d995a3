package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// One login, from the request to the right code, field by field.
func TestOneLogin(t *testing.T) {
	d := newDesk(t, otp.DefaultLimits(), nil).open()
	body := `{"to":"` + ana + `","purpose":"login","locale":"pt_BR","client_ip":"203.0.113.7","binding":"session","device":"android",
		"consent":{"source":"login_form","text":"Quero","at":"2026-11-23T08:00:00-03:00"},"metadata":{"request":"7f3a"}}`
	a := d.ask("POST", "/v1/otp", "app", body, "Idempotency-Key", unique())
	r := a.want(t, 202)
	if a.header.Get("Location") != "/v1/otp/"+r.ID || !regexp.MustCompile(`^otp_[a-z2-7]{26}$`).MatchString(r.ID) {
		t.Errorf("Location %q, id %q", a.header.Get("Location"), r.ID)
	}
	want := `{"id":"` + r.ID + `","status":"pending","purpose":"login","to_masked":"` + r.ToMasked + `","channel":"whatsapp","delivery":{"state":"queued"},` +
		`"expires_at":"2026-11-23T12:10:00.000Z","resend_after":"2026-11-23T12:00:30.000Z","resends_left":3}` + "\n"
	if diff := cmp.Diff(want, string(a.body)); diff != "" {
		t.Errorf("202 (-want +got):\n%s", diff)
	}
	if strings.Contains(r.ToMasked, ana[4:12]) || !strings.HasPrefix(r.ToMasked, ana[:3]) {
		t.Errorf("masked as %q", r.ToMasked)
	}

	a = d.ask("GET", "/v1/otp/"+r.ID, "app", "")
	a.want(t, 200)
	want = `{"id":"` + r.ID + `","status":"pending","purpose":"login","to_masked":"` + r.ToMasked + `","channel":"whatsapp","delivery":{"state":"queued","channel":"whatsapp","at":{"queued":"2026-11-23T12:00:00.000Z"}},` +
		`"created_at":"2026-11-23T12:00:00.000Z","expires_at":"2026-11-23T12:10:00.000Z","resend_after":"2026-11-23T12:00:30.000Z","resends_left":3,"attempts_left":5,"metadata":{"request":"7f3a"}}` + "\n"
	if diff := cmp.Diff(want, string(a.body)); diff != "" {
		t.Errorf("GET (-want +got):\n%s", diff)
	}

	code := d.code(r.ID)
	d.advance(20 * time.Second)
	p := d.ask("POST", "/v1/otp/"+r.ID+"/verify", "app", `{"code":"`+other(code, 1)+`","binding":"session"}`).wantCode(t, 422, "invalid-code")
	if p.AttemptsLeft == nil || *p.AttemptsLeft != 4 {
		t.Errorf("attempts left: %v", p.AttemptsLeft)
	}
	a = d.ask("POST", "/v1/otp/"+r.ID+"/verify", "app", `{"code":" `+code[:3]+"-"+code[3:]+`","binding":"session"}`)
	a.want(t, 200)
	want = `{"id":"` + r.ID + `","status":"verified","to":"` + ana + `","purpose":"login","verified_at":"2026-11-23T12:00:20.000Z","identity_changed":false,"amr":["otp","whatsapp"]}` + "\n"
	if diff := cmp.Diff(want, string(a.body)); diff != "" {
		t.Errorf("verify (-want +got):\n%s", diff)
	}
	got := d.ask("GET", "/v1/otp/"+r.ID, "app", "").want(t, 200)
	if got.Status != "verified" || got.VerifiedAt != "2026-11-23T12:00:20.000Z" || *got.AttemptsLeft != 3 {
		t.Errorf("afterwards: %+v", got)
	}
}

// Every row of the table of statuses.
func TestEveryAnswer(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	d.keys["narrow"] = d.key(access.KeyRequest{Client: "app", Scopes: access.Scopes, Purposes: []string{"signup"}, Countries: []string{"BR"}})
	d.keys["abroad"] = d.key(access.KeyRequest{Client: "app", Scopes: access.Scopes, Countries: []string{"US"}})
	request := func(to, purpose string) string {
		return fmt.Sprintf(`{"to":%q,"purpose":%q,"client_ip":"203.0.113.7","consent":{"source":"form"}}`, to, purpose)
	}
	send := func(client, body string) told {
		return d.ask("POST", "/v1/otp", client, body, "Idempotency-Key", unique())
	}
	verify := func(id, body string) told { return d.ask("POST", "/v1/otp/"+id+"/verify", "app", body) }

	t.Run("400", func(t *testing.T) {
		for _, to := range []string{"11900000001", "5511900000001", "+55 11 90000-0001", "+0551190000001", "+55119000000011111111", "US.1234567890", ana + "\n"} {
			send("app", request(to, "login")).wantCode(t, 400, "invalid-phone")
		}
		send("app", `{"to":"`+ana+`","purpose":"login","client_ip":"203.0.113.7:80"}`).wantCode(t, 400, "malformed")
		send("app", `{"to":"`+ana+`","purpose":"login","device":"fridge"}`).wantCode(t, 400, "malformed")
		send("app", `{"to":"`+ana+`","purpose":"login","binding":"`+strings.Repeat("x", 257)+`"}`).wantCode(t, 400, "malformed")
		d.ask("POST", "/v1/otp", "app", request(ana, "login")).wantCode(t, 400, "idempotency-key-missing")
		id := d.issue(d.phone())
		for _, code := range []string{"12345", "1234567", "12345x", "一二三四五六", "      "} {
			verify(id, guess(code)).wantCode(t, 400, "invalid-code-format")
		}
		if r := d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200); *r.AttemptsLeft != 5 {
			t.Errorf("what can be no code has cost a guess: %+v", r)
		}
	})
	t.Run("403", func(t *testing.T) {
		send("app", request(ana, "no_such")).wantCode(t, 403, "purpose-not-allowed")
		send("narrow", request(ana, "login")).wantCode(t, 403, "purpose-not-allowed")
		send("narrow", request(ana, "signup")).want(t, 202)
		send("abroad", request(ana, "login")).wantCode(t, 403, "country-not-allowed")            // the key's
		send("abroad", request("+12025550101", "login")).wantCode(t, 403, "country-not-allowed") // the configuration's
		if p := send("app", `{"to":"`+d.phone()+`","purpose":"login"}`).wantCode(t, 403, "no-opt-in"); p.Reason != "no_opt_in" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("404", func(t *testing.T) {
		verify("otp_aaaaaaaaaaaaaaaaaaaaaaaaaa", guess("123456")).wantCode(t, 404, "not-found")
		a := send("app", `{"to":"`+d.phone()+`","purpose":"login","binding":"mine","client_ip":"203.0.113.7","consent":{"source":"form"}}`).want(t, 202)
		verify(a.ID, `{"code":"`+d.code(a.ID)+`","binding":"theirs"}`).wantCode(t, 404, "not-found")
		verify(a.ID, `{"code":"`+d.code(a.ID)+`"}`).wantCode(t, 404, "not-found")
		verify(a.ID, `{"code":"`+d.code(a.ID)+`","binding":"mine"}`).want(t, 200)
	})
	t.Run("410", func(t *testing.T) {
		gone := func(id, reason string) {
			t.Helper()
			a := verify(id, guess("123456"))
			if p := a.wantCode(t, 410, "gone"); p.Reason != reason || p.RetryAfter != 0 || a.header.Get("Retry-After") != "" {
				t.Errorf("%s: %s %v", reason, a.body, a.header)
			}
			d.ask("POST", "/v1/otp/"+id+"/resend", "app", "", "Idempotency-Key", unique()).wantCode(t, 410, "gone")
			if r := d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200); r.TerminalReason != reason && reason != "verified" {
				t.Errorf("%s: GET says %+v", reason, r)
			}
		}
		id := d.issue(d.phone())
		verify(id, guess(d.code(id))).want(t, 200)
		gone(id, "verified")

		id = d.issue(d.phone())
		d.ask("POST", "/v1/otp/"+id+"/cancel", "app", "").want(t, 200)
		gone(id, "cancelled")

		id = d.issue(d.phone())
		code := d.code(id)
		for i := range 5 {
			p := verify(id, guess(other(code, i))).wantCode(t, 422, "invalid-code")
			if p.AttemptsLeft == nil || *p.AttemptsLeft != 4-i {
				t.Errorf("guess %d: attempts left %v", i, p.AttemptsLeft)
			}
		}
		verify(id, guess(code)).wantCode(t, 410, "gone") // the right one comes too late
		gone(id, "exhausted")

		to := d.phone()
		bound := func() string {
			return send("app", `{"to":"`+to+`","purpose":"login","binding":"s","client_ip":"203.0.113.7","consent":{"source":"form"}}`).want(t, 202).ID
		}
		first := bound()
		bound()
		if p := verify(first, `{"code":"123456","binding":"s"}`).wantCode(t, 410, "gone"); p.Reason != "superseded" {
			t.Errorf("%+v", p)
		}

		id = d.issue(d.phone())
		d.advance(10 * time.Minute)
		gone(id, "expired")
	})
	t.Run("413 and 415", func(t *testing.T) {
		send("app", request(ana, strings.Repeat("x", 5000))).wantCode(t, 413, "malformed")
		verify("otp_a", strings.Repeat(" ", 1<<20)).wantCode(t, 413, "malformed")
		chunked, err := http.NewRequest("POST", d.url+"/v1/otp", io.MultiReader(strings.NewReader(`{"to":"`), strings.NewReader(strings.Repeat("5", 4096))))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + d.keys["app"], "Content-Type": "application/json", "Idempotency-Key": unique()} {
			chunked.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(chunked)
		if err != nil {
			t.Fatal(err)
		}
		a := told{status: resp.StatusCode, header: resp.Header}
		a.body, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		a.wantCode(t, 413, "malformed") // its length is not told beforehand
		for _, kind := range []string{"text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonx"} {
			d.ask("POST", "/v1/otp", "app", request(ana, "login"), "Content-Type", kind, "Idempotency-Key", unique()).wantCode(t, 415, "malformed")
		}
		d.ask("POST", "/v1/otp", "app", request(d.phone(), "login"), "Content-Type", "application/json; charset=UTF-8", "Idempotency-Key", unique()).want(t, 202)
	})
	t.Run("503", func(t *testing.T) {
		d.write(func(tx *store.Tx) error {
			_, err := tx.Exec(pauseTemplate)
			return err
		})
		a := send("app", request(d.phone(), "login"))
		if p := a.wantCode(t, 503, "channel-unavailable"); p.RetryAfter < 1 || p.Reason != "template_not_approved" || a.header.Get("Retry-After") != fmt.Sprint(p.RetryAfter) {
			t.Errorf("%s %v", a.body, a.header)
		}
	})
}

var pauseTemplate = store.SQL(`UPDATE templates SET status = 'PAUSED'`)

// Too many requests: with a time to come again, and a coarse scope.
func TestLimitsAreTold(t *testing.T) {
	d := newDesk(t, otp.DefaultLimits(), nil).open()
	id := d.issue(ana)
	a := d.ask("POST", "/v1/otp", "app", requestFor(ana), "Idempotency-Key", unique())
	p := a.wantCode(t, 429, "rate-limited")
	if p.Scope != "phone" || p.RetryAfter != 30 || a.header.Get("Retry-After") != "30" || a.header.Get("RateLimit") != `"phone";r=0;t=30` {
		t.Errorf("%s %v", a.body, a.header)
	}
	for range 5 {
		d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200)
	}
	a = d.ask("GET", "/v1/otp/"+id, "app", "")
	a.wantCode(t, 429, "rate-limited")
	if a.header.Get("Retry-After") != "1" || a.header.Get("RateLimit-Policy") != `"source";q=2;w=1` || a.header.Get("RateLimit") != `"source";r=0;t=1` {
		t.Errorf("%v", a.header)
	}
	d.ask("GET", "/v1/otp/"+id, "shop", "").wantCode(t, 404, "not-found") // another's looks take nothing from mine
	d.advance(time.Second)
	d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200)
}

// Cancelling twice is cancelling once; resending keeps the challenge.
func TestCancelAndResend(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	id := d.issue(d.phone())
	a := d.ask("POST", "/v1/otp/"+id+"/resend", "app", `{"channel":"whatsapp","code":"new"}`, "Idempotency-Key", unique())
	if r := a.want(t, 202); r.ResendsLeft != 2 || a.header.Get("Location") != "/v1/otp/"+id {
		t.Errorf("%s %v", a.body, a.header)
	}
	d.ask("POST", "/v1/otp/"+id+"/resend", "app", "{}", "Idempotency-Key", unique()).want(t, 202)
	d.ask("POST", "/v1/otp/"+id+"/resend", "app", "").wantCode(t, 400, "idempotency-key-missing")
	d.ask("POST", "/v1/otp/"+id+"/resend", "app", `{"channel":"sms"}`, "Idempotency-Key", unique()).wantCode(t, 403, "fallback-not-configured")
	first := d.ask("POST", "/v1/otp/"+id+"/cancel", "app", "")
	if r := first.want(t, 200); r.Status != "cancelled" || r.TerminalReason != "cancelled" {
		t.Errorf("%s", first.body)
	}
	again := d.ask("POST", "/v1/otp/"+id+"/cancel", "app", "{}")
	if again.want(t, 200); !bytes.Equal(first.body, again.body) {
		t.Errorf("%s%s", first.body, again.body)
	}
}

// What belongs to another client is as unknown as what never was: the same
// bytes, for every call and every state.
func TestForeignIsUnknown(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	ids := []string{"otp_aaaaaaaaaaaaaaaaaaaaaaaaaa", "otp_", "otp_x", "x", "otp_AAAA", "otp_" + strings.Repeat("a", 100), "otp_%2e%2e", "%00", "1"}
	live, over, done := d.issue(d.phone()), d.issue(d.phone()), d.issue(d.phone())
	d.ask("POST", "/v1/otp/"+over+"/cancel", "app", "").want(t, 200)
	d.ask("POST", "/v1/otp/"+done+"/verify", "app", guess(d.code(done)), "Idempotency-Key", "known").want(t, 200)
	ids = append(ids, live, over, done)
	for _, call := range []struct{ method, verb, body string }{
		{"GET", "", ""},
		{"POST", "/verify", guess(d.code(live))},
		{"POST", "/verify", guess("123456")},
		{"POST", "/resend", "{}"},
		{"POST", "/cancel", ""},
	} {
		var first told
		for i, id := range ids {
			key := unique()
			if id == done {
				key = "known" // what another client was told is not repeated to this one
			}
			a := d.ask(call.method, "/v1/otp/"+id+call.verb, "shop", call.body, "Idempotency-Key", key, "X-Request-Id", "same")
			a.wantCode(t, 404, "not-found")
			a.header.Del("Date")
			if i == 0 {
				first = a
			}
			if !bytes.Equal(a.body, first.body) || !reflect.DeepEqual(a.header, first.header) {
				t.Errorf("%s %s is told apart:\n%s%s%v\n%v", call.verb, id, a.body, first.body, a.header, first.header)
			}
		}
	}
	if r := d.ask("GET", "/v1/otp/"+live, "app", "").want(t, 200); r.Status != "pending" || *r.AttemptsLeft != 5 || r.ResendsLeft != 3 {
		t.Errorf("another client has changed it: %+v", r)
	}
}

// The same Idempotency-Key: the same answer, and no second effect.
func TestRepeats(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	same := func(first, again told) {
		t.Helper()
		if first.status != again.status || !bytes.Equal(first.body, again.body) || first.header.Get("Location") != again.header.Get("Location") ||
			first.header.Get("Content-Type") != again.header.Get("Content-Type") {
			t.Errorf("first %d %s %v\nagain %d %s %v", first.status, first.body, first.header, again.status, again.body, again.header)
		}
		if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("Idempotency-Replayed: %q, then %q", first.header.Get("Idempotency-Replayed"), again.header.Get("Idempotency-Replayed"))
		}
	}
	twice := func(path, body, key string, between func()) (told, told) {
		t.Helper()
		first := d.ask("POST", path, "app", body, "Idempotency-Key", key)
		if between != nil {
			between()
		}
		return first, d.ask("POST", path, "app", body, "Idempotency-Key", key)
	}

	t.Run("request", func(t *testing.T) {
		body, key := requestFor(d.phone()), unique()
		first, again := twice("/v1/otp", body, key, func() { d.advance(23 * time.Hour) })
		first.want(t, 202)
		same(first, again)
		d.ask("POST", "/v1/otp", "app", requestFor(d.phone()), "Idempotency-Key", key).wantCode(t, 422, "idempotency-key-reused")
		d.ask("POST", "/v1/otp", "app", body+" ", "Idempotency-Key", key).wantCode(t, 422, "idempotency-key-reused")
		theirs := d.ask("POST", "/v1/otp", "shop", body, "Idempotency-Key", key) // another client's key is another key
		if theirs.want(t, 202).ID == first.want(t, 202).ID {
			t.Error("one client was told another's answer")
		}
		d.advance(time.Hour)
		if late := d.ask("POST", "/v1/otp", "app", body, "Idempotency-Key", key); late.want(t, 202).ID == first.want(t, 202).ID {
			t.Error("a key lives longer than 24 hours")
		}
	})
	t.Run("refusals are not kept", func(t *testing.T) {
		to, key := d.phone(), unique()
		d.ask("POST", "/v1/otp", "app", `{"to":"`+to+`","purpose":"login"}`, "Idempotency-Key", key).wantCode(t, 403, "no-opt-in")
		d.ask("POST", "/v1/otp", "app", requestFor(to), "Idempotency-Key", key).want(t, 202)
	})
	t.Run("resend and cancel", func(t *testing.T) {
		id, key := d.issue(d.phone()), unique()
		first, again := twice("/v1/otp/"+id+"/resend", "", key, nil)
		first.want(t, 202)
		same(first, again)
		if r := d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200); r.ResendsLeft != 2 {
			t.Errorf("sent again twice: %+v", r)
		}
		first, again = twice("/v1/otp/"+id+"/cancel", "", key, nil) // another address, another key
		first.want(t, 200)
		same(first, again)
	})
	t.Run("the right code", func(t *testing.T) {
		id, key := d.issue(d.phone()), unique()
		body := guess(d.code(id))
		first, again := twice("/v1/otp/"+id+"/verify", body, key, func() { d.advance(59 * time.Second) })
		first.want(t, 200)
		same(first, again)
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", body, "Idempotency-Key", unique()).wantCode(t, 410, "gone")
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", body).wantCode(t, 410, "gone")
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", guess(other(d.code(d.issue(d.phone())), 1)), "Idempotency-Key", key).wantCode(t, 422, "idempotency-key-reused")
		d.advance(time.Second)
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", body, "Idempotency-Key", key).wantCode(t, 410, "gone")
	})
	t.Run("a wrong code", func(t *testing.T) {
		id, key := d.issue(d.phone()), unique()
		code := d.code(id)
		first, again := twice("/v1/otp/"+id+"/verify", guess(other(code, 1)), key, nil)
		first.wantCode(t, 422, "invalid-code")
		again.header.Set("X-Request-Id", first.header.Get("X-Request-Id"))
		same(first, again)
		for range 10 {
			same(first, d.ask("POST", "/v1/otp/"+id+"/verify", "app", guess(other(code, 1)), "Idempotency-Key", key))
		}
		if r := d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200); *r.AttemptsLeft != 4 {
			t.Errorf("a repeat has burnt guesses: %+v", r)
		}
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", guess(other(code, 2)), "Idempotency-Key", key).wantCode(t, 422, "idempotency-key-reused")
	})
	t.Run("bad keys", func(t *testing.T) {
		for _, key := range []string{strings.Repeat("x", 256), "é", "a\tb"} {
			d.ask("POST", "/v1/otp", "app", requestFor(ana), "Idempotency-Key", key).wantCode(t, 400, "malformed")
		}
		d.ask("POST", "/v1/otp", "app", requestFor(d.phone()), "Idempotency-Key", `"`+strings.Repeat("x", 253)+`"`).want(t, 202)
	})
}

// An effect and the answer that repeats get are one commit: no crash comes
// between them. A refusal writes nothing.
func TestOneCommit(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	commits := func(want int64, ask func() told) {
		t.Helper()
		before := d.db.Commits()
		a := ask()
		if got := d.db.Commits() - before; got != want {
			t.Errorf("%d %s: %d commits, want %d", a.status, a.body, got, want)
		}
	}
	post := func(path, body, key string) func() told {
		return func() told { return d.ask("POST", path, "app", body, "Idempotency-Key", key) }
	}
	body, key := requestFor(d.phone()), unique()
	commits(1, post("/v1/otp", body, key))
	id := post("/v1/otp", body, key)().want(t, 202).ID
	code := d.code(id)
	commits(1, post("/v1/otp/"+id+"/resend", "", unique()))
	commits(1, post("/v1/otp/"+id+"/verify", guess(other(code, 1)), unique()))
	commits(1, post("/v1/otp/"+id+"/verify", guess(code), unique()))
	commits(0, func() told { return d.ask("GET", "/v1/otp/"+id, "app", "") })
	commits(0, post("/v1/otp", `{}`, unique()))
	commits(0, post("/v1/otp/x/cancel", "", unique()))
}

// What the table of replies keeps: hashes, and nothing of a person.
func TestKeptRepliesNameNobody(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	to, key := d.phone(), "key-of-a-person-"+ana
	a := d.ask("POST", "/v1/otp", "app", `{"to":"`+to+`","purpose":"login","client_ip":"203.0.113.7","consent":{"source":"f"},"metadata":{"name":"Ana Maria"}}`, "Idempotency-Key", key).want(t, 202)
	code := d.code(a.ID)
	d.ask("POST", "/v1/otp/"+a.ID+"/verify", "app", guess(other(code, 1)), "Idempotency-Key", key).wantCode(t, 422, "invalid-code")
	d.ask("POST", "/v1/otp/"+a.ID+"/resend", "app", "", "Idempotency-Key", key).want(t, 202)
	d.ask("POST", "/v1/otp/"+a.ID+"/verify", "app", guess(code), "Idempotency-Key", key+"2").want(t, 200)
	d.ask("POST", "/v1/otp/"+a.ID+"/cancel", "app", "", "Idempotency-Key", key)
	var rows []string
	err := d.db.Read(t.Context(), func(q *store.Snap) error {
		return store.Each(q, keptReplies, func(r *store.Col[string]) error {
			rows = append(rows, r.V)
			return nil
		})
	})
	if err != nil || len(rows) < 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, secret := range []string{to[1:], ana[1:], "Ana", code, other(code, 1), key} {
			if strings.Contains(strings.ReplaceAll(row, a.ID, ""), secret) {
				t.Errorf("%q stands in %s", secret, row)
			}
		}
	}
}

var keptReplies = store.SQL(`SELECT client || ' ' || route || ' ' || key || ' ' || request || ' ' || status || ' ' || reply FROM idempotent_replies`)

// No reply has a field that could hold a code, and one only the whole number.
func TestRepliesHaveNoRoomForACode(t *testing.T) {
	allowed := map[string]string{
		"codeReply":    "id status terminal_reason purpose to_masked channel delivery created_at expires_at resend_after resends_left attempts_left verified_at step_up_required metadata",
		"codeDelivery": "state channel at error", "codeError": "code reason fallback", // code: Meta's number of an error
		"codeVerified": "id status to purpose verified_at identity_changed step_up_required amr",
		"Problem":      "type title status detail code hint instance reason scope retry_after attempts_left closed_at faults", // closed_at: an instant, of service windows faults: of an upload, which has no code
	}
	for _, v := range []any{codeReply{}, codeDelivery{}, codeError{}, codeVerified{}, Problem{}} {
		typ := reflect.TypeOf(v)
		var names []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() {
				names = append(names, name)
			}
			if f.Type == reflect.TypeFor[otp.Code]() || f.Type.Kind() == reflect.Interface {
				t.Errorf("%s.%s could hold anything", typ.Name(), f.Name)
			}
		}
		want := strings.Fields(allowed[typ.Name()])
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s has the fields %v; a new one needs a thought: %v", typ.Name(), names, want)
		}
	}
	if f, _ := reflect.TypeFor[codeError]().FieldByName("Code"); f.Type.Kind() != reflect.Int {
		t.Error("an error's code is Meta's number")
	}
}

// Whatever is asked, no answer and no log has a code or a whole number; the one
// exception is the number that was just verified.
func TestCanary(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	type secret struct{ id, to, code string }
	var secrets []secret
	for i := range 12 {
		to := d.phone()
		a := d.ask("POST", "/v1/otp", "app", requestFor(to), "Idempotency-Key", unique(), "Prefer", "wait=0").want(t, 202)
		s := secret{a.ID, to, d.code(a.ID)}
		path := "/v1/otp/" + s.id
		d.ask("GET", path, "app", "")
		for range i % 6 {
			d.ask("POST", path+"/verify", "app", guess(other(s.code, i)))
		}
		d.ask("POST", path+"/verify", "app", `{"code":"`+s.code+`","unknown":"`+s.to+`"}`)
		d.ask("POST", path+"/verify", "app", `{"code":`+s.code+`}`)
		d.ask("POST", path+"/verify", "app", `{"`+s.code+`":"`+s.code+`"}`)
		d.ask("POST", path+"/verify", "shop", guess(s.code))
		d.ask("POST", path+"/resend", "app", `{"channel":"`+s.to+`"}`, "Idempotency-Key", unique())
		d.ask("POST", path+"/resend", "app", "", "Idempotency-Key", unique())
		if i%3 == 0 {
			d.ask("POST", path+"/cancel", "app", "")
		}
		key := unique()
		for range 2 {
			a := d.ask("POST", path+"/verify", "app", guess(s.code), "Idempotency-Key", key)
			if a.status == 200 {
				d.mu.Lock()
				d.told = d.told[:len(d.told)-1] // looked at by itself
				d.mu.Unlock()
				if strings.Count(string(a.body), s.to) != 1 || !strings.Contains(string(a.body), `"to":"`+s.to+`"`) || strings.Contains(strings.ReplaceAll(string(a.body), s.id, ""), s.code) {
					t.Errorf("a success says %s", a.body)
				}
			}
		}
		d.ask("GET", path, "app", "")
		d.ask("POST", "/v1/otp", "app", requestFor(s.to[1:]), "Idempotency-Key", unique())
		d.ask("POST", "/v1/otp", "app", strings.Replace(requestFor(s.to), "login", s.to, 1), "Idempotency-Key", unique())
		d.ask("GET", "/v1/otp/"+s.code, "app", "")
		d.ask("POST", "/v1/otp/"+s.to+"/verify", "app", guess(s.code))
		d.ask("PUT", "/v1/otp/"+s.to, "app", guess(s.code))
		secrets = append(secrets, s)
	}
	random := regexp.MustCompile(`otp_[a-z2-7]{26}|(?m)^X-Request-Id: .*$|^Etag: .*$|"instance":"[A-Z2-7]{26}"`)
	all := append(d.told, []byte(d.log.String()))
	for i := range all {
		all[i] = random.ReplaceAll(all[i], nil)
	}
	for _, s := range secrets {
		for _, a := range all {
			for _, what := range []string{s.code, s.to, s.to[1:], s.to[3:]} {
				if bytes.Contains(a, []byte(what)) {
					t.Fatalf("%s was told:\n%s", what, a)
				}
			}
		}
	}
	if len(all) < 200 {
		t.Errorf("only %d answers were looked at", len(all))
	}
}

// The answer that was committed and never arrived can be asked for again: it is
// the same, and there was one success.
func TestLostAnswer(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	for range 20 {
		id := d.issue(d.phone())
		body, key := guess(d.code(id)), unique()
		cut := &cutting{}
		broken := d.serveOn(d.server, cut)
		cut.now.Store(true)
		lost := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if a, err := d.try(lost, broken, "POST", "/v1/otp/"+id+"/verify", d.keys["app"], body, "Idempotency-Key", key); err == nil {
			t.Fatalf("the answer arrived: %d %s", a.status, a.body)
		}
		if r := d.ask("GET", "/v1/otp/"+id, "app", "").want(t, 200); r.Status != "verified" {
			t.Fatalf("the connection broke before the commit: %+v", r)
		}
		again := d.ask("POST", "/v1/otp/"+id+"/verify", "app", body, "Idempotency-Key", key)
		again.want(t, 200)
		var v codeVerified
		if err := json.Unmarshal(again.body, &v); err != nil || v.Status != "verified" || v.ID != id || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s %v", again.body, again.header)
		}
		if third := d.ask("POST", "/v1/otp/"+id+"/verify", "app", body, "Idempotency-Key", key); !bytes.Equal(third.body, again.body) {
			t.Errorf("%s%s", again.body, third.body)
		}
		d.ask("POST", "/v1/otp/"+id+"/verify", "app", body, "Idempotency-Key", unique()).wantCode(t, 410, "gone")
	}
}
