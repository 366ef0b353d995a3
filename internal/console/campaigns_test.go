package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

var (
	putOffer = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, parameter_format, components, hash, seen_at, changed_at)
		VALUES ('100000000000001', ?1, 'pt_BR', 'marketing', 'APPROVED', 'POSITIONAL', ?2, 'x', 1, 1)`)
	putSeen = store.SQL(`UPDATE numbers SET seen_at = 1`)
)

// fair is a shop whose campaigns run, in fake time.
type fair struct {
	*shop
	room   *campaigns.Campaigns
	folder string // where definitions are dropped
}

func inFair(t *testing.T, fn func(t *testing.T, f *fair)) {
	synctest.Test(t, func(t *testing.T) {
		f, end := openFair(t, "marketing")
		defer end()
		fn(t, f)
	})
}

// openFair begins it. approval is that of config.toml; end ends it.
func openFair(t testing.TB, approval string) (f *fair, end func()) {
	f = &fair{shop: newShop(t)}
	log := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	folder := filepath.Join(dir, "campaigns.d")
	f.folder = folder
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	f.room = campaigns.New(campaigns.Config{DB: f.db, Folder: folder, Status: filepath.Join(dir, "status"), Spool: filepath.Join(dir, "spool"), Zone: "America/Sao_Paulo", Region: "BR",
		Poll: 500 * time.Millisecond, Stable: 2 * time.Second, Approval: approval, FourEyes: true, TestNumbers: []whatsapp.Phone{ana},
		PerSecond: func(account.Number) float64 { return 100 }, Log: log})
	server := httpapi.New(httpapi.Config{DB: f.db, Log: log, Zone: "America/Sao_Paulo", Region: "BR", Folder: folder, Campaigns: f.room, TestNumbers: []whatsapp.Phone{ana},
		Account: account.NewSyncer(account.Config{DB: f.db, Log: log})})
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	f.console = New(Config{DB: f.db, API: server, Logins: access.NewLogins(f.db, log), Zone: func() *time.Location { return zone }, FourEyes: func() bool { return true }, Version: "test", Log: log})
	f.api = httpapi.Within(server, "maria")
	f.write(func(tx *store.Tx) error {
		if _, err := tx.Exec(putSeen); err != nil {
			return err
		}
		_, err := tx.Exec(putOffer, "oferta", `[{"type":"BODY","text":"Olá {{1}}! <b>Oferta</b>","example":{"body_text":[["Ana"]]}},{"type":"BUTTONS","buttons":[{"type":"URL","text":"Ver","url":"https://loja.example/{{1}}"}]}]`)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loop := scheduler.NewLoop(f.db, f.room.Fire, log)
	loops.Go(func() { _ = f.room.Run(ctx) })
	loops.Go(func() { _ = loop.Run(ctx) })
	return f, func() { f.api.Close(); cancel(); loops.Wait() }
}

// after lets time pass, for clocks and loops.
func (f *fair) after(d time.Duration) {
	for range d/time.Second + 5 {
		f.wait(time.Second)
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

const spring = `id = "primavera"
title = "Primavera <script>alert('x')</script>"
category = "marketing"
from = "loja"
[template]
name = "oferta"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.buttons]]
index = 0
type = "url"
value = "p"
[recipients]
file = "gente.csv"
phone_column = "telefone"
max_rejected_percent = 50.0
[schedule]
at = 2026-11-23T10:10:00
timezone = "America/Sao_Paulo"
`

// people are ana, sixty who never agreed, and a row that is no number.
func people() string {
	var b strings.Builder
	b.WriteString("nome;telefone\nAna;" + ana + "\n")
	for i := range 60 {
		fmt.Fprintf(&b, "P%d;+551190000%04d\n", i, 100+i)
	}
	b.WriteString("Zé;abc\n")
	return b.String()
}

// send posts files as a browser does: of what was not chosen there is an empty part.
func (b *browser) send(path, definition string, files ...string) answer {
	b.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	_ = w.WriteField("definition", definition)
	_, _ = w.CreateFormFile("file", "")
	for i := 0; i+2 < len(files); i += 3 {
		part, err := w.CreateFormFile(files[i], files[i+1])
		if err != nil {
			b.Fatal(err)
		}
		_, _ = part.Write([]byte(files[i+2]))
	}
	_ = w.Close()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Accept-Language", b.header["Accept-Language"])
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.console.ServeHTTP(rec, r)
	return answer{rec.Result(), rec.Body.String()}
}

// A campaign from its upload to its end, by the pages alone.
func TestCampaignFromUploadToCancel(t *testing.T) {
	inFair(t, func(t *testing.T, f *fair) {
		maria, bia, rui := f.as("maria", "pt-BR"), f.as("bia", "en"), f.as("rui", "pt-BR")
		maria.send("/campaigns/new/upload", spring, "file", "gente.csv", people()).want(t, http.StatusForbidden)
		bad := bia.send("/campaigns/new/upload", strings.Replace(strings.Replace(spring, `"telefone"`, `"fone"`, 1), `"oferta"`, `"ofertas"`, 1), "file", "gente.csv", people())
		bad.want(t, http.StatusOK, "campaign.toml:6:1", "campaign.toml:16:1", "It cannot be used yet.")
		bad.wantHarmless(t)
		if n := strings.Count(bad.text, `class="wrong"`); n != 2 {
			t.Errorf("%d lines are marked, want 2", n)
		}
		bia.get("/campaigns/new/upload").wantTo(t, "/campaigns/new")
		f.after(time.Second)
		if all, err := f.api.Campaigns(t.Context()); err != nil || len(all) != 0 {
			t.Fatalf("%v %+v: what has faults became a campaign", err, all)
		}
		bia.send("/campaigns/new/check", spring, "file", "gente.csv", people()).want(t, http.StatusOK, "All is well.", "no consent")
		bia.follow(bia.send("/campaigns/new/upload", spring, "file", "gente.csv", people())).want(t, http.StatusOK, "The campaign primavera was taken")
		f.after(10 * time.Second)

		for _, language := range languages {
			b := f.as("maria", language)
			list := b.get("/campaigns")
			list.want(t, http.StatusOK, "/campaigns/primavera", "Primavera &lt;script&gt;")
			list.wantHarmless(t)
			plan := b.get("/campaigns/primavera/plan")
			plan.want(t, http.StatusOK, "&lt;b&gt;Oferta", map[string]string{"pt-BR": "Só quem aprova pode liberar.", "en": "Only an approver can let it go."}[language])
			plan.wantHarmless(t)
			if strings.Contains(plan.text, `action="/campaigns/primavera/approve"`) {
				t.Error("a viewer is shown the button of the approval")
			}
		}
		d, err := f.api.CampaignDetails(t.Context(), "primavera")
		if err != nil || d.WaitingPlan == "" || d.SubmittedBy != "operator:bia" {
			t.Fatalf("%v %+v", err, d)
		}
		bia.post("/campaigns/primavera/approve", "plan", d.WaitingPlan).want(t, http.StatusForbidden)
		rui.get("/campaigns/primavera/plan").want(t, http.StatusOK, `name="plan" value="`+d.WaitingPlan+`"`)
		rui.follow(rui.post("/campaigns/primavera/approve", "plan", "0123456789ab")).want(t, http.StatusOK, "Recusado")
		rui.follow(rui.post("/campaigns/primavera/approve", "plan", d.WaitingPlan)).want(t, http.StatusOK, "Aprovada.")
		f.after(15 * time.Minute)
		f.seesRun(t)

		bia.follow(bia.post("/campaigns/primavera/pause", "reason", hostile)).want(t, http.StatusOK, "The campaign is paused.", "Paused", html.EscapeString("<script>"))
		bia.follow(bia.post("/campaigns/primavera/resume")).want(t, http.StatusOK, "The campaign goes on.")
		bia.follow(bia.post("/campaigns/primavera/test", "to", ana, "row", "1")).want(t, http.StatusOK, "The test is on its way.")
		bia.follow(bia.post("/campaigns/primavera/cancel")).want(t, http.StatusOK, "Nothing was cancelled")
		bia.follow(bia.post("/campaigns/primavera/cancel", "sure", "yes")).want(t, http.StatusOK, "The campaign is cancelled, with 1 message that waited.")
		end := bia.get("/campaigns/primavera")
		for _, story := range []string{"Version taken", "Approved", "Run began", "Paused", "Resumed", "Test sent", "Cancelled"} {
			end.want(t, http.StatusOK, story)
		}
		bia.get("/campaigns/nirgends").want(t, http.StatusNotFound)
		bia.get("/campaigns/..%2Fx").want(t, http.StatusNotFound)
	})
}

// seesRun holds the pages of the run to what the operations say.
func (f *fair) seesRun(t *testing.T) {
	t.Helper()
	c, err := f.api.Campaign(t.Context(), "primavera")
	if err != nil || len(c.Runs) != 1 || c.Runs[0].Rows != 62 || c.Runs[0].Reasons["no_opt_in"] != 60 || c.Runs[0].Rejected != 1 {
		t.Fatalf("%v %+v", err, c)
	}
	losses, err := f.api.Losses(t.Context(), "primavera", 0)
	if err != nil || losses.Run != c.Runs[0].ID || len(losses.Reasons) != 1 || losses.Reasons[0].Messages != 60 || len(losses.Rows) != 1 || losses.Rows[0].Messages != 1 || losses.RowsLooked != losses.Rejected {
		t.Fatalf("%v %+v", err, losses)
	}
	var csv bytes.Buffer
	if err := f.api.Report(t.Context(), "primavera", httpapi.ReportQuery{}, &csv); err != nil {
		t.Fatal(err)
	}
	for _, language := range languages {
		b := f.as("maria", language)
		page := b.get("/campaigns/primavera")
		page.want(t, http.StatusOK, map[string]string{"pt-BR": "sem consentimento", "en": "no consent"}[language], `<span class="n">60</span>`, `<dd class="n">62</dd>`, map[string]string{"pt-BR": "60 de 61", "en": "60 of 61"}[language])
		page.wantHarmless(t)
		b.get("/").want(t, http.StatusOK, "Primavera &lt;script&gt;", map[string]string{"pt-BR": "60 de 61", "en": "60 of 61"}[language])

		first := b.get("/campaigns/primavera/recipients")
		if n := strings.Count(first.text, "<tr>\n"); n != pageRows {
			t.Errorf("%d rows on the first page, want %d", n, pageRows)
		}
		next := regexp.MustCompile(`class="button" href="(/campaigns/primavera/recipients\?[^"]+)"`).FindStringSubmatch(first.text)
		if next == nil {
			t.Fatal("no way on to the second page")
		}
		second := b.get(html.UnescapeString(next[1]))
		if n := strings.Count(second.text, "<tr>\n"); n != 62-pageRows {
			t.Errorf("%d rows on the second page, want %d", n, 62-pageRows)
		}
		phones := regexp.MustCompile(`nowrap">&#43;(\d+)<`).FindAllString(first.text+second.text, -1)
		slices.Sort(phones)
		if n := len(slices.Compact(slices.Clone(phones))); len(phones) != 61 || n != 61 {
			t.Errorf("%d numbers on both pages, %d of them different: want 61", len(phones), n)
		}
		some := b.get("/campaigns/primavera/recipients?state=rejected&reason=invalid_phone")
		if n := strings.Count(some.text, "<tr>\n"); n != 1 {
			t.Errorf("%d rejected rows, want 1", n)
		}
		file := b.get("/campaigns/primavera/report.csv")
		if file.text != csv.String() || file.Header.Get("Content-Disposition") != `attachment; filename="primavera.csv"` {
			t.Errorf("the file is another than the operation's, or has no name: %v", file.Header)
		}
	}
}

// Failures are told by Meta's code, in the visitor's words.
func TestFailuresByCode(t *testing.T) {
	inFair(t, func(t *testing.T, f *fair) {
		bia, rui := f.as("bia", "pt-BR"), f.as("rui", "pt-BR")
		bia.send("/campaigns/new/upload", spring, "file", "gente.csv", people()).wantStatus(t, http.StatusSeeOther)
		f.after(10 * time.Second)
		d, err := f.api.CampaignDetails(t.Context(), "primavera")
		if err != nil {
			t.Fatal(err)
		}
		rui.post("/campaigns/primavera/approve", "plan", d.WaitingPlan).wantStatus(t, http.StatusSeeOther)
		f.after(15 * time.Minute)
		rows, err := f.api.ReportRows(t.Context(), "primavera", httpapi.ReportRowsQuery{States: []string{"queued"}})
		if err != nil || len(rows.Rows) != 1 {
			t.Fatalf("%v %+v", err, rows)
		}
		f.write(func(tx *store.Tx) error {
			m, _, err := outbox.ByID(tx, rows.Rows[0].Message)
			if err != nil {
				return err
			}
			s, _, err := outbox.StreamByID(tx, m.Stream)
			if err != nil {
				return err
			}
			if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
				return err
			}
			_, err = outbox.Settle(tx, []outbox.Result{{Message: m.ID, Attempt: 1, To: outbox.Failed, Reason: "suppress_user", Code: 131026, At: tx.Now()}})
			return err
		})
		f.as("maria", "pt-BR").get("/campaigns/primavera").want(t, http.StatusOK, "<code>131026</code>", "Confira o número.")
		f.as("maria", "en").get("/campaigns/primavera").want(t, http.StatusOK, "<code>131026</code>", "Check the number.")
	})
}

// Who uploaded a plan is not offered to approve it, and is refused.
func TestFourEyes(t *testing.T) {
	inFair(t, func(t *testing.T, f *fair) {
		rui := f.as("rui", "en")
		rui.send("/campaigns/new/upload", spring, "file", "gente.csv", people()).wantStatus(t, http.StatusSeeOther)
		f.after(10 * time.Second)
		page := rui.get("/campaigns/primavera/plan")
		page.want(t, http.StatusOK, "another person has to approve it")
		if strings.Contains(page.text, "/approve") {
			t.Error("the button is there")
		}
		d, err := f.api.CampaignDetails(t.Context(), "primavera")
		if err != nil {
			t.Fatal(err)
		}
		rui.follow(rui.post("/campaigns/primavera/approve", "plan", d.WaitingPlan)).want(t, http.StatusOK, "Refused")
		if d, err = f.api.CampaignDetails(t.Context(), "primavera"); err != nil || d.WaitingPlan == "" {
			t.Errorf("%v: it was approved", err)
		}
	})
}

// The form writes the file that a person would, and what it writes is taken.
func TestFormWritesTheFile(t *testing.T) {
	inFair(t, func(t *testing.T, f *fair) {
		bia := f.as("bia", "pt-BR")
		bia.get("/campaigns/new").want(t, http.StatusOK, "oferta|pt_BR|"+waba)
		bia.get("/campaigns/new/form?template="+url.QueryEscape("oferta|pt_BR|"+waba)).want(t, http.StatusOK, "{{1}}", "por exemplo: Ana", `name="button-0-column"`)
		a := bia.post("/campaigns/new/form", "template", "oferta", "language", "pt_BR", "account", waba, "title", `Verão "já" </textarea><script>alert(1)</script>`, "from", "loja", "phone_column", "telefone",
			"body-0-column", "nome", "body-0-default", "cliente", "button-0-default", "verao", "at", "2026-11-24T09:30", "day", "tue", "from_time", "09:00", "to_time", "20:00")
		a.want(t, http.StatusOK, "/campaigns/new/upload?audience=verao-ja-textarea-script-alert-1-script.csv")
		a.wantHarmless(t)
		text := html.UnescapeString(regexp.MustCompile(`(?s)<textarea[^>]*>\n?(.*?)</textarea>`).FindStringSubmatch(a.text)[1])
		want := `version = 1
id = "verao-ja-textarea-script-alert-1-script"
title = "Verão \"já\" </textarea><script>alert(1)</script>"
category = "marketing"
from = "loja"

[template]
name = "oferta"
language = "pt_BR"

[[template.body]]
column = "nome"
default = "cliente"

[[template.buttons]]
index = 0
type = "url"
value = "verao"

[recipients]
file = "verao-ja-textarea-script-alert-1-script.csv"
phone_column = "telefone"

[schedule]
at = 2026-11-24T09:30:00
timezone = "America/Sao_Paulo"

[[schedule.windows]]
days = ["tue"]
from = 09:00:00
to = 20:00:00
`
		if text = strings.TrimPrefix(text, "\n"); text != want {
			t.Fatalf("got\n%s\nwant\n%s", text, want)
		}
		crlf := strings.ReplaceAll(text, "\n", "\r\n") // as browsers send what stands in a form
		at := "/campaigns/new/upload?audience=verao-ja-textarea-script-alert-1-script.csv"
		bia.follow(bia.send(at, crlf, "audience", "Lista de março (final).csv", people())).want(t, http.StatusOK, "foi recebida")
		f.after(10 * time.Second)
		d, err := f.api.CampaignDetails(t.Context(), "verao-ja-textarea-script-alert-1-script")
		if err != nil || d.SubmittedBy != "operator:bia" || d.WaitingPlan == "" || d.Title != `Verão "já" </textarea><script>alert(1)</script>` {
			t.Errorf("%v %+v", err, d)
		}
	})
}

// What TOML reads of a text is the text.
func TestTextsOfTheForm(t *testing.T) {
	for _, text := range []string{"", "Ana", `"`, `\`, "a\nb\t\r", "</script>&", "\x00\x1f\x7f", "é 🎄", "\u2028"} {
		written := "id = \"x\"\ntitle = " + tomlText(text) + "\n"
		def, _, _ := campaigns.ParseDefinition("x.toml", []byte(written))
		if def.Title != text {
			t.Errorf("%q is read as %q, written %s", text, def.Title, written)
		}
	}
	for title, id := range map[string]string{"Black Friday 2026!": "black-friday-2026", "  Promoção de Verão ": "promocao-de-verao", "🎄": "", "--": "", strings.Repeat("ab ", 50): strings.TrimSuffix(strings.Repeat("ab-", 20), "-")} {
		if got := slug(title); got != id {
			t.Errorf("%q: got %q, want %q", title, got, id)
		}
	}
}

// wantStatus is want without texts.
func (a answer) wantStatus(t testing.TB, status int) { t.Helper(); a.want(t, status) }

// Today shows what the operation says, and the brake stops marketing.
func TestToday(t *testing.T) {
	s := newShop(t)
	today, err := s.api.Today(t.Context())
	if err != nil || today.Day.All.Messages != 2 || today.Day.All.Delivered != 2 {
		t.Fatalf("%v %+v", err, today.Day.All)
	}
	for _, language := range languages {
		a := s.as("maria", language).get("/")
		a.want(t, http.StatusOK, `<p class="big">2</p>`, map[string]string{"pt-BR": "100,0%", "en": "100.0%"}[language], "loja", "filial")
		a.wantHarmless(t)
		if strings.Contains(a.text, `action="/brake"`) {
			t.Error("a viewer is shown the brake")
		}
	}
	s.as("maria", "en").post("/brake", "reason", "x").want(t, http.StatusForbidden)
	bia := s.as("bia", "en")
	bia.get("/").want(t, http.StatusOK, `action="/brake"`)
	braked := bia.follow(bia.post("/brake", "reason", hostile))
	braked.want(t, http.StatusOK, "The brake is on", "Marketing is stopped", html.EscapeString("<script>"))
	braked.wantHarmless(t)
	holds, err := s.api.Holds(t.Context())
	if err != nil || len(holds) != 1 || holds[0].Scope != "category" || holds[0].Target != "marketing" || holds[0].Detail != hostile || holds[0].Actor != "operator:bia" {
		t.Fatalf("%v %+v", err, holds)
	}
	bia.follow(bia.post("/holds/release", "back", "/", "scope", "category", "target", "marketing")).want(t, http.StatusOK, "The brake is released")
	if holds, err = s.api.Holds(t.Context()); err != nil || slices.ContainsFunc(holds, func(h httpapi.HoldLine) bool { return h.State == "standing" }) {
		t.Errorf("%v %+v", err, holds)
	}
}

// The chart draws each lane to scale, and says the same numbers to the script and
// in the table.
func TestSendsChart(t *testing.T) {
	from := doorBegan.Truncate(time.Minute)
	sends := &httpapi.Sends{Since: from, Minutes: []httpapi.MinuteSends{{At: from, Marketing: 30, Utility: 10}, {At: from.Add(time.Minute), Authentication: 20}}}
	c := chartOf(sends, langs()[0], time.UTC)
	if c.Total != 60 || c.Top != 40 || len(c.Bars) != 3 || len(c.Data.X) != chartMinutes || len(c.Table) != 1 || c.Table[0].Marketing != 30 || c.Table[0].Authentication != 20 {
		t.Fatalf("%+v", c)
	}
	if high := c.Bars[0].Height + c.Bars[1].Height; high != chartHeight || c.Bars[1].Y != 0 || c.Bars[2].Height != chartHeight/2 || c.Bars[2].X <= c.Bars[0].X {
		t.Errorf("%+v", c.Bars)
	}
	b, err := json.Marshal(c.Data)
	if err != nil || !strings.Contains(string(b), `null,null,30,0]`) || c.Data.X[58] != from.Unix() || c.Data.X[0] != from.Add(-58*time.Minute).Unix() {
		t.Errorf("%v %s", err, b)
	}
	if chartOf(nil, langs()[0], time.UTC) != nil {
		t.Error("a chart of nothing")
	}
}
