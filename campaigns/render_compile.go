package campaigns

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// compiler gathers the slots of a message while its components are built with
// Meta's constructors; each value stands there as a mark.
type compiler struct {
	columns *Columns
	zone    *time.Location
	file    func(name string) string
	slots   []compiled
	errs    []error
}

// compiled is a slot, or a constant when value is set.
type compiled struct {
	slot
	value *string
}

func (c *compiler) find(name string) int {
	if name == "" {
		return -1
	}
	place, err := c.columns.Find(name)
	if err != nil {
		c.errs = append(c.errs, err)
		return -1
	}
	return place
}

// mark stands for the slot in the components. Only characters that no encoding
// of a value touches.
func (c *compiler) mark(s compiled) string {
	c.slots = append(c.slots, s)
	return "@" + strconv.Itoa(len(c.slots)-1) + "@"
}

// markNumber is mark for a slot that is a number. The components have no other
// number so large: they have nobody's values yet.
func (c *compiler) markNumber(s compiled) int64 {
	s.bare = true
	c.slots = append(c.slots, s)
	return bareMark + int64(len(c.slots)-1)
}

const bareMark = 9_000_000_000_000_000

var marked = regexp.MustCompile(`"@([0-9]+)@"|"expiration_time_ms":90000([0-9]{11})\b`)

func plain(s string) string { return s }

// value turns a definition's parameter into a mark.
func (c *compiler) value(p Parameter, label string, limit int, encode func(string) string) string {
	return c.read(p, label, limit, nil, encode)
}

// read is value for one that is made into something else before it is sent.
func (c *compiler) read(p Parameter, label string, limit int, read func(string) (string, error), encode func(string) string) string {
	s := compiled{slot: slot{label: label, limit: limit, max: p.MaxLength, required: p.Default == nil, read: read, encode: encode}, value: p.Value}
	if p.Value != nil && read != nil { // checked with the definition
		if made, err := read(*p.Value); err == nil {
			s.value = &made
		}
	}
	if p.Default != nil {
		s.fallback = *p.Default
	}
	for _, name := range p.Transform {
		do := transformByName(name)
		if do == nil {
			c.errs = append(c.errs, fmt.Errorf("campaigns: transform %q is not known", name))
			continue
		}
		s.transforms = append(s.transforms, do)
	}
	if p.Value == nil {
		s.label += " (column " + strconv.Quote(p.Column) + ")"
		s.column = c.find(p.Column)
	}
	return c.mark(s)
}

func (c *compiler) text(p Parameter, label string, limit int) whatsapp.Parameter {
	v := c.value(p, label, limit, plain)
	if p.Named != "" {
		return whatsapp.NamedText(p.Named, v)
	}
	return whatsapp.Text(v)
}

// Meta: Messages API, parameter object: a header's text has at most 60
// characters, a body's 1024, or 32768 when the template is nothing but a body.
// Meta: Message templates, components: a button's URL has at most 2000.
const (
	maxHeaderText = 60
	maxBodyText   = 1024
	maxBodyAlone  = 32768
	maxURL        = 2000
	maxPayload    = 256
)

// components builds the message with marks for its values.
func (c *compiler) components(def *Definition, opt MapperOptions) ([]whatsapp.Component, error) {
	var out []whatsapp.Component
	t := def.Template
	if t.Header != nil {
		h, err := c.header(t.Header)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	limit := maxBodyText
	switch {
	case t.Offer != nil:
		limit = whatsapp.MaxOfferBody
	case opt.Needs.BodyAlone && t.Header == nil && len(t.Buttons) == 0:
		limit = maxBodyAlone
	}
	body, buttons, err := c.values("", t.Body, t.Buttons, limit, opt.Needs)
	if err != nil {
		return nil, err
	}
	out = append(out, body...)
	if t.Offer != nil {
		out = append(out, whatsapp.LimitedTimeOffer(c.offer(t.Offer)))
	}
	if len(t.Cards) > 0 {
		carousel, err := c.carousel(t.Cards, opt.Needs)
		if err != nil {
			return nil, err
		}
		out = append(out, carousel)
	}
	return append(out, buttons...), nil
}

// values builds the body and the buttons of the message, or of a card, whose
// name goes before theirs.
func (c *compiler) values(of string, body []Parameter, list []Button, limit int, needs Requirement) (out, buttons []whatsapp.Component, err error) {
	if len(body) > 0 {
		values := make([]whatsapp.Parameter, len(body))
		for i, p := range body {
			values[i] = c.text(p, of+"body "+strconv.Itoa(i+1), limit)
		}
		out = append(out, whatsapp.Body(values...))
	}
	for _, b := range list {
		if b.Index == nil {
			return nil, nil, errors.New("campaigns: a button has no index")
		}
		label := of + "button " + strconv.Itoa(*b.Index)
		switch b.Type {
		case ButtonURL:
			need, _ := needs.Button(*b.Index)
			buttons = append(buttons, whatsapp.URLButton(*b.Index, c.value(b.Parameter, label, maxURL-utf8.RuneCountInString(need.URL), whatsapp.EscapeSuffix)))
		case ButtonQuickReply:
			buttons = append(buttons, whatsapp.QuickReply(*b.Index, c.value(b.Parameter, label, maxPayload, plain)))
		case ButtonCopyCode:
			buttons = append(buttons, whatsapp.CopyCode(*b.Index, c.value(b.Parameter, label, whatsapp.MaxCouponCode, plain)))
		default:
			return nil, nil, fmt.Errorf("campaigns: buttons of type %q are not sent", b.Type)
		}
	}
	return out, buttons, nil
}

func (c *compiler) header(h *Header) (whatsapp.Component, error) {
	switch h.Type {
	case whatsapp.HeaderText:
		return whatsapp.TextHeader(c.text(h.Parameter, "header", maxHeaderText)), nil
	case whatsapp.HeaderLocation:
		if h.Location == nil {
			return whatsapp.Component{}, errors.New("campaigns: the header has no place")
		}
		return whatsapp.LocationHeader(c.location(h.Location)), nil
	case whatsapp.HeaderImage, whatsapp.HeaderVideo, whatsapp.HeaderDocument:
		return c.media(h.Type, h.Media, "header")
	default:
		return whatsapp.Component{}, fmt.Errorf("campaigns: headers of type %q are not sent", h.Type)
	}
}

// media builds a header with a file of the definition, or with a link.
func (c *compiler) media(kind whatsapp.HeaderType, m Media, label string) (whatsapp.Component, error) {
	var ref whatsapp.MediaRef
	if m.Column != "" {
		link := Parameter{Column: m.Column, Default: m.Default}
		ref.Link = c.read(link, label, maxURL, trimmedLink, plain)
		if kind == whatsapp.HeaderDocument {
			ref.Filename = c.read(link, label, maxURL, trimmedLink, whatsapp.FileName)
		}
	} else {
		id := ""
		if c.file != nil {
			id = c.file(m.File)
		}
		if id == "" {
			return whatsapp.Component{}, fmt.Errorf("campaigns: the file %s has not been uploaded", m.File)
		}
		ref.ID = c.constant(id)
		if kind == whatsapp.HeaderDocument {
			ref.Filename = c.constant(baseName(m.File))
		}
	}
	switch kind {
	case whatsapp.HeaderImage:
		return whatsapp.ImageHeader(ref), nil
	case whatsapp.HeaderVideo:
		return whatsapp.VideoHeader(ref), nil
	case whatsapp.HeaderDocument:
		return whatsapp.DocumentHeader(ref), nil
	default:
		return whatsapp.Component{}, fmt.Errorf("campaigns: headers of type %q have no file", kind)
	}
}

func trimmedLink(cell string) (string, error) {
	cell = strings.TrimSpace(cell)
	return cell, whatsapp.CheckLink(cell)
}

func (c *compiler) location(l *Location) whatsapp.Location {
	var out whatsapp.Location
	into := map[string]*string{"latitude": &out.Latitude, "longitude": &out.Longitude, "name": &out.Name, "address": &out.Address}
	for _, v := range l.values() {
		*into[v.key] = c.read(Parameter{Column: v.Column, Value: v.Value, Default: v.Default}, "header "+v.key, whatsapp.MaxPlace, v.read, plain)
	}
	return out
}

// offer returns the mark of when the offer ends.
func (c *compiler) offer(o *Offer) int64 {
	s := compiled{slot: slot{label: "limited_time_offer (column " + strconv.Quote(o.Column) + ")", required: true, limit: maxPayload, encode: plain,
		read: func(cell string) (string, error) {
			at, ok := readExpiry(cell, c.zone)
			if !ok {
				return "", errors.New("write 2026-11-27 or 2026-11-27T18:00")
			}
			return milliseconds(at), nil
		}}}
	if o.ExpiresAt != nil {
		ends := milliseconds(o.ExpiresAt.AsTime(c.zone))
		s.value = &ends
	} else {
		s.column = c.find(o.Column)
	}
	return c.markNumber(s)
}

func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func (c *compiler) carousel(cards []Card, needs Requirement) (whatsapp.Component, error) {
	var all [][]whatsapp.Component
	for i, card := range cards {
		of := "card " + strconv.Itoa(i+1) + " "
		if card.Header == nil {
			return whatsapp.Component{}, errors.New("campaigns: " + of + "has no header")
		}
		var need Requirement
		if i < len(needs.Cards) {
			need = needs.Cards[i]
		}
		header, err := c.media(card.Header.Type, card.Header.Media, of+"header")
		if err != nil {
			return whatsapp.Component{}, err
		}
		body, buttons, err := c.values(of, card.Body, card.Buttons, whatsapp.MaxCardBody, need)
		if err != nil {
			return whatsapp.Component{}, err
		}
		all = append(all, append(append([]whatsapp.Component{header}, body...), buttons...))
	}
	return whatsapp.Carousel(all...), nil
}

func (c *compiler) constant(value string) string {
	return c.mark(compiled{slot: slot{encode: plain}, value: &value})
}

// split cuts the components at the marks and fills the constants in.
func (c *compiler) split(components []whatsapp.Component) ([]string, []slot, error) {
	if len(components) == 0 {
		return nil, nil, nil
	}
	text, err := json.Marshal(components)
	if err != nil {
		return nil, nil, err
	}
	var (
		pieces []string
		slots  []slot
		piece  []byte
		from   int
	)
	for _, at := range marked.FindAllSubmatchIndex(text, -1) {
		begin, which := at[0], at[2:4]
		if which[0] < 0 {
			which = at[4:6]
			begin = which[0] - len("90000")
		}
		n, err := strconv.Atoi(string(text[which[0]:which[1]]))
		if err != nil || n >= len(c.slots) {
			return nil, nil, fmt.Errorf("campaigns: a mark without a value in the components")
		}
		piece = append(piece, text[from:begin]...)
		from = at[1]
		s := c.slots[n]
		switch {
		case s.value != nil && s.bare:
			piece = append(piece, s.encode(*s.value)...)
			continue
		case s.value != nil:
			piece = appendJSON(piece, s.encode(*s.value))
			continue
		}
		pieces, slots, piece = append(pieces, string(piece)), append(slots, s.slot), nil
	}
	piece = append(piece, text[from:]...)
	return append(pieces, string(piece)), slots, nil
}
