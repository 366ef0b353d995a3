package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"janela/campaigns"
	"janela/internal/whatsapp"
)

// FuzzReadMessage reads anything as the body of POST /v1/messages: what is wrong
// is a Problem that repeats nothing, and what is right makes JSON with as many
// values as the template has, each of which Meta takes.
func FuzzReadMessage(f *testing.F) {
	for _, seed := range []string{`{"to":"+5511900000001","text":{"body":"Oi"}}`, `{"contact":7,"text":{"body":"Oi"},"reply_to":"wamid.x","send_at":"2026-11-23T12:00:00Z"}`,
		template(ana, "x", values2), template(ana, "x", `{"header":"a","body":["b"],"buttons":{"0":"c"}}`), template(ana, "x", `{"header":{"id":"1"},"body":{"um":"b"}}`),
		template(ana, "x", `{"body":["a"],"cards":`+twoCards+`}`), template(ana, "x", `{"header":{"latitude":"1","longitude":"2","name":"a"}}`),
		template(ana, "x", `{"body":["a"],"buttons":{"0":"b","1":"c"},"limited_time_offer":{"expires_at":"2026-11-23T12:00:00Z"}}`),
		`{"template":{"parameters":{"header":null}}}`, `{"template":{"parameters":{"body":[null]}}}`, `{"template":{"parameters":{"buttons":{"00":"x"}}}}`, `{"template":null}`, `{}`, `[]`, ``} {
		f.Add([]byte(seed), uint(len(seed)/2))
	}
	const mark = "kanarie"
	needs := []campaigns.Requirement{}
	for _, c := range [][2]string{{"POSITIONAL", boleto}, {"NAMED", `[{"type":"BODY","text":"{{um}}"}]`}, {"", `[{"type":"HEADER","format":"TEXT","text":"{{1}}"},{"type":"BODY","text":"{{1}}"},{"type":"BUTTONS","buttons":[{"type":"URL","url":"https://example.com/{{1}}"}]}]`},
		{"", `[{"type":"HEADER","format":"IMAGE"}]`}, {"", "[]"}, {"", vitrine}, {"", relampago}, {"", retirada}} {
		r, err := campaigns.Required(c[0], c[1])
		if err != nil {
			f.Fatal(err)
		}
		needs = append(needs, r)
	}
	f.Fuzz(func(t *testing.T, body []byte, at uint) {
		at %= uint(len(body)) + 1
		for _, b := range [][]byte{body, append(append(bytes.Clone(body[:at]), mark...), body[at:]...)} {
			m, err := readMessage(b)
			problem(t, err, mark)
			if err != nil || m.template == nil {
				continue
			}
			for _, need := range needs {
				out, err := m.template.render(need)
				problem(t, err, mark)
				if err != nil {
					continue
				}
				var parts []whatsapp.Component
				if err := json.Unmarshal([]byte(out), &parts); err != nil {
					t.Fatalf("%s: %v", out, err)
				}
				for _, p := range parts {
					if p.Type == "carousel" && len(p.Cards) != len(need.Cards) {
						t.Fatalf("%s for %d cards", out, len(need.Cards))
					}
					if p.Type == "body" && len(p.Parameters) != len(need.Body) {
						t.Fatalf("%s for a body of %v", out, need.Body)
					}
					for _, v := range p.Parameters {
						if v.Type == "text" && (strings.TrimSpace(v.Text) == "" || whatsapp.CheckText(v.Text) != nil) {
							t.Fatalf("%q leaves", v.Text)
						}
					}
				}
			}
		}
	})
}

// problem checks that an error is a Problem of the caller's, and repeats nothing.
func problem(t *testing.T, err error, mark string) {
	t.Helper()
	var p *Problem
	if err != nil && (!errors.As(err, &p) || p.Status < 400 || p.Status >= 500 || strings.Contains(p.Error(), mark)) {
		t.Fatalf("%v", err)
	}
}
