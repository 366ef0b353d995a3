package console

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// keysOf flattens a file of words; forms of number are one key.
func keysOf(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := fs.ReadFile(wordFiles, "words/"+name)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out := map[string]string{}
	var walk func(at string, tree map[string]any)
	walk = func(at string, tree map[string]any) {
		for k, v := range tree {
			switch v := v.(type) {
			case map[string]any:
				walk(at+k+".", v)
			case string:
				out[at+k] = v
			default:
				t.Errorf("%s: %s%s is no text", name, at, k)
			}
		}
	}
	walk("", tree)
	return out
}

var valuesIn = regexp.MustCompile(`\{\{\s*\.[A-Za-z]+\s*\}\}`)

// Every language has the same keys, in files of the same names, with the same
// values in them, and no key stands in two files with different words.
func TestWordsInEveryLanguage(t *testing.T) {
	files, err := fs.Glob(wordFiles, "words/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	where := map[string]string{} // by language and key: what it says
	for _, f := range files {
		name := filepath.Base(f)
		page, rest, _ := strings.Cut(name, ".")
		language := strings.TrimSuffix(rest, ".toml")
		if _, ok := langNamed(language); !ok {
			t.Errorf("%s is of no language", name)
			continue
		}
		words := keysOf(t, name)
		for key, text := range words {
			if was, ok := where[language+" "+key]; ok && was != text {
				t.Errorf("%s: %s stands in another file as %q", name, key, was)
			}
			where[language+" "+key] = text
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s says nothing", name, key)
			}
		}
		for _, l := range langs() {
			if l.tag == language {
				continue
			}
			other := keysOf(t, page+"."+l.tag+".toml")
			for key, text := range words {
				there, ok := other[key]
				if !ok {
					t.Errorf("%s is in %s, and not in %s", key, language, l.tag)
					continue
				}
				a, b := valuesIn.FindAllString(text, -1), valuesIn.FindAllString(there, -1)
				slices.Sort(a)
				slices.Sort(b)
				if !slices.Equal(a, b) {
					t.Errorf("%s has %v in %s, and %v in %s", key, a, language, b, l.tag)
				}
			}
		}
	}
}

var (
	saidByPage = regexp.MustCompile(`[({ ]t "([a-z_0-9]+\.[a-z_0-9]+)"`)
	saidByCode = regexp.MustCompile(`(?:\.t\(|try\([^"\n]*, [^"\n]*(?:"/[^"\n]*", )?|done\([^"\n]*(?:"/[^"\n]*", )?)"([a-z_0-9]+\.[a-z_0-9]+)"`)
)

// Every key that a page or the code names has words.
func TestEveryKeyHasWords(t *testing.T) {
	pages, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{} // key: where
	for _, p := range pages {
		text, err := fs.ReadFile(pageFiles, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saidByPage.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = p
		}
		if strings.HasPrefix(string(text), `{{template "top"`) {
			named[strings.TrimSuffix(filepath.Base(p), ".html")+".title"] = p
		}
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range code {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saidByCode.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = p
		}
	}
	for _, e := range (&Console{cfg: Config{Sandbox: http.NotFoundHandler()}}).entries() {
		named["nav."+e.Page] = "the navigation"
	}
	if len(named) < 100 {
		t.Fatalf("only %d keys were found", len(named))
	}
	for _, l := range langs() {
		for key, at := range named {
			_, plain := l.maybe(key)
			_, counted := l.maybe(key, "N", 2)
			if !plain && !counted {
				t.Errorf("%s: %s has no words in %s", at, key, l.tag)
			}
		}
	}
}
