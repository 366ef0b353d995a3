package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

func millis(t time.Time) int64 { return store.Millis(t) }

// machine drives the outbox and its model side by side.
type machine struct {
	*world
	model    *model
	people   []int64
	last     map[int64]row     // as the last check found them
	claimed  map[int64]Message // as Apply last returned them
	requeued map[int64]int     // since then: message → attempt whose result said so
}

// TestOutboxAgainstItsModel plays random verbs, in random order, with crashes
// between and within them, and compares every row, tally and outcome with a
// model that knows none of the means.
func TestOutboxAgainstItsModel(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{world: w, model: newModel(), people: []int64{1, 2, 3, 4, 5}, requeued: map[int64]int{}, claimed: map[int64]Message{}}
		m.reset(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueue, "apply": m.apply, "apply again": m.apply, "settle": m.settle, "settle again": m.settle,
			"observe": m.observe, "observe again": m.observe, "cancel forbidden": m.cancelForbidden, "cancel stream": m.cancelStream, "cancel messages": m.cancelMessages,
			"expire": m.expire, "presume": m.presume, "resolve": m.resolve, "crash": func(rt *rapid.T) { m.crash(t, rt) }, "stale": m.stale, "join": m.join,
			"": m.check,
		})
	})
}

func (m *machine) reset(rt *rapid.T) {
	m.do(rt, func(tx *store.Tx) error {
		for _, s := range emptied {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		for _, p := range m.people {
			m.model.root[p] = p
			if _, err := tx.Exec(putContact, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *machine) do(rt *rapid.T, fn func(*store.Tx) error) {
	if err := m.Write(context.Background(), fn); err != nil {
		rt.Fatal(err)
	}
}

// tick lets even milliseconds pass; statuses bear odd ones.
func (m *machine) tick(rt *rapid.T) {
	m.wall = m.wall.Add(time.Duration(2*rapid.IntRange(0, 5).Draw(rt, "ticks")) * time.Millisecond)
	if rapid.IntRange(0, 30).Draw(rt, "hour") == 30 {
		m.wall = m.wall.Add(time.Hour)
	}
	m.model.now = millis(m.wall)
}

// step runs a verb, plays the same in the model, and compares the outcomes with
// what changed there.
func (m *machine) step(rt *rapid.T, verb func(*store.Tx) ([]Outcome, error), play func(out []Outcome)) {
	var out []Outcome
	m.do(rt, func(tx *store.Tx) (err error) { out, err = verb(tx); return err })
	before := maps.Clone(m.model.rows)
	play(out)
	var want []Outcome
	for id, after := range m.model.rows {
		was, old := before[id]
		if !old || was.State == after.State {
			continue
		}
		s := m.model.streams[after.Stream]
		want = append(want, Outcome{Message: id, Run: after.Run, Stream: s.ID, Contact: after.Contact, Campaign: s.Campaign, Number: s.Number,
			Category: s.Category, From: was.State, To: after.State, Reason: after.Reason, Code: after.Code})
	}
	var got []Outcome
	touched, confirmed := map[int64]int64{}, map[int64]int64{} // message → since, Meta's own time
	for _, o := range out {
		touched[o.Message], confirmed[o.Message] = millis(o.Since), millis(o.Confirmed)
		if o.Since, o.Confirmed, o.Was = (time.Time{}), (time.Time{}), (time.Time{}); o.From != o.To {
			got = append(got, o)
		}
	}
	byID := cmpopts.SortSlices(func(a, b Outcome) bool { return a.Message < b.Message })
	if diff := cmp.Diff(want, got, byID, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("outcomes:\n%s", diff)
	}
	for id, after := range m.model.rows { // Since lies before everything that changed in the conversation ledger
		was := before[id]
		c1, at1, p1 := was.ledger()
		c2, at2, p2 := after.ledger()
		if !c1 && !c2 || c1 == c2 && at1 == at2 && p1 == p2 {
			continue
		}
		if s := touched[id]; s == 0 || c1 && s > at1 || c2 && s > at2 {
			rt.Fatalf("message %d: ledger was (%v %d %v), is (%v %d %v), and Since is %d", id, c1, at1, p1, c2, at2, p2, s)
		}
		want := int64(0) // where Meta's time takes the place of ours, and nothing else differs
		if c1 && c2 && p1 && !p2 {
			want = at2
		}
		if confirmed[id] != want {
			rt.Fatalf("message %d: ledger was (%v %d %v), is (%v %d %v), and %d is confirmed", id, c1, at1, p1, c2, at2, p2, confirmed[id])
		}
	}
}

func (m *machine) stream(rt *rapid.T) Stream {
	s := Stream{
		Run:      rapid.Int64Range(0, 2).Draw(rt, "run"),
		Number:   rapid.SampledFrom([]string{number1, number2}).Draw(rt, "number"),
		Category: rapid.SampledFrom([]whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}).Draw(rt, "category"),
		WABA:     "1", Template: "t", Language: "pt_BR",
	}
	if s.Run > 0 {
		s.Campaign = fmt.Sprint("campaign", s.Run)
	}
	m.do(rt, func(tx *store.Tx) (err error) { s, err = OpenStream(tx, s); return err })
	m.model.streams[s.ID] = s
	return s
}

func (m *machine) enqueue(rt *rapid.T) {
	m.tick(rt)
	s := m.stream(rt)
	rows := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) New {
		n := New{Contact: rapid.Int64Range(0, int64(len(m.people))).Draw(rt, "contact")}
		n.To = phoneOf(n.Contact)
		if n.Contact == 0 || rapid.IntRange(0, 5).Draw(rt, "refused") == 0 {
			n.Refused = "no_opt_in"
		}
		if d := rapid.IntRange(-1, 8).Draw(rt, "deadline"); d > 0 {
			n.Deadline = m.wall.Add(time.Duration(4*d) * time.Millisecond)
		}
		return n
	}), 1, 4).Draw(rt, "rows")
	var ids []int64
	m.step(rt, func(tx *store.Tx) (out []Outcome, err error) { ids, out, err = Enqueue(tx, s, rows); return out, err }, func([]Outcome) {
		for i, n := range rows {
			if twice := m.model.has(n.Contact, s.Run); twice != (ids[i] == 0) {
				rt.Fatalf("contact %d of root %d has a message in run %d: %v, and got id %d", n.Contact, m.model.root[n.Contact], s.Run, twice, ids[i])
			}
			if ids[i] != 0 {
				m.model.enqueue(ids[i], s, n)
			}
		}
	})
}

// some draws some of the messages that match.
func (m *machine) some(rt *rapid.T, most int, match func(row, Stream) bool) []int64 {
	ids := m.model.pick(match)
	if len(ids) == 0 {
		return nil
	}
	out := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, min(most, len(ids)), rapid.ID[int64]).Draw(rt, "messages")
	slices.Sort(out)
	return out
}

func (m *machine) apply(rt *rapid.T) {
	m.tick(rt)
	ids := m.some(rt, 6, func(r row, _ Stream) bool { return r.State == Queued })
	if len(ids) == 0 {
		return
	}
	s := m.model.streams[m.model.rows[ids[0]].Stream]
	ids = slices.DeleteFunc(ids, func(id int64) bool { return m.model.rows[id].Stream != s.ID })
	moves := make([]Move, len(ids))
	for i := range ids {
		to := rapid.SampledFrom([]State{Sending, Sending, Sending, Sending, Queued, Refused, Expired, Cancelled}).Draw(rt, "verdict")
		moves[i] = Move{To: to}
		switch to {
		case Sending:
		case Queued:
			moves[i].Until = m.wall.Add(time.Duration(2*rapid.IntRange(1, 9).Draw(rt, "until")) * time.Millisecond)
		default:
			moves[i].Reason = rapid.SampledFrom([]string{"opted_out", "deadline", "dry_run"}).Draw(rt, "reason")
		}
	}
	var claimed []Message
	m.step(rt, func(tx *store.Tx) (out []Outcome, err error) {
		for i, id := range ids {
			if moves[i].Message, _, err = ByID(tx, id); err != nil {
				return nil, err
			}
		}
		claimed, out, err = Apply(tx, s, moves)
		return out, err
	}, func([]Outcome) {
		for _, mv := range moves {
			m.model.apply(mv)
		}
	})
	for _, c := range claimed {
		m.claimed[c.ID] = c
		r := m.model.rows[c.ID]
		if r.State != Sending || c.State != Sending || c.Attempt != r.Attempt || c.ClaimedAt != m.model.now {
			rt.Fatalf("claimed %d in state %s, attempt %d; the model has %s, %d", c.ID, c.State, c.Attempt, r.State, r.Attempt)
		}
	}
}

func (m *machine) result(rt *rapid.T, id int64) Result {
	r := m.model.rows[id]
	res := Result{Message: id, Attempt: max(1, r.Attempt+rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1}).Draw(rt, "attempt"))}
	res.To = rapid.SampledFrom([]State{Accepted, Accepted, AcceptedHeld, Queued, Unknown, Failed}).Draw(rt, "result")
	switch res.To {
	case Accepted, AcceptedHeld:
		res.Wamid, res.At = wamid(id, res.Attempt), m.wall
		res.InWindow = inWindow(millis(res.At))
		if c, ok := m.claimed[id]; ok && rapid.IntRange(0, 3).Draw(rt, "with its claim") > 0 {
			res.Claimed = &c
		}
	case Queued:
		res.Reason, res.Code = "retry", 2
		res.Retry = m.wall.Add(time.Duration(2*rapid.IntRange(0, 9).Draw(rt, "retry")) * time.Millisecond)
		res.Unused = rapid.Bool().Draw(rt, "unused")
	case Unknown:
		res.Reason = ReasonNoAnswer
	default:
		res.Reason, res.Code = "drop", 131026
	}
	return res
}

func wamid(id int64, attempt int) whatsapp.Wamid {
	return whatsapp.Wamid(fmt.Sprintf("wamid.%d.%d", id, attempt))
}

func (m *machine) settle(rt *rapid.T) {
	m.tick(rt)
	sending := rapid.IntRange(0, 3).Draw(rt, "late") > 0
	ids := m.some(rt, 4, func(r row, _ Stream) bool { return r.Attempt > 0 && (!sending || r.State == Sending) })
	var results []Result
	for _, id := range ids {
		results = append(results, m.result(rt, id))
	}
	if rapid.IntRange(0, 9).Draw(rt, "nobody's") == 0 {
		results = append(results, Result{Message: 1, Attempt: 1, To: Accepted, At: m.wall})
	}
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return Settle(tx, results) }, func([]Outcome) {
		for _, r := range results {
			if was := m.model.rows[r.Message]; r.To == Queued && was.Attempt == r.Attempt {
				m.requeued[r.Message] = was.Attempt
			}
			m.model.settle(r)
		}
	})
}

func (m *machine) observe(rt *rapid.T) {
	m.tick(rt)
	ids := m.some(rt, 1, func(r row, _ Stream) bool { return r.Attempt > 0 })
	if len(ids) == 0 {
		return
	}
	for range rapid.IntRange(1, 4).Draw(rt, "statuses") { // of one message, because several facts make what is hard
		m.status(rt, ids[0])
	}
}

func (m *machine) status(rt *rapid.T, id int64) {
	at := m.wall.Add(time.Duration(2*rapid.IntRange(-9, 9).Draw(rt, "at")+1) * time.Millisecond)
	o := Observation{Message: id, Attempt: max(1, m.model.rows[id].Attempt+rapid.SampledFrom([]int{0, 0, 0, -1, 1}).Draw(rt, "attempt")), At: at,
		InWindow: inWindow(millis(at)), Status: rapid.SampledFrom([]string{"sent", "sent", "delivered", "read", "played", "failed", "failed", "failed", "deleted"}).Draw(rt, "status")}
	o.Wamid = wamid(id, o.Attempt)
	if o.Status == "failed" { // the code is the instant's, so that it shows which failure stands
		o.Reason, o.Code = fmt.Sprint("class", millis(at)%7), 131000+int(millis(at)%7)
	}
	if rapid.IntRange(0, 3).Draw(rt, "without callback id") == 0 {
		o.Message, o.Attempt, o.People = 0, 0, []int64{m.model.rows[id].Contact}
	}
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) {
		out, found, err := Observe(tx, o)
		if ours := maps.Clone(m.model.rows); err == nil { // observe changes the model: ask a copy
			probe := &model{now: m.model.now, rows: ours}
			if want := probe.observe(o); found != want {
				err = fmt.Errorf("status %+v: found is %v, want %v", o, found, want)
			}
		}
		return out, err
	}, func([]Outcome) { m.model.observe(o) })
}

// ends plays the end of the messages that a verb named; it must have named as
// many of the eligible ones as its limit allows.
func (m *machine) ends(rt *rapid.T, eligible []int64, limit int, to State, reason string) func([]Outcome) {
	return func(out []Outcome) {
		if len(out) != min(limit, len(eligible)) {
			rt.Fatalf("%d messages ended, want %d of %d", len(out), limit, len(eligible))
		}
		for _, o := range out {
			if !slices.Contains(eligible, o.Message) {
				rt.Fatalf("message %d in state %s ended too", o.Message, m.model.rows[o.Message].State)
			}
			m.model.end(o.Message, to, reason)
		}
	}
}

func (m *machine) cancelForbidden(rt *rapid.T) {
	m.tick(rt)
	who := rapid.SliceOfNDistinct(rapid.SampledFrom(m.people), 0, 3, rapid.ID[int64]).Draw(rt, "contacts")
	cats := rapid.SliceOfNDistinct(rapid.SampledFrom([]whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}), 1, 2, rapid.ID[whatsapp.Category]).Draw(rt, "categories")
	on := rapid.SampledFrom([][]string{nil, {}, {number1}, {number1, number2}}).Draw(rt, "numbers")
	hit := m.model.forbidden(who, cats, on)
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return CancelForbidden(tx, who, cats, on, "opted_out") }, m.ends(rt, hit, len(hit), Cancelled, "opted_out"))
}

func (m *machine) cancelStream(rt *rapid.T) {
	m.tick(rt)
	ids := slices.Sorted(maps.Keys(m.model.streams))
	if len(ids) == 0 {
		return
	}
	id, limit := rapid.SampledFrom(ids).Draw(rt, "stream"), rapid.IntRange(1, 4).Draw(rt, "limit")
	queued := m.model.pick(func(r row, s Stream) bool { return s.ID == id && r.State == Queued })
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return CancelStream(tx, id, limit, "campaign") }, m.ends(rt, queued, limit, Cancelled, "campaign"))
}

func (m *machine) cancelMessages(rt *rapid.T) {
	m.tick(rt)
	ids := append(m.some(rt, 6, func(row, Stream) bool { return true }), 1) // one that nobody has
	if rapid.Bool().Draw(rt, "twice") {
		ids = append(ids, ids[0])
	}
	queued := m.model.pick(func(r row, _ Stream) bool { return r.State == Queued && slices.Contains(ids, r.ID) })
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return CancelMessages(tx, ids, "code_ended") }, m.ends(rt, queued, len(queued), Cancelled, "code_ended"))
}

func (m *machine) expire(rt *rapid.T) {
	m.tick(rt)
	limit := rapid.IntRange(1, 4).Draw(rt, "limit")
	over := m.model.pick(func(r row, _ Stream) bool { return r.State == Queued && r.Deadline > 0 && r.Deadline <= m.model.now })
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return Expire(tx, limit) }, m.ends(rt, over, limit, Expired, "deadline"))
}

// presume gives up messages that Meta took.
func (m *machine) presume(rt *rapid.T) {
	m.tick(rt)
	taken := []State{Accepted, AcceptedHeld, Sent}
	ids := m.some(rt, 3, func(r row, _ Stream) bool { return slices.Contains(taken, r.State) })
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) {
		var rows []Message
		for _, id := range ids {
			msg, _, err := ByID(tx, id)
			if err != nil {
				return nil, err
			}
			rows = append(rows, msg)
		}
		return PresumeExpired(tx, rows)
	}, func([]Outcome) {
		for _, id := range ids {
			r := m.model.rows[id]
			r.State = PresumedExpired
			m.model.rows[id] = r
		}
	})
}

// resolve says of an unknown message that it was sent, or was not.
func (m *machine) resolve(rt *rapid.T) {
	m.tick(rt)
	ids := m.some(rt, 1, func(r row, _ Stream) bool { return r.State == Unknown })
	if len(ids) == 0 {
		return
	}
	as := rapid.SampledFrom([]Resolution{AsSent, AsUnsent}).Draw(rt, "as")
	m.step(rt, func(tx *store.Tx) ([]Outcome, error) {
		msg, _, err := ByID(tx, ids[0])
		if err != nil {
			return nil, err
		}
		return Resolve(tx, msg, as, "maria")
	}, func([]Outcome) {
		r := m.model.rows[ids[0]]
		if r.Reason = ReasonResolvedSent; as == AsUnsent {
			r.State, r.Reason = Failed, ReasonResolvedNotSent
		}
		m.model.rows[r.ID] = r
	})
}

// join makes two contacts one person: also after both were written to.
func (m *machine) join(rt *rapid.T) {
	a, b := rapid.SampledFrom(m.people).Draw(rt, "one"), rapid.SampledFrom(m.people).Draw(rt, "other")
	low, high := min(m.model.root[a], m.model.root[b]), max(m.model.root[a], m.model.root[b])
	m.do(rt, func(tx *store.Tx) error { _, err := tx.Exec(setRoot, high, low); return err })
	for p, root := range m.model.root {
		if root == high {
			m.model.root[p] = low
		}
	}
}

// stale applies a verdict about a message that is not queued any more: nothing
// of its transaction may remain.
func (m *machine) stale(rt *rapid.T) {
	m.tick(rt)
	ids := m.some(rt, 1, func(r row, _ Stream) bool { return r.State != Queued })
	fresh := m.some(rt, 1, func(r row, _ Stream) bool { return r.State == Queued })
	if len(ids) == 0 {
		return
	}
	to := rapid.SampledFrom([]State{Sending, Queued, Refused}).Draw(rt, "verdict")
	err := m.Write(context.Background(), func(tx *store.Tx) error {
		if len(fresh) > 0 {
			msg, _, err := ByID(tx, fresh[0])
			if err != nil {
				return err
			}
			if _, _, err := Apply(tx, m.model.streams[msg.Stream], []Move{{Message: msg, To: Sending}}); err != nil {
				return err
			}
		}
		msg, _, err := ByID(tx, ids[0])
		if err != nil {
			return err
		}
		msg.State = Queued // as it was when somebody read it
		_, _, err = Apply(tx, m.model.streams[msg.Stream], []Move{{Message: msg, To: to}})
		return err
	})
	if !errors.Is(err, store.ErrLost) {
		rt.Fatalf("a verdict about a message in state %s: %v, want ErrLost", m.model.rows[ids[0]].State, err)
	}
}

// crash kills the store while a verb is under way, opens it again, and rescues
// as the daemon does at its start.
func (m *machine) crash(t *testing.T, rt *rapid.T) {
	m.tick(rt)
	ids := m.some(rt, 4, func(r row, _ Stream) bool { return r.State == Sending })
	var results []Result
	for _, id := range ids {
		results = append(results, m.result(rt, id))
	}
	inside := make(chan struct{})
	var wg sync.WaitGroup
	var lost error
	wg.Go(func() {
		lost = m.Write(context.Background(), func(tx *store.Tx) error {
			if _, err := Settle(tx, results); err != nil {
				return err
			}
			close(inside)
			for !errors.Is(m.Read(context.Background(), func(*store.Snap) error { return nil }), store.ErrCrashed) {
				time.Sleep(100 * time.Microsecond)
			}
			return nil
		})
	})
	<-inside
	m.Crash()
	wg.Wait()
	if !errors.Is(lost, store.ErrCrashed) {
		rt.Fatalf("a verb in the crash ended with %v", lost)
	}
	if err := m.open(t); err != nil {
		rt.Fatal(err)
	}
	m.check(rt) // nothing of it was written
	for more := true; more; {
		flying := m.model.pick(func(r row, _ Stream) bool { return r.State == Sending })
		flying = flying[:min(2, len(flying))]
		more = len(flying) > 0
		m.step(rt, func(tx *store.Tx) ([]Outcome, error) { return Rescue(tx, 2) }, m.ends(rt, flying, 2, Unknown, ReasonRestart))
	}
}

// check compares the whole database with the model.
func (m *machine) check(rt *rapid.T) {
	var rows []row
	var tallies []tally
	err := m.Read(context.Background(), func(s *store.Snap) (err error) {
		if rows, err = store.All[row](s, allRows); err != nil {
			return err
		}
		tallies, err = store.All[tally](s, allTallies)
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	var want []row
	for _, id := range m.model.pick(func(row, Stream) bool { return true }) {
		want = append(want, m.model.rows[id])
	}
	if diff := cmp.Diff(want, rows, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("messages:\n%s", diff)
	}
	counted := map[tally]int64{}
	var sum int64
	for _, t := range tallies {
		sum += t.N
		n := t.N
		t.N = 0
		counted[t] = n
	}
	if diff := cmp.Diff(m.model.counts(), counted); diff != "" {
		rt.Fatalf("tallies:\n%s", diff)
	}
	if sum != int64(len(rows)) {
		rt.Fatalf("%d messages, and the tallies add up to %d", len(rows), sum)
	}
	m.hours(rt)
	m.kept(rt, rows)
}

// hours compares what is counted by the hour with the messages made since then, of
// some hour.
func (m *machine) hours(rt *rapid.T) {
	from := m.wall.Add(-time.Duration(rapid.IntRange(0, 4).Draw(rt, "back")) * time.Hour)
	want := map[LaneTally]int64{}
	for id, r := range m.model.rows {
		if store.IDTime(id).Before(from.Truncate(time.Hour)) {
			continue
		}
		k := LaneTally{Lane: m.model.streams[r.Stream].Lane, Tally: Tally{State: r.State, Reason: reasonOf(r.State, r.Reason)}}
		want[k]++
	}
	got := map[LaneTally]int64{}
	err := m.Read(context.Background(), func(q *store.Snap) error {
		since, all, err := MadeSince(q, from)
		if !since.Equal(from.Truncate(time.Hour)) {
			rt.Fatalf("counted since %s, want the hour of %s", since, from)
		}
		for _, t := range all {
			n := t.N
			t.N = 0
			got[t] = n
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("since %s:\n%s", from, diff)
	}
}

// kept looks at the database alone, at what no step may do: bring a message from
// sending back to queued without a result of that attempt which says so, take
// an attempt back that was used, lose or make up a message, write twice to a
// contact in a run.
func (m *machine) kept(rt *rapid.T, rows []row) {
	type key struct{ contact, run int64 }
	once := map[key]bool{}
	now := map[int64]row{}
	for _, r := range rows {
		now[r.ID] = r
		if k := (key{r.Contact, r.Run}); r.Contact > 0 && r.Run > 0 {
			if once[k] {
				rt.Fatalf("contact %d has two messages in run %d", r.Contact, r.Run)
			}
			once[k] = true
		}
	}
	for id, was := range m.last {
		r, ok := now[id]
		if !ok {
			rt.Fatalf("message %d is gone", id)
		}
		attempt, said := m.requeued[id]
		if was.State == Sending && r.State == Queued && (!said || attempt != was.Attempt) {
			rt.Fatalf("message %d went from sending to queued, and no result of attempt %d said so", id, was.Attempt)
		}
		if r.State == Queued && was.State != Queued && was.State != Sending {
			rt.Fatalf("message %d went from %s to queued", id, was.State)
		}
	}
	m.last, m.requeued = now, map[int64]int{}
}
