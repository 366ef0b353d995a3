package whatsapp

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestComponentJSON(t *testing.T) {
	for _, c := range []struct {
		name string
		in   any
		want string
	}{
		{"positional body", BodyText("Ana", "20%"), `{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"20%"}]}`},
		{"named body", Body(NamedText("primeiro_nome", "Ana")), `{"type":"body","parameters":[{"type":"text","parameter_name":"primeiro_nome","text":"Ana"}]}`},
		{"text header", TextHeader(Text("Natal")), `{"type":"header","parameters":[{"type":"text","text":"Natal"}]}`},
		{"image header", ImageHeader(MediaRef{ID: "10375432", Filename: "x"}), `{"type":"header","parameters":[{"type":"image","image":{"id":"10375432"}}]}`},
		{"video header", VideoHeader(MediaRef{Link: "https://example.com/v.mp4"}), `{"type":"header","parameters":[{"type":"video","video":{"link":"https://example.com/v.mp4"}}]}`},
		{"document header", DocumentHeader(MediaRef{ID: "7", Filename: "nota.pdf"}), `{"type":"header","parameters":[{"type":"document","document":{"id":"7","filename":"nota.pdf"}}]}`},
		{"quick reply", QuickReply(0, "STOP:natal26"), `{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"STOP:natal26"}]}`},
		{"url button", URLButton(1, "a b/ç?x=1&y=%20%"), `{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"a%20b/%C3%A7?x=1\u0026y=%20%25"}]}`},
		{"copy code", CopyCode(2, "20OFF"), `{"type":"button","sub_type":"copy_code","index":"2","parameters":[{"type":"coupon_code","coupon_code":"20OFF"}]}`},
		{"authentication", AuthCode("483920"), `[{"type":"body","parameters":[{"type":"text","text":"483920"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"483920"}]}]`},
	} {
		got, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestEscapeSuffixProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "suffix")
		once := EscapeSuffix(s)
		if twice := EscapeSuffix(once); twice != once {
			t.Errorf("%q: once %q, twice %q", s, once, twice)
		}
		for i := range len(once) {
			if once[i] <= ' ' || once[i] >= 0x7f {
				t.Errorf("%q: byte %x is left in %q", s, once[i], once)
			}
		}
		if _, err := url.PathUnescape(once); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestCheckText(t *testing.T) {
	for _, c := range []struct{ in, names string }{
		{"", ""},
		{"Ana María, 20 %", ""},
		{"four    spaces", ""},
		{"a  b  c  d", ""},
		{"line\nbreak", "newline"},
		{"line\r\nbreak", "newline"},
		{"a\tb", "tab"},
		{"five     spaces", "five spaces"},
		{"     ", "five spaces"},
		{"bad \xff byte", "UTF-8"},
	} {
		err := CheckText(c.in)
		switch {
		case c.names == "" && err != nil:
			t.Errorf("%q: %v", c.in, err)
		case c.names != "" && (err == nil || !strings.Contains(err.Error(), c.names)):
			t.Errorf("%q: %v, want an error that names %s", c.in, err, c.names)
		}
	}
}
