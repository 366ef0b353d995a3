package campaigns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A file is handed out once for each of its versions, never before it was quiet
// for the whole time, and removals are told once. The model looks at the same
// folder and knows when each file was last touched.
func TestWatcherAgainstAModel(t *testing.T) {
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(top, time.Duration(n).String())
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		const stable = 3
		w := newWatcher(dir, stable*time.Second)
		type file struct {
			touched, seen int // second of the change, and of the look that saw it first
			version       int
			offered       int // version
			there, known  bool
		}
		names := []string{"a.toml", "b.toml", "c.toml"}
		model := map[string]*file{}
		for _, name := range names {
			model[name] = &file{}
		}
		var emptied bool
		for now := 1; now < 20; now++ {
			for _, name := range names {
				f := model[name]
				path := filepath.Join(dir, name)
				switch rapid.IntRange(0, 9).Draw(t, "what") {
				case 0, 1:
					f.version++
					f.there, f.touched, f.seen = true, now, 0
					// Its own inode each time, as an editor saves.
					if err := errors.Join(os.WriteFile(path+".tmp", make([]byte, f.version), 0o644), os.Rename(path+".tmp", path)); err != nil {
						t.Fatal(err)
					}
				case 2:
					if f.there {
						f.there = false
						if err := os.Remove(path); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			s, err := w.look(time.Unix(int64(now), 0))
			known, there := 0, 0
			for _, f := range model {
				if f.known {
					known++
				}
				if f.there {
					there++
				}
			}
			emptied = there == 0 && known > 1
			if emptied != errors.Is(err, errEmptied) {
				t.Fatalf("second %d: error %v with %d of %d files there", now, err, there, known)
			}
			if emptied {
				continue
			}
			var ready, removed []string
			for _, name := range names {
				f := model[name]
				if f.known && !f.there {
					removed = append(removed, name)
					f.offered = 0
				}
				if f.there && !f.known {
					f.seen = 0
				}
				if f.there && f.seen == 0 {
					f.seen = now
				}
				f.known = f.there
				if f.there && f.offered != f.version && now-f.seen >= stable {
					ready = append(ready, name)
					f.offered = f.version
				}
			}
			base := func(list []drop) (out []string) {
				for _, d := range list {
					out = append(out, filepath.Base(d.Path))
				}
				return out
			}
			if got := base(s.Ready); !slices.Equal(got, ready) {
				t.Fatalf("second %d: ready %v, want %v", now, got, ready)
			}
			if got := base(s.Removed); !slices.Equal(got, removed) {
				t.Fatalf("second %d: removed %v, want %v", now, got, removed)
			}
		}
	})
}

func TestLeftovers(t *testing.T) {
	for name, want := range map[string]bool{"a.toml": false, "a.toml~": true, ".a.toml.swp": true, "#a.toml#": true, "a.toml.part": true, "a.csv": false, ".hidden": true, "a.toml.filepart": true} {
		if leftover(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
