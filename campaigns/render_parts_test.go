package campaigns

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/csvfile"
	"janela/internal/whatsapp"
)

const partsDefinition = `
[template]
name = "t"
language = "pt_BR"
limited_time_offer = { column = "validade" }
[template.header]
type = "location"
[template.header.location]
latitude = { column = "lat" }
longitude = { column = "lng", default = "-46,6333" }
name = { value = "Loja Centro" }
address = { column = "rua" }
[[template.body]]
column = "nome"
[[template.cards]]
header = { type = "image", media = "fotos/tenis.jpg" }
[[template.cards.body]]
value = '10% "hoje"'
[[template.cards.buttons]]
index = 0
type = "quick_reply"
value = "QUERO:tenis"
[[template.cards.buttons]]
index = 1
type = "url"
column = "link"
[[template.cards]]
header = { type = "video", media = { column = "foto", default = "https://loja.example/x.mp4" } }
[[template.cards.body]]
column = "nome"
[recipients]
file = "r.csv"
phone_column = "fone"
[schedule]
cron = "0 9 * * *"
`

var partsHeader = []string{"fone", "nome", "lat", "lng", "rua", "link", "foto", "validade"}

func partsMapper(t testing.TB) *Mapper {
	t.Helper()
	def, _, problems := ParseDefinition("test.toml", []byte("id = \"test\"\ncategory = \"marketing\"\n"+partsDefinition))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	m, err := Compile(def, partsHeader, MapperOptions{Zone: "America/Sao_Paulo", File: func(name string) string { return "id of " + name },
		Needs: Requirement{Cards: []Requirement{{Buttons: []ButtonRequirement{{Index: 1, Type: ButtonURL, URL: "https://loja.example/"}}}, {}}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMapRowOfCardsOffersAndPlaces(t *testing.T) {
	m := partsMapper(t)
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	row := func(edit func(f []string)) *csvfile.Row {
		f := []string{"+5511900000001", "Ana", "-23,5505", " ", "Rua Direita 1", "t1", " https://loja.example/a.mp4 ", "2026-11-27T18:00"}
		if edit != nil {
			edit(f)
		}
		return &csvfile.Row{Line: 7, Fields: f}
	}
	ends := time.Date(2026, 11, 27, 18, 0, 0, 0, zone)
	params := func(link string, ends time.Time) string {
		text, err := json.Marshal([]whatsapp.Component{
			whatsapp.LocationHeader(whatsapp.Location{Latitude: "-23.5505", Longitude: "-46.6333", Name: "Loja Centro", Address: "Rua Direita 1"}),
			whatsapp.BodyText("Ana"),
			whatsapp.LimitedTimeOffer(ends.UnixMilli()),
			whatsapp.Carousel(
				[]whatsapp.Component{whatsapp.ImageHeader(whatsapp.MediaRef{ID: "id of fotos/tenis.jpg"}), whatsapp.BodyText(`10% "hoje"`), whatsapp.QuickReply(0, "QUERO:tenis"), whatsapp.URLButton(1, "t1")},
				[]whatsapp.Component{whatsapp.VideoHeader(whatsapp.MediaRef{Link: link}), whatsapp.BodyText("Ana")}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	got, reject := m.MapRow(row(nil))
	if reject != nil {
		t.Fatalf("%+v", reject)
	}
	if diff := cmp.Diff(params("https://loja.example/a.mp4", ends), string(got.Params)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if !got.OfferEnds.Equal(ends) || !got.Expires.IsZero() || !got.deadline(ends.Add(time.Hour)).Equal(ends) || !got.deadline(ends.Add(-time.Hour)).Equal(ends.Add(-time.Hour)) {
		t.Errorf("the offer ends %s, expires %s", got.OfferEnds, got.Expires)
	}
	// A default stands in for the link, and a date means until its end.
	got, reject = m.MapRow(row(func(f []string) { f[6], f[7] = "", "2026-11-27" }))
	midnight := time.Date(2026, 11, 28, 0, 0, 0, 0, zone)
	if reject != nil || string(got.Params) != params("https://loja.example/x.mp4", midnight) || !got.OfferEnds.Equal(midnight) {
		t.Errorf("%s %s %+v", got.Params, got.OfferEnds, reject)
	}
	for _, test := range []struct {
		name   string
		edit   func(f []string)
		reason RowReason
		detail string
	}{
		{"no latitude", func(f []string) { f[2] = "" }, RowMissingParameter, `header latitude (column "lat")`},
		{"too far north", func(f []string) { f[2] = "90.1" }, RowInvalidParameter, "outside of -90 to 90"},
		{"no degrees", func(f []string) { f[3] = "46W" }, RowInvalidParameter, `header longitude (column "lng"): it is no number of degrees`},
		{"no address", func(f []string) { f[4] = " " }, RowMissingParameter, "header address"},
		{"a long address", func(f []string) { f[4] = strings.Repeat("x", 1001) }, RowParameterTooLong, "takes 1000 here"},
		{"no link", func(f []string) { f[6] = "http://loja.example/a.mp4" }, RowInvalidParameter, `card 2 header (column "foto"): it is no link`},
		{"no end", func(f []string) { f[7] = "" }, RowMissingParameter, "limited_time_offer"},
		{"an end that is no date", func(f []string) { f[7] = "27/11/2026" }, RowInvalidParameter, `limited_time_offer (column "validade"): write 2026-11-27`},
		{"a card's text", func(f []string) { f[1] = strings.Repeat("ã", 161) }, RowParameterTooLong, "card 2 body 1 (column \"nome\"): the value has 161 characters, WhatsApp takes 160 here"},
		{"a card's link", func(f []string) { f[5] = strings.Repeat("x", 1980) }, RowParameterTooLong, "card 1 button 1 (column \"link\"): the value has 1980 characters, WhatsApp takes 1979 here"},
	} {
		_, reject := m.MapRow(row(test.edit))
		if reject == nil || reject.Reason != test.reason || !strings.Contains(reject.Detail, test.detail) {
			t.Errorf("%s: %+v, want %s %q", test.name, reject, test.reason, test.detail)
		}
	}
}

// Whatever stands in the cells, no number and no text of a row moves another.
func TestPartsEqualConstructors(t *testing.T) {
	m := partsMapper(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(1, 20, 60), rapid.SampledFrom([]string{`9000000000000000`, `"@0@"`, `"expiration_time_ms":9000000000000001`, `\`, `"`}))
		name, street := text.Draw(t, "name"), text.Draw(t, "street")
		lat := strconv.FormatFloat(rapid.Float64Range(-90, 90).Draw(t, "lat"), 'f', 5, 64)
		at := time.UnixMilli(rapid.Int64Range(1_700_000_000_000, 4_000_000_000_000).Draw(t, "ends") / 1000 * 1000)
		row := &csvfile.Row{Fields: []string{"+5511900000001", name, lat, "1", street, "t1", "https://loja.example/a.mp4", at.UTC().Format(time.RFC3339)}}
		got, reject := m.MapRow(row)
		usable := whatsapp.CheckText(name) == nil && whatsapp.CheckText(street) == nil && !isBlank(name) && !isBlank(street)
		if (reject == nil) != usable {
			t.Fatalf("%+v for %q", reject, row.Fields)
		}
		if reject != nil {
			return
		}
		var sent []whatsapp.Component
		if err := json.Unmarshal(got.Params, &sent); err != nil {
			t.Fatalf("%v: %s", err, got.Params)
		}
		want := []whatsapp.Component{
			whatsapp.LocationHeader(whatsapp.Location{Latitude: lat, Longitude: "1", Name: "Loja Centro", Address: street}),
			whatsapp.BodyText(name), whatsapp.LimitedTimeOffer(at.UnixMilli()),
			whatsapp.Carousel(
				[]whatsapp.Component{whatsapp.ImageHeader(whatsapp.MediaRef{ID: "id of fotos/tenis.jpg"}), whatsapp.BodyText(`10% "hoje"`), whatsapp.QuickReply(0, "QUERO:tenis"), whatsapp.URLButton(1, "t1")},
				[]whatsapp.Component{whatsapp.VideoHeader(whatsapp.MediaRef{Link: "https://loja.example/a.mp4"}), whatsapp.BodyText(name)}),
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestFiles(t *testing.T) {
	def, _, _ := ParseDefinition("test.toml", []byte(`
[template.header]
type = "document"
media = "a.pdf"
[[template.cards]]
header = { type = "image", media = "b.jpg" }
[[template.cards]]
header = { type = "image", media = { column = "foto" } }
[[template.cards]]
header = { type = "image", media = "c.png" }
[[template.cards]]
header = { type = "image", media = "b.jpg" }
`))
	want := []MediaFile{{"template.header.media", whatsapp.HeaderDocument, "a.pdf"}, {"template.cards.0.header.media", whatsapp.HeaderImage, "b.jpg"},
		{"template.cards.2.header.media", whatsapp.HeaderImage, "c.png"}}
	if diff := cmp.Diff(want, def.Files()); diff != "" {
		t.Error(diff)
	}
}

func TestPreviewOfParts(t *testing.T) {
	m := partsMapper(t)
	r, reject := m.MapRow(&csvfile.Row{Fields: []string{"+5511900000001", "Ana", "-23.55", "-46.63", "Rua Direita 1", "t1", "https://loja.example/a.mp4", "2026-11-27T18:00"}})
	if reject != nil {
		t.Fatal(reject)
	}
	got, err := Preview(`[{"type":"HEADER","format":"LOCATION"},{"type":"BODY","text":"Oi, {{1}}!"},{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"has_expiration":true}},
		{"type":"CAROUSEL","cards":[
			{"components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Com {{1}}"},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Quero"},{"type":"URL","text":"Ver","url":"https://loja.example/{{1}}"}]}]},
			{"components":[{"type":"HEADER","format":"VIDEO"},{"type":"BODY","text":"Para {{1}}"}]}]}]`, r.Params, m.zone)
	want := "[Loja Centro, Rua Direita 1 (-23.55, -46.63)]\nOi, Ana!\n[the offer ends 2026-11-27 18:00]\n" +
		"card 1: Com 10% \"hoje\" [Quero] [Ver https://loja.example/t1]\ncard 2: https://loja.example/a.mp4 Para Ana"
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// What Meta lists by now need not fit what was rendered.
	if _, err := Preview(`[{"type":"BODY","text":"x"}]`, r.Params, time.UTC); err != nil {
		t.Error(err)
	}
}
