package intake

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/hooks"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// withHooks lets a chatbot take every callback, and a CRM every event.
func (h *house) withHooks() {
	h.t.Helper()
	var err error
	secret := [][]byte{[]byte(hooks.NewSecret())}
	h.in.cfg.Hooks, err = hooks.New(context.Background(), hooks.Config{DB: h.db, Targets: []hooks.Target{
		{Name: "bot", URL: "https://bot.example/x", Mode: hooks.Passthrough},
		{Name: "crm", URL: "https://crm.example/x", Mode: hooks.Events, Secrets: func() [][]byte { return secret }}}})
	if err != nil {
		h.t.Fatal(err)
	}
}

var sqlPayloads = store.SQL(`SELECT type FROM hook_payloads WHERE kind = ?1 ORDER BY id`)

func (h *house) payloads(kind string) (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		all, err := store.All[store.Col[string]](q, sqlPayloads, kind)
		for _, p := range all {
			out = append(out, p.V)
		}
		return err
	})
	return out
}

// Whatever is signed and fits is answered 200, once and for all, because Meta
// would send anything else again for days; it crashes nothing, blocks nothing,
// and a STOP behind it, or beside it, is heard.
func TestHostileCallbacks(t *testing.T) {
	deep := func(open, shut string) string {
		return `{"entry":` + strings.Repeat(open, 100_000) + strings.Repeat(shut, 100_000) + `}`
	}
	one := func(members string) string {
		return envelope("messages", messages(`{"from":"5511900000002","id":"wamid.h",`+members+`}`))
	}
	stamp := func(t string) string { return one(`"timestamp":` + t + `,"type":"text","text":{"body":"Oi"}`) }
	for name, body := range map[string]string{
		"empty":                      "",
		"a zero byte":                "\x00",
		"no JSON":                    "<html>502 Bad Gateway</html>",
		"truncated":                  envelope("messages", messages(`{"from":"5511900000002","id":"wamid.h"}`))[:90],
		"two values":                 `{"entry":[]}{"entry":[]}`,
		"null":                       "null",
		"a list":                     "[]",
		"a text":                     `"SAIR"`,
		"a number":                   "1e400",
		"an entry that is none":      `{"entry":"SAIR"}`,
		"entries of every type":      `{"entry":[null,1,"x",[],{},{"changes":7},{"changes":[null,1,"x",[],{"field":7},{"field":"messages","value":"x"}]}]}`,
		"messages of every type":     envelope("messages", `{`+metadata+`,"messages":[null,1,"x",[],{},{"from":{},"id":[],"timestamp":{},"type":7}]}`),
		"statuses of every type":     envelope("messages", `{`+metadata+`,"statuses":[null,1,"x",[],{},{"id":{},"status":[],"timestamp":{},"errors":"x","pricing":7,"conversation":[]}]}`),
		"nested lists":               deep("[", "]"),
		"nested objects":             deep(`{"a":`, "}"),
		"nested and broken":          `{"entry":` + strings.Repeat("[", 1_000_000),
		"invalid UTF-8 in a text":    one(`"timestamp":"1795435200","type":"text","text":{"body":"` + "par\xff\xfe\xc3" + `"}`),
		"invalid UTF-8 in a name":    one(`"timestamp":"1795435200","type":"text","te` + "\xff" + `xt":{"body":"Oi"}`),
		"half a surrogate":           one(`"timestamp":"1795435200","type":"text","text":{"body":"\ud83d"}`),
		"a zero in a text":           one(`"timestamp":"1795435200","type":"text","text":{"body":"SA\u0000IR"}`),
		"a text of 1 MB":             one(`"timestamp":"1795435200","type":"text","text":{"body":"` + strings.Repeat("parem ", 180_000) + `"}`),
		"an id of 100 kB":            envelope("messages", messages(`{"from":"5511900000002","id":"wamid.`+strings.Repeat("h", 100_000)+`","timestamp":"1795435200","type":"text","text":{"body":"Oi"}}`)),
		"a number of 10,000 digits":  envelope("messages", messages(`{"from":"`+strings.Repeat("5", 10_000)+`","id":"wamid.h","timestamp":"1795435200","type":"text","text":{"body":"Oi"}}`)),
		"a number that is none":      envelope("messages", messages(`{"from":"'; DROP TABLE consents; --","id":"wamid.h","timestamp":"1795435200","type":"text","text":{"body":"Oi"}}`)),
		"time: negative":             stamp(`"-1"`),
		"time: milliseconds":         stamp(`1795435200000`),
		"time: far ahead":            stamp(`"99999999999999999999999999"`),
		"time: a fraction":           stamp(`1795435200.5`),
		"time: an exponent":          stamp(`1e300`),
		"time: words":                stamp(`"ontem"`),
		"time: null":                 stamp(`null`),
		"time: the year 1":           stamp(`"-62135596800"`),
		"fields nobody knows":        envelope("poetry", `{"verse":[1,2]}`, "messages", `{`+metadata+`,"sonnets":[{}],"messages":[{"from":"5511900000002","id":"wamid.h","timestamp":"1795435200","type":"hologram","hologram":{"a":1}}]}`),
		"an event that names nobody": envelope("user_preferences", `{"user_preferences":[{"category":"marketing_messages","value":"stop"}]}`, "messages", messages(`{"type":"text","text":{"body":"SAIR"}}`)),
		"a preference of the future": envelope("user_preferences", `{"user_preferences":[{"wa_id":"5511900000002","category":"marketing_messages","value":"perhaps","timestamp":1e99}]}`),
		"a change to oneself":        one(`"timestamp":"1795435200","type":"system","system":{"type":"user_changed_number","wa_id":"5511900000002"}`),
		"the same key twice":         `{"entry":[],"entry":[{"id":"1","changes":[]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.withHooks()
			h.grant(ana, whatsapp.Marketing)
			h.grant(bia, whatsapp.Utility)
			if w := h.post(body, sign(secret, body)); w.Code != http.StatusOK {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			h.deliver(envelope("messages", messages(h.text(ana, "SAIR"))))
			want(t, "the STOP behind it was heard", h.may(ana, whatsapp.Marketing), false)
			want(t, "nobody else was stopped", h.may(bia, whatsapp.Utility), true)
			for _, r := range h.rows() {
				if r.State == "stored" {
					t.Errorf("a callback waits for ever: %s", r.Note)
				}
				if strings.Contains(r.Note, "DROP") || strings.Contains(r.Note, "parem") || strings.Contains(r.Note, "55119") {
					t.Errorf("a note holds what was sent: %.100s", r.Note)
				}
			}
			want(t, "callbacks passed on", len(h.payloads("callback")), 2)
			if text := h.log.String(); strings.Contains(text, "parem") || strings.Contains(text, "5511900000002") || strings.Contains(text, "DROP") {
				t.Errorf("the log holds what was sent: %.300s", text)
			}
		})
	}
}

// What is not signed, or too large, is refused, and Meta is not asked to send it
// again for ever: no answer is a 5xx.
func TestRefusedCallbacks(t *testing.T) {
	h := newHouse(t)
	h.withHooks()
	good := envelope("messages", messages(h.text(ana, "SAIR")))
	large := `{"a":"` + strings.Repeat("x", 5<<20) + `"}`
	for name, c := range map[string]struct {
		body, signature string
		code            int
	}{
		"another's signature": {good, sign("another-secret", good), 401},
		"no signature":        {good, "", 401},
		"nonsense":            {good, "sha256=\xff\x00", 401},
		"5 MB, signed":        {large, sign(secret, large), 413},
		"5 MB, not signed":    {large, "", 413},
	} {
		if w := h.post(c.body, c.signature); w.Code != c.code {
			t.Errorf("%s: answered %d, want %d", name, w.Code, c.code)
		}
	}
	if n := len(h.rows()) + len(h.payloads("callback")); n != 0 {
		t.Errorf("%d were kept or passed on", n)
	}
}

// A hundred at once of the same callback are one: one row, one event, one
// delivery to the chatbot, one revocation, one answer to the person.
func TestHundredAtOnceAreOne(t *testing.T) {
	h := newHouse(t)
	h.withHooks()
	h.grant(ana, whatsapp.Marketing)
	body := envelope("messages", messages(h.text(ana, "SAIR")), "messages", messages(h.text(bia, "parem de me mandar mensagem")))
	server := httptest.NewServer(h.in)
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	var running, posting sync.WaitGroup
	running.Go(func() { _ = h.in.Run(ctx) })
	for i := range 100 {
		posting.Go(func() {
			r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-Hub-Signature-256", sign([]string{secret, older}[i%2], body))
			resp, err := http.DefaultClient.Do(r)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%v %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	posting.Wait()
	for deadline := time.Now().Add(time.Minute); h.in.Stats.Applied.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	running.Wait()
	h.apply()
	want(t, "rows", len(h.rows()), 1)
	want(t, "passed on", h.payloads("callback"), []string{"messages"})
	want(t, "events", h.payloads("event"), []string{"message.inbound", "message.inbound", "optin.review"})
	want(t, "answers", h.answers(), []string{"no offers pt_BR to phone"})
	want(t, "reviews", len(h.reviews()), 1)
	var revocations int64
	h.read(func(q *store.Snap) (err error) {
		revocations, _, err = store.Value[int64](q, sqlRevocations)
		return err
	})
	want(t, "revocations", revocations, 1)
}

var sqlRevocations = store.SQL(`SELECT COUNT(*) FROM consent_events WHERE kind = 'revoke'`)
