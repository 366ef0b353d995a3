package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const raced = `id = "corrida"
category = "marketing"
[template]
name = "oferta_natal"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.body]]
column = "nome"
[[template.buttons]]
index = 0
type = "quick_reply"
value = "STOP:corrida"
[[template.buttons]]
index = 1
type = "url"
column = "nome"
[recipients]
file = "corrida.csv"
phone_column = "telefone"
[schedule]
at = 2026-11-23T12:05:00
timezone = "UTC"
`

var sqlRaced = store.SQL(`SELECT m.id, m.state, m.reason, m.claimed_at, m.ended_at, e.recorded_at, e.source FROM messages m
	JOIN consent_events e ON e.contact_id = m.contact_id AND e.kind = 'revoke' WHERE m.run_id > 0`)

type racedRow struct {
	id, claimed, ended, revoked int64
	state, reason, source       string
}

func (r *racedRow) Fields() []any {
	return []any{&r.id, &r.state, &r.reason, &r.claimed, &r.ended, &r.revoked, &r.source}
}

// Everybody opts out while a campaign is under way to them, by callbacks, by the
// API, by the command line and by lists. No claim commits after the opt-out did;
// what was queued is cancelled in the opt-out's own transaction; and by the
// sandbox's ledger nobody got what was cancelled. OPTOUTS=10000 for more people.
func TestOptOutsRaceACampaign(t *testing.T) {
	people, err := strconv.Atoi(os.Getenv("OPTOUTS"))
	if err != nil {
		people = 1000
	}
	withCodes(t, "", func(c *counter) {
		ctx := context.Background()
		var numbers []string
		audience := "telefone;nome\n"
		for i := range people {
			numbers = append(numbers, fmt.Sprintf("+551190000%04d", i))
			audience += numbers[i] + ";Ana\n"
		}
		var key string
		for from := 0; from < people; from += 200 {
			err := c.d.DB().Write(ctx, func(tx *store.Tx) (err error) {
				for _, n := range numbers[from:min(from+200, people)] {
					_, err := optin.Record(tx, optin.Grant{Identity: whatsapp.Phone(n).Identity(), Category: whatsapp.Marketing, Source: optin.SourceOperator, Actor: "test", At: tx.Now().Add(-time.Hour)})
					if err != nil {
						return err
					}
				}
				if from == 0 {
					key, _, err = access.NewKey(tx, access.KeyRequest{Client: "crm", Scopes: []string{access.ScopeOptinWrite}, Actor: "test"})
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"corrida.csv": audience, "corrida.toml": raced} {
			if err := os.WriteFile(filepath.Join(c.dir, "campaigns.d", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for tries := 0; c.d.Sandbox().Count() == 0; tries++ {
			if time.Sleep(100 * time.Millisecond); tries == 6000 {
				t.Fatalf("the campaign did not begin:\n%s", c.log.String())
			}
		}
		// Marketing gets some 64 of 80 a second: the opt-outs take three quarters of
		// the time that the campaign would.
		lasts := time.Duration(people) * time.Second / 64 * 3 / 4
		doors := []func(list []string) error{
			func(list []string) error {
				_, err := c.d.Sandbox().Inbound(sandbox.Inbound{From: list[0], Text: "SAIR"})
				return err
			},
			func(list []string) error { return c.byAPI(key, list[0]) },
			func(list []string) error {
				_, err := httpapi.InProcess(c.d.API(), "test").Revoke(ctx, httpapi.RevokeRequest{Phone: list[0], Categories: []string{"marketing"}})
				return err
			},
			func(list []string) error {
				_, err := httpapi.InProcess(c.d.API(), "test").Import(ctx, httpapi.ImportRequest{Name: list[0] + ".csv", Category: "marketing", Revocations: true},
					strings.NewReader("telefone\n"+strings.Join(list, "\n")+"\n"), nil)
				return err
			},
		}
		rand.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		var wg sync.WaitGroup
		for d, door := range doors {
			mine := numbers[d*people/4 : (d+1)*people/4]
			each := 1
			if d == 3 {
				each = 10
			}
			pause := lasts * time.Duration(each) / time.Duration(len(mine))
			wg.Go(func() {
				for len(mine) > 0 {
					n := min(each, len(mine))
					time.Sleep(rand.N(2 * pause))
					if err := door(mine[:n]); err != nil {
						t.Errorf("door %d: %v", d, err)
						return
					}
					mine = mine[n:]
				}
			})
		}
		wg.Wait()
		time.Sleep(5 * time.Minute)
		c.judgeRace(people)
	})
}

// byAPI revokes as a system of the business does.
func (c *counter) byAPI(key, to string) error {
	body, err := json.Marshal(map[string]string{"to": to})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, "http://127.0.0.1:8790/v1/optins", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	return err
}

func (c *counter) judgeRace(people int) {
	c.t.Helper()
	taken := map[int64]bool{} // by Meta
	for _, one := range c.d.Sandbox().Sends() {
		if id, ok := whatsapp.ParseCallbackID(one.Key); ok {
			taken[id.Message] = true
		}
	}
	states, cancelled := map[string]int{}, map[string]int{}
	err := c.d.DB().Read(context.Background(), func(q *store.Snap) error {
		rows, err := store.All[racedRow](q, sqlRaced)
		if len(rows) != people {
			c.t.Errorf("%d messages to people who opted out, want %d", len(rows), people)
		}
		for _, r := range rows {
			states[r.state]++
			switch {
			case r.state == "queued" || r.state == "sending" || r.state == "refused":
				c.t.Errorf("message %d is %s %s, although its person opted out while it was queued (by %s)", r.id, r.state, r.reason, r.source)
			case r.state == "cancelled":
				cancelled[r.source]++
				if r.reason != "opted_out" || r.ended != r.revoked || r.claimed > 0 || taken[r.id] {
					c.t.Errorf("message %d was cancelled (%s) at %d, claimed at %d and taken by Meta %v; the opt-out by %s was at %d", r.id, r.reason, r.ended, r.claimed, taken[r.id], r.source, r.revoked)
				}
			case r.claimed > r.revoked:
				c.t.Errorf("message %d was claimed %d ms after the opt-out by %s", r.id, r.claimed-r.revoked, r.source)
			case !taken[r.id]:
				c.t.Errorf("message %d is %s, and Meta never took it", r.id, r.state)
			}
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Logf("messages %v, cancelled by %v", states, cancelled)
	for _, door := range []string{"whatsapp", "api", "operator", "import"} {
		if n := cancelled[door]; n < people/40 || n > people/4-people/40 {
			c.t.Errorf("by %s %d were cancelled of %d: there was no race", door, n, people/4)
		}
	}
}
