package crashtest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"janela/internal/sandbox"
	"janela/internal/store"
)

var (
	sqlStops = store.SQL(`SELECT i.value FROM consent_events e JOIN identities i ON i.contact_id = e.contact_id WHERE e.kind = 'revoke' AND i.kind = 'phone'`)
	// Statuses of the confirmations come until the very end.
	sqlUnapplied = store.SQL(`SELECT COUNT(*) FROM callbacks WHERE state <> 'applied' AND CAST(body AS TEXT) LIKE '%SAIR%'`)
)

// A callback that was answered 200 is on disk, however the process ends: people
// write SAIR while it is killed again and again, and every one whose callback was
// taken has stopped, once, at the end.
func TestTakenCallbacksSurviveKills(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	w := newWorld(t, 1, sandbox.Quiet())
	var mu sync.Mutex
	taken, next := map[string]bool{}, 0
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	client := &http.Client{Timeout: 2 * time.Second}
	for range 8 {
		writing.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				if next >= 8_900 { // the numbers for examples end
					mu.Unlock()
					return
				}
				phone := fmt.Sprintf("+551190000%04d", 1000+next)
				next++
				mu.Unlock()
				if w.says(client, phone) {
					mu.Lock()
					taken[phone] = true
					mu.Unlock()
				} else {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	for range setting("CRASH_KILLS", 6) {
		cmd := w.start()
		time.Sleep(time.Duration(400+rand.IntN(500)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	stop()
	writing.Wait()
	left := int64(1)
	for tries := 0; left > 0 && tries < 10; tries++ {
		cmd := w.start()
		time.Sleep(3 * time.Second)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		left = w.unapplied()
	}
	if left > 0 {
		t.Errorf("%d callbacks were not applied", left)
	}
	db := w.openStore()
	defer db.Close()
	stopped := map[string]int{}
	err := db.Read(t.Context(), func(q *store.Snap) error {
		return store.Each(q, sqlStops, func(c *store.Col[string]) error { stopped[c.V]++; return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d callbacks were posted, %d were taken", next, len(taken))
	if len(taken) < 50 || len(taken) == next {
		t.Errorf("the kills met nothing: %d posted, %d taken", next, len(taken))
	}
	for phone := range taken {
		if stopped[phone] != 1 {
			t.Errorf("%s…%s: the callback was answered 200, and the person has stopped %d times", phone[:3], phone[len(phone)-2:], stopped[phone])
		}
	}
	if t.Failed() {
		t.Logf("the daemon said:\n%s", w.logs.String())
	}
}

// openStore opens the database that the daemon has left.
func (w *world) openStore() *store.DB {
	w.t.Helper()
	db, err := store.Open(context.Background(), store.Config{Path: filepath.Join(w.dir, "janela.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

// unapplied counts the callbacks with a STOP that wait to be applied.
func (w *world) unapplied() (n int64) {
	w.t.Helper()
	db := w.openStore()
	defer db.Close()
	err := db.Read(context.Background(), func(q *store.Snap) (err error) {
		n, _, err = store.Value[int64](q, sqlUnapplied)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// says posts what Meta posts when somebody writes SAIR, and says whether it was
// taken.
func (w *world) says(client *http.Client, phone string) bool {
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":%q,"changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"display_phone_number":"12025550100","phone_number_id":%q},"messages":[{"from":%q,"id":"wamid.%s","timestamp":"%d","type":"text","text":{"body":"SAIR"}}]}}]}]}`,
		waba, number, strings.TrimPrefix(phone, "+"), strings.TrimPrefix(phone, "+"), time.Now().Unix())
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(body))
	r, err := http.NewRequest(http.MethodPost, w.door()+"/webhooks/whatsapp", strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return false
	}
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
