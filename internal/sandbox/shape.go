package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// shape is what a template's components ask of a send.
type shape struct {
	headerFormat string // "", TEXT, IMAGE, VIDEO, DOCUMENT
	headerText   string
	headerVars   []string
	bodyText     string
	bodyVars     []string
	footer       string
	buttons      []button
	refused      string // a component this sandbox does not emulate
}

type button struct {
	kind    string // QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE
	text    string
	url     string
	dynamic bool // a parameter must come with the send
}

// shapeOf reads components as Meta answers them.
func shapeOf(components json.RawMessage) (shape, error) {
	var list []struct {
		Type    string `json:"type"`
		Format  string `json:"format"`
		Text    string `json:"text"`
		Buttons []struct {
			Type string `json:"type"`
			Text string `json:"text"`
			URL  string `json:"url"`
		} `json:"buttons"`
	}
	var sh shape
	if err := json.Unmarshal(components, &list); err != nil {
		return sh, fmt.Errorf("components are not a JSON list of objects: %w", err)
	}
	for _, c := range list {
		switch strings.ToUpper(c.Type) {
		case "HEADER":
			sh.headerFormat = strings.ToUpper(c.Format)
			switch sh.headerFormat {
			case "TEXT":
				sh.headerText, sh.headerVars = c.Text, variables(c.Text)
			case "IMAGE", "VIDEO", "DOCUMENT":
			default:
				sh.refused = sh.headerFormat + " header"
			}
		case "BODY":
			sh.bodyText, sh.bodyVars = c.Text, variables(c.Text)
		case "FOOTER":
			sh.footer = c.Text
		case "BUTTONS":
			for _, b := range c.Buttons {
				kind := strings.ToUpper(b.Type)
				sh.buttons = append(sh.buttons, button{
					kind: kind, text: b.Text, url: b.URL,
					dynamic: kind == "COPY_CODE" || kind == "URL" && variable.MatchString(b.URL),
				})
			}
		default:
			sh.refused = strings.ToUpper(c.Type) + " component"
		}
	}
	if sh.bodyText == "" && sh.refused == "" {
		return sh, fmt.Errorf("components have no BODY with a text")
	}
	return sh, nil
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
