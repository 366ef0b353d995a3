package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// week is a business's week at the sandbox, which has every limit of Meta's: 80
// messages a second, one in six seconds to a person, and so many people in 24
// hours. A campaign wants more people than these; notices and codes come at any
// hour, to new people and to those who have just got something; and every day the
// same people get a notice.
type week struct {
	*house
	box   *sandbox.Sandbox
	limit int
	dice  *rand.Rand
	next  int // the next new person
}

// meet puts the sandbox in Meta's place, in front of the same wire.
func (w *week) meet() {
	plain := func(name, category string) sandbox.Template {
		return sandbox.Template{WABA: waba, Name: name, Language: "pt_BR", Category: category, Status: "APPROVED", Components: json.RawMessage(`[{"type":"BODY","text":"Oi!"}]`)}
	}
	code := plain("codigo", "AUTHENTICATION")
	for _, t := range sandbox.DefaultTemplates(waba) {
		if t.Category == "AUTHENTICATION" {
			code.Components = t.Components
		}
	}
	w.cfg.Reveal = func(context.Context, outbox.Message) (string, string, error) {
		b, err := json.Marshal(whatsapp.AuthCode("123456"))
		return string(b), "", err
	}
	tier := "TIER_" + strconv.Itoa(w.limit)
	profile := sandbox.Quiet()
	profile.ReadChance, profile.Undeliverable, profile.NeverDelivered, profile.Batch = 0, 0.02, 0.01, 100
	profile.AnswerLatency = sandbox.Span{Min: 30 * time.Millisecond, Max: 300 * time.Millisecond}
	profile.StatusDelay = sandbox.Span{Min: 200 * time.Millisecond, Max: 20 * time.Second}
	var err error
	w.box, err = sandbox.New(sandbox.Config{Token: "t", AppSecret: "s", WebhookURL: "http://hook.test/", Transport: w, Seed: 1, Profile: profile,
		RatePerSecond: 80, PairRate: true, MessagingLimit: true,
		WABAs:     []sandbox.WABA{{ID: waba, Numbers: []sandbox.Number{{ID: loja, Display: "+1 202-555-0190", MessagingLimit: tier}, {ID: filial, Display: "+1 202-555-0191", MessagingLimit: tier}}}},
		Templates: []sandbox.Template{plain("oferta", "MARKETING"), plain("aviso", "UTILITY"), code}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server.Handler = w.box
	w.house.limit(tier)
}

// RoundTrip takes the sandbox's callbacks, as intake does.
func (w *week) RoundTrip(r *http.Request) (*http.Response, error) {
	var body struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct {
						ID, Status, Timestamp string
						Callback              string `json:"biz_opaque_callback_data"`
						Errors                []struct{ Code int }
					}
				}
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	err := w.db.Write(r.Context(), func(tx *store.Tx) error {
		var all []outbox.Outcome
		for _, e := range body.Entry {
			for _, c := range e.Changes {
				for _, s := range c.Value.Statuses {
					id, ok := whatsapp.ParseCallbackID(s.Callback)
					at, err := strconv.ParseInt(s.Timestamp, 10, 64)
					if !ok || err != nil {
						return errors.New("a status that is not understood")
					}
					o := outbox.Observation{Message: id.Message, Attempt: id.Attempt, Wamid: whatsapp.Wamid(s.ID), Status: s.Status, At: time.Unix(at, 0), Reason: "drop"}
					if len(s.Errors) > 0 {
						o.Code = s.Errors[0].Code
					}
					out, _, err := outbox.Observe(tx, o)
					if err != nil {
						return err
					}
					all = append(all, out...)
				}
			}
		}
		return errors.Join(w.follow(tx, all), w.d.Outcomes(tx, all))
	})
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, err
}

// hour plays what comes at any hour.
func (w *week) hour(h int) {
	number := func(s *outbox.Stream) { s.Number = []string{loja, filial}[w.dice.IntN(2)] }
	const life = 30 * 24 * time.Hour
	if h%24 == 3 { // the same people every day
		w.queueFor(stream("aviso", number, run(int64(1000+h))), 1, w.limit/20, life)
	}
	for range 3 { // in a day a tenth of the people for codes, and as many for notices
		w.queueFor(stream("codigo", number), w.next, 2, 10*time.Minute)
		w.queueFor(stream("aviso", number), w.next+2, 3, life)
		w.pass(time.Duration(1+w.dice.IntN(10)) * time.Minute)
		w.queueFor(stream("aviso", number), w.next-w.dice.IntN(50), 3, life) // they got something before
		w.next += 5
		w.pass(time.Duration(1+w.dice.IntN(5)) * time.Minute)
	}
	same := stream("aviso", number)
	for range 4 { // five things for one person at once
		w.queueFor(same, w.next, 1, life)
	}
	w.queueFor(stream("codigo", func(s *outbox.Stream) { s.Number = same.Number }), w.next, 1, 10*time.Minute)
	w.next++
	w.pass(time.Until(began.Add(time.Duration(h+1) * time.Hour)))
}

// A week in which everybody wants more than Meta allows: by Meta's own ledger
// there was not one send too many, within a second, to one person, or to new
// people in 24 hours, and at least 95 % of those were used.
func TestSimulatedWeek(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a week of minutes")
	}
	bubble(t, func(h *house) {
		h.ledger = true
		w := &week{house: h, limit: 2000, dice: rand.New(rand.NewPCG(1, 2)), next: 20_001}
		w.meet()
		defer func() { _ = w.box.Close() }()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.rooms.Go(func() { _ = w.box.Run(ctx) })
		w.queueFor(stream("oferta", run(1)), 1, 7*w.limit, 30*24*time.Hour)
		w.start()
		for i := range 7 * 24 {
			w.hour(i)
			if i == 80 { // in the middle of it all
				w.stop()
				w.start()
			}
		}
		w.stop()
		if refused := w.box.Refusals(); len(refused) > 0 {
			t.Errorf("Meta refused messages, by code: %v", refused)
		}
		p := w.box.Peaks()
		if p.PerSecond > 80 || p.People > w.limit || p.Gap < pairGap {
			t.Errorf("too many: %+v", p)
		}
		if used := p.Used / float64(w.limit); used < 0.95 {
			t.Errorf("only %.1f %% of the people were used", 100*used)
		}
		if p.PerSecond < 64 || p.Close < 200 {
			t.Errorf("this shows little: %+v", p)
		}
		t.Logf("%+v; %v", p, w.states())
	})
}
