package optin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"janela/internal/csvfile"
	"janela/internal/whatsapp"
)

// Reasons for which a row of a file is rejected. Those of a phone number are
// "phone_" and the kind of whatsapp.PhoneError.
const (
	ReasonBadQuotes    = "bad_quotes"
	ReasonExtraCells   = "extra_cells"
	ReasonPhone        = "phone_"
	ReasonBadCategory  = "invalid_category"
	ReasonBadStatus    = "invalid_status"
	ReasonMissingDate  = "missing_date"
	ReasonBadDate      = "invalid_date"
	ReasonFutureDate   = "future_date"
	ReasonEarlyDate    = "early_date"
	ReasonUnknownScope = "unknown_scope"
)

// entry is one row, understood.
type entry struct {
	Grant
	categories []whatsapp.Category // of a revocation
	cells      []string            // of the row, where rejects are wanted
	revoke     bool
	repaired   bool
}

// read understands a row, or says why it cannot be used. The detail never
// repeats a cell: with the wrong column any of them can be a number.
func (imp *importer) read(row *csvfile.Row) (entry, *Reject) {
	no := func(reason, format string, args ...any) (entry, *Reject) {
		return entry{}, &Reject{row.Line, reason, fmt.Sprintf(format, args...)}
	}
	switch {
	case row.Fields == nil:
		return no(ReasonBadQuotes, "%s", row.Fault)
	case row.Fault != "" && len(row.Fields) > len(imp.table.Header): // cells that a short row lacks are empty
		return no(ReasonExtraCells, "%s", row.Fault)
	}
	cell := func(field string) string { return imp.cols.cell(field, row.Fields) }
	opt := &imp.opt

	var e entry
	phone, err := whatsapp.ParsePhone(cell(fieldPhone), opt.DefaultRegion)
	if err != nil {
		if p := (*whatsapp.PhoneError)(nil); errors.As(err, &p) {
			return no(ReasonPhone+p.Kind, "%s", p.Hint)
		}
		return no(ReasonPhone+whatsapp.PhoneInvalid, "the phone number cannot be read")
	}
	e.Identity, e.repaired = phone.Phone.Identity(), len(phone.Repairs) > 0

	if e.revoke, err = imp.readStatus(cell(fieldStatus)); err != nil {
		return no(ReasonBadStatus, "%v", err)
	}
	if e.categories, err = readCategories(or(cell(fieldCategory), opt.DefaultCategory), e.revoke); err != nil {
		return no(ReasonBadCategory, "%v", err)
	}
	e.Category = e.categories[0]

	e.Scope = or(cell(fieldScope), or(opt.DefaultScope, ScopeAll))
	if !slices.Contains(imp.scopes, e.Scope) {
		return no(ReasonUnknownScope, "no number and no business unit has the name in the row; known are %s", quoted(imp.scopes))
	}

	switch when := cell(fieldAt); {
	case when != "":
		if e.At, err = parseWhen(when, imp.zone, e.revoke); err != nil {
			return no(ReasonBadDate, "%v", err)
		}
	case !opt.DefaultTime.IsZero():
		e.At = opt.DefaultTime
	case e.revoke:
		e.At = imp.started
	default:
		return no(ReasonMissingDate, "a consent counts only with its date")
	}
	if e.At.After(imp.now.Add(maxAhead)) {
		return no(ReasonFutureDate, "the date %s is still to come", e.At.Format(time.DateOnly))
	}
	if e.At.Before(earliest) {
		return no(ReasonEarlyDate, "the date %s is before WhatsApp existed", e.At.Format(time.DateOnly))
	}

	e.Purpose, e.Source, e.Actor = or(cell(fieldPurpose), opt.DefaultPurpose), opt.Source, opt.Actor
	ev := opt.Evidence
	ev.Text = or(cell(fieldText), ev.Text)
	ev.Version = or(cell(fieldVersion), ev.Version)
	ev.Reference = or(cell(fieldReference), ev.Reference)
	ev.Origin = or(cell(fieldSource), ev.Origin)
	ev.File, ev.FileHash, ev.Line = imp.Name, imp.FileHash, row.Line
	e.Evidence = ev
	return e, nil
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

var (
	grantWords = []string{"grant", "granted", "opt in", "optin", "opted in", "sim", "yes", "si", "true", "1", "aceito", "aceita", "aceitou",
		"concedido", "autorizado", "autorizou", "subscribed", "inscrito", "suscrito", "acepto"}
	revokeWords = []string{"revoke", "revoked", "opt out", "optout", "opted out", "nao", "no", "false", "0", "revogado", "revogou", "revocado",
		"unsubscribed", "descadastrado", "removido", "baja", "sair", "stop", "bloqueado", "blocked"}
)

// readStatus tells a revocation from a grant. A file without such a column holds
// what the options say.
func (imp *importer) readStatus(s string) (revoke bool, err error) {
	_, hasColumn := imp.cols[fieldStatus]
	word := fold(s)
	switch {
	case !hasColumn, imp.opt.Revocations && word == "":
		return imp.opt.Revocations, nil
	case slices.Contains(revokeWords, word):
		return true, nil
	case slices.Contains(grantWords, word) && imp.opt.Revocations:
		return false, errors.New("the file is imported as a list of revocations, and this row is a grant")
	case slices.Contains(grantWords, word):
		return false, nil
	case word == "":
		return false, errors.New("the status is empty; write grant or revoke")
	default:
		return false, errors.New("the status is not known; write grant or revoke")
	}
}

var categoryWords = map[string]whatsapp.Category{
	"marketing": whatsapp.Marketing, "promocional": whatsapp.Marketing,
	"utility": whatsapp.Utility, "utilidade": whatsapp.Utility, "utilidad": whatsapp.Utility,
	"authentication": whatsapp.Authentication, "autenticacao": whatsapp.Authentication, "autenticacion": whatsapp.Authentication,
}

// readCategories reads a category as people write it. A revocation may be of
// all; a grant never, because consent names what it is for.
func readCategories(s string, revoke bool) ([]whatsapp.Category, error) {
	word := fold(s)
	if c, ok := categoryWords[word]; ok {
		return []whatsapp.Category{c}, nil
	}
	if strings.TrimSpace(s) == "*" || slices.Contains([]string{"all", "todas", "todos", "todo", "tudo"}, word) {
		if revoke {
			return whatsapp.TemplateCategories, nil
		}
		return nil, errors.New("a consent names one category; write marketing, utility or authentication")
	}
	if word == "" {
		return nil, errors.New("the category is missing; write marketing, utility or authentication")
	}
	return nil, errors.New("the category is not known; write marketing, utility or authentication")
}
