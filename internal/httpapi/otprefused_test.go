package httpapi

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

// writings are everything that a request for a code may write, as text.
var writings = []*store.Stmt{
	store.SQL(`SELECT 'challenge ' || id || ' ' || state || ' ' || gen || ' ' || resends || ' ' || seed FROM challenges ORDER BY id`),
	store.SQL(`SELECT 'message ' || id || ' ' || state FROM messages ORDER BY id`),
	store.SQL(`SELECT 'send ' || message_id || ' ' || counted FROM code_sends ORDER BY message_id`),
	store.SQL(`SELECT 'count ' || scope || ' ' || bucket || ' ' || sent FROM code_counts ORDER BY scope, bucket`),
	store.SQL(`SELECT 'range ' || prefix_key || ' ' || bucket || ' ' || sent FROM code_ranges ORDER BY prefix_key, bucket`),
	store.SQL(`SELECT 'rate ' || key || ' ' || tat FROM code_rates ORDER BY key`),
	store.SQL(`SELECT 'phone ' || phone_key || ' ' || changed_at FROM code_phones ORDER BY phone_key`),
	store.SQL(`SELECT 'contact ' || id FROM contacts ORDER BY id`),
	store.SQL(`SELECT 'consent ' || id FROM consent_events ORDER BY id`),
	store.SQL(`SELECT 'reply ' || route || ' ' || status FROM idempotent_replies ORDER BY route, key`),
}

func (d *desk) writings() (out []string) {
	d.t.Helper()
	err := d.db.Read(context.Background(), func(q *store.Snap) error {
		for _, s := range writings {
			rows, err := store.All[store.Col[string]](q, s)
			if err != nil {
				return err
			}
			for _, r := range rows {
				out = append(out, r.V)
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

var setTemplate = store.SQL(`UPDATE templates SET status = ?1, category = ?2`)

// A request that is refused has done nothing: no consent is recorded of its
// evidence, no contact is made, no limit is charged, nothing is queued, nothing
// of the session's own is superseded, and its key is free for another try.
func TestRefusedHasDoneNothing(t *testing.T) {
	template := func(status, category string) func(d *desk) {
		return func(d *desk) {
			d.write(func(tx *store.Tx) error { _, err := tx.Exec(setTemplate, status, category); return err })
		}
	}
	hold := func(scope outbox.Scope, target string) func(d *desk) {
		return func(d *desk) {
			d.write(func(tx *store.Tx) error {
				_, err := outbox.Place(tx, outbox.Hold{Scope: scope, Target: target, Reason: "paused"})
				return err
			})
		}
	}
	const bare = `{"to":"+5511900000070","purpose":"login","client_ip":"203.0.113.7"}`
	for _, c := range []struct {
		name, path, body string
		before           func(d *desk)
		status           int
		code             string
	}{
		{"nobody agreed", "/v1/otp", bare, nil, 403, otp.CodeNoOptIn},
		{"refused once, and evidence", "/v1/otp", requestFor("+5511900000070"), func(d *desk) {
			d.agreed("+5511900000070")
			d.write(func(tx *store.Tx) error {
				_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{whatsapp.Phone("+5511900000070").Identity()},
					Categories: []whatsapp.Category{whatsapp.Authentication}, Source: optin.SourceOperator, Actor: "test", At: tx.Now()})
				return err
			})
		}, 403, otp.CodeOptedOut},
		{"template paused, and evidence", "/v1/otp", requestFor("+5511900000070"), template("PAUSED", "authentication"), 503, otp.CodeChannel},
		{"template of another category, and evidence", "/v1/otp", requestFor("+5511900000070"), template("APPROVED", "marketing"), 503, otp.CodeChannel},
		{"held, and evidence", "/v1/otp", requestFor("+5511900000070"), hold(outbox.ScopeNumber, loja), 503, otp.CodeChannel},
		{"evidence of tomorrow", "/v1/otp", `{"to":"+5511900000070","purpose":"login","client_ip":"203.0.113.7","consent":{"source":"form","at":"2030-01-01T00:00:00Z"}}`,
			nil, 400, otp.CodeMalformed},
		{"too soon, by the same session", "/v1/otp", `{"to":"+5511900000060","purpose":"login","client_ip":"203.0.113.7","binding":"s"}`, nil, 429, otp.CodeRateLimited},
		{"resend, template paused", "resend", "", func(d *desk) {
			d.advance(time.Minute)
			template("PAUSED", "authentication")(d)
		}, 503, otp.CodeChannel},
		{"resend too soon", "resend", "", nil, 429, otp.CodeRateLimited},
		{"resend by another way", "resend", `{"channel":"sms"}`, func(d *desk) { d.advance(time.Minute) }, 403, otp.CodeFallbackDisabled},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t, otp.DefaultLimits(), nil).open()
			d.agreed("+5511900000060")
			open := d.ask("POST", "/v1/otp", "app", `{"to":"+5511900000060","purpose":"login","client_ip":"203.0.113.7","binding":"s"}`, "Idempotency-Key", "open").want(t, 202)
			if c.before != nil {
				c.before(d)
			}
			path, was := c.path, d.writings()
			if path == "resend" {
				path = "/v1/otp/" + open.ID + "/resend"
			}
			for range 2 { // the second is no repeat of a kept answer
				a := d.ask("POST", path, "app", c.body, "Idempotency-Key", "key")
				if a.wantCode(t, c.status, c.code); a.header.Get("Idempotency-Replayed") != "" {
					t.Errorf("the refusal was kept: %v", a.header)
				}
				if diff := cmp.Diff(was, d.writings()); diff != "" {
					t.Errorf("something was written:\n%s", diff)
				}
			}
		})
	}
}

// What is kept for repeats of a request that waited is the answer from before
// the wait.
func TestRepeatOfARequestThatWaited(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		body, key := requestFor(d.phone()), unique()
		var other sync.WaitGroup
		other.Go(func() {
			time.Sleep(time.Second)
			d.accept(d.newest())
		})
		first, _ := d.here(t.Context(), "POST", "/v1/otp", body, "Idempotency-Key", key, "Prefer", "wait=3")
		other.Wait()
		again, took := d.here(t.Context(), "POST", "/v1/otp", body, "Idempotency-Key", key, "Prefer", "wait=3")
		one, two := first.want(t, 202), again.want(t, 202)
		if one.Delivery.State != "accepted" || two.Delivery.State != "queued" || one.ID != two.ID || took != 0 || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("first %s\nagain %s after %v", first.body, again.body, took)
		}
	})
}

// Meta delivers codes to phone numbers only: who sends a user id is told so, and
// why.
func TestUserIDsAreRefusedClearly(t *testing.T) {
	d := newDesk(t, unlimited(), nil).open()
	for _, to := range []string{"BR.1502abc", "US.13491208655302741918"} {
		p := d.ask("POST", "/v1/otp", "app", requestFor(to), "Idempotency-Key", unique()).wantCode(t, 400, otp.CodeInvalidPhone)
		if !strings.HasSuffix(p.Detail, "Meta delivers codes to phone numbers only (131062)") {
			t.Errorf("%q", p.Detail)
		}
	}
}
