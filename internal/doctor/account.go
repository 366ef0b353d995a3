package doctor

import (
	"context"
	"fmt"
	"strings"

	"janela/internal/whatsapp/cloudapi"
)

var (
	accountUnseen  = declare("accounts", "not_seen", FAIL, "account {account} cannot be read: {why}", "give the system user the account: business.facebook.com, Settings, System users, Assign assets, WhatsApp accounts, with full control; if the id is wrong, correct it: janela connect lists those that the token sees")
	accountReview  = declare("accounts", "not_approved", WARN, "Meta has not approved account {account}: {status}", "WhatsApp Manager, Account overview, says what is missing")
	accountBlocked = declare("accounts", "blocked", FAIL, "account {account} may not send: {why}", "{solution}")
	accountLimited = declare("accounts", "limited", WARN, "account {account} may send with limits: {why}", "{solution}")
)

func (l *look) accounts(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	var o outcome
	seen := 0
	for a, t := range l.reached() {
		seen++
		acc, err := t.client.Account(ctx, a.ID)
		if err != nil {
			words, _ := metaWords(err)
			o.found = append(o.found, accountUnseen.of("account", a.ID, "why", words))
			continue
		}
		if acc.ReviewStatus != "" && acc.ReviewStatus != "APPROVED" {
			o.found = append(o.found, accountReview.of("account", a.ID, "status", acc.ReviewStatus))
		}
		o.found = append(o.found, canSend(acc.Health, accountBlocked, accountLimited, "account", a.ID)...)
		o.ok = strings.TrimPrefix(o.ok+", "+acc.Name+" ("+acc.ID+")", ", ")
	}
	if seen == 0 {
		return outcome{skip: "no token is good"}
	}
	return o
}

// canSend says why Meta lets something not send.
func canSend(h cloudapi.Health, blocked, limited *fault, pairs ...string) []Finding {
	f := blocked
	switch h.CanSend {
	case "BLOCKED":
	case "LIMITED":
		f = limited
	default:
		return nil
	}
	var why, ways []string
	for _, e := range h.Entities {
		for _, x := range e.Errors {
			why = append(why, fmt.Sprintf("%s: %s (%d)", strings.ToLower(e.Type), x.Description, x.Code))
			if x.Solution != "" {
				ways = append(ways, x.Solution)
			}
		}
		why = append(why, e.Info...)
	}
	if len(why) == 0 {
		why = []string{"Meta does not say why"}
	}
	if len(ways) == 0 {
		ways = []string{"WhatsApp Manager, Account overview, says what is missing"}
	}
	return []Finding{f.of(append(pairs, "why", strings.Join(why, "; "), "solution", strings.Join(ways, "; "))...)}
}

var (
	numberUnlisted = declare("numbers", "not_listed", FAIL, "account {account} has no number {id} ({number})", "correct the id in config.toml; janela connect lists the account's numbers")
	numberUnread   = declare("numbers", "unreadable", FAIL, "the numbers of account {account} cannot be read: {why}", "as for the account, or its token's permissions")
	numberStatus   = declare("numbers", "not_connected", FAIL, "number {number} is {status}, not CONNECTED: nothing leaves", "WhatsApp Manager, Phone numbers: register it, or see why Meta restricts it")
	numberQuality  = declare("numbers", "quality", WARN, "the quality of number {number} is {quality}: people block or report it", "send less, to people who asked for it; a campaign's [guard] can stop by itself")
	numberName     = declare("numbers", "name", WARN, "the display name of number {number} is {status}", "WhatsApp Manager, Phone numbers: have a name approved; without one few may be written to")
	numberLimit    = declare("numbers", "limit", WARN, "the business may begin to write to {limit} people in 24 hours only", "verify the business (business.facebook.com, Security center); the limit grows with use and quality")
	numberBlocked  = declare("numbers", "blocked", FAIL, "number {number} may not send: {why}", "{solution}")
	numberLimited  = declare("numbers", "limited", WARN, "number {number} may send with limits: {why}", "{solution}")
)

// fewPeople are messaging limits that a business that sends campaigns outgrows
// on its first day.
var fewPeople = map[string]string{"TIER_50": "50", "TIER_250": "250"}

// nameFine are states of a display name that keep nothing from being sent.
var nameFine = map[string]bool{"": true, "APPROVED": true, "AVAILABLE_WITHOUT_REVIEW": true, "NONE": true}

func (l *look) numbers(ctx context.Context) outcome {
	if skip := l.asked(ctx); skip != "" {
		return outcome{skip: skip}
	}
	var o outcome
	var fine []string
	seen := 0
	for a, t := range l.reached() {
		seen++
		all, err := t.client.Numbers(ctx, a.ID)
		if err != nil {
			words, _ := metaWords(err)
			o.found = append(o.found, numberUnread.of("account", a.ID, "why", words))
			continue
		}
		byID := map[string]cloudapi.Number{}
		for _, n := range all {
			byID[n.ID] = n
		}
		for _, c := range a.Numbers {
			n, ok := byID[c.ID]
			if !ok {
				o.found = append(o.found, numberUnlisted.of("account", a.ID, "id", c.ID, "number", c.Name))
				continue
			}
			o.found = append(o.found, judge(n, c.Name)...)
			fine = append(fine, fmt.Sprintf("%s: %s, quality %s, %s, throughput %s", c.Name, strings.ToLower(n.Status), strings.ToLower(n.QualityRating), n.MessagingLimit, strings.ToLower(n.Throughput)))
		}
	}
	if seen == 0 {
		return outcome{skip: "no token is good"}
	}
	o.ok = strings.Join(fine, "; ")
	return o
}

// judge says what is wrong with one number.
func judge(n cloudapi.Number, name string) (out []Finding) {
	if n.Status != "" && n.Status != "CONNECTED" {
		out = append(out, numberStatus.of("number", name, "status", n.Status))
	}
	if n.QualityRating == "RED" || n.QualityRating == "YELLOW" {
		out = append(out, numberQuality.of("number", name, "quality", n.QualityRating))
	}
	if !nameFine[n.NameStatus] {
		out = append(out, numberName.of("number", name, "status", n.NameStatus))
	}
	if few, ok := fewPeople[n.MessagingLimit]; ok {
		out = append(out, numberLimit.of("limit", few))
	}
	return append(out, canSend(n.Health, numberBlocked, numberLimited, "number", name)...)
}
