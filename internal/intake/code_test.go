package intake

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

const caio = "+5511900000003"

// heard is what the room of codes was told.
type heard struct {
	reports []int64
	keys    []string // "message hash"
}

// listen lets the house tell of codes.
func (h *house) listen() *heard {
	var out heard
	h.in.cfg.NotRequested = func(_ *store.Tx, message int64) error { out.reports = append(out.reports, message); return nil }
	h.in.cfg.IdentityKey = func(_ *store.Tx, message int64, hash string) error {
		out.keys = append(out.keys, fmt.Sprint(message, " ", hash))
		return nil
	}
	return &out
}

// anasCode is what Meta calls the message that went to Ana: it names her number.
const anasCode = "wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEkQ5REY3OUE4OTI4NjE5MjUyMAA="

var taps int

// tap is a button pressed under a message.
func (h *house) tap(from, payload, under string) string {
	taps++
	return fmt.Sprintf(`{"from":%q,"id":"wamid.tap%d","timestamp":"%d","type":"button","button":{"payload":%q,"text":"I didn't request a code"},"context":{"from":"12025550190","id":%q}}`,
		digits(from), taps, h.wall().Unix(), payload, under)
}

func TestReportOfACodeThatWasNotRequested(t *testing.T) {
	for _, tt := range []struct {
		name string
		tap  func(h *house) string
		want bool
		note []string
	}{
		{"by the person", func(h *house) string { return h.tap(ana, "DID_NOT_REQUEST_CODE", anasCode) }, true, nil},
		{"by the person under another name that Meta has shown", func(h *house) string {
			h.write(func(tx *store.Tx) error {
				_, err := contacts.Learn(tx, whatsapp.Phone(ana).Identity(), whatsapp.BSUID("BR.1").Identity())
				return err
			})
			taps++
			return fmt.Sprintf(`{"from_user_id":"BR.1","id":"wamid.tap%d","timestamp":"%d","type":"button","button":{"payload":"DID_NOT_REQUEST_CODE","text":"x"},"context":{"id":"`+anasCode+`"}}`, taps, h.wall().Unix())
		}, true, nil},
		{"by somebody else", func(h *house) string { return h.tap(bia, "DID_NOT_REQUEST_CODE", anasCode) }, false, []string{"a code that was not requested went to somebody else"}},
		{"by somebody else who got a code of their own", func(h *house) string { return h.tap(caio, "DID_NOT_REQUEST_CODE", anasCode) }, false, []string{"a code that was not requested went to somebody else"}},
		{"under a message that is not ours", func(h *house) string { return h.tap(ana, "DID_NOT_REQUEST_CODE", "wamid.none") }, false, []string{"a code that was not requested is none of ours"}},
		{"under no message", func(h *house) string { return h.tap(ana, "DID_NOT_REQUEST_CODE", "") }, false, []string{"a code that was not requested is none of ours"}},
		{"under a campaign", func(h *house) string { return h.tap(ana, "DID_NOT_REQUEST_CODE", "wamid.promo") }, false, []string{"a code that was not requested is no code"}},
		{"another button", func(h *house) string { return h.tap(ana, "OTHER", anasCode) }, false, nil},
		{"a text with these words", func(h *house) string { return h.text(ana, "DID_NOT_REQUEST_CODE") }, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			heard := h.listen()
			code := h.sent(ana, "codigo", whatsapp.Authentication, anasCode)
			h.sent(caio, "codigo", whatsapp.Authentication, "wamid.caio")
			h.sent(ana, "oferta", whatsapp.Marketing, "wamid.promo")
			body := tt.tap(h)
			h.deliver(envelope("messages", messages(body)))
			var wanted []int64
			if tt.want {
				wanted = []int64{code}
			}
			want(t, "reports", heard.reports, wanted)
			want(t, "notes", h.applied(), tt.note)
			want(t, "counted as unknown", h.in.Stats.UnknownEvents.Load(), int64(len(tt.note)))
			want(t, "codes are still allowed", h.may(ana, whatsapp.Authentication), true)

			h.pass(time.Second)
			h.deliver(envelope("messages", messages(body), "messages", messages(h.text(bia, "Oi")))) // Meta tells it again, among others
			want(t, "reports after it came again", heard.reports, wanted)
		})
	}
}

// The tap is a message of the person: Meta says that every one opens the window.
func TestReportOpensTheServiceWindow(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.sent(ana, "codigo", whatsapp.Authentication, anasCode)
	h.deliver(envelope("messages", messages(h.tap(ana, "DID_NOT_REQUEST_CODE", anasCode))))
	want(t, "the window is open", h.window(ana).Open, true)
}

// The answer to a code was lost, and the callback that tells of it brings the
// report as well: the status gives the message its name first.
func TestReportOfACodeWhoseAnswerWasLost(t *testing.T) {
	h := newHouse(t)
	heard := h.listen()
	code := h.queue(ana, "codigo", whatsapp.Authentication)
	h.claim(code)
	h.settle(code, outbox.Unknown, "")
	h.deliver(envelope("messages", statuses(h.status("wamid.late", "delivered", h.callback(code), ana)),
		"messages", messages(h.tap(ana, "DID_NOT_REQUEST_CODE", "wamid.late"))))
	want(t, "reports", heard.reports, []int64{code})
	h.applied()
}

func TestIdentityKeys(t *testing.T) {
	h := newHouse(t)
	heard := h.listen()
	key := func(hash string) string { return fmt.Sprintf(`"recipient_identity_key_hash":%q`, hash) }
	code := h.sent(ana, "codigo", whatsapp.Authentication, anasCode)
	promo := h.sent(bia, "oferta", whatsapp.Marketing, "wamid.promo")
	h.deliver(envelope("messages", statuses(
		h.status(anasCode, "sent", h.callback(code), ana),
		h.status(anasCode, "delivered", h.callback(code), ana, key("k1")),
		h.status("wamid.promo", "delivered", h.callback(promo), bia, key("k2")), // codes only
		h.status("wamid.foreign", "delivered", "", caio, key("k3")),             // somebody else's
	)))
	h.pass(time.Second)
	h.deliver(envelope("messages", statuses(h.status(anasCode, "read", h.callback(code), ana, key("k4")))))
	want(t, "keys", heard.keys, []string{fmt.Sprint(code, " k1"), fmt.Sprint(code, " k4")})
	h.applied()
}

// Nobody who asks for codes: nothing of it disturbs a callback.
func TestCodesWithoutListeners(t *testing.T) {
	h := newHouse(t)
	code := h.sent(ana, "codigo", whatsapp.Authentication, anasCode)
	h.deliver(envelope("messages", statuses(h.status(anasCode, "delivered", h.callback(code), ana, `"recipient_identity_key_hash":"k"`)),
		"messages", messages(h.tap(ana, "DID_NOT_REQUEST_CODE", anasCode))))
	want(t, "notes", h.applied(), nil)
	if m := h.message(code); m.State != outbox.Delivered {
		t.Errorf("the code is %s", m.State)
	}
}

// long makes a callback of n statuses with a STOP and something unknown behind
// them, and the messages that they are about.
func (h *house) long(n int) (body string, ids []int64) {
	var list []string
	h.write(func(tx *store.Tx) error { // one after the other would take seconds
		s, err := outbox.OpenStream(tx, outbox.Stream{Number: loja, WABA: waba, Category: whatsapp.Marketing, Template: "oferta", Language: "pt_BR"})
		for i := 0; i < n && err == nil; i++ {
			phone, wamid := whatsapp.Phone(fmt.Sprintf("+55119000%05d", 100+i)), whatsapp.Wamid(fmt.Sprintf("wamid.long%d", i))
			var c contacts.Contact
			if c, _, err = contacts.Ensure(tx, phone.Identity()); err != nil {
				return err
			}
			var made []int64
			if made, _, err = outbox.Enqueue(tx, s, []outbox.New{{Contact: c.ID, To: phone.Identity(), Params: "[]"}}); err != nil {
				return err
			}
			var m outbox.Message
			if m, _, err = outbox.ByID(tx, made[0]); err != nil {
				return err
			}
			if _, _, err = outbox.Apply(tx, s, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
				return err
			}
			_, err = outbox.Settle(tx, []outbox.Result{{Message: m.ID, Attempt: 1, To: outbox.Accepted, Wamid: wamid, At: tx.Now()}})
			ids = append(ids, m.ID)
			list = append(list, h.status(string(wamid), "delivered", h.callback(m.ID), string(phone)))
		}
		return err
	})
	return envelope("messages", statuses(list...), "messages", messages(h.text(ana, "PARAR")), "news", `{"x":1}`), ids
}

// However much a callback tells, no transaction holds more than a hundred
// events of it; the STOP in it comes before all of them.
func TestLongCallbackGoesInParts(t *testing.T) {
	h := newHouse(t)
	body, ids := h.long(2*perTurn + 50)
	h.sent(ana, "oferta", whatsapp.Marketing, "wamid.ana")
	c, _ := h.contact(whatsapp.Phone(ana).Identity())
	per := map[*store.Tx]int{}
	var order []*store.Tx
	h.onTell = func(tx *store.Tx, out []outbox.Outcome) error {
		if per[tx] == 0 {
			order = append(order, tx)
			if st, err := optin.Current(tx, c.ID, whatsapp.Marketing, optin.Scopes("loja", "")); err != nil || st.Granted {
				t.Errorf("a part of the callback was applied before the STOP, %v", err)
			}
		}
		per[tx] += len(out)
		return nil
	}
	h.deliver(body, envelope("messages", messages(h.text(bia, "Oi"))))
	var got []int
	for _, tx := range order {
		got = append(got, per[tx])
	}
	want(t, "outcomes per transaction", got, []int{perTurn, perTurn, 50})
	want(t, "notes", h.applied(), []string{"news: the field is not known"})
	want(t, "applied", h.in.Stats.Applied.Load(), int64(2))
	want(t, "unknown", h.in.Stats.UnknownEvents.Load(), int64(1))
	for _, id := range ids {
		if m := h.message(id); m.State != outbox.Delivered {
			t.Fatalf("message %d is %s", id, m.State)
		}
	}
}

// One that breaks off in the middle begins anew, and ends as if it had not.
func TestLongCallbackThatBreaksOff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		state string
		left  int // messages that nobody told of
	}{
		{"a full disk", fmt.Errorf("write: %w", sqlite3.Error{Code: sqlite3.ErrFull}), "applied", 0},
		{"a poison", errors.New("a follower cannot take this"), "failed", 2*perTurn + 50 - perTurn},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			body, ids := h.long(2*perTurn + 50)
			times := 0
			h.onTell = func(_ *store.Tx, out []outbox.Outcome) error {
				for _, o := range out {
					if o.Message == ids[perTurn+20] && (times == 0 || !store.Passing(tt.err)) {
						times++
						return tt.err
					}
				}
				return nil
			}
			h.post(body, sign(secret, body))
			other := envelope("messages", messages(h.text(bia, "SAIR")))
			h.post(other, sign(secret, other))
			for range 3 {
				if _, err := h.in.applyStored(t.Context()); err != nil && !store.Passing(err) {
					t.Fatal(err)
				}
			}
			rows := h.rows()
			want(t, "states", []string{rows[0].State, rows[1].State}, []string{tt.state, "applied"})
			if times == 0 {
				t.Error("it never broke off")
			}
			left := 0
			for _, id := range ids {
				if h.message(id).State != outbox.Delivered {
					left++
				}
			}
			want(t, "messages without their status", left, tt.left)
			for _, phone := range []string{ana, bia} {
				if h.may(phone, whatsapp.Marketing) {
					t.Errorf("a STOP was lost")
				}
			}
		})
	}
}
