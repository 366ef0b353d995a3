package whatsapp

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadDegrees(t *testing.T) {
	for text, want := range map[string]string{
		"-23.5505": "-23.5505", " -23,5505 ": "-23.5505", "+46.63": "46.63", "90": "90", "-90.0": "-90.0", "0": "0", ".5": ".5",
		"90.0001": "", "-91": "", "": "", "1e1": "", "NaN": "", "inf": "", "0x1p1": "", "1.234,5": "", "-23.55 S": "", "--1": "", "1_0": "",
	} {
		got, err := ReadDegrees(text, MostLatitude)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := ReadDegrees("-180", MostLongitude); got != "-180" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzReadDegrees(f *testing.F) {
	for _, s := range []string{"-23.5505", "-23,5505", "1e5", "+.", "９０"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadDegrees(text, MostLatitude)
		if err != nil {
			return
		}
		if d, err := strconv.ParseFloat(got, 64); err != nil || d < -90 || d > 90 || strings.ContainsAny(got, "+ ,eE") {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestCheckLink(t *testing.T) {
	for link, want := range map[string]bool{
		"https://loja.example/a.jpg": true, "https://loja.example/fotos/a%20b.jpg?x=1": true,
		"http://loja.example/a.jpg": false, "https://": false, "https:///a.jpg": false, "loja.example/a.jpg": false, "": false, "https://u:p@loja.example/a": false,
		"https://loja.example/a b.jpg": false, "https://loja.example/" + strings.Repeat("a", 2000): false, "javascript:alert(1)": false,
	} {
		if got := CheckLink(link) == nil; got != want {
			t.Errorf("%q: %t", link, got)
		}
	}
	for link, want := range map[string]string{"https://loja.example/notas/nota%201042.pdf?x=/y": "nota 1042.pdf", "https://loja.example/": "document", "https://loja.example": "document"} {
		if got := FileName(link); got != want {
			t.Errorf("%q: %q", link, got)
		}
	}
}

// The shapes are Meta's, member by member.
func TestComponentsOfCardsOffersAndPlaces(t *testing.T) {
	for _, test := range []struct {
		name      string
		component Component
		want      string
	}{
		{"location", LocationHeader(Location{Latitude: "-23.5505", Longitude: "-46.6333", Name: "Loja Centro", Address: "Rua Direita 1"}),
			`{"type":"header","parameters":[{"type":"location","location":{"latitude":"-23.5505","longitude":"-46.6333","name":"Loja Centro","address":"Rua Direita 1"}}]}`},
		{"offer", LimitedTimeOffer(1798761600000),
			`{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":1798761600000}}]}`},
		{"carousel", Carousel(
			[]Component{ImageHeader(MediaRef{ID: "1037"}), BodyText("10%"), QuickReply(0, "tenis"), URLButton(1, "t1")},
			[]Component{VideoHeader(MediaRef{Link: "https://loja.example/b.mp4"}), BodyText("20%"), QuickReply(0, "bota"), URLButton(1, "b1")}),
			`{"type":"carousel","cards":[` +
				`{"card_index":0,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1037"}}]},{"type":"body","parameters":[{"type":"text","text":"10%"}]},` +
				`{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"tenis"}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"t1"}]}]},` +
				`{"card_index":1,"components":[{"type":"header","parameters":[{"type":"video","video":{"link":"https://loja.example/b.mp4"}}]},{"type":"body","parameters":[{"type":"text","text":"20%"}]},` +
				`{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"bota"}]},{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"b1"}]}]}]}`},
	} {
		got, err := json.Marshal(test.component)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
