package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// writers are people who write SAIR all the time, and note whose callback was
// answered with 200: from then on it must never be lost.
type writers struct {
	w      *world
	mu     sync.Mutex
	taken  map[string]bool
	posted int
	refuse int // answered otherwise, and posted again until they were taken
	end    context.CancelFunc
	wg     sync.WaitGroup
}

// write lets people write, each posting until it is taken.
func (w *world) write(side int, pause time.Duration) *writers {
	ctx, end := context.WithCancel(context.Background())
	ws := &writers{w: w, taken: map[string]bool{}, end: end}
	client := &http.Client{Timeout: 5 * time.Second}
	for range side {
		ws.wg.Go(func() {
			for ctx.Err() == nil {
				ws.mu.Lock()
				phone := fmt.Sprintf("+55119002%05d", ws.posted)
				ws.posted++
				ws.mu.Unlock()
				for ctx.Err() == nil {
					if w.says(client, phone) {
						ws.mu.Lock()
						ws.taken[phone] = true
						ws.mu.Unlock()
						break
					}
					ws.mu.Lock()
					ws.refuse++
					ws.mu.Unlock()
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(pause)
			}
		})
	}
	w.t.Cleanup(ws.stop)
	return ws
}

// stop lets nobody begin to write any more, and waits for the last answers.
func (ws *writers) stop() {
	ws.end()
	ws.wg.Wait()
}

func (ws *writers) count() (taken, refused int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.taken), ws.refuse
}

// lost counts whose callback was answered with 200 and is not on this disk.
func (ws *writers) lost(r *remains) (n int) {
	there := map[string]bool{}
	rows, err := r.db.Query("SELECT CAST(body AS TEXT) FROM callbacks WHERE CAST(body AS TEXT) LIKE '%SAIR%'")
	if err != nil {
		ws.w.t.Errorf("callbacks: %v", err)
		return 0
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			ws.w.t.Error(err)
		}
		_, from, _ := strings.Cut(body, `"from":"`)
		from, _, _ = strings.Cut(from, `"`)
		there["+"+from] = true
	}
	if err := rows.Err(); err != nil {
		ws.w.t.Error(err)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for phone := range ws.taken {
		if !there[phone] {
			n++
		}
	}
	return n
}

var sqlFacts = store.SQL(`SELECT id, sent_at, delivered_at, read_at FROM messages`)

type factsRow struct{ ID, Sent, Delivered, Read int64 }

// Fields names the places of sqlFacts.
func (r *factsRow) Fields() []any { return []any{&r.ID, &r.Sent, &r.Delivered, &r.Read} }

// forgotten counts the statuses that were answered with 200 and are not in the
// ledger.
func (w *world) forgotten() (n int) {
	w.t.Helper()
	db := w.openStore()
	defer db.Close()
	facts := map[int64]factsRow{}
	err := db.Read(w.t.Context(), func(q *store.Snap) error {
		return store.Each(q, sqlFacts, func(r *factsRow) error { facts[r.ID] = *r; return nil })
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sandbox.Each(func(s sandbox.Send) bool {
		id, _ := whatsapp.ParseCallbackID(s.Key)
		f := facts[id.Message]
		switch outbox.State(s.State) {
		case outbox.Read:
			if f.Read == 0 {
				n++
			}
		case outbox.Delivered:
			if f.Delivered+f.Read == 0 {
				n++
			}
		case outbox.Sent:
			if f.Sent+f.Delivered+f.Read == 0 {
				n++
			}
		}
		return true
	})
	return n
}

// The power is cut at random moments while a campaign goes out and people write
// SAIR: only what was synced is there afterwards, and of the rest any sectors.
// Whatever was answered with 200 is there, and nobody gets a message twice.
func TestTorturePowerCuts(t *testing.T) {
	skipShort(t)
	t.Parallel()
	rounds, cuts := size("CUT_ROUNDS", 1, 25), size("CUTS", 8, 20)
	line := begin("power cut")
	cut, taken, forgotten := 0, 0, 0
	for range rounds {
		p := powerRound(t, cuts, "")
		p.verdict.must(t)
		line.verdict.add(p.verdict)
		cut += p.deaths.kills
		taken += p.taken
		forgotten += p.forgotten
		if p.lost+p.forgotten > 0 {
			t.Errorf("%d callbacks and %d statuses were answered with 200, and then they were lost", p.lost, p.forgotten)
		}
		if t.Failed() {
			break
		}
	}
	line.done = fmt.Sprintf("%d cuts; what was not synced is gone, or any sectors of it", cut)
	line.figure("callbacks answered 200: %d, of them lost: 0", taken)
	line.tell(t)
}

// The torture finds what it is there to find: with synchronous=NORMAL, which
// SQLite's driver sets unless it is told otherwise, what was answered is lost.
func TestTortureFindsNormal(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("control: synchronous=NORMAL")
	p := powerRound(t, size("CONTROL_CUTS", 4, 20), "NORMAL")
	if p.lost == 0 || p.deaths.unmarked == 0 {
		t.Errorf("with synchronous=NORMAL %d cuts lost %d of %d callbacks, and %d marks: the torture sees nothing", p.deaths.kills, p.lost, p.taken, p.deaths.unmarked)
	}
	line.verdict, line.done = p.verdict, fmt.Sprintf("%d cuts, with a setting that only a test can make", p.deaths.kills)
	line.figure("must lose: of %d callbacks answered 200 it lost %d; arrived and not marked: %d", p.taken, p.lost, p.deaths.unmarked)
	line.tell(t)
}

// power is what a round of cuts came to.
type power struct {
	verdict                verdict
	deaths                 deaths
	taken, lost, forgotten int
}

// powerRound cuts the power so many times. synchronous is the setting of a
// control that must lose; then nothing is required.
func powerRound(t *testing.T, cuts int, synchronous string) (p power) {
	most := size("CUT_LIFE", 40, 200)
	w := newWorld(t, cuts*most, misbehaving())
	p.deaths.lenient = synchronous != ""
	if synchronous != "" {
		w.binary = program(t, "failpoint")
		w.env = append(w.env, "FAILPOINTS_SYNCHRONOUS="+synchronous, "FAILPOINTS_SYNCHRONOUS_IS=1")
	}
	d := newDisk(t, w, true)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	ws := w.write(4, 2*time.Millisecond)
	for range cuts {
		before, _ := ws.count()
		cmd := w.start()
		if !w.sends(w.sandbox.Count()+1+random.IntN(most), 20*time.Second) && synchronous == "" {
			t.Errorf("it sends nothing after a cut\n%s", w.logs.String())
		}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if n, _ := ws.count(); n > before+3 {
				break
			}
		}
		time.Sleep(time.Duration(random.IntN(15)) * time.Millisecond)
		w.kill(cmd)
		time.Sleep(5 * time.Millisecond) // answers that are on their way to who asked
		d.cut(random)
		p.deaths.after(w)
		r := w.remains()
		p.lost += ws.lost(r)
		r.close()
		if t.Failed() || synchronous != "" && p.lost > 0 && p.deaths.unmarked > 0 {
			break
		}
	}
	cmd := w.start()
	if synchronous != "" {
		_, _ = w.settles(2 * time.Second)
		ws.stop()
		w.kill(cmd)
		p.taken, _ = ws.count()
		p.verdict = w.compare()
		return p
	}
	ws.stop()
	w.settle()
	w.stop(cmd)
	p.taken, _ = ws.count()
	r := w.remains()
	p.lost += ws.lost(r)
	r.close()
	p.verdict = w.compare()
	p.deaths.tell(w, &p.verdict)
	p.forgotten = w.forgotten()
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
	return p
}
