package intake

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// confirmation is what the house of these tests says to who stops.
func confirmation(k optin.Keyword) string {
	switch {
	case k.Codes:
		return "no codes " + k.Language
	case k.All:
		return "nothing " + k.Language
	default:
		return "no offers " + k.Language
	}
}

var sqlService = store.SQL(`SELECT m.params, m.kind, m.state, m.deadline FROM messages m JOIN streams s ON s.id = m.stream_id WHERE s.category = 'service' ORDER BY m.id`)

type answer struct {
	text, kind, state string
	deadline          int64
}

func (a *answer) Fields() []any { return []any{&a.text, &a.kind, &a.state, &a.deadline} }

// answers are the free-form texts that were queued.
func (h *house) answers() (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		all, err := store.All[answer](q, sqlService)
		for _, a := range all {
			out = append(out, a.text+" to "+a.kind)
			if a.state != "queued" || a.deadline <= store.Millis(h.wall()) {
				h.t.Errorf("the answer %+v cannot leave", a)
			}
		}
		return err
	})
	return out
}

func TestStopIsConfirmedOnce(t *testing.T) {
	h := newHouse(t)
	h.grant(ana, whatsapp.Marketing)
	h.grant(ana, whatsapp.Utility)
	said := func(words string) string { return envelope("messages", messages(h.text(ana, words))) }
	first := said("Sair!")
	h.deliver(first, first)
	want(t, "after SAIR", h.answers(), []string{"no offers pt_BR to phone"})
	// The same message in another callback, as after a failure, and the same word
	// again: nothing new.
	h.deliver(strings.Replace(first, `"entry"`, ` "entry"`, 1))
	h.pass(time.Minute)
	h.deliver(said("STOP"), said("PARAR"))
	want(t, "after repeating", h.answers(), []string{"no offers pt_BR to phone"})
	// More than before: said once more.
	h.pass(time.Minute)
	h.deliver(said("SAIR DE TUDO"))
	h.deliver(said("STOP ALL"))
	want(t, "after SAIR DE TUDO", h.answers(), []string{"no offers pt_BR to phone", "nothing pt_BR to phone"})
	want(t, "utility", h.may(ana, whatsapp.Utility), false)
	// Who signed up again and stops again hears it again.
	h.pass(time.Minute)
	h.deliver(said("quero receber"))
	want(t, "signed up again", h.may(ana, whatsapp.Marketing), true)
	h.pass(time.Minute)
	h.deliver(said("no more messages"))
	want(t, "after signing up and stopping", h.answers(), []string{"no offers pt_BR to phone", "nothing pt_BR to phone", "no offers en to phone"})
	want(t, "notes", h.applied(), nil)
}

func TestWhoIsConfirmed(t *testing.T) {
	user := func(words string) string {
		return envelope("messages", messages(fmt.Sprintf(`{"from_user_id":"BR.222","id":"wamid.u","timestamp":"%d","type":"text","text":{"body":%q}}`, began.Unix(), words)))
	}
	for _, tt := range []struct {
		name string
		body func(h *house) string
		want []string
	}{
		{"who never agreed", func(h *house) string { return envelope("messages", messages(h.text(bia, "baja"))) }, []string{"no offers es to phone"}},
		{"who shows no number", func(*house) string { return user("STOP") }, []string{"no offers en to bsuid"}},
		{"codes", func(h *house) string { return envelope("messages", messages(h.text(bia, "parar códigos"))) }, []string{"no codes pt_BR to phone"}},
		{"by a button", func(*house) string {
			return envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.b","timestamp":"%d","type":"button","button":{"payload":"STOP:natal26","text":"Chega"}}`, began.Unix())))
		}, []string{"no offers en to phone"}},
		{"a button that cancels something else", func(*house) string {
			return envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.b","timestamp":"%d","type":"button","button":{"payload":"pedido-7","text":"Cancelar"}}`, began.Unix())))
		}, nil},
		{"who wrote a day ago", func(h *house) string {
			return envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.o","timestamp":"%d","type":"text","text":{"body":"SAIR"}}`, began.Add(-24*time.Hour+time.Minute).Unix())))
		}, nil},
		{"on a number that is not ours", func(h *house) string {
			return strings.ReplaceAll(envelope("messages", messages(h.text(ana, "SAIR"))), loja, "299999999999999")
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(tt.body(h))
			want(t, "answers", h.answers(), tt.want)
			want(t, "notes", h.applied(), nil)
		})
	}
}

// A callback of more events than one transaction takes: the answer waits for no
// other, because the window it needs is written with it.
func TestConfirmationOfALongCallback(t *testing.T) {
	h := newHouse(t)
	var list []string
	for i := range perTurn + 50 {
		list = append(list, fmt.Sprintf(`{"from":"55119%08d","id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":"Oi"}}`, i+10, i, began.Unix()))
	}
	h.deliver(envelope("messages", messages(append(list, h.text(ana, "SAIR"))...)))
	want(t, "answers", h.answers(), []string{"no offers pt_BR to phone"})
	want(t, "window", h.window(ana).Open, true)
}

func (h *house) reviews() (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		all, err := optin.OpenReviews(q, 0, 100)
		for _, r := range all {
			out = append(out, r.Hint.Rule+": "+r.Text)
		}
		return err
	})
	return out
}

// What may mean a STOP goes on the list, revokes nothing, and comes there once.
func TestDoubtsAreListed(t *testing.T) {
	h := newHouse(t)
	h.grant(ana, whatsapp.Marketing)
	h.grant(bia, whatsapp.Marketing)
	doubt := envelope("messages", messages(h.text(ana, "parem de me mandar mensagem")))
	h.deliver(doubt, envelope("messages", messages(h.text(bia, "não me mande mais boletos"))),
		envelope("messages", messages(h.text(bia, "¿dónde doy de baja la pauta?"))))
	want(t, "reviews", h.reviews(), []string{"stop_sending: parem de me mandar mensagem"})
	want(t, "nothing is revoked", h.may(ana, whatsapp.Marketing), true)
	want(t, "no answer", h.answers(), nil)
	h.write(func(tx *store.Tx) error {
		all, err := optin.OpenReviews(tx, 0, 1)
		if err != nil {
			return err
		}
		_, _, err = optin.DecideReview(tx, all[0].ID, false, "operator")
		return err
	})
	h.deliver(strings.Replace(doubt, `"entry"`, ` "entry"`, 1))
	want(t, "the message that was decided, again", h.reviews(), nil)
	h.pass(time.Minute)
	h.deliver(envelope("messages", messages(h.text(ana, "já pedi pra parar!"))))
	if got := h.reviews(); len(got) != 1 {
		t.Errorf("another message: %v", got)
	}
	// A clear word ends it.
	h.pass(time.Minute)
	h.deliver(envelope("messages", messages(h.text(ana, "sair"))))
	want(t, "after a STOP", h.reviews(), nil)
	want(t, "marketing", h.may(ana, whatsapp.Marketing), false)
}

// Nobody's button under a code is a doubt, and no system message is.
func TestWhatIsNoDoubt(t *testing.T) {
	h := newHouse(t)
	h.deliver(envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.c","timestamp":"%d","type":"button","button":{"payload":"DID_NOT_REQUEST_CODE","text":"Nunca autorizei"}}`, began.Unix()))))
	h.deliver(envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.s","timestamp":"%d","type":"system","system":{"body":"pare de me mandar mensagens","type":"customer_identity_changed"}}`, began.Unix()))))
	want(t, "reviews", h.reviews(), nil)
}

// The word of an offer is a grant whose proof is the message and what was
// published; a STOP later wins, a STOP before it does not.
func TestWordsThatSignUp(t *testing.T) {
	h := newHouse(t)
	h.deliver(envelope("messages", messages(h.text(ana, "parem de me mandar mensagem"))))
	want(t, "a doubt from before", len(h.reviews()), 1)
	h.pass(time.Minute)
	body := envelope("messages", messages(h.text(ana, "¡Quero receber!")))
	h.deliver(body, strings.Replace(body, `"entry"`, ` "entry"`, 1))
	want(t, "marketing", h.may(ana, whatsapp.Marketing), true)
	want(t, "utility", h.may(ana, whatsapp.Utility), true)
	want(t, "codes", h.may(ana, whatsapp.Authentication), false)
	want(t, "the doubt is settled", h.reviews(), nil)
	h.read(func(q *store.Snap) error {
		c, _ := h.contact(whatsapp.Phone(ana).Identity())
		events, err := optin.History(q, c.ID)
		if err != nil || len(events) != 2 {
			t.Fatalf("%d events: %v", len(events), err)
		}
		id, _, err := store.Value[int64](q, sqlInboundOf, "wamid.in-"+strings.Split(strings.Split(body, "wamid.in-")[1], `"`)[0])
		for _, e := range events {
			if e.Evidence.Message != fmtID(id) || e.Evidence.Version != "v3" || !strings.Contains(e.Evidence.Text, "QUERO RECEBER") ||
				e.Purpose != "ofertas" || e.Source != optin.SourceWhatsApp || e.Actor != "person" {
				t.Errorf("event %+v, of message %d", e, id)
			}
		}
		return err
	})
	h.deliver(envelope("messages", messages(h.text(bia, "quero receber o boleto"))))
	want(t, "a sentence with the word", h.may(bia, whatsapp.Marketing), false)
	h.pass(time.Minute)
	h.deliver(envelope("messages", messages(h.text(ana, "SAIR"))))
	want(t, "a STOP later", h.may(ana, whatsapp.Marketing), false)
	h.deliver(body) // however often it comes
	want(t, "the old word again", h.may(ana, whatsapp.Marketing), false)
}

var sqlInboundOf = store.SQL(`SELECT id FROM inbound_messages WHERE wamid = ?1`)

// A person who shows no number stops the phone that was once seen with their id.
func TestStopWithoutANumberReachesThePhone(t *testing.T) {
	h := newHouse(t)
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	h.deliver(envelope("messages", statuses(h.status("wamid.a", "sent", h.callback(id), ana, `"recipient_user_id":"BR.222"`))))
	queued := h.queue(ana, "oferta", whatsapp.Marketing)
	h.pass(time.Minute)
	h.deliver(envelope("messages", messages(fmt.Sprintf(`{"from_user_id":"BR.222","id":"wamid.u","timestamp":"%d","type":"text","text":{"body":"SAIR"}}`, h.wall().Unix()))))
	want(t, "may", h.may(ana, whatsapp.Marketing), false)
	if m := h.message(queued); m.State != outbox.Cancelled {
		t.Errorf("the queued message is %s", m.State)
	}
	want(t, "answers", h.answers(), []string{"no offers pt_BR to bsuid"})
}

// A status can show that the person we wrote to has a number that somebody with
// another spelling of it has revoked: that binds them as well.
func TestStatusBringsAnotherSpellingsStopHome(t *testing.T) {
	b, err := os.ReadFile("../whatsapp/testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	full, short := "", ""
	for row := range strings.Lines(string(b)) {
		if cells := strings.Split(row, "|"); len(cells) > 3 && strings.TrimSpace(cells[0]) == "br eight digits" {
			full, short = strings.TrimSpace(cells[3]), strings.NewReplacer("+", "", " ", "", "-", "").Replace(cells[1])
			break
		}
	}
	h := newHouse(t)
	h.deliver(envelope("messages", messages(h.text(full, "SAIR"))))
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	want(t, "may before", h.may(ana, whatsapp.Marketing), true)
	h.deliver(envelope("messages", statuses(h.status("wamid.a", "sent", h.callback(id), short))))
	want(t, "notes", h.applied(), nil)
	want(t, "may", h.may(ana, whatsapp.Marketing), false)
}

func TestUnderstand(t *testing.T) {
	h := newHouse(t)
	kinds := func(s said) string {
		all := []string{}
		for k, v := range map[string]bool{"stops": s.stops, "joins": s.joins, "doubts": s.doubts} {
			if v {
				all = append(all, k)
			}
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	for words, what := range map[string]string{"SAIR": "stops", "sim quero": "joins", "parem de me mandar mensagem": "doubts", "Oi": "", "": ""} {
		list := decoded(t, envelope("messages", messages(h.text(ana, words))))
		if got := kinds(h.in.listen(list)[0]); got != what {
			t.Errorf("%q %s, want %s", words, got, what)
		}
	}
}

func decoded(t *testing.T, body string) []webhook.Event {
	t.Helper()
	events, err := webhook.Decode([]byte(body))
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events: %v", len(events), err)
	}
	return events
}

// What waits for a person is granted when they say so, with both proofs; the word
// of somebody who has nothing to confirm says nothing.
func TestWordsThatConfirm(t *testing.T) {
	h := newHouse(t)
	h.in.Set(Live{ConfirmWords: []string{"confirmo"}})
	h.write(func(tx *store.Tx) error {
		_, err := optin.Propose(tx, "site", []optin.Grant{{Identity: whatsapp.Phone(ana).Identity(), Category: whatsapp.Marketing, Source: optin.SourceAPI,
			Actor: "site", Evidence: optin.Evidence{Text: "Aceito receber ofertas"}, At: tx.Now().Add(-time.Hour)}}, 48*time.Hour)
		return err
	})
	want(t, "before", h.may(ana, whatsapp.Marketing), false)
	h.deliver(envelope("messages", messages(h.text(ana, "confirmo o pedido"))))
	want(t, "a sentence with the word", h.may(ana, whatsapp.Marketing), false)
	body := envelope("messages", messages(h.text(ana, "CONFIRMO!")))
	h.deliver(body, strings.Replace(body, `"entry"`, ` "entry"`, 1), envelope("messages", messages(h.text(bia, "confirmo"))))
	want(t, "after", h.may(ana, whatsapp.Marketing), true)
	want(t, "somebody else", h.may(bia, whatsapp.Marketing), false)
	h.read(func(q *store.Snap) error {
		c, _ := h.contact(whatsapp.Phone(ana).Identity())
		events, err := optin.History(q, c.ID)
		if err != nil || len(events) != 1 || events[0].Evidence.Text != "Aceito receber ofertas" || events[0].Evidence.Confirmed == nil || events[0].Evidence.Confirmed.Text != "confirmo" {
			t.Errorf("%+v %v", events, err)
		}
		return err
	})
	want(t, "notes", h.applied(), nil)
}
