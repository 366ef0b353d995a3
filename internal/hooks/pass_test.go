package hooks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/store"
)

const appSecret = "the-app-secret-of-the-business"

// metas signs a body as Meta does (Webhooks, validating payloads).
func metas(body []byte) http.Header {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(body)
	h := http.Header{}
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	h.Set("Content-Type", "application/json; charset=utf-8")
	return h
}

// chatbot is a program that was written for Meta and knows nothing of janela: it
// checks Meta's signature over the bytes before it looks at them.
func chatbot(a arrival) error {
	given, ok := strings.CutPrefix(a.Header.Get("X-Hub-Signature-256"), "sha256=")
	sum, err := hex.DecodeString(given)
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(a.Body)
	switch {
	case !ok || err != nil:
		return errors.New("no signature")
	case !hmac.Equal(sum, mac.Sum(nil)):
		return errors.New("the signature is not Meta's")
	case a.Header.Get("Content-Type") != "application/json; charset=utf-8":
		return fmt.Errorf("content type %q", a.Header.Get("Content-Type"))
	default:
		return nil
	}
}

// callback takes one in as intake does.
func (h *house) callback(body []byte) {
	h.t.Helper()
	c := h.h.Callback(body, metas(body))
	h.write(func(tx *store.Tx) error { return h.h.Pass(tx, c) })
}

// inbound is a callback with one message of a person.
func inbound(number, from, text string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":%q},"contacts":[{"wa_id":%q}],"messages":[{"from":%q,"id":"wamid.x","timestamp":"1764000000","type":"text","text":{"body":%q}}]},"field":"messages"}]}]}`, number, from, from, text)
}

// A chatbot verifies Meta's signature over the very bytes, whatever they are: as
// Meta escapes them, with odd spaces, cut off, no JSON, no UTF-8, 3 MB.
func TestAChatbotWorksBehindJanela(t *testing.T) {
	bubble(t, func(h *house) {
		bodies := [][]byte{
			inbound(loja, "5511900000001", "oi"),
			[]byte("{ \"entry\" : [ {\"id\":\"1\", \"changes\":[{\"field\":\"messages\",\"value\":{\"x\":\"a\\u00e7\\u00e3o \\/ \\ud83d\\ude00\"}}]}] } \r\n\t "),
			[]byte("\xef\xbb\xbf{}"), []byte("{\"entry\":[{\"changes\":[{\"field\":\"\xff\xfe\"}]}]}"), []byte("no json at all \x00"), []byte(`{"entry":[`), {},
			bytes.Repeat([]byte("x"), 3<<20),
		}
		files, err := filepath.Glob("../whatsapp/webhook/testdata/*.json")
		if err != nil || len(files) < 5 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, b)
		}
		h.start(bot("bot"), events("crm"))
		h.pass(3 * time.Second)
		for i, b := range bodies {
			h.callback(b)
			h.pass(0)
			got := h.peer("bot").log()
			if len(got) != i+1 {
				t.Fatalf("callback %d: %d requests", i, len(got))
			}
			if !bytes.Equal(got[i].Body, b) {
				t.Errorf("callback %d is not the bytes that came", i)
			}
			if err := chatbot(got[i]); err != nil {
				t.Errorf("callback %d: %v", i, err)
			}
			equal(t, "when", got[i].since(), 3*time.Second)
			equal(t, "headers of another mode", got[i].Header.Get("webhook-signature")+got[i].Header.Get("webhook-timestamp"), "")
		}
		equal(t, "at the other target", len(h.peer("crm").log()), 0)
		equal(t, "rows left", h.left(), 0)
		bad := h.peer("bot").log()[0]
		bad.Body = append(bad.Body, ' ')
		if chatbot(bad) == nil {
			t.Error("the chatbot takes anything")
		}
	})
}

// Each chatbot gets the callbacks of its numbers and fields, and of a callback
// with several changes all.
func TestCallbacksGoWhereTheyBelong(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(bot("all"), bot("loja", func(t *Target) { t.Numbers = []string{loja} }), bot("talk", func(t *Target) { t.Fields = []string{"messages"} }),
			bot("templates", func(t *Target) { t.Fields = []string{"message_template_*"} }),
			bot("both", func(t *Target) { t.Fields, t.Numbers = []string{"messages"}, []string{filial} }))
		template := `{"field":"message_template_status_update","value":{"event":"APPROVED"}}`
		message := func(number string) string {
			return `{"field":"messages","value":{"metadata":{"phone_number_id":"` + number + `"}}}`
		}
		for body, want := range map[string]string{
			message(loja):                  "all loja talk",
			message(filial):                "all both talk",
			template:                       "all loja templates", // concerns no number
			message(loja) + "," + template: "all loja talk templates",
			`{"field":"flows","value":{"metadata":{"phone_number_id":"` + filial + `"}}},` + message(loja): "all loja talk",
			"]]": "all both loja talk templates", // cannot be read
		} {
			before := map[string]int{}
			for name, p := range h.peers {
				before[name] = len(p.log())
			}
			h.callback([]byte(`{"entry":[{"changes":[` + body + `]}]}`))
			h.pass(0)
			var to []string
			for _, name := range []string{"all", "both", "loja", "talk", "templates"} {
				if len(h.peers[name].log()) > before[name] {
					to = append(to, name)
				}
			}
			equal(t, body, strings.Join(to, " "), want)
		}
	})
}

// A person's messages reach the bot in their order, also after an hour without
// it; people do not wait for each other.
func TestABotThatWasDownGetsEveryPersonInOrder(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(bot("bot"))
		h.peer("bot").setAway(true)
		for i := range 30 {
			for p := range 4 {
				h.callback(inbound(loja, fmt.Sprint("551190000000", p), fmt.Sprint(i)))
			}
			h.pass(2 * time.Minute)
		}
		h.sound()
		h.peer("bot").setAway(false)
		h.pass(4 * time.Minute)
		next := map[string]int{}
		for _, a := range h.peer("bot").log() {
			c := Changes(a.Body)[0]
			if !bytes.Contains(a.Body, fmt.Appendf(nil, `"body":"%d"`, next[c.Person])) {
				t.Fatalf("person %s: number %d was due, and it is %s", c.Person, next[c.Person], a.Body)
			}
			next[c.Person]++
			if err := chatbot(a); err != nil {
				t.Error(err)
			}
		}
		equal(t, "people", fmt.Sprint(next), fmt.Sprint(map[string]int{"5511900000000": 30, "5511900000001": 30, "5511900000002": 30, "5511900000003": 30}))
		equal(t, "rows left", h.left(), 0)
	})
}

// A bot that answers slowly holds nobody up but the same person.
func TestASlowBotHoldsUpOnlyTheSamePerson(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(bot("bot"))
		h.peer("bot").answers(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Second) })
		h.callback(inbound(loja, "5511900000001", "a"))
		h.callback(inbound(loja, "5511900000001", "b"))
		h.callback(inbound(filial, "5511900000001", "to the other number"))
		h.callback(inbound(loja, "5511900000002", "c"))
		h.pass(0)
		equal(t, "at once", len(h.peer("bot").log()), 3)
		h.pass(10 * time.Second)
		equal(t, "10 s later", len(h.peer("bot").log()), 4)
	})
}

// The key of the order, which stands in the database, does not name the person.
func TestTheKeyNamesNobody(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(bot("bot"))
		h.peer("bot").setAway(true)
		h.callback(inbound(loja, "5511900000001", "a"))
		h.read(func(q *store.Snap) error {
			key, _, err := store.Value[string](q, sqlSomeKey)
			if len(key) != 32 || strings.Contains(key, "900000001") {
				t.Errorf("key %q", key)
			}
			return err
		})
	})
}

var sqlSomeKey = store.SQL(`SELECT key FROM hook_deliveries LIMIT 1`)

func TestChanges(t *testing.T) {
	status := func(to string) string { return `{"id":"wamid.x","status":"sent","recipient_id":"` + to + `"}` }
	value := func(of string) string {
		return `{"entry":[{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"7"},` + of + `}}]}]}`
	}
	one := func(person string) []Change { return []Change{{"messages", "7", person}} }
	for body, want := range map[string][]Change{
		"": nil, "null": nil, "7": nil, "[]": nil, `{"entry":[`: nil, `{}`: {}, `{"entry":null}`: {}, `{"entry":{}}`: {}, `{"entry":[{"changes":7}]}`: {},
		value(`"messages":[{"from":"5511"}]`):                                       one("5511"),
		value(`"messages":[{"from":"5511","from_user_id":"BR.1"},{"from":"5511"}]`): one("5511"),
		value(`"messages":[{"from_user_id":"BR.1"}]`):                               one("BR.1"),
		value(`"messages":[{"from":"5511"}],"statuses":[` + status("5511") + `]`):   one("5511"),
		value(`"messages":[{"from":"5511"}],"statuses":[` + status("5512") + `]`):   one(""),
		value(`"statuses":[` + status("5511") + `,` + status("5512") + `]`):         one(""),
		value(`"statuses":[null,` + status("5511") + `]`):                           one(""),
		value(`"statuses":[{"recipient_user_id":"BR.1"}]`):                          one("BR.1"),
		value(`"statuses":[{"recipient_id":5511}]`):                                 one("5511"),
		value(`"statuses":{"recipient_id":"5511"}`):                                 one(""),
		value(`"statuses":[{"recipient_id":{"x":1}}]`):                              one(""),
		value(`"errors":[]`): one(""),
		`{"entry":[{"changes":[{"field":"messages","value":{"metadata":7}}]}]}`:                  {{"messages", "", ""}},
		`{"entry":[{"changes":[{"field":7,"value":[]},null,{"field":"flows"}]},null]}`:           {{"7", "", ""}, {}, {"flows", "", ""}},
		`{"entry":[{"changes":[{"field":"a"}]},{"changes":[{"field":"b"}]}]}`:                    {{"a", "", ""}, {"b", "", ""}},
		`{"entry":[{"changes":[{"field":"` + strings.Repeat("x", 300) + `"}]}]}`:                 {{}},
		`{"entry":[{"changes":[{"value":{"metadata":{"phone_number_id":7}},"field":"calls"}]}]}`: {{"calls", "7", ""}},
	} {
		if got := Changes([]byte(body)); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s\n%q, want %q", body, got, want)
		}
	}
	for _, c := range []struct {
		of   []Change
		want string
	}{
		{nil, ""}, {[]Change{{"flows", "7", ""}}, ""}, {[]Change{{"messages", "7", "1"}}, "7/1"}, {[]Change{{"messages", "7", "1"}, {"messages", "7", "1"}}, "7/1"},
		{[]Change{{"messages", "7", "1"}, {"messages", "8", "1"}}, ""}, {[]Change{{"messages", "7", "1"}, {"messages", "7", "2"}}, ""},
	} {
		equal(t, fmt.Sprint(c.of), orderOf(c.of), c.want)
	}
}

// However a callback is laid out, what decides is found.
func TestChangesAreFoundInAnyLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Change
		var entries []any
		names := rapid.SampledFrom([]string{"messages", "flows", "calls", ""})
		digits := rapid.StringMatching(`[1-9][0-9]{0,14}`)
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			var changes []any
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				c := Change{Field: names.Draw(t, "field"), Number: digits.Draw(t, "number"), Person: digits.Draw(t, "person")}
				of := map[string]any{"recipient_id": c.Person, "x": rapid.String().Draw(t, "x")}
				changes = append(changes, map[string]any{"field": c.Field, "y": 1, "value": map[string]any{
					"metadata": map[string]any{"phone_number_id": c.Number, "z": nil}, "statuses": []any{of, of}}})
				want = append(want, c)
			}
			entries = append(entries, map[string]any{"id": "1", "changes": changes})
		}
		body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": entries})
		if err != nil {
			t.Fatal(err)
		}
		if got := Changes(body); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%s\n%q, want %q", body, got, want)
		}
	})
}

func FuzzChanges(f *testing.F) {
	f.Add(inbound(loja, "5511900000001", "oi"))
	f.Add([]byte(`{"entry":[{"changes":[null,{"field":7,"value":{"statuses":[[]]}}]}]}`))
	f.Add([]byte(strings.Repeat(`{"entry":[`, 50)))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, c := range Changes(body) {
			if len(c.Field) > 256 || len(c.Number) > 256 || len(c.Person) > 256 {
				t.Errorf("a part of %d, %d and %d bytes", len(c.Field), len(c.Number), len(c.Person))
			}
		}
		if !json.Valid(body) && Changes(body) != nil {
			t.Error("read something in what is no JSON")
		}
	})
}
