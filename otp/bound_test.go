package otp

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGuessBound(t *testing.T) {
	near := func(got, want float64) bool { return math.Abs(got-want) <= want*0.002 }
	for _, c := range []struct {
		failures, digits int
		day, year        float64
	}{
		{15, 6, 1.5e-5, 0.00546}, {15, 7, 1.5e-6, 0.000547}, {15, 8, 1.5e-7, 5.475e-5}, {100, 6, 1e-4, 0.03584}, {1_000_000, 6, 1, 1}, {5_000_000, 6, 1, 1},
	} {
		b := guessBound(Limits{Failures: c.failures, Lock: 100}, c.digits)
		if b.Guesses != c.failures || b.Lock != 100 || !near(b.Day, c.day) || !near(b.Year, c.year) {
			t.Errorf("%d failures, %d digits: %+v, want %g and %g", c.failures, c.digits, b, c.day, c.year)
		}
	}
	if b := guessBound(Limits{Failures: -1}, 6); b.Guesses != -1 || b.Day != 1 || b.Year != 1 {
		t.Errorf("without failures_day: %+v", b)
	}
}

func TestSendBounds(t *testing.T) {
	type bound struct {
		First, Rule string
		Sends       int
	}
	off := quietLimits()
	for _, c := range []struct {
		name   string
		max    int
		limits func(*Limits)
		best   map[string]int64
		want   [5]bound // phone, address, range, country, everywhere
	}{
		{"as it comes", 1000, func(*Limits) {}, nil, [5]bound{
			{ruleCooldown, rulePhoneDay, 10}, {ruleIPPhones, ruleCountryDay, 40}, {rulePrefix, ruleCountryDay, 20}, {ruleCountryHour, ruleCountryDay, 20}, {ruleCountryHour, ruleCountryDay, 40}}},
		{"after good days in Brazil", 1000, func(*Limits) {}, map[string]int64{"BR": 600}, [5]bound{
			{ruleCooldown, rulePhoneDay, 10}, {ruleIPPhones, ruleIPDay, 100}, {rulePrefix, rulePrefix, 240}, {ruleCountryHour, ruleCountryDay, 600}, {ruleCountryHour, ruleCountryDay, 620}}},
		{"so good that the cap is less", 500, func(*Limits) {}, map[string]int64{"BR": 600}, [5]bound{
			{ruleCooldown, rulePhoneDay, 10}, {ruleIPPhones, ruleIPDay, 100}, {rulePrefix, rulePrefix, 240}, {ruleCountryHour, ruleCap, 500}, {ruleCountryHour, ruleCap, 500}}},
		{"no limits of countries", 1000, func(l *Limits) { l.CountryDay, l.CountryHour = -1, -1 }, nil, [5]bound{
			{ruleCooldown, rulePhoneDay, 10}, {ruleIPPhones, ruleIPDay, 100}, {rulePrefix, rulePrefix, 240}, {ruleCap, ruleCap, 1000}, {ruleCap, ruleCap, 1000}}},
		{"an hour only", 1000, func(l *Limits) { l.PhoneDay, l.CountryDay = -1, -1 }, nil, [5]bound{
			{ruleCooldown, rulePhoneHour, 120}, {ruleIPPhones, ruleIPDay, 100}, {rulePrefix, rulePrefix, 240}, {ruleCountryHour, ruleCountryHour, 240}, {ruleCountryHour, ruleCountryDay, 480}}},
		{"nothing", 1000, func(l *Limits) { *l = off }, nil, [5]bound{
			{ruleCap, ruleCap, 1000}, {ruleCap, ruleCap, 1000}, {ruleCap, ruleCap, 1000}, {ruleCap, ruleCap, 1000}, {ruleCap, ruleCap, 1000}}},
	} {
		l := DefaultLimits()
		c.limits(&l)
		cfg := Config{MaxSends: c.max, Countries: []string{"PT", "BR"}, Limits: l}
		var got [5]bound
		bounds := sendBounds(cfg, l, c.best)
		for i, b := range bounds {
			got[i] = bound{b.First, b.Rule, b.Sends}
			if !strings.Contains(b.Text, b.Attack) || !strings.Contains(b.Text, b.Rule) {
				t.Errorf("%s: %q", c.name, b.Text)
			}
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(bound{})); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		words := weakest(cfg, bounds, guessBound(l, 6))
		if last := bounds[4]; !strings.Contains(words, last.Rule) || strings.Contains(words, "no other limit") != (last.Rule == ruleCap) ||
			strings.Contains(words, "nothing ends it") != (l.Failures < 0) {
			t.Errorf("%s: %s", c.name, words)
		}
	}
}
