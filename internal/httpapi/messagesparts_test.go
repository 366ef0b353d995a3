package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"janela/internal/store"
)

const (
	vitrine = `[{"type":"BODY","text":"Olá {{1}}"},{"type":"CAROUSEL","cards":[
		{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Com {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"}]}]},
		{"components":[{"type":"HEADER","format":"VIDEO"}]}]}]`
	relampago = `[{"type":"BODY","text":"Olá {{1}}"},{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Já!","has_expiration":true}},
		{"type":"BUTTONS","buttons":[{"type":"COPY_CODE","text":"Copiar"},{"type":"URL","text":"Ver","url":"https://example.com/{{1}}"}]}]`
	retirada = `[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"Retire aqui."}]`
)

// newShowroom is a counter with templates of cards, offers and places.
func newShowroom(t *testing.T) (*house, string) {
	h, key := newCounter(t)
	h.grant(ana, "utility")
	h.write(func(tx *store.Tx) error {
		for name, components := range map[string]string{"vitrine": vitrine, "relampago": relampago, "retirada": retirada} {
			if _, err := tx.Exec(putAny, waba, name, "utility", "APPROVED", "POSITIONAL", components); err != nil {
				return err
			}
		}
		return nil
	})
	return h, key
}

const twoCards = `[{"header":{"id":"1037"},"body":["10%"],"buttons":{"1":"t 1"}},{"header":{"link":"https://example.com/b.mp4"}}]`

func TestMessageWithCardsOffersAndPlaces(t *testing.T) {
	h, key := newShowroom(t)
	ends := began.Add(2 * time.Hour)
	offer := `"limited_time_offer":{"expires_at":"` + ends.Format(time.RFC3339) + `"}`
	for _, c := range []struct{ name, parameters, want string }{
		{"vitrine", `{"body":["Ana"],"cards":` + twoCards + `}`,
			`[{"type":"body","parameters":[{"type":"text","text":"Ana"}]},{"type":"carousel","cards":[` +
				`{"card_index":0,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1037"}}]},{"type":"body","parameters":[{"type":"text","text":"10%"}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"t%201"}]}]},` +
				`{"card_index":1,"components":[{"type":"header","parameters":[{"type":"video","video":{"link":"https://example.com/b.mp4"}}]}]}]}]`},
		{"relampago", `{"body":["Ana"],"buttons":{"0":"JA10","1":"x"},` + offer + `}`,
			`[{"type":"body","parameters":[{"type":"text","text":"Ana"}]},{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":1795442400000}}]},` +
				`{"type":"button","sub_type":"copy_code","index":"0","parameters":[{"type":"coupon_code","coupon_code":"JA10"}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]}]`},
		{"retirada", `{"header":{"latitude":"-23,5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}`,
			`[{"type":"header","parameters":[{"type":"location","location":{"latitude":"-23.5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}]}]`},
	} {
		m, _ := h.message(queued(t, h.post(key, template(ana, c.name, c.parameters))))
		if m.Params != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, m.Params, c.want)
		}
		if want := began.Add(usualLife); c.name == "relampago" && m.Deadline != store.Millis(ends) || c.name != "relampago" && m.Deadline != store.Millis(want) {
			t.Errorf("%s leaves until %s", c.name, store.Time(m.Deadline))
		}
	}
	n := h.messages()
	for _, c := range []struct{ name, parameters, says string }{
		{"vitrine", `{"body":["Ana"]}`, "a list of 2 cards"},
		{"vitrine", `{"body":["Ana"],"cards":[` + strings.Trim(twoCards, "[]") + `,{"header":{"id":"1"}}]}`, "a list of 2 cards"},
		{"vitrine", `{"body":["Ana"],"cards":[{},{}]}`, "card 1: the template's header needs a file"},
		{"vitrine", `{"body":["Ana"],"cards":` + strings.Replace(twoCards, `"10%"`, `"`+strings.Repeat("x", 161)+`"`, 1) + `}`, "card 1: body 1 has more than 160"},
		{"vitrine", `{"body":["Ana"],"cards":` + strings.Replace(twoCards, `"1":"t 1"`, `"0":"t 1"`, 1) + `}`, "card 1: button 1 needs a value"},
		{"vitrine", `{"body":["Ana"],"cards":` + strings.Replace(twoCards, `https:`, `http:`, 1) + `}`, "card 2: the header's link must begin with https://"},
		{"vitrine", `{"body":["Ana"],"cards":` + strings.Replace(twoCards, `1037`, `janela-file:aa`, 1) + `}`, "card 1: the header's id is none"},
		{"vitrine", `{"body":["Ana"],` + offer + `,"cards":` + twoCards + `}`, "no limited-time offer"},
		{"relampago", `{"body":["Ana"],"buttons":{"0":"JA10","1":"x"}}`, "says when it ends"},
		{"relampago", `{"body":["Ana"],"buttons":{"0":"JA10","1":"x"},"limited_time_offer":{"expires_at":"2026-11-23T11:59:59Z"}}`, "ends before the message may leave"},
		{"relampago", `{"body":["` + strings.Repeat("x", 601) + `"],"buttons":{"0":"JA10","1":"x"},` + offer + `}`, "more than 600"},
		{"retirada", `{}`, "needs a place"},
		{"retirada", `{"header":{"link":"https://example.com/a.jpg"}}`, "needs a place"},
		{"retirada", `{"header":{"latitude":"91","longitude":"0"}}`, "latitude: it is outside"},
		{"retirada", `{"header":{"latitude":"1"}}`, "longitude: it is no number"},
		{"retirada", `{"header":{"latitude":"1","longitude":"2","name":"a\nb"}}`, "the header's name: the value has a newline"},
	} {
		p := h.post(key, template(ana, c.name, c.parameters)).wantCode(t, 400, "invalid-parameters")
		if !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s %.80s: %q, want %q", c.name, c.parameters, p.Detail, c.says)
		}
	}
	for _, parameters := range []string{`{"cards":{}}`, `{"cards":null}`, `{"cards":[1]}`, `{"cards":[{"colour":1}]}`, `{"header":{"id":"1","latitude":"1"}}`,
		`{"limited_time_offer":"soon"}`, `{"limited_time_offer":{"expires_at":"soon"}}`, `{"limited_time_offer":{"ends":1}}`, `{"header":{"latitude":-23.5,"longitude":"1"}}`} {
		h.post(key, template(ana, "vitrine", parameters)).wantCode(t, 400, "malformed")
	}
	if h.messages() != n {
		t.Error("something was queued all the same")
	}
}

// What is sent later must still show what it promises.
func TestMessageOfLater(t *testing.T) {
	h, key := newShowroom(t)
	at := func(d time.Duration) string { return began.Add(d).Format(time.RFC3339) }
	later := func(name, parameters string, send, expires time.Duration) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(template(ana, name, parameters)), &m); err != nil {
			t.Fatal(err)
		}
		m["send_at"] = at(send)
		if expires > 0 {
			m["expires_at"] = at(expires)
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	offer := `{"body":["Ana"],"buttons":{"0":"JA10","1":"x"},"limited_time_offer":{"expires_at":"` + at(3*time.Hour) + `"}}`
	if p := h.post(key, later("relampago", offer, 3*time.Hour, 0)).wantCode(t, 400, "invalid-parameters"); !strings.Contains(p.Detail, "ends before") {
		t.Error(p.Detail)
	}
	if m, _ := h.message(queued(t, h.post(key, later("relampago", offer, time.Hour, 9*time.Hour)))); m.Deadline != store.Millis(began.Add(3*time.Hour)) {
		t.Errorf("leaves until %s", store.Time(m.Deadline))
	}
	if m, _ := h.message(queued(t, h.post(key, later("relampago", offer, time.Hour, 2*time.Hour)))); m.Deadline != store.Millis(began.Add(2*time.Hour)) {
		t.Errorf("leaves until %s", store.Time(m.Deadline))
	}
	cards := `{"body":["Ana"],"cards":` + twoCards + `}`
	queued(t, h.post(key, later("vitrine", cards, 29*24*time.Hour, 0)))
	if p := h.post(key, later("vitrine", cards, 30*24*time.Hour, 0)).wantCode(t, 400, "invalid-parameters"); !strings.Contains(p.Detail, "30 days") {
		t.Error(p.Detail)
	}
	queued(t, h.post(key, later("vitrine", strings.Replace(cards, `{"id":"1037"}`, `{"link":"https://example.com/a.jpg"}`, 1), 40*24*time.Hour, 0)))
}
