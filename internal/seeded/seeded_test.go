package seeded

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// seed is one bug.
type seed struct {
	bug      string
	file     string
	old, new string   // old stands in file once
	pkg      string   // whose test must fail
	run      string   // that test
	env      []string // for the test
}

// seeds are bugs that daemons of this kind have had: each would send twice, lose
// something, or send what must not be sent.
var seeds = []seed{
	{bug: "the retry rule of the library: any error, any 5xx", file: "internal/whatsapp/cloudapi/client.go",
		old: "c.sends.CheckRetry = retryUnsent", new: "c.sends.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {\n\t\treturn retryablehttp.DefaultRetryPolicy(ctx, resp, err)\n\t}\n\t_ = retryUnsent",
		pkg: "./internal/whatsapp/cloudapi", run: "^TestSendFaultMatrix$"},
	{bug: "net/http may get the body again (HTTP/2 resets)", file: "internal/whatsapp/cloudapi/call.go",
		old: "k.req.GetBody = nil", new: "_ = k.req.GetBody",
		pkg: "./internal/whatsapp/cloudapi", run: "^TestSendStreamResets$"},
	{bug: "an Idempotency-Key makes net/http repeat a POST", file: "internal/whatsapp/cloudapi/send.go",
		old: "\"Content-Type\": {\"application/json\"},", new: "\"Content-Type\": {\"application/json\"}, \"Idempotency-Key\": {\"1\"},",
		pkg: "./internal/whatsapp/cloudapi", run: "^TestSend"},
	{bug: "redirects are followed with the message", file: "internal/whatsapp/cloudapi/client.go",
		old: "return http.ErrUseLastResponse", new: "return nil",
		pkg: "./internal/whatsapp/cloudapi", run: "^TestSendQuickRetryOfARedirect$"},
	{bug: "sent first, marked afterwards", file: "internal/outbox/claim.go",
		old: "UPDATE messages SET state = 'sending', attempt = attempt + 1", new: "UPDATE messages SET state = 'queued', attempt = attempt + 1",
		pkg: "./internal/dispatch", run: "^TestCrashTurnsSendingIntoUnknown$"},
	{bug: "what was in flight is queued again after a crash", file: "internal/outbox/settle.go",
		old: "To: Unknown, Reason: ReasonRestart}", new: "To: Queued, Reason: ReasonRestart}",
		pkg: "./internal/dispatch", run: "^TestCrashTurnsSendingIntoUnknown$"},
	{bug: "synchronous=NORMAL, the driver's default", file: "internal/store/conn.go",
		old: "\tq.Set(\"_txlock\", \"immediate\")\n", new: "\tq.Set(\"_txlock\", \"immediate\")\n\tq.Set(\"_synchronous\", \"NORMAL\")\n",
		pkg: "./internal/store", run: "^TestEveryConnection"},
	{bug: "a transaction that takes its lock at its first write", file: "internal/store/writer.go",
		old: "BEGIN IMMEDIATE", new: "BEGIN DEFERRED",
		pkg: "./internal/store", run: "^TestATurnHoldsTheLockFromItsBeginning$"},
	{bug: "the gate is not asked in the claim's transaction", file: "internal/gate/claim.go",
		old: "v := Decide(o.Stream, waits, rows[i].facts(), now)", new: "v := Verdict{Kind: Go}",
		pkg: "./internal/gate", run: "^TestClaim"},
	{bug: "a callback is acknowledged before it is on disk", file: "internal/intake/handler.go",
		old: "if err := in.keep(r.Context(), body, in.cfg.Hooks.Callback(body, r.Header)); err != nil {",
		new: "go func() { _ = in.keep(context.WithoutCancel(r.Context()), body, in.cfg.Hooks.Callback(body, r.Header)) }()\n\tif err := error(nil); err != nil {",
		pkg: "./internal/intake", run: "^TestStoreFailure$"},
	{bug: "a run is known by its instant, not by its civil minute", file: "scheduler/schedule.go",
		old: "ON CONFLICT (schedule_key, civil, zone) DO UPDATE SET due_at = excluded.due_at, state = 'due', note = '', settled_at = 0\n\t\tWHERE slots.state IN ('due', 'cancelled')",
		new: "ON CONFLICT (schedule_key, civil, zone) DO UPDATE SET due_at = excluded.due_at, state = 'due', note = '', settled_at = 0",
		pkg: "./scheduler", run: "^Test(SingleDate|Put|Nothing)"},
	{bug: "ids begin lower after the clock stepped back", file: "internal/store/ids.go",
		old: "if at := (tx.now - idEpoch) << idShift; at > tx.ids.next {", new: "if at := (tx.now - idEpoch) << idShift; at != tx.ids.next>>idShift<<idShift {",
		pkg: "./internal/store", run: "^TestIDsNeverComeAgain$"},
}

// TestSeededBugs takes minutes, so it runs only when it is asked for.
func TestSeededBugs(t *testing.T) {
	if os.Getenv("SEEDED") == "" {
		t.Skip("takes minutes: SEEDED=1 go test ./internal/seeded -v")
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	house := copied(t, root)
	only := regexp.MustCompile(os.Getenv("SEEDED_ONLY"))
	for _, s := range seeds {
		t.Run(s.bug, func(t *testing.T) {
			if !only.MatchString(s.bug) {
				t.Skip("not asked for")
			}
			path := filepath.Join(house, filepath.FromSlash(s.file))
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(whole), s.old); n != 1 {
				t.Fatalf("%s holds what is to be changed %d times: bring the seed up to date", s.file, n)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(whole), s.old, s.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := os.WriteFile(path, whole, 0o600); err != nil {
					t.Fatal(err)
				}
			}()
			begun := time.Now()
			build := exec.Command("go", "test", "-run", "^$", s.pkg)
			build.Dir = house
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("with the bug it does not build:\n%s", out)
			}
			cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout", "5m", "-run", s.run, s.pkg)
			cmd.Dir, cmd.Env = house, append(os.Environ(), s.env...)
			out, err := cmd.CombinedOutput()
			if bytes.Contains(out, []byte("no tests to run")) {
				t.Fatalf("%s has no test %s any more: bring the seed up to date", s.pkg, s.run)
			}
			if err == nil {
				t.Fatalf("%s %s passes with the bug in it", s.pkg, s.run)
			}
			failed := regexp.MustCompile(`(?m)^--- FAIL: (\w+)`).FindAllStringSubmatch(string(out), -1)
			if len(failed) == 0 {
				t.Fatalf("the test did not fail but break:\n%s", out)
			}
			t.Logf("| %s | %s `%s` | %.0f s |", s.bug, s.pkg, failed[0][1], time.Since(begun).Seconds())
		})
	}
}

// copied copies what git knows of the house, with its changes.
func copied(t *testing.T, root string) string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	to := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		body, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
