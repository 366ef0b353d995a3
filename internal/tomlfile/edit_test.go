package tomlfile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"
)

const editable = `# A comment above.
[store]
path = "var/janela.db"            # the database

[whatsapp]
# graph_url is left out.
graph_version = 'v25.0' # single quotes
senders = 64

[[whatsapp.accounts]]
id = "1"            # placeholder
# token_file = "x"

  [[whatsapp.accounts.numbers]]
  id = "2"
  name = "loja"
  # per_second = 40

# The sandbox.
[sandbox]
seed = 1
`

func edited(t *testing.T, text string, fn func(e *Editor) error) string {
	t.Helper()
	e, err := NewEditor("config.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := fn(e); err != nil {
		t.Fatal(err)
	}
	return e.Text()
}

// A change touches its own line, and what is new stands where one would write it.
func TestEdit(t *testing.T) {
	got := edited(t, editable, func(e *Editor) error {
		return errors.Join(
			e.Set("whatsapp.graph_version", Quote("v26.0")),
			e.Set("whatsapp.senders", "32"),
			e.Set("whatsapp.graph_url", Quote(`https://graph.example/"x"`)),
			e.Set("whatsapp.accounts.0.id", Quote("11")),
			e.Set("whatsapp.accounts.0.numbers.0.unit", Quote("sul")),
			e.Append("whatsapp.accounts.0.numbers", Pair{"id", Quote("22")}, Pair{"name", Quote("sac")}),
			e.Append("whatsapp.accounts", Pair{"id", Quote("3")}),
			e.Append("whatsapp.accounts.1.numbers", Pair{"id", Quote("4")}),
			e.Set("http.listen", Quote("127.0.0.1:1")),
			e.Append("hooks", Pair{"name", Quote("bot")}),
		)
	})
	const want = `# A comment above.
[store]
path = "var/janela.db"            # the database

[whatsapp]
graph_url = "https://graph.example/\"x\""
# graph_url is left out.
graph_version = "v26.0" # single quotes
senders = 32

[[whatsapp.accounts]]
id = "11"            # placeholder
# token_file = "x"

  [[whatsapp.accounts.numbers]]
  unit = "sul"
  id = "2"
  name = "loja"
  # per_second = 40

  [[whatsapp.accounts.numbers]]
  id = "22"
  name = "sac"

[[whatsapp.accounts]]
id = "3"

  [[whatsapp.accounts.numbers]]
  id = "4"

# The sandbox.
[sandbox]
seed = 1

[http]
listen = "127.0.0.1:1"

[[hooks]]
name = "bot"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A table that only its parts have made gets its header before them; line ends,
// a byte order mark and a missing last line end stay.
func TestEditShapes(t *testing.T) {
	for _, tt := range []struct{ name, from, want string }{
		{"implied", "[[whatsapp.accounts]]\nid = \"1\"\n", "[whatsapp]\ngraph_url = \"x\"\n\n[[whatsapp.accounts]]\nid = \"1\"\n"},
		{"empty", "", "\n[whatsapp]\ngraph_url = \"x\"\n"},
		{"no line end", "[store]\npath = \"a\"", "[store]\npath = \"a\"\n\n[whatsapp]\ngraph_url = \"x\"\n"},
		{"only the header", "[whatsapp]", "[whatsapp]\ngraph_url = \"x\"\n"},
		{"windows", "\ufeff[whatsapp]\r\ngraph_url = \"y\" # z\r\n", "\ufeff[whatsapp]\r\ngraph_url = \"x\" # z\r\n"},
		{"windows new", "[whatsapp]\r\nsenders = 1\r\n", "[whatsapp]\r\ngraph_url = \"x\"\r\nsenders = 1\r\n"},
	} {
		if got := edited(t, tt.from, func(e *Editor) error { return e.Set("whatsapp.graph_url", Quote("x")) }); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What only its writer should change is left alone.
func TestEditByHand(t *testing.T) {
	for _, text := range []string{
		"whatsapp = {graph_url = \"y\"}\n", "whatsapp.graph_url = \"y\"\n", "[whatsapp]\ngraph_url = \"\"\"\ny\"\"\"\n", "whatsapp.senders = 1\n", "whatsapp = {}\n",
		"[whatsapp]\ngraph_url = [1]\n",
	} {
		e, err := NewEditor("config.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Set("whatsapp.graph_url", Quote("x")); !errors.Is(err, ErrHand) || e.Text() != text {
			t.Errorf("%q: %v %q", text, err, e.Text())
		}
	}
	e, err := NewEditor("config.toml", []byte("[whatsapp]\naccounts = [{id = \"1\"}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Append("whatsapp.accounts", Pair{"id", "1"}); !errors.Is(err, ErrHand) {
		t.Errorf("an inline list: %v", err)
	}
	if _, err := NewEditor("config.toml", []byte("[whatsapp\n")); err == nil {
		t.Error("a fault of syntax was taken")
	}
}

// The repository's own file, changed, says the change and nothing else; all its
// comments stay.
func TestEditTheShippedFile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		e, err := NewEditor("config.toml", data)
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]any
		if err := toml.Unmarshal(data, &before); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			value := rapid.StringMatching(`[a-z"\\#= äé]{0,12}`).Draw(t, "value")
			w := before["whatsapp"].(map[string]any)
			accounts := w["accounts"].([]any)
			i := rapid.IntRange(0, len(accounts)-1).Draw(t, "account")
			account := accounts[i].(map[string]any)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				key := rapid.SampledFrom([]string{"graph_url", "graph_version", "token_file", "on_unknown"}).Draw(t, "key")
				err = e.Set("whatsapp."+key, Quote(value))
				w[key] = value
			case 1:
				err = e.Set("whatsapp.accounts."+string(rune('0'+i))+".id", Quote(value))
				account["id"] = value
			case 2:
				err = e.Append("whatsapp.accounts", Pair{"id", Quote(value)})
				w["accounts"] = append(accounts, map[string]any{"id": value})
			case 3:
				err = e.Append("whatsapp.accounts."+string(rune('0'+i))+".numbers", Pair{"id", Quote(value)})
				numbers, _ := account["numbers"].([]any)
				account["numbers"] = append(numbers, map[string]any{"id": value})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := toml.Unmarshal([]byte(e.Text()), &after); err != nil {
			t.Fatalf("%v\n%s", err, e.Text())
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("the file says something else:\n%s", cmp.Diff(before, after))
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "#") && !strings.Contains(e.Text(), line) {
				t.Fatalf("a comment is gone: %s", line)
			}
		}
	})
}
