package httpapi

import (
	"strings"
	"time"
	"unicode/utf8"

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
	messageValues
	offer *time.Time      // when a limited-time offer ends
	cards []messageValues // of a carousel
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
