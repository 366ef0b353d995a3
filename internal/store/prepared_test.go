package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"janela/internal/store"
)

type word string

type many struct {
	i64  int64
	i    int
	i8   int8
	u    uint16
	yes  bool
	f    float64
	ff   float32
	s    string
	w    word
	b    []byte
	null sql.NullInt64
}

func (m *many) Fields() []any {
	return []any{&m.i64, &m.i, &m.i8, &m.u, &m.yes, &m.f, &m.ff, &m.s, &m.w, &m.b, &m.null}
}

// The arguments, in the order of many.
var sqlManyEcho = store.SQL(`SELECT CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), CAST(?3 AS INTEGER), CAST(?4 AS INTEGER), CAST(?5 AS INTEGER),
	CAST(?6 AS REAL), CAST(?7 AS REAL), CAST(?8 AS TEXT), CAST(?9 AS TEXT), CAST(?10 AS BLOB), ?11`)

func TestValuesComeBackAsTheyWent(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	want := many{-1 << 62, -7, -128, 65535, true, 0.25, 0.5, "é\x00ü", "w", []byte{0, 255}, sql.NullInt64{}}
	err := db.Read(t.Context(), func(q *store.Snap) error {
		got, ok, err := store.Get[many](q, sqlManyEcho, want.i64, want.i, want.i8, want.u, want.yes, want.f, want.ff, want.s, want.w, want.b, want.null)
		if err != nil || !ok {
			return err
		}
		if got.i64 != want.i64 || got.i != want.i || got.i8 != want.i8 || got.u != want.u || got.yes != want.yes || got.f != want.f || got.ff != want.ff ||
			got.s != want.s || got.w != want.w || !slices.Equal(got.b, want.b) || got.null != want.null {
			t.Errorf("%+v, want %+v", got, want)
		}
		got, _, err = store.Get[many](q, sqlManyEcho, 0, 0, 0, 0, false, 0.0, 0.0, "", word(""), []byte{}, int64(5))
		if got.yes || got.s != "" || got.b == nil || len(got.b) != 0 || got.null != (sql.NullInt64{Int64: 5, Valid: true}) {
			t.Errorf("%+v", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

type place[T any] struct{ v T }

func (p *place[T]) Fields() []any { return []any{&p.v} }

var (
	sqlOne  = store.SQL(`SELECT ?1`)
	sqlTwo  = store.SQL(`SELECT 1, 2`)
	sqlWalk = store.SQL(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n`)
)

func ask[T any](arg any) func(*store.Snap) error {
	return func(q *store.Snap) error {
		_, _, err := store.Get[place[T]](q, sqlOne, arg)
		return err
	}
}

// What does not fit is an error, never another value, and the error does not
// show the value.
func TestWhatDoesNotFit(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	for name, fn := range map[string]func(*store.Snap) error{
		"a word for a number":      ask[int64]("secret"),
		"a word for a bool":        ask[bool]("secret"),
		"two for a bool":           ask[bool](2),
		"null":                     ask[string](nil),
		"null for bytes":           ask[[]byte](nil),
		"too much":                 ask[int8](128),
		"less than nothing":        ask[uint16](-1),
		"half a number":            ask[int64](0.5),
		"no place":                 ask[struct{}](1),
		"an argument of no kind":   ask[int64](struct{}{}),
		"an argument too few":      func(q *store.Snap) error { _, _, err := store.Value[int64](q, sqlOne); return err },
		"an argument too many":     func(q *store.Snap) error { _, _, err := store.Value[int64](q, sqlTwo, 1); return err },
		"a column without a place": func(q *store.Snap) error { _, _, err := store.Value[int64](q, sqlTwo); return err },
	} {
		err := db.Read(t.Context(), fn)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "SELECT") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A walk that is left early leaves the statement ready for the next.
func TestWalks(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	stop := errors.New("enough")
	err := db.Read(t.Context(), func(q *store.Snap) error {
		for _, until := range []int64{1, 50, 100} {
			var last int64
			err := store.Each(q, sqlWalk, func(p *place[int64]) error {
				if last = p.v; last == until {
					return stop
				}
				return nil
			})
			if !errors.Is(err, stop) || last != until {
				t.Errorf("%d, want %d: %v", last, until, err)
			}
		}
		all, err := store.All[place[int64]](q, sqlWalk)
		if len(all) != 100 || all[99].v != 100 {
			t.Errorf("%d rows", len(all))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
