package archtest

import (
	"slices"
	"testing"

	"janela/internal/dossier"
)

// personalTables hold personal data, each with the reason. When one is forgotten
// at a person's request, these are the places.
var personalTables = map[string]string{
	"identities":       "by which Meta or the business names a person",
	"messages":         "address and parameters",
	"past_messages":    "address, as long as the person is known, and Meta's id",
	"rejects":          "what was wrong with a row of an audience",
	"pending_consents": "the evidence of a consent that is not confirmed yet",
	"consent_events":   "the evidence of a consent: texts, addresses",
	"callbacks":        "Meta's callbacks as they came",
	"challenges":       "the caller's own metadata",
	"consent_reviews":  "what a person wrote, until it is decided what it means",
	"hook_payloads":    "Meta's callbacks on their way to a chatbot, until they have arrived",
}

// names of columns that hold personal data.
var personalColumns = []string{"address", "params", "body", "phone", "text", "wa_id", "bsuid", "recipient", "value"}

// notPersonal are columns with such a name that hold none.
var notPersonal = map[string]string{"settings.value": "the database's own settings"}

// Rule 7: personal data stands in the tables that are marked, and nowhere else.
func TestPersonalData(t *testing.T) {
	marked := map[string]bool{}
	for _, d := range schema(t) {
		if d.personal {
			marked[d.name] = true
			if _, ok := personalTables[d.name]; !ok {
				t.Errorf("table %s is marked -- personal and is not known here.\n  Either keep a contact's id in it instead, or name it in personalTables of internal/archtest/personal_test.go, so that exporting and forgetting a person will not miss it.", d.name)
			}
			continue
		}
		for _, c := range d.columns {
			_, excused := notPersonal[d.name+"."+c]
			if slices.Contains(personalColumns, c) && !excused {
				t.Errorf("table %s is not marked -- personal and has a column %q.\n  Either keep a contact's id instead, or mark the table and name it in internal/archtest/personal_test.go.", d.name, c)
			}
		}
	}
	for name := range marked {
		if dossier.Personal[name] == "" {
			t.Errorf("forgetting a person does nothing about table %s.\n  Write it into Forget of internal/dossier, and what it does into Personal there.", name)
		}
	}
	for name := range dossier.Personal {
		if !marked[name] {
			t.Errorf("dossier.Personal names %s, which is not marked -- personal", name)
		}
	}
	for name := range personalTables {
		if !marked[name] {
			t.Errorf("table %s holds personal data and is not marked in the schema.\n  Write -- personal above it, or take it out of personalTables.", name)
		}
	}
}
