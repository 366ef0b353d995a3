package otp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"janela/internal/account"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Report is what Doctor finds.
type Report struct {
	Findings []Finding       `json:"findings"` // of the configuration and of the templates, errors first
	Purposes []PurposeReport `json:"purposes"`
	Sends    []SendBound     `json:"sends"` // how many codes each kind of attacker can have sent
	Cost     CostReport      `json:"cost"`
	Weakest  string          `json:"weakest"` // what stands between an attacker and the bill, and the account
}

// PurposeReport is how likely a code of a purpose is guessed. A device that the
// caller calls trusted has guesses and sends of its own: whoever has one of the
// person's has twice as many.
type PurposeReport struct {
	Name       string     `json:"name"`
	Digits     int        `json:"digits"`
	TTL        string     `json:"ttl"`
	Untrusted  GuessBound `json:"untrusted"`
	Trusted    GuessBound `json:"trusted"`
	PhoneSends int        `json:"phone_sends_per_day"` // of each of the two; -1: only the service's cap bounds it
}

// CostReport is what a day can cost, in messages with a code: Meta's price
// depends on country and month.
type CostReport struct {
	SendsPerDay    int   `json:"sends_per_day"` // at most, whatever happens
	Sent           int64 `json:"sent_last_24h"` // as the cap counts: up to ten minutes more
	Left           int64 `json:"left"`
	FallbackPerDay int   `json:"fallback_per_day"` // at most, of the hook; each at the price of what it sends
}

var sqlBaselines = store.SQL(`SELECT country, most_verified FROM code_baselines`)

type baseline struct {
	country string
	most    int64
}

func (b *baseline) Fields() []any { return []any{&b.country, &b.most} }

// Doctor says what is unsafe, how likely a guess is, what a day can cost, and
// what is wrong with the templates as Meta lists them. It changes nothing.
func (o *OTP) Doctor(q store.Querier) (Report, error) {
	r := Report{Findings: Check(*o.cfg())}
	best := map[string]int64{}
	err := store.Each(q, sqlBaselines, func(b *baseline) error { best[b.country] = b.most; return nil })
	if err != nil {
		return Report{}, err
	}
	if r.Cost, err = o.cost(q); err != nil {
		return Report{}, err
	}
	lint, err := o.lintTemplates(q)
	if err != nil {
		return Report{}, err
	}
	r.Findings = append(r.Findings, lint...)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(a.Level, b.Level) })

	easiest := GuessBound{}
	for _, name := range purposeNames(*o.cfg()) {
		p := o.cfg().Purposes[name]
		l := o.cfg().limitsOf(p)
		guess := guessBound(l, p.Digits)
		trusted := guess
		trusted.Lock = -1
		r.Purposes = append(r.Purposes, PurposeReport{Name: name, Digits: p.Digits, TTL: p.TTL.String(), Untrusted: guess, Trusted: trusted, PhoneSends: phoneBound(l).sends})
		if guess.Day >= easiest.Day {
			easiest = guess
		}
		for i, b := range sendBounds(*o.cfg(), l, best) { // an attacker takes the purpose that suits them
			if i == len(r.Sends) {
				r.Sends = append(r.Sends, b)
			} else if b.Sends > r.Sends[i].Sends {
				r.Sends[i] = b
			}
		}
	}
	if len(r.Sends) > 0 {
		r.Weakest = weakest(*o.cfg(), r.Sends, easiest)
	}
	return r, nil
}

func (o *OTP) cost(q store.Querier) (CostReport, error) {
	c := CostReport{SendsPerDay: o.cfg().MaxSends}
	var err error
	if c.Sent, _, err = store.Value[int64](q, sqlSpent, bucketOf(store.Millis(q.Now())-day.Milliseconds())); err != nil {
		return c, err
	}
	c.Left = max(0, int64(c.SendsPerDay)-c.Sent)
	c.FallbackPerDay = fallbackBound(*o.cfg())
	return c, nil
}

// lintTemplates looks at every template of every purpose as Meta lists it.
func (o *OTP) lintTemplates(q store.Querier) (out []Finding, err error) {
	numbers, err := account.Numbers(q)
	if err != nil {
		return nil, err
	}
	for _, name := range purposeNames(*o.cfg()) {
		p, at := o.cfg().Purposes[name], "otp.purposes."+name
		number := cmp.Or(p.Number, o.cfg().Number)
		i := slices.IndexFunc(numbers, func(n account.Number) bool {
			return n.ID == number || n.Name == number || number == "" && len(numbers) == 1
		})
		if i < 0 {
			out = append(out, Finding{LevelError, "number", at + ".number", "the number that sends its codes is not in the configuration", "write the name of one of [[whatsapp.accounts.numbers]]"})
			continue
		}
		for _, use := range []struct {
			key, template string
			android       bool
		}{{"template", p.Template, false}, {"android_template", p.AndroidTemplate, true}} {
			if use.template == "" {
				continue
			}
			for _, language := range p.Languages {
				found, err := lintOne(q, at, use.key, whatsapp.TemplateRef{WABA: numbers[i].WABA, Name: use.template, Language: language}, p, use.android)
				if err != nil {
					return nil, err
				}
				out = append(out, found...)
			}
		}
	}
	return out, nil
}

func lintOne(q store.Querier, at, key string, ref whatsapp.TemplateRef, p Purpose, android bool) ([]Finding, error) {
	t, listed, err := account.Lookup(q, ref)
	if err != nil {
		return nil, err
	}
	if listed && !t.Missing {
		return lintTemplate(at+"."+key, t, p.TTL, android), nil
	}
	others, err := account.Languages(q, ref.WABA, ref.Name)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Meta lists no template %s", ref)
	if len(others) > 0 {
		return []Finding{{LevelError, "template_language", at + ".languages", text, fmt.Sprintf("it has %s: add the language in WhatsApp Manager, or take it out", strings.Join(others, ", "))}}, nil
	}
	return []Finding{{LevelError, "template_unknown", at + "." + key, text, "create it in WhatsApp Manager with the category Authentication, or mend the name"}}, nil
}
