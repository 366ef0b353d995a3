package gate

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putTemplate = store.SQL(`INSERT INTO templates (waba_id, name, language, category, status, hash, missing, seen_at, changed_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0)`)
	putContact = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?2, 0)`)
	putConsent = store.SQL(`INSERT INTO consents (contact_id, category, scope, granted_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (contact_id, category, scope) DO UPDATE SET granted_at = excluded.granted_at, revoked_at = excluded.revoked_at`)
	putSetback = store.SQL(`INSERT INTO setbacks (contact_id, capped_until, undeliverable_at) VALUES (?1, ?2, ?3)`)
	putWindow  = store.SQL(`INSERT INTO service_windows (number_id, contact_id, last_at, closes_at) VALUES (?1, ?2, 0, ?3)`)
	putHold    = store.SQL(`INSERT INTO holds (id, scope, target, reason, actor, since, until, probe, tries) VALUES (?1, ?2, ?3, ?4, 'test', ?5, ?6, ?7, ?8)`)
)

var start = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const (
	waba    = "900"
	number1 = "100000000000001" // "loja" of the unit "varejo"
	number2 = "100000000000002" // "cobranca" of no unit
	number3 = "100000000000003" // not configured
	hash    = "the hash"
)

// world is a database with two numbers and one approved template per category,
// whose clock stands where the test puts it.
type world struct {
	*store.DB
	wall time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{wall: start}
	var err error
	w.DB, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "x.db"), Wall: func() time.Time { return w.wall }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.write(t, func(tx *store.Tx) error {
		err := account.Declare(tx, []account.Number{{ID: number1, Name: "loja", WABA: waba, Unit: "varejo"}, {ID: number2, Name: "cobranca", WABA: waba}})
		if err != nil {
			return err
		}
		for _, c := range whatsapp.TemplateCategories {
			if err := listed(tx, string(c), c, whatsapp.TemplateApproved, hash, false); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) write(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := w.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

var errUndo = errors.New("undo")

// undone runs fn in a transaction that leaves nothing behind.
func (w *world) undone(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	err := w.Write(t.Context(), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
}

// listed is a template as Meta listed it last.
func listed(tx *store.Tx, name string, c whatsapp.Category, s whatsapp.TemplateStatus, hash string, missing bool) error {
	_, err := tx.Exec(putTemplate, waba, name, "pt_BR", string(c), string(s), hash, missing)
	return err
}

// streamOf is a stream of a category on the first number, with the template of
// that name; free-form text for service.
func streamOf(c whatsapp.Category) outbox.Stream {
	s := outbox.Stream{Number: number1, WABA: waba, Category: c, Template: string(c), Language: "pt_BR", TemplateHash: hash}
	if c == whatsapp.Service {
		s.Template, s.Language, s.TemplateHash = "", "", ""
	}
	return s
}

// person makes a contact with a phone.
func person(tx *store.Tx, n int) (contacts.Contact, error) {
	c, _, err := contacts.Ensure(tx, phone(n))
	return c, err
}

func phone(n int) whatsapp.Identity {
	return whatsapp.Identity{Kind: whatsapp.KindPhone, Value: fmt.Sprintf("+120255501%02d", n)}
}

// queue opens a stream and queues one message per contact.
func queue(tx *store.Tx, s outbox.Stream, people ...int64) (outbox.Stream, []int64, error) {
	s, err := outbox.OpenStream(tx, s)
	if err != nil {
		return s, nil, err
	}
	rows := make([]outbox.New, len(people))
	for i, p := range people {
		rows[i] = outbox.New{Contact: p, To: phone(i)}
	}
	ids, _, err := outbox.Enqueue(tx, s, rows)
	return s, ids, err
}

// grant consents by a contact to a category, everywhere, an hour ago.
func grant(tx *store.Tx, contact int64, c whatsapp.Category) error {
	return consent(tx, contact, c, "*", start.Add(-time.Hour), time.Time{})
}

func consent(tx *store.Tx, contact int64, c whatsapp.Category, scope string, granted, revoked time.Time) error {
	_, err := tx.Exec(putConsent, contact, string(c), scope, store.Millis(granted), store.Millis(revoked))
	return err
}

// claimAll claims from every open stream of a lane.
func claimAll(tx *store.Tx, l whatsapp.Lane, n int) (claimed []outbox.Message, out []outbox.Outcome, err error) {
	open, _, err := Opens(tx, l)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range open {
		c, oo, err := Claim(tx, o, n)
		if err != nil {
			return nil, nil, err
		}
		claimed, out = append(claimed, c...), append(out, oo...)
	}
	return claimed, out, nil
}

// accountNumber is the first number.
func accountNumber() account.Number {
	return account.Number{ID: number1, Name: "loja", WABA: waba, Unit: "varejo"}
}
