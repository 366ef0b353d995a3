package campaigns

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// Preview returns a message as the person would read it: the template's body
// with the values filled in, and a line for a place, for the end of an offer (in
// a zone) and for each card. components is the template's as Meta returns it,
// params a Recipient's Params. A value that is missing stays {{name}}.
func Preview(components string, params json.RawMessage, zone *time.Location) (string, error) {
	parts, err := readComponents(components)
	if err != nil {
		return "", err
	}
	var sent []whatsapp.Component
	if len(params) > 0 {
		if err := json.Unmarshal(params, &sent); err != nil {
			return "", fmt.Errorf("campaigns: the values of the message cannot be read: %w", err)
		}
	}
	var lines []string
	say := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	say(place(sent))
	say(bodyOf(parts, sent))
	for _, c := range sent {
		for _, p := range c.Parameters {
			if p.Offer != nil {
				say("[the offer ends " + time.UnixMilli(p.Offer.ExpirationTimeMS).In(zone).Format("2006-01-02 15:04") + "]")
			}
		}
		for _, card := range c.Cards {
			say(previewCard(parts, card))
		}
	}
	return strings.Join(lines, "\n"), nil
}

// place is the line of a header with a map; "" for none.
func place(sent []whatsapp.Component) string {
	for _, c := range sent {
		for _, p := range c.Parameters {
			if l := p.Location; l != nil {
				name := strings.Trim(l.Name+", "+l.Address, ", ")
				return strings.TrimSpace("["+name) + " (" + l.Latitude + ", " + l.Longitude + ")]"
			}
		}
	}
	return ""
}

// bodyOf fills the values into the body of the template, or of a card.
func bodyOf(parts []templateComponent, sent []whatsapp.Component) string {
	at := slices.IndexFunc(parts, func(c templateComponent) bool { return strings.EqualFold(c.Type, "BODY") })
	if at < 0 {
		return ""
	}
	values := make(map[string]string)
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
	return variable.ReplaceAllStringFunc(parts[at].Text, func(found string) string {
		if v, ok := values[variable.FindStringSubmatch(found)[1]]; ok {
			return v
		}
		return found
	})
}

// previewCard is the line of a card: its text, and where its buttons lead.
func previewCard(parts []templateComponent, card whatsapp.Card) string {
	line := "card " + strconv.Itoa(card.Index+1) + ":"
	carousel := slices.IndexFunc(parts, func(c templateComponent) bool { return strings.EqualFold(c.Type, "CAROUSEL") })
	if carousel < 0 || card.Index < 0 || card.Index >= len(parts[carousel].Cards) {
		return line
	}
	own := parts[carousel].Cards[card.Index].Components
	for _, c := range card.Components {
		for _, p := range c.Parameters {
			for _, m := range []*whatsapp.MediaRef{p.Image, p.Video} {
				if m != nil && m.Link != "" {
					line += " " + m.Link
				}
			}
		}
	}
	if text := bodyOf(own, card.Components); text != "" {
		line += " " + text
	}
	for _, c := range own {
		for i, b := range c.Buttons {
			line += " [" + strings.TrimSpace(b.Text+" "+address(b.URL, i, card.Components)) + "]"
		}
	}
	return line
}

// address fills the end of a button's address in; "" for a button without one.
func address(url string, index int, sent []whatsapp.Component) string {
	for _, c := range sent {
		if c.Type == "button" && c.SubType == "url" && c.Index == strconv.Itoa(index) && len(c.Parameters) == 1 {
			return variable.ReplaceAllLiteralString(url, c.Parameters[0].Text)
		}
	}
	return url
}
