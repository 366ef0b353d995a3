package whatsapp

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exact shows what masking types hide, for comparing in tests.
func exact(p ParsedPhone) string {
	return fmt.Sprintf("%s %s landline=%t repairs=%q", p.Phone.E164(), p.Region, p.Landline, p.Repairs)
}

func TestParsePhoneExampleRanges(t *testing.T) {
	for _, c := range []struct{ in, region, want string }{
		{"+12025550100", "", "+12025550100 US landline=false repairs=[]"},
		{"+1 202 555 0199", "BR", "+12025550199 US landline=false repairs=[]"},
		{"(202) 555-0123", "US", "+12025550123 US landline=false repairs=[]"},
		{"1 202 555 0123", "us", "+12025550123 US landline=false repairs=[]"},
		{"+5511900000001", "", "+5511900000001 BR landline=false repairs=[]"},
		{"+55 11 90000-0001", "", "+5511900000001 BR landline=false repairs=[]"},
		{"+55 (11) 90000-9999", "US", "+5511900009999 BR landline=false repairs=[]"},
		{"11 90000-0001", "BR", "+5511900000001 BR landline=false repairs=[]"},
		{"5511900000001", "BR", "+5511900000001 BR landline=false repairs=[]"},
		{"  '+5511900000001 ", "", "+5511900000001 BR landline=false repairs=[]"},
		{"+55.11.90000.0001", "", "+5511900000001 BR landline=false repairs=[]"},
		{"\u202a+55 11 90000\u20110001\u202c", "", "+5511900000001 BR landline=false repairs=[]"},
		{"+55\u00a011\u00a090000–0001", "", "+5511900000001 BR landline=false repairs=[]"},
		{"(+55) 11 90000-0001", "", "+5511900000001 BR landline=false repairs=[]"},
	} {
		p, err := ParsePhone(c.in, c.region)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got := exact(p); got != c.want {
			t.Errorf("%q, %q:\n got %s\nwant %s", c.in, c.region, got, c.want)
		}
	}
}

func TestParsePhoneRefuses(t *testing.T) {
	for _, c := range []struct{ in, region, kind, hint string }{
		{"", "BR", PhoneEmpty, ""},
		{" \t ", "BR", PhoneEmpty, ""},
		{"'", "BR", PhoneEmpty, ""},
		{"+", "BR", PhoneEmpty, ""},
		{"n/a", "BR", PhoneLetters, ""},
		{"1-800-FLOWERS", "US", PhoneLetters, ""},
		{"João +5511900000001", "", PhoneLetters, ""},
		{"+5511900000001 (mãe)", "", PhoneLetters, ""},
		{"https://wa.me/5511900000001", "", PhoneLetters, "link"},
		{"wa.me/5511900000001", "", PhoneLetters, "link"},
		{"tel:+5511900000001", "", PhoneLetters, "link"},
		{"5.5119E+12", "BR", PhoneScientific, "format the column as text"},
		{"5,5119E+12", "BR", PhoneScientific, "format the column as text"},
		{"'5.5119e12", "BR", PhoneScientific, "format the column as text"},
		{"5511900000001.0", "BR", PhoneScientific, "decimal"},
		{"551190000000.1", "BR", PhoneScientific, "decimal"},
		{"+12025550100 x12", "", PhoneExtension, ""},
		{"+12025550100 ext. 12", "", PhoneExtension, ""},
		{"+12025550100#12", "", PhoneExtension, ""},
		{"11 90000-0001 ramal 12", "BR", PhoneExtension, ""},
		{"11 90000-0001", "", PhoneNoRegion, "default_region"},
		{"11 90000-0001", "Brazil", PhoneNoRegion, "two letters"},
		{"12025550100", "BR", PhoneInvalid, "plus"},
		{"+55 11 90000-0001 / 0002", "", PhoneInvalid, "several"},
		{"+55 11 90000-0001, +55 11 90000-0002", "", PhoneInvalid, ""},
		{"+55 11 90000-0001 +55 11 90000-0002", "", PhoneInvalid, "one number"},
		{"+5511900000001*", "", PhoneInvalid, ""},
		{"005511900000001", "BR", PhoneInvalid, "plus"},
		{"+0011900000001", "", PhoneInvalid, ""},
		{"+999123456789", "", PhoneInvalid, ""},
		{"+1 202 555", "", PhoneShort, ""},
		{"123", "BR", PhoneShort, ""},
		{"+" + strings.Repeat("1", 30), "", PhoneInvalid, ""},
		{strings.Repeat(" +1", 60), "", PhoneInvalid, "longer"},
	} {
		p, err := ParsePhone(c.in, c.region)
		var pe *PhoneError
		if !errors.As(err, &pe) {
			t.Errorf("%q: accepted as %s, want %s", c.in, exact(p), c.kind)
			continue
		}
		if pe.Kind != c.kind || !strings.Contains(pe.Hint, c.hint) {
			t.Errorf("%q: kind %s, hint %q; want %s with %q", c.in, pe.Kind, pe.Hint, c.kind, c.hint)
		}
		if digitsOfInput(err.Error(), c.in) {
			t.Errorf("%q: the error repeats digits: %v", c.in, err)
		}
	}
}

var digitRun = regexp.MustCompile(`\d{4,}`)

func digitsOfInput(text, input string) bool {
	for _, run := range digitRun.FindAllString(text, -1) {
		if strings.Contains(input, run) {
			return true
		}
	}
	return false
}

type liveRow struct{ name, in, region, want, repaired, kind string }

func liveNumbers(t testing.TB) []liveRow {
	t.Helper()
	f, err := os.Open("testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []liveRow
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "=") {
			continue
		}
		c := strings.Split(line, "|")
		if len(c) != 6 {
			t.Fatalf("%d columns: %q", len(c), line)
		}
		for i := range c {
			c[i] = strings.TrimSpace(c[i])
		}
		rows = append(rows, liveRow{c[0], c[1], c[2], c[3], c[4], c[5]})
	}
	if len(rows) < 25 {
		t.Fatalf("only %d rows", len(rows))
	}
	return rows
}

func TestParsePhoneRepairs(t *testing.T) {
	for _, r := range liveNumbers(t) {
		p, err := ParsePhone(r.in, r.region)
		if r.kind != "" {
			var pe *PhoneError
			if !errors.As(err, &pe) || pe.Kind != r.kind {
				t.Errorf("%s: %s, %v; want kind %s", r.name, exact(p), err, r.kind)
			} else if digitsOfInput(err.Error(), r.in) {
				t.Errorf("%s: the error repeats digits: %v", r.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
			continue
		}
		if p.Phone.E164() != r.want {
			t.Errorf("%s: %s, want %s", r.name, p.Phone.E164(), r.want)
		}
		if got := strings.Join(p.Repairs, ";"); (r.repaired == "") != (got == "") || !strings.Contains(got, r.repaired) {
			t.Errorf("%s: repairs %q, want one about %q", r.name, got, r.repaired)
		}
		if want := strings.Contains(r.name, "landline") || strings.HasPrefix(r.name, "gb"); p.Landline != want {
			t.Errorf("%s: landline %t", r.name, p.Landline)
		}
		// A repaired number is final: reading it again changes nothing.
		again, err := ParsePhone(p.Phone.E164(), "")
		if err != nil || again.Phone != p.Phone || again.Repairs != nil {
			t.Errorf("%s: read again: %s, %v", r.name, exact(again), err)
		}
	}
}

func TestPhoneRegionAndZones(t *testing.T) {
	for _, c := range []struct{ phone, region, zones string }{
		{"+12025550100", "US", "America/New_York"},
		{"+5511900000001", "BR", "America/Sao_Paulo"},
		{"551190000001", "BR", "America/Sao_Paulo"}, // as Meta may write it, without the ninth digit
		{"+5591900000001", "BR", "America/Belem"},
		{"+5592900000001", "BR", "America/Manaus"},
		{"+5568900000001", "BR", "America/Rio_Branco"},
		{"+5581900000001", "BR", "America/Recife America/Noronha"},
		{"+5597900000001", "BR", "America/Manaus America/Eirunepe"},
		{"+5520900000001", "BR", ""},
		{"+55", "", ""},
		{"+999123", "", ""},
		{"", "", ""},
		{"BR.1502", "", ""},
	} {
		p := Phone(c.phone)
		if got := p.Region(); got != c.region {
			t.Errorf("%q: region %q, want %q", c.phone, got, c.region)
		}
		if diff := cmp.Diff(c.zones, strings.Join(p.Zones(), " ")); diff != "" {
			t.Errorf("%q: zones %s", c.phone, diff)
		}
	}
}

// The library shares its zone lists; a caller that sorts ours must not change
// the next answer.
func TestZonesAreCopies(t *testing.T) {
	const alaska = Phone("+19075550100")
	first := alaska.Zones()
	if len(first) < 2 {
		t.Fatalf("zones %v", first)
	}
	want := strings.Join(first, " ")
	first[0] = "Changed"
	if got := strings.Join(alaska.Zones(), " "); got != want {
		t.Errorf("zones %s, want %s", got, want)
	}
}

func TestIdentitiesMaskThemselves(t *testing.T) {
	for _, v := range []any{
		Phone("+5511900000001"), WaID("5511900000001"), BSUID("BR.15023945"), Wamid("wamid.HBgNNTUxMTkwMDAwMDAwMRUC"),
		Phone("+5511900000001").Identity(), WaID("5511900000001").Identity(), BSUID("BR.15023945").Identity(),
		Identity{}, Phone(""), Wamid("x"),
	} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "id", v)
		for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v %#v %s %q %d %x", v, v, v, v, v, v), log.String()} {
			for _, secret := range []string{"0000000", "15023945", "HBgN"} {
				if strings.Contains(text, secret) {
					t.Errorf("%T prints itself: %s", v, text)
				}
			}
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{"+12025550100", "+55 11 90000-0001", "'+55", "5.5E+12", "11 90000-0001", "＋５５", "+1 202 555 0100 x9", "00", "+(", "0"} {
		f.Add(s, "BR")
		f.Add(s, "")
	}
	for _, r := range liveNumbers(f) {
		f.Add(r.in, r.region)
	}
	f.Fuzz(func(t *testing.T, in, region string) {
		p, err := ParsePhone(in, region)
		if err != nil {
			var pe *PhoneError
			if !errors.As(err, &pe) || pe.Kind == "" || pe.Hint == "" {
				t.Fatalf("%q: not a PhoneError with kind and hint: %#v", in, err)
			}
			return
		}
		e164 := p.Phone.E164()
		if len(e164) < 8 || len(e164) > 16 || e164[0] != '+' || !onlyDigits(e164[1:]) {
			t.Fatalf("%q gives %q", in, e164)
		}
		again, err := ParsePhone(e164, "")
		if err != nil || again.Phone != p.Phone || again.Region != p.Region || again.Landline != p.Landline || again.Repairs != nil {
			t.Fatalf("%q gives %s, and that gives %s, %v", in, exact(p), exact(again), err)
		}
		if len(p.Repairs) == 0 && !strings.Contains(foldDigits(in), lastDigits(e164, 5)) {
			t.Fatalf("%q gives %q: digits changed without a warning", in, e164)
		}
	})
}

// foldDigits keeps the digits of a text, full width ones folded.
func foldDigits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		}
		return -1
	}, s)
}

func lastDigits(s string, n int) string { return s[len(s)-n:] }

func BenchmarkParsePhoneClean(b *testing.B) {
	for b.Loop() {
		if _, err := ParsePhone("+5511900000001", "BR"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePhoneLibrary(b *testing.B) {
	for b.Loop() {
		if _, err := parseWritten(written{digits: "5511900000001", plus: true}, "BR"); err != nil {
			b.Fatal(err)
		}
	}
}
