package campaigns

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"janela/internal/whatsapp"
)

func TestRequired(t *testing.T) {
	tests := []struct {
		name, format, components string
		want                     Requirement
		err                      string // a part of it
	}{
		{name: "positional, of everything", format: "POSITIONAL", components: ofertaComponents, want: Requirement{
			Header: whatsapp.HeaderImage, Body: []string{"1", "2"},
			Buttons: []ButtonRequirement{
				{Index: 0, Type: ButtonQuickReply, Label: "Parar"},
				{Index: 1, Type: ButtonURL, Required: true, Label: "Ver", URL: "https://example.com/"},
			},
		}},
		{name: "named, in order of appearance", format: "NAMED", components: `[{"type":"HEADER","format":"TEXT","text":"Oi {{nome}}"},{"type":"BODY","text":"{{b}} {{a}} {{b}}"}]`,
			want: Requirement{Named: true, Header: whatsapp.HeaderText, HeaderName: "nome", Body: []string{"b", "a"}}},
		{name: "positional header", components: `[{"type":"header","format":"text","text":"Oi {{1}}"}]`, want: Requirement{Header: whatsapp.HeaderText}},
		{name: "fixed header and static buttons", components: `[{"type":"HEADER","format":"TEXT","text":"Oi"},{"type":"BODY","text":"x"},{"type":"FOOTER","text":"y"},
			{"type":"BUTTONS","buttons":[{"type":"URL","url":"https://example.com"},{"type":"PHONE_NUMBER"},{"type":"COPY_CODE","text":"Copiar"}]}]`,
			want: Requirement{Buttons: []ButtonRequirement{{Index: 2, Type: ButtonCopyCode, Required: true, Label: "Copiar"}}}},
		{name: "body alone", components: `[{"type":"BODY","text":"x {{2}} {{1}}"}]`, want: Requirement{Body: []string{"1", "2"}, BodyAlone: true}},
		{name: "authentication", components: `[{"type":"BODY","text":"{{1}}"},{"type":"BUTTONS","buttons":[{"type":"OTP","otp_type":"COPY_CODE","text":"Copiar"}]}]`,
			want: Requirement{Body: []string{"1"}, Buttons: []ButtonRequirement{{Index: 0, Type: ButtonOTP, Required: true, Label: "Copiar"}}}},
		{name: "nothing", components: "", want: Requirement{BodyAlone: true}},
		{name: "carousel", components: vitrineComponents, want: Requirement{Body: []string{"1"}, Cards: []Requirement{
			{Header: whatsapp.HeaderImage, Body: []string{"1"}, Buttons: []ButtonRequirement{
				{Index: 0, Type: ButtonQuickReply, Label: "Quero"}, {Index: 1, Type: ButtonURL, Required: true, Label: "Ver", URL: "https://example.com/"}}},
			{Header: whatsapp.HeaderImage, Body: []string{"1"}, Buttons: []ButtonRequirement{
				{Index: 0, Type: ButtonQuickReply, Label: "Quero"}, {Index: 1, Type: ButtonURL, Required: true, Label: "Ver", URL: "https://example.com/"}}},
		}}},
		{name: "carousel with names, without bodies", format: "NAMED", components: `[{"type":"body","text":"{{nome}}"},{"type":"carousel","cards":[{"components":[{"type":"header","format":"video"}]}]}]`,
			want: Requirement{Named: true, Body: []string{"nome"}, Cards: []Requirement{{Named: true, Header: whatsapp.HeaderVideo}}}},
		{name: "limited time offer", components: relampagoComponents, want: Requirement{Body: []string{"1"}, Offer: true, Buttons: []ButtonRequirement{
			{Index: 0, Type: ButtonCopyCode, Required: true, Label: "Copiar"}, {Index: 1, Type: ButtonURL, Required: true, Label: "Ver", URL: "https://example.com/"}}}},
		{name: "offer that does not end", components: `[{"type":"BODY","text":"x"},{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Só hoje","has_expiration":false}}]`, want: Requirement{}},
		{name: "location", components: `[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"x"}]`, want: Requirement{Header: whatsapp.HeaderLocation}},
		{name: "carousel without cards", components: `[{"type":"CAROUSEL"}]`, err: "has 0 cards"},
		{name: "eleven cards", components: `[{"type":"CAROUSEL","cards":[{},{},{},{},{},{},{},{},{},{},{}]}]`, err: "has 11 cards"},
		{name: "card without a header", components: `[{"type":"CAROUSEL","cards":[{"components":[{"type":"BODY","text":"x"}]}]}]`, err: "card 1 of the template has no header"},
		{name: "card with a product", components: `[{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"PRODUCT"}]}]}]`, err: "a card with a header product"},
		{name: "card in a card", components: `[{"type":"CAROUSEL","cards":[{"components":[{"type":"CAROUSEL"}]}]}]`, err: "a card with a component carousel"},
		{name: "gif", components: `[{"type":"HEADER","format":"GIF"}]`, err: "a header gif"},
		{name: "flow", components: `[{"type":"BUTTONS","buttons":[{"type":"FLOW"}]}]`, err: "a button flow"},
		{name: "names where it counts", format: "POSITIONAL", components: `[{"type":"BODY","text":"{{nome}}"}]`, err: "called {{nome}}"},
		{name: "two in a header", components: `[{"type":"HEADER","format":"TEXT","text":"{{1}} {{2}}"}]`, err: "one is allowed"},
		{name: "not JSON", components: `{`, err: "cannot be read"},
	}
	for _, test := range tests {
		got, err := Required(test.format, test.components)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(Requirement{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzRequired(f *testing.F) {
	f.Add("POSITIONAL", ofertaComponents)
	f.Add("POSITIONAL", vitrineComponents)
	f.Add("", relampagoComponents)
	f.Add("NAMED", `[{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"VIDEO"},{"type":"BUTTONS","buttons":[{"type":"URL","url":"x{{1}}"}]}]}]}]`)
	f.Add("NAMED", `[{"type":"BODY","text":"{{a}} {{99999999999}}"}]`)
	f.Fuzz(func(t *testing.T, format, components string) {
		r, err := Required(format, components)
		if err != nil {
			return
		}
		for _, r := range append([]Requirement{r}, r.Cards...) {
			for _, b := range r.Buttons {
				if b.Index < 0 || b.Index >= r.buttons {
					t.Fatalf("button %d of %d", b.Index, r.buttons)
				}
			}
		}
		for _, card := range r.Cards {
			if card.Header != whatsapp.HeaderImage && card.Header != whatsapp.HeaderVideo || len(card.Cards) > 0 {
				t.Fatalf("card %+v", card)
			}
		}
	})
}
