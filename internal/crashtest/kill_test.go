package crashtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/store"
)

// perSecond is what a number of the tests may send, and mostClaimed what can be
// under way at it, and unknown after a kill: twice the senders, where the rate
// allows as much in a tenth of a second.
const (
	perSecond   = 1300
	mostClaimed = 2 * senders
)

// deaths counts what kills left behind.
type deaths struct {
	kills, claimed, most, unmarked int
	seen                           int            // of the other side's ledger
	doubt                          map[int64]bool // messages that were unknown, or under way at a kill
	lenient                        bool           // a control: what is found is only counted
}

// after looks at what a killed process left on disk.
func (d *deaths) after(w *world) {
	w.t.Helper()
	r := w.remains()
	defer r.close()
	d.kills++
	d.claimed += r.sending
	d.most = max(d.most, r.sending)
	if r.sending > mostClaimed {
		w.t.Errorf("%d messages were under way at a kill, more than may be claimed (%d)", r.sending, mostClaimed)
	}
	n, to := r.unmarked(w, d.seen, d.lenient)
	d.unmarked += n
	d.seen = to
	if d.doubt == nil {
		d.doubt = map[int64]bool{}
	}
	maps.Copy(d.doubt, r.doubtful())
}

// tell ends a line of the table: what was in doubt, and what statuses told.
func (d *deaths) tell(w *world, v *verdict) {
	w.t.Helper()
	v.resolved = len(d.doubt)
	db := w.openStore()
	defer db.Close()
	err := db.Read(w.t.Context(), func(q *store.Snap) error {
		return store.Each(q, sqlStillUnknown, func(c *store.Col[int64]) error {
			if d.doubt[c.V] {
				v.resolved--
			}
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

var sqlStillUnknown = store.SQL(`SELECT id FROM messages WHERE state = 'unknown'`)

// The process is killed at random moments while a campaign goes out, callbacks
// come in, and about four answers in a hundred get lost. In the end everybody
// got the message once, or we say of whom we do not know it; and of those nobody
// got it, because whoever got it, a status has told.
func TestTortureKills(t *testing.T) {
	skipShort(t)
	t.Parallel()
	rounds, kills := size("ROUNDS", 1, 20), size("KILLS", 50, 50)
	line := begin("kill -9")
	var all deaths
	for range rounds {
		v, d := killRound(t, kills, false)
		v.must(t)
		line.verdict.add(v)
		all.kills += d.kills
		all.claimed += d.claimed
		all.most = max(all.most, d.most)
		all.unmarked += d.unmarked
		if t.Failed() {
			break
		}
	}
	line.done = fmt.Sprintf("%d kills, 2 %% resets and 2 %% errors 500 after the message was taken", all.kills)
	line.figure("arrived and not marked: %d", all.unmarked)
	line.figure("under way at a kill: %.1f on average, %d at most", float64(all.claimed)/float64(all.kills), all.most)
	line.tell(t)
}

// killRound plays a campaign through so many kills. requeue is the mistake that
// the torture is there to find: what was under way is queued again at a restart.
func killRound(t *testing.T, kills int, requeue bool) (verdict, deaths) {
	most := size("LIFE", 60, 400) // messages in a life
	profile := misbehaving()
	profile.AnswerLatency = sandbox.Span{Min: 20 * time.Millisecond, Max: 60 * time.Millisecond} // so that many are under way
	w := newWorld(t, kills*most*2/3, profile)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	w.faults()
	var d deaths
	for range kills {
		before := w.sandbox.Count()
		cmd := w.start()
		if random.IntN(5) == 0 { // whatever it does then: opening, migrating, rescuing
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		} else {
			w.sends(before+1+random.IntN(most), 3*time.Second)
			time.Sleep(time.Duration(random.IntN(15)) * time.Millisecond)
		}
		w.kill(cmd)
		d.after(w)
		if requeue {
			w.requeue()
		}
	}
	w.sandbox.RemoveFault(0)
	cmd := w.start()
	if requeue { // whoever writes behind the back of the program must not expect it to end well
		_, _ = w.settles(3 * time.Second)
		w.kill(cmd)
		return w.compare(), d
	}
	w.settle()
	w.stop(cmd)
	v := w.compare()
	if len(w.people) != v.messages {
		v.lost += len(w.people) - v.messages
		v.fault("%d of %d people have a message", v.messages, len(w.people))
	}
	d.tell(w, &v)
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
	return v, d
}

// The torture finds what it is there to find: with what was under way queued
// again at a restart, as job queues do, people get messages twice.
func TestTortureFindsRequeuing(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("control: queued again at a restart")
	v, d := killRound(t, size("CONTROL_KILLS", 6, 50), true)
	if v.duplicated == 0 {
		t.Errorf("%d kills with %d messages under way, all queued again, and nobody got one twice: the torture sees nothing", d.kills, d.claimed)
	}
	line.verdict, line.done = v, fmt.Sprintf("%d kills, each followed by what the program must never do", d.kills)
	line.figure("must find duplicates: found")
	line.tell(t)
}
