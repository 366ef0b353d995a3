package crashtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// BenchmarkCampaign drops a campaign on the real process and prints how it
// went: messages per second from the drop to the last acceptance, that as a
// share of what a plain client loop reaches against the same server before and
// after, and the process's peak memory, which must not grow with the audience.
func BenchmarkCampaign(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				campaign(b, n)
			}
		})
	}
}

func campaign(b *testing.B, n int) {
	quiet := sandbox.Quiet()
	quiet.Posters, quiet.Batch = 2, 100
	w := newWorld(b, n, quiet)
	w.files(100_000) // not paced: as fast as it goes
	plain := plainServer(b)
	before := plainLoop(b, plain, 20_000)
	begun := time.Now()
	cmd := w.start()
	base := w.baseURL()
	first := 0.0
	for {
		time.Sleep(250 * time.Millisecond) // asking costs the daemon something as well
		text := w.metrics(base)
		if first == 0 && w.sandbox.Count() > 0 {
			first = time.Since(begun).Seconds()
		}
		if w.sandbox.Count() >= n && gauge(text, "sending") == 0 && gauge(text, "queued") == 0 {
			break
		}
		if time.Since(begun) > 3*time.Minute {
			b.Fatalf("it did not end:\n%s\n%s", text, w.logs.String())
		}
	}
	took := time.Since(begun)
	after := plainLoop(b, plain, 20_000)
	memory := peak(b, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	rate := float64(n) / took.Seconds()
	b.ReportMetric(took.Seconds(), "s/run")
	b.ReportMetric(first, "s/first-send")
	b.ReportMetric(rate, "msg/s")
	b.ReportMetric(rate/((before+after)/2), "of-plain-loop")
	b.ReportMetric(float64(cpu.Microseconds())/float64(n), "cpu-µs/msg")
	b.ReportMetric(memory, "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// plainServer is a sandbox of its own that posts no callbacks: the baseline
// measures a client and a server, and nothing else.
func plainServer(b *testing.B) string {
	s, err := sandbox.New(sandbox.Config{Token: "sandbox-token", AppSecret: "secret", VerifyToken: "verify", Profile: sandbox.Quiet(),
		WABAs:     []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: number, Display: "+1 202-555-0100"}}}},
		Templates: sandbox.DefaultTemplates(waba)})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(s)
	b.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	return server.URL
}

// plainLoop is the baseline: 16 goroutines that post the same message and do
// nothing else. It returns requests per second.
func plainLoop(b *testing.B, graph string, n int) float64 {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	body := cloudapi.AppendMessage(nil, cloudapi.Message{To: whatsapp.Phone("+12025550123").Identity(), Callback: "plain",
		Template: &cloudapi.TemplateSend{Name: template, Language: "pt_BR", Components: `[{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"20%"}]},` +
			`{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"n1"}]}]`}})
	var left atomic.Int64
	left.Store(int64(n))
	begun := time.Now()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				req, _ := http.NewRequest(http.MethodPost, graph+"/v25.0/"+number+"/messages", bytes.NewReader(body))
				req.Header.Set("Authorization", "Bearer sandbox-token")
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("the plain loop got %s", resp.Status)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(begun).Seconds()
}

// peak is a process's highest resident memory so far in MiB (Linux).
func peak(b *testing.B, pid int) float64 {
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	return 0
}
