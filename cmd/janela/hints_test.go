package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runners are commands that do something for long, or write, without asking
// anybody: only how they are called wrongly is tried.
var runners = []string{"sandbox", "bench", "init", "version", "man", "openapi", "optin detector", "exit-codes", "campaigns schema", "config schema", "hooks secret"}

// filled are the words of a command's Use with something in their place.
func filled(c *cobra.Command, file string) (args []string) {
	words := strings.Fields(strings.NewReplacer("...", "", "…", "").Replace(c.Use))[1:]
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "["), strings.HasSuffix(w, "]"):
		case strings.HasPrefix(w, "--"):
			args = append(args, w)
		case strings.Contains(w, "FILE"):
			args = append(args, file)
		case strings.Contains(w, "PHONE"):
			args = append(args, "+12025550101")
		case w == "SCOPE":
			args = append(args, "all")
		default:
			args = append(args, "1")
		}
	}
	return args
}

// fails runs a command in this process, and returns what it tells of its error.
func fails(t *testing.T, args ...string) (said string, bare bool) {
	t.Helper()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	root.SetIn(strings.NewReader(""))
	cmd, err := root.ExecuteC()
	var exit *exitError
	if err == nil {
		return "", false
	}
	if errors.As(err, &exit) && exit.err == nil && err.Error() == "" { // it was told already
		return "", true
	}
	return withHint(cmd, err), true
}

var commandIn = regexp.MustCompile(`\bjanela ((?:--?)?[a-z][a-z-]*(?: [a-z][a-z-]*)?)`)

// followed fails where an error names no next step, or a command that there is
// not.
func followed(t *testing.T, where, said string) {
	t.Helper()
	what, hint, ok := strings.Cut(said, "\n  ")
	if !ok && !namesCommand(newRoot(), said) {
		t.Errorf("%s: no hint: %q", where, said)
	}
	if strings.TrimSpace(what) == "" || ok && strings.TrimSpace(hint) == "" {
		t.Errorf("%s: half an error: %q", where, said)
	}
	commandsExist(t, where, said)
}

// commandsExist looks whether the commands exist that a text names.
func commandsExist(t *testing.T, where, text string) {
	t.Helper()
	root := newRoot()
	for _, m := range commandIn.FindAllStringSubmatch(text, -1) {
		first, rest, _ := strings.Cut(m[1], " ")
		if first == "help" {
			first, rest = rest, ""
		}
		if first == "" {
			continue
		}
		c, _, err := root.Find([]string{first})
		if err != nil || c == root {
			if prose[first] {
				continue
			}
			t.Errorf("%s: there is no janela %s: %q", where, first, text)
			continue
		}
		if c.HasSubCommands() && rest != "" && len(c.ValidArgs) == 0 {
			if sub, _, err := c.Find([]string{rest}); err == nil && sub == c && !c.Runnable() {
				t.Errorf("%s: there is no janela %s %s: %q", where, first, rest, text)
			}
		}
	}
}

// prose are words that follow the program's name where it is spoken of, not
// called.
var prose = map[string]bool{"cannot": true, "command": true, "consents": true, "does": true, "ended": true, "goes": true, "has": true, "is": true, "itself": true,
	"knows": true, "reads": true, "sends": true, "this": true, "until": true, "wrote": true}

// Every command, in every state of the house in which it cannot work, says what
// is wrong and what to do next; and the command that it names exists.
func TestEveryErrorNamesWhatIsNext(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const numbers = "[[whatsapp.accounts]]\nid = \"100000000000001\"\n  [[whatsapp.accounts.numbers]]\n  id = \"200000000000001\"\n  name = \"loja\"\n"
	file := write("some.file", strings.Repeat("this is no database, no list and no campaign\n", 200))
	houses := map[string]string{
		"no configuration":           filepath.Join(dir, "none.toml"),
		"a broken configuration":     write("broken.toml", "[http]\nlisen = 1\n"),
		"an unreadable one":          write("unread.toml", "[http\n"),
		"a database that is none":    write("garbage.toml", "[store]\npath = \"some.file\"\n"+numbers),
		"a folder that is a file":    write("folder.toml", "[store]\npath = \"some.file/janela.db\"\n"+numbers),
		"keys that others may read":  write("keys.toml", "[store]\npath = \"keys.db\"\n[optin]\nkey_file = \"open.key\"\n"+numbers),
		"an address that is not one": write("address.toml", "[store]\npath = \"address.db\"\n[http]\nlisten = \"192.0.2.1:1\"\n"+numbers),
	}
	if err := os.WriteFile(filepath.Join(dir, "open.key"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	commands, told := 0, map[string]int{}
	everyCommand(func(c *cobra.Command) {
		commands++
		_, path, _ := strings.Cut(c.CommandPath(), " ")
		words := strings.Fields(path)
		for name, args := range map[string][]string{"an unknown flag": {"--nonsense"}, "too many arguments": {"1", "2", "3", "4", "5", "6", "7"}, "no flag's value": {"--config"}} {
			said, failed := fails(t, append(words[:len(words):len(words)], args...)...)
			if name == "too many arguments" && c.Args == nil || strings.Contains(c.Use, "...") || strings.Contains(c.Use, "…") {
				continue // it takes them
			}
			if !failed {
				t.Errorf("janela %s: %s is nothing to it", path, name)
				continue
			}
			followed(t, "janela "+path+", "+name, said)
		}
		for _, own := range runners {
			if path == own || strings.HasPrefix(path, own+" ") {
				return
			}
		}
		for house, config := range houses {
			args := append([]string{"--config", config}, append(words[:len(words):len(words)], filled(c, file)...)...)
			said, failed := fails(t, args...)
			if failed && said != "" {
				told[house]++
				followed(t, "janela "+strings.Join(args[2:], " ")+", "+house, said)
			}
		}
	})
	if commands < 70 {
		t.Errorf("only %d commands", commands)
	}
	for house := range houses {
		if told[house] < 30 {
			t.Errorf("%s: only %d commands told of it", house, told[house])
		}
	}
	t.Logf("%d commands; told of %v", commands, told)
}

// The commands that hints of the daemon and of the program name exist.
func TestHintsNameCommandsThatExist(t *testing.T) {
	seen := 0
	for _, room := range []string{".", "../../internal/httpapi", "../../internal/doctor", "../../internal/connect", "../../internal/daemon", "../../campaigns", "../../optin", "../../otp", "../../internal/store", "../../internal/guard"} {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(room, err)
		}
		set := token.NewFileSet()
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(set, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if err == nil && strings.Contains(text, "janela ") {
					seen++
					commandsExist(t, set.Position(lit.Pos()).String(), text)
				}
				return true
			})
		}
	}
	if seen < 120 {
		t.Errorf("only %d texts were found", seen)
	}
}
