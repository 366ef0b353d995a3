package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"janela/campaigns"
	"janela/internal/daemon"
	"janela/internal/tomlfile"
)

// block is a fenced block of a page, with what the comment before it says.
type block struct {
	line       int
	lang, text string
	skip       string
}

var blockForm = regexp.MustCompile("(?ms)(?:^<!-- test: skip because ([^\n]*?) -->\n+)?^( *)```([a-z]+)\n(.*?)^ *```")

// blocksOf are the blocks of a page that say what they are. Blocks without a
// language show what is printed.
func blocksOf(page string) (out []block) {
	for _, at := range blockForm.FindAllStringSubmatchIndex(page, -1) {
		part := func(i int) string {
			if at[2*i] < 0 {
				return ""
			}
			return page[at[2*i]:at[2*i+1]]
		}
		out = append(out, block{line: strings.Count(page[:at[6]], "\n") + 1, lang: part(3), text: part(4), skip: part(1)})
	}
	return out
}

// Everything that the README and the pages of docs/ show as commands or files is
// run: commands in the order of the page against a daemon in the sandbox, TOML
// by the decoder. A comment before a block says why one is not:
//
//	<!-- test: skip because it needs systemd -->
//
// The Portuguese README has the blocks of the English one (archtest compares).
func TestPagesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other processes, which the race detector does not see")
	}
	ran, bin := 0, t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "janela")); err != nil {
		t.Fatal(err)
	}
	all := pages(t)
	delete(all, "README.pt-BR.md")
	delete(all, "docs/first-day.md") // testdata/script/cli plays it, block by block
	for name, page := range all {
		var commands []block
		for _, b := range blocksOf(page) {
			at := fmt.Sprintf("%s:%d", name, b.line)
			switch {
			case b.skip != "":
				continue
			case b.lang == "toml":
				decodes(t, at, b.text)
			case b.lang == "json":
				if !json.Valid([]byte(b.text)) {
					t.Errorf("%s: this is no JSON", at)
				}
			case b.lang == "sh" || b.lang == "csv":
				commands = append(commands, b)
			case b.lang != "python" && b.lang != "yaml" && b.lang != "ini":
				t.Errorf("%s: nobody knows how to run %q", at, b.lang)
			}
			ran++
		}
		if len(commands) > 0 {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				play(t, bin, name, commands)
			})
		}
	}
	if ran < 40 {
		t.Errorf("only %d blocks were run", ran)
	}
}

// decodes reads a file of a page as the program would: a definition, a whole
// configuration, or a part of one.
func decodes(t *testing.T, at, text string) {
	t.Helper()
	var problems tomlfile.Problems
	switch {
	case strings.Contains(text, "[recipients]"):
		_, _, problems = campaigns.ParseDefinition("-", []byte(text))
	default:
		cfg := daemon.Defaults()
		_, problems = tomlfile.Decode("config.toml", []byte(text), &cfg)
	}
	if problems.HasErrors() {
		t.Errorf("%s: %v", at, problems)
	}
	if !strings.Contains(text, "[[whatsapp.accounts]]") {
		return
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "app-secret", "verify-token"} {
		if err := os.WriteFile(filepath.Join(dir, "secrets", name), []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Load(path, nil); err != nil {
		t.Errorf("%s: %v", at, err)
	}
}

// preamble makes what a page's commands rely on: curl fails where the answer is an
// error, and a stream is read for a second. last is the latest id that came.
const preamble = `set -eo pipefail
curl() {
	local code=0
	case " $* " in *" -sN "*) command curl --max-time 1 "$@" || code=$?; [ $code = 28 ]; return;; esac
	command curl --fail-with-body "$@" | tee -a answers
}
last() { grep -oE '"id": ?"[a-z_0-9]+"' answers | tail -1 | grep -oE '[a-z]*_?[0-9a-z]+"$' | tr -d '"'; }
`

// play runs the commands of a page in one shell, in order.
func play(t *testing.T, bin, name string, blocks []block) {
	dir := t.TempDir()
	var listens, manages, prelude string
	var between string // registers the address again that the page takes away
	if name == "docs/sandbox.md" {
		var app string
		manages, app = sandboxAlone(t, bin, dir)
		prelude = fmt.Sprintf(aCode, manages)
		between = fmt.Sprintf("command curl -s --fail-with-body http://%s/sandbox/app -d '{\"callback_url\": \"%s\"}'\n", manages, app)
	} else {
		listens, manages = daemonOf(t, bin, dir)
		prelude = fmt.Sprintf(before, allScopes, manages, listens)
	}
	for _, sub := range []string{"backup", "etc/secrets"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var script strings.Builder
	script.WriteString(preamble + prelude)
	replace := strings.NewReplacer("go run ./cmd/janela", "janela", "localhost:8790", listens, "127.0.0.1:8790", listens, "localhost:8791", manages, "127.0.0.1:8791", manages,
		"/backup/", "backup/", "/etc/janela/", "etc/", "223640995430412", "$(last)")
	for _, b := range blocks {
		fmt.Fprintf(&script, "echo '=== line %d'\n", b.line)
		if b.lang == "csv" { // the only files of this kind are lists of consents
			fmt.Fprintf(&script, "cat >consents.csv <<'END'\n%sEND\njanela optin import --source pages consents.csv\n", b.text)
			continue
		}
		script.WriteString(replace.Replace(b.text) + "\n" + between)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a command that does not end is named, and nothing hangs
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.WaitDelay = time.Second
	cmd.Dir, cmd.Env = dir, pageEnv(bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v after the last of these lines:\n%s", name, err, out)
	}
}

// before is what a page finds: a person who wrote to us and got an answer, and a
// campaign that has not been uploaded yet.
const before = `KEY=$(janela keys add pages --scope %s --plain)
command curl -s http://%s/sandbox/inbound -d '{"from": "+5511900000001", "text": "Oi"}'
for try in $(seq 100); do # until the window is open
	command curl -s --fail-with-body http://%s/v1/messages -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -H "Idempotency-Key: page-$try" \
		-d '{"to": "+5511900000001", "text": {"body": "Oi!"}}' >answers && break
	sleep 0.1
done
sed 's/^id = .*/id = "angebot"/; s/natal.csv/kunden.csv/' campaigns.d/natal.toml >angebot.toml
cp campaigns.d/natal.csv kunden.csv
`

// aCode is sent to a person of the sandbox, who says later that they did not ask.
const aCode = `command curl -s --fail-with-body http://%s/v25.0/200000000000001/messages -H 'Authorization: Bearer sandbox-token' -H 'Content-Type: application/json' -d '{
	"messaging_product": "whatsapp", "to": "+5511900000001", "type": "template", "template": {"name": "codigo_acesso", "language": {"code": "pt_BR"}, "components": [
	{"type": "body", "parameters": [{"type": "text", "text": "123456"}]}, {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}]}}'
`

// allScopes is what the key of a page without its own may do.
const allScopes = "message:send,message:read,optin:write,optin:read,campaign:write,campaign:read"

func pageEnv(bin string) []string {
	return []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + os.TempDir(), "TZ=UTC", "NO_COLOR=1",
		"JANELA_HTTP_LISTEN=127.0.0.1:0", "JANELA_CONSOLE_LISTEN=127.0.0.1:0", "JANELA_SANDBOX_LISTEN=127.0.0.1:0", "JANELA_SANDBOX_QUIET=true", "JANELA_STORE_RESERVE_MB=1"}
}

// started starts a process of a page, and waits until its log matches.
func started(t *testing.T, bin, dir string, until *regexp.Regexp, args ...string) []byte {
	t.Helper()
	path := filepath.Join(dir, "process.log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "janela"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, pageEnv(bin), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b, _ := os.ReadFile(path)
			t.Errorf("janela %s ended with %v:\n%s", strings.Join(args, " "), err, b)
		}
		_ = log.Close()
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if until.Match(b) {
			return b
		}
		if time.Now().After(end) {
			t.Fatalf("janela %s does not start:\n%s", strings.Join(args, " "), b)
		}
	}
}

// daemonOf runs the repository's own configuration in a folder.
func daemonOf(t *testing.T, bin, dir string) (listens, manages string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte(`unit = ""`), []byte(`unit = "varejo"`), 1) // of which the pages speak
	b = append(b, "\n[[hooks]]\nname = \"screen\"\nmode = \"stream\"\n"...)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "campaigns.d"), os.DirFS(filepath.Join(repository, "campaigns.d"))); err != nil {
		t.Fatal(err)
	}
	log := started(t, bin, dir, public, "serve")
	return string(public.FindSubmatch(log)[1]), hostOf(management.FindSubmatch(log))
}

// sandboxAlone runs the sandbox with somebody who takes its callbacks.
func sandboxAlone(t *testing.T, bin, dir string) (manages, url string) {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.URL.Query().Get("hub.challenge")))
	}))
	t.Cleanup(app.Close)
	log := started(t, bin, dir, management, "sandbox", "--listen", "127.0.0.1:0", "--webhook", app.URL, "--quiet")
	return hostOf(management.FindSubmatch(log)), app.URL
}

// hostOf is the address in what management finds.
func hostOf(m [][]byte) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(string(m[1]), "http://"), "/")
	return host
}
