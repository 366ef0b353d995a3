package intake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

const (
	waba = "100000000000001"
	loja = "200000000000001"

	ana = "+5511900000001"
	bia = "+5511900000002"

	secret, older = "app-secret-one", "app-secret-two"
	verify        = "verify-token"
)

// began is the instant at which every test stands.
var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// house is an intake over a real database.
type house struct {
	t    testing.TB
	path string
	db   *store.DB
	in   *Intake
	log  bytes.Buffer

	mu       sync.Mutex
	now      time.Time
	outcomes []outbox.Outcome
	onTell   func(tx *store.Tx, out []outbox.Outcome) error
	resyncs  int
	batched  bool // conversations are confirmed together, as the daemon does
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "janela.db"), now: began}
	h.open()
	t.Cleanup(func() { _ = h.db.Close() })
	h.write(func(tx *store.Tx) error {
		return account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba}})
	})
	s := account.NewSyncer(account.Config{DB: h.db, Accounts: []string{waba}, Log: slog.New(slog.DiscardHandler),
		Reader: func(string) (cloudapi.Reader, bool) { return listing{}, true }})
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// listing is Meta's answer about the account: two templates, approved.
type listing struct{ cloudapi.Reader }

func (listing) Templates(_ context.Context, _ string, each func(cloudapi.Template) error) error {
	for name, category := range map[string]string{"oferta": "MARKETING", "aviso": "UTILITY"} {
		if err := each(cloudapi.Template{ID: name, Name: name, Language: "pt_BR", Status: "APPROVED", Category: category}); err != nil {
			return err
		}
	}
	return nil
}

func (listing) Numbers(context.Context, string) ([]cloudapi.Number, error) { return nil, nil }

func (h *house) open() {
	var err error
	if h.db, err = store.Open(context.Background(), store.Config{Path: h.path, Wall: h.wall}); err != nil {
		h.t.Fatal(err)
	}
	h.in = New(Config{DB: h.db, Secrets: func() [][]byte { return [][]byte{[]byte(secret), []byte(older)} },
		VerifyToken: func() string { return verify }, Outcomes: h.follow, Resync: func() { h.resyncs++ }, Confirm: confirmation,
		Offers: optin.NewOffers([]optin.Offer{{Words: []string{"QUERO RECEBER", "Sim, quero!"}, Categories: []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility},
			Purpose: "ofertas", Text: "Escreva QUERO RECEBER para receber ofertas da loja.", Version: "v3"}}),
		Log: slog.New(slog.NewTextHandler(&h.log, nil))})
}

// crash loses everything that is not on disk, and starts again.
func (h *house) crash() {
	h.db.Crash()
	h.open()
}

func (h *house) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// follow does what the daemon does: the conversation ledger first.
func (h *house) follow(tx *store.Tx, out []outbox.Outcome) error {
	together := map[int]bool{}
	if h.batched {
		var all []conversations.Confirmed
		var at []int
		for i, o := range out {
			if !o.Confirmed.IsZero() && o.Contact > 0 {
				all = append(all, conversations.Confirmed{Number: o.Number, Contact: o.Contact, Message: o.Message, Category: o.Category, Was: o.Was, At: o.Confirmed})
				at = append(at, i)
			}
		}
		did, err := conversations.Confirm(tx, all...)
		if err != nil {
			return err
		}
		for i := range at {
			together[at[i]] = did[i]
		}
	}
	for i, o := range out {
		if together[i] {
			continue
		}
		if !o.Since.IsZero() && o.Contact > 0 {
			if !o.Confirmed.IsZero() && !h.batched {
				did, err := conversations.Confirm(tx, conversations.Confirmed{Number: o.Number, Contact: o.Contact, Message: o.Message, Category: o.Category, Was: o.Was, At: o.Confirmed})
				if err != nil {
					return err
				}
				if did[0] {
					continue
				}
			}
			if _, err := conversations.Recompute(tx, conversations.Touch{Number: o.Number, Contact: o.Contact, Since: o.Since}); err != nil {
				return err
			}
		}
	}
	h.outcomes = append(h.outcomes, out...)
	if h.onTell != nil {
		return h.onTell(tx, out)
	}
	return nil
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(fn func(*store.Snap) error) {
	h.t.Helper()
	if err := h.db.Read(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post hands a body to the handler, with that signature.
func (h *house) post(body, signature string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/whatsapp", strings.NewReader(body))
	if signature != "" {
		r.Header.Set(webhook.SignatureHeader, signature)
	}
	w := httptest.NewRecorder()
	h.in.ServeHTTP(w, r)
	return w
}

// deliver posts signed callbacks and applies them.
func (h *house) deliver(bodies ...string) {
	h.t.Helper()
	for _, b := range bodies {
		if w := h.post(b, sign(secret, b)); w.Code != http.StatusOK {
			h.t.Fatalf("a signed callback was answered %d %s", w.Code, w.Body)
		}
	}
	h.apply()
}

func (h *house) apply() {
	h.t.Helper()
	for range 100 {
		n, err := h.in.applyStored(context.Background())
		if err != nil {
			h.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	h.t.Fatal("the same callbacks are applied over and over")
}

// row is a stored callback.
type row struct {
	Body        string
	State, Note string
	AppliedAt   int64
}

func (r *row) Fields() []any { return []any{&r.Body, &r.State, &r.Note, &r.AppliedAt} }

var sqlRows = store.SQL(`SELECT body, state, note, applied_at FROM callbacks ORDER BY id`)

func (h *house) rows() (out []row) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		out, err = store.All[row](q, sqlRows)
		return err
	})
	return out
}

// applied checks that every stored callback was applied, and returns the notes.
func (h *house) applied() (notes []string) {
	h.t.Helper()
	for _, r := range h.rows() {
		if r.State != "applied" {
			h.t.Errorf("a callback is %s: %s", r.State, r.Note)
		}
		if r.Note != "" {
			notes = append(notes, r.Note)
		}
	}
	return notes
}

// envelope wraps changes as Meta does: pairs of field and value.
func envelope(pairs ...string) string {
	var changes []string
	for i := 0; i < len(pairs); i += 2 {
		changes = append(changes, fmt.Sprintf(`{"field":%q,"value":%s}`, pairs[i], pairs[i+1]))
	}
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"time":%d,"changes":[%s]}]}`, waba, began.Unix(), strings.Join(changes, ","))
}

const metadata = `"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550190","phone_number_id":"` + loja + `"}`

// messages is a value of the field messages.
func messages(inbound ...string) string {
	return `{` + metadata + `,"messages":[` + strings.Join(inbound, ",") + `]}`
}

func statuses(list ...string) string {
	return `{` + metadata + `,"statuses":[` + strings.Join(list, ",") + `]}`
}

func digits(phone string) string { return strings.TrimPrefix(phone, "+") }

// text is an inbound message of a person, now.
func (h *house) text(from, words string) string {
	return fmt.Sprintf(`{"from":%q,"id":"wamid.in-%d-%s","timestamp":"%d","type":"text","text":{"body":%q}}`,
		digits(from), len(h.outcomes)+len(h.rows()), words, h.wall().Unix(), words)
}

// status is one of a message, now; extra are more members.
func (h *house) status(wamid, what, callback, to string, extra ...string) string {
	more := ""
	if len(extra) > 0 {
		more = "," + strings.Join(extra, ",")
	}
	return fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d","recipient_id":%q,"biz_opaque_callback_data":%q%s}`,
		wamid, what, h.wall().Unix(), digits(to), callback, more)
}

// grant lets a person opt in and returns the contact.
func (h *house) grant(phone string, category whatsapp.Category) (contact int64) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		r, err := optin.Record(tx, optin.Grant{Identity: whatsapp.Phone(phone).Identity(), Category: category, Source: optin.SourceOperator,
			Actor: "test", At: began.Add(-time.Hour)})
		contact = r.Contact
		return err
	})
	return contact
}

// queue puts a message for somebody who has opted in into the outbox.
func (h *house) queue(phone, template string, category whatsapp.Category) (id int64) {
	h.t.Helper()
	contact := h.grant(phone, category)
	h.write(func(tx *store.Tx) error {
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: category, Template: template, Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: whatsapp.Phone(phone).Identity(), Params: "[]"}})
		id = ids[0]
		return err
	})
	return id
}

// claim brings a queued message to a sender.
func (h *house) claim(id int64) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		m, _, err := outbox.ByID(tx, id)
		if err != nil {
			return err
		}
		s, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		_, _, err = outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}})
		return err
	})
}

// settle writes what a sender learnt.
func (h *house) settle(id int64, to outbox.State, wamid string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		out, err := outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 1, To: to, Wamid: whatsapp.Wamid(wamid), At: tx.Now()}})
		if err != nil {
			return err
		}
		return h.follow(tx, out)
	})
}

// sent is a message that Meta accepted.
func (h *house) sent(phone, template string, category whatsapp.Category, wamid string) int64 {
	h.t.Helper()
	id := h.queue(phone, template, category)
	h.claim(id)
	h.settle(id, outbox.Accepted, wamid)
	return id
}

// callback is what we gave Meta with a message's first attempt.
func (h *house) callback(id int64) string {
	return whatsapp.CallbackID{DB: h.db.Name(), Message: id, Attempt: 1}.String()
}

func (h *house) message(id int64) (m outbox.Message) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		m, _, err = outbox.ByID(q, id)
		return err
	})
	return m
}

// contact finds who an identity belongs to.
func (h *house) contact(id whatsapp.Identity) (c contacts.Contact, ok bool) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		c, ok, err = contacts.Find(q, id)
		return err
	})
	return c, ok
}

// may says whether a phone may be sent to in a category.
func (h *house) may(phone string, category whatsapp.Category) bool {
	h.t.Helper()
	c, ok := h.contact(whatsapp.Phone(phone).Identity())
	if !ok {
		return false
	}
	var st optin.State
	h.read(func(q *store.Snap) (err error) {
		st, err = optin.Current(q, c.ID, category, optin.Scopes("loja", ""))
		return err
	})
	return st.Granted
}

func (h *house) holds() []string {
	h.t.Helper()
	out := []string{}
	h.read(func(q *store.Snap) error {
		all, err := outbox.Holds(q)
		for _, o := range all {
			out = append(out, fmt.Sprintf("%s %s %s until %d", o.Scope, o.Target, o.Reason, o.Until))
		}
		return err
	})
	return out
}

func (h *house) template(name string) (t account.Template) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		t, _, err = account.Lookup(q, whatsapp.TemplateRef{WABA: waba, Name: name, Language: "pt_BR"})
		return err
	})
	return t
}
