package campaigns

import (
	"fmt"
	"slices"
	"strings"

	"janela/internal/whatsapp"
)

// columns calls add for every column that the template's values come from, with
// the path of the key that names it.
func (t *Template) columns(add func(path, name string)) {
	if h := t.Header; h != nil {
		add("template.header.column", h.Column)
		add("template.header.media.column", h.Media.Column)
		if l := h.Location; l != nil {
			for _, v := range l.values() {
				add("template.header.location."+v.key+".column", v.Column)
			}
		}
	}
	values := func(path string, body []Parameter, buttons []Button) {
		for i, p := range body {
			add(item(path+".body", i, "column"), p.Column)
		}
		for i, b := range buttons {
			add(item(path+".buttons", i, "column"), b.Column)
		}
	}
	values("template", t.Body, t.Buttons)
	if t.Offer != nil {
		add("template.limited_time_offer.column", t.Offer.Column)
	}
	for i, card := range t.Cards {
		if h := card.Header; h != nil {
			add(item("template.cards", i, "header.media.column"), h.Media.Column)
		}
		values(item("template.cards", i, ""), card.Body, card.Buttons)
	}
}

// placed is a value of a location with its key.
type placed struct {
	key string
	*Place
}

// values returns what a location has, latitude and longitude first.
func (l *Location) values() []placed {
	out := []placed{{"latitude", &l.Latitude}, {"longitude", &l.Longitude}}
	if l.Name != nil {
		out = append(out, placed{"name", l.Name})
	}
	if l.Address != nil {
		out = append(out, placed{"address", l.Address})
	}
	return out
}

// read makes of a text what Meta takes as this value.
func (p placed) read(text string) (string, error) {
	switch p.key {
	case "latitude":
		return whatsapp.ReadDegrees(text, whatsapp.MostLatitude)
	case "longitude":
		return whatsapp.ReadDegrees(text, whatsapp.MostLongitude)
	default:
		return text, nil
	}
}

// mediaKinds are the headers with a file.
var mediaKinds = []string{string(whatsapp.HeaderImage), string(whatsapp.HeaderVideo), string(whatsapp.HeaderDocument)}

func (c *checker) header(h *Header) {
	const path = "template.header"
	kinds := slices.Concat([]string{string(whatsapp.HeaderText)}, mediaKinds, []string{string(whatsapp.HeaderLocation)})
	switch kind := strings.ToLower(string(h.Type)); {
	case !c.typed(path + ".type"):
		c.missing(path+".type", "write "+orList(kinds))
		return
	case kind == "gif" || kind == "product":
		c.fault(path+".type", "a header "+kind+" comes in a later release", "use a template with a text, image, video, document or location")
		return
	case !slices.Contains(kinds, string(h.Type)):
		c.oneOf(path+".type", string(h.Type), kinds...)
		return
	}
	if h.Type != whatsapp.HeaderText {
		instead := `give the file: media = "banner.jpg"`
		if h.Type == whatsapp.HeaderLocation {
			instead = "give the place: [template.header.location]"
		}
		c.alien(path, []string{"named", "column", "value", "default", "transform", "max_length"}, h.Type, instead)
	}
	if h.Type != whatsapp.HeaderLocation {
		c.alien(path, []string{"location"}, h.Type, `a place goes with type = "location"`)
	}
	switch h.Type {
	case whatsapp.HeaderText:
		if c.doc.Has(path + ".media") {
			c.fault(path+".media", "a text header has no file", "give column or value")
		}
		c.parameter(path, &h.Parameter, "the cell of a recipient")
	case whatsapp.HeaderLocation:
		c.alien(path, []string{"media"}, h.Type, "give the place: [template.header.location]")
		c.location(path+".location", h.Location)
	default:
		c.mediaOf(path+".media", h.Type, &h.Media)
	}
}

// alien faults keys that do not go with a kind of header.
func (c *checker) alien(path string, keys []string, kind whatsapp.HeaderType, instead string) {
	for _, key := range keys {
		if c.doc.Has(path + "." + key) {
			c.fault(path+"."+key, fmt.Sprintf("%q does not go with a header %s", key, kind), instead)
		}
	}
}

// mediaOf checks a file's name, or the column of links.
func (c *checker) mediaOf(path string, kind whatsapp.HeaderType, m *Media) {
	switch {
	case c.doc.Has(path+".column") || c.doc.Has(path+".default"):
		c.missing(path+".column", `name the column that holds the links, or write media = "banner.jpg"`)
		c.empty(path+".column", m.Column, "name a column of the audience")
		if m.Default != nil && c.typed(path+".default") {
			if err := whatsapp.CheckLink(*m.Default); err != nil {
				c.fault(path+".default", err.Error(), "a default stands in for an empty cell of links, and is a link too")
			}
		}
	case !c.typed(path):
		c.missing(path, `write media = "banner.jpg", a file beside this one, or media = { column = "…" } for links`)
	default:
		if c.filePath(path, m.File) {
			if _, err := MediaTypeOf(kind, m.File); err != nil {
				c.fault(path, err.Error(), "")
			}
		}
	}
}

// location checks the four values of a place.
func (c *checker) location(path string, l *Location) {
	if l == nil {
		c.missing(path, `write latitude = { column = "…" } and longitude, and name and address where there are some`)
		return
	}
	for _, v := range l.values() {
		at := path + "." + v.key
		if !c.doc.Has(at) {
			c.missing(at, "write "+v.key+` = { column = "…" }, or { value = "-23.5505" }`)
			continue
		}
		p := Parameter{Column: v.Column, Value: v.Value, Default: v.Default}
		c.parameter(at, &p, "the cell of a recipient")
		for key, text := range map[string]*string{"value": v.Value, "default": v.Default} {
			if text == nil || !c.typed(at+"."+key) {
				continue
			}
			if _, err := v.read(*text); err != nil {
				c.fault(at+"."+key, err.Error(), "")
			}
		}
	}
}

// offer checks when an offer ends: one way to say it.
func (c *checker) offer(o *Offer) {
	const path = "template.limited_time_offer"
	if c.def.Category == whatsapp.Utility {
		c.fault(path, "limited-time offers are marketing", `write category = "marketing", if that is what WhatsApp has approved the template as`)
	}
	column, constant := c.doc.Has(path+".column"), c.doc.Has(path+".expires_at")
	switch {
	case column && constant:
		c.fault(path+".expires_at", "an offer ends either for everybody or for each row, not both", "keep column or expires_at")
	case !column && !constant:
		c.fault(path, "nothing says when the offer ends", `write expires_at = 2026-11-27T23:59:00, or column = "…" for each row's own`)
	}
	c.empty(path+".column", o.Column, "name a column of the audience")
	at, ends := c.def.Schedule.At, o.ExpiresAt
	if ends != nil && at != nil && c.typed(path+".expires_at") && c.typed("schedule.at") && civil(*ends) <= civil(*at) {
		c.fault(path+".expires_at", "the offer has ended before the campaign begins", "write a time after schedule.at")
	}
}

func (c *checker) cards(cards []Card) {
	const path = "template.cards"
	if len(cards) > whatsapp.MaxCards {
		c.fault(item(path, whatsapp.MaxCards, ""), fmt.Sprintf("there are %d cards", len(cards)), fmt.Sprintf("a carousel has at most %d", whatsapp.MaxCards))
	}
	if len(cards) > 0 && c.def.Category == whatsapp.Utility {
		c.fault(path, "carousels are marketing", `write category = "marketing", if that is what WhatsApp has approved the template as`)
	}
	kinds := mediaKinds[:2]
	for i := range cards {
		at := item(path, i, "")
		h := cards[i].Header
		switch {
		case h == nil:
			c.missing(at+".header", "every card has a header: write [template.cards.header] with type and media")
		case !c.typed(at + ".header.type"):
			c.missing(at+".header.type", "write "+orList(kinds))
		case !slices.Contains(kinds, string(h.Type)):
			c.oneOf(at+".header.type", string(h.Type), kinds...)
		default:
			c.mediaOf(at+".header.media", h.Type, &h.Media)
		}
		c.values(at, cards[i].Body, cards[i].Buttons, kindsOfCardButtons)
	}
}
