package crashtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/whatsapp"
)

// What a turnstile does with messages.
const (
	passes   = iota
	holds    // they do not reach Meta
	swallows // Meta takes them, and its answer never comes back
)

// turnstile stands before the sandbox and keeps requests for messages there
// until whoever made them is dead.
type turnstile struct {
	box     http.Handler
	does    atomic.Int32
	arrived atomic.Int32
}

func (g *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	does := g.does.Load()
	if does == passes || !strings.HasSuffix(r.URL.Path, "/messages") {
		g.box.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body) // only then the server notices that the other side is gone
	if err != nil {
		return
	}
	if does == swallows {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		g.box.ServeHTTP(httptest.NewRecorder(), again)
	}
	g.arrived.Add(1)
	<-r.Context().Done()
}

// desk is a caller of the codes' API of a real process.
type desk struct {
	*world
	gate *turnstile
	key  string
	n    int
}

// newDesk makes one, with so many people who agreed to marketing.
func newDesk(t *testing.T, people int) *desk {
	d := &desk{world: newWorld(t, people, misbehaving())}
	d.gate = &turnstile{box: d.sandbox}
	graph := httptest.NewServer(d.gate)
	t.Cleanup(graph.Close)
	d.graph = graph.URL
	d.files(1000)
	if err := os.Remove(filepath.Join(d.dir, "campaigns.d", "natal.toml")); err != nil {
		t.Fatal(err)
	}
	d.settings()
	add := exec.Command(d.binary, "keys", "add", "app", "--scope", "otp:send,otp:verify,otp:read,campaign:write", "--plain", "--config", filepath.Join(d.dir, "config.toml"))
	add.Env = append(os.Environ(), "JANELA_WHATSAPP_TOKEN=sandbox-token", "JANELA_WHATSAPP_APP_SECRET=secret", "JANELA_WHATSAPP_VERIFY_TOKEN=verify")
	key, err := add.Output()
	if err != nil {
		t.Fatal(err)
	}
	d.key = strings.TrimSpace(string(key))
	return d
}

// settings adds what codes need to the configuration.
func (d *desk) settings() {
	d.append("[otp]\ncountries = [\"BR\"]\n[otp.purposes.login]\ntemplate = \"codigo_acesso\"\nlanguages = [\"pt_BR\"]\n" +
		"[otp.limits]\nprefix_unverified = 1000\ncountry_unverified = 1000\ncountry_hour = 1000\n")
}

// said is what the API answered.
type said struct {
	status   int
	replayed bool
	ID       string
	To       string
	Code     string
	Delivery struct{ State string }
}

func (d *desk) call(method, path, repeat, body string) (a said, err error) {
	req, err := http.NewRequest(method, d.baseURL()+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", "application/json")
	if repeat != "" {
		req.Header.Set("Idempotency-Key", repeat)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status, a.replayed = resp.StatusCode, resp.Header.Get("Idempotency-Replayed") == "true"
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// must repeats a call until the daemon is up and its templates are read.
func (d *desk) must(want int, method, path, repeat, body string) (a said) {
	d.t.Helper()
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if a, err = d.call(method, path, repeat, body); err == nil && a.status == want {
			return a
		}
		if err == nil && a.status != http.StatusServiceUnavailable {
			break
		}
	}
	d.t.Fatalf("%s %s: %d %s, %v\n%s", method, path, a.status, a.Code, err, d.logs.String())
	return a
}

// asked is a code that was answered with 202.
type asked struct{ id, to, key, body string }

func (d *desk) ask() asked {
	d.t.Helper()
	a := d.next()
	a.id = d.must(http.StatusAccepted, "POST", "/v1/otp", a.key, a.body).ID
	return a
}

// next is the request for one more person's code.
func (d *desk) next() asked {
	d.n++
	a := asked{to: fmt.Sprintf("+5511900001%03d", d.n), key: fmt.Sprint("ask ", d.n)}
	a.body = fmt.Sprintf(`{"to":%q,"purpose":"login","client_ip":"203.0.113.%d","consent":{"source":"login_form"}}`, a.to, d.n%250)
	return a
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// arrived are the codes on a phone.
func (d *desk) arrived(to string) (codes []string) {
	for _, s := range d.sandbox.Phone(to, 100) {
		if s.Category == string(whatsapp.Authentication) {
			codes = append(codes, sixDigits.FindString(s.Text))
		}
	}
	return codes
}

// A process that is killed after it answered 202 loses no code: after a restart
// each arrives, once, and is right; nothing that its caller was told is forgotten.
func TestCodesSurviveAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some twenty seconds")
	}
	d := newDesk(t, 1)
	cmd := d.start()
	first := d.ask() // so that all is there
	var later []func()
	for _, c := range []struct {
		name  string
		does  int32
		ready func(sent int32) bool
		most  int // that arrive; of the same code
	}{
		{"at once", holds, func(int32) bool { return true }, 1},
		{"with its requests under way", holds, func(sent int32) bool { return sent >= 3 }, 1},
		{"before Meta's answers came", swallows, func(sent int32) bool { return sent >= 3 }, 2},
	} {
		d.gate.does.Store(c.does)
		d.gate.arrived.Store(0)
		codes := []asked{d.ask(), d.ask(), d.ask()} // five unknown ones in a row would stop the number
		for begun := time.Now(); !c.ready(d.gate.arrived.Load()); time.Sleep(time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("%s: the requests never came", c.name)
			}
		}
		if err := cmd.Process.Kill(); err != nil { // SIGKILL
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for _, a := range codes {
			if got := d.arrived(a.to); c.does == holds && len(got) > 0 {
				t.Fatalf("%s: it has arrived before the kill; the test shows nothing", c.name)
			}
		}
		d.gate.does.Store(passes)
		cmd = d.start()
		for _, a := range codes {
			if again := d.must(http.StatusAccepted, "POST", "/v1/otp", a.key, a.body); again.ID != a.id || !again.replayed {
				t.Errorf("%s: its request was forgotten: %s and %s", c.name, a.id, again.ID)
			}
			for begun := time.Now(); len(d.arrived(a.to)) == 0; time.Sleep(20 * time.Millisecond) {
				if time.Since(begun) > time.Minute {
					t.Fatalf("%s: the code never arrived\n%s", c.name, d.logs.String())
				}
			}
		}
		later = append(later, func() {
			for _, a := range codes {
				got := d.arrived(a.to)
				if len(got) > c.most || got[0] != got[len(got)-1] {
					t.Errorf("%s: %d codes arrived, different %v", c.name, len(got), got[0] != got[len(got)-1])
				}
				right := fmt.Sprintf(`{"code":%q}`, got[0])
				if v := d.must(http.StatusOK, "POST", "/v1/otp/"+a.id+"/verify", "", right); v.To != a.to {
					t.Errorf("%s: another number was verified", c.name)
				}
				if v := d.must(http.StatusGone, "POST", "/v1/otp/"+a.id+"/verify", "", right); v.Code != "gone" {
					t.Errorf("%s: then %s", c.name, v.Code)
				}
			}
		})
	}
	time.Sleep(8 * time.Second) // what goes once more goes after six
	for _, check := range later {
		check()
	}
	// Wrong guesses are as durable as codes: a kill gives none back.
	for i := range 5 {
		d.must(http.StatusUnprocessableEntity, "POST", "/v1/otp/"+first.id+"/verify", "", fmt.Sprintf(`{"code":%q}`, wrong(d.arrived(first.to)[0])))
		if i == 3 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			cmd = d.start()
		}
	}
	d.must(http.StatusGone, "POST", "/v1/otp/"+first.id+"/verify", "", fmt.Sprintf(`{"code":%q}`, d.arrived(first.to)[0]))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	d.codesNowhere()
}

// wrong is a code with another first digit.
func wrong(code string) string { return string('0'+(code[0]-'0'+1)%10) + code[1:] }

// hashes are runs of what hashes are written with; six of it look like a code by
// chance.
var hashes = regexp.MustCompile(`[0-9a-f]{24,}`)

// codesNowhere looks for every code that arrived, and the caller's key, in what a
// killed process leaves: database, write-ahead log, its log.
func (d *desk) codesNowhere() {
	left := map[string][]byte{"the log": d.logs.Bytes()}
	for _, name := range []string{"janela.db", "janela.db-wal"} {
		text, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil || len(text) == 0 {
			d.t.Fatalf("%d bytes, %v", len(text), err)
		}
		left[name] = hashes.ReplaceAllFunc(text, func(run []byte) []byte {
			if len(run)%8 == 0 { // nothing stands beside them
				return []byte("#")
			}
			return run
		})
	}
	codes := map[string]bool{}
	d.sandbox.Each(func(s sandbox.Send) bool {
		if s.Category == string(whatsapp.Authentication) {
			codes[sixDigits.FindString(s.Text)] = true
		}
		return true
	})
	if len(codes) < 10 {
		d.t.Errorf("only %d codes were looked for", len(codes))
	}
	alone := regexp.MustCompile(`(?:^|[^0-9])([0-9]{6})(?:$|[^0-9])`)
	for where, text := range left {
		for _, m := range alone.FindAllSubmatch(text, -1) {
			if codes[string(m[1])] {
				d.t.Errorf("%s holds a code", filepath.Base(where))
			}
		}
		if bytes.Contains(text, []byte(d.key)) {
			d.t.Errorf("%s holds the API key", filepath.Base(where))
		}
	}
}
