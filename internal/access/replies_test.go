package access_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/access"
	"janela/internal/store"
)

func replay(t failer, db *store.DB, r access.Repeat) (reply access.Reply, ok bool, asked error) {
	t.Helper()
	if err := db.Read(bg, func(s *store.Snap) error { reply, ok, asked = access.Replay(s, r); return nil }); err != nil {
		t.Fatalf("%v", err)
	}
	return reply, ok, asked
}

var sqlRows = store.SQL(`SELECT count(*) FROM idempotent_replies`)

// rows counts what stands, also what is over.
func rows(t failer, db *store.DB) (n int) {
	t.Helper()
	if err := db.Read(bg, func(s *store.Snap) (err error) { n, _, err = store.Value[int](s, sqlRows); return err }); err != nil {
		t.Fatalf("%v", err)
	}
	return n
}

func TestReplyIsGivenAgainUntilItsTimeIsOver(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	r := access.Repeat{Client: "app", Route: "POST /v1/otp", Key: "k", Request: "b"}
	if _, ok, err := replay(t, db, r); ok || err != nil {
		t.Fatalf("before anything: %v, %v", ok, err)
	}
	reply := access.Reply{Status: 202, Body: "{\"id\":\"otp_x\"}\n\x00ção"}
	write(t, db, func(tx *store.Tx) error { return access.Keep(tx, r, reply, time.Minute) })
	other := r
	other.Request = "another body"
	for _, c := range []struct {
		after time.Duration
		live  bool
	}{{0, true}, {time.Minute - time.Millisecond, true}, {time.Minute, false}, {time.Hour, false}} {
		wall = noon.Add(c.after)
		got, ok, err := replay(t, db, r)
		if err != nil || ok != c.live || c.live && got != reply || !c.live && got != (access.Reply{}) {
			t.Errorf("after %v: %+v, %v, %v", c.after, got, ok, err)
		}
		got, ok, err = replay(t, db, other)
		if ok || got != (access.Reply{}) || c.live != errors.Is(err, access.ErrKeyReused) || !c.live && err != nil {
			t.Errorf("another body after %v: %+v, %v, %v", c.after, got, ok, err)
		}
	}
	// Over is as if it were not there: the key can be used for anything again.
	write(t, db, func(tx *store.Tx) error {
		return access.Keep(tx, other, access.Reply{Status: 200, Body: "y"}, time.Second)
	})
	if got, ok, err := replay(t, db, other); !ok || err != nil || got.Body != "y" || got.Status != 200 {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if _, _, err := replay(t, db, r); !errors.Is(err, access.ErrKeyReused) {
		t.Errorf("the old body: %v", err)
	}
}

// Who forgets to ask cannot have the effect twice all the same.
func TestALiveReplyIsNotWrittenOver(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	r := access.Repeat{Client: "app", Route: "POST /v1/otp", Key: "k", Request: "b"}
	effect := func(body string) error {
		return db.Write(t.Context(), func(tx *store.Tx) error {
			if err := access.Note(tx, access.Entry{Command: "effect " + body}); err != nil {
				return err
			}
			return access.Keep(tx, r, access.Reply{Status: 202, Body: body}, time.Minute)
		})
	}
	if err := effect("first"); err != nil {
		t.Fatal(err)
	}
	wall = wall.Add(time.Minute - time.Millisecond)
	if err := effect("second"); !errors.Is(err, store.ErrLost) {
		t.Errorf("the second effect: %v", err)
	}
	if got, _, _ := replay(t, db, r); got.Body != "first" {
		t.Errorf("replayed: %+v", got)
	}
	if entries := list(t, db, 0, 10); len(entries) != 1 {
		t.Errorf("%d effects", len(entries))
	}
	wall = wall.Add(time.Millisecond)
	if err := effect("third"); err != nil {
		t.Errorf("after its time: %v", err)
	}
}

// Sixty-four of the same request at once have one effect and one answer.
func TestTheSameRequestAtOnce(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	for round := range 20 {
		r := access.Repeat{Client: "app", Route: "POST /v1/otp", Key: fmt.Sprint("k", round), Request: "b"}
		var wg sync.WaitGroup
		answers := make([]access.Reply, 64)
		for i := range answers {
			wg.Go(func() {
				err := db.Write(bg, func(tx *store.Tx) error {
					reply, ok, err := access.Replay(tx, r)
					if err != nil || ok {
						answers[i] = reply
						return err
					}
					id := tx.NewID() // the effect
					if err := access.Note(tx, access.Entry{Command: "effect", Object: r.Key}); err != nil {
						return err
					}
					answers[i] = access.Reply{Status: 202, Body: fmt.Sprint(id)}
					return access.Keep(tx, r, answers[i], time.Hour)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, a := range answers {
			if a != answers[0] || a.Body == "" {
				t.Fatalf("round %d: two answers, %+v and %+v", round, answers[0], a)
			}
		}
	}
	if entries := list(t, db, 0, 1000); len(entries) != 20 {
		t.Errorf("%d effects of 20 requests", len(entries))
	}
}

// Against a list of what was answered and until when: the very bytes come back,
// another body is refused, what is over is gone, and the sweep takes nothing
// that lives.
func TestRepliesAgainstAModel(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	type kept struct {
		request string
		reply   access.Reply
		until   time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		wall = wall.AddDate(0, 1, 0) // whatever the example before left is over
		write(t, db, func(tx *store.Tx) error { _, err := access.SweepReplies(tx, 1<<20); return err })
		model := map[access.Repeat]kept{} // without Request
		few := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		draw := func() access.Repeat {
			return access.Repeat{Client: few("client", "app", "site"), Route: few("route", "POST /v1/otp", "POST /v1/otp/resend"),
				Key: few("key", "k", "K", "k ", ""), Request: few("request", "b1", "b2")}
		}
		over := func() (n int) {
			for _, m := range model {
				if !wall.Before(m.until) {
					n++
				}
			}
			return n
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch few("what", "keep", "keep", "wait", "sweep") {
			case "keep":
				r := draw()
				place := access.Repeat{Client: r.Client, Route: r.Route, Key: r.Key}
				m := kept{r.Request, access.Reply{Status: rapid.IntRange(100, 599).Draw(t, "status"), Body: rapid.String().Draw(t, "body")}, time.Time{}}
				ttl := time.Duration(rapid.IntRange(1, 20).Draw(t, "ttl")) * time.Millisecond
				m.until = wall.Add(ttl)
				err := db.Write(bg, func(tx *store.Tx) error { return access.Keep(tx, r, m.reply, ttl) })
				if old, ok := model[place]; ok && wall.Before(old.until) {
					if !errors.Is(err, store.ErrLost) {
						t.Fatalf("a live reply was written over: %v", err)
					}
				} else if err != nil {
					t.Fatal(err)
				} else {
					model[place] = m
				}
			case "wait":
				wall = wall.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "ms")) * time.Millisecond)
			case "sweep":
				limit, n := rapid.IntRange(0, 5).Draw(t, "limit"), 0
				write(t, db, func(tx *store.Tx) (err error) { n, err = access.SweepReplies(tx, limit); return err })
				if want := min(limit, over()); n != want {
					t.Fatalf("%d were swept, %d are over, the limit is %d", n, over(), limit)
				}
				// Which ones went only the rows know; the others go as well.
				write(t, db, func(tx *store.Tx) (err error) { _, err = access.SweepReplies(tx, 1<<20); return err })
				maps.DeleteFunc(model, func(_ access.Repeat, m kept) bool { return !wall.Before(m.until) })
			}
			if n := rows(t, db); n != len(model) {
				t.Fatalf("%d rows, the model has %d", n, len(model))
			}
			r := draw()
			got, ok, err := replay(t, db, r)
			m, live := model[access.Repeat{Client: r.Client, Route: r.Route, Key: r.Key}]
			switch live = live && wall.Before(m.until); {
			case !live && (ok || err != nil || got != (access.Reply{})):
				t.Fatalf("nothing was answered, and %+v comes back (%v, %v)", got, ok, err)
			case live && r.Request != m.request && (ok || !errors.Is(err, access.ErrKeyReused) || got != (access.Reply{})):
				t.Fatalf("another body: %+v, %v, %v", got, ok, err)
			case live && r.Request == m.request && (!ok || err != nil || got != m.reply):
				t.Fatalf("%v, %v\n%s", ok, err, cmp.Diff(m.reply, got))
			}
		}
	})
}

// An effect that is undone takes its reply with it.
func TestReplyOfAnUndoneEffectIsUndone(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	r := access.Repeat{Client: "app", Route: "POST /v1/otp", Key: "k", Request: "b"}
	boom := errors.New("boom")
	err := db.Write(t.Context(), func(tx *store.Tx) error {
		if err := access.Keep(tx, r, access.Reply{Status: 202, Body: "x"}, time.Hour); err != nil {
			return err
		}
		if got, ok, err := access.Replay(tx, r); !ok || err != nil || got.Body != "x" {
			t.Errorf("within its transaction: %+v, %v, %v", got, ok, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got, ok, err := replay(t, db, r); ok || err != nil {
		t.Errorf("left behind: %+v, %v", got, err)
	}
}

// What is refused repeats neither key nor body.
func TestReusedKeyIsNotEchoed(t *testing.T) {
	wall := noon
	db := open(t, &wall)
	r := access.Repeat{Client: "app", Route: "POST /v1/otp", Key: "planted-key", Request: "planted-body"}
	write(t, db, func(tx *store.Tx) error {
		return access.Keep(tx, r, access.Reply{Status: 202, Body: "planted-reply"}, time.Hour)
	})
	lost := db.Write(t.Context(), func(tx *store.Tx) error {
		return access.Keep(tx, r, access.Reply{Status: 202, Body: "planted-reply"}, time.Hour)
	})
	r.Request = "planted-other"
	_, _, reused := replay(t, db, r)
	for _, err := range []error{lost, reused} {
		if err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("the error is %v", err)
		}
	}
}
