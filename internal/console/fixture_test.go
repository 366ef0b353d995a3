package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const (
	ana     = "+5511900000001"
	bia     = "+5511900000002"
	loja    = "200000000000001"
	filial  = "200000000000002"
	waba    = "100000000000001"
	hostile = `<script>alert("x")</script> & ' "`
)

// shop is a door into a house in which something happened: ana and bia agreed and
// got marketing, ana answered, bia wrote what may mean STOP.
type shop struct {
	*door
	api *httpapi.Client
}

func newShop(t testing.TB) *shop {
	s := &shop{door: newDoor(t, false)}
	log := slog.New(slog.NewTextHandler(s.said, nil))
	keys, err := optin.OpenKeys(filepath.Join(t.TempDir(), "optin.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.New(httpapi.Config{DB: s.db, Log: log, Zone: "America/Sao_Paulo", Region: "BR", Account: account.NewSyncer(account.Config{DB: s.db, Log: log}),
		Ledger: optin.NewLedger(optin.LedgerConfig{DB: s.db, Keys: keys, Head: filepath.Join(t.TempDir(), "head"), Log: log})})
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	s.console = New(Config{DB: s.db, API: server, Logins: access.NewLogins(s.db, log), Zone: func() *time.Location { return zone }, FourEyes: func() bool { return false }, Version: "test", Log: log})
	s.api = httpapi.Within(server, "maria")
	t.Cleanup(s.api.Close)
	for name, role := range map[string]access.Role{"maria": access.RoleViewer, "bia": access.RoleOperator, "rui": access.RoleApprover} {
		s.operator(name, role)
	}
	s.write(func(tx *store.Tx) error {
		return account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba, Unit: "varejo"}, {ID: filial, Name: "filial", WABA: waba}})
	})
	s.talk(ana)
	s.talk(bia)
	s.wait(time.Hour)
	s.inbound(ana)
	s.doubt(bia, hostile)
	s.wait(time.Minute)
	return s
}

// who is the contact of a number.
func (s *shop) who(phone string) (id int64) {
	s.Helper()
	s.write(func(tx *store.Tx) error {
		c, _, err := contacts.Ensure(tx, whatsapp.Phone(phone).Identity())
		id = c.ID
		return err
	})
	return id
}

// talk brings marketing to somebody who has agreed, delivered now.
func (s *shop) talk(phone string) (message int64) {
	s.Helper()
	if _, err := s.api.Grant(s.Context(), httpapi.GrantRequest{Phone: phone, Category: "marketing", Text: hostile}); err != nil {
		s.Fatal(err)
	}
	contact := s.who(phone)
	s.write(func(tx *store.Tx) error {
		stream, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		if err != nil {
			return err
		}
		ids, _, err := outbox.Enqueue(tx, stream, []outbox.New{{Contact: contact, To: whatsapp.Phone(phone).Identity(), Params: "[]"}})
		if err != nil {
			return err
		}
		message = ids[0]
		m, _, err := outbox.ByID(tx, message)
		if err != nil {
			return err
		}
		of, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, of, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		wamid := whatsapp.Wamid(fmt.Sprint("wamid.", message))
		if _, err := outbox.Settle(tx, []outbox.Result{{Message: message, Attempt: 1, To: outbox.Accepted, Wamid: wamid, At: tx.Now()}}); err != nil {
			return err
		}
		if err := conversations.RecordPricing(tx, conversations.Pricing{Message: message, Wamid: wamid, Model: "PMP", Type: "regular", Category: "marketing", Billable: "true", At: tx.Now()}); err != nil {
			return err
		}
		for _, status := range []string{"sent", "delivered"} {
			if _, _, err := outbox.Observe(tx, outbox.Observation{Message: message, Attempt: 1, Wamid: wamid, Status: status, At: tx.Now()}); err != nil {
				return err
			}
		}
		_, err = conversations.Recompute(tx, conversations.Touch{Number: loja, Contact: contact, Since: tx.Now()})
		return err
	})
	return message
}

// inbound makes somebody write to loja, now.
func (s *shop) inbound(phone string) {
	s.Helper()
	contact := s.who(phone)
	s.write(func(tx *store.Tx) error {
		_, _, err := conversations.RecordInbound(tx, conversations.Inbound{Number: loja, Contact: contact, At: tx.Now(), Type: "text", Counts: true,
			Wamid: whatsapp.Wamid("wamid.in." + phone + tx.Now().String())})
		if err == nil {
			_, err = conversations.Recompute(tx, conversations.Touch{Number: loja, Contact: contact, Since: tx.Now()})
		}
		return err
	})
}

// doubt makes somebody write what may mean STOP.
func (s *shop) doubt(phone, text string) (id int64) {
	s.Helper()
	contact := s.who(phone)
	s.write(func(tx *store.Tx) (err error) {
		id, err = optin.OpenReview(tx, optin.Doubt{Contact: contact, Number: loja, Wamid: whatsapp.Wamid("wamid.doubt." + text), Text: text,
			Hint: optin.Hint{Rule: "remove_me", Language: "pt_BR"}, At: tx.Now()})
		return err
	})
	return id
}

// as is a browser of somebody, in a language.
func (s *shop) as(name, language string) *browser {
	s.Helper()
	b := s.browser()
	b.header["Accept-Language"] = language
	return b.in(name)
}

// follow does what was asked, and reads the page to which it leads.
func (b *browser) follow(a answer) answer {
	b.Helper()
	if a.StatusCode != http.StatusSeeOther {
		b.Fatalf("%d, and no way on:\n%s", a.StatusCode, a.text)
	}
	return b.get(a.Header.Get("Location"))
}
