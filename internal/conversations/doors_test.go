package conversations_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/intake"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
)

// These tests come through the doors that facts really take: the outbox's
// answers, and signed callbacks of Meta's.

const (
	waba   = "100000000000001"
	loja   = "200000000000001"
	filial = "200000000000002"
	secret = "app-secret"
)

// dawn is the first hour of the naive model, which knows whole hours.
var dawn = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

func hour(h int) time.Time { return dawn.Add(time.Duration(h) * time.Hour) }

// doors is an intake over a real database.
type doors struct {
	db      *store.DB
	in      *intake.Intake
	wall    atomic.Int64 // ms
	entries int          // makes two bodies that tell the same differ
}

func newDoors(t testing.TB, dir string) (d *doors, shut func()) {
	t.Helper()
	d = &doors{}
	d.wall.Store(dawn.Add(-time.Hour).UnixMilli())
	db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(dir, "x.db"),
		Wall: func() time.Time { return store.Time(d.wall.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	d.db = db
	d.in = intake.New(intake.Config{DB: db, Secrets: func() [][]byte { return [][]byte{[]byte(secret)} }, Outcomes: follow,
		Resync: func() {}, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.in.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return d, func() {
		stop()
		wg.Wait()
		_ = db.Close()
	}
}

// follow does what the daemon does with outcomes.
func follow(tx *store.Tx, out []outbox.Outcome) error {
	for _, o := range out {
		if !o.Since.IsZero() && o.Contact > 0 {
			if _, err := conversations.Recompute(tx, conversations.Touch{Number: o.Number, Contact: o.Contact, Since: o.Since}); err != nil {
				return err
			}
		}
	}
	return nil
}

// post delivers a callback with these values of the field messages, and waits
// until it is applied. The same body a second time is stored only once.
func (d *doors) post(body string) error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	r := httptest.NewRequest(http.MethodPost, "/webhooks/whatsapp", strings.NewReader(body))
	r.Header.Set(webhook.SignatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	d.in.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("a callback was answered %d", w.Code)
	}
	for d.in.Stats.Applied.Load() < d.in.Stats.Stored.Load() {
		if d.in.Stats.Failed.Load() > 0 {
			return fmt.Errorf("a callback could not be applied")
		}
		runtime.Gosched()
		time.Sleep(20 * time.Microsecond)
	}
	return nil
}

func (d *doors) body(values ...string) string {
	d.entries++
	var changes []string
	for _, v := range values {
		changes = append(changes, `{"field":"messages","value":`+v+`}`)
	}
	return fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"time":%d,"changes":[%s]}]}`, waba, d.entries, strings.Join(changes, ","))
}

func value(number, kind string, list ...string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550190","phone_number_id":%q},%q:[%s]}`,
		number, kind, strings.Join(list, ","))
}

// names are what a callback may call a person; "" leaves one out.
type names struct{ phone, user string }

func (n names) identities() (out []string) {
	for _, s := range []string{n.phone, n.user} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// send queues and claims a message, so that an answer or a status may come.
func (d *doors) send(tx *store.Tx, number string, category whatsapp.Category, phone string) (int64, error) {
	c, _, err := contacts.Ensure(tx, whatsapp.Phone(phone).Identity())
	if err != nil {
		return 0, err
	}
	stream := outbox.Stream{Number: number, WABA: waba, Category: category}
	if category != whatsapp.Service {
		stream.Template, stream.Language = string(category), "pt_BR"
	}
	if stream, err = outbox.OpenStream(tx, stream); err != nil {
		return 0, err
	}
	ids, _, err := outbox.Enqueue(tx, stream, []outbox.New{{Contact: c.ID, To: whatsapp.Phone(phone).Identity(), Params: "[]"}})
	if err != nil {
		return 0, err
	}
	m, _, err := outbox.ByID(tx, ids[0])
	if err != nil {
		return 0, err
	}
	_, _, err = outbox.Apply(tx, stream, []outbox.Move{{Message: m, To: outbox.Sending}})
	return ids[0], err
}

func (d *doors) settle(tx *store.Tx, id int64, to outbox.State, wamid string) error {
	r := outbox.Result{Message: id, Attempt: 1, To: to, At: tx.Now()}
	if to == outbox.Accepted || to == outbox.AcceptedHeld {
		r.Wamid = whatsapp.Wamid(wamid)
	}
	out, err := outbox.Settle(tx, []outbox.Result{r})
	if err != nil {
		return err
	}
	return follow(tx, out)
}

func (d *doors) status(s known, who names) string {
	more := ""
	if who.phone != "" {
		more += fmt.Sprintf(`,"recipient_id":%q`, strings.TrimPrefix(who.phone, "+"))
	}
	if who.user != "" {
		more += fmt.Sprintf(`,"recipient_user_id":%q`, who.user)
	}
	if s.price != "" {
		more += fmt.Sprintf(`,"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":%q}`, s.price)
	}
	if s.message > 0 {
		more += fmt.Sprintf(`,"biz_opaque_callback_data":%q`, whatsapp.CallbackID{DB: d.db.Name(), Message: s.message, Attempt: 1})
	}
	return value(s.number, "statuses", fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d"%s}`, s.wamid, s.word, s.at.Unix(), more))
}

// known is one thing that is said of a message.
type known struct {
	number, wamid, word string
	message             int64  // ours; 0 for a foreign one
	price               string // Meta's pricing category
	at                  time.Time
}

// In every order in which the answer and the statuses of a message may come, its
// row and its conversation are the same, and the naive model's.
func TestEveryOrderOfStatuses(t *testing.T) {
	d, shut := newDoors(t, t.TempDir())
	t.Cleanup(shut)
	words := []string{"accepted", "sent", "delivered", "read", "failed"}
	at := map[string]time.Time{"accepted": hour(3), "sent": hour(1), "delivered": hour(2), "read": hour(5), "failed": hour(4)}
	var orders [][]string
	var grow func(done []string)
	grow = func(done []string) {
		if len(done) > 0 {
			orders = append(orders, slices.Clone(done))
		}
		for _, w := range words {
			if !slices.Contains(done, w) {
				grow(append(done, w))
			}
		}
	}
	grow(nil)
	if len(orders) != 325 {
		t.Fatalf("%d orders, want 325", len(orders))
	}
	// All of them side by side, each a message to a person of its own; every
	// moment of arrival is the same, so that only the order differs.
	d.wall.Store(at["accepted"].UnixMilli())
	ids := make([]int64, len(orders))
	phone := func(i int) string { return fmt.Sprintf("+551190000%04d", i) }
	for i := range orders {
		must(t, d.db.Write(t.Context(), func(tx *store.Tx) (err error) {
			ids[i], err = d.send(tx, loja, whatsapp.Marketing, phone(i))
			return err
		}))
	}
	for step := range words {
		var callback []string
		for i, order := range orders {
			if step >= len(order) {
				continue
			}
			wamid := fmt.Sprintf("wamid.m%d", i)
			if order[step] == "accepted" {
				must(t, d.db.Write(t.Context(), func(tx *store.Tx) error { return d.settle(tx, ids[i], outbox.Accepted, wamid) }))
				continue
			}
			k := known{number: loja, wamid: wamid, word: order[step], message: ids[i], at: at[order[step]]}
			callback = append(callback, d.status(k, names{phone: phone(i)}))
			if step%2 == 1 { // and again, in one and the same breath
				callback = append(callback, d.status(k, names{phone: phone(i)}))
			}
		}
		must(t, d.post(d.body(callback...)))
	}
	rows := map[string]string{} // set of words → what came of it
	must(t, d.db.Read(t.Context(), func(q *store.Snap) error {
		for i, order := range orders {
			m, _, err := outbox.ByID(q, ids[i])
			if err != nil {
				return err
			}
			var got []conversations.Conversation
			err = conversations.List(q, conversations.Filter{Contact: m.Contact}, func(r conversations.Row) error {
				r.OpenedBy = 1
				got = append(got, r.Conversation)
				return nil
			})
			if err != nil {
				return err
			}
			set := slices.Sorted(slices.Values(order))
			f := facts{id: 1, category: whatsapp.Marketing, said: map[string]time.Time{}, answer: "none"}
			for _, w := range order {
				if f.said[w] = at[w]; w == "accepted" {
					f.answer = "accepted"
				}
			}
			var want []conversations.Conversation
			if e, ok := f.event(); ok {
				want = conversations.Model([]conversations.Event{e})
			}
			if diff := cmp.Diff(conversations.Show(want), conversations.Show(got)); diff != "" {
				t.Errorf("%v (-model +rows):\n%s", order, diff)
			}
			m.ID, m.Contact, m.Address, m.Wamid = 0, 0, "", ""
			m.CreatedAt, m.ClaimedAt = 0, 0
			row := fmt.Sprintf("%+v %v", m, conversations.Show(got))
			if before, ok := rows[fmt.Sprint(set)]; ok && before != row {
				t.Errorf("%v gives another row than another order of the same:\n%s\n%s", order, before, row)
			}
			rows[fmt.Sprint(set)] = row
		}
		return nil
	}))
	if len(rows) != 31 {
		t.Errorf("%d sets of words, want 31", len(rows))
	}
}

// facts is all that is known of a message, for the model.
type facts struct {
	id       int64
	wamid    string
	number   string
	category whatsapp.Category
	answer   string // none, accepted, held, unknown
	said     map[string]time.Time
	who      []string // identities
}

// event is the message in the words of the ledger's definition.
func (f facts) event() (conversations.Event, bool) {
	e := conversations.Event{ID: f.id, Wamid: whatsapp.Wamid(f.wamid), Category: f.category}
	_, delivered := f.said["delivered"]
	_, read := f.said["read"]
	_, failed := f.said["failed"]
	if failed && !delivered && !read {
		return e, false
	}
	for _, w := range []string{"sent", "delivered", "read"} {
		if at, ok := f.said[w]; ok {
			e.At = at
			return e, true
		}
	}
	e.At, e.Provisional = f.said["accepted"], true
	return e, f.answer == "accepted"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// arrival is one thing that comes in through a door, at an hour.
type arrival struct {
	at    int // hours
	apply func(d *doors, w *truth) error
}

// truth is what a reader of all arrivals so far knows, put as simply as can be.
type truth struct {
	messages []*facts
	inbound  []heard
	joined   []([]string) // identities that were shown together
}

type heard struct {
	number, wamid, answers string
	at                     time.Time
	counts, ad             bool
	who                    []string
}

// person gathers every identity that is the same person's as id.
func (w *truth) person(id string) map[string]bool {
	all := map[string]bool{id: true}
	for more := true; more; {
		more = false
		for _, pair := range w.joined {
			if slices.ContainsFunc(pair, func(s string) bool { return all[s] }) {
				for _, s := range pair {
					more = more || !all[s]
					all[s] = true
				}
			}
		}
	}
	return all
}

func (w *truth) shown(ids ...string) { w.joined = append(w.joined, ids) }

var inboundID = store.SQL(`SELECT id FROM inbound_messages WHERE wamid = ?1`)

var people = []names{{"+5511900000001", "BR.1"}, {"+5511900000002", "BR.2"}, {"+5511900000003", "BR.3"}}

// drawArrivals draws what happens to three people on two numbers: messages of
// ours and of others, what they write, changes of number, and the pairs of names
// that callbacks show; each told once or several times, hours to days late.
func drawArrivals(t *rapid.T) (sends []*facts, list []arrival) {
	span := rapid.SampledFrom([]int{30, 80, 200}).Draw(t, "span")
	hours := rapid.IntRange(1, span)
	number := rapid.SampledFrom([]string{loja, loja, filial})
	person := rapid.SampledFrom(people)
	late := rapid.Custom(func(t *rapid.T) int {
		return rapid.SampledFrom([]int{0, 0, 0, 1, 5, 26, 75, 120}).Draw(t, "late")
	})
	// callback arrives late, and perhaps again: as the same bytes, or told anew.
	callback := func(at int, body func(d *doors, at int) string, learn func(w *truth, at int)) {
		bodies := map[int]string{} // by the hour that they tell
		for i := range rapid.IntRange(1, 3).Draw(t, "times") {
			told, same := at, false
			if i > 0 {
				told += rapid.SampledFrom([]int{0, 0, 2, 30}).Draw(t, "of another hour")
				same = rapid.Bool().Draw(t, "same bytes")
			}
			list = append(list, arrival{told + late.Draw(t, "late"), func(d *doors, w *truth) error {
				b := bodies[told]
				if !same || b == "" {
					b = d.body(body(d, told))
					bodies[told] = b
				}
				learn(w, told)
				return d.post(b)
			}})
		}
	}
	called := func(p names) names { // which of the names a callback has
		switch rapid.IntRange(0, 3).Draw(t, "called") {
		case 0:
			return names{user: p.user}
		case 1:
			return p
		default:
			return names{phone: p.phone}
		}
	}
	var wamids []string
	for i := range rapid.IntRange(1, 6).Draw(t, "messages") {
		p := person.Draw(t, "to")
		f := &facts{wamid: fmt.Sprintf("wamid.m%02d", i), number: number.Draw(t, "number"), said: map[string]time.Time{}, answer: "none"}
		wamids = append(wamids, f.wamid)
		foreign := rapid.IntRange(0, 3).Draw(t, "whose") == 0
		price := ""
		if foreign {
			price = rapid.SampledFrom([]string{"marketing", "utility", "marketing_lite", "service", ""}).Draw(t, "price")
			f.category, _ = whatsapp.FoldPricing(price)
		} else {
			f.category = rapid.SampledFrom([]whatsapp.Category{whatsapp.Marketing, whatsapp.Utility, whatsapp.Service, whatsapp.Service}).Draw(t, "category")
			f.who = []string{p.phone}
			sends = append(sends, f)
			answer := rapid.SampledFrom([]string{"accepted", "accepted", "accepted", "unknown", "held", "none"}).Draw(t, "answer")
			at := hours.Draw(t, "answered")
			if answer != "none" {
				list = append(list, arrival{at, func(d *doors, w *truth) error {
					f.answer = answer
					if answer == "accepted" {
						f.said["accepted"] = hour(at)
					}
					return d.db.Write(context.Background(), func(tx *store.Tx) error {
						return d.settle(tx, f.id, map[string]outbox.State{"accepted": outbox.Accepted, "unknown": outbox.Unknown, "held": outbox.AcceptedHeld}[answer], f.wamid)
					})
				}})
			}
		}
		at := hours.Draw(t, "sent")
		for _, word := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"sent", "delivered", "read", "failed"}), 0, 4, rapid.ID[string]).Draw(t, "words") {
			if at += rapid.SampledFrom([]int{0, 0, 1, 7}).Draw(t, "then"); word == "sent" && rapid.Bool().Draw(t, "earlier") {
				at = max(at-3, 0)
			}
			k, who := known{number: f.number, wamid: f.wamid, word: word, price: price}, called(p)
			if !foreign && who.user != "" && rapid.Bool().Draw(t, "pairs hidden") {
				who = names{}
			}
			callback(at, func(d *doors, at int) string {
				k := k
				k.message, k.at = f.id, hour(at)
				return d.status(k, who)
			}, func(w *truth, at int) {
				if before, ok := f.said[word]; !ok || hour(at).Before(before) {
					f.said[word] = hour(at)
				}
				if foreign {
					// One message goes to one person, by whatever names its statuses call them.
					if f.who = append(f.who, who.identities()...); !slices.Contains(w.messages, f) {
						w.messages = append(w.messages, f)
					}
					w.shown(f.who...)
				} else {
					w.shown(append(who.identities(), p.phone)...)
				}
			})
		}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "inbound") {
		at, p := hours.Draw(t, "wrote"), person.Draw(t, "from")
		kind := rapid.SampledFrom([]string{"text", "text", "text", "image", "reaction"}).Draw(t, "type")
		h := heard{number: number.Draw(t, "number"), wamid: fmt.Sprintf("wamid.i%02d", i), at: hour(at), counts: kind != "reaction",
			ad: rapid.IntRange(0, 2).Draw(t, "ad") == 0, who: called(p).identities()}
		if rapid.Bool().Draw(t, "answers") {
			h.answers = rapid.SampledFrom(wamids).Draw(t, "answered")
		}
		callback(at, func(*doors, int) string { return h.json(kind) }, func(w *truth, _ int) {
			if !slices.ContainsFunc(w.inbound, func(o heard) bool { return o.wamid == h.wamid }) {
				w.inbound = append(w.inbound, h)
			}
			w.shown(h.who...)
		})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "changes of number") {
		at, from, to := hours.Draw(t, "changed"), person.Draw(t, "old"), person.Draw(t, "new")
		if from == to {
			continue
		}
		callback(at, func(*doors, int) string {
			return value(loja, "messages", fmt.Sprintf(`{"from":%q,"id":"wamid.s%d","timestamp":"%d","type":"system","system":{"body":"","wa_id":%q,"type":"user_changed_number"}}`,
				from.phone[1:], i, hour(at).Unix(), to.phone[1:]))
		}, func(w *truth, _ int) { w.shown(from.phone, to.phone) })
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return a.at - b.at })
	return sends, list
}

func (h heard) json(kind string) string {
	from := ""
	for _, id := range h.who {
		if strings.HasPrefix(id, "+") {
			from += fmt.Sprintf(`,"from":%q`, id[1:])
		} else {
			from += fmt.Sprintf(`,"from_user_id":%q`, id)
		}
	}
	if h.ad {
		from += `,"referral":{"source_type":"ad","source_id":"1"}`
	}
	if h.answers != "" {
		from += fmt.Sprintf(`,"context":{"id":%q}`, h.answers)
	}
	return value(h.number, "messages", fmt.Sprintf(`{"id":%q,"timestamp":"%d","type":%q,%q:{"body":"Oi","emoji":"x","message_id":"wamid.m00"}%s}`,
		h.wamid, h.at.Unix(), kind, kind, from))
}

// compare asks the model about everybody.
func (w *truth) compare(q store.Querier) error {
	seen := map[int64]bool{}
	for _, p := range people {
		for _, id := range p.identities() {
			kind := whatsapp.KindPhone
			if !strings.HasPrefix(id, "+") {
				kind = whatsapp.KindBSUID
			}
			c, ok, err := contacts.Find(q, whatsapp.Identity{Kind: kind, Value: id})
			if err != nil || !ok || seen[c.Root] {
				if err != nil {
					return err
				}
				continue
			}
			seen[c.Root] = true
			for _, number := range []string{loja, filial} {
				want, err := w.want(q, number, w.person(id))
				if err != nil {
					return err
				}
				var got []conversations.Conversation
				err = conversations.List(q, conversations.Filter{Contact: c.ID, Number: number}, func(r conversations.Row) error {
					if r.Contact != c.Root {
						return fmt.Errorf("row %d stands under %d, which is no root", r.ID, r.Contact)
					}
					got = append(got, r.Conversation)
					return nil
				})
				if err != nil {
					return err
				}
				a, b := slices.Sorted(slices.Values(conversations.Show(want))), slices.Sorted(slices.Values(conversations.Show(got)))
				if diff := cmp.Diff(a, b); diff != "" {
					return fmt.Errorf("%s on %s (-model +rows):\n%s", id, number, diff)
				}
			}
		}
	}
	a, err := conversations.Check(q, 0, 100)
	if err == nil && len(a.Differences) > 0 {
		err = fmt.Errorf("the audit disagrees: %+v", a.Differences)
	}
	return err
}

func (w *truth) want(q store.Querier, number string, person map[string]bool) ([]conversations.Conversation, error) {
	var events []conversations.Event
	theirs := func(who []string) bool { return slices.ContainsFunc(who, func(s string) bool { return person[s] }) }
	for _, f := range w.messages {
		if e, ok := f.event(); ok && f.number == number && theirs(f.who) {
			events = append(events, e)
		}
	}
	for _, h := range w.inbound {
		if !h.counts || h.number != number || !theirs(h.who) {
			continue
		}
		id, _, err := store.Value[int64](q, inboundID, h.wamid)
		if err != nil {
			return nil, err
		}
		events = append(events, conversations.Event{Inbound: true, At: h.at, ID: id, Wamid: whatsapp.Wamid(h.wamid), Referral: h.ad, AnswersWamid: whatsapp.Wamid(h.answers)})
	}
	return conversations.Model(events), nil
}

// After every single arrival the rows are what the naive model makes of all that
// is known by then: late, twice, out of order, while people turn out to be one
// and change their numbers.
func TestLedgerThroughTheDoors(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sends, list := drawArrivals(rt)
		d, shut := newDoors(t, t.TempDir())
		defer shut()
		w := &truth{}
		err := d.db.Write(context.Background(), func(tx *store.Tx) error {
			for _, f := range sends {
				var err error
				if f.id, err = d.send(tx, f.number, f.category, f.who[0]); err != nil {
					return err
				}
				w.messages = append(w.messages, f)
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		for i, a := range list {
			d.wall.Store(hour(a.at).UnixMilli())
			if err := a.apply(d, w); err != nil {
				rt.Fatalf("arrival %d: %v", i, err)
			}
			if err := d.db.Read(context.Background(), func(q *store.Snap) error { return w.compare(q) }); err != nil {
				rt.Fatalf("after arrival %d of %d: %v", i, len(list), err)
			}
		}
	})
}
