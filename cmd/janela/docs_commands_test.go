package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages are the README in its languages and the pages of docs/, by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	readmes, err := filepath.Glob(filepath.Join(repository, "README*.md"))
	if err != nil || len(names) == 0 || len(readmes) == 0 {
		t.Fatal("no pages", err)
	}
	out := map[string]string{}
	for _, name := range append(names, readmes...) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(repository, name)
		if err != nil {
			t.Fatal(err)
		}
		out[rel] = string(b)
	}
	return out
}

var (
	fencedCode = regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```")
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	// called is the program at the beginning of a command, and its arguments.
	called   = regexp.MustCompile(`(?:^|[|;&(] *|\$ |sudo |exec |run )(?:\./|\./cmd/|/usr/bin/)?janela ([a-z-][^|;&)#>]*)`)
	flagName = regexp.MustCompile(`^--([a-z][a-z0-9-]*)`)
)

// commandsOn finds the arguments of every call of janela on a page, and the flags
// that are named alone.
func commandsOn(page string) (calls [][]string, flags []string) {
	add := func(code string) {
		for line := range strings.Lines(strings.ReplaceAll(code, "\\\n", " ")) {
			for _, m := range called.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				args, _, _ := strings.Cut(m[1], "   ") // what follows explains
				calls = append(calls, strings.Fields(strings.NewReplacer("[", "", "]", "", "`", "").Replace(args)))
			}
		}
	}
	for _, m := range fencedCode.FindAllStringSubmatch(page, -1) {
		if m[1] == "" || m[1] == "sh" {
			add(m[2])
		}
	}
	for _, m := range inlineCode.FindAllStringSubmatch(fencedCode.ReplaceAllString(page, ""), -1) {
		if add(m[1]); flagName.MatchString(m[1]) {
			flags = append(flags, flagName.FindStringSubmatch(m[1])[1])
		}
	}
	return calls, flags
}

// otherPrograms are flags named in the docs that are not janela's.
var otherPrograms = map[string]string{"link": "of docker"}

// Every command and every flag that the README or a page names exists.
func TestCommandsOfTheDocs(t *testing.T) {
	known, seen := map[string]bool{"help": true}, 0
	var gather func(c *cobra.Command)
	gather = func(c *cobra.Command) {
		for _, fs := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			fs.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		}
		for _, sub := range c.Commands() {
			gather(sub)
		}
	}
	gather(newRoot())
	for name, page := range pages(t) {
		calls, flags := commandsOn(page)
		for _, args := range calls {
			seen++
			if fault := callable(args); fault != "" {
				t.Errorf("%s: janela %s: %s", name, strings.Join(args, " "), fault)
			}
		}
		for _, f := range flags {
			if !known[f] && otherPrograms[f] == "" {
				t.Errorf("%s: no command has the flag --%s", name, f)
			}
		}
	}
	if seen < 150 {
		t.Errorf("only %d calls were found", seen)
	}
}

// callable says why a command cannot be called so, or "".
func callable(args []string) string {
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	at, rest := root, args
	for len(rest) > 0 {
		if flagName.MatchString(rest[0]) && at == root { // --config FILE before the command
			rest = rest[min(2, len(rest)):]
			continue
		}
		var next *cobra.Command
		for _, sub := range at.Commands() {
			if sub.Name() == rest[0] || sub.HasAlias(rest[0]) {
				next = sub
			}
		}
		if next == nil {
			break
		}
		at, rest = next, rest[1:]
	}
	if at == root && len(rest) > 0 {
		return "there is no such command"
	}
	if len(rest) > 0 && at.HasSubCommands() && regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(rest[0]) {
		return at.CommandPath() + " has no command " + rest[0]
	}
	for _, arg := range rest {
		if arg == "--" {
			break
		}
		m := flagName.FindStringSubmatch(arg)
		switch {
		case m != nil && m[1] != "help" && at.Flags().Lookup(m[1]) == nil && at.InheritedFlags().Lookup(m[1]) == nil:
			return at.CommandPath() + " has no flag --" + m[1]
		case m == nil && regexp.MustCompile(`^-[a-z]$`).MatchString(arg) && arg != "-h" && at.Flags().ShorthandLookup(arg[1:]) == nil:
			return at.CommandPath() + " has no flag " + arg
		}
	}
	return ""
}
