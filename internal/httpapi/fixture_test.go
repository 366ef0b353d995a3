package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

const (
	ana    = "+5511900000001"
	bia    = "+5511900000002"
	loja   = "200000000000001"
	filial = "200000000000002"
	waba   = "100000000000001"
)

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// house is a server over a real database, with a clock to turn.
type house struct {
	t      *testing.T
	dir    string
	db     *store.DB
	server *Server
	client *Client
	log    bytes.Buffer

	mu  sync.Mutex
	now time.Time
	out []outbox.Outcome // handed on by the operations
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir(), now: began}
	var err error
	h.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(h.dir, "janela.db"), Wall: h.wall})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(h.dir, "campaigns.d")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	h.server = New(Config{DB: h.db, Log: log, Folder: folder, Spool: filepath.Join(h.dir, "spool"), Zone: "America/Sao_Paulo", Region: "BR", Version: "test",
		Account:   account.NewSyncer(account.Config{DB: h.db, Log: log}),
		Campaigns: campaigns.New(campaigns.Config{DB: h.db, Folder: folder, Spool: filepath.Join(h.dir, "spool"), Zone: "America/Sao_Paulo", Region: "BR", Log: log}),
		MAC: func(domain string, data []byte) string {
			return fmt.Sprintf("%x", sha256.Sum256(append([]byte(domain+"\n"), data...)))
		},
		Outcomes: func(_ *store.Tx, out []outbox.Outcome) error {
			h.out = append(h.out, out...)
			return nil
		}})
	h.client = InProcess(h.server, "maria")
	t.Cleanup(func() {
		h.client.Close()
		if err := h.db.Close(); err != nil {
			t.Error(err)
		}
	})
	h.write(func(tx *store.Tx) error {
		return account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba, Unit: "varejo"}, {ID: filial, Name: "filial", WABA: waba}})
	})
	return h
}

func (h *house) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// inbound makes a person write to a number, now.
func (h *house) inbound(phone, number string) {
	h.t.Helper()
	h.write(func(tx *store.Tx) error {
		c, _, err := contacts.Ensure(tx, whatsapp.Phone(phone).Identity())
		if err != nil {
			return err
		}
		_, _, err = conversations.RecordInbound(tx, conversations.Inbound{Number: number, Contact: c.ID, At: tx.Now(), Type: "text", Counts: true,
			Wamid: whatsapp.Wamid("wamid." + phone + number + tx.Now().String())})
		return err
	})
}

// queue puts a marketing message for a person who has opted in into the outbox.
func (h *house) queue(phone string) int64 {
	h.t.Helper()
	if _, err := h.client.Grant(h.t.Context(), GrantRequest{Phone: phone, Category: "marketing"}); err != nil {
		h.t.Fatal(err)
	}
	var id int64
	h.write(func(tx *store.Tx) error {
		c, _, err := contacts.Find(tx, whatsapp.Phone(phone).Identity())
		if err != nil {
			return err
		}
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: c.ID, To: whatsapp.Phone(phone).Identity(), Params: "[]", Line: 2}})
		id = ids[0]
		return err
	})
	return id
}

// wantProblem checks that an operation was refused in the expected words.
func wantProblem(t *testing.T, err error, status int, code, text string) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a problem", err)
	}
	if p.Status != status || p.Code != code || !strings.Contains(p.Error(), text) {
		t.Errorf("got %d %s %q, want %d %s with %q", p.Status, p.Code, p.Error(), status, code, text)
	}
}

// talk brings a marketing message to a person, delivered now; it opens a
// conversation.
func (h *house) talk(phone string) (message int64) {
	h.t.Helper()
	id := h.queue(phone)
	h.write(func(tx *store.Tx) error {
		m, _, err := outbox.ByID(tx, id)
		if err != nil {
			return err
		}
		s, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		wamid := whatsapp.Wamid(fmt.Sprint("wamid.", id))
		if _, err := outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 1, To: outbox.Accepted, Wamid: wamid, At: tx.Now()}}); err != nil {
			return err
		}
		for _, status := range []string{"sent", "delivered"} {
			if _, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Wamid: wamid, Status: status, At: tx.Now()}); err != nil {
				return err
			}
		}
		_, err = conversations.Recompute(tx, conversations.Touch{Number: s.Number, Contact: m.Contact, Since: tx.Now()})
		return err
	})
	return id
}
