package cloudapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/whatsapp"
)

func TestAppendMessage(t *testing.T) {
	phone := whatsapp.Phone("+5511900000001").Identity()
	components, err := json.Marshal([]whatsapp.Component{
		whatsapp.ImageHeader(whatsapp.MediaRef{ID: "10375432"}),
		whatsapp.BodyText("Ana", "20%"),
		whatsapp.QuickReply(0, "STOP:natal26"),
		whatsapp.URLButton(1, "n3mtql"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		in   Message
		want string
	}{
		{"text", Message{To: phone, Text: "Recebido.", ReplyTo: "wamid.AAA", Callback: "j1.db.7.1"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","context":{"message_id":"wamid.AAA"},"type":"text","text":{"preview_url":false,"body":"Recebido."},"biz_opaque_callback_data":"j1.db.7.1"}`},
		{"preview", Message{To: phone, Text: "https://example.com", PreviewURL: true},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"text","text":{"preview_url":true,"body":"https://example.com"}}`},
		{"wa_id gets its plus", Message{To: whatsapp.WaID("551190000001").Identity(), Text: "x"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+551190000001","type":"text","text":{"preview_url":false,"body":"x"}}`},
		{"user id", Message{To: whatsapp.BSUID("BR.134").Identity(), Text: "x"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"BR.134","type":"text","text":{"preview_url":false,"body":"x"}}`},
		{"parent user id", Message{To: whatsapp.Identity{Kind: whatsapp.KindParentBSUID, Value: "BR.ENT.134"}, Text: "x"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","recipient":"BR.ENT.134","type":"text","text":{"preview_url":false,"body":"x"}}`},
		{"escapes", Message{To: phone, Text: "a\"b\\c\nd\te\x00f\u2028é😀\xff<&>"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"text","text":{"preview_url":false,"body":"a\"b\\c\nd\u0009e\u0000f` + "\u2028é😀\ufffd" + `<&>"}}`},
		{"code with the person's identity key", Message{To: phone, IdentityKeyHash: `k"1=`, Template: &TemplateSend{Name: "codigo", Language: "pt_BR"}, Callback: "c"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","recipient_identity_key_hash":"k\"1=","type":"template","template":{"name":"codigo","language":{"code":"pt_BR"}},"biz_opaque_callback_data":"c"}`},
		{"template without values", Message{To: phone, Template: &TemplateSend{Name: "ola", Language: "pt_BR", Components: "[]"}, Callback: "c"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"template","template":{"name":"ola","language":{"code":"pt_BR"}},"biz_opaque_callback_data":"c"}`},
		{"template", Message{To: phone, Template: &TemplateSend{Name: "oferta_natal", Language: "pt_BR", Components: string(components)}, Callback: "j1.db.7.1"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"template","template":{"name":"oferta_natal","language":{"code":"pt_BR"},"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"10375432"}}]},{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"20%"}]},{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"STOP:natal26"}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"n3mtql"}]}]},"biz_opaque_callback_data":"j1.db.7.1"}`},
		{"marketing", Message{To: phone, Marketing: &Marketing{ProductPolicy: "STRICT", ActivitySharing: new(false)}, Template: &TemplateSend{Name: "oferta", Language: "pt_BR"}, Callback: "c"},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"template","template":{"name":"oferta","language":{"code":"pt_BR"}},"product_policy":"STRICT","message_activity_sharing":false,"biz_opaque_callback_data":"c"}`},
		{"marketing as Meta has it", Message{To: phone, Marketing: &Marketing{}, Template: &TemplateSend{Name: "oferta", Language: "pt_BR"}},
			`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+5511900000001","type":"template","template":{"name":"oferta","language":{"code":"pt_BR"}}}`},
	} {
		got := AppendMessage([]byte("before"), c.in)
		if diff := cmp.Diff("before"+c.want, string(got)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
		if !json.Valid(got[len("before"):]) {
			t.Errorf("%s: no JSON", c.name)
		}
	}
}

// Whatever stands in the values, encoding/json reads the same back.
func TestAppendMessageProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anything := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		m := Message{
			To:       whatsapp.Identity{Kind: whatsapp.KindPhone, Value: "+" + anything.Draw(t, "to")},
			ReplyTo:  whatsapp.Wamid(anything.Draw(t, "reply")),
			Text:     anything.Draw(t, "text"),
			Callback: anything.Draw(t, "callback"),

			IdentityKeyHash: anything.Draw(t, "identity key"),
		}
		if rapid.Bool().Draw(t, "template") {
			m.Template = &TemplateSend{Name: anything.Draw(t, "name"), Language: anything.Draw(t, "language")}
		}
		var got struct {
			Product string `json:"messaging_product"`
			Kind    string `json:"recipient_type"`
			To      string
			Type    string
			Context struct {
				ID string `json:"message_id"`
			}
			Text struct{ Body string }
			Temp struct {
				Name     string
				Language struct{ Code string }
			} `json:"template"`
			Callback string `json:"biz_opaque_callback_data"`
			Key      string `json:"recipient_identity_key_hash"`
		}
		body := AppendMessage(nil, m)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v: %q", err, body)
		}
		clean := func(s string) string { return string([]rune(s)) } // each byte that is not UTF-8 as U+FFFD
		check := func(what, got, want string) {
			if got != clean(want) {
				t.Errorf("%s: %q, want %q", what, got, clean(want))
			}
		}
		check("product", got.Product, "whatsapp")
		check("recipient type", got.Kind, "individual")
		check("to", got.To, "+"+strings.TrimPrefix(m.To.Value, "+"))
		check("context", got.Context.ID, string(m.ReplyTo))
		check("callback", got.Callback, m.Callback)
		check("identity key", got.Key, m.IdentityKeyHash)
		if m.Template != nil {
			check("type", got.Type, "template")
			check("name", got.Temp.Name, m.Template.Name)
			check("language", got.Temp.Language.Code, m.Template.Language)
		} else {
			check("type", got.Type, "text")
			check("body", got.Text.Body, m.Text)
		}
	})
}

func TestAppendMessageAllocatesNothing(t *testing.T) {
	m := benchMessage()
	buf := make([]byte, 0, 2048)
	if n := testing.AllocsPerRun(100, func() { buf = AppendMessage(buf[:0], m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func benchMessage() Message {
	return Message{
		To:       whatsapp.Phone("+5511900000001").Identity(),
		Template: &TemplateSend{Name: "oferta_natal", Language: "pt_BR", Components: `[{"type":"body","parameters":[{"type":"text","text":"Ana"}]}]`},
		Callback: "j1.0123456789abcdef.123456789.1",

		IdentityKeyHash: "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4",
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	m := benchMessage()
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMessage(buf[:0], m)
	}
}
