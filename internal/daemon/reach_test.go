package daemon

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"janela/internal/httpapi"
	"janela/internal/store"
)

var sqlTier = store.SQL(`UPDATE numbers SET messaging_limit = ?1`)

// How far the messaging limit is used stands in /metrics and in janela status,
// counted by people; without a limit nothing is said.
func TestReachIsTold(t *testing.T) {
	withCodes(t, codePurposes, func(c *counter) {
		limit := func(tier string) {
			t.Helper()
			err := c.d.DB().Write(context.Background(), func(tx *store.Tx) error { _, err := tx.Exec(sqlTier, tier); return err })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute + time.Second) // a lane with nothing to do looks once a minute
		}
		status := func() *httpapi.MessagingLimit {
			t.Helper()
			w := httptest.NewRecorder()
			c.d.API().ServeHTTP(w, httptest.NewRequestWithContext(httpapi.WithActor(context.Background(), "test"), "GET", "/v1/status", nil))
			var st httpapi.Status
			if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || w.Code != 200 {
				t.Fatalf("%d %s %v", w.Code, w.Body, err)
			}
			return st.MessagingLimit
		}
		limit("TIER_1K")
		for _, s := range []struct {
			to     string
			people string
		}{{ana, "1"}, {bia, "2"}, {ana, "2"}} {
			c.request(s.to, "login", s.to+s.people)
			time.Sleep(time.Minute)
			c.metrics("janela_portfolio_recipients "+s.people, "janela_portfolio_recipients_limit 1000", "janela_portfolio_recipients_reserve 200",
				`janela_portfolio_recipients_left{lane="utility"} 800`, `janela_portfolio_recipients_left{lane="marketing"} 750`)
		}
		if got := status(); got == nil || got.People != 2 || got.Limit != 1000 || got.Reserve != 200 || got.Full || got.Opens != nil ||
			got.Notices != 50 || got.Left != 750 || got.Text != "2 of 1000 people in 24 hours; 200 are kept for codes, 50 for notices" {
			t.Errorf("%+v", got)
		}
		limit("TIER_2")
		c.metrics("janela_portfolio_recipients 2", "janela_portfolio_recipients_limit 2", "janela_portfolio_recipients_reserve 1")
		if got := status(); got == nil || !got.Full || got.Opens == nil || !strings.Contains(got.Text, "campaigns and notices to people who got nothing in that time wait until 20") {
			t.Errorf("full: %+v", got)
		}
		limit("")
		if got := status(); got != nil {
			t.Errorf("without a limit: %+v", got)
		}
		if text := get(c.d.public(), "GET", "/metrics").Body.String(); strings.Contains(text, "janela_portfolio") {
			t.Error("/metrics tells of a limit that nobody knows")
		}
	})
}
