//go:build e2e

package browsertest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// press clicks what is there, and says yes to what asks again.
func (b *browser) press(what, sel string) {
	b.t.Helper()
	if b.script {
		get(b, "say yes", chromedp.Evaluate[bool](`window.confirm = () => true, true`))
	}
	b.do("press "+what, chromedp.ScrollIntoView(chromedp.CSS(sel)), chromedp.Click(chromedp.CSS(sel)))
}

// submit presses a button of a form, and waits for the page that follows.
func (b *browser) submit(what, sel string) {
	b.t.Helper()
	b.do("mark the page", chromedp.SetAttributeValue(chromedp.CSS("body"), "data-old", "yes"))
	b.press(what, sel)
	b.do("wait for the page after "+what, chromedp.WaitReady(chromedp.CSS("body:not([data-old]) footer")))
}

// said waits for what a page says at its top about what was done.
func (b *browser) said() string {
	b.t.Helper()
	b.do("wait for a notice", chromedp.WaitVisible(chromedp.CSS("main .notice.good")))
	return b.text("main .notice.good")
}

// fill writes into a field.
func (b *browser) fill(sel, text string) {
	b.t.Helper()
	b.do("write into "+sel, chromedp.SendKeys(chromedp.CSS(sel), text))
}

// there waits until a page holds a text, asking for it again as a person would.
func (b *browser) there(path, text string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		b.visit(path)
		if strings.Contains(b.text("main"), text) {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s does not show %q:\n%s", path, text, b.text("main"))
		}
	}
}

const hostile = `<img src=x onerror="document.title='owned'"> *oi* {{.}}`

// The main ways through the console, by clicks: in both languages, with scripts
// and without. What the clicks did, the command line tells.
func TestByClick(t *testing.T) {
	h := start(t)
	for i, way := range []struct {
		name, language string
		script         bool
		phone          string
	}{{"pt", "pt-BR", true, "+5511900000021"}, {"en", "en", true, "+5511900000022"}, {"pt-without-scripts", "pt-BR", false, "+5511900000023"}, {"en-without-scripts", "en", false, "+5511900000024"}} {
		t.Run(way.name, func(t *testing.T) {
			b := h.open(t, way.language, "light", 1280, way.script)
			b.login()

			// The emergency brake, and its release.
			b.press("the brake", "details.brake summary")
			b.fill("details.brake input[name=reason]", "teste "+hostile)
			b.submit("the brake's button", "details.brake button.brake")
			b.said()
			if !strings.Contains(b.text("section.braked"), hostile) {
				t.Errorf("the brake's reason is not there as it was written: %s", b.text("section.braked"))
			}
			if holds := string(h.run(t, "holds", "-o", "json")); !strings.Contains(holds, `"category"`) {
				t.Errorf("the command line knows no brake: %s", holds)
			}
			b.picture("click-" + way.name + "-brake")
			b.submit("its release", "section.braked form button")
			b.said()

			// What happens elsewhere appears by itself, where scripts run.
			if way.script {
				b.visit("/")
				b.do("wait until it is live", chromedp.WaitVisible(chromedp.CSS("[data-live-state].on")))
				h.run(t, "hold", "marketing", "--reason", "de fora")
				b.do("wait for the hold", chromedp.WaitVisible(chromedp.CSS("section.braked")))
				h.run(t, "release", "marketing")
				b.do("wait for its end", chromedp.WaitNotPresent(chromedp.CSS("section.braked")))
			}

			// Somebody writes, and is answered.
			b.visit("/sandbox")
			b.fill("form[action='/sandbox/open'] input[name=phone]", way.phone)
			b.submit("open a phone", "form[action='/sandbox/open'] button")
			b.do("wait for the phone", chromedp.WaitVisible(chromedp.CSS("form[action='/sandbox/write'] input[name=text]")))
			b.fill("form[action='/sandbox/write'] input[name=text]", hostile)
			b.submit("send", "form[action='/sandbox/write'] .say button.main")
			at := get(b, "where", chromedp.Location())
			b.there(strings.TrimPrefix(at, h.console), "<img src=x onerror")
			if title := get(b, "title", chromedp.Title()); strings.Contains(title, "owned") {
				t.Error("a message ran as a script")
			}
			b.visit("/contacts")
			b.fill("main form[action='/contacts'] input[name=of]", way.phone)
			b.submit("find the person", "main form[action='/contacts'] button.main")
			b.do("wait for the person", chromedp.WaitVisible(chromedp.CSS("form[action$='/reply'] textarea")))
			person := get(b, "where", chromedp.Location())
			b.fill("form[action$='/reply'] textarea", "Olá! "+hostile)
			b.submit("reply", "form[action$='/reply'] button.main")
			b.said()
			b.there(strings.TrimPrefix(at, h.console), "Olá! <img src=x")

			// STOP is heard, and what may be one is decided by one click.
			b.fill("form[action='/sandbox/write'] input[name=text]", "não quero mais receber isso")
			b.submit("send", "form[action='/sandbox/write'] .say button.main")
			b.there("/review", "não quero mais receber isso")
			b.submit("it was a STOP", "form[action^='/review/'] button[value=stop]")
			b.said()
			b.visit(strings.TrimPrefix(person, h.console))
			if text := string(h.run(t, "contacts", "show", way.phone, "-o", "json")); !strings.Contains(text, `"revoked"`) && !strings.Contains(text, "revoke") {
				t.Errorf("the command line knows of no revocation: %s", text)
			}

			// A campaign is approved by who saw its plan, paused and resumed.
			if i == 0 {
				b.approve()
			}

			// A campaign by its files; a file's hostile name stays text.
			b.upload(way.name)

			// The audit log names who it was.
			b.visit("/audit")
			if text := b.text("main"); !strings.Contains(text, "hold") {
				t.Errorf("the audit log does not tell: %s", text)
			}
			b.quiet(way.name)
		})
	}
}

// approve approves the first campaign that waits for it, pauses it and lets it go
// on.
func (b *browser) approve() {
	b.t.Helper()
	var all []struct {
		ID      string `json:"id"`
		Waiting string `json:"waiting"`
	}
	if err := json.Unmarshal(b.h.run(b.t, "campaigns", "list", "-o", "json"), &all); err != nil {
		b.t.Fatal(err)
	}
	for _, c := range all {
		if c.Waiting == "" {
			continue
		}
		b.visit("/campaigns/" + c.ID + "/plan")
		b.submit("approve", "form[action$='/approve'] button.main")
		b.said()
		b.press("pause", "details.act summary")
		b.fill("form[action$='/pause'] input[name=reason]", "conferir o texto")
		b.submit("pause it", "form[action$='/pause'] button.main")
		b.said()
		b.submit("go on", "form[action$='/resume'] button")
		b.said()
		b.picture("click-approved")
		return
	}
	b.t.Error("no campaign waits for an approval")
}

// upload takes a campaign by its two files, after a try with a file whose name
// would like to be more than text.
func (b *browser) upload(name string) {
	b.t.Helper()
	definition, err := os.ReadFile("../../campaigns.d/natal.toml")
	if err != nil {
		b.t.Fatal(err)
	}
	audience, err := os.ReadFile("../../campaigns.d/natal.csv")
	if err != nil {
		b.t.Fatal(err)
	}
	dir := b.t.TempDir()
	put := func(file string, text []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			b.t.Fatal(err)
		}
		return path
	}
	own := put("campanha.toml", bytes.Replace(definition, []byte(`id = "natal"`), []byte(`id = "natal-`+name+`"`), 1))
	evil := put(`<img src=x onerror=document.title='owned'>.csv`, audience)
	b.visit("/campaigns/new")
	b.do("choose files", chromedp.SetUploadFiles(chromedp.CSS("input[name=definition]"), []string{own}), chromedp.SetUploadFiles(chromedp.CSS("input[name=file]"), []string{evil}))
	b.submit("check", "form[enctype] button[formaction]")
	if title := get(b, "title", chromedp.Title()); strings.Contains(title, "owned") {
		b.t.Error("a file's name ran as a script")
	}
	b.refusal("/campaigns/new/check")
	b.visit("/campaigns/new")
	b.do("choose files", chromedp.SetUploadFiles(chromedp.CSS("input[name=definition]"), []string{own}), chromedp.SetUploadFiles(chromedp.CSS("input[name=file]"), []string{put("natal.csv", audience)}))
	b.submit("take it", "form[enctype] button.main")
	b.said()
	b.there("/campaigns", "natal-"+name)
}

// refusal takes out the line by which a browser tells of a page that is refused
// with 400, as it was meant to be.
func (b *browser) refusal(path string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	was := len(b.bad)
	b.bad = slices.DeleteFunc(b.bad, func(text string) bool {
		return strings.Contains(text, "status of 400 ") && strings.HasSuffix(text, path)
	})
	if len(b.bad) == was {
		b.t.Errorf("%s was not refused", path)
	}
}
