package whatsapp

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// verdict is everything ParsePhone says, as one comparable text.
func verdict(p ParsedPhone, err error) string {
	if err != nil {
		return err.Error()
	}
	return exact(p)
}

// sameVerdict checks that the cheap rules, where they answer, say what the full
// plans say.
func sameVerdict(t interface{ Errorf(string, ...any) }, digits string) (answered bool) {
	plan, ok := quickPlan(digits)
	if !ok {
		return false
	}
	quick := ParsedPhone{Phone: Phone("+" + digits), Region: plan.region, Landline: plan.landline}
	slow, err := parseWritten(written{digits: digits, plus: true}, "")
	if verdict(quick, nil) != verdict(slow, err) {
		t.Errorf("+%s: quick %s, full %s", digits, verdict(quick, nil), verdict(slow, err))
	}
	return true
}

// Every area code of the table, each leading digit of the local number.
func TestQuickPlanAgreesOnEveryArea(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	answered := 0
	try := func(digits string) {
		if sameVerdict(t, digits) {
			answered++
		}
	}
	for area := range 1000 {
		for first := range 10 {
			if areasUS[area] || areasCA[area] {
				try(fmt.Sprintf("1%03d%d%06d", area, first, rng.IntN(1e6)))
			}
			if areasMX[area] {
				try(fmt.Sprintf("52%03d%d%06d", area, first, rng.IntN(1e6)))
			}
		}
	}
	for area := range 100 {
		for first := range 10 {
			try(fmt.Sprintf("55%02d%d%07d", area, first, rng.IntN(1e7)))
			try(fmt.Sprintf("55%02d9%d%07d", area, first, rng.IntN(1e7)))
		}
	}
	for first := range 100 {
		try(fmt.Sprintf("54911%02d%06d", first, rng.IntN(1e6)))
		try(fmt.Sprintf("34%02d%07d", first, rng.IntN(1e7)))
		try(fmt.Sprintf("3519%02d%06d", first, rng.IntN(1e6)))
		try(fmt.Sprintf("51%02d%07d", first, rng.IntN(1e7)))
	}
	if answered < 6000 {
		t.Errorf("only %d numbers were answered by the quick rules", answered)
	}
}

func TestQuickPlanAgreesProperty(t *testing.T) {
	heads := []string{"1", "12", "1202", "52", "521", "5255", "54", "549", "54911", "55", "5511", "55119", "55113", "34", "346", "351", "35191", "51", "519", "44", "49", ""}
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.SampledFrom(heads).Draw(t, "head")
		tail := rapid.StringMatching(`[0-9]{6,11}`).Draw(t, "tail")
		sameVerdict(t, head+tail)
	})
}

// Numbers without a plus take the same short way; it must not decide anything
// the long way would decide otherwise.
func TestQuickNationalAgreesProperty(t *testing.T) {
	shapes := map[string][]string{
		"BR": {`[1-9][1-9]9[0-9]{8}`, `[1-9][1-9][2-5][0-9]{7}`, `55[1-9][1-9]9?[0-9]{8}`, `55[0-9]{8,11}`, `[0-9]{8,13}`},
		"US": {`[2-9][0-9]{2}[2-9][0-9]{6}`, `1[2-9][0-9]{9}`, `[0-9]{9,11}`},
		"CA": {`[2-9][0-9]{2}[2-9][0-9]{6}`, `1[2-9][0-9]{9}`},
		"MX": {`[2-9][0-9]{9}`, `52[0-9]{10}`, `52[0-9]{8}`, `[0-9]{9,13}`},
		"AR": {`[0-9]{9,13}`},
	}
	rapid.Check(t, func(t *rapid.T) {
		region := rapid.SampledFrom([]string{"BR", "US", "CA", "MX", "AR"}).Draw(t, "region")
		digits := rapid.StringMatching(rapid.SampledFrom(shapes[region]).Draw(t, "shape")).Draw(t, "digits")
		quick := verdict(ParsePhone(digits, region))
		slow := verdict(parseWritten(written{digits: digits}, region))
		if quick != slow {
			t.Errorf("%s in %s: quick %s, full %s", digits, region, quick, slow)
		}
	})
}
