package console

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
