package campaigns

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// templateFacts compares the definition with the template it names.
func (c *outside) templateFacts() {
	t := &c.def.Template
	if t.Name == "" || t.Language == "" {
		return
	}
	if c.env.Template == nil {
		c.unchecked("template", "template", "the account's templates are not known here")
		return
	}
	facts, known := c.env.Template(t.Name, t.Language)
	switch {
	case !known:
		c.unchecked("template", "template", "the account's templates are not known here")
		return
	case !facts.Found && len(facts.OtherLanguages) > 0:
		hint := "it has " + strings.Join(facts.OtherLanguages, ", ")
		if near := nearLanguage(t.Language, facts.OtherLanguages); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		c.fault("template.language", fmt.Sprintf("the template %q does not exist in %s", t.Name, t.Language), hint)
		return
	case !facts.Found:
		c.fault("template.name", fmt.Sprintf("the account has no template %q", t.Name), "create it in WhatsApp Manager, or mend the name")
		return
	}
	c.category(facts)
	c.status(facts)
	needs, err := Required(facts.ParameterFormat, facts.Components)
	if err != nil {
		c.fault("template.name", err.Error(), "use another template")
		return
	}
	c.headerFits(needs)
	c.valuesFit("template", "the template", t.Body, t.Buttons, needs)
	c.offerFits(needs)
	c.cardsFit(needs)
}

// valuesFit compares the body and the buttons of the message, or of a card.
func (c *outside) valuesFit(path, of string, body []Parameter, buttons []Button, needs Requirement) {
	c.bodyFits(path+".body", of, body, needs)
	c.buttonsFit(path+".buttons", of, buttons, needs)
}

// nearLanguage finds the language that was meant: a slip of the pen, or the
// only one of the same tongue.
func nearLanguage(code string, others []string) string {
	if near := tomlfile.Suggest(code, others); near != "" {
		return near
	}
	tongue, _, _ := strings.Cut(code, "_")
	found := ""
	for _, o := range others {
		if base, _, _ := strings.Cut(o, "_"); base == tongue {
			if found != "" {
				return ""
			}
			found = o
		}
	}
	return found
}

func (c *outside) category(facts TemplateFacts) {
	said, is := c.def.Category, whatsapp.Category(strings.ToLower(string(facts.Category)))
	if said == "" || said == is || is == "" {
		return
	}
	hint := fmt.Sprintf("write category = %q, if that is what people consented to", is)
	if is == whatsapp.Authentication {
		hint = "campaigns do not send one-time codes; use another template"
	}
	c.fault("category", fmt.Sprintf("WhatsApp has approved the template %q as %s, not %s", c.def.Template.Name, is, said), hint)
}

func (c *outside) status(facts TemplateFacts) {
	if facts.Status == whatsapp.TemplateApproved {
		return
	}
	message := fmt.Sprintf("the template %q is %s, not APPROVED", c.def.Template.Name, facts.Status)
	if c.def.Template.OnNotApproved == NotApprovedWait {
		c.warn("template.name", message, "messages wait until it is approved")
		return
	}
	c.fault("template.name", message, `wait for WhatsApp, or write on_not_approved = "wait"`)
}

func (c *outside) headerFits(needs Requirement) {
	h := c.def.Template.Header
	const path = "template.header"
	switch {
	case h == nil && needs.Header == whatsapp.HeaderNone:
	case h == nil && needs.Header == whatsapp.HeaderText:
		c.fault(path, "the template's header has a variable, and the definition gives no value", `add [template.header] with type = "text" and a column`)
	case h == nil && needs.Header == whatsapp.HeaderLocation:
		c.fault(path, "the template's header shows a place, and the definition gives none", `add [template.header] with type = "location", and [template.header.location]`)
	case h == nil:
		c.fault(path, fmt.Sprintf("the template has a header %s, and the definition gives no file", needs.Header),
			fmt.Sprintf("add [template.header] with type = %q and media", needs.Header))
	case h.Type == "":
	case needs.Header == whatsapp.HeaderNone:
		c.fault(path, "the template's header takes no value", "take [template.header] out")
	case h.Type != needs.Header:
		c.fault(path+".type", fmt.Sprintf("the template's header is %s, not %s", needs.Header, h.Type), fmt.Sprintf("write type = %q", needs.Header))
	case h.Named != needs.HeaderName:
		c.name(path, h.Named, needs.HeaderName)
	}
}

// name faults a parameter that has the wrong name, or one too many or few.
func (c *outside) name(path, has, wants string) {
	switch {
	case wants == "":
		c.fault(path+".named", "the template's values have no names", "take named out")
	case has == "":
		c.fault(path, fmt.Sprintf("the template calls this value %q", wants), fmt.Sprintf("write named = %q", wants))
	default:
		c.fault(path+".named", fmt.Sprintf("the template has no %q here", has), fmt.Sprintf("write named = %q", wants))
	}
}

func (c *outside) bodyFits(list, of string, body []Parameter, needs Requirement) {
	if !needs.Named {
		for i, p := range body {
			if p.Named != "" {
				c.name(item(list, i, ""), p.Named, "")
			}
		}
		if want := len(needs.Body); len(body) != want {
			hint := of + " has " + braces(needs.Body)
			if want == 0 {
				hint = "take every [[" + unplaced(list) + "]] out"
			}
			c.fault(list, fmt.Sprintf("%s's body takes %s, the definition gives %d", of, count(want, "value"), len(body)), hint)
		}
		return
	}
	given := make([]string, 0, len(body))
	for i, p := range body {
		path := item(list, i, "")
		switch {
		case p.Named == "" && len(needs.Body) > 0:
			c.fault(path, of+"'s values have names, and this one has none", "write named = "+orList(needs.Body))
		case !slices.Contains(needs.Body, p.Named):
			hint := "it has " + braces(needs.Body)
			if len(needs.Body) == 0 {
				hint = "its body takes no value"
			}
			if near := tomlfile.Suggest(p.Named, needs.Body); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			c.fault(path+".named", fmt.Sprintf("%s has no {{%s}}", of, p.Named), hint)
		}
		given = append(given, p.Named)
	}
	for _, name := range needs.Body {
		if !slices.Contains(given, name) {
			c.fault(list, fmt.Sprintf("%s's {{%s}} gets no value", of, name), fmt.Sprintf("add [[%s]] with named = %q", unplaced(list), name))
		}
	}
}

// unplaced is a list's path as it is written in the file: without the places in
// the lists that it is in.
func unplaced(list string) string {
	var parts []string
	for part := range strings.SplitSeq(list, ".") {
		if strings.Trim(part, "0123456789") != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ".")
}

func braces(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "{{" + n + "}}"
	}
	return strings.Join(out, ", ")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (c *outside) buttonsFit(list, of string, buttons []Button, needs Requirement) {
	given := make(map[int]bool)
	for i, b := range buttons {
		if b.Index == nil {
			continue
		}
		given[*b.Index] = true
		path := item(list, i, "")
		need, ok := needs.Button(*b.Index)
		switch {
		case *b.Index >= needs.buttons:
			c.fault(path+".index", fmt.Sprintf("%s has %s", of, count(needs.buttons, "button")), "buttons count from 0, over all buttons of "+of)
		case !ok:
			c.fault(path, fmt.Sprintf("button %d of %s takes no value", *b.Index, of), "take this [["+unplaced(list)+"]] out")
		case need.Type == ButtonOTP:
			c.fault(path, fmt.Sprintf("button %d of %s copies a one-time code", *b.Index, of), "campaigns do not send one-time codes")
		case b.Type != "" && need.Type != b.Type:
			c.fault(path+".type", fmt.Sprintf("button %d of %s is %s, not %s", *b.Index, of, need.Type, b.Type), fmt.Sprintf("write type = %q", need.Type))
		}
	}
	for _, need := range needs.Buttons {
		if need.Required && !given[need.Index] && need.Type != ButtonOTP {
			c.fault(list, fmt.Sprintf("button %d of %s (%s %q) gets no value", need.Index, of, need.Type, need.Label),
				fmt.Sprintf("add [[%s]] with index = %d and type = %q", unplaced(list), need.Index, need.Type))
		}
	}
}

func (c *outside) offerFits(needs Requirement) {
	const path = "template.limited_time_offer"
	switch given := c.def.Template.Offer != nil; {
	case given && !needs.Offer:
		c.fault(path, "the template has no limited-time offer, or one that does not end", "take [template.limited_time_offer] out")
	case !given && needs.Offer:
		c.fault(path, "the template is a limited-time offer, and the definition does not say when it ends",
			"add [template.limited_time_offer] with expires_at = 2026-11-27T23:59:00, or a column")
	}
}

func (c *outside) cardsFit(needs Requirement) {
	const path = "template.cards"
	cards := c.def.Template.Cards
	if have, want := len(cards), len(needs.Cards); have != want {
		hint := "write one [[template.cards]] for each card of the template, in its order"
		if want == 0 {
			hint = "take every [[template.cards]] out"
		}
		at := path
		if have > want {
			at = item(path, want, "")
		}
		c.fault(at, fmt.Sprintf("the template has %s, the definition gives %d", count(want, "card"), have), hint)
	}
	for i := range min(len(cards), len(needs.Cards)) {
		at, of, need := item(path, i, ""), fmt.Sprintf("card %d of the template", i+1), needs.Cards[i]
		if h := cards[i].Header; h != nil && h.Type != "" && h.Type != need.Header {
			c.fault(at+".header.type", fmt.Sprintf("the header of %s is %s, not %s", of, need.Header, h.Type), fmt.Sprintf("write type = %q", need.Header))
		}
		c.valuesFit(at, of, cards[i].Body, cards[i].Buttons, need)
	}
}
