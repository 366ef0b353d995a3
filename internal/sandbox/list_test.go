package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names follows next from the first page on and returns the templates' names,
// a page each.
func names(w *world, path string) [][]string {
	var pages [][]string
	for path != "" {
		var p page
		if err := json.Unmarshal([]byte(w.must("GET", path, "")), &p); err != nil {
			w.t.Fatal(err)
		}
		one := []string{}
		for _, n := range p.Data {
			one = append(one, fmt.Sprint(n["name"]))
		}
		pages = append(pages, one)
		path = ""
		if p.Paging != nil && p.Paging.Next != "" {
			u, err := url.Parse(p.Paging.Next)
			if err != nil {
				w.t.Fatal(err)
			}
			path = u.RequestURI()
		}
	}
	return pages
}

func TestPaging(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		base := "/v25.0/" + waba + "/message_templates"
		for query, want := range map[string][][]string{
			"?limit=3": {
				{"oferta_natal", "boleto_lembrete", "pedido_enviado"},
				{"shipping_update", "vitrine_natal", "oferta_relampago"},
				{"retirada_loja", "codigo_acesso", "codigo_acesso"},
				{"codigo_acesso", "codigo_seguro", "codigo_app"},
				{"codigo_app", "codigo_app", "codigo_antigo"},
				{"novidades_loja", "promo_pausada", "promo_rejeitada"},
			},
			"?limit=4&category=authentication":               {{"codigo_acesso", "codigo_acesso", "codigo_acesso", "codigo_seguro"}, {"codigo_app", "codigo_app", "codigo_app", "codigo_antigo"}},
			"?limit=9&status=paused,approved&language=pt-BR": {{"oferta_natal", "boleto_lembrete", "pedido_enviado", "vitrine_natal", "oferta_relampago", "retirada_loja", "codigo_acesso", "codigo_seguro", "codigo_app"}, {"codigo_antigo", "promo_pausada"}},
			"?name=codigo_acesso&language=es":                {{"codigo_acesso"}},
			"?status=PAUSED,REJECTED":                        {{"promo_pausada", "promo_rejeitada"}},
			"?category=UTILITY&language=pt-BR":               {{"boleto_lembrete", "pedido_enviado", "retirada_loja"}},
			"?name=oferta_natal&language=pt_BR&fields=name":  {{"oferta_natal"}},
			"?name=oferta_natal&language=en_US":              {{}},
		} {
			if diff := cmp.Diff(want, names(w, base+query)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
		// A template that vanishes between two pages takes its cursor with it.
		var p page
		if err := json.Unmarshal([]byte(w.must("GET", base+"?limit=1", "")), &p); err != nil {
			t.Fatal(err)
		}
		if err := w.s.SetTemplate(TemplateChange{Name: "oferta_natal", Language: "pt_BR", Status: "DELETED"}); err != nil {
			t.Fatal(err)
		}
		after := "?limit=1&after=" + p.Paging.Cursors.After
		for path, code := range map[string]int{
			base + after: 131059,
			strings.Replace(base, "v25.0", "v23.0", 1) + after: 100,
			base + "?after=nonsense":                           131059,
			base + "?limit=0":                                  100,
			base + "?fields=name,colour":                       100,
		} {
			if _, body, _ := w.do("GET", path, ""); codeOf(body) != code {
				t.Errorf("%s: want %d: %s", path, code, body)
			}
		}
		var back page
		second := w.must("GET", base+"?limit=2&before="+cursorOf(w.s.accounts[waba].templates[2].ID), "")
		if err := json.Unmarshal([]byte(second), &back); err != nil || len(back.Data) != 2 || back.Data[0]["name"] != "boleto_lembrete" {
			t.Errorf("before: %v %s", err, second)
		}
		if got := w.must("GET", base+"?name=none&summary=total_count", ""); got != `{"data":[],"summary":{"message_template_count":17,"message_template_limit":6000,"total_count":0}}` {
			t.Errorf("summary: %s", got)
		}
		one := w.must("GET", "/"+w.s.accounts[waba].templates[0].ID+"?fields=name,status", "")
		if !strings.Contains(one, `"name":"boleto_lembrete"`) {
			t.Errorf("by id: %s", one)
		}
	})
}

func TestNowhere(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for _, one := range []struct{ method, path string }{
			{"GET", "/"}, {"GET", "/v25.0"}, {"GET", "/v25.0/" + numA + "/calls"}, {"DELETE", "/v25.0/" + numA},
			{"POST", "/v25.0/" + waba + "/messages"}, {"GET", sendPath}, {"GET", "/v25.0/1/2/3"}, {"PUT", "/v25.0/" + waba + "/subscribed_apps"},
		} {
			status, body, err := w.do(one.method, one.path, "{}")
			if err != nil || status != 400 || codeOf(body) != 100 || !strings.Contains(body, `"error_subcode":33`) {
				t.Errorf("%s %s: %d %v %s", one.method, one.path, status, err, body)
			}
		}
	})
}
