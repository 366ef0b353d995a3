package scripttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"janela/internal/hooks"
	"janela/internal/httpapi"
)

// hookAddr is where the business's own systems listen.
const hookAddr = "127.0.0.1:9100"

// receivers are those systems: one server, a path for each. They outlive janela,
// and verify what they get as their makers were told to.
type receivers struct {
	secret string
	host   *host // nil while they are away
	server *http.Server
	wg     sync.WaitGroup

	mu   sync.Mutex
	got  map[string]map[string]string // by path and webhook-id: the type
	said map[string][]string          // by path: bodies, in the order they came first
	bad  []error
}

// up lets them listen.
func (r *receivers) up(w *world) error {
	if r.host != nil {
		return errors.New("the receivers are there already")
	}
	r.host = w.net.host()
	lis, err := r.host.listen("tcp", hookAddr)
	if err != nil {
		return err
	}
	r.server = &http.Server{Handler: r}
	server := r.server
	r.wg.Go(func() { _ = server.Serve(lis) })
	return nil
}

// down ends them, as a machine that is switched off.
func (r *receivers) down() {
	if r.host == nil {
		return
	}
	_ = r.server.Close()
	r.host.kill()
	r.host = nil
	r.wg.Wait()
}

// ServeHTTP verifies and keeps a webhook.
func (r *receivers) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	path, id := strings.Trim(q.URL.Path, "/"), q.Header.Get("Webhook-Id")
	kind, err := r.verify(q.Header, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, fmt.Errorf("%s: %w", path, err))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.got[path] == nil {
		r.got[path] = map[string]string{}
	}
	if _, again := r.got[path][id]; !again {
		r.said[path] = append(r.said[path], string(body))
	}
	r.got[path][id] = kind
}

// verify does what a receiver must: Meta's signature over the bytes, or that of
// Standard Webhooks with a timestamp that is not old.
func (r *receivers) verify(h http.Header, body []byte) (kind string, err error) {
	if signature := h.Get("X-Hub-Signature-256"); signature != "" {
		mac := hmac.New(sha256.New, []byte(appSecret))
		mac.Write(body)
		if signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			return "", errors.New("Meta's signature is not right")
		}
		if h.Get("Content-Type") != "application/json" || h.Get("Webhook-Signature") != "" {
			return "", errors.New("the headers are not Meta's")
		}
		return "callback", nil
	}
	key, err := hooks.ParseSecret(r.secret)
	if err != nil {
		return "", err
	}
	var sec int64
	if _, err := fmt.Sscan(h.Get("Webhook-Timestamp"), &sec); err != nil || time.Since(time.Unix(sec, 0)).Abs() > 5*time.Minute {
		return "", fmt.Errorf("the timestamp is %q", h.Get("Webhook-Timestamp"))
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("Webhook-Id"), sec, body)
	if h.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		return "", errors.New("the signature of Standard Webhooks is not right")
	}
	var e struct{ Type string }
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return "", fmt.Errorf("the event is none: %w", err)
	}
	return e.Type, nil
}

// hookConfig is what config.toml says of them.
func (w *world) hookConfig() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.hooks)) {
		mode, more, _ := strings.Cut(w.hooks[name], " ")
		fmt.Fprintf(&b, "\n[[hooks]]\nname = %q\nmode = %q\n", name, mode)
		if mode != "stream" {
			fmt.Fprintf(&b, "url = \"http://%s/%s\"\n", hookAddr, name)
		}
		if mode == "events" {
			b.WriteString("secret_file = \"hook-secret\"\n")
		}
		for _, kv := range strings.Fields(more) {
			key, value, _ := strings.Cut(kv, "=")
			fmt.Fprintf(&b, "%s = [%q]\n", key, value)
		}
	}
	return b.String()
}

// hook configures a system: hook NAME events|passthrough [events=PATTERN]
// [fields=FIELD] [numbers=NAME]; before start.
func hook(w *world, l line) error {
	if len(l.words) < 2 {
		return errors.New("write hook NAME events|passthrough")
	}
	w.hooks[l.words[0]] = strings.Join(l.words[1:], " ")
	return nil
}

// receiversVerb lets them come and go: receivers up, receivers down.
func receiversVerb(w *world, l line) error {
	w.settle()
	switch l.rest {
	case "up":
		return w.receivers.up(w)
	case "down":
		w.receivers.down()
		w.settle()
		return nil
	default:
		return errors.New("write receivers up or receivers down")
	}
}

// expectHooks counts what a system got, each webhook once: expect-hooks NAME N
// [TYPE].
func expectHooks(w *world, l line) error {
	if len(l.words) < 2 || len(l.words) > 3 {
		return errors.New("write expect-hooks NAME N [TYPE]")
	}
	w.settle()
	r := w.receivers
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(r.bad...); err != nil {
		return err
	}
	n, kinds := 0, map[string]int{}
	for _, kind := range r.got[l.words[0]] {
		kinds[kind]++
		if len(l.words) == 2 || kind == l.words[2] {
			n++
		}
	}
	if fmt.Sprint(n) != l.words[1] {
		return fmt.Errorf("%d webhooks came: %v", n, kinds)
	}
	return nil
}

// expectHookText looks for a text in what a system got: expect-hook-text NAME TEXT.
func expectHookText(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	w.settle()
	w.receivers.mu.Lock()
	defer w.receivers.mu.Unlock()
	all := strings.Join(w.receivers.said[l.words[0]], "\n")
	if !strings.Contains(strings.ReplaceAll(all, `"`, `'`), l.words[1]) {
		return fmt.Errorf("it is not in:\n%s", all)
	}
	return nil
}

// expectCallbacksPassed compares what a chatbot got with what janela stored: the
// same bytes, all of them.
func expectCallbacksPassed(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	w.settle()
	stored, err := w.rows("SELECT lower(hex(body)) FROM callbacks ORDER BY id")
	if err != nil {
		return err
	}
	w.receivers.mu.Lock()
	defer w.receivers.mu.Unlock()
	var got []string
	for _, body := range w.receivers.said[l.words[0]] {
		got = append(got, hex.EncodeToString([]byte(body)))
	}
	slices.Sort(got)
	slices.Sort(stored)
	if len(stored) == 0 || !slices.Equal(got, stored) {
		return fmt.Errorf("%d callbacks were stored, %d came", len(stored), len(got))
	}
	return nil
}

// decideVerb decides the open review of a person, as an operator does: decide
// WHO stop|keep.
func decideVerb(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	ids, err := w.rows("SELECT 'r' || r.id FROM consent_reviews r JOIN identities i ON i.contact_id = r.contact_id WHERE r.state = 'open' AND i.value = '" + string(p) + "'")
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return fmt.Errorf("%d reviews are open", len(ids))
	}
	if l.words[1] == "stop" {
		w.wishes(p, "marketing", false)
	}
	return w.operate("/v1/reviews/" + strings.TrimPrefix(ids[0], "r") + "/" + l.words[1])
}

// operate asks for one operation of the command line's API.
func (w *world) operate(path string) error {
	path, body, _ := strings.Cut(path, " ")
	if body == "" {
		body = "{}"
	}
	_, err := w.command(http.MethodPost, path, body)
	return err
}

// command asks the command line's API something.
func (w *world) command(method, path, body string) (answer string, err error) {
	d, err := w.running()
	if err != nil {
		return "", err
	}
	ctx, cancel := within(time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(httpapi.WithActor(ctx, "script"), method, "http://janela"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	got := &recorder{header: http.Header{}, status: http.StatusOK}
	d.API().ServeHTTP(got, req)
	w.settle()
	if got.status != http.StatusOK {
		return "", fmt.Errorf("%s: %d %s", path, got.status, got.body.String())
	}
	return got.body.String(), nil
}

// asked is when an answer was given.
var asked = regexp.MustCompile(`"as_of":"[^"]*"`)

// noted are answers of the command line's API, by what was asked.
type noted map[string]string

// note keeps an answer: note PATH. {NAME} is the id of a message of that name.
func note(w *world, l line) error {
	path := strings.ReplaceAll(string(expand([]byte(l.rest))), "+", "%2B")
	for name, id := range w.talk {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	answer, err := w.command(http.MethodGet, path, "")
	w.noted[path] = answer
	return err
}

// expectNoted asks all of it again, and wants the same answers.
func expectNoted(w *world, _ line) error {
	var errs []error
	for path, want := range w.noted {
		got, err := w.command(http.MethodGet, path, "")
		if err == nil && asked.ReplaceAllString(got, "") != asked.ReplaceAllString(want, "") {
			err = fmt.Errorf("%s was answered\n%sand is answered\n%s", path, want, got)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
