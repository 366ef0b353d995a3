package otp

import (
	"errors"
	"testing"
	"time"

	"janela/internal/store"
)

// The funnel counts challenges where they stand, decoys apart, and what was
// refused since the start; every code is in one place.
func TestFunnel(t *testing.T) {
	w := newTwins(t, func(c *Config) { c.Limits.Cooldown = 30 * time.Second })
	defer w.close()
	one := w.real
	funnel := func(back time.Duration) (f CodeFunnel) {
		t.Helper()
		err := one.Read(t.Context(), func(q *store.Snap) (err error) { f, err = one.Funnel(q, q.Now().Add(-back)); return err })
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(f.Purposes, f.All) {
			if sum := p.Pending + p.Verified + p.Failed + p.Expired + p.Exhausted + p.Cancelled + p.Superseded + p.Reported; sum != p.Requested || p.Verified > p.Delivered || p.Delivered > p.Sent || p.Sent > p.Requested {
				t.Errorf("%s adds up to %d: %+v", p.Purpose, sum, p)
			}
		}
		return f
	}
	ask := func(change ...func(*Request)) (id string, no *Denied) {
		t.Helper()
		err := one.Write(t.Context(), func(tx *store.Tx) error {
			v, err := one.Issue(tx, app, asks(change...))
			id = v.ID
			return err
		})
		if err != nil && !errors.As(err, &no) {
			t.Fatal(err)
		}
		return id, no
	}
	id, _ := ask()
	if f := funnel(time.Hour).All; f.Requested != 1 || f.Pending != 1 || f.Sent != 0 || f.Refused != 0 {
		t.Errorf("asked for: %+v", f)
	}
	_, no := ask()
	if no == nil || no.Rule == "" {
		t.Fatalf("two at once: %v", no)
	}
	one.deliver(t)
	if f := funnel(time.Hour).All; f.Sent != 1 || f.Delivered != 0 || f.Verified != 0 {
		t.Errorf("sent: %+v", f)
	}
	code := one.right(t, id)
	one.write(t, func(tx *store.Tx) error {
		_, err := one.Verify(tx, app, id, Proof{Code: code, ClientIP: someIP})
		return err
	})
	f := funnel(time.Hour)
	if f.All.Verified != 1 || f.All.Delivered != 1 || f.All.Pending != 0 || f.All.Refused != 1 || len(f.All.Refusals) != 1 || f.All.Refusals[0] != (CodeReason{no.Code, 1}) ||
		len(f.Limits) != 1 || f.Limits[0] != (LimitHit{no.Rule, 1}) {
		t.Errorf("verified: %+v", f)
	}
	other := w.fake
	other.write(t, func(tx *store.Tx) error {
		_, err := other.Issue(tx, app, asks(func(r *Request) { r.Decoy = true }))
		return err
	})
	var d CodeFunnel
	if err := other.Read(t.Context(), func(q *store.Snap) (err error) { d, err = other.Funnel(q, q.Now()); return err }); err != nil {
		t.Fatal(err)
	}
	if d.All.Decoys != 1 || d.All.Requested != 0 {
		t.Errorf("a decoy: %+v", d.All)
	}
	one.pass(3 * time.Hour)
	if f := funnel(time.Hour); f.All.Requested != 0 || f.All.Refused != 0 || len(f.Limits) != 0 {
		t.Errorf("hours later: %+v", f)
	}
}
