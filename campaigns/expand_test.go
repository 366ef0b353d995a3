package campaigns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
	"janela/scheduler"
)

// fire begins a run of a campaign by hand, with the loops at rest.
func (w *world) fire(id, minute string) RunRecord {
	w.t.Helper()
	w.must(func(tx *store.Tx) error {
		return w.c.Fire(tx, scheduler.Firing{SlotID: tx.NewID(), Key: scheduleKey(id), Civil: minute})
	})
	return w.runs(id)[0]
}

// A crash after any number of batches: the next process goes on, and every row
// becomes exactly one message or reject.
func TestInterruptedExpansionGoesOn(t *testing.T) {
	for crashes := range 5 {
		inWorld(t, nil, func(t *testing.T, w *world) {
			const rows = 1030
			w.consent("utility", 1, rows)
			w.run()
			w.put("u.csv", people(1, rows)+"x;12\ny;"+testPhone(1)+"\n")
			w.put("u.toml", series("u", "0 12 * * *", "", ""))
			w.pass(5 * time.Second)
			w.halt()
			run := w.fire("u", "2026-11-20T12:00")

			// The file changes after the first batch: what is frozen stays.
			for i := range crashes {
				w.admitUntil(run, int64(200*(2*i+1)))
				w.put("u.csv", people(500, 2000))
				run = w.runs("u")[0]
			}
			w.run()
			w.pass(5 * time.Second)
			run = w.runs("u")[0]
			equal(t, "state", run.State, SendingRun)
			equal(t, "admitted", run.Admitted, rows)
			equal(t, "rejected", run.Rejected, 1)
			equal(t, "duplicates", run.Duplicates, 1)
			lines := w.list(getLines)
			for i, line := range lines {
				if line != strconv.Itoa(i+2) {
					t.Fatalf("%d messages; message %d has line %s", len(lines), i, line)
				}
			}
			equal(t, "messages", len(lines), rows)
			equal(t, "rejects", strings.Join(w.list(getRejects), ", "), fmt.Sprintf("%d invalid_phone, %d duplicate", rows+2, rows+3))
			equal(t, "sent", w.send(), rows)
			w.pass(time.Second)
			equal(t, "state", w.runs("u")[0].State, FinishedRun)
			for _, line := range files(t, w.cfg.Spool) {
				t.Errorf("left in the spool: %s", line)
			}
		})
	}
}

// surveyed expands a run up to where people are admitted.
func (w *world) surveyed(run RunRecord) (x *expansion, path string) {
	w.t.Helper()
	x = &expansion{c: w.c, run: run}
	ctx := w.t.Context()
	if err := x.prepare(ctx); err != nil {
		w.t.Fatal(err)
	}
	path, err := x.audience(ctx)
	if err == nil {
		err = x.compile(ctx, path)
	}
	if err == nil {
		err = x.survey(ctx, path)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return x, path
}

// admitUntil expands a run until it has reached a row, or the end of the file,
// and crashes there.
func (w *world) admitUntil(run RunRecord, position int64) {
	w.t.Helper()
	x, path := w.surveyed(run)
	ctx := w.t.Context()
	var batch []entry
	_, err := x.each(ctx, path, func(row int, r Recipient, bad *Reject) error {
		if int64(row) < run.Position {
			return nil
		}
		if int64(row) >= position {
			w.db.Crash()
		}
		batch = append(batch, entry{r: r, bad: bad, duplicate: bad == nil && x.skip.has(row)})
		if len(batch) < 40 {
			return nil
		}
		err := x.portion(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err != nil && !errors.Is(err, store.ErrCrashed) {
		w.t.Fatal(err)
	}
	w.crash()
}

func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWhichDuplicateCounts(t *testing.T) {
	for _, x := range []struct {
		which, state string
		lines        []string
	}{
		{"first", SendingRun, []string{"2", "3"}},
		{"last", SendingRun, []string{"3", "4"}},
		{"fail", FailedRun, nil},
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.consent("marketing", 1, 2)
			w.run()
			w.put("m.csv", "nome;telefone\nA;"+testPhone(1)+"\nB;"+testPhone(2)+"\nC;+55 11 90000-0001\n")
			w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", fmt.Sprintf("duplicates = %q", x.which), ""))
			w.pass(90 * time.Second)
			equal(t, x.which+": state", w.runs("m")[0].State, x.state)
			if diff := cmp.Diff(x.lines, w.list(getLines)); diff != "" {
				t.Errorf("%s: %s", x.which, diff)
			}
		})
	}
}

func TestTooManyUnusableRows(t *testing.T) {
	for percent, state := range map[string]string{"10": SendingRun, "9.9": FailedRun} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.consent("marketing", 1, 9)
			w.run()
			w.put("m.csv", people(1, 9)+"x;12\n") // one of ten
			w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "max_rejected_percent = "+percent, ""))
			w.pass(90 * time.Second)
			equal(t, percent+" %: state", w.runs("m")[0].State, state)
			if failed := state == FailedRun; failed != (len(w.c.Alerts()) == 1) || failed && len(w.list(getLines)) > 0 {
				t.Errorf("%s %%: alerts %v, %d messages", percent, w.c.Alerts(), len(w.list(getLines)))
			}
		})
	}
}

func TestOncePer(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 9)
		w.run()
		file := "nome;telefone;boleto\n"
		add := func(person int, bill string) {
			file += fmt.Sprintf("P;%s;%s\n", testPhone(person), bill)
			w.put("u.csv", file)
		}
		add(1, "a")
		add(2, "b")
		add(3, "b") // the same notice for another telephone, in one batch
		add(50, "c")
		w.put("u.toml", series("u", "*/2 10 * * *", "once_per = [\"boleto\"]", ""))
		w.pass(125 * time.Second)
		equal(t, "sent", w.send(), 2)
		add(1, "d")                  // another bill of the same person
		add(4, "a")                  // an old notice
		w.consent("utility", 50, 50) // was refused: surely never left
		w.pass(2 * time.Minute)
		if diff := cmp.Diff([]string{"2 already_sent", "3 already_sent", "4 already_sent", "7 already_sent"},
			append([]string{}, w.list(getRejects)[1:]...)); diff != "" {
			t.Error(diff)
		}
		equal(t, "sent of the second run", w.send(), 2)
		w.pass(2 * time.Minute)
		equal(t, "sent of the third run", w.send(), 0)
	})
}

// Two series with one audience, and a one-off with the same content to come:
// each has a copy of its own, and the end of one run takes no other's away.
func TestSameContentTwice(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 3)
		w.consent("marketing", 1, 3)
		w.run()
		for _, id := range []string{"a", "b"} {
			w.put(id+".csv", people(1, 3))
			w.put(id+".toml", series(id, "0 12 * * *", "", ""))
		}
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:03:00", "", ""))
		w.pass(5 * time.Second)
		w.halt()
		begun := &expansion{c: w.c, run: w.fire("a", "2026-11-20T10:00")}
		if err := begun.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := begun.audience(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.c.expand(t.Context(), w.fire("b", "2026-11-20T10:00")); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.pass(5 * time.Second)
		equal(t, "sent of the series", w.send(), 6)
		w.pass(3 * time.Minute)
		equal(t, "sent of the one-off", w.send(), 3)
	})
}

func TestMissingFileIsAMissedRun(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		w.put("u.toml", strings.Replace(series("u", "1 10 * * *", "", ""), "u.csv", "u-{{date}}.csv", 1))
		w.pass(2 * time.Minute)
		equal(t, "state", w.runs("u")[0].State, MissedRun)
		equal(t, "alerts", len(w.c.Alerts()), 1)
	})
}
