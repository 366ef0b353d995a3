package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"janela/internal/httpapi"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"janela": main})
}

// scriptConfig is every script's config.toml, unless it brings its own. The
// public port is any free one.
const scriptConfig = `
[store]
path = "var/janela.db"
[[whatsapp.accounts]]
id = "100000000000001"
  [[whatsapp.accounts.numbers]]
  id = "200000000000001"
  name = "loja"
[sandbox]
quiet = true
latency = "1ms"
[campaigns]
folder = "campaigns.d"
status = "var/status"
poll = "50ms"
stable = "100ms"
timezone = "America/Sao_Paulo"
test_numbers = ["+5511900000001"]
`

// TestScripts runs the command line as real processes. Beside testscript's own
// commands there are
//
//	serve             start the daemon and wait until it is ready
//	stop              end it with SIGTERM; its exit code must be 0
//	hangup            send it SIGHUP, and wait until it has read its configuration
//	inbound FROM TEXT a person writes to us, by the sandbox
//	sandbox PATH JSON anything else of the sandbox's management
//	exits CODE CMD…   run a command that must end with this code
//	until RE CMD…     run a command again until its output matches, 10 s at most
//	capture VAR RE    keep what the group in RE finds in stdout
//	clean             nothing logged by the daemon names a full number
//	same-csv KEY PATH CMD…       the command and the API write the same CSV
//	matches KEY PATH CMD…        what the command prints as JSON is what the API answers, but what is masked or moves
//	agrees KEY PATH LEAST CMD…  the list of a command and that of the API have the same numbers
//	clone             brings the repository's own config.toml and campaigns.d
//	meta start FLAGS  a sandbox of its own stands for Meta, at $META
//	meta PATH JSON    its management: meta app '{"date_offset": "5m"}'
//	port VAR          a free port
//	firstday N        runs a block of docs/first-day.md
//	readme HEADING    runs the commands below a heading of the README, against
//	                  the script's program and the daemon's own ports
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "script", "cli", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if testing.Short() { // under the race detector a part must do: most of it runs other processes
		files = slices.DeleteFunc(files, func(f string) bool {
			name := filepath.Base(f)
			return name != "daemon.txtar" && name != "otp.txtar"
		})
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			e.Setenv("JANELA_HTTP_LISTEN", "127.0.0.1:0")
			e.Setenv("JANELA_CONSOLE_LISTEN", "127.0.0.1:0")
			e.Setenv("JANELA_STORE_RESERVE_MB", "4") // whatever is free on this disk
			e.Setenv("TZ", "UTC")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("ACTOR", httpapi.UserName(os.Getuid()))
			if err := os.MkdirAll(filepath.Join(e.WorkDir, "campaigns.d"), 0o700); err != nil {
				return err
			}
			path := filepath.Join(e.WorkDir, "config.toml")
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				return os.WriteFile(path, []byte(scriptConfig), 0o600)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": serveCmd, "stop": stopCmd, "inbound": inboundCmd, "sandbox": sandboxCmd, "exits": exitsCmd, "until": untilCmd, "capture": captureCmd, "clean": cleanCmd,
			"hangup": hangupCmd, "agrees": agreesCmd, "matches": matchesCmd, "same-csv": sameCSVCmd, "clone": cloneCmd, "readme": readmeCmd, "meta": metaCmd, "port": portCmd, "firstday": firstdayCmd,
		},
	})
}

// janelaOf finds the program that testscript made.
func janelaOf(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		p := filepath.Join(dir, "janela")
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	ts.Fatalf("janela is not in PATH")
	return ""
}

// environ is what a script has set, for processes that we start ourselves.
func environ(ts *testscript.TestScript) (out []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "NO_COLOR", "GOCOVERDIR", "JANELA_HTTP_LISTEN", "JANELA_CONSOLE_LISTEN", "JANELA_SANDBOX_LISTEN", "JANELA_CAMPAIGNS_APPROVAL",
		"JANELA_WHATSAPP_GRAPH_URL", "JANELA_WHATSAPP_CALLBACK_URL", "JANELA_STORE_RESERVE_MB"} {
		if v := ts.Getenv(name); v != "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// served are the daemons of scripts, by working directory.
var served sync.Map

// background is a daemon under way.
type background struct {
	cmd *exec.Cmd
	log string
}

func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serve")
	}
	d := &background{cmd: exec.Command(janelaOf(ts), "serve"), log: ts.MkAbs("serve.log")}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	d.cmd.Dir, d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = ts.MkAbs("."), environ(ts), log, log
	ts.Check(d.cmd.Start())
	ts.Check(log.Close())
	served.Store(ts.MkAbs("."), d)
	ts.Defer(func() {
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
	})
	for until := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(d.log)
		ts.Check(err)
		if bytes.Contains(b, []byte("janela is running")) {
			return
		}
		if time.Now().After(until) || d.cmd.Process.Signal(syscall.Signal(0)) != nil {
			ts.Fatalf("the daemon did not start:\n%s", b)
		}
	}
}

func running(ts *testscript.TestScript) *background {
	d, ok := served.Load(ts.MkAbs("."))
	if !ok {
		ts.Fatalf("no daemon was started")
	}
	return d.(*background)
}

func stopCmd(ts *testscript.TestScript, neg bool, args []string) {
	d := running(ts)
	ts.Check(d.cmd.Process.Signal(syscall.SIGTERM))
	if err := d.cmd.Wait(); err != nil {
		b, _ := os.ReadFile(d.log)
		ts.Fatalf("the daemon ended with %v:\n%s", err, b)
	}
	served.Delete(ts.MkAbs("."))
}

// hangupCmd lets the daemon read its configuration again.
func hangupCmd(ts *testscript.TestScript, neg bool, args []string) {
	d := running(ts)
	before, err := os.ReadFile(d.log)
	ts.Check(err)
	ts.Check(d.cmd.Process.Signal(syscall.SIGHUP))
	for until := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(d.log)
		ts.Check(err)
		if bytes.Contains(b[len(before):], []byte(`"by":"SIGHUP"`)) {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("SIGHUP did nothing:\n%s", b)
		}
	}
}

var management = regexp.MustCompile(`"management":"([^"]+)"`)

func inboundCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: inbound FROM TEXT")
	}
	body, err := json.Marshal(map[string]string{"from": args[0], "text": args[1]})
	ts.Check(err)
	managed(ts, "inbound", string(body))
}

// sandboxCmd asks the sandbox for something: sandbox faults '{"kind": …}'.
func sandboxCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sandbox PATH JSON")
	}
	managed(ts, args[0], args[1])
}

func managed(ts *testscript.TestScript, path, body string) {
	log, err := os.ReadFile(running(ts).log)
	ts.Check(err)
	found := management.FindAllSubmatch(log, -1)
	if found == nil {
		ts.Fatalf("the log does not tell where the sandbox is managed:\n%s", log)
	}
	resp, err := http.Post(string(found[len(found)-1][1])+path, "application/json", strings.NewReader(body))
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("the sandbox answered %s", resp.Status)
	}
}

func exitsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// untilCmd runs "until PATTERN COMMAND…" until the command's output matches.
func untilCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND…")
	}
	re := regexp.MustCompile(args[0])
	// The tries are quiet; what is seen at last, the script can look at.
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		cmd := exec.Command(janelaOf(ts), args[2:]...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
		if out, err := cmd.Output(); err == nil && re.Match(out) {
			break
		}
	}
	err := ts.Exec(args[1], args[2:]...)
	if out := ts.ReadFile("stdout"); err != nil || !re.MatchString(out) {
		ts.Fatalf("no %q within 10 s: %v\n%s%s", args[0], err, out, ts.ReadFile("stderr"))
	}
}

func captureCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture VAR PATTERN")
	}
	out := ts.ReadFile("stdout")
	m := regexp.MustCompile(args[1]).FindStringSubmatch(out)
	if len(m) != 2 {
		ts.Fatalf("no %q with one group in\n%s", args[1], out)
	}
	ts.Setenv(args[0], m[1])
}

var fullNumber = regexp.MustCompile(`(55119\d{8}|1202555\d{4})`)

func cleanCmd(ts *testscript.TestScript, neg bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs("serve.log"))
	ts.Check(err)
	for _, secret := range append(args, fullNumber.FindString(string(b))) {
		if secret != "" && strings.Contains(string(b), secret) {
			ts.Fatalf("the log names %q", secret)
		}
	}
	if len(b) == 0 {
		ts.Fatalf("there is no log to look at")
	}
}

var repository = filepath.Join("..", "..")

func cloneCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range []string{"config.toml", "campaigns.d"} {
		to, from := ts.MkAbs(name), filepath.Join(repository, name)
		ts.Check(os.RemoveAll(to))
		if info, err := os.Stat(from); err == nil && info.IsDir() {
			ts.Check(os.CopyFS(to, os.DirFS(from)))
			continue
		}
		b, err := os.ReadFile(from)
		ts.Check(err)
		ts.Check(os.WriteFile(to, b, 0o600))
	}
}

var public = regexp.MustCompile(`"msg":"janela is running","http":"([^"]+)"`)

func readmeCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: readme HEADING")
	}
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	ts.Check(err)
	_, section, ok := strings.Cut(string(text), "\n## "+args[0]+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, ok2 := strings.Cut(section, "\n```sh\n")
	lines, _, ok3 := strings.Cut(block, "\n```")
	if !ok || !ok2 || !ok3 {
		ts.Fatalf("the README has no commands below %q", args[0])
	}
	log, err := os.ReadFile(running(ts).log)
	ts.Check(err)
	listens, manages := public.FindSubmatch(log), management.FindSubmatch(log)
	if listens == nil || manages == nil {
		ts.Fatalf("the log does not tell where the daemon and its sandbox listen:\n%s", log)
	}
	for from, to := range map[string]string{
		"go run ./cmd/janela": "janela", "localhost:8790": string(listens[1]),
		"localhost:8791/sandbox/": strings.TrimPrefix(string(manages[1]), "http://"),
	} {
		if !strings.Contains(lines, from) {
			ts.Fatalf("the README's commands do not contain %q:\n%s", from, lines)
		}
		lines = strings.ReplaceAll(lines, from, to)
	}
	ts.Logf("%s", lines)
	ts.Check(ts.Exec("sh", "-e", "-c", lines))
}
