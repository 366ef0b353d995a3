package campaigns

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// appendJSON appends s as a JSON text. Unlike encoding/json it leaves <, > and
// & alone: nothing here goes into a web page.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(append(b, s[from:i]...), `\ufffd`...)
			from = i + n
		}
		i += n
	}
	return append(append(b, s[from:]...), '"')
}

// Preview returns the template's body with the values of a message filled in,
// as the person would read it. components is the template's as Meta returns it,
// params a Recipient's Params. A value that is missing stays {{name}}.
func Preview(components string, params json.RawMessage) (string, error) {
	parts, err := readComponents(components)
	if err != nil {
		return "", err
	}
	values := make(map[string]string)
	if len(params) > 0 {
		var sent []whatsapp.Component
		if err := json.Unmarshal(params, &sent); err != nil {
			return "", fmt.Errorf("campaigns: the values of the message cannot be read: %w", err)
		}
		for _, c := range sent {
			if c.Type != "body" {
				continue
			}
			for i, p := range c.Parameters {
				name := p.ParameterName
				if name == "" {
					name = strconv.Itoa(i + 1)
				}
				values[name] = p.Text
			}
		}
	}
	for _, c := range parts {
		if strings.EqualFold(c.Type, "BODY") {
			return variable.ReplaceAllStringFunc(c.Text, func(found string) string {
				if v, ok := values[variable.FindStringSubmatch(found)[1]]; ok {
					return v
				}
				return found
			}), nil
		}
	}
	return "", nil
}
