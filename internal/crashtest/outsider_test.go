package crashtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/store"
)

// outsider is a mock of the Graph API as somebody else would write it from
// Meta's pages: it shares no code with the sandbox, knows exactly the fields of
// a template send, and answers with more than we know.
type outsider struct {
	mu      sync.Mutex
	faults  []string
	bodies  []map[string]any
	paths   map[string]int
	strange int // answers that are none
}

func (o *outsider) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *outsider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paths[r.Method+" "+r.URL.Path]++
	if got := r.Header.Get("Authorization"); got != "Bearer outsider-token" {
		o.fault("authorization %q", got)
	}
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if r.Header.Get(header) != "" {
			o.fault("header %s makes transports send twice", header)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	switch r.Method + " " + r.URL.Path {
	case "GET /v24.0/" + waba + "/message_templates":
		o.templates(w, r)
	case "GET /v24.0/" + waba + "/phone_numbers":
		fmt.Fprintf(w, `{"data":[{"verified_name":"Loja","display_phone_number":"+1 202-555-0100","id":%q,"quality_rating":"GREEN","throughput":{"level":"STANDARD","new_key":1},"something_new":{"a":[1]}}],"paging":{"cursors":{"before":"x","after":"y"}}}`, number)
	case "POST /v24.0/" + number + "/messages":
		o.send(w, r)
	default:
		o.fault("unexpected call %s %s", r.Method, r.URL.Path)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"(#100) unknown path","type":"OAuthException","code":100,"fbtrace_id":"A"}}`)
	}
}

// templates answers in two pages; the second has a template of a kind nobody
// has heard of.
func (o *outsider) templates(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("after") == "" {
		next := "http://" + r.Host + r.URL.Path + "?after=QVFI"
		fmt.Fprintf(w, `{"data":[{"name":"oferta_natal","language":"pt_BR","status":"APPROVED","category":"MARKETING","id":"1","parameter_format":"POSITIONAL","unknown":true,
			"components":[{"type":"BODY","text":"Oi {{1}}, {{2}} de desconto.","example":{"body_text":[["Ana","20%%"]]}},
			{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Parar"},{"type":"URL","text":"Ver","url":"https://loja.example/{{1}}","example":["x"]}]}]}],
			"paging":{"cursors":{"before":"MAZ","after":"QVFI"},"next":%q}}`, next)
		return
	}
	fmt.Fprint(w, `{"data":[{"name":"hologram","language":"xx","status":"QUANTUM","category":"TELEPATHY","id":2,"components":[{"type":"HOLOGRAM"}]}],"paging":{"cursors":{"before":"QVFI"}}}`)
}

// fields are what Meta's page on template messages lists, and nothing else.
var fields = map[string][]string{
	"":                                   {"messaging_product", "recipient_type", "to", "type", "template", "biz_opaque_callback_data"},
	"template":                           {"name", "language", "components"},
	"template.language":                  {"code"},
	"template.components.*":              {"type", "sub_type", "index", "parameters"},
	"template.components.*.parameters.*": {"type", "text", "payload"},
}

func (o *outsider) strict(at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if !slices.Contains(fields[at], key) {
				o.fault("field %q in %q is none of Meta's", key, at)
			}
			o.strict(strings.TrimPrefix(at+"."+key, "."), inner)
		}
	case []any:
		for _, inner := range v {
			o.strict(at+".*", inner)
		}
	}
}

func (o *outsider) send(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		o.fault("body is no JSON: %v", err)
	}
	o.bodies = append(o.bodies, body)
	o.strict("", body)
	n := len(o.bodies)
	switch n % 10 {
	case 7: // accepted, with things nobody knows
		fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q,"wa_id":"5511","new":{}}],"messages":[{"id":"wamid.OUT%d","message_status":"accepted","galaxy":9}],"extra":[]}`, body["to"], n)
	case 8: // an error code from the future
		o.strange++
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"(#199999) New rule","type":"OAuthException","code":199999,"error_data":"a string","fbtrace_id":"A1","is_transient":false}}`)
	case 9: // no Graph answer at all
		o.strange++
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>Bad gateway</html>")
	default:
		fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q}],"messages":[{"id":"wamid.OUT%d"}]}`, body["to"], n)
	}
}

// TestOutsider points graph_url at a foreign server: nothing else changes.
func TestOutsider(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	const people = 40
	w := newWorld(t, people, sandbox.Quiet())
	o := &outsider{paths: map[string]int{}}
	server := httptest.NewServer(o)
	defer server.Close()
	w.graph = server.URL
	w.files(1000)
	w.config(`graph_version = "v24.0"`)
	cmd := w.start("JANELA_WHATSAPP_TOKEN=outsider-token")
	w.until(func(text string) bool {
		return gauge(text, "accepted")+gauge(text, "failed")+gauge(text, "unknown") == people
	})
	w.callbacks(o)
	w.until(func(text string) bool {
		return gauge(text, "read") > 0 && strings.Contains(text, `result="applied"} 3`) && strings.Contains(text, `result="failed"} 2`)
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon did not stop well: %v", err)
	}
	for _, f := range o.faults {
		t.Error(f)
	}
	if len(o.bodies) != people {
		t.Errorf("%d sends for %d people: %v", len(o.bodies), people, o.paths)
	}
	w.outsiderRows(map[string]int{"accepted": 31, "read": 1, "failed": 4, "unknown": 4})
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// callbacks posts what Meta posts, and what it never has.
func (w *world) callbacks(o *outsider) {
	o.mu.Lock()
	first := o.bodies[0]
	o.mu.Unlock()
	callback, _ := first["biz_opaque_callback_data"].(string)
	post := func(body string) {
		mac := hmac.New(sha256.New, []byte("secret"))
		mac.Write([]byte(body))
		req, _ := http.NewRequest(http.MethodPost, w.baseURL()+"/webhooks/whatsapp", bytes.NewReader([]byte(body)))
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			w.t.Errorf("a signed callback got %s: %.80s", resp.Status, body)
		}
	}
	now := time.Now().Unix()
	post(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":%q},
		"statuses":[{"id":"wamid.OUT1","status":"read","timestamp":"%d","recipient_id":"551190000000","biz_opaque_callback_data":%q,"conversation":{"id":"c","expiration_timestamp":1,"origin":{"type":"marketing_lite"}},"pricing":{"billable":true,"pricing_model":"QMP","type":"wow","category":"marketing"},"brand_new":{}}]}}]}]}`, waba, number, now, callback))
	post(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"time":%d,"changes":[{"field":"smell_update","value":{"smell":"good"}}]}]}`, waba, now))
	post(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":%q},"statuses":[{"id":"wamid.OUT2","status":"teleported","timestamp":"x"}],"messages":[{"id":"wamid.IN1","type":"hologram","from":null,"timestamp":%d}]}}]}]}`, waba, number, now))
	post(`{"object":"page","entry":null}`)
	post(`{"object":"whatsapp_business_account"}`)
}

func (w *world) outsiderRows(want map[string]int) {
	db, err := store.Open(w.t.Context(), store.Config{Path: filepath.Join(w.dir, "janela.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	got := map[string]int{}
	err = db.Read(w.t.Context(), func(q *store.Snap) error {
		rows, err := store.All[sentRow](q, sqlAll)
		for _, r := range rows {
			got[r.State]++
		}
		return err
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("rows %v, want %v (%v)", got, want, err)
	}
}

// config adds a line to the [whatsapp] table.
func (w *world) config(line string) {
	path := filepath.Join(w.dir, "config.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.Replace(string(b), "[whatsapp]\n", "[whatsapp]\n"+line+"\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for the metrics to say something.
func (w *world) until(met func(text string) bool) {
	deadline := time.Now().Add(30 * time.Second)
	text := ""
	for time.Now().Before(deadline) {
		if text = w.metrics(w.baseURL()); met(text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("it never came:\n%s\n%s", text, w.logs.String())
}
