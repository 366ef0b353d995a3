package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/tomlfile"
)

// everyCommand walks the tree of what can be run.
func everyCommand(fn func(c *cobra.Command)) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Runnable() && !sub.Hidden {
				fn(sub)
			}
			walk(sub)
		}
	}
	walk(newRoot())
}

// Every list can be had as a table, as CSV and as JSON, in that order of the
// default: a command called list, one that says it lists, and one whose group
// lists by itself.
func TestEveryListHasEveryFormat(t *testing.T) {
	lists := 0
	everyCommand(func(c *cobra.Command) {
		group := slices.ContainsFunc(c.Commands(), func(s *cobra.Command) bool { return s.Name() == "list" })
		if c.Name() != "list" && !group && !strings.HasPrefix(c.Short, "List ") && !slices.Contains([]string{"report", "messages", "show PHONE"}, c.Name()) {
			return
		}
		lists++
		flag := c.Flags().Lookup("output")
		if flag == nil {
			t.Errorf("%s has no -o", c.CommandPath())
			return
		}
		f := flag.Value.(*format)
		if f.value != asTable || !slices.Contains(f.allowed, asCSV) || !slices.Contains(f.allowed, asJSON) {
			t.Errorf("%s -o takes %v", c.CommandPath(), f.allowed)
		}
	})
	if lists < 18 {
		t.Errorf("only %d lists were found", lists)
	}
}

// What takes -o takes JSON, and every command says what it does.
func TestEveryCommand(t *testing.T) {
	everyCommand(func(c *cobra.Command) {
		if f := c.Flags().Lookup("output"); f != nil && !strings.Contains(f.Value.Type(), asJSON) {
			t.Errorf("%s -o knows no JSON", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s says %q", c.CommandPath(), c.Short)
		}
	})
}

// Only what asks no daemon refuses to be told which one.
func TestSocketWhereItMeansSomething(t *testing.T) {
	refused := func(name string) bool {
		c, rest, err := newRoot().Find(strings.Fields(name))
		if err != nil || len(rest) > 0 {
			t.Fatalf("janela %s: %v", name, err)
		}
		if err := c.ParseFlags([]string{"--socket", "x"}); err != nil {
			t.Fatal(err)
		}
		return refuseSocket(c, nil) != nil
	}
	for _, own := range askNobody {
		if !refused(own) {
			t.Errorf("janela %s takes --socket", own)
		}
	}
	for _, name := range []string{"hold", "release", "status", "top", "unknown list", "campaigns pause", "reload", "healthcheck"} {
		if refused(name) {
			t.Errorf("janela %s does not take --socket", name)
		}
	}
}

// docs/commands.md has the exit codes of the program.
func TestExitCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| exit code | meaning |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/commands.md has lost its table")
	}
	var want, got strings.Builder
	for _, e := range exitCodes {
		want.WriteString("| " + number(int64(e.code)) + " | " + e.meaning + " |\n")
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		got.WriteString(line)
	}
	if diff := cmp.Diff(want.String(), got.String()); diff != "" {
		t.Errorf("(-program +docs):\n%s", diff)
	}
}

// Every error names what to do next.
func TestHints(t *testing.T) {
	root := newRoot()
	at := func(path string) *cobra.Command {
		c, _, err := root.Find(strings.Fields(path))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tt := range []struct {
		cmd  string
		err  error
		want string
	}{
		{"campaigns pause", &httpapi.Problem{Title: "not found", Status: http.StatusNotFound, Code: httpapi.CodeNotFound}, "janela campaigns list shows"},
		{"keys revoke", &httpapi.Problem{Title: "not found", Status: http.StatusNotFound, Code: httpapi.CodeNotFound}, "janela keys list shows"},
		{"optin show", &httpapi.Problem{Title: "not found", Status: http.StatusNotFound, Code: httpapi.CodeNotFound}, "janela help optin show"},
		{"reply", &httpapi.Problem{Title: "the request is not valid", Status: http.StatusBadRequest, Code: httpapi.CodeInvalid}, "janela help reply"},
		{"status", &httpapi.Problem{Title: "something broke", Status: 500, Code: httpapi.CodeInternal}, "janela doctor"},
		{"unknown resolve", &httpapi.Problem{Title: "refused", Status: 409, Code: httpapi.CodeRefused}, "janela unknown list shows how"},
		{"hold", &httpapi.Problem{Title: "refused", Status: 409, Code: httpapi.CodeRefused}, "janela status"},
		{"holds", failure{fs.ErrPermission}, "runuser -u janela -- janela holds"},
		{"backup", fs.ErrExist, "another name"},
		{"optin import", &fs.PathError{Op: "open", Path: "x.csv", Err: syscall.ENOENT}, "look at the path"},
		{"optin import", failure{&fs.PathError{Op: "open", Path: "x.db", Err: syscall.ENOENT}}, "janela doctor --offline"},
		{"serve", failure{&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}}, "another address"},
		{"serve", failure{errors.New("it broke")}, "janela doctor --offline"},
		{"restore", daemon.ErrLocked, "janela status"},
		{"status", failure{context.Canceled}, "run janela status again"},
		{"hold", errors.New("accepts between 1 and 2 arg(s), received 0"), "janela help hold"},
		{"", errors.New(`unknown command "nonsense" for "janela"`), "janela help"},
		{"serve", tomlfile.Problems{{File: "config.toml", Line: 1, Column: 1, Message: "wrong"}}, "janela doctor"},
		{"serve", errors.New("what is wrong\n  and what to do"), "and what to do"},
		{"serve", errors.New("it is so: janela clock --accept"), "janela clock --accept"},
	} {
		got := withHint(at(tt.cmd), tt.err)
		if !strings.HasPrefix(got, tt.err.Error()) || !strings.Contains(got, tt.want) || strings.Count(got, "\n  ") > 1 {
			t.Errorf("%s: %q, want %q", tt.cmd, got, tt.want)
		}
	}
}

// Colours are for terminals only, and for nobody who wants none.
func TestColoured(t *testing.T) {
	if coloured(&bytes.Buffer{}) {
		t.Error("a file has colours")
	}
	f, err := os.CreateTemp(t.TempDir(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if coloured(f) {
		t.Error("a file has colours")
	}
}

var flowBegun = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// What top shows follows from two looks.
func TestTopView(t *testing.T) {
	lanes := func(marketing map[outbox.State]int64) []httpapi.LaneFlow {
		return []httpapi.LaneFlow{{Lane: "authentication", Messages: map[outbox.State]int64{outbox.Read: 5}}, {Lane: "utility"}, {Lane: "marketing", Messages: marketing}}
	}
	before := httpapi.Flow{Now: flowBegun, Lanes: lanes(map[outbox.State]int64{outbox.Queued: 100, outbox.Accepted: 10})}
	now := httpapi.Flow{Now: flowBegun.Add(2 * time.Second), Lanes: lanes(map[outbox.State]int64{outbox.Queued: 60, outbox.Sending: 4, outbox.Accepted: 36, outbox.Delivered: 8, outbox.Refused: 2})}
	var v view
	v.Holds = []httpapi.HoldLine{{Scope: "category", Target: "utility", Reason: "operator", State: "standing"}, {Scope: "all", Reason: "operator", State: "over"}}
	v.fill(httpapi.Status{Version: "v1", Health: &httpapi.Health{Ready: true, Alerts: []string{"look\x1b[31m here"}}}, before, now)
	if got := v.Lanes[2]; got != (laneView{Lane: "marketing", Minute: 38 * 30, Queued: 60, InFlight: 4, Left: 48}) {
		t.Errorf("%+v", got)
	}
	want := map[string]int64{"queued": 64, "accepted": 36, "sent": 0, "delivered": 8, "read": 5, "failed": 0, "unknown": 0, "refused": 2}
	if diff := cmp.Diff(want, v.Funnel); diff != "" {
		t.Error(diff)
	}
	text := strings.Join(v.lines(), "\n")
	for _, part := range []string{"janela v1, ready", "marketing              1140         60          4           48", "delivered 8", "hold     category utility: operator", "alert    look\uFFFD[31m here"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if strings.Contains(text, "hold     all") {
		t.Error("a hold that is over is shown")
	}
	screen := v.screen(40, 6)
	if lines := strings.Split(strings.TrimSuffix(screen, "\x1b[J"), "\r\n"); len(lines) != 6 || !strings.Contains(screen, "more lines") {
		t.Errorf("%d lines on a terminal of 6:\n%q", len(lines), screen)
	}
}

// Root makes nothing in a folder of somebody else's.
func TestForeignOwner(t *testing.T) {
	if got := foreignOwner(t.TempDir()); got != -1 {
		t.Errorf("one's own folder: %d", got)
	}
	if got := foreignOwner(filepath.Join(t.TempDir(), "none")); got != -1 {
		t.Errorf("no folder: %d", got)
	}
	for _, tt := range []struct{ owner, we, want int }{{0, 0, -1}, {4711, 0, 4711}, {4711, 4711, -1}, {4711, 815, -1}, {0, 4711, -1}} {
		if got := foreign(tt.owner, tt.we); got != tt.want {
			t.Errorf("a folder of %d, for %d: %d, want %d", tt.owner, tt.we, got, tt.want)
		}
	}
}
