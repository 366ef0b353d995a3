package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// yard is a shop that also has templates, codes, and the sandbox in Meta's place.
type yard struct {
	*shop
	codes   *otp.OTP
	sandbox *sandbox.Sandbox
}

var putTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, quality, components, hash, missing, seen_at, changed_at)
	VALUES (?1, ?2, ?3, ?4, ?5, 'GREEN', ?6, 'the hash', 0, 0, 0)`)

const offer = `[{"type":"HEADER","format":"IMAGE"},
	{"type":"BODY","text":"Oi, *{{1}}*! ~20~ _10_ <script>alert(1)</script>","example":{"body_text":[["Ana & <b>Bia</b>"]]}},
	{"type":"FOOTER","text":"<i>fim</i>"},
	{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Parar <promoções>"},{"type":"URL","text":"Ver","url":"javascript:alert(1)"}]},
	{"type":"CAROUSEL","cards":[{"components":[{"type":"BODY","text":"Um cartão"}]}]}]`

func newYard(t *testing.T) *yard {
	y := &yard{shop: newShop(t)}
	log := slog.New(slog.NewTextHandler(y.said, nil))
	ring, err := otp.OpenKeyring(filepath.Join(t.TempDir(), "otp.key"))
	if err != nil {
		t.Fatal(err)
	}
	y.codes, err = otp.New(otp.Config{Number: "loja", Countries: []string{"BR"}, MaxSends: 1000, Limits: otp.DefaultLimits(), MuteFor: time.Hour, Fallback: otp.Fallback{Mode: "off"},
		Purposes: map[string]otp.Purpose{"login": {Template: "codigo", Languages: []string{"pt_BR"}, Digits: 6, TTL: 10 * time.Minute}}}, otp.Deps{DB: y.db, Keys: ring, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	y.sandbox, err = sandbox.New(sandbox.Config{Token: "token", AppSecret: "secret", VerifyToken: "verify", Seed: 1, Templates: sandbox.DefaultTemplates(waba),
		WABAs: []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: loja, Display: "+1 202-555-0100"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.New(httpapi.Config{DB: y.db, Log: log, Zone: "America/Sao_Paulo", Region: "BR", OTP: y.codes, Account: account.NewSyncer(account.Config{DB: y.db, Log: log})})
	y.console = New(Config{DB: y.db, API: server, Logins: access.NewLogins(y.db, log), Zone: func() *time.Location { return time.UTC }, FourEyes: func() bool { return false },
		Sandbox: y.sandbox.Manage(), Version: "test", Log: log})
	y.api = httpapi.Within(server, "maria")
	t.Cleanup(y.api.Close)
	y.write(func(tx *store.Tx) error {
		for _, row := range [][]any{{waba, "oferta", "pt_BR", "marketing", "APPROVED", offer}, {waba, "oferta", "es", "marketing", "PAUSED", "[]"},
			{waba, "codigo", "pt_BR", "authentication", "APPROVED", `[{"type":"BODY","text":"*{{1}}* é seu código"}]`}} {
			if _, err := tx.Exec(putTemplate, row...); err != nil {
				return err
			}
		}
		return nil
	})
	return y
}

func TestTemplatePages(t *testing.T) {
	y := newYard(t)
	for language, words := range map[string][]string{"pt-BR": {"Marketing", "Autenticação", "es · pausado", "Ler da Meta agora"}, "en": {"Marketing", "Authentication", "es · paused", "Ask Meta now"}} {
		y.as("bia", language).get("/templates").want(t, http.StatusOK, append(words, `href="/templates/oferta"`, `href="/templates/codigo"`)...)
	}
	b := y.as("maria", "en")
	a := b.get("/templates?category=marketing&status=not&text=OFER")
	a.want(t, http.StatusOK, "es · paused")
	if strings.Contains(a.text, ">codigo<") || strings.Contains(a.text, "language=pt_BR") || strings.Contains(a.text, "/templates/sync") {
		t.Error("the filter lets others through, or a viewer may ask Meta")
	}
	b.post("/templates/sync").want(t, http.StatusForbidden)
	view, err := y.api.Template(t.Context(), "oferta")
	if err != nil || len(view.Singles) != 1 || view.Singles[0].Messages != 2 || view.Singles[0].Delivered != 2 {
		t.Fatalf("%v %+v", err, view.Singles)
	}
	for _, language := range languages {
		a = y.as("maria", language).get("/templates/oferta?language=pt_BR")
		a.want(t, http.StatusOK, `<strong><span class="var" title="{{1}}">Ana &amp; &lt;b&gt;Bia&lt;/b&gt;</span></strong>`, "<s>20</s> <em>10</em>", "&lt;script&gt;alert(1)", "&lt;i&gt;fim&lt;/i&gt;",
			"Parar &lt;promoções&gt;", "Um cartão", `<td class="n" data-label=`, fmt.Sprintf(">%d</td>", view.Singles[0].Delivered))
		a.wantHarmless(t)
		if strings.Contains(a.text, `href="javascript`) || strings.Contains(a.text, "<script>alert") {
			t.Error("a template's text is more than text")
		}
	}
	b.get("/templates/oferta?language=es").want(t, http.StatusOK, `aria-current="page">es`)
	b.get("/templates/codigo").want(t, http.StatusOK, "Codes for login")
	b.get("/templates/other").want(t, http.StatusNotFound)
}

func TestCodesPage(t *testing.T) {
	y := newYard(t)
	for i, consent := range []*otp.Consent{{Source: "form", Text: "codes"}, nil} {
		ask := y.codes.Prepare(otp.Caller{Client: "site"}, otp.Request{To: fmt.Sprint("+551190000001", i), Purpose: "login", ClientIP: "192.0.2.7", Consent: consent})
		if err := y.db.Write(t.Context(), func(tx *store.Tx) error { _, err := ask(tx); return err }); (err == nil) != (i == 0) {
			t.Fatal(err)
		}
	}
	f, err := y.api.OTPFunnel(t.Context(), 24)
	if err != nil || f.All.Requested != 1 || f.All.Refused != 1 || len(f.All.Refusals) != 1 {
		t.Fatalf("%v %+v", err, f.All)
	}
	for language, words := range map[string][]string{"pt-BR": {"Pedidos", "sem consentimento", "1 em 66.666", "de 1.000 por dia"}, "en": {"Requested", "no consent", "1 in 66,666", "of 1,000 a day"}} {
		a := y.as("maria", language).get("/codes")
		a.want(t, http.StatusOK, append(words, fmt.Sprintf(`<span class="big">%d</span>`, f.All.Requested))...)
		a.wantHarmless(t)
		if regexp.MustCompile(`\+?55\s?11\s?9\d{4}-?\d`).MatchString(a.text) {
			t.Error("a number on the page")
		}
		if strings.Contains(a.text, "/codes/unlock") {
			t.Error("a viewer may unlock")
		}
	}
	y.as("maria", "en").post("/codes/unlock", "phone", ana).want(t, http.StatusForbidden)
	b := y.as("bia", "en")
	b.get("/codes").want(t, http.StatusOK, `action="/codes/unlock"`)
	a := b.post("/codes/unlock", "phone", "+5511900000010")
	if strings.Contains(a.Header.Get("Location"), "900000010") {
		t.Error("a number stands in an address")
	}
	a = b.follow(a)
	a.want(t, http.StatusOK, "was not locked")
	if strings.Contains(a.text, "5511900000010") {
		t.Error("the whole number is told")
	}
	b.follow(b.post("/codes/unlock", "phone", "<nobody>")).want(t, http.StatusOK, `class="notice bad"`)

	s := newShop(t) // no codes are configured there
	s.as("maria", "pt-BR").get("/codes").want(t, http.StatusOK, "Nenhum código está configurado")
}

func TestAuditPage(t *testing.T) {
	s := newShop(t)
	s.write(func(tx *store.Tx) error {
		for i := range 2100 {
			e := access.Entry{Actor: "operator:zoe", Command: "hold", Object: fmt.Sprintf("object %d.", i), Before: hostile, After: "held"}
			if i == 7 {
				e.Actor, e.Command = "key:Rare", "campaigns approve"
			}
			if err := access.Note(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	next := regexp.MustCompile(`class="button" href="([^"]+)" data-hx-get`)
	for _, language := range languages {
		b := s.as("maria", language)
		all, err := s.api.AuditBefore(t.Context(), 0, 4*auditPage) // the visitor's login among them
		if err != nil {
			t.Fatal(err)
		}
		path := "/audit"
		for at := 0; at < 3*auditPage; at += auditPage { // pages follow each other without a gap
			a := b.get(path)
			a.want(t, http.StatusOK, all[at].Object, all[at+auditPage-1].Object, "&lt;script&gt;")
			a.wantHarmless(t)
			if strings.Contains(a.text, all[at+auditPage].Object) {
				t.Error("a page is longer than it says")
			}
			m := next.FindStringSubmatch(a.text)
			if m == nil {
				t.Fatal("no further page")
			}
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	b := s.as("maria", "en")
	a := b.get("/audit?actor=rare&command=APPROVE")
	a.want(t, http.StatusOK, "No changes here.", "2,000 entries were looked at")
	m := next.FindStringSubmatch(a.text)
	if m == nil {
		t.Fatal("there is more to look at, and no way to it")
	}
	b.get(strings.ReplaceAll(m[1], "&amp;", "&")).want(t, http.StatusOK, "object 7.", "campaigns approve", "That is all")
	entries, err := s.api.AuditBefore(t.Context(), 0, 3)
	if err != nil || len(entries) != 3 {
		t.Fatal(err)
	}
	older, err := s.api.AuditBefore(t.Context(), entries[1].ID, 1)
	if err != nil || len(older) != 1 || older[0] != entries[2] {
		t.Errorf("%v %+v, want %+v", err, older, entries[2])
	}
}

func TestSandboxPage(t *testing.T) {
	y := newYard(t)
	b := y.as("bia", "pt-BR")
	b.get("/sandbox").want(t, http.StatusOK, "Ninguém recebeu nada ainda", "Escolha um telefone")
	send := func(body string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v25.0/"+loja+"/messages", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer token")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		y.sandbox.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
	}
	send(`{"messaging_product":"whatsapp","to":"` + ana + `","type":"template","template":{"name":"oferta_natal","language":{"code":"pt_BR"},"components":[
		{"type":"body","parameters":[{"type":"text","text":"<b>Ana</b>"},{"type":"text","text":"*20%*"}]},
		{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"STOP"}]},
		{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]}]}}`)
	list := y.sandbox.Phones(9)
	if len(list) != 1 || "+"+list[0].WaID != ana {
		t.Fatalf("%+v", list)
	}
	who := list[0].UserID
	at := "/sandbox?who=" + who
	b.get("/sandbox").want(t, http.StatusOK, `href="`+at+`" aria-current="page"`, "&lt;b&gt;Ana&lt;/b&gt;", "<strong>20%</strong> de desconto", "oferta_natal")
	a := b.post("/sandbox/open", "phone", ana)
	a.wantTo(t, at) // a number stands in no address
	b.follow(b.post("/sandbox/open", "phone", "12")).want(t, http.StatusOK, "8 a 15 dígitos")

	b.post("/sandbox/write", "who", who, "text", "*oi* "+hostile).wantTo(t, at+"&typing=1")
	b.post("/sandbox/write", "who", who, "quick", "SAIR", "text", "not this").wantTo(t, at+"&typing=1")
	b.post("/sandbox/write", "who", who, "tap", "Parar promoções", "reply_to", "wamid.x").wantTo(t, at+"&typing=1")
	heard := y.sandbox.Heard(ana)
	if len(heard) != 3 || heard[1].Text != "SAIR" || heard[2].Type != "button" {
		t.Errorf("%+v", heard)
	}
	a = b.get(at)
	a.want(t, http.StatusOK, "<strong>oi</strong> &lt;script&gt;", "SAIR", "Botão")
	a.wantHarmless(t)
	b.follow(b.post("/sandbox/write", "who", who, "text", "  ")).want(t, http.StatusOK, "Escreva alguma coisa")
	b.follow(b.post("/sandbox/write", "who", "nobody", "text", "oi")).want(t, http.StatusOK, "Esse telefone não é conhecido")
	b.follow(b.post("/sandbox/write", "who", who, "code", "1")).want(t, http.StatusOK, `class="notice bad"`) // they got no code

	for do, says := range map[string]func(sandbox.Person) bool{
		"offline": func(p sandbox.Person) bool { return !p.Online }, "online": func(p sandbox.Person) bool { return p.Online },
		"leave": func(p sandbox.Person) bool { return !p.OnWhatsApp }, "join": func(p sandbox.Person) bool { return p.OnWhatsApp },
		"stop": func(p sandbox.Person) bool { return p.Stopped }, "resume": func(p sandbox.Person) bool { return !p.Stopped },
	} {
		b.follow(b.post("/sandbox/person", "who", who, "do", do)).want(t, http.StatusOK, `class="notice good"`)
		if !says(y.sandbox.Person(ana)) {
			t.Errorf("%s changed nothing", do)
		}
	}
	b.follow(b.post("/sandbox/person", "who", who, "do", "nothing")).want(t, http.StatusOK, `class="notice bad"`)

	b.follow(b.post("/sandbox/fault", "who", who, "kind", "error", "code", "130429", "other", "131056", "count", "5", "only", "yes")).want(t, http.StatusOK, "131056", "5 vezes")
	b.follow(b.post("/sandbox/fault", "kind", "slow", "delay", "3s", "count", "-1")).want(t, http.StatusOK, "até tirar", "3s")
	b.follow(b.post("/sandbox/fault", "kind", "nonsense")).want(t, http.StatusOK, `class="notice bad"`)
	faults := y.sandbox.Faults()
	if len(faults) != 2 || faults[0].Match.Recipient != ana[1:] || faults[0].Code != 131056 || faults[1].Code != 0 || faults[1].Count != -1 || faults[1].Delay != 3*time.Second {
		t.Errorf("%+v", faults)
	}
	b.follow(b.post("/sandbox/fault/remove", "fault", "1", "back", at)).want(t, http.StatusOK, "O defeito foi tirado")
	if left := y.sandbox.Faults(); len(left) != 1 || left[0].ID != 2 {
		t.Errorf("%+v", left)
	}
	b.follow(b.post("/sandbox/template", "template", waba+"/promo_pausada/pt_BR", "status", "APPROVED", "back", at)).want(t, http.StatusOK, "promo_pausada: aprovado")
	b.follow(b.post("/sandbox/template", "template", "x", "status", "APPROVED")).want(t, http.StatusOK, `class="notice bad"`)
	b.follow(b.post("/sandbox/number", "number", loja, "quality", "RED", "back", at)).want(t, http.StatusOK, "Qualidade: Baixa")
	b.follow(b.post("/sandbox/callbacks", "hold", "yes", "back", at)).want(t, http.StatusOK, "Soltar os avisos")

	viewer := y.as("maria", "en")
	a = viewer.get(at)
	a.want(t, http.StatusOK, "make-believe", "SAIR")
	if strings.Contains(a.text, `action="/sandbox`) {
		t.Error("a viewer is offered changes")
	}
	for _, r := range sandboxRoutes() {
		if r.method == "POST" {
			viewer.post(r.path, "who", who, "text", "x").want(t, http.StatusForbidden)
		}
	}
	s := newShop(t) // with a real account
	real := s.as("rui", "en")
	real.get("/sandbox").want(t, http.StatusNotFound)
	real.post("/sandbox/write").want(t, http.StatusNotFound)
	if a := real.get("/audit"); strings.Contains(a.text, `href="/sandbox"`) {
		t.Error("the navigation leads to a sandbox that is not there")
	}
}

func TestHoldsPage(t *testing.T) {
	y := newYard(t)
	b := y.as("bia", "en")
	b.get("/holds").want(t, http.StatusOK, "Nothing stands still.", "No hold has ended yet.", `value="number loja"`, `value="template oferta/pt_BR"`, `value="category marketing"`)
	b.follow(b.post("/holds", "what", "number loja", "reason", " ")).want(t, http.StatusOK, "Say why")
	b.follow(b.post("/holds", "what", "planet mars", "reason", "x")).want(t, http.StatusOK, `class="notice bad"`)
	b.follow(b.post("/holds", "what", "number loja", "reason", hostile, "hours", "4")).want(t, http.StatusOK, "It is held.", "&lt;script&gt;", "operator:bia")
	b.follow(b.post("/holds", "what", "template oferta/pt_BR", "reason", "typo")).want(t, http.StatusOK, "typo")
	holds, err := y.api.Holds(t.Context())
	if err != nil || len(holds) != 2 || holds[0].Detail != hostile || holds[0].Until.Sub(holds[0].Since) != 4*time.Hour || !holds[1].Until.IsZero() {
		t.Fatalf("%v %+v", err, holds)
	}
	b.get("/templates/oferta?language=pt_BR").want(t, http.StatusOK, "Held:", "typo")
	b.follow(b.post("/holds/release", "scope", "number", "target", "loja", "back", "/holds")).want(t, http.StatusOK)
	for range pastPage {
		b.post("/holds", "what", "number filial", "reason", "again and again")
		b.post("/holds/release", "scope", "number", "target", "filial")
		y.wait(time.Minute)
	}
	past, err := y.api.HoldHistory(t.Context(), 0, 100)
	if err != nil || len(past) != pastPage+1 || past[pastPage].Detail != hostile || past[pastPage].LiftedBy != "operator:bia" || past[pastPage].State != "over" {
		t.Fatalf("%v %d %+v", err, len(past), past[len(past)-1])
	}
	for language, word := range map[string]string{"pt-BR": "Bloqueios que acabaram", "en": "Holds that ended"} {
		viewer := y.as("maria", language)
		a := viewer.get("/holds")
		a.want(t, http.StatusOK, word, "typo", fmt.Sprintf("/holds?before=%d", past[pastPage-1].ID))
		a.wantHarmless(t)
		if strings.Contains(a.text, "&lt;script") || strings.Contains(a.text, `action="/holds`) {
			t.Error("the first page has what the second shows, or a viewer is offered changes")
		}
		a = viewer.get(fmt.Sprintf("/holds?before=%d", past[pastPage-1].ID))
		a.want(t, http.StatusOK, "&lt;script&gt;")
		if strings.Contains(a.text, "again and again") {
			t.Error("the second page has what the first shows")
		}
		viewer.post("/holds", "what", "all ", "reason", "x").want(t, http.StatusForbidden)
	}
}

// lose makes a message of which nobody knows whether Meta took it.
func (s *shop) lose(phone string) (id int64) {
	s.Helper()
	contact := s.who(phone)
	s.write(func(tx *store.Tx) error {
		stream, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, stream, []outbox.New{{Contact: contact, To: whatsapp.Phone(phone).Identity(), Params: "[]"}})
		if err != nil {
			return err
		}
		id = ids[0]
		m, _, err := outbox.ByID(tx, id)
		if err != nil {
			return err
		}
		of, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, of, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		_, err = outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 1, To: outbox.Unknown, Reason: "no_answer", At: tx.Now()}})
		return err
	})
	return id
}

func TestUnknownPage(t *testing.T) {
	s := newShop(t)
	b := s.as("bia", "en")
	b.get("/unknown").want(t, http.StatusOK, "None: of every message")
	var ids []string
	for i := range 3 {
		ids = append(ids, fmt.Sprint(s.lose([]string{ana, bia, ana}[i])))
		s.wait(time.Minute)
	}
	page, err := s.api.Unknown(t.Context(), httpapi.UnknownQuery{})
	if err != nil || len(page.Messages) != 3 || len(page.Counts) != 1 || page.Counts[0].N != 3 {
		t.Fatalf("%v %+v", err, page)
	}
	for language, words := range map[string][]string{"pt-BR": {"3 mensagens", "a Meta não respondeu"}, "en": {"3 messages"}} {
		a := s.as("maria", language).get("/unknown")
		a.want(t, http.StatusOK, append(words, ids...)...)
		a.wantHarmless(t)
		if strings.Contains(a.text, "/unknown/resolve") {
			t.Error("a viewer may resolve")
		}
	}
	s.as("maria", "en").post("/unknown/resolve", "message", ids[0], "as", "sent", "note", "x").want(t, http.StatusForbidden)
	b.follow(b.post("/unknown/resolve", "message", ids[0], "as", "not-sent", "note", " ")).want(t, http.StatusOK, `class="notice bad"`, "note")
	b.follow(b.post("/unknown/resolve", "message", ids[0], "as", "resend", "note", "seen")).want(t, http.StatusOK, `class="notice bad"`) // marketing, and nobody accepts duplicates
	b.follow(b.post("/unknown/resolve", "message", "x", "as", "sent", "note", "seen")).want(t, http.StatusOK, `class="notice bad"`)
	b.follow(b.post("/unknown/resolve", "message", ids[0], "as", "sent", "note", hostile)).want(t, http.StatusOK, "1 message resolved.", "2 messages")
	b.get("/unknown?resolved=true").want(t, http.StatusOK, ids[0])
	e := s.audit(t)
	if e.Actor != "operator:bia" || e.Command != "unknown resolve sent" || !strings.Contains(e.After, hostile) {
		t.Errorf("%+v", e)
	}
}

func TestAccessPage(t *testing.T) {
	s := newShop(t)
	key, err := s.api.AddKey(t.Context(), httpapi.KeyRequest{Client: "site", Scopes: []string{"otp:send"}})
	if err != nil {
		t.Fatal(err)
	}
	for language, words := range map[string][]string{"pt-BR": {"válida", "opera", "sem fim"}, "en": {"valid", "enabled", "no end"}} {
		a := s.as("maria", language).get("/access")
		a.want(t, http.StatusOK, append(words, "<strong>rui</strong>", "<strong>site</strong>", key.ID, "otp:send")...)
		if strings.Contains(a.text, key.Key) {
			t.Error("the key itself is shown")
		}
	}
}
