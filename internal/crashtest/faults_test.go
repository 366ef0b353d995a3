package crashtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"janela/internal/sandbox"
)

// feed keeps a campaign going: another one is dropped before the last has ended.
func (w *world) feed() {
	if w.sandbox.Count() > w.planned-200 {
		w.drop(500)
	}
}

// newPlayground is a world without a campaign of its own, at a moderate rate.
func newPlayground(t *testing.T, dir string, profile sandbox.Profile) *world {
	w := newWorldIn(t, dir, 1000, profile)
	if err := os.Remove(filepath.Join(w.dir, "campaigns.d", "natal.toml")); err != nil {
		t.Fatal(err)
	}
	return w
}

// flows waits until messages leave and callbacks are taken, and says how long
// that took.
func (w *world) flows(ws *writers) time.Duration {
	w.t.Helper()
	begun, sent := time.Now(), w.sandbox.Count()
	taken, _ := ws.count()
	for time.Since(begun) < 90*time.Second {
		w.feed()
		if n, _ := ws.count(); n > taken && w.sandbox.Count() > sent {
			return time.Since(begun)
		}
		time.Sleep(5 * time.Millisecond)
	}
	n, _ := ws.count()
	w.t.Errorf("it does not recover by itself: %d messages and %d callbacks in %v\n%s", w.sandbox.Count()-sent, n-taken, time.Since(begun), w.logs.String())
	return time.Since(begun)
}

// The disk fails under a running campaign, with callbacks coming in: no space,
// input/output errors, at writing, syncing, truncating, opening; now and then, at
// every call, and at the n-th. Nothing leaves that was not marked, nothing that
// was answered with 200 is lost, and it goes on by itself when the disk does.
func TestTortureDiskFaults(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("disk faults")
	w := newPlayground(t, t.TempDir(), misbehaving())
	d := newDisk(t, w, true)
	ws := w.write(4, 5*time.Millisecond)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	cmd := w.start()
	w.flows(ws)

	faults, failed, most, slowest := 0, uint32(0), 0, time.Duration(0)
	play := func(calls uint32, errno syscall.Errno, permille, nth uint32, long time.Duration) {
		t.Helper()
		before := w.sandbox.Count()
		_, refused := ws.count()
		d.breaks(calls, errno, permille, nth)
		for begun := time.Now(); time.Since(begun) < long && (nth == 0 || d.get(placePassed) < nth); time.Sleep(time.Millisecond) {
			w.feed()
		}
		if permille == 1000 && calls != callTruncate {
			settled := w.sandbox.Count()
			time.Sleep(100 * time.Millisecond)
			most = max(most, settled-before)
			if now := w.sandbox.Count(); now > before+mostClaimed {
				t.Errorf("with every call failing (%d, %v) %d messages left, more than were under way", calls, errno, now-before)
			}
			if _, now := ws.count(); now == refused {
				t.Errorf("with every call failing (%d, %v) no callback was refused", calls, errno)
			}
		}
		failed += d.mends()
		faults++
		slowest = max(slowest, w.flows(ws))
	}
	long := 300 * time.Millisecond
	if full() {
		long = 3 * time.Second
	}
	for range size("DISK_ROUNDS", 1, 20) {
		for _, calls := range []uint32{callWrite, callSync, callWrite | callSync | callTruncate | callOpen} {
			for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
				for _, permille := range []uint32{10, 50, 1000} {
					if permille == 10 && !full() {
						continue
					}
					play(calls, errno, permille, 0, long)
				}
			}
		}
		if t.Failed() {
			break
		}
	}
	highest := size("DISK_NTH", 10, 500)
	for n := range highest {
		errno := []syscall.Errno{syscall.ENOSPC, syscall.EIO}[n%2]
		play(callWrite|callSync|callTruncate|callOpen, errno, 0, uint32(n+1), 2*time.Second)
		if t.Failed() {
			break
		}
	}
	// And at last the power is cut, on a disk that has failed so often.
	w.kill(cmd)
	d.cut(random)
	var dead deaths
	dead.after(w)
	opens := w.badStarts(d)
	cmd = w.start()
	w.flows(ws)
	ws.stop()
	w.settle()
	w.stop(cmd)
	line.verdict = w.compare()
	line.verdict.must(t)
	r := w.remains()
	lost := ws.lost(r) + w.forgotten()
	r.close()
	if lost > 0 {
		t.Errorf("%d callbacks were answered with 200 and are lost", lost)
	}
	taken, refused := ws.count()
	line.done = fmt.Sprintf("%d faults: ENOSPC and EIO at write, fsync, ftruncate and open, 1, 5 and 100 %%, and at the n-th call for n to %d; %d starts with a call that fails", faults, highest, opens)
	line.figure("calls failed: %d; callbacks answered 200: %d, refused and posted again: %d, lost: %d", failed, taken, refused, lost)
	line.figure("left with every call failing: %d at most; recovered in %v at most", most, slowest.Round(10*time.Millisecond))
	line.tell(t)
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// badStarts lets the n-th call fail while the daemon starts: it says so and ends,
// or it starts all the same.
func (w *world) badStarts(d *disk) (n int) {
	w.t.Helper()
	for nth := 1; nth <= size("DISK_STARTS", 5, 100); nth++ {
		n++
		d.breaks(callOpen|callWrite|callSync, syscall.EIO, 0, uint32(nth*nth))
		p := w.run()
		for begun := time.Now(); !p.dead() && w.metrics(w.baseURL()) == "" && time.Since(begun) < time.Minute; time.Sleep(5 * time.Millisecond) {
		}
		if p.dead() && (status(p.err) != 1 && status(p.err) != 2 || !strings.Contains(w.logs.String(), "I/O error") && !strings.Contains(w.logs.String(), "unable to open")) {
			w.t.Errorf("with call %d failing the start ended with %v\n%s", nth*nth, p.err, w.logs.String())
		}
		d.mends()
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return n
}

// smallDisk mounts a file system of its own. Where only a namespace of our own
// may do that, the test is played in one, and done is true.
func smallDisk(t *testing.T, size string) (dir string, done bool) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount: %v", err)
			}
		})
		return dir, false
	}
	if os.Getenv("TORTURE_INSIDE") != "" {
		t.Skipf("NOT TESTED: a small file system cannot be mounted, not even in a namespace: %v", err)
	}
	if err := exec.Command("unshare", "-Urm", "true").Run(); err != nil {
		t.Skipf("NOT TESTED: a small file system cannot be mounted; run it as root, or allow user namespaces (unshare -Urm: %v)", err)
	}
	inside := exec.Command("unshare", "-Urm", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=0")
	inside.Env = append(os.Environ(), "TORTURE_INSIDE=1")
	out, err := inside.CombinedOutput()
	if t.Logf("in a namespace of its own:\n%s", out); err != nil {
		t.Errorf("in a namespace of its own: %v", err)
	}
	return "", true
}

// The disk is really full, under a running campaign with callbacks coming in:
// nothing leaves that was not marked, callbacks are answered 503 and posted again
// until they are taken, and it goes on by itself when there is space.
func TestTortureFullDisk(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("full disk")
	dir, done := smallDisk(t, "64m")
	if done {
		return
	}
	w := newPlayground(t, dir, misbehaving())
	ws := w.write(4, 5*time.Millisecond)
	cmd := w.start()
	w.flows(ws)
	times, most, slowest := size("FULL_DISKS", 2, 20), 0, time.Duration(0)
	var dead deaths
	for i := range times {
		for range 20 {
			w.feed()
			time.Sleep(10 * time.Millisecond)
		}
		before := w.sandbox.Count()
		ballast := fill(t, dir)
		_, refused := ws.count()
		for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // the log may hold what can be written over
			if _, now := ws.count(); now > refused+20 {
				break
			}
			if time.Since(begun) > time.Minute {
				t.Fatalf("with a full disk every callback is taken\n%s", w.logs.String())
			}
		}
		stands := w.sandbox.Count()
		time.Sleep(500 * time.Millisecond)
		if n := w.sandbox.Count() - stands; n > mostClaimed {
			t.Errorf("%d messages left while nothing could be marked", n)
		}
		most = max(most, w.sandbox.Count()-before)
		if i%2 == 1 { // and the process dies there
			w.kill(cmd)
			dead.after(w)
			p := w.run()
			time.Sleep(300 * time.Millisecond)
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if cmd = p.cmd; p.dead() || !p.lives() { // it may refuse to start on a full disk
				<-p.done
				cmd = w.start()
			}
			slowest = max(slowest, w.flows(ws))
			w.kill(cmd)
			w.watching.Wait()
			cmd = w.start()
			w.flows(ws)
			continue
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, w.flows(ws))
	}
	ws.stop()
	w.settle()
	w.kill(cmd)
	w.watching.Wait()
	dead.after(w)
	r := w.remains()
	lost := ws.lost(r) + w.forgotten()
	r.close()
	if lost > 0 {
		t.Errorf("%d callbacks were answered with 200 and are lost", lost)
	}
	line.verdict = w.compare()
	line.verdict.must(t)
	dead.tell(w, &line.verdict)
	taken, refused := ws.count()
	line.done = fmt.Sprintf("a disk of 64 MB, full %d times; every other time the process died of it too", times)
	line.figure("callbacks answered 200: %d, answered 503 and posted again: %d, lost: %d", taken, refused, lost)
	line.figure("recovered in %v at most", slowest.Round(10*time.Millisecond))
	line.tell(t)
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// lives says whether a process is there two seconds later.
func (p *process) lives() bool {
	select {
	case <-p.done:
		return false
	case <-time.After(2 * time.Second):
		return true
	}
}

// fill takes all the space there is.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err := f.Write(piece); err != nil {
			piece = piece[:len(piece)/2]
		}
	}
	return path
}
