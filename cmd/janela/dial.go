package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

// dial asks the running daemon and nothing else: the one that --socket names, or
// the one of the configuration, also where that has faults by now, which w is
// told in one line. Who stops everything must not have to mend a file first.
func (a *app) dial(ctx context.Context, w io.Writer) (*httpapi.Client, error) {
	if a.socket != "" {
		return listening(ctx, a.socket)
	}
	cfg, err := a.load()
	if err == nil {
		return listening(ctx, cfg.SocketPath())
	}
	socket := daemon.FindSocket(a.config, os.Environ())
	c, dialErr := httpapi.Dial(ctx, socket)
	if dialErr != nil {
		return nil, err
	}
	if !onlyCredentials(a.config, err) {
		_, _ = fmt.Fprintln(w, clean(fmt.Sprintf("%s; the daemon that runs is asked all the same, at %s", inOneLine(err), socket)))
	}
	return c, nil
}

// onlyCredentials says whether nothing is wrong but that systemd shows its
// credentials to the daemon alone.
func onlyCredentials(path string, err error) bool {
	var faults tomlfile.Problems
	text, readErr := os.ReadFile(path)
	if readErr != nil || os.Getenv("CREDENTIALS_DIRECTORY") != "" || !errors.As(err, &faults) {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return !slices.ContainsFunc(faults.Errors(), func(p tomlfile.Problem) bool {
		return p.File != path || p.Line < 1 || p.Line > len(lines) || !strings.Contains(lines[p.Line-1], "$CREDENTIALS_DIRECTORY")
	})
}

func listening(ctx context.Context, socket string) (*httpapi.Client, error) {
	c, err := httpapi.Dial(ctx, socket)
	if err != nil {
		return nil, &exitError{1, fmt.Errorf("no daemon answers: %w\n  start it with janela serve, or systemctl start janela; janela doctor --offline looks what keeps it", err)}
	}
	return c, nil
}

// inOneLine says what is wrong with a configuration: its first fault, and how
// many more there are.
func inOneLine(err error) string {
	var faults tomlfile.Problems
	if !errors.As(err, &faults) || len(faults.Errors()) == 0 {
		return err.Error()
	}
	all := faults.Errors()
	out := "the configuration has faults: " + all[0].String()
	if len(all) > 1 {
		out += fmt.Sprintf(" (%d in all: janela doctor --offline)", len(all))
	}
	return out
}

// askNobody are the commands that have no use for a daemon's socket: they work on
// the configuration, are the daemon, or need nothing at all.
var askNobody = []string{"serve", "init", "sandbox", "version", "man", "backup", "restore", "connect", "doctor", "config schema", "campaigns schema", "optin detector", "openapi", "bench"}

// refuseSocket keeps --socket from being written where it would mean nothing.
func refuseSocket(cmd *cobra.Command, _ []string) error {
	name := strings.TrimSpace(below(cmd))
	if !cmd.Flags().Changed("socket") || !slices.ContainsFunc(askNobody, func(own string) bool { return name == own || strings.HasPrefix(name, own+" ") }) {
		return nil
	}
	return fmt.Errorf("janela %s asks no daemon: it takes no --socket", name)
}
