package optin

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func (l *ledger) export() []byte {
	l.Helper()
	var b bytes.Buffer
	if _, err := Export(l.Context(), l.DB, &b); err != nil {
		l.Fatal(err)
	}
	return b.Bytes()
}

func (l *ledger) importExport(data []byte) Report {
	l.Helper()
	r, err := ImportCSV(l.Context(), l.DB, bytes.NewReader(data), ImportOptions{Name: "export.csv", Zone: "UTC", Actor: "maria"})
	if err != nil {
		l.Fatal(err)
	}
	return r
}

// permits lists what may go to a phone: every category, on every number.
func (l *ledger) permits(phone whatsapp.Phone) string {
	var out []string
	l.read(func(q *store.Snap) error {
		c, ok, err := contacts.Find(q, phone.Identity())
		if err != nil || !ok {
			return err
		}
		for _, category := range whatsapp.TemplateCategories {
			for number, unit := range map[string]string{"loja-sp": "varejo", "loja-rj": "varejo", "cobranca": ""} {
				s, err := Current(q, c.ID, category, Scopes(number, unit))
				if err != nil {
					return err
				}
				if s.Granted {
					out = append(out, fmt.Sprint(category, " ", number, " ", s.GrantedAt.UnixMilli()))
				}
			}
		}
		return nil
	})
	return strings.Join(slices.Sorted(slices.Values(out)), "; ")
}

// What was exported permits the same where it is imported, whatever happened
// before: scopes, revocations, several spellings, joined contacts.
func TestExportRoundTrip(t *testing.T) {
	tried := 0
	rapid.Check(t, func(rt *rapid.T) {
		if tried++; tried > 25 { // each makes two databases
			return
		}
		from, to := newLedger(t), newLedger(t)
		defer func() { _, _ = from.Close(), to.Close() }()
		phones := []whatsapp.Phone{"+12025550101", "+12025550102", "+12025550103", "+12025550104"}
		phone := rapid.SampledFrom(phones)
		for range rapid.IntRange(1, 25).Draw(rt, "events") {
			*from.clock = from.clock.Add(time.Second)
			p, at := phone.Draw(rt, "phone"), day(rapid.IntRange(1, 29).Draw(rt, "day"))
			category := rapid.SampledFrom(whatsapp.TemplateCategories).Draw(rt, "category")
			scope := rapid.SampledFrom([]string{"*", "loja-sp", "varejo", "cobranca"}).Draw(rt, "scope")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0: // Meta shows that two are one person
				other := phone.Draw(rt, "other")
				from.write(func(tx *store.Tx) error {
					_, err := contacts.Learn(tx, p.Identity(), other.Identity(), whatsapp.BSUID("US."+p.Digits()).Identity())
					return err
				})
			case 1, 2, 3:
				from.revoke(p.Identity(), category, scope, at)
			default:
				from.grant(p.Identity(), category, scope, at)
			}
		}
		first := from.export()
		if r := to.importExport(first); r.Rejected != 0 {
			rt.Fatalf("%+v\n%s", r, first)
		}
		for _, p := range phones {
			if a, b := from.permits(p), to.permits(p); a != b {
				rt.Errorf("%s: %q became %q\n%s", p.E164(), a, b, first)
			}
		}
	})
}

// Every row has its proof; people without a number, and the block in WhatsApp,
// are shown and not imported.
func TestExportRows(t *testing.T) {
	l := newLedger(t)
	l.write(func(tx *store.Tx) error {
		_, err := Record(tx, Grant{Identity: ana, Category: whatsapp.Marketing, Source: SourceAPI, Actor: "api:site", Purpose: "=1+1", At: day(1),
			Evidence: Evidence{Text: "Aceito; \"tudo\"\nou nada", Version: "v1", Origin: "web_form", Reference: "A-1", IP: "203.0.113.9"}})
		return err
	})
	l.revoke(ana, whatsapp.Marketing, ScopeMeta, day(2))
	l.grant(whatsapp.BSUID("BR.1").Identity(), whatsapp.Utility, ScopeAll, day(3))
	rows, err := csv.NewReader(bytes.NewReader(l.export())).ReadAll()
	if err != nil || len(rows) != 4 || strings.Join(rows[0], ",") != strings.Join(exportColumns, ",") {
		t.Fatalf("%q, %v", rows, err)
	}
	if got := strings.Join(rows[1][:11], "|"); got != "+5511900000001|marketing|grant|2026-03-01T12:00:00.000Z|*|'=1+1|Aceito; \"tudo\"\nou nada|v1|web_form|A-1|" {
		t.Error(got)
	}
	if rest := rows[1][14:]; rest[0] != "api" || rest[1] != "api:site" || !strings.Contains(rest[2], `"ip":"203.0.113.9"`) {
		t.Errorf("%q", rest)
	}
	if rows[3][0] != "" || rows[3][10] != "bsuid:BR.1" {
		t.Errorf("%q", rows[3])
	}
	r := newLedger(t).importExport(l.export())
	if r.Granted != 1 || r.Rejected != 2 || r.Reasons[ReasonUnknownScope] != 1 || r.Reasons["phone_empty"] != 1 {
		t.Errorf("%+v", r)
	}
}

// More events than a page, of one person and of many.
func TestExportOfManyPages(t *testing.T) {
	l := newLedger(t)
	l.write(func(tx *store.Tx) error {
		for i := range 2*exportPage + 3 {
			id := ana
			if i > exportPage+5 {
				id = whatsapp.Phone(fmt.Sprintf("+551190000%04d", i)).Identity()
			}
			if _, err := Record(tx, Grant{Identity: id, Category: whatsapp.Utility, Source: SourceAPI, At: day(1).Add(time.Duration(i) * time.Second)}); err != nil {
				return err
			}
		}
		return nil
	})
	rows, err := csv.NewReader(bytes.NewReader(l.export())).ReadAll()
	seen := map[string]bool{}
	for _, r := range rows[1:] {
		seen[r[12]] = true
	}
	if err != nil || len(rows) != 2*exportPage+4 || len(seen) != 2*exportPage+3 {
		t.Errorf("%d rows of %d events, %v", len(rows), len(seen), err)
	}
}
