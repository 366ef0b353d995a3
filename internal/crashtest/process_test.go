package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"janela/internal/sandbox"
)

// A second daemon on the same database is refused and changes nothing; when the
// first is killed, the next one takes over.
func TestTortureSecondDaemon(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("second daemon")
	w := newPlayground(t, t.TempDir(), misbehaving())
	ws := w.write(2, 5*time.Millisecond)
	cmd := w.start()
	w.flows(ws)
	starts, slowest := size("SECONDS", 8, 100), time.Duration(0)
	for range starts {
		w.feed()
		var said bytes.Buffer
		second := w.command()
		second.Stderr = &said
		begun := time.Now()
		err := second.Run()
		slowest = max(slowest, time.Since(begun))
		if status(err) <= 0 || !strings.Contains(said.String(), "another janela holds the database") {
			t.Errorf("a second daemon ended with %v:\n%s", err, said.String())
		}
	}
	kills, longest := size("TAKEOVERS", 3, 50), time.Duration(0)
	var d deaths
	for range kills {
		w.feed()
		w.kill(cmd)
		d.after(w)
		begun := time.Now()
		cmd = w.start()
		for sent := w.sandbox.Count(); w.sandbox.Count() == sent && time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
			w.feed()
		}
		longest = max(longest, time.Since(begun))
	}
	ws.stop()
	w.settle()
	w.stop(cmd)
	line.verdict = w.compare()
	line.verdict.must(t)
	d.tell(w, &line.verdict)
	line.done = fmt.Sprintf("%d starts beside a daemon that runs; %d kills of it, each followed by the next one at once", starts, kills)
	line.figure("all %d refused, in %v at most", starts, slowest.Round(time.Millisecond))
	line.figure("from the kill to the next one's first message %v at most", longest.Round(time.Millisecond))
	line.tell(t)
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// SIGTERM under load: what is under way gets its answer and is settled, nothing
// becomes unknown, and the process ends. Where answers take longer than drain,
// it ends all the same, and what had none is unknown until a status tells.
func TestTortureDrain(t *testing.T) {
	skipShort(t)
	t.Parallel()
	const drain = time.Second // and a request may take two
	for _, c := range []struct {
		name    string
		latency sandbox.Span
		times   int
	}{
		{"SIGTERM", sandbox.Span{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond}, size("STOPS", 5, 200)},
		{"SIGTERM, answers later than drain", sandbox.Span{Min: 1500 * time.Millisecond, Max: 1900 * time.Millisecond}, size("SLOW_STOPS", 1, 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := begin(c.name)
			profile := misbehaving()
			profile.AnswerLatency = c.latency
			w := newPlayground(t, t.TempDir(), profile)
			w.config(fmt.Sprintf("drain = %q", drain))
			slow := c.latency.Min > drain
			longest, unknown := time.Duration(0), 0
			for range c.times {
				w.drop(map[bool]int{false: 150, true: 60}[slow])
				cmd := w.start()
				if !w.sends(w.sandbox.Count()+20, time.Minute) && !slow {
					t.Fatalf("it sends nothing\n%s", w.logs.String())
				}
				time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
				begun := time.Now()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Errorf("the daemon did not stop well: %v", err)
				}
				longest = max(longest, time.Since(begun))
				r := w.remains()
				if unknown = max(unknown, r.unknown); r.sending > 0 || r.unknown > 0 && !slow || r.unknown > mostClaimed*c.times {
					t.Errorf("after a stop %d messages are under way, %d unknown", r.sending, r.unknown)
				}
				r.close()
			}
			cmd := w.start()
			w.settle()
			w.stop(cmd)
			line.verdict = w.compare()
			line.verdict.resolved = unknown
			line.verdict.must(t)
			line.done = fmt.Sprintf("%d stops under load, drain %v, answers in %v to %v", c.times, drain, c.latency.Min, c.latency.Max)
			line.figure("ended %v after the signal at most; unknown then: %d", longest.Round(10*time.Millisecond), unknown)
			line.tell(t)
			if t.Failed() {
				t.Logf("the daemon said:\n%s", w.logs.String())
			}
		})
	}
}

// The torture finds what it is there to find: where a callback is answered before
// it is on disk, kills lose some.
func TestTortureFindsEarlyAnswers(t *testing.T) {
	skipShort(t)
	t.Parallel()
	line := begin("control: answered before the commit")
	w := newPlayground(t, t.TempDir(), misbehaving())
	var forwarding sync.WaitGroup
	behind := fmt.Sprintf("http://127.0.0.1:%d", w.port)
	client := &http.Client{Timeout: 2 * time.Second}
	early := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		there, failed := make(chan struct{}, 2), make(chan struct{})
		again, err := http.NewRequest(http.MethodPost, behind+r.URL.Path, bytes.NewReader(body))
		if err != nil {
			return
		}
		again.Header.Set("X-Hub-Signature-256", r.Header.Get("X-Hub-Signature-256"))
		again = again.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{WroteRequest: func(wrote httptrace.WroteRequestInfo) {
			if wrote.Err != nil {
				return
			}
			select {
			case there <- struct{}{}:
			default:
			}
		}}))
		forwarding.Go(func() {
			resp, err := client.Do(again)
			if err != nil {
				close(failed)
				return
			}
			_ = resp.Body.Close()
		})
		select {
		case <-there: // the daemon has it, and that is where a daemon with the mistake answers
		case <-failed:
			rw.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer early.Close()
	w.early = early.URL
	ws := w.write(16, time.Millisecond)
	kills := size("CONTROL_KILLS", 4, 50)
	for range kills {
		taken, _ := ws.count()
		cmd := w.start()
		w.until(func(text string) bool {
			n, _ := ws.count()
			return text != "" && n > taken+20
		})
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		w.kill(cmd)
	}
	ws.stop()
	forwarding.Wait()
	r := w.remains()
	defer r.close()
	taken, _ := ws.count()
	lost := ws.lost(r)
	if lost == 0 {
		t.Errorf("%d callbacks were answered before they were on disk, in %d kills, and none is lost: the torture sees nothing", taken, kills)
	}
	line.done = fmt.Sprintf("%d kills; callbacks are answered when the daemon has them, not when they are on disk", kills)
	line.figure("must lose: of %d callbacks answered 200 it lost %d", taken, lost)
	line.tell(t)
}
