package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// scratch holds the programs that the tests build, once each.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "janela-crashtest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var programs struct {
	sync.Mutex
	built map[string]string
}

// program builds janela with some tags, and returns where it is.
func program(t testing.TB, tags string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if path, ok := programs.built[tags]; ok {
		return path
	}
	path := filepath.Join(scratch, "janela-"+tags)
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "janela/cmd/janela").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if programs.built == nil {
		programs.built = map[string]string{}
	}
	programs.built[tags] = path
	return path
}

// full says that everything is played at its full length, which takes hours.
func full() bool { return os.Getenv("TORTURE") == "full" }

// size is how often something is done: TORTURE_name in the environment, else
// small in every run of the tests, and much in full.
func size(name string, small, much int) int {
	if full() {
		small = much
	}
	return setting("TORTURE_"+name, small)
}

// row is a line of the table of figures.
type row struct {
	name    string // of the torture
	done    string // what was done, with its size
	verdict verdict
	figures []string
	began   time.Time
}

func begin(name string) *row { return &row{name: name, began: time.Now()} }

func (r *row) figure(format string, args ...any) {
	r.figures = append(r.figures, fmt.Sprintf(format, args...))
}

const tableHead = "| torture | what was done | messages | ok | lost | duplicated | unexpected | unknown: resolved / never sent / open | besides | took |\n|---|---|---|---|---|---|---|---|---|---|\n"

func (r *row) String() string {
	v := r.verdict
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %d / %d / %d | %s | %s |", r.name, r.done, v.messages, v.ok, v.lost, v.duplicated, v.unexpected,
		v.resolved, v.unsent, v.unproved, strings.Join(r.figures, "; "), time.Since(r.began).Round(time.Second))
}

var tables sync.Mutex

// tell shows the line, and adds it to the file that TORTURE_TABLE names.
func (r *row) tell(t testing.TB) {
	t.Helper()
	t.Log("\n" + tableHead + r.String())
	path := os.Getenv("TORTURE_TABLE")
	if path == "" || t.Failed() {
		return
	}
	tables.Lock()
	defer tables.Unlock()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := r.String() + "\n"
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		text = tableHead + text
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// skipShort skips what kills processes, in tests under the race detector.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("breaks processes for some seconds")
	}
}
