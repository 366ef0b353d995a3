package whatsapp

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFillFiles(t *testing.T) {
	ids := map[string]string{"aa": "1037", "bb": "2048"}
	id := func(sha string) string { return ids[sha] }
	header := func(sha string) string {
		text, err := json.Marshal([]Component{ImageHeader(MediaRef{ID: FileID(sha)}), BodyText(`"id":"janela-file:aa"`)})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, test := range []struct {
		name, params, want string
		ok                 bool
	}{
		{"none", `[{"type":"body","parameters":[]}]`, `[{"type":"body","parameters":[]}]`, true},
		{"nothing", "", "", true},
		{"one, and a text that looks like one", header("aa"), strings.Replace(header("aa"), "janela-file:aa", "1037", 1), true},
		{"two", header("aa") + header("bb"), strings.Replace(header("aa"), "janela-file:aa", "1037", 1) + strings.Replace(header("bb"), "janela-file:bb", "2048", 1), true},
		{"not at Meta", header("cc"), "", false},
		{"broken off", `[{"id":"janela-file:aa`, "", false},
	} {
		got, ok := FillFiles(test.params, id)
		if got != test.want || ok != test.ok {
			t.Errorf("%s: %q %t, want %q %t", test.name, got, ok, test.want, test.ok)
		}
	}
}

// Whatever people's values hold, only the header's id changes.
func TestFillFilesTouchesNoValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"id":"janela-file:aa"`, `janela-file:aa`, `","id":"janela-file:aa`})).Draw(t, "value")
		made := func(id string) string {
			text, err := json.Marshal([]Component{DocumentHeader(MediaRef{ID: id, Filename: value}), BodyText(value)})
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		got, ok := FillFiles(made(FileID("aa")), func(string) string { return "1037" })
		if want := made("1037"); !ok || got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
