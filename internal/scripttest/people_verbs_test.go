package scripttest

import (
	"fmt"
	"time"

	"janela/internal/contacts"
	"janela/internal/daemon"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// wish is what a script made a person want, for the oracle: since when they
// agree to messages of a category, or do not any more.
type wish struct {
	category whatsapp.Category
	at       time.Time
	granted  bool
}

func (w *world) wishes(p whatsapp.Phone, c whatsapp.Category, granted bool) {
	w.consent[string(p)] = append(w.consent[string(p)], wish{c, time.Now(), granted})
}

// hadAgreed tells what a person wanted before their latest wish.
func (w *world) hadAgreed(p whatsapp.Phone, c whatsapp.Category) bool {
	var last, before bool
	for _, wish := range w.consent[string(p)] {
		if wish.category == c {
			before, last = last, wish.granted
		}
	}
	return before
}

// consent records an opt-in as an operator's import does: consent ana marketing
// [at=2026-01-01T00:00:00Z].
func consent(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "at"); err != nil {
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("write consent WHO CATEGORY")
	}
	people, err := phonesOf(words[0])
	if err != nil {
		return err
	}
	category, err := whatsapp.ParseCategory(words[1])
	if err != nil {
		return err
	}
	at := time.Now()
	if text, ok := opt["at"]; ok {
		if at, err = instant(text); err != nil {
			return err
		}
	}
	err = w.write(func(_ *daemon.Daemon, tx *store.Tx) error {
		for _, p := range people {
			_, err := optin.Record(tx, optin.Grant{Identity: p.Identity(), Category: category, Source: optin.SourceOperator, Actor: "script",
				Evidence: optin.Evidence{Text: "Quero receber mensagens da loja."}, At: at})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range people {
		w.wishes(p, category, true)
	}
	w.settle()
	return err
}

// revoke records that a person took consent back: revoke ana [CATEGORY].
func revoke(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	people, err := phonesOf(l.words[0])
	if err != nil {
		return err
	}
	categories := []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	if len(l.words) > 1 {
		c, err := whatsapp.ParseCategory(l.words[1])
		if err != nil {
			return err
		}
		categories = []whatsapp.Category{c}
	}
	for _, p := range people {
		err := w.write(func(d *daemon.Daemon, tx *store.Tx) error {
			_, out, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{p.Identity()}, Categories: categories,
				Source: optin.SourceOperator, Actor: "script", At: tx.Now()})
			if err != nil {
				return err
			}
			return d.Outcomes(tx, out)
		})
		if err != nil {
			return err
		}
		for _, c := range categories {
			w.wishes(p, c, false)
		}
	}
	w.settle()
	return nil
}

// reply queues a free-form message, as the API does: reply ana "Sim, temos."
// [number=ID].
func reply(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "number"); err != nil {
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("write reply WHO TEXT")
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	from := opt["number"]
	if from == "" {
		from = number
	}
	err = w.write(func(d *daemon.Daemon, tx *store.Tx) error {
		c, _, err := contacts.Ensure(tx, p.Identity())
		if err != nil {
			return err
		}
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: from, WABA: waba, Category: whatsapp.Service})
		if err != nil {
			return err
		}
		_, out, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: c.ID, To: p.Identity(), Params: words[1]}})
		if err != nil {
			return err
		}
		return d.Outcomes(tx, out)
	})
	w.settle()
	return err
}
