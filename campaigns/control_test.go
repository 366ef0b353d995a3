package campaigns

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestApproval(t *testing.T) {
	inWorld(t, func(c *Config) { c.Approval, c.FourEyes = "marketing", true }, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 8)
		w.consent("utility", 1, 8)
		w.run()
		ctx := t.Context()
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:30:00", "", ""))
		w.put("u.csv", people(1, 3))
		w.put("u.toml", series("u", "1 10 * * *", "", ""))
		w.pass(2 * time.Minute)
		equal(t, "sent", w.send(), 3) // utility needs no approval
		first := w.waiting("m")
		equal(t, "state of the revision", first.State, WaitingApproval)

		refused(t, w.c.Approve(ctx, "m", "000000000000", "ana"), "janela campaigns approve m --plan "+first.PlanHash)
		refused(t, w.c.Approve(ctx, "m", first.PlanHash, first.SubmittedBy), "four_eyes")
		refused(t, w.c.Approve(ctx, "m", first.PlanHash, person(first.SubmittedBy)), "four_eyes")
		refused(t, w.c.Approve(ctx, "m", first.PlanHash, ""), "nobody")
		if err := w.c.Approve(ctx, "x", first.PlanHash, "ana"); !errors.Is(err, ErrNotFound) {
			t.Errorf("approve of an unknown campaign: %v", err)
		}

		// The audience changes: what was seen is not what would be sent.
		w.put("m.csv", people(1, 5))
		w.pass(5 * time.Second)
		second := w.waiting("m")
		refused(t, w.c.Approve(ctx, "m", first.PlanHash, "ana"), "--plan "+second.PlanHash)
		// The template changes.
		w.template("oferta", "marketing", "APPROVED", "Oi {{1}}, compre!")
		w.pass(5 * time.Second)
		third := w.waiting("m")
		if third.ID != second.ID || third.PlanHash == second.PlanHash {
			t.Errorf("the plan after the template changed: %s, before %s", third.PlanHash, second.PlanHash)
		}
		refused(t, w.c.Approve(ctx, "m", second.PlanHash, "ana"), "--plan "+third.PlanHash)

		for range 2 { // a second time changes nothing
			if err := w.c.Approve(ctx, "m", third.PlanHash, "ana"); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for _, line := range w.list(getAudit) {
			if line == "ana campaigns approve m" {
				n++
			}
		}
		equal(t, "approvals in the audit log", n, 1)
		w.pass(30 * time.Minute)
		equal(t, "sent", w.send(), 5)
	})
}

// A template that changes while a run is under way stops the run until somebody
// approved it with the new one, also when the run had not begun to expand.
func TestTemplateChangesDuringARun(t *testing.T) {
	inWorld(t, func(c *Config) { c.Approval = "all" }, func(t *testing.T, w *world) {
		w.consent("utility", 1, 3)
		w.run()
		w.put("u.csv", people(1, 3))
		w.put("u.toml", series("u", "*/5 10 * * *", "", ""))
		w.pass(5 * time.Second)
		approve := func() {
			t.Helper()
			if err := w.c.Approve(t.Context(), "u", w.waiting("u").PlanHash, "ana"); err != nil {
				t.Fatal(err)
			}
		}
		approve()
		w.pass(5 * time.Minute)
		w.template("aviso", "utility", "APPROVED", "Novo: {{1}}.")
		w.pass(5 * time.Second)
		equal(t, "sent before the new approval", w.send(), 0)
		equal(t, "state", w.waiting("u").State, WaitingApproval)
		approve()
		equal(t, "sent after", w.send(), 3)
		w.pass(5 * time.Minute)
		equal(t, "sent of the next run", w.send(), 3)

		// Fired, not yet expanded, and the template changes.
		w.halt()
		w.must(func(tx *store.Tx) error {
			_, err := tx.Exec(sqlNewRun, tx.NewID(), "u", w.campaignIn(tx, "u").Current, 0, "2026-11-20T10:59", store.Millis(tx.Now()))
			return err
		})
		w.template("aviso", "utility", "APPROVED", "Ainda outro: {{1}}.")
		if err := w.c.recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.pass(5 * time.Second)
		equal(t, "sent before the new approval", w.send(), 0)
		approve()
		equal(t, "sent after", w.send(), 3)
	})
}

func (w *world) campaignIn(tx *store.Tx, id string) Campaign {
	camp, _, err := ByID(tx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return camp
}

// A one-off that is paused before somebody approves it must not fire for
// nothing: resumed in time, it is sent.
func TestPausedBeforeItsApproval(t *testing.T) {
	inWorld(t, func(c *Config) { c.Approval = "all" }, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.run()
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:10:00", "", "[missed]\npolicy = \"run_once\"\nmax_lateness = \"2h\"\n"))
		w.pass(5 * time.Second)
		if err := w.c.Pause(t.Context(), "m", "ana", ""); err != nil {
			t.Fatal(err)
		}
		if err := w.c.Approve(t.Context(), "m", w.waiting("m").PlanHash, "ana"); err != nil {
			t.Fatal(err)
		}
		w.pass(30 * time.Minute)
		equal(t, "runs while paused", len(w.runs("m")), 0)
		if err := w.c.Resume(t.Context(), "m", "ana"); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		equal(t, "sent", w.send(), 3)
		w.pass(time.Second)
		equal(t, "state", w.campaign("m").State, Finished)
		refused(t, w.c.Pause(t.Context(), "m", "ana", ""), "finished")
	})
}

func TestPauseAndResume(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.run()
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", ""))
		w.pass(2 * time.Minute)
		if err := w.c.Pause(t.Context(), "m", "ana", "file_removed"); err != nil { // a word that means something else here
			t.Fatal(err)
		}
		equal(t, "reason", w.campaign("m").Reason, reasonOperator)
		equal(t, "sent while paused", w.send(), 0)
		w.must(func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCampaign, Target: "m", Reason: "campaign_error", Actor: "meta"})
			return err
		})
		if err := w.c.Resume(t.Context(), "m", "bia"); err != nil {
			t.Fatal(err)
		}
		equal(t, "holds", len(w.holds()), 0)
		// A hold that an error placed is lifted also when nobody had paused.
		w.must(func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCampaign, Target: "m", Reason: "campaign_error", Actor: "meta"})
			return err
		})
		equal(t, "sent while an error holds it", w.send(), 0)
		if err := w.c.Resume(t.Context(), "m", "bia"); err != nil {
			t.Fatal(err)
		}
		equal(t, "sent", w.send(), 3)
		want := []string{"ana campaigns pause m", "bia campaigns resume m", "bia campaigns resume m"}
		if diff := cmp.Diff(want, w.list(getAudit)[1:]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCancelIsFinal(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		told := 0
		w.cfg.OnOutcomes = func(tx *store.Tx, out []outbox.Outcome) error {
			told += len(out)
			return w.c.Outcomes(tx, out)
		}
		w.c = New(w.cfg)
		w.consent("marketing", 1, 450)
		w.run()
		w.put("m.csv", people(1, 450))
		text := oneOff("m", "2026-11-20T10:01:00", "", "")
		w.put("m.toml", text)
		w.pass(70 * time.Second)

		// One is on its way to Meta while the campaign is cancelled.
		var flying outbox.Message
		w.must(func(tx *store.Tx) error {
			s, err := outbox.StreamsOfCampaign(tx, "m")
			if err != nil {
				return err
			}
			rows, err := store.All[store.Col[int64]](tx, store.SQL(`SELECT MIN(id) FROM messages WHERE state = 'queued'`))
			if err != nil {
				return err
			}
			flying, _, err = outbox.ByID(tx, rows[0].V)
			if err != nil {
				return err
			}
			claimed, out, err := outbox.Apply(tx, s[0], []outbox.Move{{Message: flying, To: outbox.Sending}})
			flying = claimed[0]
			return errors.Join(err, w.c.Outcomes(tx, out))
		})
		n, err := w.c.Cancel(t.Context(), "m", "ana")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "cancelled", n, 449)
		equal(t, "outcomes told", told, 449)
		equal(t, "state of the run", w.runs("m")[0].State, CancelledRun)
		equal(t, "holds", len(w.holds()), 0)

		// Meta says: not now. It does not come back.
		w.must(func(tx *store.Tx) error {
			out, err := outbox.Settle(tx, []outbox.Result{{Message: flying.ID, Attempt: flying.Attempt, To: outbox.Queued, Retry: tx.Now().Add(time.Second), At: tx.Now()}})
			if err != nil {
				return err
			}
			return w.c.Outcomes(tx, out)
		})
		w.pass(time.Minute)
		equal(t, "sent", w.send(), 0)
		equal(t, "left alive", w.list(countAlive)[0], "0")
		if diff := cmp.Diff([]string{"cancelled campaign_cancelled 450"}, w.list(getReasons)); diff != "" {
			t.Error(diff)
		}

		ctx := t.Context()
		refused(t, w.c.Resume(ctx, "m", "ana"), "final")
		refused(t, w.c.Pause(ctx, "m", "ana", ""), "final")
		refused(t, w.c.Approve(ctx, "m", "x", "ana"), "final")
		if n, err := w.c.Cancel(ctx, "m", "bia"); n != 0 || err != nil {
			t.Errorf("cancelled again: %d, %v", n, err)
		}
		w.put("m.toml", text+"[throttle]\nper_second = 5\n")
		w.pass(time.Minute)
		equal(t, "state after its file changed", w.campaign("m").State, Cancelled)
		if _, err := os.Stat(w.cfg.Status + "/m/faults.json"); err != nil {
			t.Error(err)
		}
	})
}

// A crash while queued messages are being cancelled: none leaves before the
// rest is cancelled by the next process.
func TestCancelSurvivesACrash(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 450)
		w.run()
		w.put("m.csv", people(1, 450))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", ""))
		w.pass(70 * time.Second)
		w.halt()
		ctx, kill := context.WithCancel(t.Context())
		w.c.cfg.OnOutcomes = func(tx *store.Tx, out []outbox.Outcome) error { kill(); return nil }
		n, err := w.c.Cancel(ctx, "m", "ana")
		if n != batchRows || !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled %d: %v", n, err)
		}
		w.crash()
		equal(t, "sent before the next process looked", w.send(), 0)
		w.run()
		w.pass(time.Second)
		if diff := cmp.Diff([]string{"cancelled campaign_cancelled 450"}, w.list(getReasons)); diff != "" {
			t.Error(diff)
		}
		equal(t, "holds", len(w.holds()), 0)
	})
}

// A cancel in the middle of an expansion: no row is admitted after it.
func TestCancelDuringExpansion(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 3)
		w.run()
		w.put("u.csv", people(1, 3))
		w.put("u.toml", series("u", "0 12 * * *", "", ""))
		w.pass(5 * time.Second)
		w.halt()
		w.must(func(tx *store.Tx) error {
			_, err := tx.Exec(sqlNewRun, tx.NewID(), "u", w.campaignIn(tx, "u").Current, 0, "2026-11-20T11:00", store.Millis(tx.Now()))
			return err
		})
		run := w.runs("u")[0]
		if _, err := w.c.Cancel(t.Context(), "u", "ana"); err != nil {
			t.Fatal(err)
		}
		if err := w.c.expand(t.Context(), run); err != nil { // it read the run before
			t.Error(err)
		}
		equal(t, "messages", len(w.list(getLines)), 0)
		left, err := os.ReadDir(w.cfg.Spool)
		if err != nil || len(left) > 0 {
			t.Errorf("the spool holds %v, %v", left, err)
		}
	})
}

func TestTestSend(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		w.put("m.csv", "nome;telefone\nAna;"+testPhone(1)+"\n;"+testPhone(2)+"\nBia;"+testPhone(3)+"\n")
		w.put("m.toml", oneOff("m", "2026-11-25T10:00:00", "", "[approval]\ntest_numbers = [\"+5511900009998\"]\n"))
		w.pass(5 * time.Second)
		const own, listed = "+5511900009999", "+5511900009998"
		ctx := t.Context()
		try := func(to string, row int) (int64, error) {
			return w.c.Test(ctx, TestRequest{ID: "m", To: to, Row: row, Actor: "ana"})
		}
		_, err := try(testPhone(1), 0)
		refused(t, err, "no test number")
		_, err = try(own, 0)
		refused(t, err, "no_opt_in")
		w.consent("marketing", 9998, 9999)
		_, err = try(own, 2)
		refused(t, err, "missing_parameter")
		_, err = try(own, 4)
		refused(t, err, "has 3 rows")
		id, err := try("(11) 90000-9999", 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := try(listed, 0); err != nil {
			t.Fatal(err)
		}
		var m outbox.Message
		w.read(func(q *store.Snap) error { m, _, err = outbox.ByID(q, id); return err })
		if m.Run != 0 || m.Line != 4 || m.Address != own || !strings.Contains(m.Params, "Bia") {
			t.Errorf("the message: run %d, line %d, %s", m.Run, m.Line, m.Params)
		}
		equal(t, "sent", w.send(), 2)
		equal(t, "runs", len(w.runs("m")), 0)
		if !slices.Contains(w.list(getAudit), "ana campaigns test m") {
			t.Error("no entry in the audit log")
		}

		w.must(func(tx *store.Tx) error {
			_, err := tx.Exec(store.SQL(`UPDATE consents SET revoked_at = granted_at + 1`))
			return err
		})
		_, err = try(own, 0)
		refused(t, err, "opted_out")
		equal(t, "left alive", w.list(countAlive)[0], "0")

		// A series reads the file as it would now.
		w.consent("utility", 1, 1)
		w.cfg.TestNumbers = []whatsapp.Phone{whatsapp.Phone(testPhone(1))}
		live := *w.c.live.Load()
		live.TestNumbers = w.cfg.TestNumbers
		w.c.Set(live)
		w.put("u.csv", people(7, 8))
		w.put("u.toml", series("u", "0 12 * * *", "", ""))
		w.pass(5 * time.Second)
		if _, err := w.c.Test(ctx, TestRequest{ID: "u", To: testPhone(1), Actor: "ana"}); err != nil {
			t.Error(err)
		}
	})
}
