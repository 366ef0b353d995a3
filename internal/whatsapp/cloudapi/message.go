package cloudapi

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// Message is one message to send: a template, or free-form text while the
// person's service window is open.
type Message struct {
	To         whatsapp.Identity // phone or wa_id, else bsuid or parent_bsuid
	Template   *TemplateSend     // if set, Text and PreviewURL are not used
	Text       string
	PreviewURL bool
	ReplyTo    whatsapp.Wamid // quotes a message; "" for none
	Callback   string         // biz_opaque_callback_data, at most 512 characters
	// IdentityKeyHash is what Meta last reported of the person's identity key;
	// where it is another one by now, nothing is delivered and a status says
	// 137000 (Meta: Identity change check). "" for no check.
	IdentityKeyHash string
	Marketing       *Marketing // by the Marketing Messages API; nil: as every other message
}

// Marketing is what a send by POST /{number}/marketing_messages may say beyond
// its template (Meta: Marketing Messages API). Left empty, Meta decides.
type Marketing struct {
	ProductPolicy string // STRICT or CLOUD_API_FALLBACK
	// ActivitySharing lets Meta use what people do with the message to optimise
	// others.
	ActivitySharing *bool
}

// TemplateSend names the template and its values.
type TemplateSend struct {
	Name       string
	Language   string // as the API writes it, pt_BR
	Components string // a JSON array of whatsapp.Component; empty for a template without values
}

// AppendMessage appends the JSON body of POST /{number}/messages to dst (Meta:
// Messages API). It allocates nothing beyond growing dst. A number always gets
// its plus: without it Meta would put the country code of the business before
// it.
func AppendMessage(dst []byte, m Message) []byte {
	dst = append(dst, `{"messaging_product":"whatsapp","recipient_type":"individual",`...)
	switch m.To.Kind {
	case whatsapp.KindBSUID, whatsapp.KindParentBSUID:
		dst = appendString(append(dst, `"recipient":`...), m.To.Value)
	default:
		dst = append(dst, `"to":"+`...)
		dst = appendEscaped(dst, strings.TrimPrefix(m.To.Value, "+"))
		dst = append(dst, '"')
	}
	if m.IdentityKeyHash != "" {
		dst = appendString(append(dst, `,"recipient_identity_key_hash":`...), m.IdentityKeyHash)
	}
	if m.ReplyTo != "" {
		dst = appendString(append(dst, `,"context":{"message_id":`...), string(m.ReplyTo))
		dst = append(dst, '}')
	}
	if t := m.Template; t != nil {
		dst = appendString(append(dst, `,"type":"template","template":{"name":`...), t.Name)
		dst = appendString(append(dst, `,"language":{"code":`...), t.Language)
		dst = append(dst, '}')
		switch t.Components {
		case "", "null", "[]": // Meta wants it absent
		default:
			dst = append(append(dst, `,"components":`...), t.Components...)
		}
		dst = append(dst, '}')
	} else {
		dst = append(dst, `,"type":"text","text":{"preview_url":`...)
		if m.PreviewURL {
			dst = append(dst, `true,"body":`...)
		} else {
			dst = append(dst, `false,"body":`...)
		}
		dst = append(appendString(dst, m.Text), '}')
	}
	if m.Marketing != nil {
		dst = m.Marketing.appendTo(dst)
	}
	if m.Callback != "" {
		dst = appendString(append(dst, `,"biz_opaque_callback_data":`...), m.Callback)
	}
	return append(dst, '}')
}

func (m *Marketing) appendTo(dst []byte) []byte {
	if m.ProductPolicy != "" {
		dst = appendString(append(dst, `,"product_policy":`...), m.ProductPolicy)
	}
	if m.ActivitySharing != nil {
		dst = strconv.AppendBool(append(dst, `,"message_activity_sharing":`...), *m.ActivitySharing)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends s as the inside of a JSON string; bytes that are not
// UTF-8 become U+FFFD, as encoding/json does.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			dst = append(append(dst, s[from:i]...), "\ufffd"...)
			i++
			from = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(dst, s[from:]...)
}
