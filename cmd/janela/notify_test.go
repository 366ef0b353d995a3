package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"janela/internal/daemon"
)

// manager stands in for systemd: it has the socket that services speak to.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &manager{t, conn, path}
}

// hears waits for a message with a line, and returns the message.
func (m *manager) hears(line string) string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		n, err := m.conn.Read(b)
		if err != nil {
			m.t.Fatalf("systemd was not told %s: %v", line, err)
		}
		if text := string(b[:n]); strings.HasPrefix(text, line) || strings.Contains(text, "\n"+line) {
			return text
		}
	}
}

// The real program tells systemd that it is ready only when it answers, feeds
// the watchdog, tells of a reload as notify-reload wants it, and of its end.
func TestSystemdIsTold(t *testing.T) {
	m := newManager(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"config.toml": scriptConfig, "campaigns.d/.keep": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "janela") // by this name the test's program is the program
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "serve")
	cmd.Dir, cmd.Stderr, cmd.Env = dir, &log, []string{"NOTIFY_SOCKET=" + m.path, "JANELA_HTTP_LISTEN=127.0.0.1:0", "JANELA_CONSOLE_LISTEN=127.0.0.1:0", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	}()
	if text := m.hears("READY=1"); !strings.Contains(text, "STATUS=running: 0 messages queued") {
		t.Errorf("it says of itself %q", text)
	}
	m.hears("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := m.hears("RELOADING=1"); !regexp.MustCompile(`\nMONOTONIC_USEC=[0-9]+\n`).MatchString(text) {
		t.Errorf("a reload is told by %q", text)
	}
	m.hears("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
	err, ended = cmd.Wait(), true
	if err != nil {
		t.Errorf("it ended with %v", err)
	}
	found := public.FindStringSubmatch(log.String())
	if found == nil {
		t.Fatal("the log does not tell where it listens")
	}
	if _, err := http.Get("http://" + found[1] + "/readyz"); err == nil {
		t.Error("it still answers")
	}
}

// What cannot start is never ready.
func TestSystemdIsNotToldOfWhatCannotStart(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	m := newManager(t)
	t.Setenv("NOTIFY_SOCKET", m.path)
	t.Setenv("JANELA_HTTP_LISTEN", busy.Addr().String())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(scriptConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"serve", "--config", filepath.Join(dir, "config.toml")}); code == 0 {
		t.Fatal("it started on an address that is taken")
	}
	if err := m.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		n, err := m.conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b[:n]), "READY=1") {
			t.Fatalf("told %q", b[:n])
		}
	}
}

func TestNotifications(t *testing.T) {
	if got, want := notification(daemon.Alive, "a\nb"), "WATCHDOG=1\nSTATUS=a b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := notification(daemon.Starting, "x"), "STATUS=x"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
