package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// The template object of a send (Meta: Messages API, template object).
type templateSend struct {
	Name       string          `json:"name"`
	Namespace  string          `json:"namespace"`
	Language   languageSend    `json:"language"`
	Components []componentSend `json:"components"`
}

type languageSend struct {
	Code   string `json:"code"`
	Policy string `json:"policy"`
}

type componentSend struct {
	Type       string          `json:"type"`
	SubType    string          `json:"sub_type"`
	Index      json.RawMessage `json:"index"` // "0" and 0 both stand in Meta's samples
	Parameters []paramSend     `json:"parameters"`
	Cards      json.RawMessage `json:"cards"`
}

type paramSend struct {
	Type          string          `json:"type"`
	ParameterName *string         `json:"parameter_name"`
	Text          *string         `json:"text"`
	Payload       *string         `json:"payload"`
	CouponCode    *string         `json:"coupon_code"`
	Currency      *fallback       `json:"currency"`
	DateTime      *fallback       `json:"date_time"`
	Image         *mediaSend      `json:"image"`
	Video         *mediaSend      `json:"video"`
	Document      *mediaSend      `json:"document"`
	Action        json.RawMessage `json:"action"`
}

type fallback struct {
	Value  string      `json:"fallback_value"`
	Code   string      `json:"code"`
	Amount json.Number `json:"amount_1000"`
}

type mediaSend struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}

// rendered is a template with its values: what a phone shows.
type rendered struct {
	text  string
	media []shown // of the header, and of cards
}

var unwelcome = regexp.MustCompile(`[\n\t]| {5,}`)

// check compares a send with its template as Meta does, and renders it.
func (t *template) check(send *templateSend) (rendered, *graphError) {
	var out rendered
	if t.shape.refused != "" {
		return out, refuse(131009, "the sandbox does not emulate templates with a %s", t.shape.refused)
	}
	var header, body *componentSend
	buttons := map[int]*componentSend{}
	for i := range send.Components {
		c := &send.Components[i]
		switch strings.ToLower(c.Type) {
		case "header":
			header = c
		case "body":
			body = c
		case "button":
			index, err := strconv.Atoi(strings.Trim(string(c.Index), `"`))
			if err != nil {
				return out, refuse(131008, "component of type button is missing its index")
			}
			if buttons[index] != nil {
				return out, refuse(131009, "two components for the button at index %d", index)
			}
			buttons[index] = c
		case "carousel", "limited_time_offer":
			return out, refuse(131009, "the sandbox does not emulate components of type %s", c.Type)
		default:
			return out, badParameter("Param template['components'][%d]['type'] must be one of {HEADER, BODY, BUTTON, CAROUSEL, LIMITED_TIME_OFFER} - got %q.", i, c.Type)
		}
	}
	head, media, e := t.checkHeader(header)
	if e != nil {
		return out, e
	}
	if media != nil {
		at := slices.IndexFunc(send.Components, func(c componentSend) bool { return strings.EqualFold(c.Type, "header") })
		out.media = append(out.media, shown{media, fmt.Sprintf("template['components'][%d]['parameters'][0]['%s']", at, strings.ToLower(t.shape.headerFormat))})
	}
	values, e := t.checkTexts("body", t.shape.bodyVars, paramsOf(body))
	if e != nil {
		return out, e
	}
	text := hydrate(t.shape.bodyText, values)
	if n := utf8.RuneCountInString(text); n > 1024 {
		return out, refuse(132005, "Translated text too long: the body has %d characters, 1024 are allowed", n)
	}
	links, e := t.checkButtons(buttons)
	if e != nil {
		return out, e
	}
	if e := t.checkCode(values, buttons); e != nil {
		return out, e
	}
	for _, part := range []string{head, text, t.shape.footer, links} {
		if part != "" {
			out.text += strings.TrimSuffix(part, "\n") + "\n"
		}
	}
	return out, nil
}

func paramsOf(c *componentSend) []paramSend {
	if c == nil {
		return nil
	}
	return c.Parameters
}

func (t *template) checkHeader(c *componentSend) (string, *mediaSend, *graphError) {
	params := paramsOf(c)
	switch t.shape.headerFormat {
	case "":
		if len(params) > 0 {
			return "", nil, countMismatch("header", len(params), 0)
		}
		return "", nil, nil
	case "TEXT":
		values, e := t.checkTexts("header", t.shape.headerVars, params)
		return hydrate(t.shape.headerText, values), nil, e
	}
	want := t.shape.headerFormat
	if len(params) == 0 {
		return "", nil, refuse(132012, "header: Format mismatch, expected %s, received UNKNOWN", want)
	}
	if len(params) > 1 {
		return "", nil, countMismatch("header", len(params), 1)
	}
	p := params[0]
	if strings.ToUpper(p.Type) != want {
		return "", nil, refuse(132012, "header: Format mismatch, expected %s, received %s", want, strings.ToUpper(p.Type))
	}
	m := map[string]*mediaSend{"IMAGE": p.Image, "VIDEO": p.Video, "DOCUMENT": p.Document}[want]
	if m == nil || (m.ID == "") == (m.Link == "") {
		return "", nil, refuse(131008, "header: parameter of type %s needs either an id or a link", p.Type)
	}
	return "[" + strings.ToLower(want) + "]", m, nil
}

// checkTexts compares text parameters with the variables of a header or body
// and returns their values by variable.
func (t *template) checkTexts(where string, vars []string, params []paramSend) (map[string]string, *graphError) {
	if len(params) != len(vars) {
		return nil, countMismatch(where, len(params), len(vars))
	}
	values := make(map[string]string, len(vars))
	for i, p := range params {
		name := vars[i]
		switch named := t.ParameterFormat == "NAMED"; {
		case named && (p.ParameterName == nil || *p.ParameterName == ""):
			return nil, refuse(132012, "%s: Parameter name is missing or empty; the template has named parameters", where)
		case named:
			name = *p.ParameterName
			if !slices.Contains(vars, name) {
				return nil, refuse(132012, "%s: the template has no parameter %q", where, name)
			}
			if _, twice := values[name]; twice {
				return nil, refuse(132012, "%s: parameter %q is given twice", where, name)
			}
		case p.ParameterName != nil:
			return nil, refuse(132012, "%s: parameter %q has a name; the template has positional parameters", where, *p.ParameterName)
		}
		text, e := p.value(where)
		if e != nil {
			return nil, e
		}
		values[name] = text
	}
	return values, nil
}

// value returns the text that a parameter of a header or body shows.
func (p *paramSend) value(where string) (string, *graphError) {
	var text string
	switch {
	case p.Type == "text" && p.Text != nil:
		text = *p.Text
	case p.Type == "currency" && p.Currency != nil:
		text = p.Currency.Value
	case p.Type == "date_time" && p.DateTime != nil:
		text = p.DateTime.Value // always shown as it is (Meta: OpenAPI, date_time)
	case p.Type == "text", p.Type == "currency", p.Type == "date_time":
	default:
		return "", refuse(132012, "%s: Format mismatch, expected TEXT, received %s", where, strings.ToUpper(p.Type))
	}
	if text == "" {
		return "", refuse(131008, "Parameter of type %s is missing %s value", p.Type, p.Type)
	}
	if unwelcome.MatchString(text) {
		return "", refuse(132012, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
	}
	return text, nil
}

// checkButtons compares button components with the template's buttons and
// returns what a phone shows of them.
func (t *template) checkButtons(sent map[int]*componentSend) (string, *graphError) {
	for index := range sent {
		if index < 0 || index >= len(t.shape.buttons) {
			return "", refuse(132000, "buttons: the template has no button at index %d", index)
		}
	}
	var text strings.Builder
	for i, b := range t.shape.buttons {
		url := b.url
		c := sent[i]
		if c == nil {
			if b.dynamic {
				return "", refuse(131008, "buttons: Button at index %d of type %s requires a parameter", i, b.kind)
			}
		} else {
			value, e := b.value(i, c)
			if e != nil {
				return "", e
			}
			if b.kind == "URL" {
				url = variable.ReplaceAllLiteralString(b.url, value)
			}
		}
		text.WriteString("[" + b.text + "]")
		if b.kind == "URL" && t.Category != "AUTHENTICATION" { // that one copies the code, and shows no address
			text.WriteString(" " + url)
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

func (b *button) value(i int, c *componentSend) (string, *graphError) {
	if !strings.EqualFold(c.SubType, b.kind) {
		return "", refuse(132012, "buttons: button at index %d is of type %s, not %s", i, b.kind, strings.ToUpper(c.SubType))
	}
	if len(c.Parameters) != 1 {
		return "", countMismatch("buttons", len(c.Parameters), 1)
	}
	p := c.Parameters[0]
	var value *string
	limit := 2000
	switch {
	case b.kind == "QUICK_REPLY" && p.Type == "payload":
		value, limit = p.Payload, 256
	case b.kind == "URL" && p.Type == "text" && b.dynamic:
		value = p.Text
	case b.kind == "COPY_CODE" && p.Type == "coupon_code":
		value, limit = p.CouponCode, 20
	case b.kind == "URL" && !b.dynamic, b.kind == "PHONE_NUMBER":
		return "", refuse(132000, "buttons: Button at index %d of type %s takes no parameter", i, b.kind)
	default:
		return "", refuse(132012, "buttons: parameter of type %q does not fit the button at index %d of type %s", p.Type, i, b.kind)
	}
	if value == nil || *value == "" {
		return "", refuse(131008, "buttons: the parameter of the button at index %d is empty", i)
	}
	if len(*value) > limit {
		return "", refuse(131009, "buttons: the parameter of the button at index %d has %d characters, %d are allowed", i, len(*value), limit)
	}
	return *value, nil
}

// checkCode holds authentication templates to their own rule: the code stands
// in the body and in the button at index 0, the same, of at most 15 characters.
// Those of before April 2024, without such a button, cannot be sent any more
// (Meta: Authentication templates).
func (t *template) checkCode(values map[string]string, buttons map[int]*componentSend) *graphError {
	if t.Category != "AUTHENTICATION" {
		return nil
	}
	b := buttons[0]
	if len(values) != 1 || b == nil || !strings.EqualFold(b.SubType, "url") || b.Parameters[0].Text == nil {
		return refuse(132012, "an authentication template needs the code in its body and in its button at index 0")
	}
	for _, code := range values {
		if n := utf8.RuneCountInString(code); n > whatsapp.MaxAuthCode {
			return refuse(131009, "the code has %d characters, %d are allowed", n, whatsapp.MaxAuthCode)
		}
		if *b.Parameters[0].Text != code {
			return refuse(132012, "the code of the button is not the code of the body")
		}
	}
	return nil
}

func countMismatch(where string, got, want int) *graphError {
	return refuse(132000, "%s: number of localizable_params (%d) does not match the expected number of params (%d)", where, got, want)
}
