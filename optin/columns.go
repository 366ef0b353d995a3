package optin

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fields of a row, as ImportOptions.Columns names them.
const (
	fieldPhone     = "phone"
	fieldCategory  = "category"
	fieldStatus    = "status"
	fieldAt        = "consented_at"
	fieldScope     = "scope"
	fieldPurpose   = "purpose"
	fieldText      = "text"
	fieldVersion   = "version"
	fieldSource    = "source"
	fieldReference = "reference"
)

// aliases are the headers by which a field is found when nobody named its
// column: folded, in Portuguese, English and Spanish. The field's own name wins
// over them.
var aliases = map[string][]string{
	fieldPhone: {"telefone", "celular", "fone", "whatsapp", "numero de telefone", "telefone celular", "numero", "phone number", "mobile",
		"mobile phone", "tel", "telefono", "movil", "numero de telefono", "telefono movil"},
	fieldCategory: {"categoria"},
	fieldStatus:   {"situacao", "opt in", "optin", "consentimento", "consent", "consentimiento"},
	fieldAt: {"data", "data do consentimento", "data de consentimento", "data consentimento", "data e hora", "data hora", "consentido em",
		"date", "datetime", "consent date", "timestamp", "opt in date", "revoked at", "revogado em", "data da revogacao",
		"fecha", "fecha de consentimiento", "fecha y hora", "revocado en"},
	fieldScope:     {"escopo", "unidade", "unidade de negocio", "business unit", "unit", "alcance", "ambito", "unidad", "unidad de negocio"},
	fieldPurpose:   {"finalidade", "proposito", "finalidad"},
	fieldText:      {"texto", "texto do consentimento", "consent text", "texto de consentimiento"},
	fieldVersion:   {"versao", "versao do texto", "text version", "version del texto"},
	fieldSource:    {"origem", "fonte", "canal", "channel", "origin", "origen", "fuente"},
	fieldReference: {"referencia", "protocolo", "id", "ref", "comprovante", "comprobante"},
}

// columns tells for every field in which column it stands.
type columns map[string]int

// cell returns a field of a row, trimmed; "" if the row or the file has none.
func (c columns) cell(field string, cells []string) string {
	i, ok := c[field]
	if !ok || i >= len(cells) {
		return ""
	}
	return strings.TrimSpace(cells[i])
}

// mapColumns finds the columns: as named, else by the field's name, else by an
// alias. It tells all faults at once.
func mapColumns(header []string, named map[string]string) (columns, error) {
	folded := make([]string, len(header))
	for i, h := range header {
		folded[i] = fold(h)
	}
	cols := columns{}
	var faults []error
	for _, field := range slices.Sorted(maps.Keys(named)) {
		if _, ok := aliases[field]; !ok {
			faults = append(faults, fmt.Errorf("there is no field %q; the fields are %s", field, strings.Join(slices.Sorted(maps.Keys(aliases)), ", ")))
		}
	}
	for _, field := range slices.Sorted(maps.Keys(aliases)) {
		wanted, isNamed := named[field]
		var at []int
		if isNamed {
			if at = positions(folded, fold(wanted)); len(at) == 0 {
				faults = append(faults, fmt.Errorf("there is no column %q for %s; the header has %s", wanted, field, quoted(header)))
			}
		} else if at = positions(folded, fold(field)); len(at) == 0 {
			at = positions(folded, aliases[field]...)
		}
		switch len(at) {
		case 0:
		case 1:
			cols[field] = at[0]
		default:
			var found []string
			for _, i := range at {
				found = append(found, header[i])
			}
			faults = append(faults, fmt.Errorf("%s could be %s; say which column it is, or rename the others", field, quoted(found)))
		}
	}
	if _, ok := cols[fieldPhone]; !ok && len(faults) == 0 {
		faults = append(faults, fmt.Errorf("there is no column of phone numbers; say which it is, the header has %s", quoted(header)))
	}
	for _, field := range slices.Sorted(maps.Keys(cols)) {
		for other, i := range cols {
			if other > field && i == cols[field] {
				faults = append(faults, fmt.Errorf("column %q cannot be both %s and %s", header[i], field, other))
			}
		}
	}
	return cols, errors.Join(faults...)
}

func positions(folded []string, names ...string) []int {
	var at []int
	for i, h := range folded {
		if h != "" && slices.Contains(names, h) {
			at = append(at, i)
		}
	}
	return at
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}
