package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The test's own program stands for janela: with roleEnv set it is a child.
const roleEnv = "BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		if err := Child(context.Background(), Role(os.Args[len(os.Args)-1]), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func config(t *testing.T) *Config {
	return &Config{Self: []string{os.Args[0]}, SelfEnv: []string{roleEnv + "=1"}, Dir: t.TempDir(), Runs: 2, quick: true}
}

// figures reads a report as a program would.
func figures(t *testing.T, r *Report, runs int) map[string]float64 {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Measures string
		Machine  struct{ CPUs int }
		Faults   *[]string
		Figures  []struct {
			Name    string
			Value   float64
			Samples []float64
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Measures == "" || got.Machine.CPUs == 0 || got.Faults == nil {
		t.Errorf("incomplete: %s", b)
	}
	if len(*got.Faults) > 0 {
		t.Errorf("faults: %q", *got.Faults)
	}
	out := map[string]float64{}
	for _, f := range got.Figures {
		if _, twice := out[f.Name]; twice || len(f.Samples) != runs {
			t.Errorf("%s: twice %v, %d samples", f.Name, twice, len(f.Samples))
		}
		out[f.Name] = f.Value
	}
	return out
}

// above wants figures that are there and more than nothing.
func above(t *testing.T, got map[string]float64, names ...string) {
	t.Helper()
	for _, name := range names {
		if v, ok := got[name]; !ok || v <= 0 {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
}

// never wants a figure that is there, and nothing.
func never(t *testing.T, got map[string]float64, name string) {
	t.Helper()
	if v, ok := got[name]; !ok || v != 0 {
		t.Errorf("%s: %v, %v", name, v, ok)
	}
}

func nothingLeft(t *testing.T, c *Config) {
	t.Helper()
	left, err := os.ReadDir(c.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestSend(t *testing.T) {
	c := config(t)
	r, err := c.Send(t.Context(), 500)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 2)
	above(t, got, "messages/s over the plain loop's requests/s", "processor time per message over the plain loop's per request", "commits per message",
		"database bytes per sent message", "peak memory while sending", "first send after the release", "admission before it")
	never(t, got, "received twice by the sink")
	nothingLeft(t, c)
}

// What a sink received twice, or not at all, is told.
func TestCounts(t *testing.T) {
	k, err := config(t).startSink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.stop() }()
	if _, err := plainLoop(t.Context(), plainArgs{Graph: k.Graph, N: 5}); err != nil {
		t.Fatal(err)
	}
	c, err := k.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Total != 5 || c.DuplicateCallbacks != 4 || c.DuplicateRecipients != 4 || c.BodyBytes != 5*plainBody || c.First == 0 {
		t.Errorf("%+v", c)
	}
	if f := c.faults(6); len(f) != 3 {
		t.Errorf("%q", f)
	}
	r := newReport("send", nil)
	if r.Faults = c.faults(5); r.Err() == nil {
		t.Error("duplicates are no error")
	}
	if err := k.reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := k.counts(t.Context()); err != nil || c.Total != 0 || c.First != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

// Each is there once, whatever the number of people.
func TestMixed(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 500, 1000, 4097} {
		for _, salt := range []uint64{7, 23} {
			seen, moved := map[uint64]bool{}, uint64(0)
			for i := range n {
				m := mixed(i, n, salt)
				seen[m] = true
				if m != i {
					moved++
				}
			}
			if uint64(len(seen)) != n || n >= 500 && moved < n/2 {
				t.Errorf("n %d, salt %d: %d different, %d moved", n, salt, len(seen), moved)
			}
		}
	}
}

func TestParametersAre160Bytes(t *testing.T) {
	for _, i := range []int{0, 12345678} {
		params, err := json.Marshal([]map[string]any{{"type": "body", "parameters": []map[string]string{{"type": "text", "text": "Ana Maria"}, {"type": "text", "text": value(i)}}}})
		if err != nil || len(params) != paramsBytes {
			t.Errorf("%d bytes, %v", len(params), err)
		}
	}
}

func TestSize(t *testing.T) {
	c := config(t)
	c.Runs = 1
	r, err := c.Size(t.Context(), 200, 500)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 1)
	above(t, got, "processor time per message, large over small", "time per message, large over small", "peak memory, large")
	never(t, got, "received twice by the sink")
	nothingLeft(t, c)
	if _, err := c.Size(t.Context(), 500, 500); err == nil {
		t.Error("the same size twice is no comparison")
	}
}

func TestAdmit(t *testing.T) {
	c := config(t)
	c.Runs = 1
	r, err := c.Admit(t.Context(), 500)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 1)
	above(t, got, "all admitted, over a bare insert of the same rows", "first send after the file is stable", "peak memory of admission", "bare insert")
	never(t, got, "received twice by the sink")
	nothingLeft(t, c)
}

func TestStatuses(t *testing.T) {
	c := config(t)
	r, err := c.Statuses(t.Context(), 500, 20)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 2)
	for _, kind := range []string{"one in a callback", "20 in a callback"} {
		above(t, got, "statuses applied/s over bare verify and decode, "+kind, "statuses answered 200/s, "+kind, "commits per status, "+kind)
	}
	nothingLeft(t, c)
}

func TestStorm(t *testing.T) {
	c := config(t)
	c.Runs = 1
	r, err := c.Storm(t.Context(), 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 1)
	above(t, got, "messages/s", "callbacks answered, p50", "callbacks answered, p99", "processor time per message with its statuses")
	never(t, got, "callbacks not answered 200")
	nothingLeft(t, c)
}

// Callbacks are signed, each is posted once, and one that is not answered 200 is
// noticed.
func TestPost(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Hub-Signature-256") != sign(body) || !json.Valid(body) {
			t.Errorf("%v %q %s", err, r.Header, body)
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[string(body)]++; len(seen) == 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	server := httptest.NewServer(answers)
	defer server.Close()
	s := newSink()
	if _, err := s.keep(t.Context(), struct{}{}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(10) {
		s.take(time.Now(), 1, []byte(phone(i).Digits()), []byte("j1.abc."+strconv.FormatUint(i, 10)+".1"))
	}
	if n, err := s.prepare(t.Context(), postArgs{URL: server.URL, Batch: 4, From: 0, To: 10}); err != nil || n != 8 {
		t.Fatalf("%d callbacks of 30 statuses: %v", n, err)
	}
	r, err := s.post(t.Context(), struct{}{})
	if err != nil || r.Refused != 1 || len(seen) != 8 {
		t.Errorf("%+v %v, %d seen", r, err, len(seen))
	}
	if _, err := s.prepare(t.Context(), postArgs{URL: server.URL, Batch: 4, From: 5, To: 11}); err == nil {
		t.Error("statuses of a message that never came")
	}
}

func TestIdle(t *testing.T) {
	c := config(t)
	c.Runs = 1
	r, err := c.Idle(t.Context(), 500, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	got := figures(t, r, 1)
	above(t, got, "memory of an idle daemon", "first send after a start with messages waiting", "memory while all of them are held")
	never(t, got, "received twice by the sink")
	nothingLeft(t, c)
}

// All measures everything, and makes the same people once.
func TestAll(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	c := config(t)
	c.Runs = 1
	all, err := c.All(t.Context(), Sizes{Messages: 200, Large: 500, Told: 200, Batch: 10, Idle: 50 * time.Millisecond, Storm: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Measures)
		figures(t, r, 1)
	}
	if want := []string{"idle", "send", "statuses", "storm", "admit", "size"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	nothingLeft(t, c)
}
