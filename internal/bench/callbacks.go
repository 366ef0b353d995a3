package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// kept is what a status says of a message.
type kept struct {
	to, callback string
	n            uint64
}

// callback is a body with its signature.
type callback struct {
	body      []byte
	signature string
}

// callbacks makes the statuses of messages, batch of them in a body: of some
// hundred messages first all sent, then all delivered, then all read, as they
// come when a campaign runs.
func callbacks(all []kept, batch int) (out []callback) {
	const together = 500
	now := time.Now().Unix()
	var items [][]byte
	for i := 0; i < len(all); i += together {
		for s := range statusesEach {
			for _, k := range all[i:min(i+together, len(all))] {
				items = append(items, status(k, s, now))
			}
		}
	}
	for i := 0; i < len(items); i += batch {
		body := fmt.Appendf(nil, callbackHead, waba, number)
		body = append(body, bytes.Join(items[i:min(i+batch, len(items))], []byte(","))...)
		body = append(body, callbackTail...)
		out = append(out, callback{body, sign(body)})
	}
	return out
}

// What stands around the statuses of a callback: account and number come in.
const (
	callbackHead = `{"object":"whatsapp_business_account","entry":[{"id":"%s","changes":[{"value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"12025550100","phone_number_id":"%s"},"statuses":[`
	callbackTail = `]},"field":"messages"}]}]}`
)

// status is one as v24.0 and later write it: priced where Meta prices.
func status(k kept, kind int, now int64) []byte {
	item := append(appendWamid([]byte(`{"id":"`), []byte(k.to), k.n), `","status":"`...)
	item = append(item, [...]string{"sent", "delivered", "read"}[kind]...)
	item = fmt.Appendf(item, `","timestamp":"%d","recipient_id":"%s","biz_opaque_callback_data":"%s"`, now+int64(kind), k.to, k.callback)
	if kind < 2 {
		item = append(item, `,"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}`...)
	}
	return append(item, '}')
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// keep makes the sink remember what a status needs; reset forgets it.
func (s *sink) keep(context.Context, struct{}) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keeping = true
	return true, nil
}

// postArgs say which messages' statuses go where; messages are counted in the
// order in which they came.
type postArgs struct {
	URL   string `json:"url"`
	Batch int    `json:"batch"`
	From  int    `json:"from"`
	To    int    `json:"to"`
}

// prepare makes the callbacks beforehand, so that posting them is all that post
// does.
func (s *sink) prepare(_ context.Context, a postArgs) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.From < 0 || a.To > len(s.kept) || a.From >= a.To || a.Batch < 1 {
		return 0, fmt.Errorf("messages %d to %d, and there are %d", a.From, a.To, len(s.kept))
	}
	s.url, s.ready = a.URL, callbacks(s.kept[a.From:a.To], a.Batch)
	return len(s.ready), nil
}

type postResult struct {
	Begun   int64   `json:"begun"` // wall clock, ns
	Seconds float64 `json:"seconds"`
	Refused int64   `json:"refused"` // not answered 200
}

// post posts what was prepared, 16 at a time, and returns when all is answered.
func (s *sink) post(ctx context.Context, _ struct{}) (r postResult, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: plainFlights}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var next, refused atomic.Int64
	begun := time.Now()
	var wg sync.WaitGroup
	for range plainFlights {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(s.ready) {
					return
				}
				if !postOne(ctx, client, s.url, s.ready[i]) {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return postResult{begun.UnixNano(), time.Since(begun).Seconds(), refused.Load()}, ctx.Err()
}

func postOne(ctx context.Context, client *http.Client, url string, c callback) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(c.body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", c.signature)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

type decodeArgs struct {
	Batch int `json:"batch"`
	N     int `json:"n"` // statuses
}

// statusCallback is what a plain receiver decodes.
type statusCallback struct {
	Object string
	Entry  []struct {
		ID      string
		Changes []struct {
			Field string
			Value struct {
				Metadata struct {
					PhoneNumberID string `json:"phone_number_id"`
				}
				Statuses []struct {
					ID, Status, Timestamp string
					RecipientID           string `json:"recipient_id"`
					Callback              string `json:"biz_opaque_callback_data"`
					Pricing               *struct {
						Billable *bool
						Model    string `json:"pricing_model"`
						Type     string
						Category string
					}
				}
			}
		}
	}
}

// decodeLoop verifies and decodes callbacks in one goroutine, and does nothing
// else.
func decodeLoop(_ context.Context, a decodeArgs) (PlainRun, error) {
	messages := make([]kept, a.N/statusesEach)
	for i := range messages {
		messages[i] = kept{phone(uint64(i)).Digits(), "j1.abcdefghijkl." + strconv.Itoa(222801522540545+i) + ".1", uint64(i)}
	}
	all := callbacks(messages, a.Batch)
	before, begun := usageNow(), time.Now()
	n := 0
	for _, c := range all {
		if !hmac.Equal([]byte(sign(c.body)), []byte(c.signature)) {
			return PlainRun{}, errors.New("a signature is wrong")
		}
		var v statusCallback
		if err := json.Unmarshal(c.body, &v); err != nil {
			return PlainRun{}, err
		}
		n += len(v.Entry[0].Changes[0].Value.Statuses)
	}
	run := PlainRun{Seconds: time.Since(begun).Seconds(), CPU: usageNow().CPU - before.CPU}
	if n != len(messages)*statusesEach {
		return PlainRun{}, fmt.Errorf("%d statuses were decoded, and there were %d", n, len(messages)*statusesEach)
	}
	return run, nil
}
