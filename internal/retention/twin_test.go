package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/campaigns"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/dossier"
	"janela/internal/gate"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	putCampaign = store.SQL(`INSERT INTO campaigns (id, state, path, created_at, changed_at) VALUES ('fatura', 'active', 'fatura.toml', 1, 1)`)
	putNumber   = store.SQL(`INSERT INTO numbers (id, name, waba_id) VALUES (?1, ?2, 'w')`)
	putRun      = store.SQL(`INSERT INTO runs (id, campaign_id, revision_id, slot_id, civil, state, started_at) VALUES (?1, 'fatura', 1, 0, '', 'sending', ?2)`)
	endRun      = store.SQL(`UPDATE runs SET state = 'finished', ended_at = ?2 WHERE id = ?1`)
	pastIDs     = store.SQL(`SELECT id FROM past_messages`)
	inBoth      = store.SQL(`SELECT id FROM messages WHERE id IN (SELECT id FROM past_messages)`)
	younger     = store.SQL(`SELECT id FROM past_messages WHERE claimed_at > ?1 OR accepted_at > ?1 OR sent_at > ?1 OR delivered_at > ?1 OR read_at > ?1 OR failed_at > ?1 OR ended_at > ?1`)
	tally       = store.SQL(`SELECT messages - (SELECT COUNT(*) FROM past_messages) FROM retention`)
	emptied     []*store.Stmt
)

func init() {
	for _, table := range []string{"messages", "past_messages", "tallies", "streams", "resends", "watermarks", "contacts", "identities", "conversations",
		"inbound_messages", "service_windows", "message_prices", "foreign_messages", "runs", "setbacks", "holds"} {
		emptied = append(emptied, store.SQL(`DELETE FROM `+table))
	}
	emptied = append(emptied, store.SQL(`UPDATE retention SET messages = 0, ran_at = 0`))
}

var numbers = []string{"100000000000001", "100000000000002"}

// house is one of the twins.
type house struct {
	*store.DB
	api       *httpapi.Server
	campaigns *campaigns.Campaigns
}

// told follows up outcomes as the daemon does.
func told(tx *store.Tx, out []outbox.Outcome, err error) error {
	if err != nil {
		return err
	}
	var touches []conversations.Touch
	for _, o := range out {
		if o.Since.IsZero() || o.Contact == 0 {
			continue
		}
		if !o.Confirmed.IsZero() {
			if did, err := conversations.Confirm(tx, conversations.Confirmed{Number: o.Number, Contact: o.Contact, Message: o.Message, Category: o.Category, Was: o.Was, At: o.Confirmed}); err != nil || did[0] {
				if err != nil {
					return err
				}
				continue
			}
		}
		t := conversations.Touch{Number: o.Number, Contact: o.Contact, Since: o.Since}
		if o.To == outbox.Accepted {
			t.Accepted, t.Category = o.Message, o.Category
		}
		touches = append(touches, t)
	}
	_, err = conversations.Recompute(tx, touches...)
	return err
}

// twins are two databases that live the same life, but that the messages of one
// move to the past.
type twins struct {
	wall        time.Time
	moves, stay *house
	people      []int64
	runs        map[int64]bool // whether they are open
	ids         []int64        // all messages
	wamids      []whatsapp.Wamid
	moved       map[int64]bool // that were in the past at any time
	back        map[int64]bool // that came back at any time
	n           int
}

func newTwins(t *testing.T) *twins {
	w := &twins{wall: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)}
	open := func(name string) *house {
		db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), name), Wall: func() time.Time { return w.wall }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		c := campaigns.New(campaigns.Config{DB: db})
		return &house{db, httpapi.New(httpapi.Config{DB: db, Campaigns: c}), c}
	}
	w.moves, w.stay = open("moves.db"), open("stays.db")
	for _, h := range []*house{w.moves, w.stay} {
		if err := h.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.One(putCampaign), tx.One(putNumber, numbers[0], "loja"), tx.One(putNumber, numbers[1], "filial"))
		}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// both runs the same in both.
func (w *twins) both(rt *rapid.T, fn func(tx *store.Tx) error) {
	rt.Helper()
	for _, h := range []*house{w.moves, w.stay} {
		if err := h.Write(context.Background(), fn); err != nil && !errors.Is(err, outbox.ErrSending) { // nobody is forgotten then
			rt.Fatal(err)
		}
	}
	var past []int64
	w.read(rt, func(q *store.Snap) error {
		got, err := store.All[store.Col[int64]](q, pastIDs)
		for _, id := range got {
			past = append(past, id.V)
		}
		return err
	})
	for id := range w.moved {
		if !slices.Contains(past, id) {
			w.back[id] = true
		}
	}
}

func (w *twins) read(rt *rapid.T, fn func(q *store.Snap) error) {
	rt.Helper()
	if err := w.moves.Read(context.Background(), fn); err != nil {
		rt.Fatal(err)
	}
}

func (w *twins) reset(rt *rapid.T) {
	w.people, w.runs, w.ids, w.wamids = nil, map[int64]bool{}, nil, nil
	w.moved, w.back = map[int64]bool{}, map[int64]bool{}
	w.wall = w.wall.Add(time.Hour)
	var first []int64
	w.both(rt, func(tx *store.Tx) error {
		w.people = nil
		for _, s := range emptied {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		for i := range 3 {
			c, _, err := contacts.Ensure(tx, phone(i))
			if err != nil {
				return err
			}
			w.people = append(w.people, c.ID)
		}
		if first == nil {
			first = w.people
		}
		return nil
	})
	if !slices.Equal(first, w.people) {
		rt.Fatal("the twins give different ids")
	}
}

func phone(i int) whatsapp.Identity {
	return whatsapp.Phone(fmt.Sprintf("+120255501%02d", i)).Identity()
}

// message is one as both know it.
func (w *twins) message(rt *rapid.T, is func(m *outbox.Message) bool) (m outbox.Message, ok bool) {
	var fit []outbox.Message
	w.read(rt, func(q *store.Snap) error {
		for _, id := range w.ids {
			one, found, err := outbox.ByID(q, id)
			if err != nil {
				return err
			}
			if found && is(&one) {
				fit = append(fit, one)
			}
		}
		return nil
	})
	if len(fit) == 0 {
		return m, false
	}
	return rapid.SampledFrom(fit).Draw(rt, "message"), true
}

func (w *twins) advance(rt *rapid.T) {
	w.wall = w.wall.Add(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 25 * time.Hour, 5 * 24 * time.Hour, 40 * 24 * time.Hour, 100 * 24 * time.Hour}).Draw(rt, "span"))
}

// begin opens a run, or ends one.
func (w *twins) begin(rt *rapid.T) {
	w.n++
	run := int64(w.n)
	w.both(rt, func(tx *store.Tx) error { return tx.One(putRun, run, store.Millis(tx.Now())) })
	w.runs[run] = true
}

func (w *twins) end(rt *rapid.T) {
	open := slices.Sorted(maps.Keys(w.runs))
	if open = slices.DeleteFunc(open, func(r int64) bool { return !w.runs[r] }); len(open) == 0 {
		return
	}
	run := rapid.SampledFrom(open).Draw(rt, "run")
	w.both(rt, func(tx *store.Tx) error { return tx.One(endRun, run, store.Millis(tx.Now())) })
	w.runs[run] = false
}

func (w *twins) enqueue(rt *rapid.T) {
	s := outbox.Stream{Number: rapid.SampledFrom(numbers).Draw(rt, "number"), WABA: "w", Language: "pt_BR",
		Category: rapid.SampledFrom([]whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Authentication, whatsapp.Service}).Draw(rt, "category")}
	if s.Category != whatsapp.Service {
		s.Template = "oferta"
	}
	runs := []int64{0}
	for run, open := range w.runs {
		if open {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	if s.Run = rapid.SampledFrom(runs).Draw(rt, "run"); s.Run > 0 {
		s.Campaign = "fatura"
	}
	w.n++
	who := rapid.IntRange(0, 3).Draw(rt, "who")
	row := outbox.New{To: phone(who), Params: `{"nome":"Ana"}`, Line: w.n, ExternalID: fmt.Sprint("e", w.n), ReplyTo: "wamid.before"}
	if who < len(w.people) {
		row.Contact = w.people[who]
	} else {
		row.Refused = "no_opt_in"
	}
	if rapid.Bool().Draw(rt, "deadline") {
		row.Deadline = w.wall.Add(48 * time.Hour)
	}
	var first []int64
	w.both(rt, func(tx *store.Tx) error {
		stream, err := outbox.OpenStream(tx, s)
		if err != nil {
			return err
		}
		ids, out, err := outbox.Enqueue(tx, stream, []outbox.New{row})
		if first == nil {
			if first = ids; ids[0] > 0 {
				w.ids = append(w.ids, ids[0])
			}
		} else if !slices.Equal(first, ids) {
			return fmt.Errorf("a run takes %v in one and %v in the other", first, ids)
		}
		return told(tx, out, err)
	})
}

// leave decides about a queued message.
func (w *twins) leave(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool { return m.State == outbox.Queued })
	if !ok {
		return
	}
	to := rapid.SampledFrom([]outbox.State{outbox.Sending, outbox.Sending, outbox.Sending, outbox.Sending, outbox.Refused, outbox.Cancelled, outbox.Expired}).Draw(rt, "verdict")
	w.both(rt, func(tx *store.Tx) error {
		s, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		_, out, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: to, Reason: "opted_out"}})
		return told(tx, out, err)
	})
}

func (w *twins) settle(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool { return m.State == outbox.Sending })
	if !ok {
		return
	}
	r := outbox.Result{Message: m.ID, Attempt: m.Attempt, At: w.wall,
		To: rapid.SampledFrom([]outbox.State{outbox.Accepted, outbox.Accepted, outbox.Accepted, outbox.AcceptedHeld, outbox.Unknown, outbox.Failed, outbox.Queued}).Draw(rt, "result")}
	switch r.To {
	case outbox.Accepted, outbox.AcceptedHeld:
		w.n++
		r.Wamid = whatsapp.Wamid(fmt.Sprintf("wamid.m%d", w.n))
		w.wamids = append(w.wamids, r.Wamid)
	case outbox.Failed:
		r.Code, r.Reason = 131026, "undeliverable"
	}
	w.both(rt, func(tx *store.Tx) error {
		out, err := outbox.Settle(tx, []outbox.Result{r})
		return told(tx, out, err)
	})
}

// hear applies a status, which may be very late, with a price.
func (w *twins) hear(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool { return m.Attempt > 0 })
	if !ok {
		return
	}
	o := outbox.Observation{Message: m.ID, Attempt: rapid.IntRange(1, m.Attempt).Draw(rt, "attempt"), Wamid: m.Wamid,
		Status: rapid.SampledFrom([]string{"sent", "delivered", "delivered", "read", "failed"}).Draw(rt, "status")}
	switch rapid.IntRange(0, 3).Draw(rt, "when") {
	case 0:
		o.At = w.wall
	case 1:
		o.At = store.Time(m.ClaimedAt).Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "part")) * w.wall.Sub(store.Time(m.ClaimedAt)) / 100)
	default:
		o.At = store.Time(m.ClaimedAt).Add(2 * time.Second)
	}
	if o.At.After(w.wall) {
		o.At = w.wall
	}
	if o.Status == "failed" {
		o.Code, o.Reason = 131049, "drop_defer"
	}
	if m.Wamid != "" && rapid.Bool().Draw(rt, "by wamid") {
		o.Message, o.Attempt, o.People = 0, 0, w.people
	} else if o.Wamid == "" {
		o.Wamid = whatsapp.Wamid(fmt.Sprintf("wamid.s%d", m.ID))
		w.wamids = append(w.wamids, o.Wamid)
	}
	w.both(rt, func(tx *store.Tx) error {
		s, _, err := outbox.StreamByID(tx, m.Stream)
		if err != nil {
			return err
		}
		if o.InWindow, err = conversations.InWindowAt(tx, s.Number, m.Contact, o.At); err != nil {
			return err
		}
		out, found, err := outbox.Observe(tx, o)
		if err == nil && !found {
			err = errors.New("a status of a message of ours finds none")
		}
		if err := told(tx, out, err); err != nil {
			return err
		}
		return conversations.RecordPricing(tx, conversations.Pricing{Wamid: o.Wamid, Message: m.ID, Model: "PMP", Type: o.Status, At: o.At})
	})
}

func (w *twins) presume(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool {
		return (m.State == outbox.Accepted || m.State == outbox.AcceptedHeld || m.State == outbox.Sent) && w.wall.Sub(store.Time(m.ClaimedAt)) > 30*24*time.Hour
	})
	if !ok {
		return
	}
	w.both(rt, func(tx *store.Tx) error {
		out, err := outbox.PresumeExpired(tx, []outbox.Message{m})
		return told(tx, out, err)
	})
}

// resolve says what became of an unknown message, or sends it again, and what is
// presumed to have expired. A machine does so only with what lies in the table,
// and nobody with what came back.
func (w *twins) resolve(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool {
		return !w.moved[m.ID] && (m.State == outbox.Unknown || m.State == outbox.PresumedExpired)
	})
	if !ok {
		return
	}
	as := rapid.SampledFrom([]outbox.Resolution{outbox.AsSent, outbox.AsUnsent, outbox.AsAgain}).Draw(rt, "as")
	w.both(rt, func(tx *store.Tx) error {
		var out []outbox.Outcome
		var err error
		if m.State == outbox.PresumedExpired {
			out, err = outbox.Again(tx, m, "janela")
		} else {
			out, err = outbox.Resolve(tx, m, as, "cli:ops")
		}
		if errors.Is(err, outbox.ErrAgain) || errors.Is(err, outbox.ErrCode) || errors.Is(err, outbox.ErrDeadline) || errors.Is(err, outbox.ErrForgotten) {
			return nil
		}
		return told(tx, out, err)
	})
}

// write is what a person writes, mostly in answer to a message of ours.
func (w *twins) write(rt *rapid.T) {
	who := rapid.IntRange(0, len(w.people)-1).Draw(rt, "who")
	w.n++
	in := conversations.Inbound{Number: rapid.SampledFrom(numbers).Draw(rt, "number"), Contact: w.people[who], Wamid: whatsapp.Wamid(fmt.Sprint("wamid.i", w.n)),
		At: w.wall, Type: "button", Counts: true, Referral: rapid.IntRange(0, 5).Draw(rt, "ad") == 0}
	if len(w.wamids) > 0 && rapid.IntRange(0, 3).Draw(rt, "answers") > 0 {
		in.AnswersWamid = rapid.SampledFrom(w.wamids).Draw(rt, "answered")
	}
	w.both(rt, func(tx *store.Tx) error {
		_, _, err := conversations.RecordInbound(tx, in)
		return err
	})
}

func (w *twins) join(rt *rapid.T) {
	a, b := phone(rapid.IntRange(0, 2).Draw(rt, "one")), phone(rapid.IntRange(0, 2).Draw(rt, "other"))
	w.both(rt, func(tx *store.Tx) error {
		c, err := contacts.Learn(tx, a, b)
		if err != nil {
			return err
		}
		_, err = conversations.Merge(tx, c.ID)
		return err
	})
}

func (w *twins) forget(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return
	}
	who := rapid.SampledFrom(w.people).Draw(rt, "who")
	rename := func(message int64, _ string) (string, error) { return fmt.Sprint("forgotten-", message), nil }
	w.both(rt, func(tx *store.Tx) error {
		_, out, err := outbox.Forget(tx, who, "forgotten", rename)
		if err := told(tx, out, err); err != nil {
			return err
		}
		return conversations.Forget(tx, who)
	})
}

// unreachable is that Meta could not deliver: whether that is one day too many
// depends on what arrived before.
func (w *twins) unreachable(rt *rapid.T) {
	m, ok := w.message(rt, func(m *outbox.Message) bool { return m.Contact > 0 })
	if !ok {
		return
	}
	w.both(rt, func(tx *store.Tx) error {
		_, err := gate.React(tx, gate.Failure{Message: m, Code: whatsapp.LookupCode(131026, 0), ByStatus: true})
		return err
	})
}

var errBroken = errors.New("broken off")

// retire moves what is old in one of the twins; sometimes it breaks off.
func (w *twins) retire(rt *rapid.T) {
	from := rapid.SampledFrom(append([]int64{1, 1, 1}, w.ids...)).Draw(rt, "from")
	age := LeastMessages + time.Duration(rapid.IntRange(0, 60).Draw(rt, "days"))*24*time.Hour
	limit := rapid.IntRange(1, 20).Draw(rt, "limit")
	breaks := rapid.IntRange(0, 5).Draw(rt, "breaks off") == 0
	var before, after []int64
	in := func(q store.Querier, ids *[]int64) error {
		rows, err := store.All[store.Col[int64]](q, pastIDs)
		for _, r := range rows {
			*ids = append(*ids, r.V)
		}
		return err
	}
	err := w.moves.Write(context.Background(), func(tx *store.Tx) error {
		if err := in(tx, &before); err != nil {
			return err
		}
		moved, _, err := outbox.Retire(tx, from, tx.Now().Add(-age), limit)
		if err == nil {
			err = in(tx, &after)
		}
		if err == nil && int(moved) != len(after)-len(before) {
			err = fmt.Errorf("%d messages were moved, and the past has %d in place of %d", moved, len(after), len(before))
		}
		if err == nil && breaks {
			err = errBroken
		}
		return err
	})
	if errors.Is(err, errBroken) {
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	for _, id := range after {
		if !slices.Contains(before, id) {
			w.moved[id] = true
		}
	}
	w.sound(rt)
}

// sound is what must hold of the two tables at any time.
func (w *twins) sound(rt *rapid.T) {
	w.read(rt, func(q *store.Snap) error {
		twice, err := store.All[store.Col[int64]](q, inBoth)
		if err != nil || len(twice) > 0 {
			return fmt.Errorf("messages stand in both tables: %v, %w", twice, err)
		}
		young, err := store.All[store.Col[int64]](q, younger, store.Millis(q.Now().Add(-LeastMessages)))
		if err != nil || len(young) > 0 {
			return fmt.Errorf("the past has messages of which younger things are known: %v, %w", young, err)
		}
		off, _, err := store.Value[int64](q, tally)
		if err == nil && off != 0 {
			err = fmt.Errorf("retention counts %d too many", off)
		}
		return err
	})
}

// check compares all that can be asked.
func (w *twins) check(rt *rapid.T) {
	w.sound(rt)
	if diff := cmp.Diff(w.look(rt, w.stay), w.look(rt, w.moves)); diff != "" {
		rt.Fatalf("moved: %v, came back: %v\nwhat never moved is -, what moved is +:\n%s", w.moved, w.back, diff)
	}
}

// look asks everything of one of the twins, and leaves out what is known to go.
func (w *twins) look(rt *rapid.T, h *house) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	message := func(m outbox.Message) string {
		if w.moved[m.ID] {
			m.Params, m.ReplyTo = "", ""
			if m.Contact == 0 {
				m.Address = ""
			}
		}
		if w.back[m.ID] {
			m.Deadline = 0
		}
		wamid := string(m.Wamid)
		return fmt.Sprintf("%+v %s %s", m, m.Address, wamid)
	}
	err := h.Read(context.Background(), func(q *store.Snap) error {
		for _, id := range w.ids {
			m, ok, err := outbox.ByID(q, id)
			if err != nil || !ok {
				return fmt.Errorf("message %d: %v, %w", id, ok, err)
			}
			say("message %s", message(m))
			s, _, err := outbox.StreamByID(q, m.Stream)
			if err != nil {
				return err
			}
			for _, at := range []int64{m.AcceptedAt, m.SentAt, m.DeliveredAt, m.ReadAt} {
				if at > 0 {
					home, ok, err := conversations.HomeOf(q, s.Number, m.Contact, m.ID, store.Time(at))
					if err != nil {
						return err
					}
					say("message %d counts in %+v %v", id, home, ok)
				}
			}
			replies, err := conversations.Replies(q, s.Number, m.Contact, m.ID, m.Wamid, 9)
			if err != nil {
				return err
			}
			price, ok, err := conversations.PriceOf(q, m.ID, m.Wamid)
			if err != nil {
				return err
			}
			say("message %d: %+v; %+v %v", id, replies, price, ok)
		}
		for _, wamid := range w.wamids {
			m, ok, err := outbox.ByWamid(q, wamid, w.people...)
			if err != nil {
				return err
			}
			say("%s is message %d %v", string(wamid), m.ID, ok)
		}
		for _, c := range w.people {
			all, err := outbox.OfContact(q, c, 0, 3)
			if err != nil {
				return err
			}
			slices.SortFunc(all, func(a, b outbox.Message) int { return int(b.ID - a.ID) })
			for _, m := range all[:min(3, len(all))] {
				say("of contact %d: %s", c, message(m))
			}
			setback, err := gate.SetbackOf(q, c)
			if err != nil {
				return err
			}
			say("of contact %d: %+v", c, setback)
		}
		for run := range int64(w.n + 1) {
			if _, ok := w.runs[run]; ok {
				tallies, err := outbox.TalliesOfRun(q, run)
				if err != nil {
					return err
				}
				say("run %d: %v", run, tallies)
			}
		}
		unknown, err := outbox.ListUnknown(q, outbox.UnknownFilter{Settled: true, Limit: 100})
		if err != nil {
			return err
		}
		for _, u := range unknown {
			say("unknown: %s", message(u.Message))
		}
		tallies, err := outbox.Tallies(q)
		if err != nil {
			return err
		}
		say("tallies: %v", tallies)
		audit, err := conversations.Check(q, 0, 100)
		if err != nil || len(audit.Differences) > 0 {
			return fmt.Errorf("conversations: %+v, %w", audit.Differences, err)
		}
		say("%d ledgers", audit.Ledgers)
		err = conversations.List(q, conversations.Filter{}, func(r conversations.Row) error { say("conversation %+v", r); return nil })
		if err != nil {
			return err
		}
		month := conversations.NewReport(w.wall.AddDate(0, -4, 0), w.wall)
		_, _, err = month.Add(q, 0, 100, func(int64) (string, error) { return "BR", nil })
		say("four months: %+v", month.Shares())
		if err != nil {
			return err
		}
		return conversations.Reached(q, 24*time.Hour, func(p conversations.Person) { say("reached: %+v", p) })
	})
	if err != nil {
		rt.Fatal(err)
	}
	w.files(rt, h, say)
	return lines
}

// files asks what is read in several snapshots: reports, people's files, and why.
func (w *twins) files(rt *rapid.T, h *house, say func(string, ...any)) {
	for _, run := range slices.Sorted(maps.Keys(w.runs)) {
		err := h.campaigns.Report(context.Background(), campaigns.ReportRequest{ID: "fatura", Run: run}, func(r campaigns.ReportRow) error {
			if w.moved[r.Message] && r.State == string(outbox.Refused) && r.Reason == "no_opt_in" {
				r.Phone = ""
			}
			phone := string(r.Phone)
			say("report of %d: %+v %s", run, r, phone)
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	}
	for _, c := range w.people {
		f, err := dossier.Build(context.Background(), h.DB, c)
		if err != nil {
			rt.Fatal(err)
		}
		for i := range f.Messages {
			if m := &f.Messages[i]; w.moved[m.ID] {
				m.Content = nil
			}
		}
		text, err := json.Marshal(f)
		if err != nil {
			rt.Fatal(err)
		}
		say("file of %d: %s", c, text)
	}
	for _, id := range w.ids {
		rec := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(httpapi.WithActor(context.Background(), "cli:ops"), http.MethodGet, "/v1/why?of="+strconv.FormatInt(id, 10), nil)
		h.api.ServeHTTP(rec, req)
		var why struct{ Message map[string]any }
		if err := json.Unmarshal(rec.Body.Bytes(), &why); err != nil || rec.Code != http.StatusOK {
			rt.Fatalf("why %d: %d %s", id, rec.Code, rec.Body)
		}
		delete(why.Message, "callback") // it names the database
		if w.moved[id] && why.Message["contact"] == nil {
			delete(why.Message, "to")
		} else if why.Message["contact"] == nil {
			continue
		}
		if w.back[id] {
			delete(why.Message, "deadline")
		}
		say("why %d: %v", id, why.Message)
	}
}

// A message that was accepted long ago opened a conversation, and one that has
// moved since another behind it. When Meta tells at last when the first was sent,
// both must be looked at.
func TestMetasTimeComesWhenTheNextMessageHasMoved(t *testing.T) {
	w := newTwins(t)
	h := w.moves
	do := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := h.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	send := func(contact int64) (id int64) {
		do(func(tx *store.Tx) error {
			s, err := outbox.OpenStream(tx, stream(0))
			if err != nil {
				return err
			}
			ids, _, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact, To: phone(0)}})
			if err != nil {
				return err
			}
			id = ids[0]
			m, _, err := outbox.ByID(tx, id)
			if err != nil {
				return err
			}
			if _, _, err := outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
				return err
			}
			out, err := outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 1, To: outbox.Accepted, Wamid: whatsapp.Wamid(wamidOf(id)), At: tx.Now()}})
			return told(tx, out, err)
		})
		return id
	}
	status := func(id int64, name string, at time.Time) {
		do(func(tx *store.Tx) error {
			out, _, err := outbox.Observe(tx, outbox.Observation{Message: id, Attempt: 1, Status: name, At: at})
			return told(tx, out, err)
		})
	}
	var contact int64
	do(func(tx *store.Tx) error {
		c, _, err := contacts.Ensure(tx, phone(0))
		contact = c.ID
		return err
	})
	first := send(contact)
	sent := w.wall.Add(5 * time.Second)
	w.wall = w.wall.Add(24*time.Hour + time.Second) // a second conversation, as far as we know
	second := send(contact)
	status(second, "delivered", w.wall)
	w.wall = w.wall.Add(100 * 24 * time.Hour)
	do(func(tx *store.Tx) error {
		n, _, err := outbox.Retire(tx, 0, tx.Now().Add(-LeastMessages), 10)
		if n != 1 {
			t.Errorf("%d messages moved", n)
		}
		return err
	})
	status(first, "sent", sent)
	err := h.Read(t.Context(), func(q *store.Snap) error {
		audit, err := conversations.Check(q, 0, 10)
		if len(audit.Differences) > 0 || audit.Ledgers != 1 {
			t.Errorf("%+v", audit)
		}
		_, rows, err2 := conversations.Count(q, conversations.Filter{})
		if rows != 1 {
			t.Errorf("%d conversations", rows)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever messages live through, and whenever they move: who asks gets the
// answer of a database in which none ever moved.
func TestNobodySeesThatMessagesMoved(t *testing.T) {
	w := newTwins(t)
	moved, back := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w.reset(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"advance": w.advance, "advance again": w.advance, "begin": w.begin, "end": w.end, "enqueue": w.enqueue, "enqueue again": w.enqueue, "enqueue once more": w.enqueue,
			"leave": w.leave, "leave again": w.leave, "settle": w.settle, "settle again": w.settle, "hear": w.hear, "hear again": w.hear, "presume": w.presume, "resolve": w.resolve,
			"write": w.write, "join": w.join, "forget": w.forget, "unreachable": w.unreachable, "retire": w.retire, "retire again": w.retire,
		})
		w.check(rt)
		w.wall = w.wall.Add(100 * 24 * time.Hour)
		for range 3 {
			w.retire(rt)
			w.check(rt)
		}
		w.hear(rt)
		w.write(rt)
		w.check(rt)
		moved, back = moved+len(w.moved), back+len(w.back)
	})
	if moved == 0 || back == 0 && !testing.Short() { // few plays bring none back
		t.Errorf("%d messages moved and %d came back: the test shows nothing", moved, back)
	}
	t.Logf("%d messages moved, %d came back", moved, back)
}
