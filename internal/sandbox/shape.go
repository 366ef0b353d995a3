package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"janela/internal/whatsapp"
)

var variable = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// shape is what a template's components, or a card's, ask of a send.
type shape struct {
	headerFormat string // "", TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION
	headerText   string
	headerVars   []string
	bodyText     string
	bodyVars     []string
	bodyMost     int // characters of the hydrated text
	footer       string
	buttons      []button
	offer        bool    // a limited-time offer whose end comes with the send
	cards        []shape // of a carousel
	refused      string  // a component this sandbox does not emulate
}

type button struct {
	kind    string // QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE
	text    string
	url     string
	dynamic bool // a parameter must come with the send
}

// componentShape is a component as Meta answers it.
type componentShape struct {
	Type    string `json:"type"`
	Format  string `json:"format"`
	Text    string `json:"text"`
	Buttons []struct {
		Type string `json:"type"`
		Text string `json:"text"`
		URL  string `json:"url"`
	} `json:"buttons"`
	Offer struct {
		HasExpiration bool `json:"has_expiration"`
	} `json:"limited_time_offer"`
	Cards []struct {
		Components []componentShape `json:"components"`
	} `json:"cards"`
}

// shapeOf reads components as Meta answers them.
func shapeOf(components json.RawMessage) (shape, error) {
	var list []componentShape
	if err := json.Unmarshal(components, &list); err != nil {
		return shape{}, fmt.Errorf("components are not a JSON list of objects: %w", err)
	}
	sh := readShape(list, false)
	if sh.bodyText == "" && sh.refused == "" {
		return sh, fmt.Errorf("components have no BODY with a text")
	}
	if sh.offer {
		sh.bodyMost = whatsapp.MaxOfferBody
	}
	return sh, nil
}

func readShape(list []componentShape, card bool) shape {
	sh := shape{bodyMost: 1024}
	if card {
		sh.bodyMost = whatsapp.MaxCardBody
	}
	for _, c := range list {
		switch kind := strings.ToUpper(c.Type); {
		case kind == "HEADER":
			sh.headerFormat = strings.ToUpper(c.Format)
			switch format := sh.headerFormat; {
			case format == "IMAGE" || format == "VIDEO":
			case card:
				sh.refused = "card with a " + format + " header"
			case format == "TEXT":
				sh.headerText, sh.headerVars = c.Text, variables(c.Text)
			case format == "DOCUMENT" || format == "LOCATION":
			default:
				sh.refused = format + " header"
			}
		case kind == "BODY":
			sh.bodyText, sh.bodyVars = c.Text, variables(c.Text)
		case kind == "FOOTER" && !card:
			sh.footer = c.Text
		case kind == "BUTTONS":
			for _, b := range c.Buttons {
				kind := strings.ToUpper(b.Type)
				sh.buttons = append(sh.buttons, button{
					kind: kind, text: b.Text, url: b.URL,
					dynamic: kind == "COPY_CODE" || kind == "URL" && variable.MatchString(b.URL),
				})
			}
		case kind == "LIMITED_TIME_OFFER" && !card:
			sh.offer = c.Offer.HasExpiration
		case kind == "CAROUSEL" && !card:
			for _, one := range c.Cards {
				inner := readShape(one.Components, true)
				if inner.refused != "" {
					sh.refused = inner.refused
				}
				sh.cards = append(sh.cards, inner)
			}
		default:
			sh.refused = kind + " component"
		}
	}
	return sh
}

// variables returns the names of a text's variables, each once, in order.
func variables(text string) []string {
	var names []string
	seen := map[string]bool{}
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			names = append(names, m[1])
		}
	}
	return names
}

// hydrate puts the values in the place of the variables.
func hydrate(text string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		return values[variable.FindStringSubmatch(v)[1]]
	})
}
