package contacts_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlNoContacts   = store.SQL(`DELETE FROM contacts`)
	sqlNoIdentities = store.SQL(`DELETE FROM identities`)
)

// union is the model: sets of things that are the same, by a parent each.
type union map[string]string

func (u union) find(x string) string {
	if p, ok := u[x]; ok && p != x {
		return u.find(p)
	}
	return x
}

func (u union) join(a, b string) { u[u.find(a)] = u.find(b) }

// model knows which identity was put on which contact, and joins by the book.
type model struct {
	home    map[whatsapp.Identity]int64
	persons union // over contact ids
}

func key(id int64) string { return strconv.FormatInt(id, 10) }

func (m model) same(a, b int64) bool { return m.persons.find(key(a)) == m.persons.find(key(b)) }

func (m model) contacts() []int64 {
	var out []int64
	for _, c := range m.home {
		out = append(out, c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m model) members(contact int64) []int64 {
	return slices.DeleteFunc(m.contacts(), func(c int64) bool { return !m.same(c, contact) })
}

// reach is the union over persons and digits together.
func (m model) reach(id whatsapp.Identity) []int64 {
	u := union{}
	node := func(i whatsapp.Identity) string { return "id " + string(i.Kind) + i.Value }
	link := func(i whatsapp.Identity) {
		if k := strings.TrimPrefix(i.Value, "+"); i.Kind == whatsapp.KindPhone || i.Kind == whatsapp.KindWaID {
			u.join(node(i), "digits "+k)
		}
	}
	link(id)
	for i, c := range m.home {
		link(i)
		u.join(node(i), "person "+m.persons.find(key(c)))
	}
	return slices.DeleteFunc(m.contacts(), func(c int64) bool {
		return u.find("person "+m.persons.find(key(c))) != u.find(node(id))
	})
}

func TestBookAgainstUnionFind(t *testing.T) {
	db := open(t, nil)
	anyone := rapid.Custom(func(t *rapid.T) whatsapp.Identity {
		n := rapid.IntRange(0, 5).Draw(t, "n")
		return rapid.SampledFrom([]whatsapp.Identity{phone(n), waID(n), bsuid(n),
			{Kind: whatsapp.KindParentBSUID, Value: fmt.Sprintf("US.ENT.%d", n)}}).Draw(t, "kind")
	})
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.SliceOfN(anyone, 1, 3), 1, 14).Draw(rt, "learnt")
		m := model{home: map[whatsapp.Identity]int64{}, persons: union{}}
		err := db.Write(context.Background(), func(tx *store.Tx) error {
			for _, s := range []*store.Stmt{sqlNoContacts, sqlNoIdentities} {
				if _, err := tx.Exec(s); err != nil {
					return err
				}
			}
			for _, ids := range steps {
				got, err := contacts.Learn(tx, ids...)
				if err != nil {
					return err
				}
				home := got.ID // new identities go where the first known one lives
				for _, id := range ids {
					if c, ok := m.home[id]; ok {
						home = c
						break
					}
				}
				for _, id := range ids {
					if _, ok := m.home[id]; !ok {
						m.home[id] = home
					}
					m.persons.join(key(m.home[id]), key(home))
				}
				if got.ID != m.home[ids[0]] {
					return fmt.Errorf("learn returned contact %d, the first identity has %d", got.ID, m.home[ids[0]])
				}
			}
			return m.check(tx)
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func (m model) check(tx *store.Tx) error {
	for id, home := range m.home {
		c, ok, err := contacts.Find(tx, id)
		if err != nil {
			return err
		}
		want := contacts.Contact{ID: home, Root: slices.Min(m.members(home))}
		if !ok || c != want {
			return fmt.Errorf("%v: found %+v, want %+v", id, c, want)
		}
		members, err := contacts.Members(tx, home)
		if err != nil {
			return err
		}
		if d := cmp.Diff(m.members(home), members); d != "" {
			return fmt.Errorf("members of %d (-want +got):\n%s", home, d)
		}
		ids, err := contacts.Identities(tx, home)
		if err != nil {
			return err
		}
		for i := range ids {
			if !m.same(m.home[ids[i]], home) || (i > 0 && ids[i].Kind == whatsapp.KindPhone && ids[i-1].Kind != whatsapp.KindPhone) {
				return fmt.Errorf("identities of %d: %v", home, ids)
			}
		}
	}
	rows, err := store.All[pair](tx, sqlRoots)
	if err != nil {
		return err
	}
	roots := map[int64]int64{}
	for _, r := range rows {
		roots[r.a] = r.b
	}
	for id, root := range roots {
		if roots[root] != root || root > id {
			return fmt.Errorf("contact %d has root %d, which has root %d", id, root, roots[root])
		}
	}
	for n := range 6 {
		for _, id := range []whatsapp.Identity{phone(n), waID(n), bsuid(n)} {
			got, err := contacts.Reach(tx, id)
			if err != nil {
				return err
			}
			if d := cmp.Diff(m.reach(id), got); d != "" && len(got)+len(m.reach(id)) > 0 {
				return fmt.Errorf("reach of %v (-want +got):\n%s", id, d)
			}
		}
	}
	return nil
}

type planLine struct {
	id, parent, unused int64
	detail             string
}

// Fields names the places of EXPLAIN QUERY PLAN's columns.
func (p *planLine) Fields() []any { return []any{&p.id, &p.parent, &p.unused, &p.detail} }

var parameter = regexp.MustCompile(`\?(\d+)`)

func TestNoStatementWalksATable(t *testing.T) {
	db := open(t, nil)
	for _, s := range store.Statements() {
		if s.Owner() != "janela/internal/contacts" {
			continue
		}
		var args []any
		for _, m := range parameter.FindAllStringSubmatch(s.Text(), -1) {
			n, _ := strconv.Atoi(m[1])
			for len(args) < n {
				args = append(args, 1)
			}
		}
		write(t, db, func(tx *store.Tx) error {
			lines, err := store.All[planLine](tx, store.SQL("EXPLAIN QUERY PLAN "+s.Text()), args...)
			for _, l := range lines {
				// r is the recursion's own queue, or the rows of the statement itself, not a table.
				if strings.HasPrefix(l.detail, "SCAN") && l.detail != "SCAN r" && !strings.Contains(l.detail, "CONSTANT ROW") {
					t.Errorf("%s\n%s", l.detail, s.Text())
				}
			}
			return err
		})
	}
}
