package outbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

func sale(run int64) Stream {
	return Stream{Number: number1, WABA: "900", Category: whatsapp.Marketing, Template: "sale", Language: "pt_BR", Campaign: "natal", Run: run,
		Windows: Windows{Zone: "America/Sao_Paulo", List: []Window{{Days: []time.Weekday{1}, From: 540, To: 1200}}}, PerSecond: 2.5, TemplateHash: "h"}
}

func TestStreamsAreMadeOnce(t *testing.T) {
	w := newWorld(t)
	w.write(t, func(tx *store.Tx) error {
		first, err := OpenStream(tx, sale(7))
		if err != nil {
			return err
		}
		again := sale(7)
		again.PerSecond, again.NotApproved = 99, "skip" // settings are those of the first
		second, err := OpenStream(tx, again)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(first, second); diff != "" || first.ID == 0 || first.Lane != whatsapp.LaneMarketing || first.NotApproved != "wait" {
			t.Errorf("%+v\n%s", first, diff)
		}
		for _, change := range []func(*Stream){
			func(s *Stream) { s.Run = 8 }, func(s *Stream) { s.Number = number2 }, func(s *Stream) { s.Category = whatsapp.Utility },
			func(s *Stream) { s.Template = "other" }, func(s *Stream) { s.Language = "pt" }, func(s *Stream) { s.Campaign = "pascoa" },
		} {
			s := sale(7)
			change(&s)
			other, err := OpenStream(tx, s)
			if err != nil {
				return err
			}
			if other.ID == first.ID {
				t.Errorf("%+v is taken for %+v", s, first)
			}
		}
		read, ok, err := StreamByID(tx, first.ID)
		if diff := cmp.Diff(first, read); err != nil || !ok || diff != "" {
			t.Errorf("read back: %v %v\n%s", ok, err, diff)
		}
		ofRun, err := StreamsOfRun(tx, 7)
		if err != nil || len(ofRun) != 6 {
			t.Errorf("%d streams of the run, %v", len(ofRun), err)
		}
		ofCampaign, err := StreamsOfCampaign(tx, "natal")
		if err != nil || len(ofCampaign) != 6 {
			t.Errorf("%d streams of the campaign, %v", len(ofCampaign), err)
		}
		if none, err := StreamsOfRun(tx, 0); err != nil || len(none) > 0 {
			t.Errorf("run 0 is no run: %v %v", none, err)
		}
		if err := Remake(tx, first.ID, "new"); err != nil {
			return err
		}
		if read, _, _ := StreamByID(tx, first.ID); read.TemplateHash != "new" {
			t.Errorf("hash %q after Remake", read.TemplateHash)
		}
		if err := Remake(tx, 1, "new"); !errors.Is(err, store.ErrLost) {
			t.Errorf("a stream that is not there was remade: %v", err)
		}
		return nil
	})
}

// TestReading takes a run through some states and asks everything there is to
// ask.
func TestReading(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1, 2, 3)
	var s Stream
	var ids []int64
	w.write(t, func(tx *store.Tx) (err error) {
		if s, err = OpenStream(tx, sale(7)); err != nil {
			return err
		}
		rows := []New{{Contact: 0, To: phoneOf(0), Refused: "no_opt_in", Line: 1}}
		for i := range int64(5) {
			n := New{Contact: i + 1, To: phoneOf(i + 1), Params: "[]", Line: int(i) + 2, ExternalID: fmt.Sprint("x", i), Deadline: start.Add(time.Hour)}
			if i == 4 {
				n.NotBefore = start.Add(time.Minute)
			}
			rows = append(rows, n)
		}
		ids, _, err = Enqueue(tx, s, rows)
		return err
	})
	w.write(t, func(tx *store.Tx) error {
		for i, id := range ids[1:4] {
			m, ok, err := ByID(tx, id)
			if err != nil || !ok {
				return fmt.Errorf("message %d: %v %w", id, ok, err)
			}
			want := Message{ID: id, Stream: s.ID, Run: 7, Contact: int64(i) + 1, Address: phoneOf(int64(i) + 1).Value, Kind: whatsapp.KindPhone, Params: "[]",
				Line: i + 2, ExternalID: fmt.Sprint("x", i), State: Queued, Deadline: millis(start.Add(time.Hour)), CreatedAt: millis(start)}
			if diff := cmp.Diff(want, m); diff != "" {
				t.Error(diff)
			}
			if _, _, err := Apply(tx, s, []Move{{Message: m, To: Sending}}); err != nil {
				return err
			}
		}
		_, err := Settle(tx, []Result{{Message: ids[1], Attempt: 1, To: Accepted, Wamid: "wamid.1", At: start},
			{Message: ids[2], Attempt: 1, To: Failed, Reason: "drop", Code: 131026}})
		return err
	})
	w.write(t, func(tx *store.Tx) error {
		want := []Tally{{Accepted, "", 1}, {Failed, "drop", 1}, {Queued, "", 2}, {Refused, "no_opt_in", 1}, {Sending, "", 1}}
		sorted := cmpopts.SortSlices(func(a, b Tally) bool { return a.State < b.State })
		for name, read := range map[string]func() ([]Tally, error){
			"run":      func() ([]Tally, error) { return TalliesOfRun(tx, 7) },
			"campaign": func() ([]Tally, error) { return TalliesOfCampaign(tx, "natal") },
			"all":      func() ([]Tally, error) { return Tallies(tx) },
		} {
			got, err := read()
			if diff := cmp.Diff(want, got, sorted); err != nil || diff != "" {
				t.Errorf("tallies of %s: %v\n%s", name, err, diff)
			}
		}
		if got, err := TalliesOfRun(tx, 0); err != nil || len(got) > 0 {
			t.Errorf("run 0 is no run: %v %v", got, err)
		}
		m, ok, err := ByWamid(tx, "wamid.1", 2, 1)
		if err != nil || !ok || m.ID != ids[1] {
			t.Errorf("by wamid: %v %v %v", m.ID, ok, err)
		}
		if _, ok, err := ByWamid(tx, "", 1, 3); ok || err != nil {
			t.Errorf("a message without a wamid was found by it: %v", err)
		}
		if _, ok, err := ByWamid(tx, "wamid.1", 2); ok || err != nil {
			t.Errorf("a message was found among those of somebody else: %v", err)
		}
		of, err := OfContact(tx, 1, 0, 10)
		if err != nil || len(of) != 1 || of[0].ID != ids[1] {
			t.Errorf("of the contact: %v %v", of, err)
		}
		if of, err := OfContact(tx, 0, 0, 10); err != nil || len(of) > 0 {
			t.Errorf("of nobody: %v %v", of, err)
		}
		ready, err := ReadyStreams(tx, whatsapp.LaneMarketing)
		if err != nil || len(ready) != 1 || ready[0].Queued != 2 || ready[0].ID != s.ID {
			t.Errorf("ready: %+v %v", ready, err)
		}
		if ready, err := ReadyStreams(tx, whatsapp.LaneUtility); err != nil || len(ready) > 0 {
			t.Errorf("ready in another lane: %+v %v", ready, err)
		}
		due, ok, err := NextDue(tx, s.ID)
		if err != nil || !ok || due != 0 {
			t.Errorf("next due: %d %v %v", due, ok, err)
		}
		if _, err := CancelStream(tx, s.ID, 1, "x"); err != nil { // the one that is due
			return err
		}
		if due, ok, err := NextDue(tx, s.ID); err != nil || !ok || due != millis(start.Add(time.Minute)) {
			t.Errorf("next due: %d %v %v, want in a minute", due, ok, err)
		}
		if _, err := CancelStream(tx, s.ID, 10, "x"); err != nil {
			return err
		}
		if _, ok, err := NextDue(tx, s.ID); err != nil || ok {
			t.Errorf("next due of an empty stream: %v %v", ok, err)
		}
		if ready, err := ReadyStreams(tx, whatsapp.LaneMarketing); err != nil || len(ready) > 0 {
			t.Errorf("ready although nothing is queued: %+v %v", ready, err)
		}
		return nil
	})
}

func TestWhatTheOutboxRefuses(t *testing.T) {
	w := newWorld(t)
	var s Stream
	w.write(t, func(tx *store.Tx) (err error) { s, err = OpenStream(tx, sale(7)); return err })
	for _, c := range []struct {
		name, want string
		fn         func(tx *store.Tx) error
	}{
		{"a message to nobody", "must be refused", func(tx *store.Tx) error {
			_, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}, {To: phoneOf(2)}})
			return err
		}},
		{"a send that ends in a state of later", "cannot end in delivered", func(tx *store.Tx) error {
			ids, _, err := Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}})
			if err != nil {
				return err
			}
			m, _, err := ByID(tx, ids[0])
			if err != nil {
				return err
			}
			if _, _, err := Apply(tx, s, []Move{{Message: m, To: Sending}}); err != nil {
				return err
			}
			_, err = Settle(tx, []Result{{Message: m.ID, Attempt: 1, To: Delivered}})
			return err
		}},
	} {
		err := w.Write(t.Context(), c.fn)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	w.write(t, func(tx *store.Tx) error { // nothing of it remains
		got, err := Tallies(tx)
		if len(got) > 0 {
			t.Errorf("tallies %v", got)
		}
		return err
	})
}

// A server that gives every message the same id spoils nothing: statuses find
// their message by our callback id, and whoever asks by Meta's knows the person.
func TestOneWamidForSeveralMessages(t *testing.T) {
	w := newWorld(t)
	w.know(t, 1, 2, 3)
	var s Stream
	var ids []int64
	w.write(t, func(tx *store.Tx) (err error) {
		if s, err = OpenStream(tx, sale(7)); err != nil {
			return err
		}
		ids, _, err = Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}, {Contact: 2, To: phoneOf(2)}, {Contact: 3, To: phoneOf(3)}})
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, _, err := ByID(tx, id)
			if err != nil {
				return err
			}
			if _, _, err := Apply(tx, s, []Move{{Message: m, To: Sending}}); err != nil {
				return err
			}
		}
		return nil
	})
	w.write(t, func(tx *store.Tx) error {
		_, err := Settle(tx, []Result{{Message: ids[0], Attempt: 1, To: Accepted, Wamid: "wamid.same", At: start},
			{Message: ids[1], Attempt: 1, To: Accepted, Wamid: "wamid.same", At: start}})
		if err != nil {
			return err
		}
		for _, id := range ids { // also one whose answer never came
			if _, found, err := Observe(tx, Observation{Message: id, Attempt: 1, Wamid: "wamid.same", Status: "delivered", At: start}); err != nil || !found {
				return fmt.Errorf("status of %d: %v %w", id, found, err)
			}
		}
		if _, err := Settle(tx, []Result{{Message: ids[2], Attempt: 1, To: Accepted, Wamid: "wamid.same", At: start}}); err != nil {
			return err
		}
		for i, id := range ids {
			m, _, err := ByID(tx, id)
			if err != nil {
				return err
			}
			if m.State != Delivered || m.AcceptedAt == 0 || m.Wamid != "wamid.same" {
				t.Errorf("message %d: %s, accepted at %d, wamid %q", i, m.State, m.AcceptedAt, m.Wamid)
			}
			if got, _, err := ByWamid(tx, "wamid.same", m.Contact); err != nil || got.ID != id {
				t.Errorf("message %d is not found among those of its person, but %d: %v", id, got.ID, err)
			}
		}
		return nil
	})
}

// A lane hears of what became claimable, and only of that.
func TestWakes(t *testing.T) {
	w := newWorld(t)
	marketing, utility := w.Wakes(Topic(whatsapp.LaneMarketing)), w.Wakes(Topic(whatsapp.LaneUtility))
	var s Stream
	var ids []int64
	claim := func(tx *store.Tx) error {
		m, _, err := ByID(tx, ids[0])
		if err != nil {
			return err
		}
		_, _, err = Apply(tx, s, []Move{{Message: m, To: Sending}})
		return err
	}
	for _, c := range []struct {
		name string
		fn   func(*store.Tx) error
		want bool
	}{
		{"a stream is made", func(tx *store.Tx) (err error) { s, err = OpenStream(tx, sale(7)); return err }, false},
		{"messages are queued", func(tx *store.Tx) (err error) {
			ids, _, err = Enqueue(tx, s, []New{{Contact: 1, To: phoneOf(1)}})
			return err
		}, true},
		{"one is claimed", claim, false},
		{"it goes back", func(tx *store.Tx) error {
			_, err := Settle(tx, []Result{{Message: ids[0], Attempt: 1, To: Queued, Unused: true}})
			return err
		}, true},
		{"it is claimed again", claim, false},
		{"it is accepted", func(tx *store.Tx) error {
			_, err := Settle(tx, []Result{{Message: ids[0], Attempt: 1, To: Accepted, At: start}})
			return err
		}, false},
	} {
		w.write(t, c.fn)
		woken := false
		select {
		case <-marketing:
			woken = true
		case <-utility:
			t.Errorf("%s: another lane was woken", c.name)
		default:
		}
		if woken != c.want {
			t.Errorf("%s: woken is %v", c.name, woken)
		}
	}
}
