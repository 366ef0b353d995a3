package httpapi

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"janela/internal/whatsapp"
	"janela/optin"
)

// optinGrant is the body of a grant.
type optinGrant struct {
	to             whatsapp.Phone
	categories     []whatsapp.Category
	scope, purpose string
	evidence       optin.Evidence
	at             time.Time
	confirm        bool // the person has to confirm it
	anew           bool // the person was asked again after they had been forgotten
}

// readGrant reads the body of POST /v1/optins. A consent without the text, its
// version, its origin and its time proves nothing.
func readGrant(body []byte) (g optinGrant, err error) {
	const known = "to, categories, scope, purpose, source, text, text_version, at, url, ip, user_agent, reference, confirm, after_forgetting"
	var to string
	err = readDocument(body, true, known, func(d document, name string) error {
		switch name {
		case "to":
			return d.text(name, &to)
		case "categories":
			return d.categories(name, &g.categories)
		case "scope":
			return d.text(name, &g.scope)
		case "purpose":
			return d.text(name, &g.purpose)
		case "source":
			return d.text(name, &g.evidence.Origin)
		case "text":
			return d.text(name, &g.evidence.Text)
		case "text_version":
			return d.text(name, &g.evidence.Version)
		case "at":
			return d.instant(name, &g.at)
		case "url":
			return d.text(name, &g.evidence.URL)
		case "ip":
			return d.text(name, &g.evidence.IP)
		case "user_agent":
			return d.text(name, &g.evidence.UserAgent)
		case "reference":
			return d.text(name, &g.evidence.Reference)
		case "confirm":
			return d.flag(name, &g.confirm)
		case "after_forgetting":
			return d.flag(name, &g.anew)
		default:
			return errUnknown
		}
	})
	if err != nil {
		return g, err
	}
	ev := &g.evidence
	for _, f := range []struct {
		missing bool
		what    string
	}{{to == "", "to is missing: the phone number in E.164"}, {len(g.categories) == 0, "categories is missing: what the person agreed to get, such as [\"marketing\"]"},
		{ev.Origin == "", "source is missing: where the person agreed, such as web_form"}, {ev.Text == "", "text is missing: what the person was shown"},
		{ev.Version == "", "text_version is missing: which version of the text it was"}, {g.at.IsZero(), "at is missing: when the person agreed"}} {
		if f.missing {
			return g, malformed("%s", f.what)
		}
	}
	if g.to, err = phoneOf(to); err != nil {
		return g, err
	}
	return g, placeOf(ev)
}

// readConfirmation reads the body of a confirmation.
func readConfirmation(body []byte) (c optin.Confirmation, err error) {
	err = readDocument(body, true, "at, text, url, ip, user_agent", func(d document, name string) error {
		switch name {
		case "at":
			return d.instant(name, &c.At)
		case "text":
			return d.text(name, &c.Evidence.Text)
		case "url":
			return d.text(name, &c.Evidence.URL)
		case "ip":
			return d.text(name, &c.Evidence.IP)
		case "user_agent":
			return d.text(name, &c.Evidence.UserAgent)
		default:
			return errUnknown
		}
	})
	if err != nil {
		return c, err
	}
	if c.At.IsZero() {
		return c, malformed("at is missing: when the person confirmed")
	}
	return c, placeOf(&c.Evidence)
}

// placeOf checks the address and the page.
func placeOf(ev *optin.Evidence) error {
	if ev.IP != "" {
		addr, err := netip.ParseAddr(ev.IP)
		if err != nil {
			return malformed("ip must be an IPv4 or IPv6 address")
		}
		ev.IP = addr.String()
	}
	if ev.URL != "" {
		if u, err := url.Parse(ev.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return malformed("url must be an address that begins with https://")
		}
	}
	return nil
}

// optinRevocation is the body of a revocation.
type optinRevocation struct {
	to            whatsapp.Phone
	categories    []whatsapp.Category
	scope, reason string
}

// readRevocation reads the body of DELETE /v1/optins. Codes are revoked only by
// name: the person asks for each of them.
func readRevocation(body []byte) (r optinRevocation, err error) {
	var to string
	var all bool
	err = readDocument(body, true, "to, categories, all, scope, reason", func(d document, name string) error {
		switch name {
		case "to":
			return d.text(name, &to)
		case "categories":
			return d.categories(name, &r.categories)
		case "all":
			return d.flag(name, &all)
		case "scope":
			return d.text(name, &r.scope)
		case "reason":
			return d.text(name, &r.reason)
		default:
			return errUnknown
		}
	})
	switch {
	case err != nil:
		return r, err
	case to == "":
		return r, malformed("to is missing: the phone number in E.164")
	case all && len(r.categories) > 0:
		return r, malformed("all stands for marketing and utility; leave out all or categories")
	case all:
		r.categories = []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	case len(r.categories) == 0:
		r.categories = []whatsapp.Category{whatsapp.Marketing}
	}
	r.to, err = phoneOf(to)
	return r, err
}

// optinLook asks for a person's consents.
type optinLook struct {
	to      whatsapp.Phone
	contact int64
	after   int64
	limit   int
}

// readLook reads the body of a lookup.
func readLook(body []byte) (l optinLook, err error) {
	l.limit = maxEvents
	var to string
	err = readDocument(body, true, "to, after, limit", func(d document, name string) error {
		switch name {
		case "to":
			return d.text(name, &to)
		case "after":
			return d.whole(name, &l.after)
		case "limit":
			var n int64
			err := d.whole(name, &n)
			l.limit = int(n)
			return err
		default:
			return errUnknown
		}
	})
	switch {
	case err != nil:
		return l, err
	case to == "":
		return l, malformed("to is missing: the phone number in E.164")
	case l.limit < 1 || l.limit > maxEvents:
		return l, malformed("limit must be from 1 to %d", maxEvents)
	}
	l.to, err = phoneOf(to)
	return l, err
}

// lookOf reads the query of a GET.
func lookOf(r *http.Request) (l optinLook, err error) {
	l.limit = maxEvents
	for name, values := range r.URL.Query() {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || n < 0 || len(values) > 1 {
			return l, malformed("a parameter must be one whole number")
		}
		switch name {
		case "contact":
			l.contact = n
		case "after":
			l.after = n
		case "limit":
			l.limit = int(min(n, maxEvents+1))
		default:
			return l, malformed("there is a parameter that is not known; known are contact, after, limit")
		}
	}
	switch {
	case l.contact == 0:
		return l, malformed("contact is missing; POST /v1/optins/lookup finds a person by number")
	case l.limit < 1 || l.limit > maxEvents:
		return l, malformed("limit must be from 1 to %d", maxEvents)
	}
	return l, nil
}

// categories reads a list of categories that can be consented to.
func (d document) categories(at string, into *[]whatsapp.Category) error {
	t, err := d.dec.Token()
	if err != nil || t != json.Delim('[') {
		return malformed("%s must be a list", at)
	}
	for d.dec.More() {
		var word string
		if err := d.text("an entry of "+at, &word); err != nil {
			return err
		}
		c := whatsapp.Category(word)
		if !slices.Contains(whatsapp.TemplateCategories, c) {
			return malformed("an entry of %s must be one of marketing, utility, authentication", at)
		}
		if !slices.Contains(*into, c) {
			*into = append(*into, c)
		}
	}
	_, err = d.dec.Token()
	return err
}

// instant reads a time.
func (d document) instant(at string, into *time.Time) error {
	var text string
	if err := d.text(at, &text); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return malformed("%s must be a time in RFC 3339, with its offset", at)
	}
	*into = t.UTC()
	return nil
}

// whole reads a whole number that is not negative.
func (d document) whole(at string, into *int64) error {
	t, err := d.dec.Token()
	f, ok := t.(float64)
	if err != nil || !ok || f < 0 || f > 1<<53 || f != float64(int64(f)) {
		return malformed("%s must be a whole number", at)
	}
	*into = int64(f)
	return nil
}
