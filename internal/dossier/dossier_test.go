package dossier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

var (
	ana = whatsapp.Phone("+5511900000001").Identity()
	bia = whatsapp.Phone("+5511900000002").Identity()
)

// Statements of other rooms' rows, as those would write them.
var (
	putNumber   = store.SQL(`INSERT INTO numbers (id, name, waba_id, unit) VALUES ('101', 'loja', 'w', 'varejo')`)
	putClaimed  = store.SQL(`UPDATE messages SET state = 'delivered', claimed_at = ?2, accepted_at = ?2, delivered_at = ?3 WHERE id = ?1`)
	putInbound  = store.SQL(`INSERT INTO inbound_messages (id, wamid, number_id, contact_id, type, at, answers) VALUES (?1, ?2, '101', ?3, 'text', ?4, 0)`)
	putCallback = store.SQL(`INSERT INTO callbacks (id, received_at, hash, body, state) VALUES (?1, 1, ?2, CAST(?3 AS BLOB), 'applied')`)
	putSetback  = store.SQL(`INSERT INTO setbacks (contact_id, capped_until, days, undeliverable_at) VALUES (?1, ?2, 7, ?2)`)
	putTalk     = store.SQL(`INSERT INTO conversations (id, number_id, contact_id, category, origin, opened_at, expires_at, messages_out) VALUES (?1, '101', ?2, 'marketing', 'business', ?3, ?3 + 86400000, 1)`)
)

// house is a database with a clock that the test sets.
type house struct {
	testing.TB
	*store.DB
	now time.Time
}

func newHouse(t *testing.T) *house { return newHouseAt(t, t.TempDir()) }

func newHouseAt(t *testing.T, dir string) *house {
	h := &house{TB: t, now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	var err error
	h.DB, err = store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "j.db"), Wall: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	h.write(func(tx *store.Tx) error { _, err := tx.Exec(putNumber); return err })
	return h
}

func (h *house) write(fn func(tx *store.Tx) error) {
	h.Helper()
	if err := h.Write(h.Context(), fn); err != nil {
		h.Fatal(err)
	}
}

func (h *house) grant(id whatsapp.Identity, scope, text string) (event, contact int64) {
	h.Helper()
	h.now = h.now.Add(time.Hour)
	h.write(func(tx *store.Tx) error {
		r, err := optin.Record(tx, optin.Grant{Identity: id, Category: whatsapp.Marketing, Scope: scope, Source: optin.SourceAPI, Actor: "api:site",
			Evidence: optin.Evidence{Text: text, Version: "v1", IP: "203.0.113.9"}, At: tx.Now()})
		event, contact = r.Event, r.Contact
		return err
	})
	return event, contact
}

func (h *house) revoke(id whatsapp.Identity) {
	h.Helper()
	h.now = h.now.Add(time.Hour)
	h.write(func(tx *store.Tx) error {
		_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{id}, Categories: []whatsapp.Category{whatsapp.Marketing},
			Source: optin.SourceWhatsApp, At: tx.Now(), Evidence: optin.Evidence{Text: "SAIR"}})
		return err
	})
}

// send queues a message; claimed is that it went out.
func (h *house) send(id whatsapp.Identity, contact int64, claimed bool) (msg int64) {
	h.Helper()
	h.now = h.now.Add(time.Hour)
	h.write(func(tx *store.Tx) error {
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: "101", WABA: "w", Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: id, Params: `{"nome":"Pessoa"}`}})
		if err != nil {
			return err
		}
		msg = ids[0]
		if !claimed {
			return nil
		}
		now := store.Millis(tx.Now())
		return tx.One(putClaimed, msg, now, now+1000)
	})
	return msg
}

func (h *house) file(contact int64) File {
	h.Helper()
	f, err := Build(h.Context(), h.DB, contact)
	if err != nil {
		h.Fatal(err)
	}
	return f
}

// Each message names the consent it was sent under: the one that decided then,
// whatever came later.
func TestConsentInForce(t *testing.T) {
	h := newHouse(t)
	first, contact := h.grant(ana, "varejo", "primeiro")
	a := h.send(ana, contact, true)
	second, _ := h.grant(ana, "*", "segundo")
	b := h.send(ana, contact, true)
	_, _ = h.grant(ana, "outra", "de outra unidade")
	c := h.send(ana, contact, true)
	h.revoke(ana)
	d := h.send(ana, contact, true) // as if it had been wrong
	third, _ := h.grant(ana, "*", "terceiro")
	e := h.send(ana, contact, true)
	f := h.send(ana, contact, false)
	want := map[int64]int64{a: first, b: second, c: second, d: 0, e: third, f: 0}
	got := h.file(contact)
	if len(got.Messages) != len(want) {
		t.Fatalf("%d messages", len(got.Messages))
	}
	for _, m := range got.Messages {
		if m.Consent != want[m.ID] {
			t.Errorf("message %d: sent under %d, want %d", m.ID, m.Consent, want[m.ID])
		}
		if m.Number != "loja" || m.Template != "oferta" || string(m.Content) != `{"nome":"Pessoa"}` || m.To != ana.Value {
			t.Errorf("%+v", m)
		}
	}
}

// Everything of the person and of those found to be the same, and nothing of
// anybody else; in both languages and as JSON.
func TestFileOfOnePerson(t *testing.T) {
	h := newHouse(t)
	event, contact := h.grant(ana, "*", "Aceito receber ofertas")
	_, other := h.grant(bia, "*", "de outra pessoa")
	h.send(ana, contact, true)
	h.send(bia, other, true)
	h.revoke(ana)
	h.write(func(tx *store.Tx) error {
		if _, err := contacts.Learn(tx, ana, whatsapp.BSUID("BR.150212345").Identity()); err != nil {
			return err
		}
		for i, body := range []string{`{"from":"5511900000001","text":"oi"}`, `{"from":"5511900000002","text":"segredo da bia"}`, `{"user_id":"BR.150212345"}`, `{}`} {
			if err := tx.One(putCallback, i+1, fmt.Sprint(i), body); err != nil {
				return err
			}
		}
		return errors.Join(tx.One(putInbound, 1, "wamid.a", contact, 5000), tx.One(putInbound, 2, "wamid.b", other, 6000),
			tx.One(putSetback, contact, store.Millis(tx.Now().AddDate(1, 0, 0))), tx.One(putSetback, other, 9000),
			tx.One(putTalk, 1, contact, 4000), tx.One(putTalk, 2, other, 4000))
	})
	f := h.file(contact)
	if f.Callbacks != 2 || len(f.Identities) != 2 || len(f.Consents) != 2 || len(f.Messages) != 1 || len(f.Inbound) != 1 || len(f.Conversations) != 1 || len(f.Setbacks) != 1 ||
		len(f.Standing) != 3 || f.Standing[0].State != "opted_out" {
		t.Errorf("%+v", f)
	}
	asJSON, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"JSON": string(asJSON)}
	for _, language := range Languages {
		var b bytes.Buffer
		if err := f.Text(&b, language, time.UTC); err != nil {
			t.Fatal(err)
		}
		texts[language] = b.String()
	}
	for name, text := range texts {
		for _, must := range []string{"Aceito receber ofertas", "SAIR", "203.0.113.9", ana.Value, "BR.150212345", fmt.Sprint(event), "oferta", "loja", "2027"} {
			if !strings.Contains(text, must) {
				t.Errorf("%s lacks %q:\n%s", name, must, text)
			}
		}
		for _, never := range []string{bia.Value, "5511900000002", "de outra pessoa", "segredo"} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %q, of somebody else", name, never)
			}
		}
	}
	for language, want := range map[string]string{"pt-BR": "revogou marketing (*) em 02/11/2026", "en": "revoked marketing (*) on 2026-11-02"} {
		if !strings.Contains(texts[language], want) {
			t.Errorf("%s lacks %q:\n%s", language, want, texts[language])
		}
	}
	if err := f.Text(&bytes.Buffer{}, "tlh", time.UTC); err == nil {
		t.Error("there is Klingon")
	}
	if _, err := Build(t.Context(), h.DB, 99); !errors.Is(err, ErrUnknown) {
		t.Errorf("nobody: %v", err)
	}
}

// No label is empty, and every door has a name.
func TestVocabulary(t *testing.T) {
	for name, w := range vocabulary {
		for _, part := range []string{w.title, w.asOf, w.ids, w.standing, w.consents, w.messages, w.conversations, w.inbound, w.reviews, w.pending, w.codes, w.none,
			w.granted, w.revoked, w.from, w.by, w.through, w.text, w.version, w.page, w.address, w.browser, w.origin, w.reference, w.file, w.message, w.via,
			w.recorded, w.first, w.last, w.to, w.consent, w.noConsent, w.sent, w.delivered, w.read, w.failed, w.until, w.answered, w.callbacks, w.forgotten, w.format, w.setbacks, w.capped, w.daysFailed, w.unreachable} {
			if part == "" {
				t.Errorf("%s has an empty label", name)
			}
		}
	}
	for _, s := range optin.Sources {
		if _, ok := vocabulary["pt-BR"].terms[string(s)]; !ok {
			t.Errorf("pt-BR has no word for the source %s", s)
		}
	}
}
