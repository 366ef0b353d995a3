package httpapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/campaigns"
	"janela/internal/whatsapp"
)

// messageRequest is the body of POST /v1/messages.
type messageRequest struct {
	to         string
	contact    int64
	number     string
	text       *string
	template   *templateRequest
	replyTo    whatsapp.Wamid
	sendAt     time.Time
	expiresAt  time.Time
	externalID string
}

// templateRequest names a template and the values of its variables.
type templateRequest struct {
	name, language string

	header  *string            // of a header with text
	media   *whatsapp.MediaRef // of one with a file
	body    []string           // by place
	named   map[string]string  // by name
	buttons map[int]string     // by place over all buttons
}

// Bounds of a request for a message.
const (
	maxMessageBody = 64 << 10
	maxExternalID  = 128
	maxAhead       = 90 * 24 * time.Hour // send_at
	maxLife        = 30 * 24 * time.Hour // expires_at after send_at
	usualLife      = 24 * time.Hour      // of a template, where nobody says
)

// readMessage reads the body strictly.
func readMessage(body []byte) (messageRequest, error) {
	var m messageRequest
	err := readDocument(body, true, "to, contact, number, text, template, reply_to, send_at, expires_at, external_id", func(d document, name string) error {
		switch name {
		case "to":
			return d.text(name, &m.to)
		case "contact":
			return d.id(name, &m.contact)
		case "number":
			return d.text(name, &m.number)
		case "text":
			return d.object("text", "body", func(name string) error {
				if name != "body" {
					return errUnknown
				}
				m.text = new(string)
				return d.text("text.body", m.text)
			})
		case "template":
			m.template = &templateRequest{}
			return d.template(m.template)
		case "reply_to":
			var w string
			err := d.text(name, &w)
			m.replyTo = whatsapp.Wamid(w)
			return err
		case "send_at":
			return d.instant(name, &m.sendAt)
		case "expires_at":
			return d.instant(name, &m.expiresAt)
		case "external_id":
			return d.text(name, &m.externalID)
		default:
			return errUnknown
		}
	})
	if err != nil {
		return m, err
	}
	return m, m.check()
}

func (m *messageRequest) check() error {
	switch {
	case (m.to == "") == (m.contact == 0):
		return malformed("say to whom: either to, a phone number or user id, or contact, an id")
	case (m.text == nil) == (m.template == nil):
		return malformed("say what: either text or template")
	case m.text != nil && strings.TrimSpace(*m.text) == "":
		return malformed("text.body is empty")
	case m.text != nil && utf8.RuneCountInString(*m.text) > maxText:
		return malformed("text.body has more than %d characters", maxText)
	case m.template != nil && (m.template.name == "" || m.template.language == ""):
		return malformed("a template has name and language")
	case m.replyTo != "" && !strings.HasPrefix(string(m.replyTo), "wamid."):
		return malformed("reply_to is the id of a message of the person, as Meta writes it")
	case utf8.RuneCountInString(m.externalID) > maxExternalID:
		return malformed("external_id has more than %d characters", maxExternalID)
	default:
		return nil
	}
}

// id reads an id of ours: a positive whole number.
func (d document) id(at string, into *int64) error {
	t, err := d.dec.Token()
	n, ok := t.(float64)
	if err != nil || !ok || n < 1 || n > 1<<53 || n != float64(int64(n)) {
		return malformed("%s must be an id, a whole number", at)
	}
	*into = int64(n)
	return nil
}

func (d document) template(into *templateRequest) error {
	return d.object("template", "name, language, parameters", func(name string) error {
		switch name {
		case "name":
			return d.text("template.name", &into.name)
		case "language":
			return d.text("template.language", &into.language)
		case "parameters":
			return d.parameters(into)
		default:
			return errUnknown
		}
	})
}

func (d document) parameters(into *templateRequest) error {
	const at = "template.parameters"
	return d.object(at, "header, body, buttons", func(name string) error {
		var raw json.RawMessage
		if name != "header" && name != "body" && name != "buttons" {
			return errUnknown
		}
		if err := d.dec.Decode(&raw); err != nil {
			return malformed("%s cannot be read", at)
		}
		switch first := raw[0]; {
		case name == "header" && first == '"':
			into.header = new(string)
			return values(raw, at+".header", func(v []string) { *into.header = v[0] })
		case name == "header":
			into.media = &whatsapp.MediaRef{}
			return readDocument(raw, true, "id, link, filename", func(d document, name string) error {
				to, ok := map[string]*string{"id": &into.media.ID, "link": &into.media.Link, "filename": &into.media.Filename}[name]
				if !ok {
					return errUnknown
				}
				return d.text(at+".header."+name, to)
			})
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
	})
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
	parts := []whatsapp.Component{}
	header, err := t.renderHeader(needs)
	if err != nil {
		return "", err
	}
	if header != nil {
		parts = append(parts, *header)
	}
	body, err := t.renderBody(needs)
	if err != nil {
		return "", err
	}
	if len(body) > 0 {
		parts = append(parts, whatsapp.Body(body...))
	}
	buttons, err := t.renderButtons(needs)
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(append(parts, buttons...))
	return string(out), err
}

func (t *templateRequest) renderHeader(needs campaigns.Requirement) (*whatsapp.Component, error) {
	var c whatsapp.Component
	switch {
	case needs.Header == whatsapp.HeaderNone && t.header == nil && t.media == nil:
		return nil, nil
	case needs.Header == whatsapp.HeaderNone:
		return nil, wrongValues("the template's header takes no value")
	case needs.Header == whatsapp.HeaderText && t.header == nil:
		return nil, wrongValues("the template's header needs a text")
	case needs.Header == whatsapp.HeaderText:
		if err := fits("the header", *t.header, maxHeaderValue); err != nil {
			return nil, err
		}
		value := whatsapp.Text(*t.header)
		if needs.Named {
			value = whatsapp.NamedText(needs.HeaderName, *t.header)
		}
		c = whatsapp.TextHeader(value)
		return &c, nil
	case t.media == nil || (t.media.ID == "") == (t.media.Link == ""):
		return nil, wrongValues("the template's header needs a file: its id at Meta, or a link")
	}
	if link, err := url.Parse(t.media.Link); t.media.Link != "" && (err != nil || link.Scheme != "https" || link.Host == "") {
		return nil, wrongValues("the header's link must begin with https://")
	}
	switch needs.Header {
	case whatsapp.HeaderImage:
		c = whatsapp.ImageHeader(*t.media)
	case whatsapp.HeaderVideo:
		c = whatsapp.VideoHeader(*t.media)
	default:
		c = whatsapp.DocumentHeader(*t.media)
	}
	return &c, nil
}

func (t *templateRequest) renderBody(needs campaigns.Requirement) ([]whatsapp.Parameter, error) {
	most := maxBodyValue
	if needs.BodyAlone {
		most = maxBodyAlone
	}
	var out []whatsapp.Parameter
	if !needs.Named {
		if len(t.named) > 0 || len(t.body) != len(needs.Body) {
			return nil, wrongValues("the template's body needs a list of %d values", len(needs.Body))
		}
		for i, v := range t.body {
			if err := fits("body "+strconv.Itoa(i+1), v, most); err != nil {
				return nil, err
			}
			out = append(out, whatsapp.Text(v))
		}
		return out, nil
	}
	if len(t.body) > 0 || len(t.named) != len(needs.Body) {
		return nil, wrongValues("the template's body needs values with these names: %s", strings.Join(needs.Body, ", "))
	}
	for _, name := range needs.Body {
		v, ok := t.named[name]
		if !ok {
			return nil, wrongValues("the template's body needs values with these names: %s", strings.Join(needs.Body, ", "))
		}
		if err := fits("body "+name, v, most); err != nil {
			return nil, err
		}
		out = append(out, whatsapp.NamedText(name, v))
	}
	return out, nil
}

func (t *templateRequest) renderButtons(needs campaigns.Requirement) ([]whatsapp.Component, error) {
	for at := range t.buttons {
		if _, ok := needs.Button(at); !ok {
			return nil, wrongValues("the template has no button at one of the places that takes a value")
		}
	}
	var out []whatsapp.Component
	for _, b := range needs.Buttons {
		v, ok := t.buttons[b.Index]
		if !ok && !b.Required {
			continue
		}
		at := "button " + strconv.Itoa(b.Index)
		if !ok {
			return nil, wrongValues("%s needs a value", at)
		}
		most, c := maxPayload, whatsapp.QuickReply(b.Index, v)
		switch b.Type {
		case campaigns.ButtonURL:
			most, c = maxButtonURL-utf8.RuneCountInString(b.URL), whatsapp.URLButton(b.Index, v)
		case campaigns.ButtonCopyCode:
			most, c = whatsapp.MaxCouponCode, whatsapp.CopyCode(b.Index, v)
		case campaigns.ButtonQuickReply:
		default:
			return nil, wrongValues("%s is none that can be sent here", at)
		}
		if err := fits(at, v, most); err != nil {
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
