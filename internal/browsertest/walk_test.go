//go:build e2e

package browsertest

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var unsafe = regexp.MustCompile(`[^a-z0-9]+`)

// nameOf makes a file's name of a path.
func nameOf(path string) string {
	name := strings.Trim(unsafe.ReplaceAllString(strings.ToLower(path), "-"), "-")
	if name == "" {
		return "today"
	}
	return name
}

// walk opens every page that can be reached by links, some of each kind, and
// hands each to look.
func (b *browser) walk(look func(path string)) int {
	b.t.Helper()
	todo, seen, kinds := []string{"/"}, map[string]bool{}, map[string]int{}
	n := 0
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		u, err := url.Parse(path)
		if err != nil {
			b.t.Errorf("a link leads to %q: %v", path, err)
			continue
		}
		kind := regexp.MustCompile(`^(/[^/]*)/[^/]+`).ReplaceAllString(u.Path, "$1/*")
		if seen[path] || kinds[kind] >= 2 || strings.HasPrefix(path, "/static/") || strings.Contains(path, "format=") || strings.Contains(path, ".csv") || strings.Contains(path, ".json") || strings.HasPrefix(path, "/#") {
			continue
		}
		seen[path] = true
		kinds[kind]++
		b.visit(path)
		n++
		look(path)
		todo = append(todo, b.links()...)
	}
	return n
}

// Every page, in both languages and colours, on a desk and on a phone: nothing is
// said in the browser's console, no policy is broken, axe finds nothing serious,
// and nothing hangs over the side.
func TestEveryPage(t *testing.T) {
	h := start(t)
	for _, look := range []struct {
		name, language, scheme string
		width                  int64
	}{{"pt-light", "pt-BR", "light", 1280}, {"en-dark", "en", "dark", 1280}, {"pt-phone", "pt-BR", "light", 390}, {"en-phone", "en", "dark", 390}} {
		t.Run(look.name, func(t *testing.T) {
			b := h.open(t, look.language, look.scheme, look.width, true)
			b.login()
			pages := b.walk(func(path string) {
				lang := get(b, "look at "+path, chromedp.Evaluate[string](`document.documentElement.lang`))
				over := get(b, "measure "+path, chromedp.Evaluate[string](fmt.Sprintf(`document.documentElement.scrollWidth <= %d ? "" : [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > %d && !e.closest(".scroll")).map(e => e.outerHTML.slice(0, 120)).slice(0, 3).join(" | ") || "?"`, look.width, look.width)))
				if lang != look.language {
					t.Errorf("%s speaks %s", path, lang)
				}
				if over != "" {
					t.Errorf("%s hangs over the side of %d pixels: %s", path, look.width, over)
				}
				b.picture(look.name + "-" + nameOf(path))
				b.axe(path)
				b.quiet(path)
			})
			if pages < 5 {
				t.Errorf("only %d pages were found", pages)
			}
		})
	}
}

// Without scripts every page is there as well.
func TestEveryPageWithoutScripts(t *testing.T) {
	h := start(t)
	b := h.open(t, "pt-BR", "light", 1280, false)
	b.login()
	if n := b.walk(func(path string) { b.quiet(path) }); n < 5 {
		t.Errorf("only %d pages were found", n)
	}
	b.picture("without-scripts")
}

// The picture of the README is the console of a fresh clone, after a minute.
// PICTURE names the file.
func TestPicture(t *testing.T) {
	to := os.Getenv("PICTURE")
	if to == "" {
		t.Skip("PICTURE names no file")
	}
	h := start(t, "JANELA_CAMPAIGNS_APPROVAL=off", "JANELA_SANDBOX_QUIET=false")
	time.Sleep(50 * time.Second)
	b := h.open(t, "en", "light", 1280, true)
	b.login()
	b.visit("/")
	b.do("let the chart be drawn", chromedp.Sleep(time.Second))
	png := get(b, "take a picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(to, png, 0o600); err != nil {
		t.Fatal(err)
	}
}
