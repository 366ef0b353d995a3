package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWaIDProperties states the rule of the ninth digit over all numbers: one
// person has one id, however the number is written.
func TestWaIDProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Int64().Draw(t, "seed")
		ddd := rapid.IntRange(11, 99).Draw(t, "ddd")
		eight := rapid.IntRange(60000000, 99999999).Draw(t, "subscriber")
		with, without := fmt.Sprintf("55%d9%d", ddd, eight), fmt.Sprintf("55%d%d", ddd, eight)
		id := waID(seed, with)
		if id != waID(seed, without) || id != waID(seed, id) {
			t.Fatalf("%s and %s are one person, ids %s and %s", with, without, id, waID(seed, without))
		}
		if id != with && id != without {
			t.Fatalf("%s became %s", with, id)
		}
		if ddd <= 28 && id != with {
			t.Fatalf("%s lost its ninth digit", with)
		}
	})
}

func TestWaID(t *testing.T) {
	stripped := 0
	for i := range 1000 {
		if len(waID(7, fmt.Sprintf("55%d9%d", 31+i%60, 80000000+i))) == 12 {
			stripped++
		}
	}
	if stripped < 420 || stripped > 580 {
		t.Errorf("%d of 1,000 lost the ninth digit, want about half", stripped)
	}
	landline, mexican := "5531"+"3"+"2000000", "52"+"5500000000"
	for in, want := range map[string]string{
		"5511900000001": "5511900000001", "12025550101": "12025550101",
		landline: landline, mexican: "521" + mexican[2:], "521" + mexican[2:]: "521" + mexican[2:],
	} {
		if got := waID(7, in); got != want {
			t.Errorf("waID(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	id := wamid("5511900000001", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, false)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(id, "wamid."))
	if err != nil || !strings.Contains(string(raw), "5511900000001") || !strings.Contains(string(raw), "010203040506070809") {
		t.Errorf("%s: %v %q", id, err, raw)
	}
	for n := 1; n <= 18; n++ {
		if d := decimal(int64(n), n, "x"); len(d) != n || d[0] == '0' || digitsOf(d) != d {
			t.Errorf("decimal of %d: %s", n, d)
		}
	}
	if b := bsuid(7, "5511900000001"); !strings.HasPrefix(b, "BR.") || !isBSUID(b) {
		t.Errorf("bsuid %s", b)
	}
	// Two samples of Meta's.
	for sent, want := range map[int64]int64{1750030073: 1750116480, 1750857384: 1750943820} {
		if got := expiration(sent); got != want {
			t.Errorf("expiration(%d) = %d, want %d", sent, got, want)
		}
	}
}

func TestASCIIJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		raw, err := asciiJSON(map[string]string{"x": text})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(raw, &back); err != nil || back["x"] != text {
			t.Fatalf("%q came back as %q: %v", text, back["x"], err)
		}
		for _, b := range raw {
			if b >= 0x80 {
				t.Fatalf("not ASCII: %s", raw)
			}
		}
	})
}

// TestChancesAreIndependent changes one chance and expects no other draw to move.
func TestChancesAreIndependent(t *testing.T) {
	a, b := Default(), Default()
	b.Undeliverable, b.DuplicateWebhook, b.AnswerLatency = 1, 0, Span{}
	fa, fb := a.fate(dice(1, "k")), b.fate(dice(1, "k"))
	if fa.sent != fb.sent || fa.read != fb.read || fa.readDue != fb.readDue || fa.heldFor != fb.heldFor {
		t.Errorf("%+v\n%+v", fa, fb)
	}
}

func TestShape(t *testing.T) {
	for _, one := range DefaultTemplates("1") {
		if _, err := shapeOf(one.Components); err != nil {
			t.Errorf("%s: %v", one.Name, err)
		}
	}
	sh, err := shapeOf(json.RawMessage(`[{"type":"body","text":"{{2}} {{ nome }} {{2}}"},{"type":"PRODUCTS"}]`))
	if err != nil || fmt.Sprint(sh.bodyVars) != "[2 nome]" || sh.refused != "PRODUCTS component" {
		t.Errorf("%+v %v", sh, err)
	}
	for components, refused := range map[string]string{
		`[{"type":"HEADER","format":"GIF"},{"type":"BODY","text":"x"}]`:                                                                     "GIF header",
		`[{"type":"BODY","text":"x"},{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"PRODUCT"}]}]}]`:                  "card with a PRODUCT header",
		`[{"type":"BODY","text":"x"},{"type":"CAROUSEL","cards":[{"components":[{"type":"CAROUSEL"}]}]}]`:                                   "CAROUSEL component",
		`[{"type":"BODY","text":"x"},{"type":"CAROUSEL","cards":[{"components":[{"type":"HEADER","format":"VIDEO"},{"type":"BUTTONS"}]}]}]`: "",
	} {
		if sh, err := shapeOf(json.RawMessage(components)); err != nil || sh.refused != refused {
			t.Errorf("%s: %q, %v", components, sh.refused, err)
		}
	}
	if got := hydrate("{{2}} {{ nome }}", map[string]string{"2": "{{nome}}", "nome": "Ana"}); got != "{{nome}} Ana" {
		t.Errorf("hydrate: %q", got)
	}
	if got := fmt.Sprint(splitFields("id, throughput{level,x},health_status.limit(2),name")); got != "[id throughput health_status name]" {
		t.Errorf("fields: %s", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"real token":      func(c *Config) { c.Token = "EAAGm0PX4ZCps" },
		"long token":      func(c *Config) { c.Token = strings.Repeat("x", 61) },
		"no token":        func(c *Config) { c.Token = "" },
		"no secret":       func(c *Config) { c.AppSecret = "" },
		"no number":       func(c *Config) { c.WABAs = nil; c.Templates = nil },
		"id twice":        func(c *Config) { c.WABAs[0].Numbers[1].ID = numA },
		"id of letters":   func(c *Config) { c.WABAs[0].ID = "abc" },
		"foreign waba":    func(c *Config) { c.Templates[0].WABA = "1" },
		"no body":         func(c *Config) { c.Templates[0].Components = json.RawMessage(`[]`) },
		"category":        func(c *Config) { c.Templates[0].Category = "TRANSACTIONAL" },
		"chance":          func(c *Config) { c.Profile.ReadChance = 1.5 },
		"batch":           func(c *Config) { c.Profile.Batch = 1001 },
		"url":             func(c *Config) { c.WebhookURL = "localhost:80" },
		"rate":            func(c *Config) { c.RatePerSecond = -1 },
		"journal nowhere": func(c *Config) { c.Journal = "/nonexistent/journal" },
	} {
		cfg := testConfig()
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.HasPrefix(err.Error(), "sandbox: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetToken("EAAx"); err == nil {
		t.Error("SetToken took a real one")
	}
}

func TestBackoff(t *testing.T) {
	p := Profile{}.filled()
	for tries, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 9: 512 * time.Second, 10: 10 * time.Minute, 60: 10 * time.Minute} {
		if got := backoff(p, tries); got != want {
			t.Errorf("backoff(%d) = %v, want %v", tries, got, want)
		}
	}
}
