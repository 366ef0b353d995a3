package crashtest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var failpointUse = regexp.MustCompile(`failpoint\.(Hit|Err)\("([^"]+)"\)`)

// failpoints are all places of the code at which a test can break it, and which
// of them can fail by themselves.
func failpoints(t *testing.T) map[string]bool {
	t.Helper()
	points := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			if d != nil && d.IsDir() && err == nil {
				return filepath.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range failpointUse.FindAllStringSubmatch(string(text), -1) {
			if _, twice := points[m[2]]; twice {
				t.Errorf("failpoint %s stands in the code twice", m[2])
			}
			points[m[2]] = m[1] == "Err"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(points) < 25 {
		t.Errorf("only %d failpoints", len(points))
	}
	return points
}

// A program built as usual holds nothing of the failpoints.
func TestFailpointsAreNotInTheProgram(t *testing.T) {
	skipShort(t)
	for tags, want := range map[string]bool{"": false, "failpoint": true} {
		text, err := os.ReadFile(program(t, tags))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"FAILPOINTS", "dispatch.claim.committed"} {
			if got := bytes.Contains(text, []byte(name)); got != want {
				t.Errorf("built with tags %q: %s is in it: %v", tags, name, got)
			}
		}
	}
}

// stage is a world in which everything happens that has a failpoint: campaigns
// are dropped, people ask for codes and write SAIR, and two systems listen.
type stage struct {
	*desk
	log     string // of the failpoints
	passed  map[string]bool
	asked   []asked
	heard   atomic.Int64
	uploads int
	deaths  deaths
}

func newStage(t *testing.T) *stage {
	s := &stage{passed: map[string]bool{}}
	listener := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.heard.Add(1)
	}))
	t.Cleanup(listener.Close)
	s.desk = newDesk(t, 1000)
	s.binary = program(t, "failpoint")
	s.log = filepath.Join(s.dir, "failpoints")
	s.env = append(s.env, "FAILPOINTS_LOG="+s.log)
	secret, err := exec.Command(s.binary, "hooks", "secret").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "hook.secret"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	s.append(fmt.Sprintf("[[hooks]]\nname = \"bot\"\nurl = %[1]q\nmode = \"passthrough\"\n[[hooks]]\nname = \"crm\"\nurl = %[1]q\nmode = \"events\"\nsecret_file = \"hook.secret\"\n", listener.URL))
	return s
}

// append adds to the configuration.
func (w *world) append(text string) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, "config.toml"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// stir lets things happen until the process ends, or what was to happen at every
// one of the places has happened.
func (s *stage) stir(p *process, points []string) {
	a := s.next()
	answered, uploaded := false, false
	for begun := time.Now(); !p.dead() && time.Since(begun) < 2*time.Minute; time.Sleep(10 * time.Millisecond) {
		s.read()
		if answered && !slices.ContainsFunc(points, func(one string) bool { return !s.passed["! "+one] && !late(one) }) {
			return
		}
		if !answered {
			got, err := s.call("POST", "/v1/otp", a.key, a.body)
			if answered = err == nil && got.status == http.StatusAccepted; answered {
				a.id = got.ID
				s.asked = append(s.asked, a)
			}
		}
		uploaded = uploaded || s.upload()
	}
}

// upload brings a campaign by the API that is to run in ten years, another one
// each time: what is the same is not put again.
func (s *stage) upload() bool {
	s.uploads++
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	text := strings.Replace(strings.Replace(definition, `id = "natal"`, `id = "uploaded"`, 1), "2026-01-05", fmt.Sprintf("2036-%02d-%02d", 1+s.uploads/28%12, 1+s.uploads%28), 1)
	for _, one := range [][2]string{{"definition", text}, {"file", "telefone,nome,desconto,link\n" + s.people[0].E164() + ",Ana,20%,n0\n"}} {
		part, err := w.CreateFormFile(one[0], map[string]string{"definition": "uploaded.toml", "file": "natal.csv"}[one[0]])
		if err == nil {
			_, err = part.Write([]byte(one[1]))
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPut, s.baseURL()+"/v1/campaigns/uploaded", &form)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false // nobody listens yet, or not any more
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		s.t.Fatalf("the upload was answered with %s: %s", resp.Status, body)
	}
	return err == nil && resp.StatusCode < 300
}

// late are passed only when a daemon stops.
func late(name string) bool {
	return name == "store.close" || strings.HasPrefix(name, "dispatch.drain.") || strings.HasPrefix(name, "daemon.") && name != "daemon.running"
}

// live is one life of the daemon with failpoints, given as name=action. It
// returns how the process ended: nil for a stop that went well.
func (s *stage) live(points ...string) error {
	s.t.Helper()
	s.drop(15)
	var names []string
	stops := true
	for _, one := range points {
		name, _, _ := strings.Cut(one, "=")
		names = append(names, name)
		stops = stops && late(name)
	}
	p := s.run("FAILPOINTS=" + strings.Join(points, ","))
	if stops {
		for from, begun := s.sandbox.Count(), time.Now(); !p.dead() && s.sandbox.Count() < from+3 && time.Since(begun) < 20*time.Second; {
			time.Sleep(time.Millisecond)
		}
	} else {
		s.stir(p, names)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if !p.ends(time.Minute) {
		s.t.Errorf("with %s the daemon neither goes on nor stops\n%s", points, s.logs.String())
	}
	s.read()
	if err := os.Truncate(s.log, 0); err != nil {
		s.t.Fatal(err)
	}
	return p.err
}

// read notes which places were passed.
func (s *stage) read() {
	text, err := os.ReadFile(s.log)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		s.passed[strings.TrimSpace(line)] = true
	}
}

// fired says whether what was to happen at a place happened, and forgets it.
func (s *stage) fired(name string) bool {
	did := s.passed["! "+name]
	delete(s.passed, "! "+name)
	return did
}

// end lets everything come to its end without failpoints, and judges.
func (s *stage) end() verdict {
	s.t.Helper()
	cmd := s.start()
	s.settle()
	for _, a := range s.asked {
		codes := s.arrived(a.to)
		for begun := time.Now(); len(codes) == 0 && time.Since(begun) < time.Minute; time.Sleep(100 * time.Millisecond) {
			if codes = s.arrived(a.to); len(codes) > 0 { // one whose request died with its process goes once more
				break
			}
			if got := s.must(http.StatusOK, "GET", "/v1/otp/"+a.id, "", ""); got.Delivery.State == "unknown" { // that died as well
				s.t.Logf("a code's both requests died with their processes; it is known as %s", got.Delivery.State)
				break
			} else if time.Since(begun) > 50*time.Second {
				s.t.Errorf("a code was answered with 202, never arrived, and is %+v", got)
				break
			}
		}
		for _, c := range codes {
			if c != codes[0] {
				s.t.Errorf("different codes arrived for %s", a.id)
			}
		}
	}
	s.stop(cmd)
	v := s.compare()
	s.deaths.tell(s.world, &v)
	if n := s.forgotten(); n > 0 {
		s.t.Errorf("%d statuses were answered with 200 and are not in the ledger", n)
	}
	if s.t.Failed() {
		s.t.Logf("the daemon said:\n%s", s.logs.String())
	}
	return v
}

// The process breaks at every place that has a name: before and after every
// commit that something hangs on, and at every step of a request. Whatever it
// was doing, nothing is lost and nobody gets a message twice.
func TestTortureFailpoints(t *testing.T) {
	skipShort(t)
	t.Parallel()
	points := failpoints(t)
	maps.DeleteFunc(points, func(name string, _ bool) bool { return ofCopies(name) })
	line := begin("failpoints")
	times := size("FAILPOINTS", 1, 20)
	lives, hit := 0, map[string]bool{}
	for i := range times {
		n := failpointRound(t, points, i, hit, &line.verdict)
		if lives += n; t.Failed() {
			break
		}
	}
	for name := range points {
		if !hit[name] {
			t.Errorf("failpoint %s is never passed", name)
		}
	}
	line.done = fmt.Sprintf("%d places, each breaking %d times by exit, error and stall%s; %d lives", len(points), times, map[bool]string{true: " and panic", false: ""}[full()], lives)
	line.figure("places passed: %d of %d", len(hit), len(points))
	line.tell(t)
}

func failpointRound(t *testing.T, points map[string]bool, round int, hit map[string]bool, sum *verdict) (lives int) {
	s := newStage(t)
	names := slices.Sorted(maps.Keys(points))
	var errs, stalls []string
	stall := "=stall:300ms"
	if full() {
		stall = "=stall:5s"
	}
	for _, name := range names {
		if points[name] && name != "store.open" && name != "store.migrate" && name != "account.sync.commit" {
			one := name + "=error"
			if strings.HasPrefix(name, "store.") { // not while it starts: it would not
				one += "@20"
			}
			errs = append(errs, one)
		}
		if !late(name) && name != "store.migrate.step" {
			stalls = append(stalls, name+stall)
		}
	}
	actions := []string{"exit"}
	if full() || round > 0 {
		actions = append(actions, "panic")
	}
	for i, name := range names {
		if name == "store.migrate.step" {
			continue
		}
		for _, action := range actions {
			lives++
			err := s.live(fmt.Sprintf("%s=%s@%d", name, action, 1+round%3))
			if !s.fired(name) && round%3 == 0 {
				t.Errorf("%s: nothing passes there", name)
			}
			// A panic while somebody is served, or a slot fires, is caught there.
			if got := status(err); round%3 == 0 && (action == "exit" && got != 86 || action == "panic" && got != 2 && err != nil) {
				t.Errorf("%s=%s: the process ended with %v", name, action, err)
			}
			if i%4 == 0 || full() {
				s.deaths.after(s.world)
			}
			if t.Failed() {
				t.Fatalf("%s=%s", name, action)
			}
		}
	}
	for _, at := range []string{"store.open", "store.migrate"} { // it does not start, and says why
		lives++
		if err := s.live(at + "=error"); err == nil || !strings.Contains(s.logs.String(), "failpoint "+at) {
			t.Errorf("%s=error: the process ended with %v", at, err)
		}
	}
	for _, all := range [][]string{errs, {"account.sync.commit=error"}, stalls} { // that one stands behind another one
		lives++
		if err := s.live(all...); err != nil {
			t.Errorf("with an error, or a delay, at every place: %v", err)
		}
		for _, one := range all {
			if name, _, _ := strings.Cut(one, "="); !s.fired(name) && !late(name) {
				t.Errorf("%s: nothing passes there", one)
			}
		}
	}
	v := s.end()
	v.must(t)
	sum.add(v)
	for name := range s.passed {
		hit[name] = true
	}
	lives += migrateRound(t, hit)
	return lives
}

// migrateRound breaks the making of a new database, at each of its steps.
func migrateRound(t *testing.T, hit map[string]bool) (lives int) {
	w := newWorld(t, 0, misbehaving())
	w.binary = program(t, "failpoint")
	for n := 1; ; n++ {
		for _, name := range []string{"janela.db", "janela.db-wal", "janela.db-shm"} {
			_ = os.Remove(filepath.Join(w.dir, name))
		}
		lives++
		log := filepath.Join(w.dir, "failpoints")
		_ = os.Remove(log)
		p := w.run(fmt.Sprintf("FAILPOINTS=store.migrate.step=exit@%d", n), "FAILPOINTS_LOG="+log)
		for begun := time.Now(); !p.dead(); time.Sleep(10 * time.Millisecond) {
			if w.metrics(w.baseURL()) != "" || time.Since(begun) > time.Minute { // there are no more steps
				_ = p.cmd.Process.Kill()
				p.ends(time.Minute)
				if n < 5 {
					t.Errorf("only %d migrations were broken off\n%s", n-1, w.logs.String())
				}
				return lives
			}
		}
		if status(p.err) != 86 {
			t.Fatalf("migration step %d: %v\n%s", n, p.err, w.logs.String())
		}
		hit["store.migrate.step"] = true
		cmd := w.start()
		w.until(func(text string) bool { return text != "" })
		w.stop(cmd)
	}
}

// status is what a process ended with; -1 for a signal.
func status(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}
