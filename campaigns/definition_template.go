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
	if t.Header != nil {
		c.header(t.Header)
	}
	for i := range t.Body {
		c.parameter(item("template.body", i, ""), &t.Body[i], "the cell of a recipient")
	}
	c.bodyNames()
	seen := map[int]bool{}
	for i := range t.Buttons {
		c.button(item("template.buttons", i, ""), &t.Buttons[i], seen)
	}
}

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

func (c *checker) header(h *Header) {
	const path = "template.header"
	kinds := []string{string(whatsapp.HeaderText), string(whatsapp.HeaderImage), string(whatsapp.HeaderVideo), string(whatsapp.HeaderDocument)}
	switch kind := strings.ToLower(string(h.Type)); {
	case !c.typed(path + ".type"):
		c.missing(path+".type", "write "+orList(kinds))
		return
	case kind == "location" || kind == "gif" || kind == "product":
		c.fault(path+".type", "a header "+kind+" comes in a later release", "use a template with a text, image, video or document")
		return
	case !slices.Contains(kinds, string(h.Type)):
		c.oneOf(path+".type", string(h.Type), kinds...)
		return
	}
	if h.Type == whatsapp.HeaderText {
		if c.doc.Has(path + ".media") {
			c.fault(path+".media", "a text header has no file", "give column or value")
		}
		c.parameter(path, &h.Parameter, "the cell of a recipient")
		return
	}
	for _, key := range []string{"named", "column", "value", "default", "transform", "max_length"} {
		if c.doc.Has(path + "." + key) {
			c.fault(path+"."+key, fmt.Sprintf("%q does not go with a header %s", key, h.Type), `give the file: media = "banner.jpg"`)
		}
	}
	switch {
	case !c.typed(path+".media") || c.doc.Has(path+".media.column"):
		c.missing(path+".media", `write media = "banner.jpg", a file beside this one`)
	default:
		if c.filePath(path+".media", h.Media.File) {
			if _, err := MediaTypeOf(h.Type, h.Media.File); err != nil {
				c.fault(path+".media", err.Error(), "")
			}
		}
	}
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
func (c *checker) bodyNames() {
	body := c.def.Template.Body
	named, seen := 0, make(map[string]bool)
	for i, p := range body {
		path := item("template.body", i, "named")
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
		if !c.doc.Has(item("template.body", i, "named")) {
			c.fault(item("template.body", i, ""), "this value has no name, and others have one", "write named = \"…\" for all values, or for none")
		}
	}
}

func (c *checker) button(path string, b *Button, seen map[int]bool) {
	const most = 10 // Meta: Message templates, buttons
	switch {
	case !c.typed(path + ".index"):
		c.missing(path+".index", "write its place among all buttons of the template, from 0")
	case b.Index == nil:
	case *b.Index < 0 || *b.Index >= most:
		c.fault(path+".index", fmt.Sprintf("the index is %d", *b.Index), "buttons count from 0 to 9, over all buttons of the template")
	case seen[*b.Index]:
		c.fault(path+".index", fmt.Sprintf("button %d is given twice", *b.Index), "keep one")
	default:
		seen[*b.Index] = true
	}
	kinds := []string{string(ButtonURL), string(ButtonQuickReply), string(ButtonCopyCode)}
	if !c.typed(path + ".type") {
		c.missing(path+".type", "write "+orList(kinds))
	} else {
		c.oneOf(path+".type", string(b.Type), kinds...)
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
