//go:build e2e

package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// house is the program, running on its sandbox.
type house struct {
	bin, dir, console string
	log               string
	env               []string
}

var consoleLine = regexp.MustCompile(`the web console is there[^\n]*"address":"([^"]+)"`)

// start builds the program and runs it in a folder of its own.
func start(t *testing.T, env ...string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{bin: filepath.Join(dir, "janela"), dir: dir, log: filepath.Join(dir, "log"), env: env}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", h.bin, "janela/cmd/janela")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config, err := os.ReadFile("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "campaigns.d"), os.DirFS("../../campaigns.d")); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(h.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	serve := h.command(ctx, "serve")
	serve.Stdout, serve.Stderr = out, out
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	serve.WaitDelay = 20 * time.Second
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = serve.Wait(); _ = out.Close() })
	h.await(t, "the console", func() bool {
		text, _ := os.ReadFile(h.log)
		if m := consoleLine.FindSubmatch(text); m != nil {
			h.console = string(m[1])
		}
		return h.console != ""
	})
	h.await(t, "messages that were delivered", func() bool {
		var s struct{ Messages map[string]int }
		return json.Unmarshal(h.run(t, "status", "-o", "json"), &s) == nil && s.Messages["delivered"]+s.Messages["read"] > 0
	})
	return h
}

func (h *house) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, h.bin, args...)
	c.Dir = h.dir
	c.Env = append(os.Environ(), "JANELA_HTTP_LISTEN=127.0.0.1:0", "JANELA_CONSOLE_LISTEN=127.0.0.1:0", "JANELA_SANDBOX_LISTEN=127.0.0.1:0", "JANELA_SANDBOX_QUIET=true",
		"JANELA_CAMPAIGNS_APPROVAL=marketing", "JANELA_STORE_RESERVE_MB=1", "JANELA_LOG_FORMAT=json")
	c.Env = append(c.Env, h.env...)
	return c
}

// run runs a command and returns what it printed.
func (h *house) run(t *testing.T, args ...string) []byte {
	t.Helper()
	c := h.command(t.Context(), args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("janela %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out
}

func (h *house) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			text, _ := os.ReadFile(h.log)
			t.Fatalf("waited two minutes for %s\n%s", what, text)
		}
	}
}

var linkLine = regexp.MustCompile(`/login\?once=\S+`)

// link is the path by which one login is possible.
func (h *house) link(t *testing.T) string {
	t.Helper()
	return linkLine.FindString(string(h.run(t, "console")))
}

// browser is one window, and what went wrong in it.
type browser struct {
	t      *testing.T
	h      *house
	ctx    context.Context
	mu     sync.Mutex
	bad    []string
	shot   string // folder of pictures; "" for none
	script bool   // scripts run
}

// open opens a window: its language, colours and width.
func (h *house) open(t *testing.T, language, scheme string, width int64, script bool) *browser {
	t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(end)
	alloc, free := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("accept-lang", language), chromedp.Flag("lang", language), chromedp.WindowSize(int(width), 900))...)
	t.Cleanup(free)
	ctx, shut := chromedp.NewContext(alloc)
	t.Cleanup(shut)
	b := &browser{t: t, h: h, ctx: ctx, shot: os.Getenv("SHOTS"), script: script}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	check("open a window", chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)))
	check("listen", chromedp.Listen(ctx, b.hear))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	check("hear its log", err)
	_, err = chromedp.Call(ctx, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}})
	check("set the language", err)
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	check("set the colours", err)
	if !script {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		check("switch scripts off", err)
	}
	return b
}

// hear notes what a person would see in the browser's console, and everything
// that the policy forbade.
func (b *browser) hear(event any) {
	var text string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = "exception: " + e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text = fmt.Sprintf("console %s", e.Type)
			for _, a := range e.Args {
				text += " " + string(a.Value) + a.Description
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			text = fmt.Sprintf("log %s (%s): %s %s", e.Entry.Level, e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if text != "" {
		b.mu.Lock()
		b.bad = append(b.bad, text)
		b.mu.Unlock()
	}
}

// do runs actions; what fails ends the test and shows the page.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	_ = get(b, what, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Steps(actions...)(ctx, t)
	})
}

// get is do for an action that returns something.
func get[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.ctx, 30*time.Second)
	defer end()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		at, _ := chromedp.Run(b.ctx, chromedp.Location())
		text, _ := chromedp.Run(b.ctx, chromedp.OuterHTML(chromedp.CSS("html")))
		b.t.Fatalf("%s: %v\nat %s\n%s", what, err, at, text)
	}
	return out
}

// quiet fails the test when anything was heard.
func (b *browser) quiet(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.bad {
		b.t.Errorf("%s: %s", where, text)
	}
	b.bad = nil
}

// visit opens a page of the console.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.h.console+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// login logs in by a link.
func (b *browser) login() {
	b.t.Helper()
	b.visit(b.h.link(b.t))
	b.do("log in", chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("nav.side")))
}

// text is what a page shows.
func (b *browser) text(sel string) string {
	b.t.Helper()
	return get(b, "read "+sel, chromedp.Text(chromedp.CSS(sel)))
}

// links are the pages of ours that a page leads to.
func (b *browser) links() []string {
	b.t.Helper()
	return get(b, "find links", chromedp.Evaluate[[]string](`[...document.querySelectorAll("a[href^='/']")].map(a => a.getAttribute("href"))`))
}

// picture keeps the whole page.
func (b *browser) picture(name string) {
	b.t.Helper()
	if b.shot == "" {
		return
	}
	png := get(b, "take a picture", chromedp.FullScreenshot(100))
	if err := os.MkdirAll(b.shot, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.shot, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// axe asks axe-core, and fails on what it calls serious or critical.
func (b *browser) axe(where string) {
	b.t.Helper()
	source, err := os.ReadFile(os.Getenv("AXE"))
	if err != nil {
		b.t.Fatalf("AXE must name axe.min.js: %v", err)
	}
	get(b, "load axe", chromedp.Evaluate[string](string(source)+`;""`))
	for _, v := range get(b, "ask axe", chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html + " [" + n.failureSummary + "]").join(" | ")))`, chromedp.EvalAwaitPromise)) {
		b.t.Errorf("%s: axe: %s", where, v)
	}
}
