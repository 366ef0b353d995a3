package optin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func (l *ledger) propose(id whatsapp.Identity, ttl time.Duration) (p Pending) {
	l.Helper()
	l.write(func(tx *store.Tx) (err error) {
		var grants []Grant
		for _, c := range []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility} {
			grants = append(grants, Grant{Identity: id, Category: c, Source: SourceAPI, Actor: "api:site", At: day(20), Evidence: Evidence{Text: "Aceito", IP: "203.0.113.9"}})
		}
		p, err = Propose(tx, "site", grants, ttl)
		return err
	})
	return p
}

var confirmation = Confirmation{Source: SourceWhatsApp, Actor: "person", At: day(25), Evidence: Evidence{Message: "77"}}

// Nothing is permitted until the person has confirmed; then the grant is of the
// confirmation, with both evidences, once.
func TestConfirm(t *testing.T) {
	l := newLedger(t)
	p := l.propose(ana, 24*time.Hour)
	if s := l.state(ana, whatsapp.Marketing); s.Reason != ReasonNoOptIn {
		t.Errorf("before: %+v", s)
	}
	l.revoke(ana, whatsapp.Utility, ScopeAll, day(26)) // later than they confirm
	confirm := func(client, id string) (n int, err error) {
		err = l.Write(t.Context(), func(tx *store.Tx) error {
			r, _, err := Confirm(tx, client, id, confirmation)
			n = len(r)
			return err
		})
		return n, err
	}
	for _, c := range [][2]string{{"other", p.ID}, {"site", "opt_x"}} {
		if _, err := confirm(c[0], c[1]); !errors.Is(err, ErrNoPending) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if n, err := confirm("site", p.ID); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if s := l.state(ana, whatsapp.Marketing); !s.Granted || !s.GrantedAt.Equal(day(25)) {
		t.Errorf("after: %+v", s)
	}
	if s := l.state(ana, whatsapp.Utility); s.Reason != ReasonOptedOut {
		t.Errorf("a later revocation stands: %+v", s)
	}
	l.read(func(q *store.Snap) error {
		c, _, err := contacts.Find(q, ana)
		if err != nil {
			return err
		}
		events, err := History(q, c.ID)
		e := events[len(events)-1]
		if e.Evidence.Text != "Aceito" || e.Evidence.Asked != "2026-03-20T12:00:00Z" || e.Evidence.Confirmed == nil || e.Evidence.Confirmed.Message != "77" ||
			e.Source != SourceWhatsApp {
			t.Errorf("%+v", e)
		}
		return err
	})
	if _, err := confirm("site", p.ID); !errors.Is(err, ErrNoPending) {
		t.Errorf("again: %v", err)
	}
}

// A word in the chat confirms all that waits for the person, under whatever name
// they write.
func TestConfirmAll(t *testing.T) {
	l := newLedger(t)
	l.propose(ana, 24*time.Hour)
	l.propose(ana, time.Minute)
	l.propose(bruno, 24*time.Hour)
	var n int
	*l.clock = l.clock.Add(time.Hour)
	l.write(func(tx *store.Tx) error {
		if _, err := contacts.Learn(tx, whatsapp.BSUID("BR.1").Identity(), whatsapp.WaID("5511900000001").Identity()); err != nil {
			return err
		}
		c, err := contacts.Learn(tx, ana, whatsapp.BSUID("BR.1").Identity())
		if err != nil {
			return err
		}
		r, err := ConfirmAll(tx, c.ID, confirmation)
		n = len(r)
		return err
	})
	if n != 2 { // of the one whose time is not over
		t.Errorf("%d were recorded", n)
	}
	if s := l.state(bruno, whatsapp.Marketing); s.Granted {
		t.Error("somebody else's was confirmed too")
	}
}

// What is not confirmed in time is over, and gone.
func TestPendingIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSealed(t, 1)
		p := s.propose(ana, time.Hour)
		*s.clock = s.clock.Add(time.Hour)
		err := s.Write(t.Context(), func(tx *store.Tx) error { _, _, err := Confirm(tx, "site", p.ID, confirmation); return err })
		if !errors.Is(err, ErrNoPending) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.sealer.Run(ctx); err != nil {
			t.Fatal(err)
		}
		s.read(func(q *store.Snap) error {
			left, _, err := store.Value[int64](q, countPending)
			if left != 0 {
				t.Errorf("%d are left", left)
			}
			return err
		})
		_ = s.Close()
	})
}

var countPending = store.SQL(`SELECT COUNT(*) FROM pending_consents`)
