package whatsapp

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Component is one part of a template send that carries parameters. The JSON
// names are Meta's (Meta: Messages API, template object). Parts without
// parameters are left out of a send.
type Component struct {
	Type       string      `json:"type"`               // header, body, limited_time_offer, carousel, button
	SubType    string      `json:"sub_type,omitempty"` // of a button: url, quick_reply, copy_code
	Index      string      `json:"index,omitempty"`    // of a button: 0-based over all buttons of the template or card
	Parameters []Parameter `json:"parameters,omitempty"`
	Cards      []Card      `json:"cards,omitempty"` // of a carousel, instead of parameters
}

// Card is one card of a carousel, with components of its own: a header with an
// image or video, a body, buttons (Meta: Media card carousel templates).
type Card struct {
	Index      int         `json:"card_index"` // from 0
	Components []Component `json:"components"`
}

// Parameter is one value. Type says which of the other fields is set.
type Parameter struct {
	Type          string    `json:"type"`
	ParameterName string    `json:"parameter_name,omitempty"` // templates with named parameters only
	Text          string    `json:"text,omitempty"`
	Payload       string    `json:"payload,omitempty"`
	CouponCode    string    `json:"coupon_code,omitempty"`
	Image         *MediaRef `json:"image,omitempty"`
	Video         *MediaRef `json:"video,omitempty"`
	Document      *MediaRef `json:"document,omitempty"`
	Location      *Location `json:"location,omitempty"`
	Offer         *Offer    `json:"limited_time_offer,omitempty"`
}

// Location is where a header's map points. Meta wants degrees as text.
type Location struct {
	Latitude  string `json:"latitude"`
	Longitude string `json:"longitude"`
	Name      string `json:"name,omitempty"`
	Address   string `json:"address,omitempty"`
}

// Offer is when a limited-time offer ends, in milliseconds since 1970.
type Offer struct {
	ExpirationTimeMS int64 `json:"expiration_time_ms"`
}

// MediaRef names a file: by the id of an upload, or by a link that Meta fetches
// (and caches for ten minutes). Exactly one of the two is set.
type MediaRef struct {
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Filename string `json:"filename,omitempty"` // documents only: the name the person sees
}

// Limits of Meta's values, in characters.
const (
	MaxCouponCode = 20 // since December 2025; 15 before
	MaxAuthCode   = 15
	MaxOfferBody  = 600 // of a template with a limited-time offer
	MaxCardBody   = 160
	MaxCards      = 10 // of a carousel
	MaxPlace      = 1000
)

// Text returns a positional value.
func Text(value string) Parameter { return Parameter{Type: "text", Text: value} }

// NamedText returns a value of a template with named parameters.
func NamedText(name, value string) Parameter {
	return Parameter{Type: "text", ParameterName: name, Text: value}
}

// Body returns a body with the given values.
func Body(values ...Parameter) Component { return Component{Type: "body", Parameters: values} }

// BodyText returns a body with positional values, in order.
func BodyText(values ...string) Component {
	c := Component{Type: "body", Parameters: make([]Parameter, len(values))}
	for i, v := range values {
		c.Parameters[i] = Text(v)
	}
	return c
}

// TextHeader returns a text header with its one value (Text or NamedText).
func TextHeader(value Parameter) Component {
	return Component{Type: "header", Parameters: []Parameter{value}}
}

// ImageHeader returns an image header.
func ImageHeader(m MediaRef) Component {
	return TextHeader(Parameter{Type: "image", Image: &MediaRef{ID: m.ID, Link: m.Link}})
}

// VideoHeader returns a video header.
func VideoHeader(m MediaRef) Component {
	return TextHeader(Parameter{Type: "video", Video: &MediaRef{ID: m.ID, Link: m.Link}})
}

// DocumentHeader returns a document header.
func DocumentHeader(m MediaRef) Component {
	return TextHeader(Parameter{Type: "document", Document: &m})
}

// LocationHeader returns a header with a map.
func LocationHeader(l Location) Component {
	return TextHeader(Parameter{Type: "location", Location: &l})
}

// LimitedTimeOffer returns the end of an offer (ms), which the phone counts down
// to.
func LimitedTimeOffer(expirationTimeMS int64) Component {
	const name = "limited_time_offer"
	return Component{Type: name, Parameters: []Parameter{{Type: name, Offer: &Offer{ExpirationTimeMS: expirationTimeMS}}}}
}

// Carousel returns the cards in the template's order: all that it has.
func Carousel(cards ...[]Component) Component {
	c := Component{Type: "carousel"}
	for i, parts := range cards {
		c.Cards = append(c.Cards, Card{Index: i, Components: parts})
	}
	return c
}

// URLButton returns the end of a URL button's address. What may not stand in a
// URL is percent-encoded; what already is stays as it is.
func URLButton(index int, suffix string) Component {
	return button("url", index, Text(EscapeSuffix(suffix)))
}

// AuthCode returns the two parts of an authentication template: the code in the
// body and, unchanged, in its button. Meta creates that button as OTP and
// reads it back as URL; this one shape serves copy-code, one-tap and zero-tap.
func AuthCode(code string) []Component {
	return []Component{BodyText(code), button("url", 0, Text(code))}
}

// QuickReply returns the payload that comes back when the person taps the
// button.
func QuickReply(index int, payload string) Component {
	return button("quick_reply", index, Parameter{Type: "payload", Payload: payload})
}

// CopyCode returns the coupon that the button copies, at most MaxCouponCode
// characters.
func CopyCode(index int, coupon string) Component {
	return button("copy_code", index, Parameter{Type: "coupon_code", CouponCode: coupon})
}

func button(subType string, index int, p Parameter) Component {
	return Component{Type: "button", SubType: subType, Index: strconv.Itoa(index), Parameters: []Parameter{p}}
}

// EscapeSuffix percent-encodes the bytes of s that may not stand in a URL, and
// every % that starts no escape. It keeps the reserved ones (/ ? & = #): the
// suffix may hold a path and a query. Applying it twice changes nothing more.
func EscapeSuffix(s string) string {
	const hex = "0123456789ABCDEF"
	const keep = "-._~:/?#[]@!$&'()*+,;="
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(keep, c) >= 0,
			c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// CheckText refuses what Meta refuses in a parameter: newline, tab, or five
// spaces in a row, and bytes that are not UTF-8. The error names which and
// repeats nothing of the text.
func CheckText(s string) error {
	spaces := 0
	for _, r := range s {
		switch r {
		case '\n', '\r':
			return fmt.Errorf("the value has a newline; WhatsApp refuses newlines in a parameter")
		case '\t':
			return fmt.Errorf("the value has a tab; WhatsApp refuses tabs in a parameter")
		case ' ':
			if spaces++; spaces == 5 {
				return fmt.Errorf("the value has five spaces in a row; WhatsApp allows four")
			}
			continue
		}
		spaces = 0
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("the value is not UTF-8")
	}
	return nil
}
