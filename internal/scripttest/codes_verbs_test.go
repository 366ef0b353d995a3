package scripttest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/apitest"
	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// challenge is a code that a script asked for.
type challenge struct {
	id, who, client string
	binding         string
}

// codes are what a script knows of one-time codes.
type codes struct {
	keys       map[string]string // by client
	challenges map[string]*challenge
	repeats    int // makes idempotency keys
}

// key returns the API key of a client, and makes it at the first use.
func (w *world) key(client string) (string, error) {
	if k, ok := w.codes.keys[client]; ok {
		return k, nil
	}
	var plain string
	err := w.write(func(_ *daemon.Daemon, tx *store.Tx) (err error) {
		plain, _, err = access.NewKey(tx, access.KeyRequest{Client: client, Scopes: access.Scopes, Actor: "script"})
		return err
	})
	if err != nil {
		return "", err
	}
	w.codes.keys[client] = plain
	w.secrets = append(w.secrets, plain)
	return plain, nil
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	text   string
	body   struct {
		ID           string
		Status       any // a challenge's state, or a problem's HTTP status
		Code         string
		Reason       string
		To           string
		AttemptsLeft *int   `json:"attempts_left"`
		RetryAfter   int    `json:"retry_after"`
		Terminal     string `json:"terminal_reason"`
		Delivery     struct {
			State string
			Error struct{ Reason, Fallback string }
		}
	}
}

// ask makes one request as a business's own system does.
func (w *world) ask(client, method, path string, body any, headers map[string]string) (answer, error) {
	payload := []byte{}
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	a, err := w.askWith(client, method, path, payload, headers)
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal([]byte(a.text), &a.body)
}

func (w *world) askWith(client, method, path string, payload []byte, headers map[string]string) (answer, error) {
	w.settle()
	var a answer
	key, err := w.key(client)
	if err != nil {
		return a, err
	}
	caller := w.net.host()
	defer caller.kill()
	http1 := &http.Client{Transport: &http.Transport{DialContext: caller.dial, DisableKeepAlives: true}}
	ctx, cancel := within(2 * time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+listenAddr+path, bytes.NewReader(payload))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := http1.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status, a.header, a.text = resp.StatusCode, resp.Header, string(b)
	w.replies = append(w.replies, a.text)
	return a, asDescribed(req, payload, a)
}

// checker holds every answer in a script to the description of the API.
var checker = sync.OnceValues(func() (*apitest.Checker, error) {
	text, _ := httpapi.OpenAPI()
	return apitest.New(text)
})

func asDescribed(req *http.Request, body []byte, a answer) error {
	c, err := checker()
	if err != nil {
		return err
	}
	return c.Check(&apitest.Exchange{Method: req.Method, Target: req.URL.RequestURI(), Sent: req.Header, Body: body, Status: a.status, Header: a.header, Answer: []byte(a.text)})
}

// wants compares an answer with what the script expects: 202, 429/rate-limited,
// 410/gone/expired.
func (a answer) wants(text, usual string) error {
	if text == "" {
		text = usual
	}
	got := strconv.Itoa(a.status)
	if strings.Contains(text, "/") {
		got += "/" + a.body.Code
	}
	if strings.Count(text, "/") > 1 {
		got += "/" + a.body.Reason
	}
	if got != text {
		return fmt.Errorf("the answer is %s, expected %s:\n%s", got, text, a.text)
	}
	return nil
}

func (w *world) repeat(opt map[string]string) map[string]string {
	if k, ok := opt["key"]; ok {
		return map[string]string{"Idempotency-Key": k}
	}
	w.codes.repeats++
	return map[string]string{"Idempotency-Key": "script-" + strconv.Itoa(w.codes.repeats)}
}

// code asks for a code: code NAME WHO PURPOSE [client=] [ip=] [binding=] [locale=]
// [device=] [trusted=true] [consent=SOURCE] [key=] [want=202].
func code(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "client", "ip", "binding", "locale", "device", "trusted", "consent", "key", "want"); err != nil {
		return err
	}
	if len(words) != 3 {
		return errors.New("write code NAME WHO PURPOSE")
	}
	to := words[1]
	if p, err := phoneOf(words[1]); err == nil {
		to = string(p)
	}
	c := &challenge{who: to, client: pick(opt["client"], "app"), binding: opt["binding"]}
	body := map[string]any{"to": to, "purpose": words[2], "client_ip": pick(opt["ip"], "203.0.113.7")}
	for _, k := range []string{"binding", "locale", "device"} {
		if v, ok := opt[k]; ok {
			body[k] = v
		}
	}
	if opt["trusted"] == "true" {
		body["trusted"] = true
	}
	if source, ok := opt["consent"]; ok {
		body["consent"] = map[string]any{"source": source, "text": "Quero receber códigos pelo WhatsApp."}
	}
	a, err := w.ask(c.client, http.MethodPost, "/v1/otp", body, w.repeat(opt))
	if err != nil {
		return err
	}
	if source := opt["consent"]; source != "" && a.status == http.StatusAccepted {
		w.wishes(whatsapp.Phone(to), whatsapp.Authentication, true)
	}
	if err := a.wants(opt["want"], "202"); err != nil {
		return err
	}
	if a.status == http.StatusAccepted {
		c.id = a.body.ID
		w.codes.challenges[words[0]] = c
	}
	return nil
}

func pick(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (w *world) challenge(name string) (*challenge, error) {
	c, ok := w.codes.challenges[name]
	if !ok {
		return nil, fmt.Errorf("no code was asked for as %q", name)
	}
	return c, nil
}

var digits = regexp.MustCompile(`\b\d{6,8}\b`)

// received are the codes that came to a person's phone, the latest first.
func (w *world) received(who string) (out []string) {
	w.settle()
	for _, s := range w.codeMessages(who) {
		if d := digits.FindString(s.Text); d != "" {
			out = append(out, d)
		}
	}
	return out
}

// codeMessages are the messages with codes that a phone received, the latest
// first.
func (w *world) codeMessages(who string) []sandbox.Send {
	list := slices.DeleteFunc(w.meta.box.Phone(who, 100), func(s sandbox.Send) bool { return s.Category != string(whatsapp.Authentication) })
	slices.SortFunc(list, func(a, b sandbox.Send) int { return b.Seq - a.Seq })
	return list
}

// verifyCode guesses: verify NAME right|wrong|previous|sms|TEXT [client=]
// [binding=] [ip=] [key=] [want=200]. right is the latest code that came to the
// phone by WhatsApp, previous the one before it that was another, and sms the
// latest that came by text message.
func verifyCode(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "client", "binding", "ip", "key", "want"); err != nil {
		return err
	}
	if len(words) != 2 {
		return errors.New("write verify NAME right|wrong|previous|sms|CODE")
	}
	c, err := w.challenge(words[0])
	if err != nil {
		return err
	}
	guess := words[1]
	list := w.received(c.who)
	switch guess {
	case "sms":
		codes, _ := w.sms.to(c.who)
		if len(codes) == 0 {
			return errors.New("no code came by text message")
		}
		guess = codes[0]
	case "right", "wrong", "previous":
		if len(list) == 0 {
			return errors.New("no code came to the phone")
		}
		guess = list[0]
	}
	switch words[1] {
	case "wrong": // another first digit
		guess = string('0'+(guess[0]-'0'+1)%10) + guess[1:]
	case "previous":
		for _, d := range list {
			if d != list[0] {
				guess = d
				break
			}
		}
		if guess == list[0] {
			return errors.New("only one code came to the phone")
		}
	}
	body := map[string]any{"code": guess}
	binding := c.binding
	if b, ok := opt["binding"]; ok {
		binding = b
	}
	if binding != "" {
		body["binding"] = binding
	}
	if ip, ok := opt["ip"]; ok {
		body["client_ip"] = ip
	}
	var headers map[string]string
	if _, ok := opt["key"]; ok {
		headers = w.repeat(opt)
	}
	a, err := w.ask(pick(opt["client"], c.client), http.MethodPost, "/v1/otp/"+c.id+"/verify", body, headers)
	if err != nil {
		return err
	}
	if err := a.wants(opt["want"], "200"); err != nil {
		return err
	}
	if a.status == http.StatusOK && a.body.To != c.who {
		return fmt.Errorf("the verified number is another: %s", a.text)
	}
	return nil
}

// resend asks for the code again: resend NAME [code=auto|new] [channel=] [key=] [want=202].
func resend(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "code", "channel", "key", "want"); err != nil {
		return err
	}
	if len(words) != 1 {
		return errors.New("write resend NAME")
	}
	c, err := w.challenge(words[0])
	if err != nil {
		return err
	}
	body := map[string]any{}
	for _, k := range []string{"code", "channel"} {
		if v, ok := opt[k]; ok {
			body[k] = v
		}
	}
	a, err := w.ask(c.client, http.MethodPost, "/v1/otp/"+c.id+"/resend", body, w.repeat(opt))
	if err != nil {
		return err
	}
	return a.wants(opt["want"], "202")
}

// cancelCode gives a code up: cancel-code NAME [want=200].
func cancelCode(w *world, l line) error {
	opt, words := options(l.words)
	if len(words) != 1 {
		return errors.New("write cancel-code NAME")
	}
	c, err := w.challenge(words[0])
	if err != nil {
		return err
	}
	a, err := w.ask(c.client, http.MethodPost, "/v1/otp/"+c.id+"/cancel", nil, nil)
	if err != nil {
		return err
	}
	return a.wants(opt["want"], "200")
}

// expectCode asks for a challenge: expect-code NAME STATE [delivery=] [error=]
// [fallback=] [reason=] [attempts-left=N].
func expectCode(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "delivery", "error", "fallback", "reason", "attempts-left"); err != nil {
		return err
	}
	if len(words) != 2 {
		return errors.New("write expect-code NAME STATE")
	}
	c, err := w.challenge(words[0])
	if err != nil {
		return err
	}
	a, err := w.ask(c.client, http.MethodGet, "/v1/otp/"+c.id, nil, nil)
	if err != nil {
		return err
	}
	left := "-"
	if a.body.AttemptsLeft != nil {
		left = strconv.Itoa(*a.body.AttemptsLeft)
	}
	got := map[string]string{"delivery": a.body.Delivery.State, "error": a.body.Delivery.Error.Reason, "fallback": a.body.Delivery.Error.Fallback,
		"reason": a.body.Terminal, "attempts-left": left}
	if a.status != http.StatusOK || a.body.Status != any(words[1]) {
		return fmt.Errorf("the code is %d %v: %s", a.status, a.body.Status, a.text)
	}
	for k, v := range opt {
		if got[k] != v {
			return fmt.Errorf("%s is %q, expected %q: %s", k, got[k], v, a.text)
		}
	}
	return nil
}

// expectReceived says how many codes came to a phone, and how many of them were
// different: expect-received WHO 2 different=1.
func expectReceived(w *world, l line) error {
	opt, words := options(l.words)
	if len(words) != 2 {
		return errors.New("write expect-received WHO N [different=N]")
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	list := w.received(string(p))
	if strconv.Itoa(len(list)) != words[1] {
		return fmt.Errorf("%d codes came to the phone, expected %s", len(list), words[1])
	}
	different := map[string]bool{}
	for _, c := range list {
		different[c] = true
	}
	if want, ok := opt["different"]; ok && strconv.Itoa(len(different)) != want {
		return fmt.Errorf("%d different codes came to the phone, expected %s", len(different), want)
	}
	return nil
}

// unlock lets a phone be used for codes again, as an operator does.
func unlock(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	_, err = w.command(http.MethodPost, "/v1/otp/unlock", fmt.Sprintf(`{"phone": %q}`, string(p)))
	return err
}

// recorder keeps an answer of the command line's API.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

// notRequested taps "I didn't request a code" under the latest code that came to
// a phone: not-requested WHO [by=SOMEBODY ELSE].
func notRequested(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "by"); err != nil {
		return err
	}
	if len(words) != 1 {
		return errors.New("write not-requested WHO")
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	by := p
	if other, ok := opt["by"]; ok {
		if by, err = phoneOf(other); err != nil {
			return err
		}
	}
	w.settle()
	list := w.codeMessages(string(p))
	if len(list) == 0 {
		return errors.New("no code came to the phone")
	}
	_, err = w.meta.box.Inbound(sandbox.Inbound{From: string(by), Type: "button", Text: "Não pedi um código", ButtonPayload: "DID_NOT_REQUEST_CODE", ReplyTo: list[0].Wamid})
	w.settle()
	return err
}

// person changes what becomes of messages to somebody: person WHO identity
// (another phone, or another person with the number), person WHO off, on,
// without-whatsapp, with-whatsapp. person numbers identity-check switches on
// that Meta compares identities for our number.
func person(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	w.settle()
	if l.words[0] == "numbers" {
		return w.meta.do(func(s *sandbox.Sandbox) error { return s.SetIdentityCheck(number, l.words[1] == "identity-check") })
	}
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	yes, no := true, false
	changes := map[string]sandbox.PersonChange{"identity": {NewIdentity: true}, "off": {Online: &no}, "on": {Online: &yes},
		"without-whatsapp": {OnWhatsApp: &no}, "with-whatsapp": {OnWhatsApp: &yes}}
	c, ok := changes[l.words[1]]
	if !ok {
		return fmt.Errorf("%q is no change; write identity, off, on, without-whatsapp or with-whatsapp", l.words[1])
	}
	c.From = string(p)
	err = w.meta.do(func(s *sandbox.Sandbox) error {
		_, err := s.ChangePerson(c)
		return err
	})
	w.settle()
	return err
}

// written reads what janela wrote into its folder. Only while it does not run:
// closing a descriptor of the database would drop SQLite's locks.
func (w *world) written() (map[string][]byte, error) {
	if w.house != nil {
		return nil, errors.New("janela runs")
	}
	out := map[string][]byte{}
	err := filepath.WalkDir(w.path("var"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[filepath.Base(path)] = b
		return err
	})
	return out, err
}

// codesNowhere: no code that came to a phone, and no key, stands in the database
// file, its log, a backup of them, the daemon's log, its metrics, its answers, or
// anything else that janela wrote.
func (w *world) codesNowhere() error {
	issued := map[string]bool{}
	for _, s := range w.meta.box.Sends() {
		if s.Category == string(whatsapp.Authentication) {
			if d := digits.FindString(s.Text); d != "" {
				issued[d] = true
			}
		}
	}
	for _, m := range w.sms.messages {
		issued[m.code] = true
	}
	if len(issued) == 0 {
		return nil
	}
	texts, err := w.written()
	if err != nil {
		return err
	}
	if texts["the backup"], err = backup(texts); err != nil {
		return err
	}
	texts["the log"], texts["the metrics"] = []byte(w.logs.text()), []byte(w.metrics)
	for i, r := range w.replies {
		texts["answer "+strconv.Itoa(i+1)] = []byte(r)
	}
	return secretsIn(texts, issued, w.codes.keys)
}

// secretsIn finds codes and API keys.
func secretsIn(texts map[string][]byte, codes map[string]bool, keys map[string]string) error {
	var errs []error
	for where, text := range texts {
		for _, at := range standalone.FindAllIndex(text, -1) {
			if d := string(text[at[0]:at[1]]); codes[strings.TrimFunc(d, notDigit)] {
				errs = append(errs, fmt.Errorf("%s holds a code", where))
			}
		}
		for _, key := range keys {
			if bytes.Contains(text, []byte(key)) {
				errs = append(errs, fmt.Errorf("%s holds an API key", where))
			}
		}
	}
	return errors.Join(errs...)
}

// backup makes one of what was written, as an operator does: a copy of the files,
// which SQLite then writes anew.
func backup(written map[string][]byte) (all []byte, err error) {
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, name := range []string{"janela.db", "janela.db-wal"} {
		if b, ok := written[name]; ok {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				return nil, err
			}
		}
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "janela.db"))
	if err != nil {
		return nil, err
	}
	made := filepath.Join(dir, "backup.db")
	_, err = db.ExecContext(context.Background(), "VACUUM INTO ?", made)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(made)
}

var plant = store.SQL(`INSERT INTO settings (name, value) VALUES (?1, ?2)`)

// What the canaries look for is found wherever it stands: in the database, in a
// transaction that is only in its log yet, in a backup, between words.
func TestCanariesSing(t *testing.T) {
	const code, key = "493027", "jnl_abc_secret"
	codes, keys := map[string]bool{code: true}, map[string]string{"app": key}
	for _, text := range []string{"", "4930271", "1493027", "49302", "otp 493028", "jnl_abc"} {
		if err := secretsIn(map[string][]byte{"it": []byte(text)}, codes, keys); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{code, "code=493027 ", "\x00493027\x01", "a493027b", "x " + key + " y", `{"text":"493027"}`} {
		if err := secretsIn(map[string][]byte{"it": []byte(text)}, codes, keys); err == nil {
			t.Errorf("%q passes", text)
		}
	}
	for _, planted := range []string{code, key} {
		dir := t.TempDir()
		db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "janela.db")})
		if err != nil {
			t.Fatal(err)
		}
		read := func() map[string][]byte {
			out := map[string][]byte{}
			for _, name := range []string{"janela.db", "janela.db-wal"} {
				if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
					out[name] = b
				}
			}
			return out
		}
		err = db.Write(t.Context(), func(tx *store.Tx) error { return tx.One(plant, "planted", planted) })
		if err != nil {
			t.Fatal(err)
		}
		db.Crash() // so that it is in the write-ahead log only
		_ = db.Close()
		texts := read()
		made, err := backup(texts)
		if err != nil {
			t.Fatal(err)
		}
		for where, b := range map[string][]byte{"the write-ahead log": texts["janela.db-wal"], "the backup": made} {
			if secretsIn(map[string][]byte{where: b}, codes, keys) == nil {
				t.Errorf("%s is planted and not found in %s (%d bytes)", planted, where, len(b))
			}
		}
	}
}

// standalone finds what could be a code: digits with none beside them.
var standalone = regexp.MustCompile(`(?:^|[^0-9])[0-9]{6,8}(?:$|[^0-9])`)

func notDigit(r rune) bool { return r < '0' || r > '9' }
