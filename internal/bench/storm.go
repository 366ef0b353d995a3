package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// stormRate is what goes out in a second: Meta's highest throughput. Three
// statuses come back for each.
const stormRate = 1000

// Storm measures how soon callbacks are answered while a campaign goes out at
// 1,000 messages a second, and each message's three statuses come back a second,
// two, and three after it, one in a callback: 3,000 a second.
func (c *Config) Storm(ctx context.Context, during time.Duration) (r *Report, err error) {
	n := int(during.Seconds() * stormRate)
	if n < 1 {
		return nil, errors.New("a storm takes at least a millisecond")
	}
	r = newReport("storm", map[string]string{"seconds": during.String(), "runs": strconv.Itoa(c.Runs), "senders": c.senders()})
	sink, err := c.startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	w, done, err := c.world(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	var sent, p50, p99, worst, refused, applied, cpu []float64
	err = c.each(ctx, func(run int) error {
		f, err := c.storm(ctx, sink, w, r)
		if err != nil {
			return err
		}
		c.say("run %d: %.0f messages/s, %.0f statuses/s, answered p50 %.1f ms, p99 %.1f ms", run+1, f.sent, f.Rate, f.P50, f.P99)
		sent, p50, p99, worst = append(sent, f.sent), append(p50, f.P50), append(p99, f.P99), append(worst, f.Worst)
		refused, applied, cpu = append(refused, float64(f.Refused)), append(applied, f.behind), append(cpu, f.cpu)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.add("messages/s", "/s", nil, sent...)
	r.add("callbacks answered, p50", "ms", atMost(50), p50...)
	r.add("callbacks answered, p99", "ms", atMost(250), p99...)
	r.add("callbacks answered, the slowest", "ms", nil, worst...)
	r.add("callbacks not answered 200", "", atMost(0), refused...)
	r.add("after the last answer, until all is applied", "s", nil, applied...)
	r.add("processor time per message with its statuses", "µs", nil, cpu...)
	return r, nil
}

// stormed is what one run found.
type stormed struct {
	flowResult
	sent, behind, cpu float64
}

func (c *Config) storm(ctx context.Context, sink *started, w *world, r *Report) (out stormed, err error) {
	h, err := c.house(ctx, sink, w, settings{poll: quickPoll, stable: quickStable, perSecond: stormRate / 0.8}) // marketing gets four fifths
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	at, err := h.start(true)
	if err != nil {
		return out, err
	}
	if _, err := h.admit(quickStable); err != nil {
		return out, err
	}
	var before, after Usage
	if err := h.call("release", nil, &before); err != nil {
		return out, err
	}
	if err := sink.child.call("flow", flowArgs{URL: "http://" + at.Public + "/webhooks/whatsapp", Messages: w.people}, &out.flowResult); err != nil {
		return out, err
	}
	if err := h.call("wait", waitArgs{For: "read", N: w.people, Timeout: patience(10 * w.people)}, &after); err != nil {
		return out, err
	}
	if err := h.call("finish", nil, nil); err != nil {
		return out, err
	}
	got, err := sink.counts(ctx)
	if err != nil {
		return out, err
	}
	r.Faults = append(r.Faults, got.faults(w.people)...)
	if out.Refused > 0 {
		r.Faults = append(r.Faults, fmt.Sprintf("%d callbacks were not answered 200", out.Refused))
	}
	out.sent = float64(got.Total) / seconds(got.First, got.Last)
	out.behind = max(0, seconds(out.Ended, after.At))
	out.cpu = float64(after.CPU-before.CPU) / float64(w.people)
	return out, nil
}

type flowArgs struct {
	URL      string `json:"url"`
	Messages int    `json:"messages"` // how many will come
}

// flowResult says how callbacks were answered; times count from when each was
// due, so that none that had to wait for its turn is left out.
type flowResult struct {
	P50     float64 `json:"p50"` // ms
	P99     float64 `json:"p99"`
	Worst   float64 `json:"worst"`
	Rate    float64 `json:"rate"` // statuses/s
	Refused int     `json:"refused"`
	Ended   int64   `json:"ended"` // wall clock, ns
}

// flowDelay is how long after a message its statuses come, each that much after
// the one before.
const flowDelay = time.Second

// flow posts each message's statuses one, two and three seconds after it came,
// until all of a number of messages have had theirs.
func (s *sink) flow(ctx context.Context, a flowArgs) (r flowResult, err error) {
	if a.Messages < 1 {
		return r, errors.New("no messages are to come")
	}
	arrived := make(chan arrivedAt, a.Messages)
	s.mu.Lock()
	s.arrived = arrived
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.arrived = nil
		s.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, patience(20*a.Messages))
	defer cancel()
	f := flowing{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: flowers}, Timeout: time.Minute}, url: a.URL}
	defer f.client.CloseIdleConnections()
	var due [statusesEach]chan arrivedAt // by status, each in the order in which they came
	for i := range due {
		due[i] = make(chan arrivedAt, a.Messages)
	}
	var wg sync.WaitGroup
	begun := time.Now()
	wg.Go(func() {
		for range a.Messages {
			select {
			case m := <-arrived:
				for _, d := range due {
					d <- m
				}
			case <-ctx.Done():
			}
		}
		for _, d := range due {
			close(d)
		}
	})
	for kind, d := range due {
		for range flowers / statusesEach {
			wg.Go(func() {
				for m := range d {
					f.post(ctx, m, kind)
				}
			})
		}
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return r, fmt.Errorf("after %s %d of %d statuses had been posted: %w", time.Since(begun).Round(time.Second), len(f.took), a.Messages*statusesEach, err)
	}
	slices.Sort(f.took)
	at := func(p float64) float64 { return float64(f.took[int(p*float64(len(f.took)-1))].Microseconds()) / 1000 }
	return flowResult{P50: at(0.5), P99: at(0.99), Worst: at(1), Refused: f.refused, Ended: time.Now().UnixNano(),
		Rate: float64(len(f.took)) / time.Since(begun).Seconds()}, nil
}

// flowers is how many callbacks are posted at a time, at most.
const flowers = 96

// arrivedAt is a message and when it came.
type arrivedAt struct {
	kept
	at time.Time
}

type flowing struct {
	client *http.Client
	url    string

	mu      sync.Mutex
	took    []time.Duration
	refused int
}

// post waits until a status is due, and posts it.
func (f *flowing) post(ctx context.Context, m arrivedAt, kind int) {
	due := m.at.Add(time.Duration(kind+1) * flowDelay)
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
		return
	}
	body := fmt.Appendf(nil, callbackHead, waba, number)
	body = append(append(body, status(m.kept, kind, m.at.Unix())...), callbackTail...)
	ok := postOne(ctx, f.client, f.url, callback{body, sign(body)})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = append(f.took, time.Since(due))
	if !ok {
		f.refused++
	}
}
