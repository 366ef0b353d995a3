package sandbox

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sendOf is a send of a template with components.
func sendOf(name, key, components string) string {
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"` + ana + `","type":"template","biz_opaque_callback_data":"` + key +
		`","template":{"name":"` + name + `","language":{"code":"pt_BR"},"components":[` + components + `]}}`
}

const (
	picture   = `{"type":"header","parameters":[{"type":"image","image":{"link":"https://loja.example/a.jpg"}}]}`
	firstCard = `{"card_index":0,"components":[` + picture + `,{"type":"body","parameters":[{"type":"text","text":"10%"}]},` +
		`{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"tenis"}]},` +
		`{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"t1"}]}]}`
	secondCard = `{"card_index":1,"components":[` + picture + `,{"type":"body","parameters":[{"type":"text","text":"20%"}]},` +
		`{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"b1"}]}]}`
	carousel  = `{"type":"body","parameters":[{"type":"text","text":"Ana"}]},{"type":"carousel","cards":[` + firstCard + `,` + secondCard + `]}`
	relampago = `{"type":"body","parameters":[{"type":"text","text":"Ana"}]},` +
		`{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":946688400000}}]},` + // an hour after the bubble's beginning
		`{"type":"button","sub_type":"copy_code","index":"0","parameters":[{"type":"coupon_code","coupon_code":"RELAMPAGO10"}]},` +
		`{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"n1"}]}`
	retirada = `{"type":"header","parameters":[{"type":"location","location":{"latitude":"-23.5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}]},` +
		`{"type":"body","parameters":[{"type":"text","text":"1042"}]}`
)

// TestContractOfParts alters correct sends of carousels, offers and places in
// one way each and expects Meta's code.
func TestContractOfParts(t *testing.T) {
	for _, one := range []struct {
		template, name string
		good, from, to string
		code           int // 0: accepted
	}{
		{"vitrine_natal", "good", carousel, "", "", 0},
		{"vitrine_natal", "cards in another order", carousel, firstCard + "," + secondCard, secondCard + "," + firstCard, 0},
		{"vitrine_natal", "no carousel", carousel, `,{"type":"carousel","cards":[` + firstCard + `,` + secondCard + `]}`, "", 131008},
		{"vitrine_natal", "a card too few", carousel, "," + secondCard, "", 132000},
		{"vitrine_natal", "a card too many", carousel, secondCard, secondCard + "," + strings.Replace(secondCard, `"card_index":1`, `"card_index":2`, 1), 132000},
		{"vitrine_natal", "a card twice", carousel, `"card_index":1`, `"card_index":0`, 131009},
		{"vitrine_natal", "a card without its index", carousel, `"card_index":1,`, "", 131008},
		{"vitrine_natal", "an index as text", carousel, `"card_index":1`, `"card_index":"1"`, 100},
		{"vitrine_natal", "an index beyond", carousel, `"card_index":1`, `"card_index":7`, 131009},
		{"vitrine_natal", "parameters of a carousel", carousel, `"type":"carousel",`, `"type":"carousel","parameters":[{"type":"text","text":"x"}],`, 100},
		{"vitrine_natal", "a card without its picture", carousel, picture + ",", "", 132012},
		{"vitrine_natal", "a video for a picture", carousel, `{"type":"image","image":{`, `{"type":"video","video":{`, 132012},
		{"vitrine_natal", "a picture of nowhere", carousel, `{"link":"https://loja.example/a.jpg"}`, `{}`, 131008},
		{"vitrine_natal", "a picture that was never uploaded", carousel, `{"link":"https://loja.example/a.jpg"}`, `{"id":"4711"}`, 100},
		{"vitrine_natal", "a card's text without its value", carousel, `{"type":"body","parameters":[{"type":"text","text":"10%"}]},`, "", 132000},
		{"vitrine_natal", "a card's text that is too long", carousel, `"text":"10%"`, `"text":"` + strings.Repeat("x", 160) + `"`, 132005},
		{"vitrine_natal", "a card's text of the wrong kind", carousel, `{"type":"text","text":"10%"}`, `{"type":"payload","payload":"x"}`, 132012},
		{"vitrine_natal", "a card's link without its end", carousel, `,{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"b1"}]}`, "", 131008},
		{"vitrine_natal", "a card's button of the wrong kind", carousel, `"sub_type":"quick_reply"`, `"sub_type":"copy_code"`, 132012},
		{"vitrine_natal", "a button that the card has not", carousel, `"index":"0"`, `"index":"2"`, 132000},
		{"vitrine_natal", "an offer in a card", carousel, `"components":[` + picture, `"components":[{"type":"limited_time_offer"},` + picture, 100},
		{"vitrine_natal", "a key nobody knows in a card", carousel, `"card_index":0,`, `"card_index":0,"colour":"red",`, 100},

		{"oferta_relampago", "good", relampago, "", "", 0},
		{"oferta_relampago", "no end", relampago, `{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":946688400000}}]},`, "", 131008},
		{"oferta_relampago", "an end without a value", relampago, `{"expiration_time_ms":946688400000}`, `{}`, 131008},
		{"oferta_relampago", "an end in the past", relampago, "946688400000", "946684800000", 131009},
		{"oferta_relampago", "an end as text", relampago, "946688400000", `"946688400000"`, 100},
		{"oferta_relampago", "an end of another kind", relampago, `{"type":"limited_time_offer","limited_time_offer"`, `{"type":"text","limited_time_offer"`, 132012},
		{"oferta_relampago", "two ends", relampago, `"parameters":[{"type":"limited_time_offer"`, `"parameters":[{"type":"text","text":"x"},{"type":"limited_time_offer"`, 132000},
		{"oferta_relampago", "a code that is too long", relampago, "RELAMPAGO10", strings.Repeat("X", 21), 131009},
		{"oferta_relampago", "no code", relampago, `{"type":"button","sub_type":"copy_code","index":"0","parameters":[{"type":"coupon_code","coupon_code":"RELAMPAGO10"}]},`, "", 131008},
		{"oferta_relampago", "a text beyond 600", relampago, `"text":"Ana"`, `"text":"` + strings.Repeat("x", 600) + `"`, 132005},

		{"retirada_loja", "good", retirada, "", "", 0},
		{"retirada_loja", "without a name and an address", retirada, `,"name":"Loja Centro","address":"Rua Direita 1"`, "", 0},
		{"retirada_loja", "no place", retirada, `{"type":"header","parameters":[{"type":"location","location":{"latitude":"-23.5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}]},`, "", 132012},
		{"retirada_loja", "degrees as numbers", retirada, `"-23.5505"`, `-23.5505`, 100},
		{"retirada_loja", "no longitude", retirada, `"longitude":"-46.6333",`, "", 131008},
		{"retirada_loja", "off the globe", retirada, `"-23.5505"`, `"-90.5"`, 131009},
		{"retirada_loja", "a comma", retirada, `"-23.5505"`, `"-23,5505"`, 131009},
		{"retirada_loja", "no number", retirada, `"-23.5505"`, `"NaN"`, 131009},
		{"retirada_loja", "a picture for a place", retirada, `{"type":"location","location":{"latitude":"-23.5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}`, `{"type":"image","image":{"link":"https://loja.example/a.jpg"}}`, 132012},
	} {
		t.Run(one.template+"/"+one.name, func(t *testing.T) {
			if !strings.Contains(one.good, one.from) {
				t.Fatalf("%q is not in the good send", one.from)
			}
			inBubble(t, nil, func(w *world) {
				status, body, err := w.do("POST", sendPath, sendOf(one.template, "k", strings.Replace(one.good, one.from, one.to, 1)))
				if err != nil {
					t.Fatal(err)
				}
				if one.code == 0 {
					if status != http.StatusOK || w.s.Count() != 1 {
						t.Fatalf("status %d, %d messages: %s", status, w.s.Count(), body)
					}
					return
				}
				if got := codeOf(body); got != one.code || status != infoOf(one.code).status || w.s.Count() != 0 {
					t.Errorf("code %d with status %d, want %d: %s", got, status, one.code, body)
				}
			})
		})
	}
}

// TestTextOfParts is what a phone shows of them.
func TestTextOfParts(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for i, one := range [][2]string{{"vitrine_natal", carousel}, {"oferta_relampago", relampago}, {"retirada_loja", retirada}} {
			w.must("POST", sendPath, sendOf(one[0], fmt.Sprint("k", i), one[1]))
		}
		want := []string{
			"Oi, Ana! Separamos duas ofertas para você.\n" +
				"card 1: [image] Tênis com 10% de desconto [Quero] [Ver] https://loja.example/p/t1\n" +
				"card 2: [image] Botas com 20% de desconto [Quero] [Ver] https://loja.example/p/b1\n",
			"Oi, Ana! É só hoje: use o código na loja.\n[offer ends 2000-01-01 01:00:00 UTC]\n[Copiar código]\n[Comprar] https://loja.example/oferta?c=n1\n",
			"[map: Loja Centro, Rua Direita 1 (-23.5505, -46.6333)]\nO pedido 1042 espera por você nesta loja.\n",
		}
		var got []string
		for _, s := range w.s.Sends() {
			got = append(got, s.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		time.Sleep(2 * time.Hour)
		if _, body, _ := w.do("POST", sendPath, sendOf("oferta_relampago", "late", relampago)); codeOf(body) != 131009 {
			t.Errorf("an offer that is over: %s", body)
		}
	})
}
