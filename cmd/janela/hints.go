package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

// withHint is an error's text with the next command below it, where it does not
// name one itself.
func withHint(cmd *cobra.Command, err error) string {
	said := err.Error()
	if strings.Contains(said, "\n  ") || namesCommand(cmd.Root(), said) {
		return said
	}
	return said + "\n  " + nextCommand(cmd, err)
}

var calledAs = regexp.MustCompile(`\bjanela ([a-z-]+)`)

// namesCommand says whether a text names one of the program's commands: "another
// janela holds the database" does not.
func namesCommand(root *cobra.Command, text string) bool {
	text = strings.ReplaceAll(text, "another janela ", "")
	return slices.ContainsFunc(calledAs.FindAllStringSubmatch(text, -1), func(m []string) bool {
		return slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == m[1] })
	})
}

// failure is an error of what was done, not of how the command was called.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// nextCommand is what somebody does after an error that names nothing.
func nextCommand(cmd *cobra.Command, err error) string {
	var p *httpapi.Problem
	var faults tomlfile.Problems
	var failed failure
	switch {
	case errors.As(err, &faults):
		return "correct it, then janela doctor --offline; janela init writes a configuration to compare with"
	case errors.As(err, &p):
		return afterNo(cmd, p)
	case errors.Is(err, context.Canceled):
		return "it was interrupted; run janela" + below(cmd) + " again"
	case errors.Is(err, fs.ErrPermission):
		return "run it as the user of the daemon, runuser -u janela -- janela" + below(cmd) + ", or as one who may"
	case errors.Is(err, daemon.ErrLocked):
		return "janela status says who runs; stop the daemon by systemctl, or by Ctrl-C where it was started"
	case errors.Is(err, syscall.EADDRINUSE):
		return "janela doctor --offline says who listens where; write another address into config.toml, or end the other program"
	case errors.Is(err, syscall.ENOSPC):
		return "make room; janela doctor --offline says where there is none"
	case errors.Is(err, fs.ErrExist):
		return "take another name; janela help" + below(cmd) + " says what it is for"
	case errors.Is(err, fs.ErrNotExist) && !errors.As(err, &failed):
		return "look at the path; janela help" + below(cmd) + " says what belongs there"
	case errors.As(err, &failed):
		return "janela doctor --offline looks what is wrong here"
	default:
		return "janela help" + below(cmd)
	}
}

// afterNo is what somebody does after an answer of the daemon that names nothing.
func afterNo(cmd *cobra.Command, p *httpapi.Problem) string {
	list := lister(cmd)
	switch {
	case p.Status >= http.StatusInternalServerError:
		return "janela doctor looks what is wrong; the daemon's log says more"
	case p.Status == http.StatusBadRequest:
		return "janela help" + below(cmd)
	case list != nil && (p.Code == httpapi.CodeNotFound || p.Status == http.StatusNotFound):
		return list.CommandPath() + " shows those that there are"
	case p.Code == httpapi.CodeNotFound || p.Status == http.StatusNotFound:
		return "janela help" + below(cmd)
	case list != nil:
		return list.CommandPath() + " shows how they stand"
	default:
		return "janela status says how everything stands"
	}
}

// below is a command's path without the program's name.
func below(cmd *cobra.Command) string {
	_, path, ok := strings.Cut(cmd.CommandPath(), " ")
	if !ok {
		return ""
	}
	return " " + path
}

// lister finds the command that lists what a command is about: list, in its own
// group.
func lister(cmd *cobra.Command) *cobra.Command {
	for c := cmd; c != nil && c.HasParent(); c = c.Parent() {
		for _, sub := range c.Commands() {
			if sub.Name() == "list" {
				return sub
			}
		}
		for _, sub := range c.Parent().Commands() {
			if sub.Name() == "list" && c.Parent().HasParent() {
				return sub
			}
		}
	}
	return nil
}
