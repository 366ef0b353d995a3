package dossier

import (
	"bytes"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

var (
	putWamid   = store.SQL(`UPDATE messages SET wamid = ?2 WHERE id = ?1`)
	putPrice   = store.SQL(`INSERT INTO message_prices (id, wamid, category, billable, conversation_id, at) VALUES (?2, ?1, 'marketing', 'true', ?3, 1)`)
	putForeign = store.SQL(`INSERT INTO foreign_messages (wamid, number_id, contact_id, seen_at) VALUES (?1, '101', ?2, 1)`)
	putPayload = store.SQL(`INSERT INTO hook_payloads (id, kind, type, body, signature, created_at) VALUES (?1, 'callback', 'messages', CAST(?2 AS BLOB), 'sha256=x', 1)`)
	putReview  = store.SQL(`INSERT INTO consent_reviews (id, contact_id, number_id, wamid, text, rule, language, said_at, opened_at, state) VALUES (1, ?1, '101', ?2, ?3, 'spam', 'pt', 1, 1, 'open')`)
	putCode    = store.SQL(`INSERT INTO challenges (id, client, purpose, contact_id, phone_key, phone_mac, masked, country, language, digits, kid, seed, max_attempts, max_resends, state, metadata, created_at, code_at, expires_at)
		VALUES ('otp_a', 'app', 'login', ?1, 'k', 'm', '+55…01', 'BR', 'pt_BR', 6, 'k1', '', 5, 3, 'expired', ?2, 1, 1, 1)`)
	putCodeSend = store.SQL(`INSERT INTO code_sends (message_id, challenge_id, gen, phone_key, prefix_key, country, at) VALUES (?1, 'otp_a', 1, 'k', 'p', 'BR', 1)`)
	putStranger = store.SQL(`UPDATE messages SET contact_id = 0, state = 'refused', reason = 'no_opt_in', wamid = '' WHERE id = ?1`)
	countOf     = store.SQL(`SELECT (SELECT COUNT(*) FROM conversations) + (SELECT COUNT(*) FROM message_prices p JOIN messages m ON m.id = p.id WHERE p.billable = 'true')`)
)

func wamidOf(phone whatsapp.Identity, tail string) string {
	return "wamid." + base64.StdEncoding.EncodeToString([]byte("\x18\x0d"+strings.TrimPrefix(phone.Value, "+")+tail))
}

// canaries are what must be found before, and nowhere after.
func canaries(id whatsapp.Identity) []string {
	digits := strings.TrimPrefix(id.Value, "+")
	return []string{digits, "BR.150299887", "Fulana", "canario-texto", "canario-proposta", "203.0.113.77", "canario-agente", "canario-inbound", "canario-review", "canario-meta", "canario-grupo",
		wamidOf(id, "")[8:24], // of every id of Meta's
		"canario-externo", "canario-conversa"}
}

// populate puts something of the person into every table that can hold it.
func (h *house) populate(id whatsapp.Identity) (contact, sent, queued int64) {
	h.Helper()
	h.write(func(tx *store.Tx) error {
		r, err := optin.Record(tx, optin.Grant{Identity: id, Category: whatsapp.Marketing, Source: optin.SourceAPI, Actor: "api:site", At: tx.Now(),
			Evidence: optin.Evidence{Text: "canario-texto", Version: "v1", IP: "203.0.113.77", UserAgent: "canario-agente"}})
		if err != nil {
			return err
		}
		contact = r.Contact
		_, err = contacts.Learn(tx, id, whatsapp.WaID(strings.TrimPrefix(id.Value, "+")).Identity(), whatsapp.BSUID("BR.150299887").Identity())
		return err
	})
	h.write(func(tx *store.Tx) error {
		_, err := optin.Propose(tx, "site", []optin.Grant{{Identity: id, Category: whatsapp.Utility, Source: optin.SourceAPI, At: tx.Now(), Evidence: optin.Evidence{Text: "canario-proposta"}}}, time.Hour)
		return err
	})
	if f := h.file(contact); len(f.Pending) != 1 || !strings.Contains(string(f.Pending[0].Content), "canario-proposta") {
		h.Errorf("%+v", f.Pending)
	}
	sent, queued = h.send(id, contact, true), 0
	code := h.send(id, contact, true)
	h.now = h.now.Add(time.Hour)
	h.write(func(tx *store.Tx) error {
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: "101", WABA: "w", Category: whatsapp.Utility, Template: "aviso", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: id, Params: `{"nome":"Fulana"}`, ExternalID: "canario-externo"},
			{Contact: contact, To: id, Params: `{"nome":"Fulana"}`}})
		if err != nil {
			return err
		}
		queued = ids[0]
		a, f := wamidOf(id, "a"), wamidOf(id, "f")
		number := strings.TrimPrefix(id.Value, "+")
		return errors.Join(tx.One(putWamid, sent, a), tx.One(putPrice, "", sent, "canario-conversa"), tx.One(putForeign, f, contact), tx.One(putTalk, 1, contact, 4000),
			tx.One(putInbound, 7, wamidOf(id, "i"), contact, 5000), tx.One(putReview, contact, wamidOf(id, "r"), "canario-review"),
			tx.One(putCallback, 1, "h1", `{"from":"`+number+`","text":"canario-inbound"}`), tx.One(putCallback, 2, "h2", `{"user_id":"BR.150299887","g":"canario-grupo"}`),
			tx.One(putPayload, 1, `{"from":"`+number+`"}`), tx.One(putCode, contact, "canario-meta"), tx.One(putCodeSend, code), tx.One(putStranger, ids[1]))
	})
	return contact, sent, queued
}

// bytesOf are the database, its log, and a backup, as they stand on disk.
func (h *house) bytesOf(dir string) map[string][]byte {
	h.Helper()
	out := map[string][]byte{}
	backup := filepath.Join(h.TempDir(), "backup.db")
	conn, err := (&sqlite3.SQLiteDriver{}).Open(filepath.Join(dir, "j.db"))
	if err != nil {
		h.Fatal(err)
	}
	if _, err := conn.(*sqlite3.SQLiteConn).Exec("VACUUM INTO '"+backup+"'", []driver.Value{}); err != nil {
		h.Fatal(err)
	}
	_ = conn.Close()
	for name, path := range map[string]string{"database": filepath.Join(dir, "j.db"), "log": filepath.Join(dir, "j.db-wal"), "backup": backup} {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.Fatal(err)
		}
		out[name] = data
	}
	return out
}

func (h *house) forget(l *optin.Ledger, contact int64, id whatsapp.Identity) (Forgotten, []outbox.Outcome, error) {
	var told []outbox.Outcome
	out, err := Forget(h.Context(), Config{DB: h.DB, Ledger: l, Outcomes: func(_ *store.Tx, o []outbox.Outcome) error { told = append(told, o...); return nil }},
		contact, []whatsapp.Identity{id}, "maria")
	return out, told, err
}

func (h *house) ledger() *optin.Ledger {
	keys, err := optin.OpenKeys(filepath.Join(h.TempDir(), "optin.key"))
	if err != nil {
		h.Fatal(err)
	}
	return optin.NewLedger(optin.LedgerConfig{DB: h.DB, Keys: keys, Head: filepath.Join(h.TempDir(), "head")})
}

// After forgetting, nothing of the person stands in the database, its log or a
// backup; conversations and prices do, the ledger is intact, and somebody else
// has lost nothing.
func TestForgottenIsNowhere(t *testing.T) {
	dir := t.TempDir()
	h := newHouseAt(t, dir)
	l := h.ledger()
	contact, _, queued := h.populate(ana)
	_, other := h.grant(bia, "*", "texto da bia")
	h.write(func(tx *store.Tx) error { return tx.One(putCallback, 3, "h3", `{"from":"5511900000002","text":"oi"}`) })
	for _, canary := range canaries(ana) {
		if !bytes.Contains(bytes.Join([][]byte{h.bytesOf(dir)["database"], h.bytesOf(dir)["log"]}, nil), []byte(canary)) {
			t.Fatalf("%q was never there: it would sing for nothing", canary)
		}
	}
	counted := h.count()
	out, told, err := h.forget(l, contact, ana)
	if err != nil {
		t.Fatal(err)
	}
	if out.Names != 3 || out.Messages != 4 || out.Cancelled != 1 || out.Callbacks != 2 || out.Payloads != 1 || len(told) != 1 || told[0].Message != queued {
		t.Errorf("%+v, %d outcomes", out, len(told))
	}
	for name, data := range h.bytesOf(dir) {
		for _, canary := range canaries(ana) {
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%q is still in the %s", canary, name)
			}
		}
		if name != "log" && !bytes.Contains(data, []byte("texto da bia")) {
			t.Errorf("the %s has lost somebody else", name)
		}
	}
	if got := h.count(); got != counted || counted == 0 {
		t.Errorf("%d conversations and prices, were %d", got, counted)
	}
	if f := h.file(other); len(f.Consents) != 1 || f.Callbacks != 1 || f.Standing[0].State != "granted" {
		t.Errorf("somebody else: %+v", f)
	}
	r, err := l.Verify(t.Context())
	if err != nil || r.FaultCount != 0 || r.Blanked != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := l.Seal(t.Context()); err != nil {
		t.Error(err)
	}
}

// While a message is with Meta, its answer would name the person again.
func TestForgetWaitsForWhatIsOnItsWay(t *testing.T) {
	h := newHouseAt(t, t.TempDir())
	l := h.ledger()
	contact, sent, _ := h.populate(ana)
	h.write(func(tx *store.Tx) error { return tx.One(tamperSending, sent) })
	if _, _, err := h.forget(l, contact, ana); !errors.Is(err, outbox.ErrSending) {
		t.Fatal(err)
	}
	if f := h.file(contact); len(f.Identities) != 3 || f.Consents[0].Evidence.Text == "" {
		t.Errorf("half was forgotten: %+v", f)
	}
}

var tamperSending = store.SQL(`UPDATE messages SET state = 'sending' WHERE id = ?1`)

func (h *house) count() (n int64) {
	h.Helper()
	err := h.Read(h.Context(), func(q *store.Snap) (err error) { n, _, err = store.Value[int64](q, countOf); return err })
	if err != nil {
		h.Fatal(err)
	}
	return n
}

// Who was forgotten does not come back by a list, under no spelling; they
// themselves can, later.
func TestForgottenDoNotComeBack(t *testing.T) {
	h := newHouseAt(t, t.TempDir())
	l := h.ledger()
	contact, _, _ := h.populate(ana)
	if _, _, err := h.forget(l, contact, ana); err != nil {
		t.Fatal(err)
	}
	forgotten := h.now
	h.now = h.now.Add(24 * time.Hour)
	file := "telefone;categoria;data\n+5511900000001;marketing;2026-11-03\n+5511900000002;marketing;2026-11-03\n"
	var rejects bytes.Buffer
	report, err := optin.ImportCSV(t.Context(), h.DB, strings.NewReader(file), optin.ImportOptions{Name: "a.csv", Zone: "UTC", Rejects: &rejects})
	if err != nil || report.Granted != 1 || report.Rejected != 1 || report.Reasons["forgotten"] != 1 || report.Rejects[0].Line != 2 || !strings.Contains(rejects.String(), "2;forgotten;") {
		t.Fatalf("%+v, %v\n%s", report, err, rejects.String())
	}
	record := func(id whatsapp.Identity, category whatsapp.Category, source optin.Source, at time.Time, anew bool) error {
		return h.Write(t.Context(), func(tx *store.Tx) error {
			_, err := optin.Record(tx, optin.Grant{Identity: id, Category: category, Source: source, At: at, AfterForgetting: anew, Evidence: optin.Evidence{Text: "sim"}})
			return err
		})
	}
	for name, err := range map[string]error{
		"by API":                   record(ana, whatsapp.Marketing, optin.SourceAPI, h.now, false),
		"by an operator":           record(ana, whatsapp.Utility, optin.SourceOperator, h.now, false),
		"of before":                record(ana, whatsapp.Marketing, optin.SourceAPI, forgotten.Add(-time.Hour), true),
		"of before, in WhatsApp":   record(ana, whatsapp.Marketing, optin.SourceWhatsApp, forgotten.Add(-time.Hour), false),
		"by the id of the account": record(whatsapp.BSUID("BR.150299887").Identity(), whatsapp.Marketing, optin.SourceAPI, h.now, false),
	} {
		if !errors.Is(err, optin.ErrForgotten) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.Read(t.Context(), func(q *store.Snap) error {
		_, ok, err := contacts.Find(q, ana)
		if ok {
			t.Error("a refused grant made a contact")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := record(ana, whatsapp.Authentication, optin.SourceAPI, h.now, false); err != nil {
		t.Errorf("a code that they ask for: %v", err)
	}
	if err := record(ana, whatsapp.Marketing, optin.SourceAPI, h.now, true); err != nil {
		t.Errorf("they themselves: %v", err)
	}
	if err := record(ana, whatsapp.Utility, optin.SourceImport, h.now, false); err != nil {
		t.Errorf("after they came back: %v", err)
	}
	r, err := l.Verify(t.Context())
	if err != nil || r.FaultCount != 0 {
		t.Errorf("%+v, %v", r, err)
	}

	// A mobile with its ninth digit is forgotten without it too.
	phone, short := ninth(t)
	_, contact = h.grant(phone, "*", "com nove")
	if _, _, err := h.forget(l, contact, phone); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Hour)
	if err := record(short, whatsapp.Marketing, optin.SourceImport, h.now, false); !errors.Is(err, optin.ErrForgotten) {
		t.Errorf("without its ninth digit: %v", err)
	}
}

// ninth returns a Brazilian mobile with its ninth digit, and without it.
func ninth(t *testing.T) (phone, waID whatsapp.Identity) {
	t.Helper()
	data, err := os.ReadFile("../whatsapp/testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.TrimSpace(cells[0]) != "br mobile" {
			continue
		}
		for _, cell := range cells[1:] {
			if digits := strings.TrimPrefix(strings.TrimSpace(cell), "+"); len(digits) == 13 && strings.HasPrefix(digits, "55") {
				return whatsapp.Phone("+" + digits).Identity(), whatsapp.WaID(digits[:4] + digits[5:]).Identity()
			}
		}
	}
	t.Fatal("there is no Brazilian mobile in the list")
	return phone, waID
}

// A forgetting cannot be made up to hide evidence, nor undone to bring somebody
// back.
func TestForgettingIsSealed(t *testing.T) {
	for name, c := range map[string]struct {
		stmt *store.Stmt
		kind string
	}{
		"suppressions deleted": {tamperNoSuppression, optin.FaultForgetting},
		"forgetting deleted":   {tamperNoForgetting, optin.FaultForgetting},
		"forgetting altered":   {tamperOtherForgetting, optin.FaultForgetting},
	} {
		h := newHouseAt(t, t.TempDir())
		l := h.ledger()
		contact, _, _ := h.populate(ana)
		if _, _, err := h.forget(l, contact, ana); err != nil {
			t.Fatal(err)
		}
		h.write(func(tx *store.Tx) error { _, err := tx.Exec(c.stmt); return err })
		r, err := l.Verify(t.Context())
		if err != nil || r.FaultCount == 0 || !hasFault(r, c.kind) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	h := newHouseAt(t, t.TempDir())
	l := h.ledger()
	_, contact := h.grant(ana, "*", "texto")
	if _, err := l.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *store.Tx) error {
		return errors.Join(tx.One(tamperMadeUp, tx.NewID(), contact), tx.One(tamperBlank, contact))
	})
	if r, err := l.Verify(t.Context()); err != nil || !hasFault(r, optin.FaultForgetting) {
		t.Errorf("made up: %+v, %v", r, err)
	}
}

var (
	tamperNoSuppression   = store.SQL(`DELETE FROM suppressions`)
	tamperNoForgetting    = store.SQL(`DELETE FROM forgettings`)
	tamperOtherForgetting = store.SQL(`UPDATE forgettings SET at = at - 1`)
	tamperMadeUp          = store.SQL(`INSERT INTO forgettings (id, contact_id, actor, at) VALUES (?1, ?2, 'x', 1)`)
	tamperBlank           = store.SQL(`UPDATE consent_events SET evidence = '{}' WHERE contact_id = ?1`)
)

func hasFault(r optin.VerifyReport, kind string) bool {
	for _, f := range r.Faults {
		if f.Kind == kind {
			return true
		}
	}
	return false
}
