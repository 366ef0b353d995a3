package optin

import (
	"os"
	"strings"
	"testing"

	"janela/internal/whatsapp"
)

// The page for users names every word that stops and every reason of a row.
func TestDocsAreComplete(t *testing.T) {
	b, err := os.ReadFile("../docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	cells := map[string]bool{}
	for _, c := range strings.FieldsFunc(page, func(r rune) bool { return r == '|' || r == ',' }) {
		cells[fold(c)] = true
	}
	for _, k := range StopWords() {
		if !cells[k.Word] {
			t.Errorf("docs/consent.md does not name the word %q", k.Word)
		}
	}
	reasons := []string{ReasonNoOptIn, ReasonOptedOut, ReasonBadQuotes, ReasonExtraCells, ReasonBadCategory, ReasonBadStatus, ReasonMissingDate,
		ReasonBadDate, ReasonFutureDate, ReasonEarlyDate, ReasonUnknownScope}
	for _, kind := range []string{whatsapp.PhoneEmpty, whatsapp.PhoneLetters, whatsapp.PhoneScientific, whatsapp.PhoneExtension,
		whatsapp.PhoneNoRegion, whatsapp.PhoneInvalid, whatsapp.PhoneAmbiguous, whatsapp.PhoneShort} {
		reasons = append(reasons, ReasonPhone+kind)
	}
	for _, s := range Sources {
		reasons = append(reasons, string(s))
	}
	for field := range aliases {
		reasons = append(reasons, field)
	}
	for _, r := range reasons {
		if !strings.Contains(page, "`"+r+"`") {
			t.Errorf("docs/consent.md does not explain `%s`", r)
		}
	}
}
