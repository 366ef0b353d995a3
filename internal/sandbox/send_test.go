package sandbox

import (
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestContract alters a correct send in one way each and expects Meta's code.
func TestContract(t *testing.T) {
	boleto := func(params string) string {
		return `{"messaging_product":"whatsapp","to":"` + ana + `","type":"template","template":{"name":"boleto_lembrete","language":{"code":"pt_BR"},
 "components":[{"type":"body","parameters":[` + params + `]}]}}`
	}
	named := func(name, value string) string {
		return `{"type":"text","parameter_name":"` + name + `","text":"` + value + `"}`
	}
	otp := func(to, body, button string) string {
		return `{"messaging_product":"whatsapp",` + to + `,"type":"template","template":{"name":"codigo_acesso","language":{"code":"pt_BR"},"components":[
 {"type":"body","parameters":[{"type":"text","text":"` + body + `"}]},
 {"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"` + button + `"}]}]}}`
	}
	plain := func(name string) string {
		return `{"messaging_product":"whatsapp","to":"` + ana + `","type":"template","template":{"name":"` + name + `","language":{"code":"pt_BR"},
 "components":[{"type":"body","parameters":[{"type":"text","text":"Ana"}]}]}}`
	}
	pedido := func(header string) string {
		return `{"messaging_product":"whatsapp","to":"` + ana + `","type":"template","template":{"name":"pedido_enviado","language":{"code":"pt_BR"},
 "components":[` + header + `{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"1042"}]}]}}`
	}
	good := oferta(ana, "k")
	alter := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in the good send", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	toAna := `"to":"` + ana + `"`
	for _, one := range []struct {
		name, body string
		code       int // 0: accepted
	}{
		{"good", good, 0},
		{"spaces in to", alter(ana, "+55 (11) 90000-0001"), 0},
		{"not JSON", `{"messaging_product"`, 100},
		{"two values", good + `{}`, 100},
		{"no product", alter(`"messaging_product":"whatsapp",`, ""), 100},
		{"no to", alter(toAna+",", ""), 100},
		{"to too short", alter(ana, "+5511"), 131009},
		{"to with letters", alter(ana, "+5511ABC000001"), 131009},
		{"to ourselves", alter(ana, "+12025550100"), 131021},
		{"a group", alter("individual", "group"), 131009},
		{"recipient not a BSUID", alter(toAna, `"recipient":"1234"`), 131009},
		{"Direct Send", alter(`"type":"template"`, `"type":"template","category":"utility"`), 100},
		{"policy on messages", alter(`"type":"template"`, `"type":"template","product_policy":"STRICT"`), 100},
		{"unknown type", `{"messaging_product":"whatsapp",` + toAna + `,"type":"poll"}`, 131051},
		{"object missing", `{"messaging_product":"whatsapp",` + toAna + `,"type":"text"}`, 100},
		{"object extra", alter(`"type":"template"`, `"type":"template","text":{"body":"x"}`), 100},
		{"empty text", `{"messaging_product":"whatsapp",` + toAna + `,"type":"text","text":{"body":""}}`, 100},
		{"long text", `{"messaging_product":"whatsapp",` + toAna + `,"type":"text","text":{"body":"` + strings.Repeat("ã", 4097) + `"}}`, 100},
		{"callback too long", alter(`"k"`, `"`+strings.Repeat("k", 513)+`"`), 131009},
		{"unknown key in template", alter(`"name":`, `"nome":1,"name":`), 100},
		{"unknown language", alter("pt_BR", "es"), 132001},
		{"webhook spelling of language", alter("pt_BR", "pt-BR"), 132001},
		{"no language", alter(`"language":{"code":"pt_BR"},`, ""), 100},
		{"pending", plain("novidades_loja"), 132001},
		{"rejected", plain("promo_rejeitada"), 132001},
		{"paused", plain("promo_pausada"), 132015},
		{"one parameter too many", alter(`{"type":"text","text":"20%"}`, `{"type":"text","text":"20%"},{"type":"text","text":"x"}`), 132000},
		{"named for positional", alter(`"text":"Ana"`, `"parameter_name":"nome","text":"Ana"`), 132012},
		{"empty value", alter(`"text":"Ana"`, `"text":""`), 131008},
		{"new line", alter(`"text":"Ana"`, `"text":"A\nna"`), 132012},
		{"tab", alter(`"text":"Ana"`, `"text":"A\tna"`), 132012},
		{"four spaces", alter(`"text":"Ana"`, `"text":"A    na"`), 0},
		{"five spaces", alter(`"text":"Ana"`, `"text":"A     na"`), 132012},
		{"too long hydrated", alter(`"text":"Ana"`, `"text":"`+strings.Repeat("a", 1024)+`"`), 132005},
		{"wrong kind", alter(`{"type":"text","text":"Ana"}`, `{"type":"image","image":{"id":"1"}}`), 132012},
		{"url suffix missing", alter(`{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"n3mtql"}]}`, `{"type":"footer"}`), 100},
		{"no such button", alter(`"index":1`, `"index":2`), 132000},
		{"wrong sub_type", alter(`"sub_type":"url"`, `"sub_type":"copy_code"`), 132012},
		{"sub_type in capitals", alter(`"sub_type":"url"`, `"sub_type":"URL"`), 0},
		{"header where none is", alter(`"components":[`, `"components":[{"type":"header","parameters":[{"type":"text","text":"x"}]},`), 132000},
		{"carousel where none is", alter(`"components":[`, `"components":[{"type":"carousel","cards":[]},`), 132000},
		{"offer where none is", alter(`"components":[`, `"components":[{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":4102444800000}}]},`), 132000},
		{"cards of a body", alter(`{"type":"body",`, `{"type":"body","cards":[{"card_index":0}],`), 100},

		{"named, any order", boleto(named("valor", "R$ 1") + "," + named("vencimento", "1/1") + "," + named("nome", "Ana")), 0},
		{"named without name", boleto(`{"type":"text","text":"a"},` + named("valor", "b") + "," + named("nome", "c")), 132012},
		{"named unknown", boleto(named("valor", "a") + "," + named("prazo", "b") + "," + named("nome", "c")), 132012},
		{"named twice", boleto(named("valor", "a") + "," + named("valor", "b") + "," + named("nome", "c")), 132012},

		{"image header by link", pedido(`{"type":"header","parameters":[{"type":"image","image":{"link":"https://loja.example/p.jpg"}}]},`), 0},
		{"image header missing", pedido(""), 132012},
		{"image header without either", pedido(`{"type":"header","parameters":[{"type":"image","image":{}}]},`), 131008},
		{"video for image", pedido(`{"type":"header","parameters":[{"type":"video","video":{"id":"1"}}]},`), 132012},

		{"code", otp(toAna, "483920", "483920"), 0},
		{"two codes", otp(toAna, "483920", "483921"), 132012},
		{"code of 15", otp(toAna, "123456789012345", "123456789012345"), 0},
		{"code of 15 not of ASCII", otp(toAna, strings.Repeat("é", 15), strings.Repeat("é", 15)), 0},
		{"code of 16", otp(toAna, "1234567890123456", "1234567890123456"), 131009},
		{"code without its button", `{"messaging_product":"whatsapp",` + toAna + `,"type":"template","template":{"name":"codigo_acesso","language":{"code":"pt_BR"},"components":[
 {"type":"body","parameters":[{"type":"text","text":"483920"}]}]}}`, 131008},
		{"code in the button only", strings.Replace(otp(toAna, "X", "483920"), `{"type":"text","text":"X"}`, "", 1), 132000},
		{"code by copy_code", strings.Replace(otp(toAna, "483920", "483920"), `"sub_type":"url"`, `"sub_type":"copy_code"`, 1), 132012},
		{"code in English", strings.Replace(otp(toAna, "483920", "483920"), "pt_BR", "en_US", 1), 0},
		{"code in no language", strings.Replace(otp(toAna, "483920", "483920"), "pt_BR", "fr", 1), 132001},
		{"code to a BSUID", otp(`"recipient":"BR.13491208655302741"`, "483920", "483920"), 131062},
	} {
		t.Run(one.name, func(t *testing.T) {
			inBubble(t, nil, func(w *world) {
				status, body, err := w.do("POST", sendPath, one.body)
				if err != nil {
					t.Fatal(err)
				}
				if one.code == 0 {
					if status != http.StatusOK || w.s.Count() != 1 {
						t.Fatalf("status %d, %d messages: %s", status, w.s.Count(), body)
					}
					return
				}
				if got := codeOf(body); got != one.code || status != infoOf(one.code).status {
					t.Errorf("code %d with status %d, want %d with %d: %s", got, status, one.code, infoOf(one.code).status, body)
				}
				if diff := cmp.Diff(map[int]int{one.code: 1}, w.s.Refusals()); diff != "" || w.s.Count() != 0 {
					t.Errorf("%d messages; refusals (-want +got):\n%s", w.s.Count(), diff)
				}
			})
		})
	}
}

func TestRates(t *testing.T) {
	inBubble(t, func(c *Config) { c.RatePerSecond = 10 }, func(w *world) {
		for i := range 12 {
			status, body, _ := w.do("POST", sendPath, oferta(ana, fmt.Sprint("k", i)))
			if i < 10 && status != 200 || i >= 10 && (status != 400 || codeOf(body) != 130429) {
				t.Errorf("message %d: status %d: %s", i, status, body)
			}
		}
		w.must("POST", "/v25.0/"+numB+"/messages", oferta(ana, "other number"))
		time.Sleep(100 * time.Millisecond)
		w.must("POST", sendPath, oferta(ana, "after 100 ms"))
		if _, body, _ := w.do("POST", sendPath, oferta(ana, "too soon")); codeOf(body) != 130429 {
			t.Errorf("only one token had come back: %s", body)
		}
	})
	inBubble(t, func(c *Config) { c.PairRate = true }, func(w *world) {
		for i := range pairBurst + 1 {
			status, body, _ := w.do("POST", sendPath, oferta(ana, fmt.Sprint("k", i)))
			if (status == 200) != (i < pairBurst) || i == pairBurst && codeOf(body) != 131056 {
				t.Errorf("message %d: status %d: %s", i, status, body)
			}
		}
		w.must("POST", sendPath, oferta(bob, "another person"))
		time.Sleep(pairEvery)
		w.must("POST", sendPath, oferta(ana, "after six seconds"))
	})
}

// TestLedger checks the oracle: readings and acceptances, attempts together.
func TestLedger(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.must("POST", sendPath, oferta(ana, "j1.db.1.1"))
		if _, _, err := w.do("POST", sendPath, strings.Replace(oferta(ana, "j1.db.1.2"), "20%", "", 1)); err != nil {
			t.Fatal(err)
		}
		w.must("POST", sendPath, oferta(ana, "j1.db.1.3"))
		w.must("POST", sendPath, oferta(bob, "j1.db.2.1"))
		if got, want := w.s.Tally("j1.db.1.9"), (Tally{Read: 3, Accepted: 2}); got != want {
			t.Errorf("tally %+v, want %+v", got, want)
		}
		if n := w.s.Accepted("55 11 90000-0001", "oferta_natal"); n != 2 {
			t.Errorf("%d for Ana, want 2", n)
		}
		sends := w.s.Sends()
		if len(sends) != 3 || sends[1].Nth != 2 || sends[1].Key != "j1.db.1.3" || sends[0].Wamid == sends[1].Wamid {
			t.Errorf("sends: %+v", sends)
		}
		want := "Oi, Ana! A oferta de Natal chegou: 20% de desconto na loja toda até domingo.\n" +
			"Não quer mais receber? Toque em Parar promoções.\n[Parar promoções]\n[Ver ofertas] https://loja.example/natal/n3mtql\n"
		if diff := cmp.Diff(want, sends[0].Text); diff != "" {
			t.Errorf("text (-want +got):\n%s", diff)
		}
	})
}

// TestMemory keeps the ledger small enough for a hundred thousand messages.
func TestMemory(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	num := s.numbers[numA]
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 20_000
	before := heap()
	for i := range n {
		q := &request{}
		raw := oferta("+551190000"+fmt.Sprintf("%04d", i%10000), "j1.abcdefghij."+strconv.Itoa(7_000_000_000_000+i)+".1")
		if e := q.read([]byte(raw), num, 7); e != nil {
			t.Fatal(e.details)
		}
		s.ledger.read(q.Callback)
		if _, e := s.accept(q, num, nil); e != nil {
			t.Fatal(e.details)
		}
	}
	per := (heap() - before) / n
	t.Logf("%d bytes a message", per)
	if per > 300 {
		t.Errorf("%d bytes a message, want 300 at most", per)
	}
	if s.Count() != n {
		t.Errorf("%d messages", s.Count())
	}
}

// upload posts a file of the given type and returns status and body.
func upload(w *world, mime, content string) (int, string) {
	var b strings.Builder
	form := multipart.NewWriter(&b)
	_ = form.WriteField("messaging_product", "whatsapp")
	_ = form.WriteField("type", mime)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="f"`}, "Content-Type": {mime},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = part.Write([]byte(content))
	_ = form.Close()
	req, err := http.NewRequest("POST", "http://graph.example/v25.0/"+numA+"/media", strings.NewReader(b.String()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sandbox-token")
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}

func TestMedia(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if status, body := upload(w, "application/x-sh", "x"); status != 400 || codeOf(body) != 100 {
			t.Errorf("a script: %d %s", status, body)
		}
		if status, body := upload(w, "image/png", strings.Repeat("x", 5<<20+1)); codeOf(body) != 131053 {
			t.Errorf("too big: %d %s", status, body)
		}
		status, body := upload(w, "image/png", "png")
		var m struct{ ID string }
		if err := json.Unmarshal([]byte(body), &m); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		golden(t, "media", w.must("GET", "/v25.0/"+m.ID, ""))
		send := func(key, id, path string) string {
			_, body, err := w.do("POST", path, `{"messaging_product":"whatsapp","to":"`+ana+`","type":"template","biz_opaque_callback_data":"`+key+`","template":{"name":"pedido_enviado","language":{"code":"pt_BR"},
 "components":[{"type":"header","parameters":[{"type":"image","image":{"id":"`+id+`"}}]},{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"1"}]}]}}`)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			return body
		}
		const no = "(#100) Param template['components'][0]['parameters'][0]['image']['id'] is not a valid whatsapp business account media attachment ID"
		refused := func(what, body string) {
			if codeOf(body) != 100 || !strings.Contains(body, no) {
				t.Errorf("%s: %s", what, body)
			}
		}
		send("known", m.ID, sendPath)
		refused("unknown", send("unknown", "4711", sendPath))
		refused("of another number", send("elsewhere", m.ID, "/v25.0/"+numB+"/messages"))
		_, again := upload(w, "image/png", "png")
		if strings.Contains(again, m.ID) {
			t.Errorf("another upload has the same id: %s", again)
		}
		time.Sleep(mediaLife)
		refused("old", send("old", m.ID, sendPath))
		if got := strings.Join(w.hook.statuses("known"), " "); got != "sent delivered read" || w.s.Count() != 1 {
			t.Errorf("known: %q; %d messages", got, w.s.Count())
		}
	})
}
