package sandbox

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const settingsPath = "/v25.0/" + numA + "/settings"

// code is a correct send of an authentication template; hash "" sends none.
func code(to, template, digits, key, hash string) string {
	if hash != "" {
		hash = `"recipient_identity_key_hash":"` + hash + `",`
	}
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"` + to + `",` + hash + `"type":"template","biz_opaque_callback_data":"` + key + `",
 "template":{"name":"` + template + `","language":{"code":"pt_BR"},"components":[
 {"type":"body","parameters":[{"type":"text","text":"` + digits + `"}]},
 {"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"` + digits + `"}]}]}}`
}

// hashes returns the identity hash of every status of one callback key.
func (r *receiver) hashes(key string) (list []string) {
	for _, p := range r.all() {
		var n struct {
			Entry []struct {
				Changes []struct{ Value messagesValue }
			}
		}
		if json.Unmarshal(p.Body, &n) != nil {
			continue
		}
		for _, e := range n.Entry {
			for _, c := range e.Changes {
				for _, st := range c.Value.Statuses {
					if st.Callback == key {
						list = append(list, st.Status+" "+st.IdentityKeyHash)
					}
				}
			}
		}
	}
	return list
}

func yes() *bool { b := true; return &b }
func no() *bool  { return new(bool) }

func (w *world) change(c PersonChange) {
	w.t.Helper()
	if _, err := w.s.ChangePerson(c); err != nil {
		w.t.Fatal(err)
	}
}

// expect waits a minute and compares the statuses of a key.
func (w *world) expect(key, want string) {
	w.t.Helper()
	time.Sleep(time.Minute)
	if got := strings.Join(w.hook.statuses(key), ", "); got != want {
		w.t.Errorf("%s: %q, want %q", key, got, want)
	}
}

// TestIdentityCheck follows a hash: learnt, sent back, of old, and of the new
// phone.
func TestIdentityCheck(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.BSUIDChance = 0; c.Profile.FailedAfterSent = 1 }, func(w *world) {
		const all = "sent, delivered, read"
		hash := w.s.Person(ana).Identity
		if len(hash) != 12 || !strings.HasSuffix(hash, "=") {
			t.Errorf("hash %q; Meta's are twelve characters", hash)
		}
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "off", ""))
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "off, wrong", "DF2lS5v2W6x="))
		w.expect("off", all)
		w.expect("off, wrong", all) // nobody compares
		if got := fmt.Sprint(w.hook.hashes("off")); got != "[sent  delivered  read ]" {
			t.Errorf("without the check the statuses say %s", got)
		}

		if got := w.must("GET", settingsPath, ""); got != `{"user_identity_change":{"enable_identity_key_check":false}}` {
			t.Errorf("settings: %s", got)
		}
		if got := w.must("POST", settingsPath, `{"user_identity_change":{"enable_identity_key_check":true}}`); got != `{"success":true}` {
			t.Errorf("answer: %s", got)
		}
		for _, bad := range []string{`{}`, `{"user_identity_change":{}}`, `{"user_identity_change":{"enabled":true}}`, `{"calling":{}}`, `{`} {
			if _, body, err := w.do("POST", settingsPath, bad); err != nil || codeOf(body) != 100 {
				t.Errorf("%s: %s %v", bad, body, err)
			}
		}
		if got := w.must("GET", "/_sandbox/numbers", ""); !strings.Contains(got, `"identity_key_check":true`) || !strings.Contains(got, `"identity_key_check":false`) {
			t.Errorf("of one number only: %s", got)
		}
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "learn", ""))
		w.expect("learn", all)
		if got, want := w.hook.hashes("learn"), []string{"sent " + hash, "delivered " + hash, "read " + hash}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("statuses %s, want %s", got, want)
		}
		w.must("POST", "/v25.0/"+numB+"/messages", code(ana, "codigo_acesso", "123456", "other number", ""))
		w.expect("other number", all)
		if got := fmt.Sprint(w.hook.hashes("other number")); strings.Contains(got, hash) {
			t.Errorf("another number's: %s", got)
		}
		// Meta says the hash when it was not told one.
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "same", hash))
		w.expect("same", all)
		if got := fmt.Sprint(w.hook.hashes("same")); strings.Contains(got, hash) {
			t.Errorf("sent with a hash: %s", got)
		}

		w.change(PersonChange{From: ana, NewIdentity: true})
		renewed := w.s.Person(ana).Identity
		if renewed == hash {
			t.Fatal("the hash has not changed")
		}
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "old", hash))
		w.expect("old", "failed 137000")
		if got := fmt.Sprint(w.hook.hashes("old")); got != "[failed ]" {
			t.Errorf("the failure says %s", got)
		}
		w.must("POST", sendPath, code(ana, "codigo_acesso", "123456", "again", renewed))
		w.expect("again", all)
		w.must("POST", sendPath, code(bob, "codigo_acesso", "123456", "theirs", renewed))
		w.expect("theirs", "failed 137000")

		if _, err := w.s.Inbound(Inbound{From: ana, Text: "oi", NumberID: numA}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		last := w.hook.all()[len(w.hook.all())-1]
		if !strings.Contains(strings.ReplaceAll(string(last.Body), `\/`, "/"), `"identity_key_hash":"`+renewed+`"`) {
			t.Errorf("inbound: %s", last.Body)
		}
		w.must("POST", sendPath, strings.Replace(oferta("X", "by id"), `"to":"X"`, `"recipient":"`+w.s.Person(ana).UserID+`"`, 1))
		w.expect("by id", all)
		if got := fmt.Sprint(w.hook.hashes("by id")); strings.Count(got, renewed) != 3 {
			t.Errorf("by user id the statuses say %s", got)
		}
	})
}

func TestNotOnWhatsApp(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.Absent = Default().Absent }, func(w *world) {
		send := func(to, key string) { w.must("POST", sendPath, code(to, "codigo_acesso", "123456", key, "")) }
		for to, want := range map[string]string{
			"+5511900009899": "sent, delivered, read", "+5511900009900": "failed 131026", "+5511900009999": "failed 131026",
			"+12025550189": "sent, delivered, read", "+12025550190": "failed 131026",
		} {
			send(to, to)
			w.expect(to, want)
		}
		w.change(PersonChange{From: ana, OnWhatsApp: no()})
		send(ana, "left")
		w.expect("left", "failed 131026")
		if got := w.s.Phone(ana, 0); len(got) != 1 || got[0].Text != "" || got[0].Code != 131026 {
			t.Errorf("a phone without WhatsApp shows %+v", got)
		}
		w.change(PersonChange{From: ana, OnWhatsApp: yes()})
		w.change(PersonChange{From: "+5511900009900", OnWhatsApp: yes()})
		send(ana, "back")
		send("+5511900009900", "joined")
		w.expect("back", "sent, delivered, read")
		w.expect("joined", "sent, delivered, read")
		if _, err := w.s.ChangePerson(PersonChange{From: ana}); err == nil {
			t.Error("a change of nothing was taken")
		}
		if _, err := w.s.ChangePerson(PersonChange{From: "BR.13491208655302741", Online: no()}); err == nil {
			t.Error("a person without a number was taken")
		}
	})
}

// TestTimeToLive switches a phone off and on again, before and after the time
// to live of what waits for it.
func TestTimeToLive(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			journal := filepath.Join(t.TempDir(), "sandbox.jsonl")
			inBubble(t, func(c *Config) { c.Journal = journal }, func(w *world) {
				again := func() {
					if restart {
						w.stop()
						w.start()
					}
				}
				send := func(template, key string) { w.must("POST", sendPath, code(ana, template, "654321", key, "")) }
				w.change(PersonChange{From: ana, Online: no()})
				send("codigo_acesso", "dropped")
				send("codigo_antigo", "thirty days")
				w.must("POST", sendPath, oferta(ana, "offer"))
				again()
				w.expect("dropped", "sent")
				time.Sleep(3 * time.Minute)
				send("codigo_acesso", "waits")
				if got := w.s.Phone(ana, 0); len(got) != 4 || got[0].Text != "" || got[3].Text != "" {
					t.Errorf("a phone that is off shows %+v", got)
				}
				if w.s.Person(ana).Online {
					t.Error("the phone is on")
				}
				time.Sleep(time.Minute) // 300 s after "dropped"
				again()
				w.change(PersonChange{From: ana, Online: yes()})
				again()
				const all = "sent, delivered, read"
				w.expect("dropped", "sent")
				w.expect("waits", all)
				w.expect("thirty days", all)
				w.expect("offer", all)
				if !restart { // texts do not survive
					var seen []string
					for _, m := range w.s.Phone(ana, 0) {
						seen = append(seen, fmt.Sprint(m.Template, m.Text != ""))
					}
					if got := fmt.Sprint(seen); got != "[codigo_acessofalse codigo_antigotrue oferta_nataltrue codigo_acessotrue]" {
						t.Errorf("the phone shows %s", got)
					}
				}
				w.change(PersonChange{From: ana, Online: yes()}) // once is enough
				w.expect("waits", all)
				again()
				w.expect("waits", all)
				if n := w.s.Pending(); n != 0 {
					t.Errorf("%d webhooks pending", n)
				}
			})
		})
	}
}

// TestTimeToLiveEnds holds the end to the millisecond.
func TestTimeToLiveEnds(t *testing.T) {
	for late, want := range map[time.Duration]string{-time.Millisecond: "sent, delivered, read", 0: "sent"} {
		inBubble(t, nil, func(w *world) {
			w.change(PersonChange{From: ana, Online: no()})
			w.must("POST", sendPath, code(ana, "codigo_acesso", "654321", "k", ""))
			time.Sleep(300*time.Second + late)
			w.change(PersonChange{From: ana, Online: yes()})
			w.expect("k", want)
		})
	}
}

// TestPersonsSurviveARestart reads everything about people from the journal.
func TestPersonsSurviveARestart(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "sandbox.jsonl")
	inBubble(t, func(c *Config) { c.Journal = journal }, func(w *world) {
		w.change(PersonChange{From: ana, OnWhatsApp: no(), Online: no(), NewIdentity: true})
		w.change(PersonChange{From: ana, NewIdentity: true})
		w.change(PersonChange{From: bob, NewIdentity: true})
		w.must("POST", settingsPath, `{"user_identity_change":{"enable_identity_key_check":true}}`)
		before := fmt.Sprint(w.s.Person(ana), w.s.Person(bob))
		w.stop()
		w.start()
		if after := fmt.Sprint(w.s.Person(ana), w.s.Person(bob)); after != before {
			t.Errorf("before %s, after %s", before, after)
		}
		if got := w.must("GET", settingsPath, ""); !strings.Contains(got, "true") {
			t.Errorf("settings: %s", got)
		}
		if byID := w.s.Person(w.s.Person(ana).UserID); byID != w.s.Person(ana) {
			t.Errorf("by user id: %+v", byID)
		}
	})
}

func TestNotRequested(t *testing.T) {
	inBubble(t, func(c *Config) { c.Profile.BSUIDChance = 0 }, func(w *world) {
		tap := func(n NotRequested) (contextID, from, number string) {
			t.Helper()
			if _, err := w.s.NotRequested(n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			var got struct {
				Entry []struct {
					Changes []struct {
						Value struct {
							Metadata metadata
							Messages []struct {
								From, Type string
								Context    struct{ ID string }
								Button     struct{ Payload string }
							}
						}
					}
				}
			}
			posts := w.hook.all()
			if err := json.Unmarshal(posts[len(posts)-1].Body, &got); err != nil {
				t.Fatal(err)
			}
			v := got.Entry[0].Changes[0].Value
			if m := v.Messages[0]; m.Type != "button" || m.Button.Payload != "DID_NOT_REQUEST_CODE" {
				t.Errorf("message %+v", m)
			}
			return v.Messages[0].Context.ID, v.Messages[0].From, v.Metadata.ID
		}
		if _, err := w.s.NotRequested(NotRequested{From: ana}); err == nil {
			t.Error("nobody has sent a code")
		}
		w.must("POST", "/v25.0/"+numB+"/messages", code(ana, "codigo_acesso", "111111", "first", ""))
		w.must("POST", "/v25.0/"+numB+"/messages", code(ana, "codigo_acesso", "222222", "second", ""))
		w.must("POST", sendPath, oferta(ana, "offer"))
		w.change(PersonChange{From: ana, Online: no()})
		w.must("POST", sendPath, code(ana, "codigo_acesso", "333333", "not seen", ""))
		w.must("POST", sendPath, code(bob, "codigo_acesso", "444444", "bob's", ""))
		time.Sleep(time.Minute)
		wamids := map[string]string{}
		w.s.Each(func(one Send) bool { wamids[one.Wamid] = one.Key; return true })

		id, from, number := tap(NotRequested{From: ana})
		if wamids[id] != "second" || "+"+from != ana || number != numB {
			t.Errorf("%s by %s on %s", wamids[id], from, number)
		}
		id, from, number = tap(NotRequested{From: bob, Of: ana})
		if wamids[id] != "second" || "+"+from != bob || number != numB {
			t.Errorf("forged: %s by %s on %s", wamids[id], from, number)
		}
	})
}

// TestCodesArrive: chance keeps other messages from a person, and no code.
func TestCodesArrive(t *testing.T) {
	for _, chance := range []func(*Profile){func(p *Profile) { p.Undeliverable = 1 }, func(p *Profile) { p.NeverDelivered = 1 }} {
		inBubble(t, func(c *Config) { chance(&c.Profile) }, func(w *world) {
			w.must("POST", sendPath, oferta(ana, "other"))
			w.must("POST", sendPath, code(ana, "codigo_acesso", "661313", "code", ""))
			if got := w.must("GET", "/_sandbox/phones/5511900000001?format=text", ""); !strings.Contains(got, "661313") || strings.Contains(got, "oferta de Natal") {
				t.Errorf("at once: %s", got)
			}
			time.Sleep(time.Minute)
			if got := w.must("GET", "/_sandbox/phones/5511900000001?format=text&limit=1", ""); !strings.Contains(got, "  read\n") && !strings.Contains(got, "  delivered\n") {
				t.Errorf("in the end: %s", got)
			}
		})
	}
}

// TestPhoneShowsTheCode reads a code as the README does.
func TestPhoneShowsTheCode(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.must("POST", sendPath, oferta(ana, "before"))
		w.must("POST", sendPath, code(ana, "codigo_acesso", "661313", "code", ""))
		time.Sleep(time.Minute)
		got := w.must("GET", "/_sandbox/phones/5511900000001?format=text&limit=1", "")
		want := "  codigo_acesso/pt_BR  read\n    *661313* é seu código de verificação. Para sua segurança, não o compartilhe.\n" +
			"    Este código expira em 5 minutos.\n    [Copiar código]\n"
		if !strings.HasSuffix(got, want) || strings.Count(got, "661313") != 1 {
			t.Errorf("got %s", got)
		}
		if all := w.must("GET", "/_sandbox/phones/5511900000001?format=text", ""); !strings.HasSuffix(all, want) || !strings.Contains(all, "oferta_natal") {
			t.Errorf("the latest is not last: %s", all)
		}
		if status, body, err := w.do("GET", "/_sandbox/phones/5511900000001?limit=0", ""); err != nil || status != 400 {
			t.Errorf("limit 0: %d %s %v", status, body, err)
		}
	})
}

// TestCodeTemplatesOfOld are those without a button for the code.
func TestCodeTemplatesOfOld(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for name, components := range map[string]string{
			"no_button":    `[{"type":"BODY","text":"{{1}} is your code."}]`,
			"quick_reply":  `[{"type":"BODY","text":"{{1}} is your code."},{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"OK"}]}]`,
			"other_button": `[{"type":"BODY","text":"{{1}} is your code."},{"type":"BUTTONS","buttons":[{"type":"URL","text":"Open","url":"https://loja.example"},{"type":"URL","text":"Copy","url":"https://loja.example/{{1}}"}]}]`,
		} {
			if err := w.s.AddTemplate(Template{WABA: waba, Name: name, Language: "pt_BR", Category: "AUTHENTICATION", Components: json.RawMessage(components)}); err != nil {
				t.Fatal(err)
			}
			send := code(ana, name, "123456", name, "")
			switch name {
			case "no_button":
				send = send[:strings.Index(send, `,
 {"type":"button"`)] + "]}}"
			case "quick_reply":
				send = strings.NewReplacer(`"sub_type":"url"`, `"sub_type":"quick_reply"`, `"parameters":[{"type":"text","text":"123456"}]}]}}`, `"parameters":[{"type":"payload","payload":"123456"}]}]}}`).Replace(send)
			case "other_button":
				send = strings.Replace(send, `"index":"0"`, `"index":"1"`, 1)
			}
			if _, body, err := w.do("POST", sendPath, send); err != nil || codeOf(body) != 132012 {
				t.Errorf("%s: %v %s", name, err, body)
			}
		}
		if n := w.s.Count(); n != 0 {
			t.Errorf("%d were accepted", n)
		}
	})
}

// TestCodeIsInNoJournalAndNoLog looks for a code where it must not be.
func TestCodeIsInNoJournalAndNoLog(t *testing.T) {
	var log strings.Builder
	journal := filepath.Join(t.TempDir(), "sandbox.jsonl")
	inBubble(t, func(c *Config) { c.Journal = journal; c.Logger = debugLog(&log) }, func(w *world) {
		w.must("POST", sendPath, code(ana, "codigo_acesso", "90817263", "k", ""))
		for _, bad := range []string{code(ana, "codigo_acesso", "9081726390817263", "k", ""), strings.Replace(code(ana, "codigo_acesso", "90817263", "k", ""), "90817263", "90817264", 1)} {
			if status, body, err := w.do("POST", sendPath, bad); err != nil || status != 400 || strings.Contains(body, "908172") {
				t.Errorf("%d %v %s", status, err, body)
			}
		}
		time.Sleep(time.Minute)
	})
	if !strings.Contains(log.String(), "send refused") {
		t.Error("nothing was logged")
	}
	for name, text := range map[string]string{"log": log.String(), "journal": read(t, journal)} {
		if strings.Contains(text, "908172") {
			t.Errorf("the %s holds the code: %s", name, text)
		}
	}
}
