package sandbox

import (
	"bufio"
	"strings"
	"testing"
)

// FuzzSend reads any body: it is refused with an error of Meta's, or accepted;
// either way nothing panics and the ledger agrees.
func FuzzSend(f *testing.F) {
	for _, seed := range []string{
		oferta(ana, "k"), text(bob, "k"), "", "null", "[]", `{"to":1}`, `{"template":null,"type":"template"}`,
		`{"messaging_product":"whatsapp","to":"+5511900000001","type":"template","template":{"name":"oferta_natal","language":{"code":"pt_BR"},"components":[{"type":"button","index":-1}]}}`,
		`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.x"}`,
		sendOf("vitrine_natal", "k", carousel), sendOf("oferta_relampago", "k", relampago), sendOf("retirada_loja", "k", retirada),
		sendOf("vitrine_natal", "k", `{"type":"carousel","cards":[{"card_index":-1},{"card_index":0,"components":[{"type":"header"}]}]}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s, err := New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		num := s.numbers[numA]
		q := &request{}
		bad := q.read([]byte(body), num, 7)
		if bad == nil && q.Status == "" {
			var done *accepted
			done, bad = s.accept(q, num, nil)
			if (done == nil) == (bad == nil) || (done == nil) != (s.Count() == 0) {
				t.Fatalf("accepted %v, refused %v, %d in the ledger", done, bad, s.Count())
			}
		}
		if bad != nil && (bad.code <= 0 || bad.status < 400 || bad.message == "") {
			t.Fatalf("refused with %+v", bad)
		}
	})
}

// FuzzShape reads any components and hydrates their body.
func FuzzShape(f *testing.F) {
	for _, t := range DefaultTemplates("1") {
		f.Add(string(t.Components))
	}
	f.Add(`[{"type":"BODY","text":"{{1}}{{}}{{ 2 }"}]`)
	f.Fuzz(func(t *testing.T, components string) {
		sh, err := shapeOf([]byte(components))
		if err != nil {
			return
		}
		values := map[string]string{}
		for _, v := range sh.bodyVars {
			values[v] = "x"
		}
		if out := hydrate(sh.bodyText, values); variable.MatchString(out) && !strings.Contains(out, "{x") {
			t.Errorf("%q left in %q", sh.bodyText, out)
		}
	})
}

// FuzzJournal replays any file: it is refused with an error, or read.
func FuzzJournal(f *testing.F) {
	f.Add(`{"seed":7}` + "\n" + `{"send":{"key":"j1.db.1.1","to":"5511900000001","number":"` + numA + `","type":"template","template":"oferta_natal","language":"pt_BR","category":"marketing","at":946684800000,"nth":1}}` + "\n" + `{"ack":{"statuses":[0,1]}}` + "\n")
	f.Add(`{"seed":7}` + "\n" + `{"hook":{"id":1,"at":1,"body":"e30="}}` + "\n" + `{"ack":{"hooks":[1]}}` + "\n" + `{"ack":{"statuses":[-9,99]}}` + "\n")
	f.Add(`{"seed":7}` + "\n" + `{"heard":{"wa_id":"1","number":"` + numA + `","at":1,"ad":true,"window":true}}` + "\n" + `{"template":{"waba":"x"}}` + "\n")
	f.Add(`{"seed":7}` + "\n" + `{"person":{"wa_id":"5511900000001","at":1,"online":false}}` + "\n" + `{"send":{"to":"5511900000001","number":"` + numA + `","type":"text","category":"service","at":2,"nth":1,"flags":64,"ttl":300}}` + "\n" + `{"person":{"wa_id":"5511900000001","at":3,"online":true,"on_whatsapp":false,"new_identity":true}}` + "\n" + `{"identity":{"number":"` + numA + `","on":true}}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		whole, err := s.replay(bufio.NewReader(strings.NewReader(text)))
		if err == nil && (whole < 0 || whole > int64(len(text))) {
			t.Errorf("%d whole bytes of %d", whole, len(text))
		}
	})
}
