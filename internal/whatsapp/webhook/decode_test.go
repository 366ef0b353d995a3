package webhook

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden writes events as text: a line with the type, then its fields.
func golden(t *testing.T, events []Event) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		text, err := json.MarshalIndent(plain(e), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s\n", strings.TrimPrefix(fmt.Sprintf("%T", e), "webhook."), dropEmpty(string(text)))
	}
	return b.String()
}

func plain(e Event) any {
	if m, ok := e.(Inbound); ok {
		m.Raw = nil // its own test
		return m
	}
	return e
}

// dropEmpty leaves out the fields that say nothing.
func dropEmpty(text string) string {
	var kept []string
	for line := range strings.SplitSeq(text, "\n") {
		value := strings.TrimSuffix(line[strings.LastIndex(line, `":`)+1:], ",")
		switch strings.TrimPrefix(value, ": ") {
		case `""`, "null", `"0001-01-01T00:00:00Z"`:
		default:
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func TestDecodeGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		events, err := Decode(body)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got := golden(t, events)
		path := strings.TrimSuffix(file, ".json") + ".golden"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, body := range []string{
		"", "x", "null", "7", `"x"`, "[]", "{}", `{"object":"whatsapp_business_account"}`, `{"object":"whatsapp_business_account","entry":7}`,
		`{"entry":{}}`, `{"object":"whatsapp_business_account","entry":[]} trailing`, `{"object":"whatsapp_business_account","entry":[{]}`,
	} {
		if events, err := Decode([]byte(body)); err == nil {
			t.Errorf("%q gives %v", body, events)
		}
	}
	for _, body := range []string{`{"entry":[]}`, ` {"object":"whatsapp_business_account","entry":[]}`} {
		if events, err := Decode([]byte(body)); err != nil || len(events) != 0 {
			t.Errorf("%q gives %v, %v", body, events, err)
		}
	}
}

func TestOpensWindow(t *testing.T) {
	body, err := os.ReadFile("testdata/inbound_kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	events, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"interactive": true, "image": true, "audio": true, "location": true, "unsupported": true, "order": true, "a_new_kind": true,
		"reaction": false, "edit": false, "revoke": false, "request_welcome": false, "system": false,
	}
	got := map[string]bool{"text": Inbound{Type: "text"}.OpensWindow(), "button": Inbound{Type: "button"}.OpensWindow()}
	want["text"], want["button"] = true, true
	for _, e := range events {
		m := e.(Inbound)
		got[m.Type] = m.OpensWindow()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if (Inbound{}).OpensWindow() {
		t.Error("a message without a type opens a window")
	}
}

// Raw is the element itself, and a copy: the caller may reuse the body.
func TestInboundRaw(t *testing.T) {
	const element = `{"from":"551190000001","id":"wamid.I1","timestamp":"1764000000","type":"text","text":{"body":"olá"}}`
	body := []byte(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[` + element + `]}}]}]}`)
	events, err := Decode(body)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	clear(body)
	if got := string(events[0].(Inbound).Raw); got != element {
		t.Errorf("raw %s", got)
	}
}

func TestInboundPrintsNothingPersonal(t *testing.T) {
	m := Inbound{
		Wamid: "wamid.HBgNNTUxMTkwMDAwMDAwMRUC", From: "5511900000001", UserID: "BR.13491208655302741918", Username: "ana.lima", ProfileName: "Ana",
		Type: "text", Text: "meu segredo", Raw: json.RawMessage(`{"text":"meu segredo"}`),
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "message", m)
	printed := fmt.Sprintf("%v %+v %#v %s", m, m, m, &m) + log.String() + fmt.Sprint([]Event{m})
	for _, secret := range []string{"segredo", "Ana", "ana.lima", "0000000", "13491208", "HBgN"} {
		if strings.Contains(printed, secret) {
			t.Errorf("%q is printed: %s", secret, printed)
		}
	}
}

// Code 0 means that the token is gone and halts all sending; a missing code must
// not be read as it.
func TestErrorWithoutCode(t *testing.T) {
	body := `{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[{"id":"wamid.A","status":"failed","errors":[
		{"title":"no code"},{"code":null,"title":"null"},{"code":"x","title":"odd"},{"code":0,"title":"zero"},{"code":{},"message":"object"},{"code":7},{},null]}]}}]}]}`
	events, err := Decode([]byte(body))
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	want := []ErrorDetail{{-1, "no code", "", ""}, {-1, "null", "", ""}, {-1, "odd", "", ""}, {0, "zero", "", ""}, {-1, "", "object", ""}, {7, "", "", ""}}
	if diff := cmp.Diff(want, events[0].(Status).Errors); diff != "" {
		t.Error(diff)
	}
}

func TestInstant(t *testing.T) {
	at := time.Unix(1764000000, 0).UTC()
	for in, want := range map[string]time.Time{
		`1764000000`: at, `"1764000000"`: at, `1764000000999`: at, `"1764000000001"`: at, `" 1764000000 "`: at, `1764000000.7`: at, `1.764e9`: at,
		`"2025-11-24T16:00:00Z"`: at, `"2025-11-24T13:00:00-0300"`: at,
		`null`: {}, `""`: {}, `0`: {}, `-5`: {}, `"x"`: {}, `{}`: {}, `[1]`: {}, `true`: {}, `1e300`: {}, `999999999999`: {}, `9223372036854775807`: {},
	} {
		var i instant
		if err := json.Unmarshal([]byte(in), &i); err != nil || !i.Equal(want) {
			t.Errorf("%s: %s, %v; want %s", in, i.Time, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := Decode(body)
		if err != nil {
			if len(events) > 0 || len(err.Error()) > 200 {
				t.Fatalf("%d events with the error %v", len(events), err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatal("events out of no JSON")
		}
		for _, e := range events {
			switch e := e.(type) {
			case Inbound:
				if e.Wamid == "" || e.From == "" && e.UserID == "" && e.ParentUserID == "" || isUserID(string(e.From)) || !json.Valid(e.Raw) {
					t.Fatalf("incomplete: %#v", plainText(e))
				}
			case Status:
				if e.Wamid == "" && e.Callback == "" || e.Status == "" || isUserID(string(e.RecipientID)) {
					t.Fatalf("incomplete: %s", plainText(e))
				}
			case Unknown:
				if e.Reason == "" || len(e.Field) > 64 {
					t.Fatalf("incomplete: %s", plainText(e))
				}
			case Preference:
				if e.WaID == "" && e.UserID == "" && e.ParentUserID == "" || e.Value == "" {
					t.Fatalf("incomplete: %s", plainText(e))
				}
			}
		}
	})
}

func plainText(e Event) string {
	b, _ := json.Marshal(e)
	return string(b)
}

func BenchmarkDecodeStatus(b *testing.B) {
	body := []byte(`{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":"106540352242922"},"statuses":[{"id":"wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEjhEQUY3","status":"sent","timestamp":"1764000000","recipient_id":"551190000001","biz_opaque_callback_data":"j1.0123456789abcdef.77.1","conversation":{"id":"8f84","expiration_timestamp":"1764086460","origin":{"type":"marketing"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}}]},"field":"messages"}]}]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
