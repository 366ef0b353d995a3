package console

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// keysOf are the dotted keys of the words in one language, and their texts.
func keysOf(t *testing.T, tag string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("words/*." + tag + ".toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no words in %s: %v", tag, err)
	}
	out := map[string]string{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := toml.Unmarshal(b, &tree); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var walk func(prefix string, v any)
		walk = func(prefix string, v any) {
			switch v := v.(type) {
			case string:
				if _, twice := out[prefix]; twice {
					t.Errorf("%s stands in two files of %s", prefix, tag)
				}
				out[prefix] = v
			case map[string]any:
				if other, ok := v["other"].(string); ok { // a plural
					out[prefix] = other
					if one, ok := v["one"].(string); !ok || one == "" || len(v) != 2 {
						t.Errorf("%s: %s is a plural without one and other", name, prefix)
					}
					return
				}
				for k, in := range v {
					walk(strings.TrimPrefix(prefix+"."+k, "."), in)
				}
			default:
				t.Errorf("%s: %s is a %T", name, prefix, v)
			}
		}
		walk("", tree)
	}
	return out
}

var holes = regexp.MustCompile(`\{\{\s*\.(\w+)\s*\}\}`)

// Whoever reads Portuguese and who reads English are told the same.
func TestEveryLanguageHasEveryWord(t *testing.T) {
	pt, en := keysOf(t, "pt-BR"), keysOf(t, "en")
	for key, text := range pt {
		other, ok := en[key]
		if !ok {
			t.Errorf("%s has no English words", key)
			continue
		}
		a, b := holes.FindAllString(text, -1), holes.FindAllString(other, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s: %q and %q take different values", key, text, other)
		}
		if strings.TrimSpace(text) == "" || strings.TrimSpace(other) == "" {
			t.Errorf("%s is empty", key)
		}
	}
	for key := range en {
		if _, ok := pt[key]; !ok {
			t.Errorf("%s has no Portuguese words", key)
		}
	}
}

var (
	inPages = regexp.MustCompile(`\bt "([\w.]+)"`)
	inCode  = regexp.MustCompile(`\b(?:lang\.t\(|l\.t\(|\.done\([^,\n]+, |\.try\([^,\n]+(?:\([^)\n]*\))?, [^,\n]+, )"([\w.]+)"`)
)

// A key that nobody translated would show itself to a visitor.
func TestEveryKeyHasWords(t *testing.T) {
	words := keysOf(t, "pt-BR")
	used := 0
	for pattern, form := range map[string]*regexp.Regexp{"pages/*.html": inPages, "*.go": inCode} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range form.FindAllStringSubmatch(string(b), -1) {
				used++
				if _, ok := words[m[1]]; !ok {
					t.Errorf("%s: %s has no words", name, m[1])
				}
			}
		}
	}
	if used < 15 {
		t.Errorf("only %d keys were found in pages and code: does the pattern still fit?", used)
	}
	pages, _ := filepath.Glob("pages/*.html")
	for _, p := range pages {
		name := strings.TrimSuffix(filepath.Base(p), ".html")
		b, _ := os.ReadFile(p)
		if name != "layout" && strings.Contains(string(b), `{{template "top"`) && words[name+".title"] == "" {
			t.Errorf("the page %s has no title", name)
		}
	}
}

// The policy forbids styles and scripts in a page; so would a browser, silently.
func TestPagesHoldNoStyleAndNoScript(t *testing.T) {
	pages, _ := filepath.Glob("pages/*.html")
	forbidden := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|javascript:|hx-on|<script>|https?://`)
	for _, p := range pages {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range forbidden.FindAllString(strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", ""), -1) {
			t.Errorf("%s holds %q", p, m)
		}
	}
}

// What is others' is what they published.
func TestVendoredFilesAreUnchanged(t *testing.T) {
	list, err := os.ReadFile("static/vendor/VENDOR.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\S+\.(?:js|css)) \|.*\| ([0-9a-f]{64}) \|`).FindAllStringSubmatch(string(list), -1)
	said := map[string]string{}
	for _, r := range rows {
		said[r[1]] = r[2]
	}
	files, _ := filepath.Glob("static/vendor/*.*s*")
	seen := 0
	for _, f := range files {
		if filepath.Ext(f) == ".md" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); said[filepath.Base(f)] != got {
			t.Errorf("%s is %s, and VENDOR.md says %q", f, got, said[filepath.Base(f)])
		}
		seen++
	}
	if seen != len(said) || seen == 0 {
		t.Errorf("%d files, and %d rows in VENDOR.md", seen, len(said))
	}
}

// Nobody is sent to another site by an address that looks like ours.
func TestOnlyLocalPathsAreFollowed(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/campaigns/x?a=b": true, "": false, "//evil.example": false, "https://evil.example/": false, "/\\evil.example": false, "\\\\evil.example": false,
		"/a\nb": false, "campaigns": false, "/%2f/evil.example": true, "/..//evil.example": true, "javascript:alert(1)": false, "/\tevil": false,
	} {
		if got := local(path); got != want {
			t.Errorf("local(%q) is %v", path, got)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "//x", "/\\x", "https://x", "/a?b=c#d", "/%5cx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if local(path) && (len(path) == 0 || path[0] != '/' || len(path) > 1 && (path[1] == '/' || path[1] == '\\')) {
			t.Errorf("%q would leave the site", path)
		}
	})
}
