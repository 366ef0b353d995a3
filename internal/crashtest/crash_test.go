package crashtest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
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

	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const (
	waba     = "100000000000001"
	number   = "200000000000001"
	template = "oferta_natal"
	senders  = 64
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
	env     []string // of every daemon
	early   string   // where callbacks are posted instead, by a control
	dropped int      // campaigns, by drop
	planned int      // messages of them

	watching sync.WaitGroup
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
	return newWorldIn(t, t.TempDir(), recipients, profile)
}

func newWorldIn(t testing.TB, dir string, recipients int, profile sandbox.Profile) *world {
	w := &world{t: t, dir: dir, binary: program(t, "")}
	daemonPort := freePort(t)
	w.port = daemonPort
	var err error
	w.sandbox, err = sandbox.New(sandbox.Config{Token: "sandbox-token", AppSecret: "secret", VerifyToken: "verify", Seed: 7, Profile: profile,
		WebhookURL: fmt.Sprintf("http://127.0.0.1:%d/webhooks/whatsapp", daemonPort),
		WABAs:      []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: number, Display: "+1 202-555-0100", MessagingLimit: "TIER_UNLIMITED"}}}},
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
	w.files(perSecond)
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

// definition is a campaign that starts at once: its time is over.
const definition = `
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
`

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
reserve_mb = 4
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
		"campaigns.d/natal.csv":  csv.String(),
		"campaigns.d/natal.toml": definition} {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// faults lets about four answers in a hundred get lost: the message is there, and
// nobody says so.
func (w *world) faults() {
	for _, f := range []sandbox.Fault{
		{Kind: sandbox.FaultResetAfter, Chance: 0.02, Count: -1},
		{Kind: sandbox.FaultError, Code: 131000, HTTPStatus: http.StatusInternalServerError, Process: true, Chance: 0.02, Count: -1},
	} {
		if _, err := w.sandbox.AddFault(f); err != nil {
			w.t.Fatal(err)
		}
	}
}

// start starts the daemon; env comes after, and so over, the usual secrets.
func (w *world) start(env ...string) *exec.Cmd {
	cmd := w.command(env...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd
}

func (w *world) command(env ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, "serve", "--config", filepath.Join(w.dir, "config.toml"))
	cmd.Env = append(os.Environ(), "JANELA_WHATSAPP_TOKEN=sandbox-token", "JANELA_WHATSAPP_APP_SECRET=secret", "JANELA_WHATSAPP_VERIFY_TOKEN=verify")
	cmd.Env = append(append(cmd.Env, w.env...), env...)
	cmd.Stdout, cmd.Stderr = io.Discard, &w.logs
	return cmd
}

// settle waits until every message has come to its end, the other side was told
// by a 200 that we know all of it, and every callback is applied. A callback that
// comes a second time, much later, is not waited for.
func (w *world) settle() {
	w.t.Helper()
	if ended, why := w.settles(2*time.Minute + time.Duration(len(w.people))*10*time.Millisecond); !ended {
		w.t.Errorf("it did not come to its end; %s", why)
	}
}

func (w *world) settles(patience time.Duration) (ended bool, why string) {
	base := w.baseURL()
	text, owed := "", 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if text = w.metrics(base); !strings.Contains(text, "janela_messages") {
			continue
		}
		left := 0
		for _, state := range []string{"queued", "sending", "accepted", "sent", "delivered"} {
			left += gauge(text, state)
		}
		if left > 0 {
			continue
		}
		if owed = w.owed(); owed == 0 && w.look("SELECT COUNT(*) FROM callbacks WHERE state = 'stored'")+w.look("SELECT COUNT(*) FROM runs WHERE state IN ('expanding','sending')") == 0 {
			return true, ""
		}
	}
	return false, fmt.Sprintf("of %d messages the last status is still to be posted:\n%s", owed, text)
}

// owed is how many messages of the other side have a status to come.
func (w *world) owed() (n int) {
	w.sandbox.Each(func(s sandbox.Send) bool {
		if s.State != "read" && s.State != "failed" {
			n++
		}
		return true
	})
	return n
}

// look asks the database of a daemon that runs for a number; -1 when it cannot
// be read at this moment.
func (w *world) look(query string) (n int) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "janela.db")+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		return -1
	}
	return n
}

// stop ends a daemon as an operator does.
func (w *world) stop(cmd *exec.Cmd) {
	w.t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("the daemon did not stop well: %v", err)
	}
}

// kill ends a daemon with SIGKILL: nothing is tidied up.
func (w *world) kill(cmd *exec.Cmd) {
	w.t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	_ = cmd.Wait()
}

// sends waits until the other side has n messages; false: it took too long, or
// the process ended.
func (w *world) sends(n int, patience time.Duration) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if w.sandbox.Count() >= n {
			return true
		}
	}
	return false
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

// requeue queues again what was under way when the process died, behind the back
// of the program: what it must never do.
func (w *world) requeue() {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "janela.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE messages SET state = 'queued' WHERE state = 'sending'"); err != nil {
		w.t.Fatal(err)
	}
}

// process is a daemon that may end by itself.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; after done
}

// run starts a daemon that may end by itself.
func (w *world) run(env ...string) *process {
	p := &process{cmd: w.start(env...), done: make(chan struct{})}
	w.watching.Go(func() {
		p.err = p.cmd.Wait()
		close(p.done)
	})
	return p
}

func (p *process) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ends waits for the end of a process, and ends it when that takes too long.
func (p *process) ends(patience time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		return false
	}
}

// drop puts one more campaign into the folder, for the next few people.
func (w *world) drop(people int) {
	name := fmt.Sprintf("c%d", w.dropped)
	var rows strings.Builder
	rows.WriteString("telefone,nome,desconto,link\n")
	for i := range people {
		fmt.Fprintf(&rows, "%s,Ana,20%%,n%d\n", w.people[(w.dropped*people+i)%len(w.people)].E164(), i)
	}
	w.dropped++
	w.planned += people
	folder := filepath.Join(w.dir, "campaigns.d")
	for file, text := range map[string]string{name + ".csv": rows.String(), name + ".toml": strings.ReplaceAll(definition, "natal.csv", name+".csv")} {
		text = strings.Replace(text, `id = "natal"`, `id = "`+name+`"`, 1)
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// door is where people's callbacks are posted.
func (w *world) door() string {
	if w.early != "" {
		return w.early
	}
	return fmt.Sprintf("http://127.0.0.1:%d", w.port)
}
