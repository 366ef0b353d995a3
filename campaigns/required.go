package campaigns

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"janela/internal/whatsapp"
)

// ButtonType is the kind of a template's button that takes a value.
type ButtonType string

// The buttons whose values a campaign can give. OTP is known so that
// authentication templates can be told apart; campaigns never send them.
const (
	ButtonURL        ButtonType = "url"
	ButtonQuickReply ButtonType = "quick_reply"
	ButtonCopyCode   ButtonType = "copy_code"
	ButtonOTP        ButtonType = "otp"
)

// Requirement is what a template needs to be given with each message.
type Requirement struct {
	Named bool // values go by name, not by place

	Header     whatsapp.HeaderType // HeaderText only when it has a variable
	HeaderName string              // of the variable of a named text header

	// Body holds the variables of the body: names in the order of their first
	// appearance, or "1", "2", … up to the highest.
	Body []string

	// Buttons has one entry for each button that takes a value.
	Buttons []ButtonRequirement

	// Offer: it is a limited-time offer whose end comes with each message.
	Offer bool

	// Cards are those of a carousel, in order: each with a header and, where it
	// has them, a body and buttons.
	Cards []Requirement

	// BodyAlone: there is neither header, footer nor button. Meta then allows
	// a far longer body.
	BodyAlone bool
	buttons   int // all buttons of the template
}

// ButtonRequirement is one button that takes a value.
type ButtonRequirement struct {
	Index    int // over all buttons of the template
	Type     ButtonType
	Required bool   // false for quick replies: without a payload Meta returns the label
	Label    string // as people see it
	URL      string // before the variable; for url buttons
}

// Empty reports whether the template is sent without any value.
func (r Requirement) Empty() bool {
	return r.Header == whatsapp.HeaderNone && len(r.Body) == 0 && !r.Offer && len(r.Cards) == 0 && !slices.ContainsFunc(r.Buttons, func(b ButtonRequirement) bool { return b.Required })
}

// templateComponent is a component as Meta returns it (Message templates,
// fields=components).
type templateComponent struct {
	Type    string `json:"type"`
	Format  string `json:"format"`
	Text    string `json:"text"`
	Buttons []struct {
		Type string `json:"type"`
		Text string `json:"text"`
		URL  string `json:"url"`
	} `json:"buttons"`
	Cards []struct {
		Components []templateComponent `json:"components"`
	} `json:"cards"`
	Offer struct {
		Text          string `json:"text"`
		HasExpiration bool   `json:"has_expiration"`
	} `json:"limited_time_offer"`
}

func readComponents(components string) ([]templateComponent, error) {
	var out []templateComponent
	if strings.TrimSpace(components) == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(components), &out); err != nil {
		return nil, fmt.Errorf("the components of the template cannot be read: %w", err)
	}
	return out, nil
}

var variable = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// variables returns the names in a text, each once, in order of appearance.
func variables(text string) []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// Required derives what a template must be given from its parameter_format
// (NAMED or POSITIONAL, "" for the latter) and its components as Meta returns
// them. The error names what this version cannot send.
func Required(parameterFormat, components string) (Requirement, error) {
	r := Requirement{Named: strings.EqualFold(parameterFormat, "NAMED"), BodyAlone: true}
	parts, err := readComponents(components)
	if err != nil {
		return r, err
	}
	for _, c := range parts {
		kind := strings.ToUpper(c.Type)
		if kind != "BODY" {
			r.BodyAlone = false
		}
		switch kind {
		case "HEADER":
			err = r.header(c)
		case "BODY":
			err = r.body(c.Text)
		case "FOOTER":
		case "BUTTONS":
			err = r.takeButtons(c)
		case "LIMITED_TIME_OFFER":
			r.Offer = c.Offer.HasExpiration
		case "CAROUSEL":
			err = r.takeCards(c)
		default:
			err = later("a component " + strings.ToLower(c.Type))
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// takeCards reads a carousel (Meta: Media card carousel templates).
func (r *Requirement) takeCards(c templateComponent) error {
	if len(c.Cards) == 0 || len(c.Cards) > whatsapp.MaxCards {
		return fmt.Errorf("the template's carousel has %d cards; 1 to %d can be sent", len(c.Cards), whatsapp.MaxCards)
	}
	for _, card := range c.Cards {
		need := Requirement{Named: r.Named}
		for _, part := range card.Components {
			var err error
			switch kind := strings.ToUpper(part.Type); kind {
			case "HEADER":
				if format := strings.ToUpper(part.Format); format != "IMAGE" && format != "VIDEO" {
					return later("a card with a header " + strings.ToLower(format))
				}
				err = need.header(part)
			case "BODY":
				err = need.body(part.Text)
			case "BUTTONS":
				err = need.takeButtons(part)
			default:
				err = later("a card with a component " + strings.ToLower(part.Type))
			}
			if err != nil {
				return err
			}
		}
		if need.Header == whatsapp.HeaderNone {
			return fmt.Errorf("card %d of the template has no header", len(r.Cards)+1)
		}
		r.Cards = append(r.Cards, need)
	}
	return nil
}

func later(what string) error {
	return fmt.Errorf("the template has %s, which comes in a later release", what)
}

func (r *Requirement) header(c templateComponent) error {
	switch format := strings.ToUpper(c.Format); format {
	case "IMAGE", "VIDEO", "DOCUMENT", "LOCATION":
		r.Header = whatsapp.HeaderType(strings.ToLower(format))
	case "TEXT", "":
		names := variables(c.Text)
		if len(names) > 1 { // Meta: a text header has at most one variable
			return fmt.Errorf("the template's header has %d variables; one is allowed", len(names))
		}
		if len(names) == 1 {
			r.Header = whatsapp.HeaderText
			if r.Named {
				r.HeaderName = names[0]
			}
		}
	default:
		return later("a header " + strings.ToLower(format))
	}
	return nil
}

func (r *Requirement) body(text string) error {
	names := variables(text)
	if r.Named {
		r.Body = names
		return nil
	}
	highest := 0
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > 1024 {
			return fmt.Errorf("the template counts its variables, but has one called {{%s}}", name)
		}
		highest = max(highest, n)
	}
	for n := range highest {
		r.Body = append(r.Body, strconv.Itoa(n+1))
	}
	return nil
}

func (r *Requirement) takeButtons(c templateComponent) error {
	r.buttons = len(c.Buttons)
	for i, b := range c.Buttons {
		need := ButtonRequirement{Index: i, Label: b.Text, Required: true}
		switch kind := strings.ToUpper(b.Type); kind {
		case "URL":
			at := variable.FindStringIndex(b.URL)
			if at == nil {
				continue
			}
			need.Type, need.URL = ButtonURL, b.URL[:at[0]]
		case "QUICK_REPLY":
			need.Type, need.Required = ButtonQuickReply, false
		case "COPY_CODE":
			need.Type = ButtonCopyCode
		case "OTP":
			need.Type = ButtonOTP
		case "PHONE_NUMBER", "VOICE_CALL", "REQUEST_CONTACT_INFO":
			continue // they take no value
		default:
			return later("a button " + strings.ToLower(b.Type))
		}
		r.Buttons = append(r.Buttons, need)
	}
	return nil
}

// Button returns the requirement of the button at an index.
func (r Requirement) Button(index int) (ButtonRequirement, bool) {
	for _, b := range r.Buttons {
		if b.Index == index {
			return b, true
		}
	}
	return ButtonRequirement{}, false
}
