package intake

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// conversation is a row, as far as these tests look.
func (h *house) conversations() (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		return conversations.List(q, conversations.Filter{}, func(r conversations.Row) error {
			out = append(out, fmt.Sprintf("%s %s %s out %d in %d", r.Category, r.Origin, r.OpenedAt.Format(time.TimeOnly), r.MessagesOut, r.MessagesIn))
			return nil
		})
	})
	slices.Sort(out)
	return out
}

func (h *house) window(phone string) conversations.Window {
	h.t.Helper()
	c, _ := h.contact(whatsapp.Phone(phone).Identity())
	var w conversations.Window
	h.read(func(q *store.Snap) (err error) {
		w, err = conversations.ServiceWindow(q, loja, c.ID, q.Now())
		return err
	})
	return w
}

func want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A STOP or a preference counts before whatever else stands in its callback,
// also before what stands ahead of it.
func TestWishesComeFirst(t *testing.T) {
	stop := func(h *house) []string { return []string{"messages", messages(h.text(ana, "SAIR"))} }
	for _, tt := range []struct {
		name string
		wish func(h *house) []string
	}{
		{"a word", stop},
		{"a button", func(*house) []string {
			return []string{"messages", messages(`{"from":"5511900000001","id":"wamid.b","timestamp":"1795435200","type":"button","button":{"payload":"STOP:natal26","text":"Chega"}}`)}
		}},
		{"a list", func(*house) []string {
			return []string{"messages", messages(`{"from":"5511900000001","id":"wamid.b","timestamp":"1795435200","type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"x","title":"Parar"}}}`)}
		}},
		{"a preference", func(*house) []string {
			return []string{"user_preferences", `{` + metadata + `,"user_preferences":[{"wa_id":"5511900000001","category":"marketing_messages","value":"stop","timestamp":1764000000}]}`}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			first := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
			h.pass(time.Second)
			second := h.queue(ana, "oferta", whatsapp.Marketing)
			h.outcomes = nil
			var may []bool // whether marketing was still allowed when a status was followed up
			h.onTell = func(tx *store.Tx, out []outbox.Outcome) error {
				for _, o := range out {
					if o.To == outbox.Delivered {
						st, err := optin.Current(tx, o.Contact, whatsapp.Marketing, optin.Scopes("loja", ""))
						if err != nil {
							return err
						}
						may = append(may, st.Granted)
					}
				}
				return nil
			}
			changes := append([]string{"messages", statuses(h.status("wamid.a", "delivered", h.callback(first), ana)),
				"messages", messages(h.text(bia, "Oi"))}, tt.wish(h)...)
			h.deliver(envelope(changes...))
			want(t, "notes", h.applied(), nil)
			want(t, "allowed at the status", may, []bool{false})
			var order []string
			for _, o := range h.outcomes {
				order = append(order, string(o.To))
			}
			want(t, "outcomes", order, []string{"cancelled", "delivered"})
			if m := h.message(second); m.State != outbox.Cancelled || m.Reason != "opted_out" {
				t.Errorf("the queued message is %s %q", m.State, m.Reason)
			}
			if h.may(ana, whatsapp.Marketing) {
				t.Error("marketing is still allowed")
			}
		})
	}
}

func TestPreferenceResumeGrantsNothing(t *testing.T) {
	preference := func(h *house, value string) string {
		return envelope("user_preferences", fmt.Sprintf(`{%s,"user_preferences":[{"wa_id":"5511900000001","category":"marketing_messages","value":%q,"timestamp":%d}]}`, metadata, value, h.wall().Unix()))
	}
	h := newHouse(t)
	h.grant(ana, whatsapp.Marketing)
	h.deliver(preference(h, "stop"))
	want(t, "after stop", h.may(ana, whatsapp.Marketing), false)
	h.pass(time.Minute)
	h.deliver(preference(h, "resume"))
	want(t, "after resume the grant of before counts again", h.may(ana, whatsapp.Marketing), true)
	h.pass(time.Minute)
	h.deliver(envelope("messages", messages(h.text(ana, "STOP"))))
	h.pass(time.Minute)
	h.deliver(preference(h, "resume"))
	want(t, "resume does not undo a STOP in the chat", h.may(ana, whatsapp.Marketing), false)
	h.deliver(preference(h, "resume ")) // somebody who never consented gains nothing
	want(t, "bia", h.may(bia, whatsapp.Marketing), false)
}

// A status tells what became of a message whose answer was lost.
func TestStatusAdoptsTheWamidOfAnUnknown(t *testing.T) {
	h := newHouse(t)
	id := h.queue(ana, "oferta", whatsapp.Marketing)
	h.claim(id)
	h.settle(id, outbox.Unknown, "")
	h.pass(time.Second)
	h.deliver(envelope("messages", statuses(h.status("wamid.lost", "sent", h.callback(id), ana))))
	if m := h.message(id); m.State != outbox.Sent || m.Wamid != "wamid.lost" {
		t.Errorf("got %s %s", m.State, string(m.Wamid))
	}
	h.pass(time.Second)
	h.deliver(envelope("messages", statuses(h.status("wamid.lost", "read", "", ana)))) // by wamid alone
	if m := h.message(id); m.State != outbox.Read {
		t.Errorf("got %s", m.State)
	}
	want(t, "conversations", h.conversations(), []string{"marketing business 12:00:01 out 1 in 0"})
}

// A status may come before our own answer, twice, and in any order.
func TestStatusesInAnyOrder(t *testing.T) {
	for _, order := range [][]string{{"sent", "delivered", "read"}, {"read", "delivered", "sent"}, {"delivered", "sent", "delivered", "read", "sent"}} {
		h := newHouse(t)
		id := h.queue(ana, "oferta", whatsapp.Marketing)
		h.claim(id)
		times := map[string]int64{"sent": 1, "delivered": 2, "read": 3}
		for i, s := range order {
			h.deliver(envelope("messages", statuses(fmt.Sprintf(`{"id":"wamid.a","status":%q,"timestamp":%d,"recipient_id":%q,"biz_opaque_callback_data":%q,"x":%d}`,
				s, began.Unix()+times[s], digits(ana), h.callback(id), i))))
			if i == 0 { // our own answer comes now
				h.settle(id, outbox.Accepted, "wamid.a")
			}
		}
		if m := h.message(id); m.State != outbox.Read || m.SentAt != store.Millis(began.Add(time.Second)) || m.Wamid != "wamid.a" {
			t.Errorf("%v: got %s, sent at %d", order, m.State, m.SentAt)
		}
		want(t, "conversations", h.conversations(), []string{"marketing business 12:00:01 out 1 in 0"})
		want(t, "notes", h.applied(), nil)
	}
}

func TestFailedStatusActsAtItsScope(t *testing.T) {
	for _, tt := range []struct {
		code int
		hold string
		may  bool
	}{{131026, "", true}, {131050, "", false}, {131048, "number", true}, {132015, "template", true}, {131042, "account", true}} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			h := newHouse(t)
			id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
			h.deliver(envelope("messages", statuses(h.status("wamid.a", "failed", h.callback(id), ana, fmt.Sprintf(`"errors":[{"code":%d,"title":"no"}]`, tt.code)))))
			want(t, "notes", h.applied(), nil)
			if m := h.message(id); m.State != outbox.Failed || m.Code != tt.code {
				t.Errorf("got %s code %d", m.State, m.Code)
			}
			want(t, "may", h.may(ana, whatsapp.Marketing), tt.may)
			got := ""
			if holds := h.holds(); len(holds) > 0 {
				got, _, _ = strings.Cut(holds[0], " ")
			}
			want(t, "hold", got, tt.hold)
		})
	}
}

var sqlForeigns = store.SQL(`SELECT wamid FROM foreign_messages ORDER BY wamid`)

// What others send from our numbers counts in conversations, never in campaigns.
func TestForeignStatuses(t *testing.T) {
	h := newHouse(t)
	ours := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	h.pass(time.Hour)
	price := func(c string) string {
		return fmt.Sprintf(`"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":%q}`, c)
	}
	otherHouse := whatsapp.CallbackID{DB: "ANOTHERHOUSE", Message: ours, Attempt: 1}.String()
	h.deliver(
		envelope("messages", statuses(h.status("wamid.f1", "sent", "chatbot:42", bia, price("utility")))),
		envelope("messages", statuses(h.status("wamid.f2", "delivered", otherHouse, ana, price("marketing_lite")))),
		envelope("messages", statuses(h.status("wamid.f3", "read", "", bia))), // no price: opens nothing
		envelope("messages", statuses(h.status("wamid.f4", "failed", "", bia, price("utility")))),
		envelope("messages", statuses(h.status("wamid.f5", "deleted", "", bia))),
	)
	want(t, "notes", h.applied(), nil)
	if m := h.message(ours); m.State != outbox.Accepted || m.DeliveredAt != 0 {
		t.Errorf("a foreign status moved our message to %s", m.State)
	}
	var wamids []string
	h.read(func(q *store.Snap) error {
		all, err := store.All[store.Col[string]](q, sqlForeigns)
		for _, w := range all {
			wamids = append(wamids, w.V)
		}
		return err
	})
	want(t, "foreign messages", wamids, []string{"wamid.f1", "wamid.f2", "wamid.f3", "wamid.f4"})
	want(t, "conversations", h.conversations(), []string{"marketing business 12:00:00 out 2 in 0", "utility business 13:00:00 out 2 in 0"})
}

var sqlPrices = store.SQL(`SELECT wamid || ' ' || id || ' ' || model || ' ' || type || ' ' || category || ' ' || billable || ' ' || conversation_id || ' ' || conversation_origin || ' ' || conversation_ends FROM message_prices ORDER BY id`)

// Until v23 Meta names a conversation, from v24 on only a price: both give the
// same rows of ours, and what Meta said stands beside them verbatim.
func TestShapesOfV23AndV24(t *testing.T) {
	h := newHouse(t)
	a := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	b := h.sent(bia, "oferta", whatsapp.Marketing, "wamid.b")
	h.deliver(
		envelope("messages", statuses(h.status("wamid.a", "sent", h.callback(a), ana,
			`"conversation":{"id":"c0ffee","expiration_timestamp":"1764086460","origin":{"type":"marketing"}}`,
			`"pricing":{"billable":true,"pricing_model":"CBP","category":"marketing"}`))),
		envelope("messages", statuses(h.status("wamid.b", "sent", h.callback(b), bia,
			`"pricing":{"billable":false,"pricing_model":"PMP","type":"a_new_type","category":"authentication-international"}`))),
		envelope("messages", statuses(h.status("wamid.b", "delivered", h.callback(b), bia))),
	)
	want(t, "notes", h.applied(), nil)
	want(t, "conversations", h.conversations(), []string{"marketing business 12:00:00 out 1 in 0", "marketing business 12:00:00 out 1 in 0"})
	var prices []string
	h.read(func(q *store.Snap) error {
		all, err := store.All[store.Col[string]](q, sqlPrices)
		for _, p := range all {
			prices = append(prices, p.V)
		}
		return err
	})
	want(t, "prices", prices, []string{
		fmt.Sprintf(" %d CBP  marketing true c0ffee marketing 1764086460000", a),
		fmt.Sprintf(" %d PMP a_new_type authentication-international false   0", b),
	})
}

// Somebody who hides the number is a person all the same, and is the one we
// know as soon as Meta shows both.
func TestPersonWithAUserIDOnly(t *testing.T) {
	h := newHouse(t)
	byUser := func(id, text string) string {
		return fmt.Sprintf(`{%s,"contacts":[{"user_id":"BR.1502576394655843","profile":{"name":"A","username":"@a"}}],"messages":[{"from_user_id":"BR.1502576394655843","id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]}`,
			metadata, id, h.wall().Unix(), text)
	}
	h.deliver(envelope("messages", byUser("wamid.1", "Oi")))
	bsuid := whatsapp.Identity{Kind: whatsapp.KindBSUID, Value: "BR.1502576394655843"}
	c, ok := h.contact(bsuid)
	if !ok {
		t.Fatal("the person is not known")
	}
	h.read(func(q *store.Snap) error {
		w, err := conversations.ServiceWindow(q, loja, c.ID, q.Now())
		want(t, "window", w.Open, true)
		return err
	})
	// A message to the phone: its status shows that both are one person.
	id := h.sent(ana, "oferta", whatsapp.Marketing, "wamid.a")
	h.deliver(envelope("messages", statuses(h.status("wamid.a", "delivered", h.callback(id), ana, `"recipient_user_id":"BR.1502576394655843"`))))
	want(t, "window by the phone", h.window(ana).Open, true)
	second := h.queue(ana, "oferta", whatsapp.Marketing)
	h.pass(time.Minute)
	h.deliver(envelope("messages", byUser("wamid.2", "SAIR")))
	want(t, "notes", h.applied(), nil)
	want(t, "may", h.may(ana, whatsapp.Marketing), false)
	if m := h.message(second); m.State != outbox.Cancelled {
		t.Errorf("the STOP by user id left a queued message %s", m.State)
	}
}

func TestChangedNumber(t *testing.T) {
	changed := `{"from":"5511900000001","id":"wamid.s","timestamp":"1764000000","type":"system","system":{"body":"User A changed from 5511900000001 to 5511900000002","wa_id":"5511900000002","type":"user_changed_number"}}`
	h := newHouse(t)
	h.grant(ana, whatsapp.Marketing)
	h.grant(ana, whatsapp.Utility)
	h.deliver(envelope("messages", messages(h.text(ana, "SAIR"))), envelope("messages", messages(changed)))
	want(t, "notes", h.applied(), nil)
	one, _ := h.contact(whatsapp.Phone(ana).Identity())
	two, ok := h.contact(whatsapp.Phone(bia).Identity())
	if !ok || one.Root != two.Root || one.ID == two.ID {
		t.Errorf("the numbers are %+v and %+v, want two contacts of one person", one, two)
	}
	want(t, "the grant counts where it was given", h.may(ana, whatsapp.Utility), true)
	want(t, "and not on the new number", h.may(bia, whatsapp.Utility), false)
	h.grant(bia, whatsapp.Marketing) // dated before the STOP
	want(t, "the STOP goes with the person", h.may(bia, whatsapp.Marketing), false)
	if w := h.window(bia); !w.LastAt.Equal(began) {
		t.Errorf("the system message moved the window to %v", w.LastAt)
	}
}

func TestInboundOpensWindowsAsItShould(t *testing.T) {
	for kind, opens := range map[string]bool{"text": true, "image": true, "unsupported": true, "order": true, "reaction": false, "edit": false, "revoke": false, "request_welcome": false, "system": false} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(envelope("messages", messages(fmt.Sprintf(`{"from":"5511900000001","id":"wamid.1","timestamp":"%d","type":%q}`, began.Unix(), kind))))
			want(t, "open", h.window(ana).Open, opens)
			want(t, "notes", h.applied(), nil)
		})
	}
}

func TestTemplateEvents(t *testing.T) {
	ref := `"message_template_id":123,"message_template_name":"oferta","message_template_language":"pt-BR"`
	for _, tt := range []struct {
		name, field, value string
		status             whatsapp.TemplateStatus
		category           whatsapp.Category
		quality, correct   string
		resyncs            int
	}{
		{"paused", "message_template_status_update", `{` + ref + `,"event":"PAUSED","reason":null,"other_info":{"title":"FIRST_PAUSE"}}`, "PAUSED", "marketing", "", "", 0},
		{"rejected", "message_template_status_update", `{` + ref + `,"event":"REJECTED","reason":"INVALID_FORMAT"}`, "REJECTED", "marketing", "", "", 0},
		{"flagged is no status", "message_template_status_update", `{` + ref + `,"event":"FLAGGED"}`, "APPROVED", "marketing", "", "", 1},
		{"reinstated is read again", "message_template_status_update", `{` + ref + `,"event":"REINSTATED"}`, "APPROVED", "marketing", "", "", 1},
		{"of a template nobody knows", "message_template_status_update", `{"message_template_id":9,"message_template_name":"nova","message_template_language":"pt_BR","event":"APPROVED"}`, "APPROVED", "marketing", "", "", 1},
		{"category announced", "template_category_update", `{` + ref + `,"new_category":"MARKETING","correct_category":"UTILITY","category_update_timestamp":1764000000}`, "APPROVED", "marketing", "", "UTILITY", 0},
		{"category changed", "template_category_update", `{` + ref + `,"previous_category":"MARKETING","new_category":"UTILITY"}`, "APPROVED", "utility", "", "", 0},
		{"category unheard of", "template_category_update", `{` + ref + `,"previous_category":"MARKETING","new_category":"POETRY"}`, "APPROVED", "marketing", "", "", 1},
		{"quality", "message_template_quality_update", `{` + ref + `,"previous_quality_score":"GREEN","new_quality_score":"RED"}`, "APPROVED", "marketing", "RED", "", 0},
		{"quality under the wrong field", "message_template_status_update", `{` + ref + `,"previous_quality_score":"GREEN","new_quality_score":"YELLOW"}`, "APPROVED", "marketing", "YELLOW", "", 0},
		{"components", "message_template_components_update", `{` + ref + `,"message_template_element":"Oi"}`, "APPROVED", "marketing", "", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(envelope(tt.field, tt.value))
			h.applied()
			got := h.template("oferta")
			if got.Status != tt.status || got.Category != tt.category || got.Quality != tt.quality || got.CorrectCategory != tt.correct || h.resyncs != tt.resyncs {
				t.Errorf("got %s %s quality %q correct %q, %d fresh looks; want %s %s %q %q, %d",
					got.Status, got.Category, got.Quality, got.CorrectCategory, h.resyncs, tt.status, tt.category, tt.quality, tt.correct, tt.resyncs)
			}
		})
	}
}

func TestAccountEvents(t *testing.T) {
	until := began.Add(72 * time.Hour)
	held := func(ms int64) []string {
		return []string{fmt.Sprintf("account %s account_blocked until %d", waba, ms)}
	}
	for _, tt := range []struct {
		name, field, value string
		holds              []string
		resyncs            int
	}{
		{"restricted", "account_update", fmt.Sprintf(`{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_BIZ_INITIATED_MESSAGING","expiration":%d}]}`, until.Unix()), held(store.Millis(until)), 0},
		{"what people may write is not ours", "account_update", `{"event":"ACCOUNT_RESTRICTION","restriction_info":[{"restriction_type":"RESTRICTED_CUSTOMER_INITIATED_MESSAGING","expiration":1}]}`, []string{}, 0},
		{"disabled", "account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"DISABLE","waba_ban_date":"November 23, 2026"}}`, held(0), 0},
		{"deleted", "account_update", `{"event":"ACCOUNT_DELETED"}`, held(0), 0},
		{"a violation alone", "account_update", `{"event":"ACCOUNT_VIOLATION","violation_info":{"violation_type":"SPAM"}}`, []string{}, 0},
		{"a price tier", "account_update", `{"event":"VOLUME_BASED_PRICING_TIER_UPDATE"}`, []string{}, 0},
		{"alert", "account_alerts", `{"entity_type":"WABA","entity_id":"1","alert_info":{"alert_severity":"CRITICAL","alert_type":"OBA_REJECTED"}}`, []string{}, 0},
		{"review", "account_review_update", `{"decision":"REJECTED"}`, []string{}, 0},
		{"throughput", "phone_number_quality_update", `{"display_phone_number":"12025550190","event":"THROUGHPUT_UPGRADE"}`, []string{}, 1},
		{"capability", "business_capability_update", `{"max_daily_conversations_per_business":"TIER_2K"}`, []string{}, 1},
		{"username", "business_username_update", `{"display_phone_number":"12025550190","username":"@loja","status":"approved"}`, []string{}, 0},
		{"an error", "messages", `{` + metadata + `,"errors":[{"code":130429,"title":"Rate limit hit"}]}`, []string{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(envelope(tt.field, tt.value))
			want(t, "notes", h.applied(), nil)
			want(t, "holds", h.holds(), tt.holds)
			want(t, "fresh looks", h.resyncs, tt.resyncs)
		})
	}
	t.Run("reinstated", func(t *testing.T) {
		h := newHouse(t)
		h.deliver(envelope("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"DISABLE"}}`))
		h.deliver(envelope("account_update", `{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"REINSTATE"}}`))
		want(t, "holds", h.holds(), []string{})
	})
}

// samples is one of every kind of event that webhook can decode.
var samples = map[string]webhook.Event{
	"Status":             webhook.Status{NumberID: loja, Wamid: "wamid.x", Status: webhook.StatusSent, RecipientID: "5511900000001"},
	"Inbound":            webhook.Inbound{NumberID: loja, Wamid: "wamid.y", From: "5511900000001", Type: "text"},
	"Preference":         webhook.Preference{WaID: "5511900000001", Value: "stop"},
	"UserIDUpdate":       webhook.UserIDUpdate{WaID: "5511900000001", Previous: "BR.1", Current: "BR.2"},
	"AccountError":       webhook.AccountError{Errors: []webhook.ErrorDetail{{Code: 1}}},
	"Unknown":            webhook.Unknown{Field: "poetry", Reason: "the field is not known"},
	"TemplateStatus":     webhook.TemplateStatus{Name: "oferta", Language: "pt_BR", Event: "PAUSED"},
	"TemplateCategory":   webhook.TemplateCategory{Name: "oferta", Language: "pt_BR", Done: true, Current: "UTILITY"},
	"TemplateQuality":    webhook.TemplateQuality{Name: "oferta", Language: "pt_BR", Current: "RED"},
	"TemplateComponents": webhook.TemplateComponents{Name: "oferta", Language: "pt_BR"},
	"NumberQuality":      webhook.NumberQuality{Event: "ONBOARDING"},
	"Capability":         webhook.Capability{Limit: "-1"},
	"AccountUpdate":      webhook.AccountUpdate{WABA: waba, Event: "ACCOUNT_VIOLATION"},
	"AccountAlert":       webhook.AccountAlert{Type: "X"},
	"AccountReview":      webhook.AccountReview{Decision: "APPROVED"},
	"UsernameUpdate":     webhook.UsernameUpdate{Username: "loja"},
}

// Every kind of event that webhook declares is applied, or counted as unknown.
func TestEveryKindOfEventIsHandled(t *testing.T) {
	declared := map[string]bool{}
	files, err := filepath.Glob("../whatsapp/webhook/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("package webhook is not where it was: %v", err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "event" && fn.Recv != nil {
				declared[fn.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		}
	}
	want(t, "kinds with a sample here", slices.Sorted(maps.Keys(samples)), slices.Sorted(maps.Keys(declared)))
	h := newHouse(t)
	for kind, e := range samples {
		h.write(func(tx *store.Tx) error {
			if _, err := h.in.applyWish(tx, e, h.in.listen([]webhook.Event{e})[0]); err != nil {
				return err
			}
			if s, ok := e.(webhook.Status); ok {
				b := h.in.statuses(tx)
				if err := b.apply(s); err != nil {
					return err
				}
				return b.write()
			}
			note, err := h.in.applyEvent(tx, e)
			if (note != "") != (kind == "Unknown") {
				t.Errorf("%s: note %q", kind, note)
			}
			return err
		})
	}
}

// What this version does not know is applied, noted and counted.
func TestUnknownElementsAreCounted(t *testing.T) {
	h := newHouse(t)
	h.deliver(envelope("poetry", `{"a":1}`, "messages", messages(h.text(ana, "Oi")), "messages", `{}`))
	want(t, "notes", h.applied(), []string{"poetry: the field is not known; messages: the value holds nothing known"})
	want(t, "counted", h.in.Stats.UnknownEvents.Load(), 2)
	want(t, "the rest was applied", h.window(ana).Open, true)
}

func TestUserIDUpdateJoins(t *testing.T) {
	h := newHouse(t)
	h.grant(ana, whatsapp.Marketing)
	h.deliver(envelope("user_id_update", fmt.Sprintf(`{%s,"user_id_update":[{"wa_id":"5511900000001","user_id":{"previous":"BR.111","current":"BR.222"},"timestamp":1764000000}]}`, metadata)))
	want(t, "notes", h.applied(), nil)
	stop := fmt.Sprintf(`{%s,"messages":[{"from_user_id":"BR.222","id":"wamid.2","timestamp":"%d","type":"text","text":{"body":"SAIR"}}]}`, metadata, began.Unix())
	h.deliver(envelope("messages", stop))
	want(t, "may", h.may(ana, whatsapp.Marketing), false)
}
