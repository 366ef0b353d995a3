package httpapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/campaigns"
	"janela/internal/whatsapp"
)

// messageValues are the values of a message, or of a card.
type messageValues struct {
	header   *string            // of a header with text
	media    *whatsapp.MediaRef // of one with a file
	location *whatsapp.Location // of one with a place
	body     []string           // by place
	named    map[string]string  // by name
	buttons  map[int]string     // by place over all buttons
}

const parametersAt = "template.parameters"

func (d document) parameters(into *templateRequest) error {
	const at = parametersAt
	return d.object(at, "header, body, buttons, limited_time_offer, cards", func(name string) error {
		if !slices.Contains([]string{"header", "body", "buttons", "limited_time_offer", "cards"}, name) {
			return errUnknown
		}
		var raw json.RawMessage
		if err := d.dec.Decode(&raw); err != nil {
			return malformed("%s cannot be read", at)
		}
		switch name {
		case "limited_time_offer":
			into.offer = &time.Time{}
			return readDocument(raw, true, "expires_at", func(d document, name string) error {
				if name != "expires_at" {
					return errUnknown
				}
				return d.instant(at+".limited_time_offer.expires_at", into.offer)
			})
		case "cards":
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil || list == nil {
				return malformed("%s.cards must be a list", at)
			}
			into.cards = make([]messageValues, len(list))
			for i, card := range list {
				err := readDocument(card, true, "header, body, buttons", func(d document, name string) error {
					return d.value(at+".cards", name, &into.cards[i])
				})
				if err != nil {
					return err
				}
			}
			return nil
		default:
			return readValue(raw, at, name, &into.messageValues)
		}
	})
}

// value reads one field of a card.
func (d document) value(at, name string, into *messageValues) error {
	var raw json.RawMessage
	if name != "header" && name != "body" && name != "buttons" {
		return errUnknown
	}
	if err := d.dec.Decode(&raw); err != nil {
		return malformed("%s cannot be read", at)
	}
	return readValue(raw, at, name, into)
}

// readValue reads a header, a body, or buttons.
func readValue(raw json.RawMessage, at, name string, into *messageValues) error {
	switch first := raw[0]; {
	case name == "header" && first == '"':
		into.header = new(string)
		return values(raw, at+".header", func(v []string) { *into.header = v[0] })
	case name == "header":
		return into.readHeader(raw, at+".header")
	case name == "body" && first == '[':
		return values(raw, at+".body", func(v []string) { into.body = v })
	case name == "body":
		into.named = map[string]string{}
		return readDocument(raw, true, "", func(d document, name string) error {
			var v string
			err := d.text("a value of "+at+".body", &v)
			into.named[name] = v
			return err
		})
	default:
		into.buttons = map[int]string{}
		return readDocument(raw, true, "", func(d document, name string) error {
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || strconv.Itoa(n) != name {
				return malformed("%s.buttons has the places of buttons as names: 0 is the first", at)
			}
			var v string
			err = d.text("a value of "+at+".buttons", &v)
			into.buttons[n] = v
			return err
		})
	}
}

// readHeader reads a file or a place.
func (v *messageValues) readHeader(raw json.RawMessage, at string) error {
	var media whatsapp.MediaRef
	var place whatsapp.Location
	of := map[string]*string{"id": &media.ID, "link": &media.Link, "filename": &media.Filename}
	placed := map[string]*string{"latitude": &place.Latitude, "longitude": &place.Longitude, "name": &place.Name, "address": &place.Address}
	err := readDocument(raw, true, "id, link, filename; or latitude, longitude, name, address", func(d document, name string) error {
		to := of[name]
		if to != nil {
			v.media = &media
		} else if to = placed[name]; to != nil {
			v.location = &place
		} else {
			return errUnknown
		}
		return d.text(at+"."+name, to)
	})
	switch {
	case err != nil:
		return err
	case v.media != nil && v.location != nil:
		return malformed("%s is either a file or a place", at)
	case v.media == nil && v.location == nil:
		v.media = &media // an object that says nothing: the template's need is told
	}
	return nil
}

// values reads one string, or a list of strings.
func values(raw json.RawMessage, at string, use func([]string)) error {
	list := raw
	if raw[0] == '"' {
		list = slices.Concat(json.RawMessage("["), raw, json.RawMessage("]"))
	}
	var found []any
	if err := json.Unmarshal(list, &found); err != nil {
		return malformed("%s cannot be read", at)
	}
	out := make([]string, len(found))
	for i, v := range found {
		s, ok := v.(string)
		if !ok || strings.ContainsRune(s, utf8.RuneError) {
			return malformed("%s must be text, of characters that there are", at)
		}
		out[i] = s
	}
	use(out)
	return nil
}

// Limits of Meta's values, in characters (Meta: Messages API, parameter object;
// Message templates, components).
const (
	maxHeaderValue = 60
	maxBodyValue   = 1024
	maxBodyAlone   = 32768
	maxPayload     = 256
	maxButtonURL   = 2000
)

// wrongValues says that the values do not fit the template. It names places and
// the template's own words, never a value.
func wrongValues(format string, args ...any) *Problem {
	p := publicProblem(codeParameters, "")
	p.Detail = malformed(format, args...).Detail
	return p
}

// render makes the components of a send: exactly what the template needs.
func (t *templateRequest) render(needs campaigns.Requirement) (string, error) {
	most := maxBodyValue
	switch {
	case needs.BodyAlone:
		most = maxBodyAlone
	case needs.Offer:
		most = whatsapp.MaxOfferBody
	}
	parts, buttons, err := t.parts("", needs, most)
	if err != nil {
		return "", err
	}
	switch {
	case needs.Offer && t.offer == nil:
		return "", wrongValues("the template is a limited-time offer: limited_time_offer.expires_at says when it ends")
	case !needs.Offer && t.offer != nil:
		return "", wrongValues("the template has no limited-time offer, or one that does not end")
	case needs.Offer:
		parts = append(parts, whatsapp.LimitedTimeOffer(t.offer.UnixMilli()))
	}
	if len(t.cards) != len(needs.Cards) {
		return "", wrongValues("the template needs a list of %d cards", len(needs.Cards))
	}
	var cards [][]whatsapp.Component
	for i := range t.cards {
		own, ends, err := t.cards[i].parts("card "+strconv.Itoa(i+1)+": ", needs.Cards[i], whatsapp.MaxCardBody)
		if err != nil {
			return "", err
		}
		cards = append(cards, append(own, ends...))
	}
	if len(cards) > 0 {
		parts = append(parts, whatsapp.Carousel(cards...))
	}
	out, err := json.Marshal(append(parts, buttons...))
	return string(out), err
}

// parts makes header and body, and the buttons, of the message or of a card,
// whose name goes before what is wrong with it.
func (v *messageValues) parts(of string, needs campaigns.Requirement, mostBody int) (parts, buttons []whatsapp.Component, err error) {
	parts = []whatsapp.Component{}
	header, err := v.renderHeader(of, needs)
	if err != nil {
		return nil, nil, err
	}
	if header != nil {
		parts = append(parts, *header)
	}
	body, err := v.renderBody(of, needs, mostBody)
	if err != nil {
		return nil, nil, err
	}
	if len(body) > 0 {
		parts = append(parts, whatsapp.Body(body...))
	}
	buttons, err = v.renderButtons(of, needs)
	return parts, buttons, err
}

func (v *messageValues) renderHeader(of string, needs campaigns.Requirement) (*whatsapp.Component, error) {
	var c whatsapp.Component
	switch {
	case needs.Header == whatsapp.HeaderNone && v.header == nil && v.media == nil && v.location == nil:
		return nil, nil
	case needs.Header == whatsapp.HeaderNone:
		return nil, wrongValues("%sthe template's header takes no value", of)
	case needs.Header == whatsapp.HeaderText && v.header == nil:
		return nil, wrongValues("%sthe template's header needs a text", of)
	case needs.Header == whatsapp.HeaderText:
		if err := fits(of+"the header", *v.header, maxHeaderValue); err != nil {
			return nil, err
		}
		value := whatsapp.Text(*v.header)
		if needs.Named {
			value = whatsapp.NamedText(needs.HeaderName, *v.header)
		}
		c = whatsapp.TextHeader(value)
		return &c, nil
	case needs.Header == whatsapp.HeaderLocation:
		place, err := v.place()
		c = whatsapp.LocationHeader(place)
		return &c, err
	}
	if err := checkFile(of, v.media); err != nil {
		return nil, err
	}
	switch needs.Header {
	case whatsapp.HeaderImage:
		c = whatsapp.ImageHeader(*v.media)
	case whatsapp.HeaderVideo:
		c = whatsapp.VideoHeader(*v.media)
	default:
		c = whatsapp.DocumentHeader(*v.media)
	}
	return &c, nil
}

// checkFile wants one file: an id as Meta answers them, or a link.
func checkFile(of string, m *whatsapp.MediaRef) error {
	switch {
	case m == nil || (m.ID == "") == (m.Link == ""):
		return wrongValues("%sthe template's header needs a file: its id at Meta, or a link", of)
	case m.Link != "" && whatsapp.CheckLink(m.Link) != nil:
		return wrongValues("%sthe header's link must begin with https:// and lead to a file", of)
	case strings.Trim(m.ID, "0123456789") != "" || len(m.ID) > maxMediaID:
		return wrongValues("%sthe header's id is none that Meta gives to an upload: those are digits", of)
	default:
		return nil
	}
}

const maxMediaID = 64

// place checks a header's place.
func (v *messageValues) place() (whatsapp.Location, error) {
	if v.location == nil {
		return whatsapp.Location{}, wrongValues("the template's header needs a place: latitude and longitude, name and address")
	}
	l := *v.location
	for _, d := range []struct {
		name string
		text *string
		most float64
	}{{"latitude", &l.Latitude, whatsapp.MostLatitude}, {"longitude", &l.Longitude, whatsapp.MostLongitude}} {
		degrees, err := whatsapp.ReadDegrees(*d.text, d.most)
		if err != nil {
			return l, wrongValues("the header's %s: %v", d.name, err)
		}
		*d.text = degrees
	}
	for _, t := range []struct{ name, text string }{{"name", l.Name}, {"address", l.Address}} {
		if t.text == "" {
			continue
		}
		if err := fits("the header's "+t.name, t.text, whatsapp.MaxPlace); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (v *messageValues) renderBody(of string, needs campaigns.Requirement, most int) ([]whatsapp.Parameter, error) {
	var out []whatsapp.Parameter
	if !needs.Named {
		if len(v.named) > 0 || len(v.body) != len(needs.Body) {
			return nil, wrongValues("%sthe template's body needs a list of %d values", of, len(needs.Body))
		}
		for i, text := range v.body {
			if err := fits(of+"body "+strconv.Itoa(i+1), text, most); err != nil {
				return nil, err
			}
			out = append(out, whatsapp.Text(text))
		}
		return out, nil
	}
	if len(v.body) > 0 || len(v.named) != len(needs.Body) {
		return nil, wrongValues("%sthe template's body needs values with these names: %s", of, strings.Join(needs.Body, ", "))
	}
	for _, name := range needs.Body {
		text, ok := v.named[name]
		if !ok {
			return nil, wrongValues("%sthe template's body needs values with these names: %s", of, strings.Join(needs.Body, ", "))
		}
		if err := fits(of+"body "+name, text, most); err != nil {
			return nil, err
		}
		out = append(out, whatsapp.NamedText(name, text))
	}
	return out, nil
}

func (v *messageValues) renderButtons(of string, needs campaigns.Requirement) ([]whatsapp.Component, error) {
	for at := range v.buttons {
		if _, ok := needs.Button(at); !ok {
			return nil, wrongValues("%sthe template has no button at one of the places that takes a value", of)
		}
	}
	var out []whatsapp.Component
	for _, b := range needs.Buttons {
		value, ok := v.buttons[b.Index]
		if !ok && !b.Required {
			continue
		}
		at := of + "button " + strconv.Itoa(b.Index)
		if !ok {
			return nil, wrongValues("%s needs a value", at)
		}
		most, c := maxPayload, whatsapp.QuickReply(b.Index, value)
		switch b.Type {
		case campaigns.ButtonURL:
			most, c = maxButtonURL-utf8.RuneCountInString(b.URL), whatsapp.URLButton(b.Index, value)
		case campaigns.ButtonCopyCode:
			most, c = whatsapp.MaxCouponCode, whatsapp.CopyCode(b.Index, value)
		case campaigns.ButtonQuickReply:
		default:
			return nil, wrongValues("%s is none that can be sent here", at)
		}
		if err := fits(at, value, most); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// fits says whether Meta takes a value: some text, on one line, not too long.
func fits(at, v string, most int) error {
	switch err := whatsapp.CheckText(v); {
	case strings.TrimSpace(v) == "":
		return wrongValues("%s is empty; WhatsApp refuses that", at)
	case err != nil:
		return wrongValues("%s: %v", at, err)
	case utf8.RuneCountInString(v) > most:
		return wrongValues("%s has more than %d characters", at, most)
	default:
		return nil
	}
}

// fileEnds is how long a file lives at Meta at most.
const fileEnds = 30 * 24 * time.Hour

// timely holds a message that leaves at an instant to what it shows: an offer
// that is not over, and files that are still there. until is the deadline that
// follows from it.
func (t *templateRequest) timely(now, from, until time.Time) (time.Time, error) {
	if t.offer != nil {
		if !t.offer.After(now) || !t.offer.After(from) {
			return until, wrongValues("the offer ends before the message may leave")
		}
		if t.offer.Before(until) {
			until = *t.offer
		}
	}
	if from.Sub(now) < fileEnds {
		return until, nil
	}
	for _, v := range append([]messageValues{t.messageValues}, t.cards...) {
		if v.media != nil && v.media.ID != "" {
			return until, wrongValues("send_at is later than Meta keeps an upload (30 days): give the file as a link")
		}
	}
	return until, nil
}
