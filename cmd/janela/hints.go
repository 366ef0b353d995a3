package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

// withHint is an error's text with the next command below it, where it does not
// name one itself.
func withHint(cmd *cobra.Command, err error) string {
	said := err.Error()
	if strings.Contains(said, "\n  ") || strings.Contains(said, "janela ") {
		return said
	}
	return said + "\n  " + nextCommand(cmd, err)
}

// nextCommand is what somebody does after an error that names nothing.
func nextCommand(cmd *cobra.Command, err error) string {
	var p *httpapi.Problem
	var faults tomlfile.Problems
	switch {
	case errors.As(err, &faults):
		return "correct it, then janela doctor --offline; janela init writes a configuration to compare with"
	case !errors.As(err, &p):
		return "janela help" + below(cmd)
	case p.Code == httpapi.CodeNotFound || p.Status == http.StatusNotFound:
		if list := lister(cmd); list != nil {
			return list.CommandPath() + " shows those that there are"
		}
		return "janela help" + below(cmd)
	case p.Status >= http.StatusInternalServerError:
		return "janela doctor looks what is wrong; the daemon's log says more"
	case p.Status == http.StatusBadRequest:
		return "janela help" + below(cmd)
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
