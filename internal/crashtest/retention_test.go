package crashtest

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putOldRun = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (77, 'velha', 1, 0, '', 'finished', ?1)`)
	putOld    = store.SQL(`INSERT INTO messages (id, stream_id, run_id, contact_id, address, params, line, external_id, state, attempt, created_at, claimed_at,
		accepted_at, sent_at, delivered_at, read_at, ended_at, wamid) VALUES (?1, ?2, ?3, ?1, ?4, '["Ana"]', ?1, ?4, 'read', 1, ?5, ?5, ?5, ?5, ?5, ?5, ?5, ?4)`)
	putLooked   = store.SQL(`UPDATE retention SET looked_at = ?1, since = ?2 WHERE id = 1`) // for more than a day
	putOldTally = store.SQL(`INSERT INTO tallies (stream_id, state, n) VALUES (?1, 'read', ?2)`)
)

// old fills the database with messages that ended 120 days ago: every second one
// of a run that is over.
func (w *world) old(n int) {
	w.t.Helper()
	ctx := w.t.Context()
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(w.dir, "janela.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(ctx, func(tx *store.Tx) error {
		ended := store.Millis(tx.Now().AddDate(0, 0, -120))
		if err := tx.One(putOldRun, ended); err != nil {
			return err
		}
		if err := tx.One(putLooked, store.Millis(tx.Now()), store.Millis(tx.Now().AddDate(0, 0, -2))); err != nil {
			return err
		}
		streams := map[int64]outbox.Stream{}
		for _, run := range []int64{0, 77} {
			s, err := outbox.OpenStream(tx, outbox.Stream{Number: number, WABA: waba, Category: whatsapp.Marketing, Template: template, Language: "pt_BR", Campaign: "velha", Run: run})
			if err == nil {
				err = tx.One(putOldTally, s.ID, n/2)
			}
			if err != nil {
				return err
			}
			streams[run] = s
		}
		for i := 1; i <= n; i++ {
			run := int64(i%2) * 77
			if err := tx.One(putOld, i, streams[run].ID, run, fmt.Sprint("wamid.", i), ended+int64(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// moved counts the old messages in the past, after a kill, and looks whether each
// of the n stands there as it was, or where it stood.
func (w *world) moved(n int) (past int) {
	w.t.Helper()
	r := w.remains()
	defer r.close()
	var all, once, sound, counted int
	err := r.db.QueryRow(`WITH m AS (
		SELECT id, run_id, contact_id, address, line, external_id, state, wamid, sent_at, read_at, ended_at, params FROM messages UNION ALL
		SELECT id, run_id, contact_id, address, line, external_id, state, wamid, sent_at, read_at, ended_at, '["Ana"]' FROM past_messages)
		SELECT COUNT(*), COUNT(DISTINCT id), COALESCE(SUM(run_id = id % 2 * 77 AND contact_id = id AND line = id AND address = 'wamid.' || id AND external_id = address AND wamid = address
			AND state = 'read' AND sent_at = ended_at AND read_at = ended_at AND params = '["Ana"]'), 0),
		(SELECT COUNT(*) FROM past_messages), (SELECT messages FROM retention) FROM m`).Scan(&all, &once, &sound, &past, &counted)
	if err != nil || all != n || once != n || sound != n || past != counted {
		w.t.Errorf("of %d messages there are %d rows of %d, %d as they were; %d in the past, and %d are said to be: %v", n, all, once, sound, past, counted, err)
	}
	return past
}

// While old messages move to the past the process breaks, before and after each
// commit, and wherever a kill meets it: every message stands in one of the two
// tables, as it was.
func TestTortureRetention(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("retention")
	w := newWorld(t, 0, misbehaving())
	n := 2 * size("OLD_MESSAGES", 3000, 100_000)
	w.old(n)
	w.binary = program(t, "failpoint")
	between, last := 0, 0
	died := func(what string) {
		t.Helper()
		past := w.moved(n)
		if past < last {
			t.Errorf("after %s %d are in the past, and %d were before", what, past, last)
		}
		if last = past; past > 0 && past < n {
			between++
		}
	}
	for _, at := range []string{"retention.turn.commit=exit@3", "retention.turn.committed=exit@3", "retention.turn.commit=panic@2"} {
		p := w.run("FAILPOINTS=" + at)
		if !p.ends(time.Minute) || p.err == nil {
			t.Fatalf("%s: it goes on\n%s", at, w.logs.String())
		}
		died(at)
	}
	kills := size("RETENTION_KILLS", 4, 100)
	for range kills {
		if last == n {
			break
		}
		cmd := w.start()
		w.until(func(text string) bool { return text != "" })
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		w.kill(cmd)
		died("a kill")
	}
	cmd := w.start()
	w.until(func(text string) bool {
		return strings.Contains(text, fmt.Sprintf("janela_messages_past %v\n", float64(n)))
	})
	w.stop(cmd)
	if past := w.moved(n); past != n {
		t.Errorf("%d of %d moved in the end", past, n)
	}
	if between < 3 {
		t.Errorf("only %d times it was broken in between", between)
	}
	line.verdict.messages, line.verdict.ok = n, n
	line.done = fmt.Sprintf("%d old messages move; 3 failpoints, %d kills", n, kills)
	line.figure("broken in between: %d times; none in both tables, none in neither", between)
	line.tell(t)
}
