package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// plainBody is how many bytes the plain loop's message has: that of a template
// with two values and a callback id.
const plainBody = 484

// plainFlights is how many requests the plain loop has in flight: what loopback
// carries best.
const plainFlights = 16

type plainArgs struct {
	Graph string `json:"graph"`
	N     int    `json:"n"`
}

// PlainRun is one run of the plain loop.
type PlainRun struct {
	Seconds float64 `json:"seconds"`
	CPU     int64   `json:"cpu"` // µs
}

// plainLoop posts the same message n times and reads every answer, and does
// nothing else.
func plainLoop(ctx context.Context, a plainArgs) (PlainRun, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: plainFlights}}
	defer client.CloseIdleConnections()
	body, url := plainMessage(), a.Graph+"/v25.0/"+number+"/messages"
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(a.N))
	before, begun := usageNow(), time.Now()
	var wg sync.WaitGroup
	for range plainFlights {
		wg.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				if err := plainRequest(ctx, client, url, body); err != nil {
					cancel(fmt.Errorf("the plain loop: %w", err))
				}
			}
		})
	}
	wg.Wait()
	run := PlainRun{Seconds: time.Since(begun).Seconds(), CPU: usageNow().CPU - before.CPU}
	return run, context.Cause(ctx)
}

func plainRequest(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the sink answered %s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func plainMessage() []byte {
	text := func(s string) []byte {
		return cloudapi.AppendMessage(nil, cloudapi.Message{To: whatsapp.Phone("+12025550123").Identity(), Callback: "j1.abcdefghijkl.222801522540545.1",
			Template: &cloudapi.TemplateSend{Name: template, Language: language,
				Components: fmt.Sprintf(`[{"type":"body","parameters":[{"type":"text","text":"Ana"},{"type":"text","text":"%s"}]}]`, s)}})
	}
	return text(strings.Repeat("x", plainBody-len(text(""))))
}
