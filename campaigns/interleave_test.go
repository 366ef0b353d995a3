package campaigns

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/store"
)

var getSent = store.SQL(`SELECT s.campaign_id || ' ' || m.address || ' ' || m.state FROM streams s JOIN messages m ON m.stream_id = s.id WHERE s.run_id > 0 ORDER BY 1`)

// dropper brings one campaign into the folder, in its own way and time.
type dropper struct {
	w          *world
	r          *rand.Rand
	id         string
	definition string
	audience   string
}

// ways are how definitions come: by people, editors, copying programs.
var ways = map[string]func(d *dropper){
	"audience first":   func(d *dropper) { d.write(".csv", d.audience); d.pause(0, 5000); d.write(".toml", d.definition) },
	"audience last":    func(d *dropper) { d.write(".toml", d.definition); d.pause(0, 5000); d.write(".csv", d.audience) },
	"audience grows":   func(d *dropper) { d.write(".toml", d.definition); d.grow(".csv", d.audience) },
	"definition grows": func(d *dropper) { d.write(".csv", d.audience); d.grow(".toml", d.definition) },
	"both grow":        func(d *dropper) { d.grow(".csv", d.audience); d.grow(".toml", d.definition) },
	"renamed into place": func(d *dropper) {
		d.write(".csv.part", d.audience)
		d.write(".toml.part", d.definition)
		d.pause(0, 5000)
		d.rename(".csv.part", ".csv")
		d.pause(0, 3000)
		d.rename(".toml.part", ".toml")
	},
	"saved again by an editor": func(d *dropper) {
		d.write(".csv", d.audience)
		d.write(".toml", d.definition)
		for range 3 {
			d.pause(100, 6000)
			d.write(".toml~", d.definition)
			d.write(".toml.tmp", d.definition)
			d.rename(".toml.tmp", ".toml")
		}
	},
	"audience saved again": func(d *dropper) {
		d.write(".csv", d.audience)
		d.write(".toml", d.definition)
		for range 3 {
			d.pause(100, 6000)
			d.write(".csv", d.audience)
		}
	},
	"taken away and brought back": func(d *dropper) {
		d.write(".csv", d.audience)
		d.write(".toml", d.definition)
		d.pause(100, 8000)
		d.rename(".toml", ".toml.bak")
		d.pause(100, 8000)
		d.rename(".toml.bak", ".toml")
	},
	"a folder of its own": func(d *dropper) {
		d.folder(".folder.part")
		d.pause(0, 3000)
		d.rename(".folder.part", "")
	},
	"a folder that fills": func(d *dropper) { d.folder("") },
	"copied under another name": func(d *dropper) {
		d.write(".csv", d.audience)
		d.write(".toml", d.definition)
		d.pause(100, 6000)
		d.write("-copia.toml", d.definition)
	},
}

func (d *dropper) path(end string) string { return d.w.path(d.id + end) }

func (d *dropper) pause(from, to int) {
	time.Sleep(time.Duration(from+d.r.IntN(to-from+1)) * time.Millisecond)
}

func (d *dropper) check(err error) {
	if err != nil {
		d.w.t.Error(err)
	}
}

func (d *dropper) write(end, text string) { d.check(os.WriteFile(d.path(end), []byte(text), 0o644)) }

func (d *dropper) rename(from, to string) { d.check(os.Rename(d.path(from), d.path(to))) }

// grow writes piece by piece, with pauses shorter than the time after which a
// file counts as whole.
func (d *dropper) grow(end, text string) {
	for at := 0; at < len(text); {
		at = min(len(text), at+1+d.r.IntN(1+len(text)/3))
		d.write(end, text[:at])
		if at < len(text) {
			d.pause(0, 1400)
		}
	}
}

func (d *dropper) folder(end string) {
	dir := d.path(end)
	d.check(os.MkdirAll(dir, 0o755))
	files := map[string]string{"campaign.toml": d.definition, d.id + ".csv": d.audience}
	for _, name := range []string{"campaign.toml", d.id + ".csv"} {
		d.check(os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644))
		d.pause(0, 1400)
	}
}

// Forty campaigns come at once, each in a way and at a pace of its own, and the
// daemon may be killed in the middle: each is sent once, to all of its people and
// nobody else. INTERLEAVINGS=1000 for more of them.
func TestDropsInInterleavings(t *testing.T) {
	const together = 40
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("INTERLEAVINGS")); err == nil {
		rounds = (n + together - 1) / together
	}
	if testing.Short() {
		rounds = 1
	}
	var names []string
	for name := range ways {
		names = append(names, name)
	}
	slices.Sort(names)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d campaigns", seed, rounds*together)
	for round := range rounds {
		inWorld(t, nil, func(t *testing.T, w *world) {
			r := rand.New(rand.NewPCG(seed, uint64(round)))
			w.consent("marketing", 1, 8*together)
			w.run()
			var want []string
			var drops sync.WaitGroup
			var told []string
			for i := range together {
				id := fmt.Sprintf("c%02d", i)
				first, last := 8*i+1, 8*i+1+r.IntN(8)
				for p := first; p <= last; p++ {
					want = append(want, fmt.Sprintf("%s %s accepted", id, testPhone(p)))
				}
				definition := oneOff(id, "2026-11-20T10:02:00", "", "")
				if r.IntN(2) == 0 { // it is due already, and begins as soon as it is taken
					definition = oneOff(id, "2026-11-20T09:55:00", "", "[missed]\npolicy = \"run_once\"\nmax_lateness = \"1h\"\n")
				}
				way := names[r.IntN(len(names))]
				d := &dropper{w: w, r: rand.New(rand.NewPCG(r.Uint64(), 1)), id: id, definition: definition, audience: people(first, last)}
				told = append(told, id+": "+way)
				drops.Go(func() { d.pause(0, 20_000); ways[way](d) })
			}
			if r.IntN(2) == 0 {
				w.pass(time.Duration(1000+r.IntN(40_000)) * time.Millisecond)
				w.crash()
				w.run()
				told = append(told, "the daemon was killed")
			}
			drops.Wait()
			time.Sleep(time.Until(worldStart.Add(3 * time.Minute)))
			synctest.Wait()
			for range 3 {
				w.send()
				w.pass(10 * time.Second)
			}
			if diff := cmp.Diff(want, w.list(getSent)); diff != "" {
				t.Errorf("round %d (-should have been sent +was):\n%s\n%v", round, diff, told)
			}
		})
	}
}
