package console

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/store"
)

// languages are those of the pages.
var languages = []string{"pt-BR", "en"}

// wantHarmless says that what people wrote is text, and that the page has all of
// its words.
func (a answer) wantHarmless(t testing.TB) {
	t.Helper()
	for _, never := range []string{"<script>alert", "style=", "ZgotmplZ", "onclick"} {
		if strings.Contains(a.text, never) {
			t.Errorf("the page has %q", never)
		}
	}
}

// The list has every conversation of the operation, masked, in both languages.
func TestConversations(t *testing.T) {
	s := newShop(t)
	list, err := s.api.ConversationPage(t.Context(), httpapi.ConversationsQuery{Open: true}, "", 10)
	if err != nil || len(list.Conversations) != 2 || list.Next != "" || list.Conversations[0].Phone != "" || list.Conversations[0].ToMasked == "" {
		t.Fatalf("%v %+v", err, list)
	}
	for _, language := range languages {
		b := s.as("maria", language)
		a := b.get("/conversations")
		for _, c := range list.Conversations {
			a.want(t, http.StatusOK, fmt.Sprintf(`href="/conversations/%d"`, c.ID), c.ToMasked[1:])
		}
		a.wantHarmless(t)
		if strings.Contains(a.text, ana[1:]) || strings.Contains(a.text, bia[1:]) {
			t.Error("a full number in the list")
		}
		if n := strings.Count(a.text, `class="now"`); n != 3 { // two conversations, ana's window
			t.Errorf("%s: %d marks of now", language, n)
		}
		b.get("/conversations?category=service").want(t, http.StatusOK, map[string]string{"pt-BR": "Nenhuma conversa aberta agora.", "en": "No conversation is open now."}[language])
		b.get("/conversations?origin=business&number=loja").want(t, http.StatusOK, fmt.Sprintf("/conversations/%d", list.Conversations[0].ID))
		b.get("/conversations?show=period&from=2026-11-23&to=2026-11-23").want(t, http.StatusOK, fmt.Sprintf("/conversations/%d", list.Conversations[0].ID))
		b.get("/conversations?show=period&from=2026-10-01&to=2026-11-23").want(t, http.StatusBadRequest, "31")
	}
	s.wait(48 * time.Hour)
	b := s.as("maria", "en")
	b.get("/conversations").want(t, http.StatusOK, "No conversation is open now.")
	if a := b.get("/conversations?show=period&from=2026-11-23&to=2026-11-24"); strings.Contains(a.text, `class="now"`) || !strings.Contains(a.text, "over") {
		t.Error("what is over shows now")
	}
}

// Pages of the list follow each other without a gap.
func TestConversationPages(t *testing.T) {
	s := newShop(t)
	first, err := s.api.ConversationPage(t.Context(), httpapi.ConversationsQuery{Open: true}, "", 1)
	if err != nil || len(first.Conversations) != 1 || first.Next == "" {
		t.Fatalf("%v %+v", err, first)
	}
	second, err := s.api.ConversationPage(t.Context(), httpapi.ConversationsQuery{Open: true}, first.Next, 1)
	if err != nil || len(second.Conversations) != 1 || second.Next != "" || second.Conversations[0].ID == first.Conversations[0].ID {
		t.Fatalf("%v %+v", err, second)
	}
	a := s.as("maria", "en").get("/conversations?after=" + first.Next)
	a.want(t, http.StatusOK, fmt.Sprintf("/conversations/%d", second.Conversations[0].ID), "From the beginning")
	if strings.Contains(a.text, fmt.Sprintf("/conversations/%d", first.Conversations[0].ID)) {
		t.Error("the first page's conversation is on the second")
	}
	s.as("maria", "en").get("/conversations?after=nonsense").want(t, http.StatusBadRequest)
}

// One conversation with its messages, and what Meta said of their prices.
func TestConversation(t *testing.T) {
	s := newShop(t)
	list, err := s.api.ConversationPage(t.Context(), httpapi.ConversationsQuery{Contact: fmt.Sprint(s.who(ana))}, "", 10)
	if err != nil || len(list.Conversations) != 1 {
		t.Fatalf("%v %+v", err, list)
	}
	path := fmt.Sprintf("/conversations/%d", list.Conversations[0].ID)
	for language, texts := range map[string][]string{"pt-BR": {"oferta/pt_BR", "cobrada", "PMP regular", "A pessoa escreveu", "Texto livre pode sair agora."},
		"en": {"oferta/pt_BR", "billed", "PMP regular", "The person wrote", "Free-form text may go now."}} {
		a := s.as("maria", language).get(path)
		a.want(t, http.StatusOK, texts...)
		a.wantHarmless(t)
	}
	b := s.as("maria", "en")
	b.get("/conversations/99").want(t, http.StatusNotFound)
	b.get("/conversations/x").want(t, http.StatusNotFound)
}

// The month has the operation's numbers in both readings, and the file those of
// the command line.
func TestMonth(t *testing.T) {
	s := newShop(t)
	report, err := s.api.Month(t.Context(), "2026-11")
	if err != nil || len(report.Rows) != 2 {
		t.Fatalf("%v %+v", err, report)
	}
	for language, texts := range map[string][]string{"pt-BR": {"Como a Meta lê", "Pela janela de atendimento", "2 conversas · 2 mensagens", "cobrada"},
		"en": {"As Meta reads", "By the service window", "2 conversations · 2 messages", "billed"}} {
		b := s.as("maria", language)
		b.get("/conversations/month?month=2026-11").want(t, http.StatusOK, texts...)
		b.get("/conversations/month").want(t, http.StatusOK, `value="2026-11"`)
		b.get("/conversations/month?month=nonsense").want(t, http.StatusBadRequest)
		a := b.get("/conversations/month.csv?month=2026-11")
		rows, err := csv.NewReader(strings.NewReader(a.text)).ReadAll()
		if err != nil || len(rows) != 1+len(report.Rows) || !strings.Contains(a.Header.Get("Content-Disposition"), "janela-2026-11.csv") {
			t.Fatalf("%v %v", err, rows)
		}
		for i, r := range report.Rows {
			if want := fmt.Sprint(r.Reading, r.Category, r.Country, r.Origin, r.Conversations, r.Messages, r.Billed, r.Free, r.Unknown); strings.Join(rows[i+1], "") != strings.ReplaceAll(want, " ", "") {
				t.Errorf("%v, want %s", rows[i+1], want)
			}
		}
	}
}

// A person is found by number, and the number stands in no address.
func TestFindContact(t *testing.T) {
	s := newShop(t)
	b := s.as("maria", "en")
	b.get("/contacts").want(t, http.StatusOK, `method="post"`)
	b.post("/contacts", "of", "11 90000-0001").wantTo(t, contactPath(s.who(ana)))
	b.post("/contacts", "of", "11 90000-0099").want(t, http.StatusOK, "Nobody is known by this number", "no consent")
	b.post("/contacts", "of", "+5511900000099"+hostile).wantHarmless(t)
	b.post("/contacts", "of", "1").want(t, http.StatusBadRequest, `role="alert"`)
}

// The page of a person has what the operation says, in both languages.
func TestContactPage(t *testing.T) {
	s := newShop(t)
	id := s.who(ana)
	for language, texts := range map[string][]string{
		"pt-BR": {ana[1:], "pode", "sem consentimento", "Permitiu", "registrado por alguém da empresa", "oferta/pt_BR", "entregue", "Responder", "Nunca escreveu"},
		"en":    {ana[1:], "may go", "no consent", "Granted", "recorded by somebody of the business", "oferta/pt_BR", "delivered", "Reply", "Never wrote"}} {
		a := s.as("bia", language).get(contactPath(id))
		a.want(t, http.StatusOK, texts...)
		a.want(t, http.StatusOK, "&lt;script&gt;alert")
		a.wantHarmless(t)
	}
	a := s.as("maria", "en").get(contactPath(id))
	for _, never := range []string{"/reply", "/revoke", "/dossier", "/forget"} {
		if strings.Contains(a.text, never) {
			t.Errorf("a viewer is shown %s", never)
		}
	}
	if a := s.as("bia", "en").get(contactPath(s.who(bia))); !strings.Contains(a.text, "never wrote to us") || strings.Contains(a.text, "<textarea") {
		t.Error("a reply to somebody who never wrote")
	}
	s.as("maria", "en").get("/contacts/99").want(t, http.StatusNotFound)
}

// Messages go on from page to page.
func TestContactMessages(t *testing.T) {
	s := newShop(t)
	id := s.who(ana)
	for range latestMessages {
		s.wait(time.Minute)
		s.talk(ana)
	}
	c, err := s.api.Contact(t.Context(), id)
	if err != nil || len(c.Messages) != latestMessages || c.Next == 0 {
		t.Fatalf("%v %+v", err, c)
	}
	b := s.as("maria", "en")
	next := fmt.Sprintf("%s?after=%d", contactPath(id), c.Next)
	b.get(contactPath(id)).want(t, http.StatusOK, `href="`+next+`#messages"`)
	older, err := s.api.ContactMessages(t.Context(), id, c.Next, latestMessages)
	if err != nil || len(older.Messages) != 1 {
		t.Fatalf("%v %+v", err, older)
	}
	a := b.get(next)
	a.want(t, http.StatusOK, fmt.Sprintf("#%d<", older.Messages[0].ID), "The latest")
	if strings.Contains(a.text, fmt.Sprintf("#%d<", c.Messages[0].ID)) {
		t.Error("the newest is on the second page")
	}
}

// A reply leaves inside the window, and says when it closed outside of it.
func TestReplyFromThePage(t *testing.T) {
	s := newShop(t)
	path := contactPath(s.who(ana))
	s.as("maria", "en").post(path+"/reply", "text", "oi", "number", "loja").want(t, http.StatusForbidden)
	b := s.as("bia", "pt-BR")
	b.follow(b.post(path+"/reply", "text", hostile, "number", "loja")).want(t, http.StatusOK, "A resposta está na fila", "Texto livre")
	b.post(path+"/reply", "text", " ", "number", "loja").want(t, http.StatusBadRequest, "O pedido não é válido", `role="alert"`, `data-hx-get="`+path+`"`)
	before := s.messages(t, ana)
	for range 2 { // a second click
		b.follow(b.post(path+"/reply", "text", "uma vez", "number", "loja", "once", "ABC")).want(t, http.StatusOK)
	}
	if n := s.messages(t, ana); n != before+1 {
		t.Errorf("%d messages more", n-before)
	}
	b.post(path+"/reply", "text", "aqui", "number", "outra", "once", "ABC").want(t, http.StatusNotFound)
	b.follow(b.post(path+"/reply", "text", "aqui", "number", "loja", "once", "ABC")).want(t, http.StatusOK, "A resposta está na fila") // what was refused was not sent
	s.wait(25 * time.Hour)
	b = s.as("bia", "pt-BR")
	a := b.get(path)
	a.want(t, http.StatusOK, "A janela de atendimento com loja fechou", "24/11/2026 10:00")
	if strings.Contains(a.text, "<textarea") {
		t.Error("a form that cannot work")
	}
	b.post(path+"/reply", "text", "o que eu ia dizer "+hostile, "number", "loja").want(t, http.StatusConflict, `class="notice bad"`, "o que eu ia dizer &lt;script&gt;")
}

// messages is how many messages there are to somebody, at most a page.
func (s *shop) messages(t *testing.T, phone string) int {
	t.Helper()
	out, err := s.api.ContactMessages(t.Context(), s.who(phone), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Messages)
}

func TestRevokeFromThePage(t *testing.T) {
	s := newShop(t)
	path := contactPath(s.who(ana))
	s.as("maria", "en").post(path+"/revoke", "category", "marketing").want(t, http.StatusForbidden)
	b := s.as("bia", "en")
	b.follow(b.post(path+"/revoke", "category", "marketing")).want(t, http.StatusOK, "Marketing: revoked", "asked not to get it")
	c, err := s.api.Contact(t.Context(), s.who(ana))
	if err != nil || c.Consents[0].State != "opted_out" {
		t.Errorf("%v %+v", err, c.Consents)
	}
	if last := s.audit(t); last.Command != "optin revoke" || last.Actor != "bia" && !strings.Contains(last.Actor, "bia") {
		t.Errorf("%+v", last)
	}
}

// audit is the latest change.
func (s *shop) audit(t *testing.T) access.Entry {
	t.Helper()
	var all []access.Entry
	err := s.db.Read(t.Context(), func(q *store.Snap) (err error) { all, err = access.Audit(q, 0, 1); return err })
	if err != nil || len(all) != 1 {
		t.Fatal(err, all)
	}
	return all[0]
}

func TestDossierFromThePage(t *testing.T) {
	s := newShop(t)
	id := s.who(ana)
	path := contactPath(id)
	s.as("maria", "en").post(path+"/dossier", "as", "json").want(t, http.StatusForbidden)
	b := s.as("bia", "pt-BR")
	for as, language := range map[string]string{"json": "", "text": "pt-BR"} {
		a := b.post(path+"/dossier", "as", as)
		var want bytes.Buffer
		if err := s.api.Dossier(t.Context(), httpapi.DossierRequest{Contact: id, Language: language}, &want); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != http.StatusOK || a.text != want.String() || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %s", as, a.StatusCode, a.text)
		}
	}
}

// Forgetting asks twice, wants a reason, and is the approver's.
func TestForgetFromThePage(t *testing.T) {
	s := newShop(t)
	id := s.who(ana)
	path := contactPath(id) + "/forget"
	s.as("bia", "en").get(path).want(t, http.StatusForbidden)
	s.as("bia", "en").post(path, "reason", "asked", "sure", fmt.Sprint(id)).want(t, http.StatusForbidden)
	b := s.as("rui", "pt-BR")
	b.get(path).want(t, http.StatusOK, "O que fica", "O que vai embora")
	b.post(path).want(t, http.StatusBadRequest, "Escreva o motivo.")
	b.post(path, "reason", hostile).want(t, http.StatusOK, "Esquecer esta pessoa para sempre?", fmt.Sprintf(`name="sure" value="%d"`, id))
	if c, err := s.api.Contact(t.Context(), id); err != nil || c.Phone != ana {
		t.Fatal("forgotten at the first question", err)
	}
	b.follow(b.post(path, "reason", "pediu por carta, "+ana, "sure", fmt.Sprint(id))).want(t, http.StatusOK, `class="notice bad"`)
	b.follow(b.post(path, "reason", "pediu por carta, caso 12", "sure", fmt.Sprint(id))).want(t, http.StatusOK, "Esquecida: ")
	if last := s.audit(t); last.Command != "forget" || !strings.HasSuffix(last.After, "; pediu por carta, caso 12") {
		t.Errorf("%+v", last)
	}
	b.get(contactPath(id)).want(t, http.StatusOK, "Esta pessoa foi esquecida")
	b.post(contactPath(id)+"/reply", "text", "oi").want(t, http.StatusConflict)
	b.get(path).want(t, http.StatusConflict)
	var p *httpapi.Problem
	if _, err := s.api.Forget(t.Context(), httpapi.ForgetRequest{Contact: id, Reason: "again"}); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Error(err)
	}
}

// What may mean STOP is counted in the navigation, shown as text, and decided by
// one click.
func TestReviewPage(t *testing.T) {
	s := newShop(t)
	second := s.doubt(ana, "me tira dessa lista")
	for language, texts := range map[string][]string{"pt-BR": {"Quis dizer pare", "Não quis dizer pare", "2 frases esperam"}, "en": {"It meant stop", "It did not mean stop", "2 phrases wait"}} {
		a := s.as("bia", language).get("/review")
		a.want(t, http.StatusOK, texts...)
		a.want(t, http.StatusOK, "&lt;script&gt;alert", "me tira dessa lista", `count">2</span>`, httpapi.Mask(ana)[1:])
		a.wantHarmless(t)
		if strings.Contains(a.text, ana[1:]) {
			t.Error("a full number")
		}
	}
	if a := s.as("maria", "en").get("/review"); strings.Contains(a.text, "<button name=\"meant\"") || strings.Contains(a.text, "It meant stop</button>") {
		t.Error("a viewer may decide")
	}
	path := fmt.Sprintf("/review/%d", second)
	s.as("maria", "en").post(path, "meant", "stop").want(t, http.StatusForbidden)
	b := s.as("bia", "en")
	b.post(path, "meant", "maybe").want(t, http.StatusNotFound)
	b.follow(b.post(path, "meant", "stop", "back", "/review")).want(t, http.StatusOK, "Marketing revoked", "1 phrase waits", `count">1</span>`)
	b.follow(b.post(path, "meant", "keep", "back", "/review")).want(t, http.StatusOK, `class="notice bad"`)
	left, err := s.api.ReviewPage(t.Context(), 0, 5)
	if err != nil || left.Waiting != 1 || len(left.Reviews) != 1 {
		t.Fatalf("%v %+v", err, left)
	}
	a := b.follow(b.post(fmt.Sprintf("/review/%d", left.Reviews[0].ID), "meant", "keep", "back", "/review"))
	a.want(t, http.StatusOK, "Nothing waits for a decision.")
	if strings.Contains(a.text, `warn count">`) {
		t.Error("the navigation counts nothing")
	}
}
