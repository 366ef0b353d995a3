package crashtest

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// disk is a disk that breaks, under the database of a world: testdata/disk.c,
// loaded into the daemon.
type disk struct {
	w       *world
	dir     string // of the shadows
	control []byte
}

// The calls that can be made to fail, as testdata/disk.c numbers them.
const (
	callOpen = 1 << iota
	callWrite
	callSync
	callTruncate
	callUnlink
)

// The places of struct control.
const (
	placeCalls = iota
	placeError
	placePermille
	placeNth
	placeKill
	placePassed
	placeFailed
	places
)

// newDisk puts the disk under a world. With shadows a power cut can be played.
func newDisk(t testing.TB, w *world, shadows bool) *disk {
	t.Helper()
	if runtime.GOOS != "linux" || narrow {
		t.Skip("NOT TESTED: the disk that breaks is made for 64-bit Linux (LD_PRELOAD)")
	}
	d := &disk{w: w, dir: filepath.Join(w.dir, "shadow")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	control := filepath.Join(w.dir, "disk.control")
	if err := os.WriteFile(control, make([]byte, 4*places), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(control, os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d.control, err = syscall.Mmap(int(f.Fd()), 0, 4*places, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(d.control) })
	db := filepath.Join(w.dir, "janela.db")
	w.env = append(w.env, "LD_PRELOAD="+preload(t), "DISK_FILES="+db, "DISK_CONTROL="+control)
	if shadows {
		w.env = append(w.env, "DISK_SHADOW="+filepath.Join(d.dir, "janela.db"))
	}
	d.shadow()
	return d
}

const narrow = unsafe.Sizeof(uintptr(0)) == 4

// preload compiles the library, once.
func preload(t testing.TB) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	path := filepath.Join(scratch, "disk.so")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cc, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := strings.Fields(string(cc))
	if _, err := exec.LookPath(compiler[0]); err != nil {
		t.Skipf("NOT TESTED: there is no C compiler (%s) to make the disk that breaks", compiler[0])
	}
	args := append(compiler[1:], "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, filepath.Join("testdata", "disk.c"), "-ldl", "-lpthread")
	if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", compiler[0], err, out)
	}
	return path
}

func (d *disk) set(place int, n uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&d.control[4*place])), n)
}

func (d *disk) get(place int) uint32 { return binary.NativeEndian.Uint32(d.control[4*place:]) }

// breaks lets calls fail from now on: so many of a thousand, or the nth.
func (d *disk) breaks(calls uint32, errno syscall.Errno, permille, nth uint32) {
	d.set(placeCalls, 0)
	d.set(placePassed, 0)
	d.set(placeFailed, 0)
	d.set(placeError, uint32(errno))
	d.set(placePermille, permille)
	d.set(placeNth, nth)
	d.set(placeCalls, calls)
}

// mends lets no call fail any more, and says how many did.
func (d *disk) mends() uint32 {
	d.set(placeCalls, 0)
	return d.get(placeFailed)
}

var onDisk = []string{"janela.db", "janela.db-wal"}

// shadow makes the shadows what the files are: the machine has just started.
func (d *disk) shadow() {
	for _, name := range onDisk {
		from, to := filepath.Join(d.w.dir, name), filepath.Join(d.dir, name)
		if err := copyFile(from, to); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(to)
		} else if err != nil {
			d.w.t.Fatal(err)
		}
	}
}

// cut ends the power: the process is dead, and of each file there is what was
// synced. Of the rest every sector may have reached the disk or not, in any
// order: sometimes none did, sometimes all, mostly some.
func (d *disk) cut(random *rand.Rand) {
	share := []float64{0, 0.5, 0.5, 1}[random.IntN(4)]
	for _, name := range onDisk {
		path := filepath.Join(d.w.dir, name)
		kept, err := os.ReadFile(filepath.Join(d.dir, name))
		gone := errors.Is(err, fs.ErrNotExist)
		if err != nil && !gone {
			d.w.t.Fatal(err)
		}
		lay, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.w.t.Fatal(err)
		}
		if gone && share < 1 { // it was never synced, or was removed
			_ = os.Remove(path)
			continue
		}
		if err := os.WriteFile(path, sectors(kept, lay, share, random), 0o600); err != nil {
			d.w.t.Fatal(err)
		}
	}
	_ = os.Remove(filepath.Join(d.w.dir, "janela.db-shm"))
	d.shadow()
}

// sectors returns what was synced, and of what was written since a share of the
// sectors that differ.
func sectors(kept, lay []byte, share float64, random *rand.Rand) []byte {
	const sector = 512
	out := append([]byte{}, kept...)
	for at := 0; at < len(lay); at += sector {
		piece := lay[at:min(at+sector, len(lay))]
		if at+len(piece) <= len(kept) && string(kept[at:at+len(piece)]) == string(piece) || random.Float64() >= share {
			continue
		}
		if need := at + len(piece); need > len(out) {
			out = append(out, make([]byte, need-len(out))...)
		}
		copy(out[at:], piece)
	}
	return out
}
