package optin

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// act is one thing that happened, for the model and for the ledger.
type act struct {
	kind  string // grant, revoke, lift
	who   int    // index in the cast
	cat   whatsapp.Category
	scope string
	at    time.Time
}

func (a act) String() string {
	return fmt.Sprintf("%s %d %s %s %s", a.kind, a.who, a.cat, a.scope, a.at.Format("02T15"))
}

func (a act) do(tx *store.Tx, cast []whatsapp.Identity) (err error) {
	switch a.kind {
	case "grant":
		_, err = Record(tx, Grant{Identity: cast[a.who], Category: a.cat, Scope: a.scope, Source: SourceAPI, At: a.at})
	case "revoke":
		_, _, err = Revoke(tx, Revocation{Identities: cast[a.who : a.who+1], Categories: []whatsapp.Category{a.cat}, Scope: a.scope, Source: SourceWhatsApp, At: a.at})
	case "lift":
		_, err = Lift(tx, cast[a.who], a.cat, SourcePreferences, "", Evidence{}, a.at)
	}
	return err
}

// The cast: 0 a phone with the ninth digit, 1 a BSUID learnt to be the same
// person's, 2 the wa_id without the ninth digit, not learnt, 3 somebody else.
var (
	samePerson = [][]int{{0, 1}, {0, 1}, {2}, {3}}
	sameNumber = [][]int{{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {3}}
)

// naive is the rule in as few words as possible: everything that happened is
// sorted by time, revocations after grants of the same instant, and the last
// that concerns this person and this number decides.
func naive(acts []act, who int, cat whatsapp.Category, scopes []string) bool {
	sorted := slices.Clone(acts)
	slices.SortStableFunc(sorted, func(a, b act) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		order := map[string]int{"grant": 0, "revoke": 1, "lift": 2} // a lift may equal its block
		return order[a.kind] - order[b.kind]
	})
	granted, blocked := false, false
	for _, a := range sorted {
		switch {
		case a.cat != cat:
		case a.kind == "lift":
			if slices.Contains(samePerson[who], a.who) {
				blocked = false
			}
		case a.scope == ScopeMeta:
			if slices.Contains(sameNumber[who], a.who) {
				blocked = true
			}
		case !slices.Contains(scopes, a.scope):
		case a.kind == "grant":
			granted = granted || a.who == who
		case slices.Contains(sameNumber[who], a.who):
			granted = false
		}
	}
	return granted && !blocked
}

func TestAnyOrderGivesTheModelsState(t *testing.T) {
	phone, waID := ninth(t)
	cast := []whatsapp.Identity{phone, whatsapp.BSUID("BR.1502").Identity(), waID, bruno}
	cats := []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	l := newLedger(t)
	undo := fmt.Errorf("undo")
	rapid.Check(t, func(t *rapid.T) {
		acts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
			a := act{
				kind: rapid.SampledFrom([]string{"grant", "grant", "revoke", "revoke", "lift"}).Draw(t, "kind"),
				who:  rapid.IntRange(0, 3).Draw(t, "who"),
				cat:  rapid.SampledFrom(cats).Draw(t, "category"),
				at:   day(1).Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "hour")) * time.Hour),
			}
			a.scope = rapid.SampledFrom([]string{"*", "*", "loja-sp", "varejo", "cobranca", ScopeMeta}).Draw(t, "scope")
			if a.kind == "grant" && a.scope == ScopeMeta {
				a.scope = "*"
			}
			return a
		}), 1, 14).Draw(t, "acts")
		order := rapid.Permutation(acts).Draw(t, "order")
		order = append(order, order[:rapid.IntRange(0, len(order)).Draw(t, "again")]...) // some come twice
		err := l.Write(l.Context(), func(tx *store.Tx) error {
			for _, id := range cast[:2] {
				if _, _, err := contacts.Ensure(tx, id); err != nil {
					return err
				}
			}
			if _, err := contacts.Learn(tx, cast[0], cast[1]); err != nil {
				return err
			}
			for _, a := range order {
				if err := a.do(tx, cast); err != nil {
					return err
				}
			}
			for who, id := range cast {
				c, ok, err := contacts.Find(tx, id)
				if err != nil {
					return err
				}
				for _, cat := range cats {
					for _, scopes := range [][]string{Scopes("loja-sp", "varejo"), Scopes("loja-rj", "varejo"), Scopes("cobranca", "")} {
						s := State{}
						if ok {
							if s, err = Current(tx, c.ID, cat, scopes); err != nil {
								return err
							}
						}
						if want := naive(acts, who, cat, scopes); s.Granted != want {
							return fmt.Errorf("who %d, %s on %v: granted %t, the model says %t\nrecorded: %v", who, cat, scopes, s.Granted, want, order)
						}
					}
				}
			}
			return undo
		})
		if err != undo {
			t.Fatal(err)
		}
	})
}

// Decide must never grant what a revocation or a block forbids, whatever the
// facts are.
func TestDecide(t *testing.T) {
	when := func(t *rapid.T, what string) time.Time {
		if h := rapid.IntRange(0, 5).Draw(t, what); h > 0 {
			return day(1).Add(time.Duration(h) * time.Hour)
		}
		return time.Time{}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{GrantedAt: when(t, "granted"), RevokedAt: when(t, "revoked"), BlockedAt: when(t, "blocked")}
		s := Decide(f)
		want := !f.GrantedAt.IsZero() && (f.RevokedAt.IsZero() || f.GrantedAt.After(f.RevokedAt)) && f.BlockedAt.IsZero()
		if s.Granted != want {
			t.Fatalf("%+v: %+v", f, s)
		}
		if s.Granted != (s.Reason == "") {
			t.Fatalf("granted and reason disagree: %+v", s)
		}
		if (s.Reason == ReasonNoOptIn) != (!s.Granted && s.RevokedAt.IsZero()) {
			t.Fatalf("%+v: reason %s", f, s.Reason)
		}
	})
}
