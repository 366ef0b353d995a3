package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putAny = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, parameter_format, components, hash, missing, seen_at, changed_at)
		VALUES (?1, ?2, 'pt_BR', ?3, ?4, ?5, ?6, 'h', 0, 0, 0)`)
	howMany = store.SQL(`SELECT count(*) FROM messages`)
)

const boleto = `[{"type":"BODY","text":"Olá {{1}}, o boleto vence em {{2}}."}]`

// newCounter is a house with templates, and a key that may do everything with
// messages.
func newCounter(t *testing.T) (h *house, key string) {
	h = newHouse(t)
	h.write(func(tx *store.Tx) error {
		for _, x := range [][]any{
			{waba, "boleto", "utility", "APPROVED", "POSITIONAL", boleto},
			{waba, "oferta", "marketing", "APPROVED", "POSITIONAL", "[]"},
			{waba, "pausado", "utility", "PAUSED", "POSITIONAL", boleto},
			{waba, "codigo", "authentication", "APPROVED", "POSITIONAL", boleto},
			{waba, "estranho", "", "APPROVED", "POSITIONAL", boleto},
			{waba, "nomes", "utility", "APPROVED", "NAMED", `[{"type":"HEADER","format":"TEXT","text":"Oi {{quem}}"},{"type":"BODY","text":"{{valor}} até {{dia}}, {{valor}}"}]`},
			{waba, "botoes", "utility", "APPROVED", "POSITIONAL", `[{"type":"HEADER","format":"DOCUMENT"},{"type":"BODY","text":"Aqui está."},{"type":"BUTTONS","buttons":[
				{"type":"PHONE_NUMBER","text":"Ligar","phone_number":"+12025550100"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"},{"type":"QUICK_REPLY","text":"Já paguei"}]}]`},
		} {
			if _, err := tx.Exec(putAny, x...); err != nil {
				return err
			}
		}
		return nil
	})
	return h, h.key(access.ScopeMessageSend, access.ScopeMessageRead)
}

// grant lets somebody opt in.
func (h *house) grant(phone, category string) {
	h.t.Helper()
	if _, err := h.client.Grant(h.t.Context(), GrantRequest{Phone: phone, Category: category}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) messages() (n int64) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) {
		n, _, err = store.Value[int64](tx, howMany)
		return err
	})
	return n
}

// post sends a message with a key of its own.
func (h *house) post(key, body string) told {
	return h.ask("POST", "/v1/messages", key, body, "Idempotency-Key", unique())
}

// queued reads a 202.
func queued(t *testing.T, a told) (r messageReply) {
	t.Helper()
	if a.status != http.StatusAccepted {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &r); err != nil {
		t.Fatal(err)
	}
	if got := a.header.Get("Location"); got != "/v1/messages/"+r.ID {
		t.Errorf("Location %q of message %s", got, r.ID)
	}
	return r
}

func (h *house) message(r messageReply) (m outbox.Message, s outbox.Stream) {
	h.t.Helper()
	id, ok := rowID(r.ID)
	if !ok {
		h.t.Fatalf("message %q", r.ID)
	}
	h.write(func(tx *store.Tx) (err error) {
		if m, _, err = outbox.ByID(tx, id); err == nil {
			s, _, err = outbox.StreamByID(tx, m.Stream)
		}
		return err
	})
	return m, s
}

func template(to, name, parameters string) string {
	return fmt.Sprintf(`{"to":%q,"number":"loja","template":{"name":%q,"language":"pt_BR","parameters":%s}}`, to, name, parameters)
}

const values2 = `{"body":["Ana","sexta"]}`

// A template goes where there is consent, once per Idempotency-Key.
func TestMessageByTemplate(t *testing.T) {
	h, key := newCounter(t)
	h.post(key, template(ana, "boleto", values2)).wantCode(t, http.StatusForbidden, "no-opt-in")
	h.grant(ana, "utility")
	first := h.ask("POST", "/v1/messages", key, template(ana, "boleto", values2), "Idempotency-Key", "one")
	r := queued(t, first)
	m, s := h.message(r)
	if m.State != outbox.Queued || m.Address != ana || m.Kind != whatsapp.KindPhone || m.NotBefore != 0 || m.Deadline != store.Millis(began.Add(24*time.Hour)) ||
		m.Params != `[{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"sexta"}]}]` {
		t.Errorf("%+v %s", m, m.Params)
	}
	if s.Lane != whatsapp.LaneUtility || s.Category != whatsapp.Utility || s.Template != "boleto" || s.Language != "pt_BR" || s.Number != loja || s.Run != 0 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(string(first.body), "Ana") || strings.Contains(string(first.body), "90000") {
		t.Errorf("the answer names somebody: %s", first.body)
	}

	// Again, and again: the same answer, one message.
	for range 3 {
		again := h.ask("POST", "/v1/messages", key, template(ana, "boleto", values2), "Idempotency-Key", "one")
		if again.status != 202 || string(again.body) != string(first.body) || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("got %d %s %v", again.status, again.body, again.header)
		}
	}
	h.ask("POST", "/v1/messages", key, template(ana, "boleto", `{"body":["Ana","sábado"]}`), "Idempotency-Key", "one").wantCode(t, 422, "idempotency-key-reused")
	h.ask("POST", "/v1/messages", key, template(ana, "boleto", values2)).wantCode(t, 400, "idempotency-key-missing")
	if n := h.messages(); n != 1 {
		t.Errorf("%d messages", n)
	}

	// What was refused is tried again when the reason has gone.
	h.ask("POST", "/v1/messages", key, template(ana, "oferta", "{}"), "Idempotency-Key", "two").wantCode(t, 403, "no-opt-in")
	h.grant(ana, "marketing")
	r = queued(t, h.ask("POST", "/v1/messages", key, template(ana, "oferta", "{}"), "Idempotency-Key", "two"))
	if m, s = h.message(r); s.Lane != whatsapp.LaneMarketing || m.Params != "[]" {
		t.Errorf("%+v %+v", m, s)
	}
	if _, err := h.client.Revoke(t.Context(), RevokeRequest{Phone: ana, Categories: []string{"utility"}}); err != nil {
		t.Fatal(err)
	}
	p := h.post(key, template(ana, "boleto", values2)).wantCode(t, http.StatusForbidden, "opted-out")
	if p.Reason != "opted_out" {
		t.Errorf("%+v", p)
	}
	h.grant(bia, "utility")
	if p := h.post(key, template(bia, "pausado", values2)).wantCode(t, 503, "template-unavailable"); p.Reason != "template_not_approved" || p.RetryAfter == 0 {
		t.Errorf("%+v", p)
	}
	if p := h.post(key, template(bia, "estranho", values2)).wantCode(t, 503, "template-unavailable"); p.Reason != "category_drift" {
		t.Errorf("%+v", p)
	}
	h.post(key, template(bia, "nenhum", values2)).wantCode(t, 422, "template-unknown")
	h.post(key, template(bia, "codigo", values2)).wantCode(t, 403, "category-refused")
	if n := h.messages(); n != 2 {
		t.Errorf("%d messages", n)
	}

	// A hold does not refuse: it waits, and says so.
	if _, err := h.client.Hold(t.Context(), HoldRequest{Scope: "number", Target: "loja"}); err != nil {
		t.Fatal(err)
	}
	if r := queued(t, h.post(key, template(bia, "boleto", values2))); len(r.Waits) != 1 || r.Waits[0] != "held" {
		t.Errorf("%+v", r)
	}
	log, err := h.client.Audit(t.Context(), 20)
	n := 0
	for _, e := range log {
		if e.Command == "messages" && e.Actor == "api:erp" && !strings.Contains(e.Object+e.After, "90000") {
			n++
		}
	}
	if err != nil || n != 3 {
		t.Errorf("%d entries in the audit log: %+v, %v", n, log, err)
	}
}

// The values must be exactly those that the template has.
func TestMessageValues(t *testing.T) {
	h, key := newCounter(t)
	h.grant(ana, "utility")
	for _, c := range []struct{ name, parameters, want string }{
		{"nomes", `{"header":"Ana","body":{"dia":"sexta","valor":"R$ 10"}}`,
			`[{"type":"header","parameters":[{"type":"text","parameter_name":"quem","text":"Ana"}]},{"type":"body","parameters":[{"type":"text","parameter_name":"valor","text":"R$ 10"},{"type":"text","parameter_name":"dia","text":"sexta"}]}]`},
		{"botoes", `{"header":{"link":"https://example.com/b.pdf","filename":"b.pdf"},"buttons":{"1":"pedido 7","2":"PAGO:7"}}`,
			`[{"type":"header","parameters":[{"type":"document","document":{"link":"https://example.com/b.pdf","filename":"b.pdf"}}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"pedido%207"}]},{"type":"button","sub_type":"quick_reply","index":"2","parameters":[{"type":"payload","payload":"PAGO:7"}]}]`},
		{"botoes", `{"header":{"id":"1037"},"buttons":{"1":"x"}}`,
			`[{"type":"header","parameters":[{"type":"document","document":{"id":"1037"}}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]}]`},
	} {
		m, _ := h.message(queued(t, h.post(key, template(ana, c.name, c.parameters))))
		if m.Params != c.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.name, c.parameters, m.Params, c.want)
		}
	}
	n := h.messages()
	for _, c := range []struct{ name, parameters, says string }{
		{"boleto", `{}`, "2 values"},
		{"boleto", `{"body":["Ana"]}`, "2 values"},
		{"boleto", `{"body":["Ana","x","y"]}`, "2 values"},
		{"boleto", `{"body":{"1":"Ana","2":"x"}}`, "2 values"},
		{"boleto", `{"body":["Ana"," "]}`, "body 2 is empty"},
		{"boleto", `{"body":["Ana","a\nb"]}`, "newline"},
		{"boleto", `{"body":["Ana","` + strings.Repeat("x", 32769) + `"]}`, "32768"},
		{"boleto", `{"header":"x","body":["Ana","x"]}`, "takes no value"},
		{"boleto", `{"body":["Ana","x"],"buttons":{"0":"x"}}`, "no button"},
		{"nomes", `{"body":{"dia":"x","valor":"y"}}`, "needs a text"},
		{"nomes", `{"header":"a","body":{"dia":"x","outro":"y"}}`, "valor, dia"},
		{"nomes", `{"header":"a","body":["x","y"]}`, "valor, dia"},
		{"nomes", `{"header":"` + strings.Repeat("x", 61) + `","body":{"dia":"x","valor":"y"}}`, "60"},
		{"botoes", `{"header":{"id":"1"}}`, "button 1 needs"},
		{"botoes", `{"header":{"id":"1"},"buttons":{"1":"x","0":"y"}}`, "no button"},
		{"botoes", `{"header":{"id":"1","link":"https://example.com/x"},"buttons":{"1":"x"}}`, "its id at Meta, or a link"},
		{"botoes", `{"header":{"link":"http://example.com/x"},"buttons":{"1":"x"}}`, "https"},
		{"botoes", `{"header":"x","buttons":{"1":"x"}}`, "needs a file"},
		{"botoes", `{"header":{"id":"1"},"buttons":{"1":"` + strings.Repeat("x", 2000) + `"}}`, "1980"},
	} {
		p := h.post(key, template(ana, c.name, c.parameters)).wantCode(t, 400, "invalid-parameters")
		if !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s %.60s: %q, want %q", c.name, c.parameters, p.Detail, c.says)
		}
	}
	if h.messages() != n {
		t.Error("something was queued all the same")
	}
}

// Free text goes while the window is open, two minutes less.
func TestMessageByText(t *testing.T) {
	for _, c := range []struct {
		after  time.Duration
		refuse bool
	}{{0, false}, {24*time.Hour - 2*time.Minute - time.Millisecond, false}, {24*time.Hour - 2*time.Minute, true}, {24 * time.Hour, true}, {72 * time.Hour, true}} {
		t.Run(c.after.String(), func(t *testing.T) {
			h, key := newCounter(t)
			h.inbound(ana, loja)
			h.advance(c.after)
			a := h.post(key, `{"to":"`+ana+`","text":{"body":"Já saiu."}}`)
			if c.refuse {
				if p := a.wantCode(t, 409, "service_window_closed"); p.ClosedAt != "2026-11-24T12:00:00.000Z" || p.Reason != "service_window_closed" {
					t.Errorf("%+v", p)
				}
				return
			}
			m, s := h.message(queued(t, a))
			if s.Category != whatsapp.Service || s.Lane != whatsapp.LaneUtility || m.Params != "Já saiu." || m.Deadline != store.Millis(began.Add(24*time.Hour-2*time.Minute)) {
				t.Errorf("%+v %+v", m, s)
			}
		})
	}
	h, key := newCounter(t)
	if p := h.post(key, `{"to":"`+ana+`","text":{"body":"Oi"}}`).wantCode(t, 409, "service_window_closed"); p.ClosedAt != "" {
		t.Errorf("somebody who never wrote: %+v", p)
	}
	h.inbound(ana, loja)
	h.inbound(ana, filial)
	h.post(key, `{"to":"`+ana+`","text":{"body":"Oi"}}`).wantCode(t, 400, "malformed")
	h.post(key, `{"to":"`+ana+`","number":"matriz","text":{"body":"Oi"}}`).wantCode(t, 400, "malformed")
	queued(t, h.post(key, `{"to":"`+ana+`","number":"filial","text":{"body":"Oi"}}`))
	// To be sent when the window will be over: now is the time to say no.
	h.post(key, `{"to":"`+ana+`","number":"loja","text":{"body":"Oi"},"send_at":"2026-11-24T11:58:00Z"}`).wantCode(t, 409, "service_window_closed")
	r := queued(t, h.post(key, `{"to":"`+ana+`","number":"loja","text":{"body":"Oi"},"send_at":"2026-11-24T08:57:00-03:00","expires_at":"2026-12-01T00:00:00Z"}`))
	if r.SendAt != "2026-11-24T11:57:00.000Z" || r.ExpiresAt != "2026-11-24T11:58:00.000Z" || len(r.Waits) != 0 {
		t.Errorf("%+v", r)
	}
}

// Everybody is reached by what is known of them; consent counts where it was
// given, and an answer quotes what the person wrote to this number.
func TestMessageRecipients(t *testing.T) {
	h, key := newCounter(t)
	var nameless, phone int64
	h.write(func(tx *store.Tx) error {
		c, err := contacts.Learn(tx, whatsapp.BSUID("BR.77").Identity(), whatsapp.Identity{Kind: whatsapp.KindParentBSUID, Value: "BR.ENT.7"})
		if err != nil {
			return err
		}
		nameless = c.ID
		for _, n := range []string{loja, filial} {
			if _, _, err = conversations.RecordInbound(tx, conversations.Inbound{Number: n, Contact: c.ID, At: tx.Now(), Type: "text", Counts: true, Wamid: whatsapp.Wamid("wamid." + n)}); err != nil {
				return err
			}
		}
		p, _, err := contacts.Ensure(tx, whatsapp.Phone(bia).Identity())
		phone = p.ID
		return err
	})
	for _, to := range []string{`"to":"BR.77"`, fmt.Sprintf(`"contact":%d`, nameless)} {
		m, _ := h.message(queued(t, h.post(key, `{`+to+`,"number":"loja","text":{"body":"Oi"},"reply_to":"wamid.`+loja+`"}`)))
		if m.Kind != whatsapp.KindBSUID || m.Address != "BR.77" || m.Contact != nameless || string(m.ReplyTo) != "wamid."+loja {
			t.Errorf("%s: %+v", to, m)
		}
		h.post(key, `{`+to+`,"number":"loja","text":{"body":"Oi"},"reply_to":"wamid.`+filial+`"}`).wantCode(t, 400, "malformed")
		h.post(key, `{`+to+`,"number":"loja","text":{"body":"Oi"},"reply_to":"wamid.other"}`).wantCode(t, 400, "malformed")
	}
	h.post(key, `{"to":"BR.ENT.7","number":"loja","text":{"body":"Oi"}}`).wantCode(t, 400, "invalid-recipient")
	h.post(key, `{"contact":7,"number":"loja","text":{"body":"Oi"}}`).wantCode(t, 400, "invalid-recipient")

	// The two turn out to be one person: still nobody has agreed by the user id.
	h.grant(bia, "utility")
	h.write(func(tx *store.Tx) error {
		_, err := contacts.Learn(tx, whatsapp.Phone(bia).Identity(), whatsapp.BSUID("BR.77").Identity())
		return err
	})
	byContact := func(id int64) string {
		return fmt.Sprintf(`{"contact":%d,"number":"loja","template":{"name":"boleto","language":"pt_BR","parameters":%s}}`, id, values2)
	}
	h.post(key, byContact(nameless)).wantCode(t, 403, "no-opt-in")
	if m, _ := h.message(queued(t, h.post(key, byContact(phone)))); m.Address != bia {
		t.Errorf("%+v", m)
	}

	// A key that was made for one country.
	var abroad string
	h.write(func(tx *store.Tx) (err error) {
		abroad, _, err = access.NewKey(tx, access.KeyRequest{Client: "us", Scopes: access.Scopes, Countries: []string{"US"}, Actor: "maria"})
		return err
	})
	h.post(abroad, byContact(phone)).wantCode(t, 403, "country-not-allowed")
	h.post(abroad, `{"to":"BR.77","number":"loja","text":{"body":"Oi"}}`).wantCode(t, 403, "country-not-allowed")
}

// What is wrong is refused, and none of it is repeated, in an answer or a log.
func TestMessageBodies(t *testing.T) {
	h, key := newCounter(t)
	h.grant(ana, "utility")
	h.inbound(ana, loja)
	const canary = "CanarioAmarelo"
	for _, body := range []string{
		``, `[]`, `{}`, `{"to":"` + ana + `"}`, `{"text":{"body":"` + canary + `"}}`, `{"to":"` + ana + `","contact":7,"text":{"body":"x"}}`,
		`{"to":"` + ana + `","text":{"body":"x"},"template":{"name":"boleto","language":"pt_BR"}}`, `{"to":"` + ana + `","text":"` + canary + `"}`,
		`{"to":"` + ana + `","text":{"body":" "}}`, `{"to":"` + ana + `","text":{"body":"` + strings.Repeat("á", 4097) + `"}}`,
		`{"to":"` + ana + `","text":{"body":"x","` + canary + `":1}}`, `{"to":"` + ana + `","text":{"body":"x"},"` + canary + `":1}`,
		`{"to":"` + ana + `","text":{"body":"x"},"to":"` + bia + `"}`, `{"to":"` + ana + `","template":{"name":"boleto"}}`,
		`{"to":"` + ana + `","text":{"body":"x"},"send_at":"` + canary + `"}`, `{"to":"` + ana + `","text":{"body":"x"},"send_at":"2027-11-24T12:00:00Z"}`,
		`{"to":"` + ana + `","text":{"body":"x"},"expires_at":"2026-11-23T12:00:00Z"}`, `{"to":"` + ana + `","text":{"body":"x"},"expires_at":"2027-11-23T12:00:00Z","number":"` + canary + `"}`,
		`{"contact":"7","text":{"body":"x"}}`, `{"contact":-7,"text":{"body":"x"}}`, `{"contact":1.5,"text":{"body":"x"}}`,
		`{"to":"` + ana + `","text":{"body":"x"},"reply_to":"` + canary + `"}`, `{"to":"` + ana + `","text":{"body":"x"},"external_id":"` + strings.Repeat("x", 129) + `"}`,
		template(ana, "boleto", `{"body":[1,2]}`), template(ana, "boleto", `{"body":[["x"],"y"]}`), template(ana, "boleto", `{"body":"x"}`), template(ana, "boleto", `7`),
		template(ana, "boleto", `{"`+canary+`":1}`), template(ana, "boleto", `{"body":["x","y"],"buttons":{"`+canary+`":"x"}}`), template(ana, "boleto", `{"header":{"`+canary+`":"x"}}`),
		template(ana, "boleto", `{"header":null}`), template(ana, "boleto", `{"body":["\ud800","x"]}`), template(ana, "boleto", `{"buttons":["x"]}`),
		`{"to":"` + ana + `","text":{"body":"` + "\xff" + `"}}`, `{"to":"` + ana + `","text":{"body":"x"}} x`,
	} {
		a := h.post(key, body)
		a.wantCode(t, 400, "malformed")
		if strings.Contains(string(a.body), canary) {
			t.Errorf("%.80s is repeated: %s", body, a.body)
		}
	}
	h.post(key, `{"to":"`+canary+`","text":{"body":"x"}}`).wantCode(t, 400, "invalid-recipient")
	h.post(key, `{"to":"`+ana+`","text":{"body":"`+strings.Repeat("x", 65<<10)+`"}}`).wantCode(t, 413, "malformed")
	h.post(h.key(access.ScopeMessageRead), `{}`).wantCode(t, 403, "scope")
	h.post("", `{}`).wantCode(t, 401, "unauthorized")
	h.ask("GET", "/v1/messages", key, "").wantCode(t, 405, "method-not-allowed")
	if n := h.messages(); n != 0 {
		t.Errorf("%d messages", n)
	}
	if log := h.log.String(); strings.Contains(log, canary) || strings.Contains(log, "90000") {
		t.Errorf("the log says too much: %s", log)
	}
}

// Where a message stands: its times, its conversation, Meta's words, and what
// the person answered, also where the answer came before Meta's to us.
func TestMessageView(t *testing.T) {
	h, key := newCounter(t)
	h.grant(ana, "utility")
	r := queued(t, h.post(key, `{"to":"`+ana+`","number":"loja","external_id":"pedido-7","send_at":"2026-11-23T13:00:00Z","template":{"name":"boleto","language":"pt_BR","parameters":`+values2+`}}`))
	look := func() messageView {
		t.Helper()
		return read[messageView](t, h.ask("GET", "/v1/messages/"+r.ID, key, ""))
	}
	v := look()
	if v.ID != r.ID || v.Status != "queued" || v.ToMasked != "+55…01" || v.Number != "loja" || v.Category != "utility" || v.Template != "boleto/pt_BR" || v.ExternalID != "pedido-7" ||
		v.SendAt != "2026-11-23T13:00:00.000Z" || v.ExpiresAt != "2026-11-24T13:00:00.000Z" || len(v.At) != 0 || v.Conversation != nil || v.Error != nil {
		t.Errorf("%+v", v)
	}
	m, s := h.message(r)
	h.advance(time.Hour)
	wamid := whatsapp.Wamid("wamid." + r.ID)
	h.write(func(tx *store.Tx) error {
		if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		// The tap comes before Meta's answer to us.
		if _, _, err := conversations.RecordInbound(tx, conversations.Inbound{Number: loja, Contact: m.Contact, At: tx.Now().Add(time.Minute), Type: "button", Counts: true,
			Wamid: "wamid.tap", AnswersWamid: wamid}); err != nil {
			return err
		}
		if _, err := outbox.Settle(tx, []outbox.Result{{Message: m.ID, Attempt: 1, To: outbox.Accepted, Wamid: wamid, At: tx.Now()}}); err != nil {
			return err
		}
		if _, _, err := outbox.Observe(tx, outbox.Observation{Wamid: wamid, People: []int64{m.Contact}, Status: "delivered", At: tx.Now()}); err != nil {
			return err
		}
		if err := conversations.RecordPricing(tx, conversations.Pricing{Wamid: wamid, Model: "PMP", Type: "regular", Category: "utility", At: tx.Now()}); err != nil {
			return err
		}
		_, err := conversations.Recompute(tx, conversations.Touch{Number: loja, Contact: m.Contact, Since: tx.Now()})
		return err
	})
	v = look()
	if v.Status != "delivered" || v.At["delivered"] != "2026-11-23T13:00:00.000Z" || v.At["accepted"] == "" || v.Meta == nil || v.Meta.PricingModel != "PMP" ||
		v.Conversation == nil || v.Conversation.Category != "utility" || v.Conversation.Origin != "business" || v.Conversation.ExpiresAt != "2026-11-24T13:00:00.000Z" ||
		len(v.Replies) != 1 || v.Replies[0].Type != "button" {
		t.Errorf("%+v %+v", v, v.Conversation)
	}
	h.write(func(tx *store.Tx) error {
		_, _, err := outbox.Observe(tx, outbox.Observation{Wamid: wamid, People: []int64{m.Contact}, Status: "failed", At: tx.Now(), Code: 131026})
		return err
	})
	if v = look(); v.Status != "delivered" || v.Error != nil {
		t.Errorf("failed after delivered: %+v", v)
	}
	for _, id := range []string{"7", "x", "-1", "01", r.ID + "0"} {
		h.ask("GET", "/v1/messages/"+id, key, "").wantCode(t, 404, "not-found")
	}
	h.ask("GET", "/v1/messages/"+r.ID, h.key(access.ScopeMessageSend), "").wantCode(t, 403, "scope")
	h.ask("GET", "/v1/messages/"+r.ID+"/x", key, "").wantCode(t, 404, "not-found")
}
