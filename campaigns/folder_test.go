package campaigns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDroppedFileIsTaken(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 5)
		w.run()
		w.put("natal.csv", people(1, 5))
		w.put("natal.toml", oneOff("natal", "2026-11-20T10:01:00", "", ""))
		w.pass(1900 * time.Millisecond)
		equal(t, "state before it is quiet", w.campaign("natal").State, "")
		w.pass(2 * time.Second)
		equal(t, "state", w.campaign("natal").State, Active)
		w.pass(time.Minute)
		equal(t, "sent", w.send(), 5)
		w.pass(3 * time.Second)
		equal(t, "state after the run", w.campaign("natal").State, Finished)
		status, err := os.ReadFile(filepath.Join(w.cfg.Status, "natal", "status.json"))
		if err != nil || !strings.Contains(string(status), `"accepted": 5`) {
			t.Errorf("status.json: %v\n%s", err, status)
		}
		report, err := os.ReadFile(filepath.Join(w.cfg.Status, "natal", "report.csv"))
		if err != nil || strings.Count(string(report), ";accepted;;;") != 5 {
			t.Errorf("report.csv: %v\n%s", err, report)
		}
	})
}

// A copy that grows, also with pauses shorter than the quiet time, is taken
// whole; also where the audience lies in a folder below.
func TestSlowCopyIsNeverTakenHalf(t *testing.T) {
	for _, name := range []string{"lenta.csv", "abaixo/lenta.csv"} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.consent("marketing", 1, 40)
			w.run()
			all := people(1, 40)
			w.put("lenta.toml", strings.Replace(oneOff("lenta", "2026-11-20T10:02:00", "", ""), `"lenta.csv"`, `"`+name+`"`, 1))
			for i := 1; i <= 40; i++ {
				w.put(name, all[:len(all)*i/40])
				w.pass(1500 * time.Millisecond)
			}
			equal(t, "state while it grows", w.campaign("lenta").State, "")
			w.pass(5 * time.Second)
			equal(t, "state", w.campaign("lenta").State, Active)
			w.pass(2 * time.Minute)
			equal(t, "sent", w.send(), 40)
		})
	}
}

func TestCronFileIsNeverReadHalf(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 30)
		w.run()
		all := people(1, 30)
		// The files' times are the machine's, which the bubble does not know.
		clock := func() {
			if err := os.Chtimes(w.path("diaria-2026-11-20.csv"), time.Now(), time.Now()); err != nil {
				t.Error(err)
			}
		}
		w.put("diaria.toml", strings.Replace(series("diaria", "2 10 * * *", "", ""), "diaria.csv", "diaria-{{date}}.csv", 1))
		w.pass(119 * time.Second)
		for i := 1; i <= 30; i++ { // over the minute in which it fires
			w.put("diaria-2026-11-20.csv", all[:len(all)*i/30])
			clock()
			w.pass(time.Second)
		}
		equal(t, "rows while it grows", w.runs("diaria")[0].Rows, 0)
		w.pass(10 * time.Second)
		equal(t, "sent", w.send(), 30)
	})
}

func TestRenamedIntoPlaceAndEditorSave(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		w.put("r.csv", people(1, 2))
		w.put(".r.toml.part", oneOff("r", "2026-11-25T10:00:00", "", ""))
		w.pass(10 * time.Second)
		equal(t, "state of a partial file", w.campaign("r").State, "")
		if err := os.Rename(w.path(".r.toml.part"), w.path("r.toml")); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		first := w.campaign("r")
		equal(t, "state", first.State, Active)

		// An editor writes a copy, moves the old file away and the new one in.
		w.put("r.toml~", "half a")
		w.put(".r.toml.swp", "half a")
		w.put("r.toml.new.tmp", oneOff("r", "2026-11-26T10:00:00", "", ""))
		if err := os.Rename(w.path("r.toml.new.tmp"), w.path("r.toml")); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		second := w.campaign("r")
		if second.Current == first.Current || second.State != Active {
			t.Errorf("after the editor saved: %+v, before %+v", second, first)
		}
		equal(t, "refusals", w.logged("campaign refused"), 0)
		equal(t, "pauses", w.logged("paused"), 0)
	})
}

func TestTwoFilesOneID(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		text := oneOff("dois", "2026-11-25T10:00:00", "", "")
		w.put("dois.csv", people(1, 2))
		w.put("dois.toml", text)
		w.put("dois/campaign.toml", text)
		w.put("dois/dois.csv", people(1, 2))
		w.put("outra.csv", people(1, 2))
		w.put("outra.toml", oneOff("outra", "2026-11-25T10:00:00", "", ""))
		w.pass(5 * time.Second)
		equal(t, "state of the twins", w.campaign("dois").State, "")
		equal(t, "state of the other", w.campaign("outra").State, Active)
		faults, err := os.ReadFile(filepath.Join(w.cfg.Status, "dois", "faults.json"))
		if err != nil || !strings.Contains(string(faults), "is also that of") {
			t.Errorf("faults.json: %v\n%s", err, faults)
		}
		w.remove("dois/campaign.toml")
		w.pass(5 * time.Second)
		equal(t, "state once one is gone", w.campaign("dois").State, Active)
		if _, err := os.Stat(filepath.Join(w.cfg.Status, "dois", "faults.json")); err == nil {
			t.Error("the faults still stand")
		}
	})
}

func TestFaultyFileDisturbsNoOther(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.run()
		w.put("boa.csv", people(1, 3))
		w.put("boa.toml", oneOff("boa", "2026-11-20T10:05:00", "", ""))
		w.pass(5 * time.Second)
		before := w.campaign("boa")
		for name, text := range map[string]string{
			"a.toml": "id = \"a\"\n[template\n", "b.toml": strings.Repeat("x", maxDefinition+1), "c.toml": "\xff\xfe\x00",
			"d.toml": oneOff("d", "2026-11-25T10:00:00", "colour = 1", ""), "boa.yaml": "id: boa",
		} {
			w.put(name, text)
		}
		if err := os.Symlink("/dev/zero", w.path("e.toml")); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		// Its own file becomes faulty: what is in force goes on.
		w.put("boa.toml", "id = 'boa'\nwhat = 1\n")
		w.pass(5 * time.Second)
		equal(t, "current", w.campaign("boa").Current, before.Current)
		equal(t, "state", w.campaign("boa").State, Active)
		w.pass(5 * time.Minute)
		equal(t, "sent", w.send(), 3)
		for _, id := range []string{"a", "b", "c", "d", "boa"} {
			if _, err := os.Stat(filepath.Join(w.cfg.Status, id, "faults.json")); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRemovalPausesAndReturnResumes(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.run()
		for _, id := range []string{"vai", "fica"} {
			w.put(id+".csv", people(1, 3))
			w.put(id+".toml", oneOff(id, "2026-11-20T10:01:00", "", ""))
		}
		w.pass(90 * time.Second) // fired; nothing has left
		text, err := os.ReadFile(w.path("vai.toml"))
		if err != nil {
			t.Fatal(err)
		}
		w.remove("vai.toml")
		w.pass(2 * time.Second)
		equal(t, "state", w.campaign("vai").State+" "+w.campaign("vai").Reason, "paused file_removed")
		equal(t, "sent while one is paused", w.send(), 3)
		w.put("vai.toml", string(text))
		w.pass(5 * time.Second)
		equal(t, "state", w.campaign("vai").State, Active)
		equal(t, "sent after its return", w.send(), 3)

		// A pause by an operator outlives the file's return.
		w.put("op.csv", people(1, 3))
		w.put("op.toml", oneOff("op", "2026-11-25T10:00:00", "", ""))
		w.pass(5 * time.Second)
		if err := w.c.Pause(t.Context(), "op", "ana", "wait"); err != nil {
			t.Fatal(err)
		}
		text, _ = os.ReadFile(w.path("op.toml"))
		w.remove("op.toml")
		w.pass(2 * time.Second)
		w.put("op.toml", string(text))
		w.pass(5 * time.Second)
		equal(t, "state of one paused by hand", w.campaign("op").State+" "+w.campaign("op").Reason, "paused wait")
	})
}

func TestRemovedWhileTheDaemonStoodStill(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		for _, id := range []string{"a", "b"} {
			w.put(id+".csv", people(1, 2))
			w.put(id+".toml", oneOff(id, "2026-11-25T10:00:00", "", ""))
		}
		w.pass(5 * time.Second)
		w.crash()
		w.remove("a.toml")
		w.run()
		w.pass(5 * time.Second)
		equal(t, "state of a", w.campaign("a").State, Paused)
		equal(t, "state of b", w.campaign("b").State, Active)
	})
}

func TestEmptiedOrMissingFolderChangesNothing(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		for _, id := range []string{"a", "b", "c"} {
			w.put(id+".csv", people(1, 2))
			w.put(id+".toml", oneOff(id, "2026-11-25T10:00:00", "", ""))
		}
		w.pass(5 * time.Second)
		away := w.cfg.Folder + ".away"
		same := func(when string) {
			t.Helper()
			for _, id := range []string{"a", "b", "c"} {
				equal(t, "state of "+id+" "+when, w.campaign(id).State, Active)
			}
			if a := w.c.Alerts(); len(a) != 1 || a[0].About != "folder" {
				t.Errorf("alerts %s: %v", when, a)
			}
		}
		if err := os.Rename(w.cfg.Folder, away); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		same("while the folder is missing")
		if err := os.Mkdir(w.cfg.Folder, 0o755); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		same("while another folder is there, empty")
		w.crash()
		w.run()
		w.pass(time.Minute)
		same("after a restart on the empty folder")
		if err := os.Remove(w.cfg.Folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(away, w.cfg.Folder); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		if a := w.c.Alerts(); len(a) != 0 {
			t.Errorf("alerts after its return: %v", a)
		}
		for _, id := range []string{"a", "b", "c"} {
			w.remove(id + ".toml")
		}
		w.pass(time.Minute)
		same("after all were removed at once")
	})
}

func TestStopFile(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("marketing", 1, 3)
		w.consent("utility", 1, 3)
		w.run()
		w.put("m.csv", people(1, 3))
		w.put("m.toml", oneOff("m", "2026-11-20T10:01:00", "", ""))
		w.put("u.csv", people(1, 3))
		w.put("u.toml", series("u", "1 10 * * *", "", ""))
		w.put("STOP", "")
		w.pass(2 * time.Minute)
		if diff := cmp.Diff([]string{"category marketing stop_file"}, w.holds()); diff != "" {
			t.Error(diff)
		}
		equal(t, "sent while STOP lies there", w.send(), 3) // utility
		w.crash()                                           // the hold outlives the process
		equal(t, "sent before the folder was looked at", w.send(), 0)
		w.run()
		w.pass(time.Second)
		if a := w.c.Alerts(); len(a) != 1 || a[0].About != "STOP" {
			t.Errorf("alerts: %v", a)
		}
		w.remove("STOP")
		w.pass(time.Second)
		equal(t, "holds", len(w.holds()), 0)
		equal(t, "sent after", w.send(), 3)
	})
}

func TestEditAfterStartWaits(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.consent("utility", 1, 9)
		w.run()
		w.put("c.csv", people(1, 3))
		first := series("c", "*/2 10 * * *", "", "")
		w.put("c.toml", first)
		w.pass(125 * time.Second) // the run of 10:02 is under way, its recipients are frozen
		before := w.campaign("c")
		w.put("c.csv", people(4, 9))
		second := series("c", "*/2 10 * * *", "", "[throttle]\nper_second = 5\n")
		w.put("c.toml", second)
		w.pass(10 * time.Second)
		camp := w.campaign("c")
		if camp.Current != before.Current || camp.Next == 0 {
			t.Fatalf("the edit did not wait: %+v", camp)
		}
		// Taken back, and made again.
		w.put("c.toml", first)
		w.pass(5 * time.Second)
		equal(t, "next after it was taken back", w.campaign("c").Next, 0)
		w.put("c.toml", second)
		w.pass(5 * time.Second)
		equal(t, "next after it was made again", w.campaign("c").Next, camp.Next)
		w.pass(4 * time.Minute)
		equal(t, "runs while the new revision waits", len(w.runs("c")), 1)
		equal(t, "sent of the first run", w.send(), 3)
		equal(t, "current after the run", w.campaign("c").Current, camp.Next)
		w.pass(2 * time.Minute) // and what was missed meanwhile
		runs := w.runs("c")
		equal(t, "sent of the later runs", w.send(), 6*(len(runs)-1))
		for _, r := range runs[:len(runs)-1] {
			equal(t, "revision of a later run", r.Revision, camp.Next)
		}
	})
}
