package connect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"janela/internal/whatsapp/cloudapi"
)

const assign = "business.facebook.com, Settings, System users, Assign assets: give the system user the WhatsApp account with full control"

// accounts finds the business accounts: those that were named, that config.toml
// has, or that the token may see.
func (h *house) accounts(ctx context.Context) error {
	ids := slices.Clone(h.Accounts)
	if len(ids) == 0 {
		ids = h.known(ctx)
	}
	if len(ids) == 0 {
		return h.fail(assign+"; or name it: --account ID (WhatsApp Manager shows it as WhatsApp Business Account ID)", "the token sees no WhatsApp account")
	}
	var names []string
	for _, id := range ids {
		a, err := h.graph.Account(ctx, id)
		if err != nil {
			return h.fail(assign+"; is the id right?", "account %s cannot be read: %s", id, words(err))
		}
		h.found = append(h.found, found{account: a})
		names = append(names, fmt.Sprintf("%s (%s)", a.Name, a.ID))
	}
	return h.kept("%s", strings.Join(names, ", "))
}

// known are the accounts that the token may see, in the order of what is surest.
func (h *house) known(ctx context.Context) []string {
	if len(h.info.Accounts) > 0 && h.Business == "" {
		return h.info.Accounts
	}
	businesses := []string{h.Business}
	if h.Business == "" {
		var err error
		if businesses, err = h.graph.Businesses(ctx); err != nil {
			businesses = nil // it needs a permission that is not needed otherwise
		}
	}
	var out []string
	for _, b := range businesses {
		if ids, err := h.graph.Accounts(ctx, b); err == nil {
			out = append(out, ids...)
		}
	}
	for _, a := range h.cfg.WhatsApp.Accounts {
		if len(out) == 0 && a.ID != exampleAccount {
			out = append(out, a.ID)
		}
	}
	return out
}

// numbers lists the numbers, and chooses those that are used.
func (h *house) numbers(ctx context.Context) error {
	var lines, ids []string
	for i := range h.found {
		f := &h.found[i]
		all, err := h.graph.Numbers(ctx, f.account.ID)
		if err != nil {
			return h.fail("try again; the token may have no access to the account: "+assign, "the numbers of account %s cannot be read: %s", f.account.ID, words(err))
		}
		f.numbers, f.all = all, len(all)
		for _, n := range all {
			ids = append(ids, n.ID)
			lines = append(lines, fmt.Sprintf("%s: %s (%s, quality %s, %s)", n.ID, n.VerifiedName, strings.ToLower(n.Status), strings.ToLower(n.QualityRating), n.MessagingLimit))
		}
	}
	if len(ids) == 0 {
		return h.fail("App Dashboard, WhatsApp, API Setup: add a phone number", "there is no number on these accounts")
	}
	wanted, err := h.choose(ids, lines)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if !slices.Contains(ids, w) {
			return h.fail("take one of them: "+strings.Join(lines, "; "), "there is no number %s on these accounts", w)
		}
	}
	var chosen []string
	for i := range h.found {
		f := &h.found[i]
		f.numbers = slices.DeleteFunc(f.numbers, func(n cloudapi.Number) bool { return len(wanted) > 0 && !slices.Contains(wanted, n.ID) })
		for _, n := range f.numbers {
			chosen = append(chosen, fmt.Sprintf("%s, %s", n.ID, n.VerifiedName))
		}
	}
	h.found = slices.DeleteFunc(h.found, func(f found) bool { return len(f.numbers) == 0 })
	return h.kept("%s", strings.Join(chosen, "; "))
}

// choose says which numbers are wanted; none: all.
func (h *house) choose(ids, lines []string) ([]string, error) {
	var out []string
	for _, w := range h.Numbers {
		out = append(out, w.ID)
	}
	if len(out) > 0 || h.Ask == nil || len(ids) == 1 {
		return out, nil
	}
	answer, err := h.Ask("Numbers:\n  "+strings.Join(lines, "\n  ")+"\nWhich ones? Their ids, or all", "all")
	if err != nil || answer == "all" {
		return nil, err
	}
	return strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }), nil
}

// nameOf makes what campaigns call a number: as was asked for, or of the name
// that Meta has verified.
func (h *house) nameOf(n cloudapi.Number, taken map[string]bool) string {
	for _, w := range h.Numbers {
		if w.ID == n.ID && w.Name != "" {
			return w.Name
		}
	}
	base := slug(n.VerifiedName)
	if base == "" {
		base = "number"
	}
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	return name
}

var plain = strings.NewReplacer("á", "a", "à", "a", "â", "a", "ã", "a", "ä", "a", "é", "e", "ê", "e", "è", "e", "í", "i", "ó", "o", "ô", "o", "õ", "o", "ö", "o", "ú", "u", "ü", "u", "ç", "c", "ñ", "n")

// slug writes a name with a to z, 0 to 9 and -, at most 24.
func slug(s string) string {
	var b strings.Builder
	for _, r := range plain.Replace(strings.ToLower(s)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == 24 {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}
