package sandbox

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestManage(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		ask := func(method, path, body, want string) {
			t.Helper()
			status, got, err := w.do(method, "/_sandbox"+path, body)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, want) || (status == 200) == strings.HasPrefix(got, `{"error"`) {
				t.Errorf("%s %s: status %d: %s, want %s", method, path, status, got, want)
			}
		}
		ask("POST", "/faults", `{"kind":"slow","delay":"3s","match":{"recipient":"0001"}}`, `{"id":1}`)
		ask("POST", "/faults", `{"kind":"error","code":130429,"count":-1}`, `{"id":2}`)
		ask("POST", "/faults", `{"kind":"slow","delay":"soon"}`, "soon")
		ask("POST", "/faults", `{"kind":"slow","delays":"3s"}`, "unknown field")
		ask("GET", "/faults", "", `"delay":"3s"`)
		ask("DELETE", "/faults/2", "", `"removed":true`)
		ask("DELETE", "/faults/2", "", "no such fault")
		begun := time.Now()
		w.must("POST", sendPath, oferta(ana, "j1.db.1.1"))
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("the fault took %v", took)
		}
		ask("DELETE", "/faults", "", `"removed":false`)
		ask("POST", "/inbound", `{"from":"+5511900000001","text":"oi"}`, `{"wamid":"wamid.`)
		ask("POST", "/inbound", `{"text":"oi"}`, "telephone number")
		ask("POST", "/preference", `{"from":"+5511900000001","value":"stop"}`, `"ok":true`)
		ask("POST", "/preference", `{"from":"+5511900000001","value":"maybe"}`, "stop or resume")
		ask("POST", "/templates", `{"name":"oferta_natal","language":"pt_BR","status":"paused"}`, `"ok":true`)
		ask("POST", "/templates", `{"name":"other","language":"pt_BR","status":"paused"}`, "no template")
		ask("PUT", "/templates", `{"waba":"`+waba+`","name":"nova","language":"pt_BR","category":"utility","components":[{"type":"BODY","text":"Oi"}]}`, `"ok":true`)
		ask("POST", "/numbers", `{"id":"`+numA+`","quality_rating":"RED"}`, `"ok":true`)
		if got := w.must("GET", "/v25.0/"+numA+"?fields=quality_rating,status", ""); !strings.Contains(got, `"quality_rating":"RED","status":"CONNECTED"`) {
			t.Errorf("number: %s", got)
		}
		ask("POST", "/webhooks/verify", "", `"ok":true`)
		ask("POST", "/webhooks/hold", `{"hold":true}`, `"ok":true`)
		ask("POST", "/webhooks/raw", `whatever`, `"ok":true`)
		ask("GET", "/", "", `"messages":1`)
		ask("GET", "/sends?after=0", "", `"next":1`)
		ask("GET", "/sends?after=x", "", "must be a number")
		ask("GET", "/tally?key=j1.db.1.2", "", `{"read":1,"accepted":1}`)
		ask("GET", "/tally?to=5511900000001&template=oferta_natal", "", `{"accepted":1}`)
		ask("GET", "/tally", "", "?key=")
		ask("GET", "/phones/5511900000001", "", `"text":"Oi, Ana!`)
		ask("GET", "/phones/5511900000009", "", `{"heard":[],"messages":[]}`)
		ask("GET", "/phones/5511900000001", "", `"type":"text","text":"oi"}`)
		ask("GET", "/phones", "", `{"phones":[{"wa_id":"5511900000001","user_id":"BR.`)
		ask("GET", "/phones?limit=0", "", "from 1 on")
		ask("GET", "/phones/5511900000001?format=text", "", "oferta_natal/pt_BR  read\n    Oi, Ana! A oferta")
		ask("POST", "/token", `{"token":"EAAreal"}`, "looks like a real one")
		ask("POST", "/token", `{"token":"rotated"}`, `"ok":true`)
		if _, body, _ := w.do("GET", "/v25.0/"+numA, ""); codeOf(body) != 190 {
			t.Errorf("after the rotation: %s", body)
		}
		var counts map[string]any
		if err := json.Unmarshal([]byte(w.must("GET", "/_sandbox/", "")), &counts); err != nil || counts["webhooks_held"] != true {
			t.Errorf("counts: %v %v", counts, err)
		}
	})
}
