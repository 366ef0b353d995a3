package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// rendered is a template with its values: what a phone shows.
type rendered struct {
	text  string
	media []shown // of the header, and of cards
}

func (r *rendered) say(part string) {
	if part != "" {
		r.text += strings.TrimSuffix(part, "\n") + "\n"
	}
}

var unwelcome = regexp.MustCompile(`[\n\t]| {5,}`)

// parts are the components of a send, or of a card, by what they are.
type parts struct {
	header, body, offer, carousel *componentSend
	headerPath                    string
	carouselPath                  string
	buttons                       map[int]*componentSend
}

// partsOf sorts components. path is that of their list: template['components'].
func partsOf(list []componentSend, path string, card bool) (parts, *graphError) {
	p := parts{buttons: map[int]*componentSend{}}
	for i := range list {
		c := &list[i]
		at := fmt.Sprintf("%s[%d]", path, i)
		kind := strings.ToLower(c.Type)
		if len(c.Cards) > 0 && (kind != "carousel" || len(c.Parameters) > 0) {
			return p, badParameter("Unexpected key \"cards\" on param %s.", at)
		}
		switch {
		case kind == "header":
			p.header, p.headerPath = c, at
		case kind == "body":
			p.body = c
		case kind == "button":
			index, err := strconv.Atoi(strings.Trim(string(c.Index), `"`))
			if err != nil {
				return p, refuse(131008, "component of type button is missing its index")
			}
			if p.buttons[index] != nil {
				return p, refuse(131009, "two components for the button at index %d", index)
			}
			p.buttons[index] = c
		case kind == "limited_time_offer" && !card:
			p.offer = c
		case kind == "carousel" && !card:
			p.carousel, p.carouselPath = c, at
		case card:
			return p, badParameter("Param %s['type'] must be one of {HEADER, BODY, BUTTON} - got %q.", at, c.Type)
		default:
			return p, badParameter("Param %s['type'] must be one of {HEADER, BODY, BUTTON, CAROUSEL, LIMITED_TIME_OFFER} - got %q.", at, c.Type)
		}
	}
	return p, nil
}

// check compares a send with its template as Meta does, and renders it.
func (t *template) check(send *templateSend, now time.Time) (rendered, *graphError) {
	var out rendered
	if t.shape.refused != "" {
		return out, refuse(131009, "the sandbox does not emulate templates with a %s", t.shape.refused)
	}
	p, e := partsOf(send.Components, "template['components']", false)
	if e != nil {
		return out, e
	}
	values, links, e := t.checkValues(&t.shape, "", p, &out)
	if e != nil {
		return out, e
	}
	ends, e := t.checkOffer(p.offer, now)
	if e != nil {
		return out, e
	}
	if e := t.checkCode(values, p.buttons); e != nil {
		return out, e
	}
	out.say(t.shape.footer)
	out.say(ends)
	if e := t.checkCards(p, &out); e != nil {
		return out, e
	}
	out.say(links)
	return out, nil
}

// checkValues checks header, body and buttons of a template or of a card (where
// says which), and renders the first two; links are the buttons.
func (t *template) checkValues(sh *shape, where string, p parts, out *rendered) (values map[string]string, links string, e *graphError) {
	head, media, e := t.checkHeader(sh, where+"header", p.header)
	if e != nil {
		return nil, "", e
	}
	if media != nil {
		out.media = append(out.media, shown{media, fmt.Sprintf("%s['parameters'][0]['%s']", p.headerPath, strings.ToLower(sh.headerFormat))})
	}
	if values, e = t.checkTexts(where+"body", sh.bodyVars, paramsOf(p.body)); e != nil {
		return nil, "", e
	}
	text := hydrate(sh.bodyText, values)
	if n := utf8.RuneCountInString(text); n > sh.bodyMost {
		return nil, "", refuse(132005, "Translated text too long: the %sbody has %d characters, %d are allowed", where, n, sh.bodyMost)
	}
	if links, e = t.checkButtons(sh, where+"buttons", p.buttons); e != nil {
		return nil, "", e
	}
	out.say(head)
	out.say(text)
	return values, links, nil
}

func paramsOf(c *componentSend) []paramSend {
	if c == nil {
		return nil
	}
	return c.Parameters
}

func (t *template) checkHeader(sh *shape, where string, c *componentSend) (string, *mediaSend, *graphError) {
	params := paramsOf(c)
	switch sh.headerFormat {
	case "":
		if len(params) > 0 {
			return "", nil, countMismatch(where, len(params), 0)
		}
		return "", nil, nil
	case "TEXT":
		values, e := t.checkTexts(where, sh.headerVars, params)
		return hydrate(sh.headerText, values), nil, e
	}
	want := sh.headerFormat
	if len(params) == 0 {
		return "", nil, refuse(132012, "%s: Format mismatch, expected %s, received UNKNOWN", where, want)
	}
	if len(params) > 1 {
		return "", nil, countMismatch(where, len(params), 1)
	}
	p := params[0]
	if strings.ToUpper(p.Type) != want {
		return "", nil, refuse(132012, "%s: Format mismatch, expected %s, received %s", where, want, strings.ToUpper(p.Type))
	}
	if want == "LOCATION" {
		text, e := p.Location.check(where)
		return text, nil, e
	}
	m := map[string]*mediaSend{"IMAGE": p.Image, "VIDEO": p.Video, "DOCUMENT": p.Document}[want]
	if m == nil || (m.ID == "") == (m.Link == "") {
		return "", nil, refuse(131008, "%s: parameter of type %s needs either an id or a link", where, p.Type)
	}
	return "[" + strings.ToLower(want) + "]", m, nil
}

// check holds a place to its ranges and returns the line that stands for the
// map. Degrees that are no text were refused when the body was read.
func (l *locationSend) check(where string) (string, *graphError) {
	if l == nil || l.Latitude == "" || l.Longitude == "" {
		return "", refuse(131008, "%s: parameter of type location needs latitude and longitude", where)
	}
	for _, d := range []struct {
		name, text string
		most       float64
	}{{"latitude", l.Latitude, whatsapp.MostLatitude}, {"longitude", l.Longitude, whatsapp.MostLongitude}} {
		if f, err := strconv.ParseFloat(d.text, 64); err != nil || !(f >= -d.most && f <= d.most) {
			return "", refuse(131009, "%s: %s must be degrees from %g to %g, with a point", where, d.name, -d.most, d.most)
		}
	}
	return "[map: " + strings.Trim(l.Name+", "+l.Address, ", ") + " (" + l.Latitude + ", " + l.Longitude + ")]", nil
}

// checkOffer compares the end of a limited-time offer (Meta: Limited-time offer
// templates).
func (t *template) checkOffer(c *componentSend, now time.Time) (string, *graphError) {
	const where = "limited_time_offer"
	switch {
	case c == nil && !t.shape.offer:
		return "", nil
	case c == nil:
		return "", refuse(131008, "Required parameter is missing: component of type %s", where)
	case !t.shape.offer:
		return "", countMismatch(where, len(c.Parameters), 0)
	case len(c.Parameters) != 1:
		return "", countMismatch(where, len(c.Parameters), 1)
	}
	p := c.Parameters[0]
	if p.Type != where {
		return "", refuse(132012, "%s: Format mismatch, expected LIMITED_TIME_OFFER, received %s", where, strings.ToUpper(p.Type))
	}
	if p.Offer == nil || p.Offer.ExpirationTimeMS == nil {
		return "", refuse(131008, "%s: expiration_time_ms is missing", where)
	}
	ends := time.UnixMilli(*p.Offer.ExpirationTimeMS)
	if !ends.After(now) {
		return "", refuse(131009, "%s: expiration_time_ms is not in the future", where)
	}
	return "[offer ends " + ends.UTC().Format("2006-01-02 15:04:05") + " UTC]", nil
}

// checkCards compares a carousel: every card of the template, each with all that
// it needs (Meta: Media card carousel templates).
func (t *template) checkCards(p parts, out *rendered) *graphError {
	want := len(t.shape.cards)
	switch {
	case p.carousel == nil && want == 0:
		return nil
	case p.carousel == nil:
		return refuse(131008, "Required parameter is missing: component of type carousel")
	case want == 0:
		return refuse(132000, "carousel: the template has no cards")
	case len(p.carousel.Cards) != want:
		return refuse(132000, "carousel: number of cards (%d) does not match the expected number of cards (%d)", len(p.carousel.Cards), want)
	}
	sent := make([]*cardSend, want)
	paths := make([]string, want)
	for i := range p.carousel.Cards {
		card := &p.carousel.Cards[i]
		at := fmt.Sprintf("%s['cards'][%d]", p.carouselPath, i)
		switch {
		case card.Index == nil:
			return refuse(131008, "Required parameter is missing: %s['card_index']", at)
		case *card.Index < 0 || *card.Index >= want || sent[*card.Index] != nil:
			return refuse(131009, "%s['card_index'] is %d: the template's %d cards count from 0, each is sent once", at, *card.Index, want)
		}
		sent[*card.Index], paths[*card.Index] = card, at
	}
	for i, card := range sent {
		inner, e := partsOf(card.Components, paths[i]+"['components']", true)
		if e != nil {
			return e
		}
		of := rendered{}
		_, links, e := t.checkValues(&t.shape.cards[i], fmt.Sprintf("card %d: ", i), inner, &of)
		if e != nil {
			return e
		}
		of.say(links)
		out.say(fmt.Sprintf("card %d: %s", i+1, strings.ReplaceAll(strings.TrimSuffix(of.text, "\n"), "\n", " ")))
		out.media = append(out.media, of.media...)
	}
	return nil
}

// checkTexts compares text parameters with the variables of a header or body
// and returns their values by variable.
func (t *template) checkTexts(where string, vars []string, params []paramSend) (map[string]string, *graphError) {
	if len(params) != len(vars) {
		return nil, countMismatch(where, len(params), len(vars))
	}
	values := make(map[string]string, len(vars))
	for i, p := range params {
		name := vars[i]
		switch named := t.ParameterFormat == "NAMED"; {
		case named && (p.ParameterName == nil || *p.ParameterName == ""):
			return nil, refuse(132012, "%s: Parameter name is missing or empty; the template has named parameters", where)
		case named:
			name = *p.ParameterName
			if !slices.Contains(vars, name) {
				return nil, refuse(132012, "%s: the template has no parameter %q", where, name)
			}
			if _, twice := values[name]; twice {
				return nil, refuse(132012, "%s: parameter %q is given twice", where, name)
			}
		case p.ParameterName != nil:
			return nil, refuse(132012, "%s: parameter %q has a name; the template has positional parameters", where, *p.ParameterName)
		}
		text, e := p.value(where)
		if e != nil {
			return nil, e
		}
		values[name] = text
	}
	return values, nil
}

// value returns the text that a parameter of a header or body shows.
func (p *paramSend) value(where string) (string, *graphError) {
	var text string
	switch {
	case p.Type == "text" && p.Text != nil:
		text = *p.Text
	case p.Type == "currency" && p.Currency != nil:
		text = p.Currency.Value
	case p.Type == "date_time" && p.DateTime != nil:
		text = p.DateTime.Value // always shown as it is (Meta: OpenAPI, date_time)
	case p.Type == "text", p.Type == "currency", p.Type == "date_time":
	default:
		return "", refuse(132012, "%s: Format mismatch, expected TEXT, received %s", where, strings.ToUpper(p.Type))
	}
	if text == "" {
		return "", refuse(131008, "Parameter of type %s is missing %s value", p.Type, p.Type)
	}
	if unwelcome.MatchString(text) {
		return "", refuse(132012, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
	}
	return text, nil
}

// checkButtons compares button components with the template's buttons and
// returns what a phone shows of them.
func (t *template) checkButtons(sh *shape, where string, sent map[int]*componentSend) (string, *graphError) {
	for index := range sent {
		if index < 0 || index >= len(sh.buttons) {
			return "", refuse(132000, "%s: the template has no button at index %d", where, index)
		}
	}
	var text strings.Builder
	for i, b := range sh.buttons {
		url := b.url
		c := sent[i]
		if c == nil {
			if b.dynamic {
				return "", refuse(131008, "buttons: Button at index %d of type %s requires a parameter", i, b.kind)
			}
		} else {
			value, e := b.value(i, c)
			if e != nil {
				return "", e
			}
			if b.kind == "URL" {
				url = variable.ReplaceAllLiteralString(b.url, value)
			}
		}
		text.WriteString("[" + b.text + "]")
		if b.kind == "URL" && t.Category != "AUTHENTICATION" { // that one copies the code, and shows no address
			text.WriteString(" " + url)
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

func (b *button) value(i int, c *componentSend) (string, *graphError) {
	if !strings.EqualFold(c.SubType, b.kind) {
		return "", refuse(132012, "buttons: button at index %d is of type %s, not %s", i, b.kind, strings.ToUpper(c.SubType))
	}
	if len(c.Parameters) != 1 {
		return "", countMismatch("buttons", len(c.Parameters), 1)
	}
	p := c.Parameters[0]
	var value *string
	limit := 2000
	switch {
	case b.kind == "QUICK_REPLY" && p.Type == "payload":
		value, limit = p.Payload, 256
	case b.kind == "URL" && p.Type == "text" && b.dynamic:
		value = p.Text
	case b.kind == "COPY_CODE" && p.Type == "coupon_code":
		value, limit = p.CouponCode, 20
	case b.kind == "URL" && !b.dynamic, b.kind == "PHONE_NUMBER":
		return "", refuse(132000, "buttons: Button at index %d of type %s takes no parameter", i, b.kind)
	default:
		return "", refuse(132012, "buttons: parameter of type %q does not fit the button at index %d of type %s", p.Type, i, b.kind)
	}
	if value == nil || *value == "" {
		return "", refuse(131008, "buttons: the parameter of the button at index %d is empty", i)
	}
	if len(*value) > limit {
		return "", refuse(131009, "buttons: the parameter of the button at index %d has %d characters, %d are allowed", i, len(*value), limit)
	}
	return *value, nil
}

// checkCode holds authentication templates to their own rule: the code stands
// in the body and in the button at index 0, the same, of at most 15 characters.
// Those of before April 2024, without such a button, cannot be sent any more
// (Meta: Authentication templates).
func (t *template) checkCode(values map[string]string, buttons map[int]*componentSend) *graphError {
	if t.Category != "AUTHENTICATION" {
		return nil
	}
	b := buttons[0]
	if len(values) != 1 || b == nil || !strings.EqualFold(b.SubType, "url") || b.Parameters[0].Text == nil {
		return refuse(132012, "an authentication template needs the code in its body and in its button at index 0")
	}
	for _, code := range values {
		if n := utf8.RuneCountInString(code); n > whatsapp.MaxAuthCode {
			return refuse(131009, "the code has %d characters, %d are allowed", n, whatsapp.MaxAuthCode)
		}
		if *b.Parameters[0].Text != code {
			return refuse(132012, "the code of the button is not the code of the body")
		}
	}
	return nil
}

func countMismatch(where string, got, want int) *graphError {
	return refuse(132000, "%s: number of localizable_params (%d) does not match the expected number of params (%d)", where, got, want)
}
