package otp

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
)

var (
	countOf = map[string]*store.Stmt{
		"challenges": store.SQL(`SELECT COUNT(*) FROM challenges`), "sends": store.SQL(`SELECT COUNT(*) FROM code_sends`),
		"counts": store.SQL(`SELECT COUNT(*) FROM code_counts`), "failures": store.SQL(`SELECT COUNT(*) FROM code_failures`),
		"rates": store.SQL(`SELECT COUNT(*) FROM code_rates`), "phones": store.SQL(`SELECT COUNT(*) FROM code_phones`),
	}
	putVerified = store.SQL(`INSERT INTO code_counts (scope, bucket, sent, verified) VALUES (?1, ?2, 100, ?3)
		ON CONFLICT (scope, bucket) DO UPDATE SET verified = code_counts.verified + excluded.verified`)
	baselineOf = store.SQL(`SELECT most_verified FROM code_baselines WHERE country = ?1`)
)

// Challenges whose time is over end by themselves, however many they are.
func TestSweep(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Live = -1 })
	var ids []string
	for i := range 2*sweepRows + 7 {
		ids = append(ids, w.issue(t, func(r *Request) { r.To = []string{phone1, phone2}[i%2] }).ID)
	}
	w.pass(5 * time.Minute)
	late := w.issue(t)
	w.pass(5 * time.Minute)
	if err := w.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		row := w.row(t, id)
		if row.State != Expired || row.Seed != "" || row.EndedAt != store.Millis(w.wall) || w.state(t, row.Message) != outbox.Cancelled || w.counts(t, row.Message) != 0 {
			t.Fatalf("%s, seed of %d digits, its message %s", row.State, len(row.Seed), w.state(t, row.Message))
		}
	}
	if s := w.row(t, late.ID).State; s != Pending {
		t.Errorf("the late one is %s", s)
	}
}

// Run sweeps every ten seconds, forgets every hour, and ends with its context.
func TestRun(t *testing.T) {
	keys, err := OpenKeyring(filepath.Join(t.TempDir(), "otp.key"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(dir, "x.db")})
		if err != nil {
			t.Fatal(err)
		}
		o, err := New(testConfig(), Deps{DB: db, Keys: keys, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := o.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		put := func(id string, expires time.Time) {
			err := db.Write(ctx, func(tx *store.Tx) error {
				now := store.Millis(tx.Now())
				return tx.One(sqlInsert, id, "app", "login", 1, "k", "m", "+1*", "US", "", "", "pt_BR", "", false, 6, "k1", "5eed", 5, 3, 0, "", now, store.Millis(expires), "p", false)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		look := func(id string) (ch challenge) {
			err := db.Read(context.Background(), func(q *store.Snap) (err error) {
				ch, _, err = store.Get[challenge](q, sqlChallenge, id)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return ch
		}
		put("a", time.Now().Add(time.Minute))
		time.Sleep(time.Minute + 9*time.Second)
		synctest.Wait()
		// Meanwhile it already shows as expired; within ten seconds its seed is gone.
		time.Sleep(time.Second)
		synctest.Wait()
		if ch := look("a"); ch.State != Expired || ch.Seed != "" {
			t.Errorf("after ten seconds it is %s, its seed %q", ch.State, ch.Seed)
		}
		time.Sleep(23 * time.Hour)
		if look("a").ID == "" {
			t.Error("it was forgotten within a day")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if look("a").ID != "" {
			t.Error("it was not forgotten after a day")
		}
		cancel()
		running.Wait()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is older than anybody needs is forgotten, and nothing else.
func TestTidy(t *testing.T) {
	w := newWorld(t)
	tables := func() map[string]int {
		n := map[string]int{}
		w.read(t, func(q *store.Snap) error {
			for name, stmt := range countOf {
				v, _, err := store.Value[int](q, stmt)
				if err != nil {
					return err
				}
				n[name] = v
			}
			return nil
		})
		return n
	}
	tidy := func() map[string]int {
		if err := w.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		return tables()
	}
	// Phone 1 is verified, phone 2 locked.
	v := w.issue(t)
	_, code := w.deliver(t)
	w.verify(t, v.ID, code)
	w.cfg().Limits.Lock, w.cfg().Limits.Failures = 1, 15
	v = w.issue(t, func(r *Request) { r.To = phone2 })
	_, code = w.deliver(t)
	w.verify(t, v.ID, wrongs(code, 1)[0])
	if _, err := w.cancel(t, v.ID); err != nil {
		t.Fatal(err)
	}
	before := tables()
	if before["challenges"] != 2 || before["failures"] != 1 || before["phones"] != 2 || before["counts"] == 0 {
		t.Fatal(before)
	}
	if after := tidy(); !cmp.Equal(before, after) {
		t.Errorf("at once: %s", cmp.Diff(before, after))
	}
	w.pass(24*time.Hour + time.Second)
	after := tidy()
	if after["challenges"] != 0 || after["failures"] != 0 || after["sends"] != 2 || after["phones"] != 2 || after["counts"] != before["counts"] {
		t.Errorf("after a day: %v", after)
	}
	w.pass(15 * 24 * time.Hour)
	after = tidy()
	if after["sends"] != 0 || after["counts"] != 0 || after["rates"] != 0 || after["phones"] != 2 {
		t.Errorf("after two weeks: %v", after)
	}
	w.pass(keepPhones)
	if after = tidy(); after["phones"] != 1 {
		t.Errorf("after a year: %v; the locked one stays", after)
	}
}

// A country's measure is its best day of fourteen.
func TestBaselines(t *testing.T) {
	w := newWorld(t)
	best := func() (n int64) {
		if err := w.tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.read(t, func(q *store.Snap) (err error) { n, _, err = store.Value[int64](q, baselineOf, "BR"); return err })
		return n
	}
	put := func(ago time.Duration, verified int) {
		w.write(t, func(tx *store.Tx) error {
			for _, scope := range []string{"country:BR", "all", "country:US"} {
				if _, err := tx.Exec(putVerified, scope, bucketOf(store.Millis(tx.Now().Add(-ago))), verified); err != nil {
					return err
				}
				verified *= 10
			}
			return nil
		})
	}
	if got := best(); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	put(13*24*time.Hour, 40)
	put(13*24*time.Hour+10*time.Minute, 30)
	put(2*24*time.Hour, 50)
	put(24*time.Hour, 60)
	if got := best(); got != 70 {
		t.Errorf("%d, want 70: two ten minutes of one day", got)
	}
	w.pass(2 * 24 * time.Hour)
	if got := best(); got != 60 {
		t.Errorf("%d, want 60: the best day is too long ago", got)
	}
	w.pass(30 * 24 * time.Hour)
	if got := best(); got != 0 {
		t.Errorf("a month later: %d", got)
	}
}
