package campaigns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// mixed is an audience in which everything that can happen to a row happens.
func mixed(w *world) string {
	w.consent("marketing", 1, 40)
	w.consent("utility", 1, 40)
	w.must(func(tx *store.Tx) error {
		for _, i := range []int{3, 4} { // revoked
			_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone(testPhone(i)).Identity()},
				Categories: []whatsapp.Category{"marketing", "utility"}, Source: optin.SourceOperator, At: tx.Now()})
			if err != nil {
				return err
			}
		}
		// Two numbers of one person, known without consent.
		if _, err := contacts.Learn(tx, whatsapp.Phone(testPhone(20)).Identity(), whatsapp.Phone(testPhone(21)).Identity()); err != nil {
			return err
		}
		_, _, err := contacts.Ensure(tx, whatsapp.Phone(testPhone(60)).Identity())
		return err
	})
	var b strings.Builder
	b.WriteString("nome;telefone;prazo;pedido\n")
	row := func(name string, phone any, deadline, order string) {
		fmt.Fprintf(&b, "%s;%v;%s;%s\n", name, phone, deadline, order)
	}
	for i := 1; i <= 30; i++ {
		row(fmt.Sprintf("P%d", i), testPhone(i), "", fmt.Sprintf("o%d", i))
	}
	row("P31", testPhone(31), "2026-11-20T10:00:30", "o31")    // too late whenever it leaves
	row("", testPhone(32), "", "o32")                          // missing_parameter
	row("P5", testPhone(5), "", "o33")                         // duplicate
	row("Nobody", testPhone(50), "", "o34")                    // no_opt_in, unknown
	row("Known", testPhone(60), "", "o35")                     // no_opt_in, known
	row("Far", "12", "", "o36")                                // invalid_phone
	row("US", "+12025550123", "", "o37")                       // no_opt_in
	row("P33", testPhone(33), "", "o1")                        // o1 is P1's: once_per
	row("A name that is far longer", testPhone(34), "", "o39") // the longest
	row("P35", "+55 11 90000-0035", "2026-12-31", "o40")       // as people write it
	b.WriteString("only one cell\n")                           // ragged_row
	return b.String()
}

// What a plan counts is what is later sent, refused and rejected.
func TestPlanIsWhatHappens(t *testing.T) {
	for _, kind := range []string{"one-off", "once_per"} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			more := "expires_column = \"prazo\"\nmax_rejected_percent = 50\n"
			text := oneOff("m", "2026-11-20T10:01:00", more, "")
			if kind == "once_per" {
				text = series("m", "1 10 * * *", more+"once_per = [\"pedido\"]\n", "")
			}
			w.put("m.csv", mixed(w))
			w.put("m.toml", text)
			var rejects bytes.Buffer
			plan, problems, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{Rejects: &rejects})
			if err != nil || problems.HasErrors() {
				t.Fatal(err, problems)
			}
			w.run()
			w.pass(2 * time.Minute)
			equal(t, "plan hash", w.revision("m").PlanHash, plan.Hash)
			equal(t, "sent", int64(w.send()), plan.Go)

			run := w.runs("m")[0]
			got := map[string]int64{}
			refusedNow := map[string]int64{}
			w.read(func(q *store.Snap) error {
				tallies, err := outbox.TalliesOfRun(q, run.ID)
				for _, tally := range tallies {
					if tally.State != outbox.Accepted {
						refusedNow[tally.Reason] += tally.N
					}
				}
				return err
			})
			for _, line := range w.list(getRejects) {
				got[strings.Fields(line)[1]]++
			}
			if diff := cmp.Diff(plan.Refused, refusedNow); diff != "" {
				t.Errorf("refused (-plan +real):\n%s", diff)
			}
			if diff := cmp.Diff(plan.Rejected, got); diff != "" {
				t.Errorf("rejected (-plan +real):\n%s", diff)
			}
			equal(t, "rows", plan.Rows, run.Rows)
			var listed []string
			for i, line := range strings.Split(strings.TrimSpace(rejects.String()), "\n") {
				if f := strings.Split(line, ";"); i > 0 {
					listed = append(listed, f[0]+" "+f[1])
				}
			}
			if diff := cmp.Diff(w.list(getRejects), listed); diff != "" {
				t.Errorf("rows of Rejects (-real +plan):\n%s", diff)
			}
			sum := plan.Go
			for _, m := range []map[string]int64{plan.Refused, plan.Rejected} {
				for _, n := range m {
					sum += n
				}
			}
			equal(t, "sum", sum, plan.Rows)

			// Planned again, everybody who got it has it. Two people got one of
			// two notices each: the others are for the next run.
			left := map[string]int64{"one-off": 0, "once_per": 2}[kind]
			again, _, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "go the second time, "+kind, again.Go, left)
		})
	}
}

func (w *world) revision(id string) (rev Revision) {
	w.t.Helper()
	w.read(func(q *store.Snap) (err error) {
		camp, _, err := ByID(q, id)
		if err != nil {
			return err
		}
		rev, _, err = RevisionByID(q, max(camp.Current, camp.Next))
		return err
	})
	return rev
}

func TestPlanSaysEverything(t *testing.T) {
	inWorld(t, func(c *Config) { c.Approval = "marketing" }, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.must(func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing", Reason: "night", Actor: "ana"})
			return err
		})
		w.template("oferta", "marketing", "PAUSED", "Olá {{1}}!")
		w.put("m.csv", "nome;telefone\nAna;"+testPhone(1)+"\nBia;"+testPhone(2)+"\n;"+testPhone(3)+"\nX;"+testPhone(4)+"\nX;"+testPhone(5)+"\nX;"+testPhone(6)+"\nX;"+testPhone(7)+"\n")
		text := strings.Replace(oneOff("m", "2026-11-20T20:30:00", "", "[[schedule.windows]]\ndays = [\"fri\", \"sat\"]\nfrom = 20:30:00\nto = 21:00:00\n[throttle]\nper_second = 0.5\n"),
			`column = "nome"`, "column = \"nome\"\ndefault = \"cliente\"", 1)
		w.put("m.toml", text)
		plan, problems, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
		if err != nil || problems.HasErrors() {
			t.Fatal(err, problems)
		}
		start := time.Date(2026, 11, 20, 23, 30, 0, 0, time.UTC)
		want := Plan{Campaign: "m", Hash: plan.Hash, Category: "marketing", Template: "oferta", Language: "pt_BR", Number: "loja",
			Rows: 7, Go: 3, Refused: map[string]int64{"no_opt_in": 4}, Rejected: map[string]int64{},
			Waits:     []string{"hold on category marketing: night, by ana", "template 100000000000001/oferta/pt_BR is PAUSED"},
			FirstSend: start, LastSend: start.Add(4 * time.Second), PerSecond: 0.5,
			ByCountry: map[string]int64{"BR": 3}, ByCategory: map[string]int64{"marketing": 3}, OutsideHours: 3,
			Samples:  []Sample{{2, "+55…01", "Olá Ana!"}, {3, "+55…02", "Olá Bia!"}, {4, "+55…03", "Olá cliente!"}},
			Approval: "waits for approval: janela campaigns approve m --plan " + plan.Hash,
			Hints: []string{"4 of 7 people have no recorded consent for marketing; if you have it, import it: janela optin import FILE.csv",
				"3 people would get it outside 08 to 20 h of their own time; see [[schedule.windows]]"},
			Windows: "fri, sat 20:30 to 21:00 (America/Sao_Paulo)"}
		want.Waits[1] = plan.Waits[1]
		if diff := cmp.Diff(want, plan); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(plan.Waits[1], "PAUSED") {
			t.Error(plan.Waits)
		}
		b, err := json.Marshal(plan)
		if err != nil || !strings.Contains(string(b), `"outside_hours":3`) || strings.Contains(string(b), testPhone(1)) {
			t.Errorf("as JSON: %v %s", err, b)
		}

		// Approved with this hash, it waits for nobody.
		w.run()
		w.pass(5 * time.Second)
		if err := w.c.Approve(t.Context(), "m", plan.Hash, "ana"); err != nil {
			t.Fatal(err)
		}
		if plan, _, err = w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{}); err != nil || plan.Approval != "" {
			t.Errorf("after the approval: %q, %v", plan.Approval, err)
		}
	})
}

func TestPlanOfFaults(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.put("m.csv", people(1, 2)+"x;1\n"+"y;"+testPhone(1)+"\n")
		for _, c := range []struct{ more, want string }{ // the last file, which has no fault of its own, is checked again below
			{"colour = 1", "colour"},
			{"", "more than max_rejected_percent = 5"},
			{"max_rejected_percent = 100\nduplicates = \"fail\"", "names 1 numbers again"},
		} {
			more, want := c.more, c.want
			w.put("m.toml", oneOff("m", "2026-11-25T10:00:00", more, ""))
			_, problems, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
			if err != nil || !problems.HasErrors() || !strings.Contains(problems.Errors().Error(), want) || problems.Errors()[0].Line == 0 {
				t.Errorf("%q: %v %v, want %q", more, problems, err, want)
			}
		}
		if _, _, err := w.c.Plan(t.Context(), w.path("no.toml"), PlanOptions{}); err == nil {
			t.Error("a plan of no file")
		}
		problems, err := w.c.CheckFile(t.Context(), w.path("m.toml"))
		if err != nil || problems.HasErrors() {
			t.Error(problems, err)
		}
		w.put("m/campaign.toml", oneOff("m", "2026-11-25T10:00:00", "", ""))
		if problems, err = w.c.CheckFile(t.Context(), w.path("m.toml")); err != nil || !strings.Contains(problems.Error(), "is also that of") {
			t.Errorf("of a twin: %v, %v", problems, err)
		}
		w.put("s.toml", strings.Replace(series("s", "0 12 * * *", "", ""), "s.csv", "s-{{date}}.csv", 1))
		plan, problems, err := w.c.Plan(t.Context(), w.path("s.toml"), PlanOptions{})
		if err != nil || problems.HasErrors() || len(plan.Hints) != 1 || !strings.Contains(plan.Hints[0], "s-2026-11-20.csv is not there") {
			t.Errorf("of a series without its file: %v %v %v", plan.Hints, problems, err)
		}
	})
}

// leaves says when the n-th message leaves, counted from 0; n must not be lower
// than in the call before.
func leaves(p *pace, sent *int64, n int64) time.Time {
	for ; *sent < n; *sent++ {
		p.left(p.next(0), 1, 1)
	}
	return p.next(0)
}

func TestPace(t *testing.T) {
	ten := Windows{Zone: "America/Sao_Paulo", List: []outbox.Window{{Days: []time.Weekday{1, 2, 3, 4, 5}, From: 9 * 60, To: 9*60 + 10}}}
	friday := time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC) // 10 h: past the window
	monday := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	type at struct {
		n    int64
		want time.Time
	}
	paced := func(w Windows, perSecond float64, start time.Time, th outbox.Throttle) *pace {
		p := newPace(w, perSecond, start)
		p.throttle = th
		return p
	}
	ramp := outbox.Throttle{RampStart: 1, DoubleEvery: 60_000}
	for _, c := range []struct {
		name string
		p    *pace
		at   []at
	}{
		{"windows", paced(ten, 1, friday, outbox.Throttle{}), []at{
			{0, monday}, {1, monday.Add(time.Second)}, {599, monday.Add(599 * time.Second)}, {600, monday.Add(day)}, {999, monday.Add(day + 399*time.Second)},
			{1200, monday.Add(2 * day)}, {3000, monday.Add(7 * day)}, {1_000_000, monday.Add(time.Duration(1666/5)*7*day + 1*day + 400*time.Second)}}},
		{"without windows", paced(Windows{}, 4, friday, outbox.Throttle{}), []at{{10, friday.Add(2500 * time.Millisecond)}}},
		{"from the middle of a window", paced(ten, 1, monday.Add(5*time.Minute), outbox.Throttle{}), []at{{300, monday.Add(day)}}},
		{"without any day", paced(Windows{Zone: "UTC", List: []outbox.Window{{From: 0, To: 10}}}, 1, friday, outbox.Throttle{}), []at{{0, time.Time{}}}},
		{"a limit per day", paced(Windows{}, 1, friday, outbox.Throttle{PerDay: 100, Zone: "America/Sao_Paulo"}), []at{
			{99, friday.Add(99 * time.Second)}, {100, friday.Add(14 * time.Hour)}, {201, friday.Add(38*time.Hour + time.Second)}}},
		{"a limit per day, and windows", paced(ten, 1, friday, outbox.Throttle{PerDay: 100, Zone: "America/Sao_Paulo"}), []at{{99, monday.Add(99 * time.Second)}, {100, monday.Add(day)}, {500, monday.Add(7 * day)}}},
		{"a ramp", paced(Windows{}, 3, friday, ramp), []at{{59, friday.Add(59 * time.Second)}, {60, friday.Add(60 * time.Second)}, {62, friday.Add(61 * time.Second)},
			{180, friday.Add(2 * time.Minute)}, {183, friday.Add(2*time.Minute + time.Second)}}},
		{"a ramp that goes on while it waits", paced(ten, 3, monday.Add(9*time.Minute), ramp), []at{{59, monday.Add(9*time.Minute + 59*time.Second)}, {60, monday.Add(day)}, {63, monday.Add(day + time.Second)}}},
	} {
		var sent int64
		for _, x := range c.at {
			if got := leaves(c.p, &sent, x.n); got.Sub(x.want).Abs() > time.Millisecond {
				t.Errorf("%s: message %d leaves at %v, want %v", c.name, x.n, got, x.want)
			}
		}
	}
}

// tierOf is a messaging limit with people who leave so many hours after start.
func tierOf(limit, kept int, start time.Time, leave ...int) Tier {
	t := Tier{Limit: limit, Kept: kept, Counts: map[int64]int64{}, Span: 24 * time.Hour}
	for i, h := range leave {
		t.Counts[int64(i+1)] = store.Millis(start.Add(time.Duration(h) * time.Hour))
	}
	return t
}

// New people come in as others leave; who counts already does not wait for them.
func TestPaceWithinTheMessagingLimit(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := newPace(Windows{}, 1, start)
	p.tier = newSlots(tierOf(6, 1, start, 3, 5)) // five for us, two are used
	h := func(h int, s int) time.Time {
		return start.Add(time.Duration(h)*time.Hour + time.Duration(s)*time.Second)
	}
	for i, want := range []time.Time{h(0, 0), h(0, 1), h(0, 2), h(3, 0), h(5, 0), h(24, 0), h(24, 1), h(24, 2), h(27, 0), h(29, 0), h(48, 0)} {
		if i == 4 {
			far := store.Millis(start.Add(100 * time.Hour))
			if got := p.next(far); !got.Equal(h(0, 3)) {
				t.Errorf("who counts gets it at %v, want %v", got, h(0, 3))
			}
			p.left(p.next(far), 1, 0)
		}
		got := p.next(0)
		if !got.Equal(want) {
			t.Errorf("new person %d gets it at %v, want %v", i, got, want)
		}
		p.left(got, 1, 1)
	}
	// Above what is kept: two have to leave before one comes.
	p = newPace(Windows{}, 1, start)
	p.tier = newSlots(tierOf(4, 2, start, 1, 2, 3))
	if got := p.next(0); !got.Equal(h(2, 0)) {
		t.Errorf("with one too many the next comes at %v, want %v", got, h(2, 0))
	}
	// An estimate in large steps is near the one by steps of one.
	for _, part := range []float64{1, 0.5, 0} {
		one, many := newPace(Windows{}, 10, start), newPace(Windows{}, 10, start)
		one.tier, many.tier = newSlots(tierOf(2000, 300, start)), newSlots(tierOf(2000, 300, start))
		var last time.Time
		fresh := 0
		for i := range 100_000 {
			counts, add := int64(1)<<62, int64(0)
			if int(float64(i+1)*part) > fresh {
				fresh, counts, add = fresh+1, 0, 1
			}
			at := one.next(counts)
			one.left(at, 1, add)
			if at.After(last) {
				last = at
			}
		}
		if got := many.finishes(100_000, part); got.Sub(last).Abs() > 2*time.Minute {
			t.Errorf("with %v new people it is through at %v, want %v", part, got, last)
		}
	}
}

// Against stepping second by second.
func TestPaceAgainstSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Windows{Zone: rapid.SampledFrom([]string{"UTC", "America/Sao_Paulo", "America/New_York"}).Draw(t, "zone")}
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			from := rapid.IntRange(0, 1400).Draw(t, "from")
			w.List = append(w.List, outbox.Window{Days: rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 6), func(d int) time.Weekday { return time.Weekday(d) }), 3, 7, rapid.ID).Draw(t, "days"),
				From: from, To: min(1440, from+rapid.IntRange(1, 5).Draw(t, "minutes"))})
		}
		start := time.Date(2026, 10, 31, rapid.IntRange(0, 23).Draw(t, "hour"), 17, 0, 0, time.UTC) // clocks change in New York
		p := newPace(w, 1, start)
		at, sent := start, int64(0)
		for n := range int64(700) {
			for !w.Open(at) {
				at = at.Truncate(time.Minute).Add(time.Minute)
			}
			if got := leaves(p, &sent, n); !got.Equal(at) {
				t.Fatalf("message %d leaves at %v, stepping says %v", n, got, at)
			}
			at = at.Add(time.Second)
		}
	})
}

// With a limit per day and the messaging limit as well.
func TestLimitedPaceAgainstSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "America/Sao_Paulo", "America/New_York"}).Draw(t, "zone")
		var w Windows
		if rapid.Bool().Draw(t, "windows") {
			from := rapid.IntRange(0, 1300).Draw(t, "from")
			w = Windows{Zone: zone, List: []outbox.Window{{Days: []time.Weekday{0, 1, 2, 3, 4, 5, 6}, From: from, To: from + rapid.IntRange(1, 100).Draw(t, "minutes")}}}
		}
		start := time.Date(2026, 10, 31, rapid.IntRange(0, 23).Draw(t, "hour"), 17, 0, 0, time.UTC) // clocks change in New York
		p := newPace(w, 1, start)
		if n := rapid.SampledFrom([]int64{0, 0, 30, 45, 70}).Draw(t, "per day"); n > 0 {
			p.throttle = outbox.Throttle{PerDay: n, Zone: zone}
		}
		room := rapid.IntRange(40, 80).Draw(t, "room")
		var counts []time.Time // when those who count leave
		tier := Tier{Limit: room, Counts: map[int64]int64{}, Span: 24 * time.Hour}
		for i := range rapid.IntRange(0, 50).Draw(t, "who count") {
			counts = append(counts, start.Add(time.Duration(rapid.IntRange(1, 24*60).Draw(t, "leaves"))*time.Minute))
			tier.Counts[int64(i)] = store.Millis(counts[i])
		}
		p.tier = newSlots(tier)
		days := map[string]int64{}
		at, sent := start, int64(0)
		for n := range int64(120) {
			for {
				now := 0
				for _, l := range counts {
					if l.After(at) {
						now++
					}
				}
				if w.Open(at) && now < room && (p.throttle.PerDay == 0 || days[p.throttle.Day(at)] < p.throttle.PerDay) {
					break
				}
				at = at.Truncate(time.Second).Add(time.Second)
				if now >= room || !w.Open(at) { // nothing changes within a minute but at its end
					if next := at.Truncate(time.Minute).Add(time.Minute); len(counts) == 0 || w.Open(at) == w.Open(next.Add(-time.Second)) && !within(counts, at, next) {
						at = next
					}
				}
			}
			if got := leaves(p, &sent, n); !got.Equal(at) {
				t.Fatalf("message %d leaves at %v, stepping says %v", n, got, at)
			}
			counts = append(counts, at.Add(24*time.Hour))
			days[p.throttle.Day(at)]++
			at = at.Add(time.Second)
		}
	})
}

// within says whether one of the instants lies from from up to, without, to.
func within(all []time.Time, from, to time.Time) bool {
	for _, t := range all {
		if !t.Before(from) && t.Before(to) {
			return true
		}
	}
	return false
}
