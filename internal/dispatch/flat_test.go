package dispatch

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// sinkEnv tells the test program to be the stand-in for Meta that
// BenchmarkFlatOut sends to: a process of its own, so that its work is not
// counted as ours.
const sinkEnv = "JANELA_TEST_SINK"

func TestSink(t *testing.T) {
	if os.Getenv(sinkEnv) == "" {
		t.Skip("the other process of BenchmarkFlatOut")
	}
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		_, to, _ := bytes.Cut(raw, []byte(`"to":"+`))
		to, _, _ = bytes.Cut(to, []byte(`"`))
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":"+%s","wa_id":"%s"}],"messages":[{"id":"wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYE%016XAA=="}]}`,
			to, to, uint64(n.Add(1))*0x9E3779B97F4A7C15)
	}))
	defer s.Close()
	fmt.Println("sink " + s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark has ended
}

// sink starts the other process and returns its address.
func sink(b *testing.B) string {
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestSink$", "-test.v") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "sink "); ok {
			return url
		}
	}
	b.Fatal("the sink did not start")
	return ""
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const flatParams = `[{"type":"body","parameters":[{"type":"text","text":"Ana Clara"},{"type":"text","text":"20%"},{"type":"text","text":"30/11"}]},{"type":"button","sub_type":"url","index":"1"}]`

// plain is the measure of all: a loop that posts the same body, inFlight at a
// time, and does nothing else. It returns requests per second, and the
// processor time of one.
func plain(b *testing.B, url string, n int) (perSecond float64, each time.Duration) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	defer client.CloseIdleConnections()
	body := cloudapi.AppendMessage(nil, cloudapi.Message{To: whatsapp.Phone("+12025550123").Identity(), Callback: "j1.abcdefghijkl.123456789012345.1",
		Template: &cloudapi.TemplateSend{Name: "oferta", Language: "pt_BR", Components: flatParams}})
	var left atomic.Int64
	left.Store(int64(n))
	begun, used := time.Now(), cpu()
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/v25.0/"+loja+"/messages", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer t")
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(begun).Seconds(), (cpu() - used) / time.Duration(n)
}

const inFlight = 16

var (
	sqlFlatContact = store.SQL(`INSERT INTO contacts (id, root, created_at) VALUES (?1, ?1, ?2)`)
	sqlFlatConsent = store.SQL(`INSERT INTO consents (contact_id, category, granted_at) VALUES (?1, 'marketing', ?2)`)
)

// flatHouse is a database with n people who agreed; queue queues a message to each.
func flatHouse(b *testing.B, n int) (path string, db *store.DB, queue func(run int64)) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "janela.db")
	db, err := store.Open(context.Background(), store.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	write := func(fn func(tx *store.Tx) error) {
		b.Helper()
		if err := db.Bulk(context.Background(), fn); err != nil {
			b.Fatal(err)
		}
	}
	write(func(tx *store.Tx) error {
		return account.Declare(tx, []account.Number{{ID: loja, Name: "loja", WABA: waba}})
	})
	l := listing{all: []cloudapi.Template{{ID: "1", Name: "oferta", Language: "pt_BR", Status: "APPROVED", Category: "MARKETING"}}}
	s := account.NewSyncer(account.Config{DB: db, Accounts: []string{waba}, Log: slog.New(slog.DiscardHandler),
		Reader: func(string) (cloudapi.Reader, bool) { return l, true }})
	if err := s.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	people := make([]int64, 0, n)
	for len(people) < n {
		write(func(tx *store.Tx) error {
			for range min(200, n-len(people)) {
				id := tx.NewID()
				if _, err := tx.Exec(sqlFlatContact, id, store.Millis(tx.Now())); err != nil {
					return err
				}
				if _, err := tx.Exec(sqlFlatConsent, id, store.Millis(tx.Now().Add(-time.Hour))); err != nil {
					return err
				}
				people = append(people, id)
			}
			return nil
		})
	}
	return path, db, func(run int64) {
		for i := 0; i < n; i += 200 {
			write(func(tx *store.Tx) error {
				s, err := outbox.OpenStream(tx, stream("oferta", func(s *outbox.Stream) { s.Campaign, s.Run = "natal", run }))
				if err != nil {
					return err
				}
				var rows []outbox.New
				for j := i; j < min(i+200, n); j++ {
					rows = append(rows, outbox.New{Contact: people[j], To: whatsapp.Phone(fmt.Sprintf("+55119%08d", j)).Identity(), Params: flatParams, Line: j + 2})
				}
				_, _, err = outbox.Enqueue(tx, s, rows)
				return err
			})
		}
	}
}

// BenchmarkTurns claims and settles a campaign without a network: what a message
// costs the one goroutine that writes.
func BenchmarkTurns(b *testing.B) {
	const n, each = 60_000, 400
	_, db, queue := flatHouse(b, n)
	run, all, used := int64(0), 0, time.Duration(0)
	for b.Loop() {
		run++
		queue(run)
		d := New(Config{DB: db, Log: slog.New(slog.DiscardHandler), Outcomes: recompute, PerSecond: func(account.Number) float64 { return 1_000_000 }})
		l, before := newLane(d, whatsapp.LaneMarketing), cpu()
		var batch []result
		for settled := 0; settled < n; {
			var tickets []*ticket
			err := db.Bulk(context.Background(), func(tx *store.Tx) (err error) {
				if _, err = l.settleAll(tx, batch); err == nil {
					tickets, _, err = l.claim(tx, each)
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			settled, batch = settled+len(batch), batch[:0]
			for _, t := range tickets {
				all++
				batch = append(batch, result{ticket: t, Result: outbox.Result{Message: t.message.ID, Attempt: t.message.Attempt, To: outbox.Accepted,
					Wamid: whatsapp.Wamid(fmt.Sprintf("wamid.HBgNNTUxMTkwMDAwMDAwMBUCABEYEjQ1NkFCQ0RFRjAxMjM0NTY%07d", all))}})
			}
		}
		used += cpu() - before
	}
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(all), "cpu-µs/msg")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFlatOut sends a campaign as fast as it goes, without statuses, and
// reports how that compares with a plain client loop before and after.
// JANELA_FLAT: how many messages (100,000).
func BenchmarkFlatOut(b *testing.B) {
	n := 100_000
	if v, err := strconv.Atoi(os.Getenv("JANELA_FLAT")); err == nil {
		n = v
	}
	url := sink(b)
	path, db, queue := flatHouse(b, n)
	client := cloudapi.New(cloudapi.Config{BaseURL: url, Token: func() (string, error) { return "t", nil }})
	run := int64(0)
	for b.Loop() {
		run++
		size := fileSize(b, path)
		queue(run)
		before, cpuBefore := plain(b, url, 40_000)
		commits := db.Commits()
		done := make(chan struct{})
		var left atomic.Int64
		left.Store(int64(n))
		d := New(Config{DB: db, Log: slog.New(slog.DiscardHandler), Outcomes: recompute, Senders: inFlight,
			PerSecond: func(account.Number) float64 { return 1_000_000 },
			Sender:    func(string, whatsapp.Lane) (cloudapi.Sender, bool) { return client, true },
			Sent: func(_ whatsapp.Lane, _ string, to outbox.State, _ string, _ time.Duration) {
				if to != outbox.Accepted {
					b.Errorf("a message ended as %s", to)
				}
				if left.Add(-1) == 0 {
					close(done)
				}
			}})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		stop := profile(b)
		begun, used := time.Now(), cpu()
		wg.Go(func() { _ = d.Run(ctx) })
		<-done
		stop()
		took, each := time.Since(begun), (cpu()-used)/time.Duration(n)
		cancel()
		wg.Wait()
		commits = db.Commits() - commits
		after, cpuAfter := plain(b, url, 40_000)
		rate := float64(n) / took.Seconds()
		b.ReportMetric(rate, "msg/s")
		b.ReportMetric((before+after)/2, "plain/s")
		b.ReportMetric(2*rate/(before+after), "of-plain")
		b.ReportMetric(float64(each.Nanoseconds())/1000, "cpu-µs/msg")
		b.ReportMetric(2*float64(each)/float64(cpuBefore+cpuAfter), "cpu-of-plain")
		b.ReportMetric(float64(n)/float64(commits), "msg/commit")
		b.ReportMetric(float64(fileSize(b, path)-size)/float64(n), "B/msg")
	}
	b.ReportMetric(0, "ns/op")
}

// profile writes a profile of the sending alone to the file that
// JANELA_FLAT_PROFILE names.
func profile(b *testing.B) (stop func()) {
	name := os.Getenv("JANELA_FLAT_PROFILE")
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name) //nolint:gosec // of whoever runs the benchmark
	if err != nil {
		b.Fatal(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		b.Fatal(err)
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }
}

// fileSize is that of the database, without its log.
func fileSize(b *testing.B, path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}
