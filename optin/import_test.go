package optin

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/csvfile"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func options(name string) ImportOptions {
	return ImportOptions{Name: name, DefaultRegion: "BR", Zone: "America/Sao_Paulo", Actor: "ana@example.com"}
}

func (l *ledger) importing(content string, opt ImportOptions) (Report, error) {
	return ImportCSV(l.Context(), l.DB, strings.NewReader(content), opt)
}

var sqlEvents = store.SQL(`SELECT e.line FROM (SELECT i.value || ' ' || e.category || ' ' || e.kind || ' ' || e.scope || ' ' || e.at || ' ' || e.purpose || ' ' || e.evidence AS line, e.id
	FROM consent_events e JOIN identities i ON i.contact_id = e.contact_id) e ORDER BY e.id`)

// events lists the whole ledger, for comparing.
func (l *ledger) events() (out []string) {
	l.Helper()
	l.read(func(q *store.Snap) error {
		return store.Each(q, sqlEvents, func(c *store.Col[string]) error { out = append(out, c.V); return nil })
	})
	return out
}

func TestImportFixtures(t *testing.T) {
	for _, c := range []struct {
		file string
		opt  func(*ImportOptions)
	}{
		{"excel-br.csv", func(*ImportOptions) {}},
		{"windows-1252.csv", func(*ImportOptions) {}},
		{"english.csv", func(o *ImportOptions) { o.DefaultRegion = "US" }},
		{"stop-list.csv", func(o *ImportOptions) { o.Revocations, o.DefaultCategory = true, "marketing" }},
		{"spanish.csv", func(o *ImportOptions) {
			o.DefaultRegion, o.Zone, o.Columns = "ES", "Europe/Madrid", map[string]string{"status": "estado"}
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			l := newLedger(t)
			content, err := os.ReadFile(filepath.Join("testdata/import", c.file))
			if err != nil {
				t.Fatal(err)
			}
			var rejects bytes.Buffer
			opt := options(c.file)
			opt.Rejects = &rejects
			c.opt(&opt)
			report, err := l.importing(string(content), opt)
			if err != nil {
				t.Fatal(err)
			}
			if sum := report.Granted + report.Revoked + report.Unchanged + report.Rejected; sum != report.Rows {
				t.Errorf("%d rows, the parts add up to %d", report.Rows, sum)
			}
			report.ImportID = 0
			shown, err := json.MarshalIndent(report, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%s\n-- rejects --\n%s-- ledger --\n%s\n", shown, rejects.String(), strings.Join(l.events(), "\n"))
			golden := filepath.Join("testdata/import", strings.TrimSuffix(c.file, ".csv")+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("report (-want +got); run with -update if it is right:\n%s", diff)
			}

			before := l.events()
			again, err := l.importing(string(content), opt)
			if err != nil {
				t.Fatal(err)
			}
			if !again.Already || again.Granted+again.Revoked != 0 || again.Rows != report.Rows {
				t.Errorf("the same bytes again: %+v", again)
			}
			if diff := cmp.Diff(before, l.events()); diff != "" {
				t.Errorf("the same bytes again changed the ledger:\n%s", diff)
			}
		})
	}
}

func TestImportRefusesTheFile(t *testing.T) {
	l := newLedger(t)
	const head = "phone,category,consented_at\n"
	for _, c := range []struct{ content, want string }{
		{"", "the file is empty"},
		{"\ufeff \n", "the file is empty"},
		{"\xff\xfep\x00h\x00", "UTF-16"},
		{"PK\x03\x04....", "spreadsheet"},
		{"<!DOCTYPE html><html>", "HTML"},
		{`{"phone": 1}`, "JSON"},
		{head + "+55119000\x0000001,marketing,2026-03-01\n", "NUL"},
		{head + "+5511900000001,marketing,2026-03-01,Não\n+5511900000001,marketing,2026-03-01,N\xe3o\n", "mixes UTF-8 (line 2) and Windows-1252 (line 3)"},
		{"sep=;", "no header"},
		{"nome;cidade\nAna;SP\n", `no column of phone numbers; say which it is, the header has "nome", "cidade"`},
		{"telefone;celular;categoria;data\n1;2;3;4\n", `phone could be "telefone", "celular"`},
		{"phone;consented_at\n", "no column of categories"},
		{"phone;category\n", "no column of dates"},
		{head + "\"" + strings.Repeat("never closed ", 200_000), "opened and never closed"},
	} {
		report, err := l.importing(c.content, options("x.csv"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: error %v, want %q", c.content, err, c.want)
		}
		if report.Granted != 0 {
			t.Errorf("%.40q: %+v", c.content, report)
		}
	}
	for _, c := range []struct {
		want  string
		spoil func(*ImportOptions)
	}{
		{"file's name", func(o *ImportOptions) { o.Name = "" }},
		{"time zone", func(o *ImportOptions) { o.Zone = "" }},
		{`time zone "Brasilia"`, func(o *ImportOptions) { o.Zone = "Brasilia" }},
		{`source "fax"`, func(o *ImportOptions) { o.Source = "fax" }},
		{"default category", func(o *ImportOptions) { o.DefaultCategory = "all" }},
		{`no column "fon" for phone`, func(o *ImportOptions) { o.Columns = map[string]string{"phone": "fon"} }},
		{`no field "fon"`, func(o *ImportOptions) { o.Columns = map[string]string{"fon": "phone"} }},
		{"cannot be both", func(o *ImportOptions) { o.Columns = map[string]string{"purpose": "category"} }},
	} {
		opt := options("x.csv")
		c.spoil(&opt)
		if _, err := l.importing(head, opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", c.want, err)
		}
	}
	if got := l.events(); got != nil {
		t.Errorf("recorded: %v", got)
	}
}

func TestImportKeepsLaterRevocations(t *testing.T) {
	l := newLedger(t)
	l.revoke(ana, whatsapp.Marketing, "", day(10))
	report, err := l.importing("phone,category,consented_at\n+5511900000001,marketing,2026-03-10\n", options("old.csv"))
	if err != nil || report.Granted != 0 || report.Unchanged != 1 || report.Overruled != 1 {
		t.Errorf("an older grant: %+v, %v", report, err)
	}
	if l.state(ana, whatsapp.Marketing).Granted {
		t.Error("an import brought back somebody who had revoked")
	}
	report, err = l.importing("phone,category,consented_at\n+5511900000001,marketing,2026-03-11\n", options("new.csv"))
	if err != nil || report.Granted != 1 || !l.state(ana, whatsapp.Marketing).Granted {
		t.Errorf("a later grant: %+v, %v", report, err)
	}
}

// A date alone must let the revocation of that day win.
func TestImportSameDay(t *testing.T) {
	l := newLedger(t)
	content := "phone,category,status,consented_at\n+5511900000001,marketing,revoke,10/03/2026\n+5511900000001,marketing,grant,10/03/2026 18:00\n"
	if _, err := l.importing(content, options("x.csv")); err != nil {
		t.Fatal(err)
	}
	if l.state(ana, whatsapp.Marketing).Granted {
		t.Error("granted")
	}
}

func TestImportedRevocationsCancel(t *testing.T) {
	l := newLedger(t)
	phone, _ := ninth(t)
	r := l.grant(phone, whatsapp.Marketing, "", day(1))
	msg := l.queue(r.Contact, phone, whatsapp.Marketing, "101")
	opt := options("stop.csv")
	opt.Revocations, opt.DefaultCategory = true, "all"
	var told []int64
	opt.OnOutcome = func(_ *store.Tx, out []outbox.Outcome) error { told = append(told, messages(out)...); return nil }
	content := "numero\n" + phone.Value + "\n"
	report, err := l.importing(content, opt)
	if err != nil || report.Revoked != 1 || report.Cancelled != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if diff := cmp.Diff([]int64{msg}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	*l.clock = l.clock.Add(time.Hour)
	l.grant(phone, whatsapp.Marketing, "", day(30).Add(30*time.Minute))
	if again, err := l.importing(content, opt); err != nil || !again.Already || !l.state(phone, whatsapp.Marketing).Granted {
		t.Errorf("the list of before revokes again: %+v, %v", again, err)
	}
	opt.Revocations, opt.DefaultCategory, opt.DefaultTime = false, "utility", day(2)
	if other, err := l.importing(content, opt); err != nil || other.Already || other.Granted != 0 || other.Overruled != 1 {
		t.Errorf("the same bytes in another way: %+v, %v", other, err)
	}
}

// broken fails after some bytes of the second reading, as a disk or a client does.
type broken struct {
	*strings.Reader
	seeks, after int
}

var errBroken = errors.New("broken")

func (b *broken) Seek(offset int64, whence int) (int64, error) {
	b.seeks++
	return b.Reader.Seek(offset, whence)
}

func (b *broken) Read(p []byte) (int, error) {
	if b.seeks >= 2 && b.Size()-int64(b.Len()) > int64(b.after) {
		return 0, errBroken
	}
	return b.Reader.Read(p[:min(len(p), 1000)])
}

// file makes a CSV of n people in the range of example numbers (continued in
// other area codes above 10,000), shuffled.
func file(n int) string {
	var b strings.Builder
	b.WriteString("telefone;categoria;data;texto\n")
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		area := []int{11, 12, 13, 14, 15, 16, 17, 18, 19, 21}[i/10_000]
		fmt.Fprintf(&b, "+55%d90000%04d;marketing;2026-03-05;Aceito receber ofertas\n", area, i%10_000)
	}
	return b.String()
}

func TestInterruptedImportGoesOn(t *testing.T) {
	l := newLedger(t)
	content := file(1000)
	report, err := ImportCSV(l.Context(), l.DB, &broken{Reader: strings.NewReader(content), after: len(content) / 2}, options("x.csv"))
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("error %v", err)
	}
	done := len(l.events())
	if done == 0 || done == 1000 || report.Granted != done {
		t.Fatalf("%d events, report %+v", done, report)
	}
	second, err := l.importing(content, options("x.csv"))
	if err != nil || second.Already || second.ImportID != report.ImportID || second.Granted != 1000-done || second.Unchanged != done {
		t.Errorf("second try: %+v, %v", second, err)
	}
	third, err := l.importing(content, options("x.csv"))
	if err != nil || !third.Already || third.ImportID != report.ImportID || third.Unchanged != 1000 || len(l.events()) != 1000 {
		t.Errorf("third try: %+v, %v", third, err)
	}
}

func TestRejectedRowsAreTriedAgain(t *testing.T) {
	l := newLedger(t)
	content := "phone,category,consented_at,scope\n+5511900000001,marketing,2026-03-05,filial\n+12025550101,marketing,2026-03-05,\n"
	first, err := l.importing(content, options("x.csv"))
	if err != nil || first.Reasons[ReasonUnknownScope] != 1 || first.Granted != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	l.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlPutNumber, "104", "filial", ""); return err })
	second, err := l.importing(content, options("x.csv"))
	if err != nil || !second.Already || second.Granted != 1 || second.Unchanged != 1 || second.Rejected != 0 {
		t.Errorf("after the number was configured: %+v, %v", second, err)
	}
}

func TestRejectsAreBounded(t *testing.T) {
	l := newLedger(t)
	var rejects bytes.Buffer
	opt := options("x.csv")
	opt.Rejects = &rejects
	report, err := l.importing("phone,category,consented_at\n"+strings.Repeat("nobody,marketing,2026-03-05\n", 500), opt)
	if err != nil || report.Rejected != 500 || len(report.Rejects) != shownRejects {
		t.Errorf("%d rejected, %d shown, %v", report.Rejected, len(report.Rejects), err)
	}
	if lines := strings.Count(rejects.String(), "\n"); lines != 501 {
		t.Errorf("%d lines of rejects", lines)
	}
}

func TestDefuse(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Ana": "Ana", "+55 (11) 90000-0001": "+55 (11) 90000-0001", "-12,50": "-12,50",
		"=1+1": "'=1+1", "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0", "@SUM(A1)": "'@SUM(A1)", "-2+3+cmd": "'-2+3+cmd", "\t=1": "'\t=1",
	} {
		if got := defuse(in); got != want {
			t.Errorf("defuse(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseWhen(t *testing.T) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, want string
		end      bool
	}{
		{"2026-03-05T10:00:00Z", "2026-03-05T10:00:00Z", false},
		{"2026-03-05T10:00:00.250-03:00", "2026-03-05T13:00:00.25Z", true},
		{"2026-03-05 10:00:00-03:00", "2026-03-05T13:00:00Z", false},
		{"2026-03-05T10:00", "2026-03-05T13:00:00Z", false},
		{"2026-03-05 10:00:30", "2026-03-05T13:00:30Z", true},
		{"2026-03-05", "2026-03-05T03:00:00Z", false},
		{"2026-03-05", "2026-03-06T02:59:59.999Z", true},
		{"05/03/2026", "2026-03-05T03:00:00Z", false},
		{"5/3/2026 9:05", "2026-03-05T12:05:00Z", false},
		{"05/03/2026, 14:30:00", "2026-03-05T17:30:00Z", false},
		{"31/12/2025", "2026-01-01T02:59:59.999Z", true},
	} {
		got, err := parseWhen(c.in, zone, c.end)
		if err != nil || got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("parseWhen(%q, end=%t) = %v, %v; want %s", c.in, c.end, got, err, c.want)
		}
	}
	for _, in := range []string{"", "ontem", "03/25/2026", "2026-02-30", "05/03/26", "20260305", "46086", "1772668800", "2026-03-05T25:00:00"} {
		if got, err := parseWhen(in, zone, false); err == nil {
			t.Errorf("parseWhen(%q) = %v", in, got)
		}
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, s := range []string{"2026-03-05T10:00:00Z", "05/03/2026 14:30", "2026-03-05", "9999-12-31", "0001-01-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, err := parseWhen(s, time.UTC, false)
		last, err2 := parseWhen(s, time.UTC, true)
		if (err == nil) != (err2 == nil) || last.Before(first) || last.Sub(first) >= 24*time.Hour {
			t.Errorf("%q: %v %v, %v %v", s, first, err, last, err2)
		}
	})
}

// Whatever the bytes are, a file is refused, or every row is understood or
// rejected with a reason.
func FuzzRows(f *testing.F) {
	fixtures, err := filepath.Glob("testdata/import/*.csv")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range fixtures {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		imp, err := newImporter(options("x.csv"))
		if err != nil {
			t.Fatal(err)
		}
		if imp.open(bytes.NewReader(b)) != nil {
			return
		}
		imp.scopes = []string{ScopeAll}
		for row := (csvfile.Row{}); imp.table.Next(&row) == nil; {
			e, no := imp.read(&row)
			if no == nil && (row.Line != e.Evidence.Line || e.Identity.Value == "" || !slices.Contains(e.categories, e.Category)) {
				t.Fatalf("line %d: %+v", row.Line, e)
			}
			if no != nil && (no.Line != row.Line || no.Reason == "" || no.Detail == "") {
				t.Fatalf("line %d: %+v", row.Line, no)
			}
			_ = defused(row.Fields)
		}
	})
}

// BenchmarkImport imports 100,000 grants of people not known before.
func BenchmarkImport(b *testing.B) {
	content := file(100_000)
	for b.Loop() {
		l := newLedger(b)
		start := time.Now()
		report, err := l.importing(content, options("x.csv"))
		if err != nil || report.Granted != 100_000 {
			b.Fatalf("%+v, %v", report, err)
		}
		b.ReportMetric(100_000/time.Since(start).Seconds(), "rows/s")
	}
}
