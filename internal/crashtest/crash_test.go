package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const (
	waba     = "100000000000001"
	number   = "200000000000001"
	template = "oferta_natal"
	senders  = 16
)

// setting reads a number from the environment.
func setting(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

// world is a daemon in its own process and the sandbox in ours.
type world struct {
	t       testing.TB
	dir     string
	graph   string
	port    int
	binary  string
	sandbox *sandbox.Sandbox
	logs    bytes.Buffer
	people  []whatsapp.Phone
}

func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for half a minute")
	}
	kills, recipients := setting("CRASH_KILLS", 12), setting("CRASH_RECIPIENTS", 3000)
	w := newWorld(t, recipients, misbehaving())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	for range kills {
		w.faults(random)
		cmd := w.start()
		time.Sleep(time.Duration(250+random.IntN(700)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil { // SIGKILL: nothing is tidied up
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	w.sandbox.RemoveFault(0)
	cmd := w.start()
	w.settle()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon did not stop well: %v", err)
	}
	w.judge(kills)
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// misbehaving repeats and reorders its callbacks, quickly.
func misbehaving() sandbox.Profile {
	profile := sandbox.Quiet()
	profile.AnswerLatency = sandbox.Span{Min: 5 * time.Millisecond, Max: 25 * time.Millisecond}
	profile.StatusDelay = sandbox.Span{Min: 20 * time.Millisecond, Max: 400 * time.Millisecond}
	profile.DuplicateWebhook, profile.ReorderWebhook = 0.1, 0.1
	profile.ReadDelay = sandbox.Span{Min: 50 * time.Millisecond, Max: 800 * time.Millisecond}
	profile.Posters, profile.Batch = 4, 50
	profile.RetryMin, profile.RetryMax = 200*time.Millisecond, time.Second
	return profile
}

func newWorld(t testing.TB, recipients int, profile sandbox.Profile) *world {
	w := &world{t: t, dir: t.TempDir()}
	w.binary = filepath.Join(w.dir, "janela")
	if out, err := exec.Command("go", "build", "-o", w.binary, "janela/cmd/janela").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	daemonPort := freePort(t)
	w.port = daemonPort
	var err error
	w.sandbox, err = sandbox.New(sandbox.Config{Token: "sandbox-token", AppSecret: "secret", VerifyToken: "verify", Seed: 7, Profile: profile,
		WebhookURL: fmt.Sprintf("http://127.0.0.1:%d/webhooks/whatsapp", daemonPort),
		WABAs:      []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: number, Display: "+1 202-555-0100"}}}},
		Templates:  sandbox.DefaultTemplates(waba)})
	if err != nil {
		t.Fatal(err)
	}
	graph := httptest.NewServer(w.sandbox)
	w.graph = graph.URL
	ctx, cancel := context.WithCancel(context.Background())
	var posting sync.WaitGroup
	posting.Go(func() { _ = w.sandbox.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		posting.Wait()
		_ = w.sandbox.Close()
		graph.Close()
	})
	w.consent(recipients)
	w.files(1000)
	return w
}

func freePort(t testing.TB) int {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port
}

// consent records a grant for every recipient, before the daemon ever runs.
func (w *world) consent(n int) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(w.dir, "janela.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	for len(w.people) < n {
		err := db.Bulk(ctx, func(tx *store.Tx) error {
			for range min(200, n-len(w.people)) {
				p := whatsapp.Phone(fmt.Sprintf("+5511900%06d", len(w.people)))
				w.people = append(w.people, p)
				_, err := optin.Record(tx, optin.Grant{Identity: p.Identity(), Category: whatsapp.Marketing, Source: optin.SourceImport, Actor: "test", At: tx.Now().Add(-time.Hour)})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) files(perSecond int) {
	var csv strings.Builder
	csv.WriteString("telefone,nome,desconto,link\n")
	for i, p := range w.people {
		fmt.Fprintf(&csv, "%s,Ana,20%%,n%d\n", p.E164(), i)
	}
	for name, text := range map[string]string{
		"config.toml": fmt.Sprintf(`
[store]
path = "janela.db"
[whatsapp]
graph_url = %q
senders = %d
send_timeout = "2s"
[[whatsapp.accounts]]
id = %q
[[whatsapp.accounts.numbers]]
id = %q
name = "loja"
per_second = %d
[campaigns]
folder = "campaigns.d"
status = "status"
poll = "50ms"
stable = "100ms"
timezone = "America/Sao_Paulo"
approval = "off"
[http]
listen = "127.0.0.1:%d"
`, w.graph, senders, waba, number, perSecond, w.port),
		"campaigns.d/natal.csv": csv.String(),
		"campaigns.d/natal.toml": `
id = "natal"
category = "marketing"
[template]
name = "oferta_natal"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.body]]
column = "desconto"
[[template.buttons]]
index = 0
type = "quick_reply"
value = "STOP"
[[template.buttons]]
index = 1
type = "url"
column = "link"
[recipients]
file = "natal.csv"
phone_column = "telefone"
[schedule]
at = 2026-01-05T09:00:00
[missed]
policy = "run_once"
max_lateness = "80000h"
`} {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// faults makes a few answers get lost: about four in a hundred.
func (w *world) faults(random *rand.Rand) {
	for range 2 + random.IntN(6) {
		kinds := []sandbox.FaultKind{"reset_after", "reset_after", "http_502_html", "garbage_200", "reset_before", "status_before_answer"}
		// Spread over the audience: five in a row would stop the number, as they
		// should, and the test would wait for the probe.
		f := sandbox.Fault{Kind: kinds[random.IntN(len(kinds))], Process: true, Match: sandbox.Match{Recipient: fmt.Sprintf("%02d", random.IntN(100))}}
		if _, err := w.sandbox.AddFault(f); err != nil {
			w.t.Fatal(err)
		}
	}
}

// start starts the daemon; env comes after, and so over, the usual secrets.
func (w *world) start(env ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, "serve", "--config", filepath.Join(w.dir, "config.toml"))
	cmd.Env = append(os.Environ(), "JANELA_WHATSAPP_TOKEN=sandbox-token", "JANELA_WHATSAPP_APP_SECRET=secret", "JANELA_WHATSAPP_VERIFY_TOKEN=verify")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = io.Discard, &w.logs
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd
}

// settle waits until the campaign is finished and every message has come to its
// end. Some callbacks come a second time much later; they are not waited for.
func (w *world) settle() {
	base := w.baseURL()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		text := w.metrics(base)
		left := 0
		for _, state := range []string{"queued", "sending", "accepted", "sent", "delivered"} {
			left += gauge(text, state)
		}
		if strings.Contains(text, "janela_messages") && left == 0 {
			time.Sleep(2 * time.Second) // statuses of the unknown ones
			return
		}
	}
	w.t.Errorf("the campaign did not end:\n%s", w.metrics(base))
}

func (w *world) baseURL() string {
	b, err := os.ReadFile(filepath.Join(w.dir, "config.toml"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), `listen = "`)
	addr, _, _ := strings.Cut(after, `"`)
	return "http://" + addr
}

func (w *world) metrics(base string) string {
	resp, err := http.Get(base + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// gauge sums janela_messages of a state; -1 when nothing was ever counted.
func gauge(text, state string) int {
	total, any := 0, false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "janela_messages{") {
			continue
		}
		any = true
		if strings.Contains(line, `state="`+state+`"`) {
			_, n, _ := strings.Cut(line, "} ")
			v, _ := strconv.ParseFloat(strings.TrimSpace(n), 64)
			total += int(v)
		}
	}
	if !any {
		return -1
	}
	return total
}

var sqlAll = store.SQL(`SELECT address, state FROM messages ORDER BY id`)

type sentRow struct{ Address, State string }

func (r *sentRow) Fields() []any { return []any{&r.Address, &r.State} }

// judge compares the two ledgers.
func (w *world) judge(kills int) {
	t := w.t
	db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(w.dir, "janela.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows []sentRow
	err = db.Read(context.Background(), func(q *store.Snap) error {
		rows, err = store.All[sentRow](q, sqlAll)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	byState := map[string]int{}
	seen := map[string]bool{}
	lost, unproved := 0, 0
	for _, r := range rows {
		byState[r.State]++
		if seen[r.Address] {
			t.Errorf("two messages for one person in the outbox")
		}
		seen[r.Address] = true
		accepted := w.sandbox.Accepted(r.Address, template)
		switch {
		case accepted > 1:
			t.Errorf("somebody got it %d times", accepted)
		case accepted == 1 && r.State == string(outbox.Unknown):
			unproved++
		case accepted == 0 && r.State != string(outbox.Unknown):
			lost++
		}
	}
	t.Logf("%d kills, %d people: %v; unknown and never received: %d", kills, len(w.people), byState, byState["unknown"]-unproved)
	if len(seen) != len(w.people) {
		t.Errorf("%d of %d people have a message", len(seen), len(w.people))
	}
	if lost > 0 {
		t.Errorf("%d messages count as sent and nobody got them", lost)
	}
	if unproved > 0 {
		t.Errorf("%d unknown messages were received: their statuses should have told", unproved)
	}
	if most := (kills + 1) * 2 * senders; byState["unknown"] > most {
		t.Errorf("%d unknown, more than was in flight at %d kills", byState["unknown"], kills)
	}
	if byState["queued"]+byState["sending"] > 0 {
		t.Errorf("messages were left behind: %v", byState)
	}
}
