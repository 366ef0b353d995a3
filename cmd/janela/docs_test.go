package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// The table of docs/commands.md names every command, and no other. In a row the first one
// says of which group the others are: `optin import`, `grant` is optin grant.
func TestCommandsAreListed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	code, listed := map[string]bool{}, map[string]bool{}
	leaves(newRoot(), "", code)
	for name := range code {
		group, last, _ := strings.Cut(name, " ")
		if code[name+" list"] || group == "campaigns" && code[last] { // a group lists by itself; campaigns plan is plan
			delete(code, name)
		}
	}
	_, table, ok := strings.Cut(string(text), "| command | what it does |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/commands.md has lost its table")
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		group := ""
		for i, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			words := strings.Fields(m[1])
			for len(words) > 0 && words[len(words)-1] == strings.ToUpper(words[len(words)-1]) { // FILE…
				words = words[:len(words)-1]
			}
			if i == 0 && len(words) == 2 {
				group = words[0] + " "
			}
			name := strings.Join(words, " ")
			if len(words) == 1 {
				name = group + name
			}
			listed[name] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(code)), slices.Sorted(maps.Keys(listed))); diff != "" {
		t.Errorf("docs/commands.md lists other commands (-program +page):\n%s", diff)
	}
}

// leaves gathers the commands that do something.
func leaves(c *cobra.Command, path string, out map[string]bool) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		name := strings.TrimSpace(path + " " + sub.Name())
		if sub.Runnable() {
			out[name] = true
		}
		leaves(sub, name, out)
	}
}
