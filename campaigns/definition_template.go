package campaigns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

var (
	templateName = regexp.MustCompile(`^[a-z0-9_]{1,512}$`) // Meta: Message templates, name
	languageCode = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2}|_[A-Z][a-z]{3}(_[A-Z]{2})?)?$`)
	paramName    = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
)

func (c *checker) template() {
	t := &c.def.Template
	switch {
	case !c.typed("template.name"):
		c.missing("template.name", "write the template's name in WhatsApp Manager")
	case !templateName.MatchString(t.Name):
		c.fault("template.name", fmt.Sprintf("%q is no template name: small letters, digits and _", t.Name), "copy the name from WhatsApp Manager")
	}
	c.language()
	c.oneOf("template.on_not_approved", t.OnNotApproved, NotApprovedWait, NotApprovedSkip, NotApprovedFail)
	c.oneOf("template.product_policy", t.ProductPolicy, PolicyStrict, PolicyFallback)
	if c.typed("template.product_policy") && c.def.Category == whatsapp.Utility {
		c.fault("template.product_policy", "the Marketing Messages API takes marketing only", "take product_policy out")
	}
	if t.Header != nil {
		c.header(t.Header)
	}
	if t.Offer != nil {
		c.offer(t.Offer)
	}
	c.values("template", t.Body, t.Buttons, kindsOfButtons)
	c.cards(t.Cards)
}

// values checks the body and the buttons of the message or of a card.
func (c *checker) values(path string, body []Parameter, buttons []Button, kinds buttonKinds) {
	for i := range body {
		c.parameter(item(path+".body", i, ""), &body[i], "the cell of a recipient")
	}
	c.bodyNames(path+".body", body)
	seen := map[int]bool{}
	for i := range buttons {
		c.button(item(path+".buttons", i, ""), &buttons[i], seen, kinds)
	}
}

// buttonKinds are the buttons that a message, or a card, can have.
type buttonKinds struct {
	most  int
	of    string
	types []string
}

var ( // Meta: Message templates, buttons; Media card carousel templates
	kindsOfButtons     = buttonKinds{10, "the template", []string{string(ButtonURL), string(ButtonQuickReply), string(ButtonCopyCode)}}
	kindsOfCardButtons = buttonKinds{2, "the card", []string{string(ButtonURL), string(ButtonQuickReply)}}
)

func (c *checker) language() {
	t := &c.def.Template
	if !c.typed("template.language") {
		c.missing("template.language", `write the language as WhatsApp does: language = "pt_BR"`)
		return
	}
	if code := whatsapp.Language(t.Language); code != t.Language {
		c.warn("template.language", fmt.Sprintf("%q is read as %q", t.Language, code), fmt.Sprintf("write %q", code))
		t.Language = code
	}
	if languageCode.MatchString(t.Language) {
		return
	}
	hint := `write it as WhatsApp does: "pt_BR", "es", "en_US"`
	if base, region, ok := strings.Cut(t.Language, "_"); ok {
		if fixed := strings.ToLower(base) + "_" + strings.ToUpper(region); languageCode.MatchString(fixed) {
			hint = fmt.Sprintf("write %q", fixed)
		}
	}
	c.fault("template.language", fmt.Sprintf("%q is no language", t.Language), hint)
}

// parameter checks one value: a column with what belongs to it, or a constant.
func (c *checker) parameter(path string, p *Parameter, what string) {
	column, value := c.doc.Has(path+".column"), c.doc.Has(path+".value")
	switch {
	case column && value:
		c.fault(path+".value", "a value is either a column or a constant, not both", "keep column or value")
	case !column && !value:
		c.fault(path, "the value comes from nowhere", fmt.Sprintf(`write column = "…" for %s, or value = "…" for a constant`, what))
	}
	c.empty(path+".column", p.Column, "name a column of the audience")
	if c.typed(path+".named") && !paramName.MatchString(p.Named) {
		c.fault(path+".named", fmt.Sprintf("%q is no parameter name: letters, digits and _", p.Named), "write it as in the template, without the braces")
	}
	known := transformNames()
	for i, name := range p.Transform {
		c.transform(item(path+".transform", i, ""), name, known)
	}
	if c.typed(path+".max_length") && p.MaxLength < 1 {
		c.fault(path+".max_length", fmt.Sprintf("max_length is %d", p.MaxLength), "write at least 1, or leave the key out")
	}
	if value && !column {
		for _, key := range []string{"default", "transform", "max_length"} {
			if c.doc.Has(path + "." + key) {
				c.fault(path+"."+key, fmt.Sprintf("%q does not go with a constant", key), "write the value as it shall be sent")
			}
		}
	}
	if p.Value != nil {
		c.constant(path+".value", *p.Value, 0, "leave the parameter to a column, or write a text")
	}
	if p.Default != nil && column {
		c.constant(path+".default", *p.Default, p.MaxLength, "leave default out: rows with an empty cell are then refused")
	}
}

func (c *checker) transform(path, name string, known []string) {
	if !c.typed(path) || slices.Contains(known, name) {
		return
	}
	hint := "known are " + strings.Join(known, ", ")
	if near := tomlfile.Suggest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.fault(path, fmt.Sprintf("the transform %q is not known", name), hint)
}

// constant checks a text of the definition that is sent as it is.
func (c *checker) constant(path, text string, most int, hint string) {
	if c.empty(path, text, hint) {
		return
	}
	if err := whatsapp.CheckText(text); err != nil {
		c.fault(path, err.Error(), "write it on one line")
	}
	if n := utf8.RuneCountInString(text); most > 0 && n > most {
		c.fault(path, fmt.Sprintf("the default has %d characters, max_length is %d", n, most), "shorten it, or raise max_length")
	}
}

// bodyNames checks that either all values of the body have a name, each its
// own, or none has.
func (c *checker) bodyNames(list string, body []Parameter) {
	named, seen := 0, make(map[string]bool)
	for i, p := range body {
		path := item(list, i, "named")
		if !c.doc.Has(path) {
			continue
		}
		named++
		if seen[p.Named] && p.Named != "" {
			c.fault(path, fmt.Sprintf("the parameter %q is given twice", p.Named), "keep one")
		}
		seen[p.Named] = true
	}
	if named == 0 || named == len(body) {
		return
	}
	for i := range body {
		if !c.doc.Has(item(list, i, "named")) {
			c.fault(item(list, i, ""), "this value has no name, and others have one", "write named = \"…\" for all values, or for none")
		}
	}
}

func (c *checker) button(path string, b *Button, seen map[int]bool, kinds buttonKinds) {
	switch {
	case !c.typed(path + ".index"):
		c.missing(path+".index", "write its place among all buttons of "+kinds.of+", from 0")
	case b.Index == nil:
	case *b.Index < 0 || *b.Index >= kinds.most:
		c.fault(path+".index", fmt.Sprintf("the index is %d", *b.Index), fmt.Sprintf("buttons count from 0 to %d, over all buttons of %s", kinds.most-1, kinds.of))
	case seen[*b.Index]:
		c.fault(path+".index", fmt.Sprintf("button %d is given twice", *b.Index), "keep one")
	default:
		seen[*b.Index] = true
	}
	if !c.typed(path + ".type") {
		c.missing(path+".type", "write "+orList(kinds.types))
	} else {
		c.oneOf(path+".type", string(b.Type), kinds.types...)
	}
	if c.doc.Has(path + ".named") {
		c.fault(path+".named", "buttons have no names", "buttons go by index")
	}
	c.parameter(path, &b.Parameter, "the cell of a recipient")
	if b.Type == ButtonCopyCode && b.Value != nil {
		if n := utf8.RuneCountInString(*b.Value); n > whatsapp.MaxCouponCode {
			c.fault(path+".value", fmt.Sprintf("the code has %d characters", n), fmt.Sprintf("WhatsApp takes at most %d", whatsapp.MaxCouponCode))
		}
	}
}
