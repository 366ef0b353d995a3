package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// sink stands in for Meta where only speed is asked for: it takes every message,
// posts no callbacks, and hands codes to whoever waits for them. What is read
// (templates, numbers) the sandbox answers.
type sink struct {
	reads    http.Handler
	messages atomic.Int64
	codes    sync.Map // by number: a chan arrival of capacity 1
}

type arrival struct {
	code string
	at   time.Time
}

var (
	sinkTo   = regexp.MustCompile(`"to":"(\+\d+)"`)
	sinkCode = regexp.MustCompile(`"text":"(\d{6})"`)
)

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	if !strings.HasSuffix(r.URL.Path, "/messages") {
		s.reads.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n := s.messages.Add(1)
	to := string(sinkTo.FindSubmatch(body)[1])
	if waiting, ok := s.codes.Load(to); ok && bytes.Contains(body, []byte(`"codigo_acesso"`)) {
		select {
		case waiting.(chan arrival) <- arrival{string(sinkCode.FindSubmatch(body)[1]), at}:
		default:
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":%q,"wa_id":%q}],"messages":[{"id":"wamid.SINK%d"}]}`, to, to[1:], n)
}

// codesWorld is the real process before a sink, with people who agreed to codes.
type codesWorld struct {
	*world
	sink   *sink
	key    string
	client *http.Client
	next   atomic.Int64 // of the pool of people
	base   string
	proc   *os.Process // of the daemon

	definition []byte // of the campaign, until it is dropped
}

const codesPool = 90_000

func newCodesWorld(b *testing.B, recipients int) *codesWorld {
	w := &world{t: b, dir: b.TempDir()}
	w.binary = filepath.Join(w.dir, "janela")
	if out, err := exec.Command("go", "build", "-o", w.binary, "janela/cmd/janela").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	w.port = freePort(b)
	var err error
	w.sandbox, err = sandbox.New(sandbox.Config{Token: "sandbox-token", AppSecret: "secret", VerifyToken: "verify", Seed: 7, Profile: sandbox.Quiet(),
		WABAs:     []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: number, Display: "+1 202-555-0100", MessagingLimit: "TIER_UNLIMITED", Throughput: "NOT_APPLICABLE"}}}}, // the configured rate counts
		Templates: sandbox.DefaultTemplates(waba)})
	if err != nil {
		b.Fatal(err)
	}
	c := &codesWorld{world: w, sink: &sink{reads: w.sandbox}}
	graph := httptest.NewServer(c.sink)
	w.graph = graph.URL
	b.Cleanup(func() {
		graph.Close()
		_ = w.sandbox.Close()
	})
	w.consent(recipients)
	c.agree()
	w.files(100_000)
	c.configure()
	add := exec.Command(w.binary, "keys", "add", "bench", "--plain", "--config", filepath.Join(w.dir, "config.toml"))
	add.Env = append(os.Environ(), "JANELA_WHATSAPP_TOKEN=sandbox-token", "JANELA_WHATSAPP_APP_SECRET=secret", "JANELA_WHATSAPP_VERIFY_TOKEN=verify")
	var said bytes.Buffer
	add.Stderr = &said
	out, err := add.Output()
	if err != nil {
		b.Fatalf("keys add: %v\n%s", err, said.String())
	}
	c.key = strings.TrimSpace(string(out))
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}, Timeout: 30 * time.Second}
	c.base = w.baseURL()
	return c
}

func poolPhone(n int64) whatsapp.Phone { return whatsapp.Phone(fmt.Sprintf("+55119001%05d", n)) }

// agree records grants for codes for everybody in the pool, and seals the ledger:
// the daemon would do that while its codes are measured.
func (c *codesWorld) agree() {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(c.dir, "janela.db")})
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	for n := int64(0); n < codesPool; {
		err := db.Bulk(ctx, func(tx *store.Tx) error {
			for range 200 {
				_, err := optin.Record(tx, optin.Grant{Identity: poolPhone(n).Identity(), Category: whatsapp.Authentication, Source: optin.SourceImport, Actor: "test", At: tx.Now().Add(-time.Hour)})
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	path := filepath.Join(c.dir, "janela.db")
	keys, err := optin.OpenKeys(filepath.Join(c.dir, "var", "optin.key"))
	if err == nil {
		_, err = optin.NewLedger(optin.LedgerConfig{DB: db, Keys: keys, Head: path + ".head"}).Seal(ctx)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// thousand slows a campaign down to 1,000 messages a second.
const thousand = "[throttle]\nper_second = 1000\n"

// configure switches codes on, with limits that everything is checked against
// and nothing meets, and slows the campaign down to 1,000 a second.
func (c *codesWorld) configure() {
	path := filepath.Join(c.dir, "config.toml")
	old, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(old) + `
[otp]
countries = ["BR"]
max_sends_24h = 10000000
[otp.purposes.login]
template = "codigo_acesso"
languages = ["pt_BR"]
[otp.limits]
prefix_unverified = 1000000
country_unverified = 1000000
country_hour = 1000000
client_per_second = 100000.0
client_burst = 100000
per_second = 100000.0
`
	text = strings.Replace(text, `stable = "100ms"`, `stable = "200ms"`, 1)
	text = strings.Replace(text, "[http]\n", "[http]\nkey_per_second = -1\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	definition := filepath.Join(c.dir, "campaigns.d", "natal.toml")
	if old, err = os.ReadFile(definition); err != nil {
		c.t.Fatal(err)
	}
	c.definition = append(old, []byte(thousand)...)
	if err := os.Remove(definition); err != nil {
		c.t.Fatal(err)
	}
}

// hold stops the campaign, or lets it go on.
func (c *codesWorld) hold(yes bool) {
	stop := filepath.Join(c.dir, "campaigns.d", "STOP")
	var err error
	if yes {
		err = os.WriteFile(stop, nil, 0o600)
	} else {
		err = os.Remove(stop)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *codesWorld) post(path, key string, body any, into any) (int, error) {
	payload, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(http.MethodPost, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, fmt.Errorf("%s: %d %s", path, resp.StatusCode, b)
	}
	return resp.StatusCode, json.Unmarshal(b, into)
}

// took is how long the parts of one cycle took.
type took struct{ create, wire, verify time.Duration }

// cycle asks for a code, waits until it is on the wire, and verifies it.
func (c *codesWorld) cycle() (took, error) {
	n := c.next.Add(1)
	if n >= codesPool {
		return took{}, fmt.Errorf("the pool of %d people is used up", codesPool)
	}
	to := poolPhone(n).E164()
	waiting := make(chan arrival, 1)
	c.sink.codes.Store(to, waiting)
	defer c.sink.codes.Delete(to)
	var t took
	var view struct{ ID string }
	begun := time.Now()
	if _, err := c.post("/v1/otp", strconv.FormatInt(n, 10), map[string]any{"to": to, "purpose": "login", "client_ip": fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)}, &view); err != nil {
		return t, err
	}
	t.create = time.Since(begun)
	var a arrival
	select {
	case a = <-waiting:
	case <-time.After(20 * time.Second):
		return t, fmt.Errorf("a code did not reach the wire within 20 s")
	}
	t.wire = a.at.Sub(begun)
	begun = time.Now()
	var ok struct{ To string }
	if _, err := c.post("/v1/otp/"+view.ID+"/verify", "", map[string]any{"code": a.code}, &ok); err != nil {
		return t, err
	}
	t.verify = time.Since(begun)
	if ok.To != to {
		return t, fmt.Errorf("another number was verified")
	}
	return t, nil
}

// closed runs cycles with n clients for a while; open starts perSecond cycles a
// second, whatever becomes of them.
func (c *codesWorld) closed(b *testing.B, n int, d time.Duration) (all []took, perSecond float64) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	begun := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(begun) < d {
				t, err := c.cycle()
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				all = append(all, t)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all, float64(len(all)) / time.Since(begun).Seconds()
}

func (c *codesWorld) open(b *testing.B, perSecond int, d time.Duration) (all []took) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		wg.Go(func() {
			t, err := c.cycle()
			if err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			all = append(all, t)
			mu.Unlock()
		})
	}
	wg.Wait()
	return all
}

// percentile of one part, in milliseconds.
func percentile(all []took, part func(took) time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	ds := make([]time.Duration, len(all))
	for i, t := range all {
		ds[i] = part(t)
	}
	slices.Sort(ds)
	return float64(ds[min(len(ds)-1, int(p*float64(len(ds))))].Microseconds()) / 1000
}

var parts = []struct {
	name string
	of   func(took) time.Duration
}{
	{"create", func(t took) time.Duration { return t.create }},
	{"wire", func(t took) time.Duration { return t.wire }},
	{"verify", func(t took) time.Duration { return t.verify }},
}

func report(b *testing.B, all []took, prefix string) {
	for _, p := range parts {
		b.ReportMetric(percentile(all, p.of, 0.5), prefix+p.name+"-p50-ms")
		b.ReportMetric(percentile(all, p.of, 0.99), prefix+p.name+"-p99-ms")
	}
}

// BenchmarkCodes asks the real process for codes over HTTP and verifies them, as
// fast as 1, 16 and 64 clients can: alone, and while a campaign of 100,000 sends
// 1,000 a second. wire is the time from the beginning of the request until
// the code's own request reaches Meta's side. Then, at 100 codes a second, times
// alone and beside the campaign, in turns, and their ratio: at 1,000 a second, and
// with a campaign of 200,000 that goes as fast as it can.
func BenchmarkCodes(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	const while = 5 * time.Second
	for _, beside := range []bool{false, true} {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("clients=%d/campaign=%v", clients, beside), func(b *testing.B) {
				for b.Loop() {
					c, stop := startCodes(b, 100_000)
					if beside {
						c.campaign(b)
					}
					self, theirs, commits := cpuOf(os.Getpid()), cpuOf(c.proc.Pid), c.commits()
					all, perSecond := c.closed(b, clients, while)
					b.ReportMetric(float64((cpuOf(os.Getpid())-self).Microseconds())/float64(len(all)), "client-cpu-us/cycle")
					b.ReportMetric(float64((cpuOf(c.proc.Pid)-theirs).Microseconds())/float64(len(all)), "daemon-cpu-us/cycle")
					b.ReportMetric(float64(c.commits()-commits)/float64(len(all)), "commits/cycle")
					b.ReportMetric(perSecond, "cycles/s")
					report(b, all, "")
					stop()
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	for _, x := range []struct {
		name       string
		recipients int
		throttle   string // of the campaign
		rounds     int
		each       time.Duration
	}{
		{"interleaved", 100_000, thousand, 6, 4 * time.Second},
		{"interleaved-flat-out", 200_000, "", 5, 2 * time.Second},
	} {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				c, stop := startCodes(b, x.recipients)
				c.definition = bytes.Replace(c.definition, []byte(thousand), []byte(x.throttle), 1)
				c.campaign(b)
				var idle, busy []took
				sent := int64(0)
				for range x.rounds {
					c.hold(true)
					time.Sleep(500 * time.Millisecond)
					idle = append(idle, c.open(b, 100, x.each)...)
					c.hold(false)
					time.Sleep(500 * time.Millisecond)
					before := c.sink.messages.Load()
					busy = append(busy, c.open(b, 100, x.each)...)
					sent += c.sink.messages.Load() - before
				}
				report(b, idle, "idle-")
				report(b, busy, "busy-")
				b.ReportMetric(float64(sent)/(time.Duration(x.rounds)*x.each).Seconds(), "sends/s")
				for _, p := range parts {
					b.ReportMetric(percentile(busy, p.of, 0.99)/percentile(idle, p.of, 0.99), p.name+"-p99-ratio")
				}
				stop()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
