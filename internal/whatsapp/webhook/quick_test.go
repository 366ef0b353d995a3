package webhook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	quickHead   = `{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","time":1764000000,"changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"12025550100","phone_number_id":"106540352242922"},`
	quickTail   = `},"field":"messages"}]}]}`
	quickPeople = `"contacts":[{"profile":{"name":"Jo\u00e3o ã \"x\""},"wa_id":"551190000001","user_id":"BR.1502"}],`
	quickSent   = `{"id":"wamid.AAA1","status":"sent","timestamp":"1764000000","recipient_id":"551190000001","biz_opaque_callback_data":"j1.0123456789abcdef.77.1",` +
		`"conversation":{"id":"8f84","expiration_timestamp":"1764086460","origin":{"type":"marketing"}},"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}}`
	quickRead = ` { "id" : "wamid.AAA1" , "status":"read", "timestamp":1764000009, "new":{"a":[1,-2.5e3,null,true,"\u00e9"],"b":{}}, "recipient_id":"551190000001"}`
)

// quickForms are callbacks that are read in one go.
var quickForms = []string{
	quickHead + `"statuses":[` + quickSent + `]` + quickTail,
	quickHead + `"statuses":[` + quickSent + `,` + quickRead + `]` + quickTail,
	quickHead + quickPeople + `"statuses":[` + quickRead + `]` + quickTail,
	" \n" + strings.ReplaceAll(quickHead, ",", " ,\t") + `"statuses":[` + quickRead + "\n]" + quickTail + "\r\n ",
}

// sameAsSlow wants what is read quickly to be what encoding/json makes of it.
func sameAsSlow(t interface {
	Helper()
	Fatalf(string, ...any)
}, body []byte) (quick bool) {
	t.Helper()
	got, ok := quickly(body)
	if !ok {
		return false
	}
	want, err := slowly(body)
	if err != nil {
		t.Fatalf("%q is read quickly, and otherwise not at all: %v", body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q:\n%s", body, diff)
	}
	return true
}

func TestQuickForms(t *testing.T) {
	for _, body := range quickForms {
		if !sameAsSlow(t, []byte(body)) {
			t.Errorf("%q is not read quickly", body)
		}
	}
	n := 0
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sameAsSlow(t, body) {
			n++
		}
	}
	if n == 0 {
		t.Error("none of the fixtures is read quickly")
	}
}

// What means something else to encoding/json, or may hold something else than
// statuses, is left to it.
func TestQuickLeavesTheRest(t *testing.T) {
	whole := quickForms[0]
	for _, change := range [][2]string{
		{`"status":"sent"`, `"status":"sent","status":"read"`},
		{`"status":"sent"`, `"status":"sent","STATUS":"read"`},
		{`"status":"sent"`, `"status":"s\u0065nt"`},
		{`"status":"sent"`, `"status":null`},
		{`"status":"sent"`, `"status":"failed","errors":[{"code":131026}]`},
		{`"timestamp":"1764000000"`, `"timestamp":017`},
		{`"recipient_id":"551190000001"`, `"recipient_id":"551190000001` + "\x01" + `"`},
		{`"statuses":[`, `"messages":[],"statuses":[`},
		{`"statuses":[`, `"statuses":[],"statuses":[`},
		{`"statuses":[`, `"statuses":[7,`},
		{`"field":"messages"`, `"field":"user_preferences"`},
		{`,"field":"messages"`, ``},
		{`whatsapp_business_account`, `page`},
		{`]}]}`, `]}]}x`},
		{`]}]}`, `]}`},
		{`"id":"102290129340398",`, ``},
	} {
		body := strings.Replace(whole, change[0], change[1], 1)
		if body == whole {
			t.Fatalf("%q is not there", change[0])
		}
		if quick := sameAsSlow(t, []byte(body)); quick != strings.HasPrefix(change[0], `"id":"1022`) {
			t.Errorf("with %q: read quickly: %v", change[1], quick)
		}
	}
}

// Bodies that were changed here and there are read quickly as they are slowly, or
// not quickly at all.
func TestQuickIsSlow(t *testing.T) {
	pieces := []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, `0`, `1`, `-`, `.`, `e5`, `null`, `true`, `false`, `{}`, `[]`, `""`, "\x00", "é", "\xff", `\u00e9`, `\x`,
		`"id":`, `"ID":`, `"status":"read",`, `"statuses":[],`, `"contacts":[{}],`, `"contacts":[],`, `"metadata":{},`, `"pricing":null,`, `"pricing":{"billable":"true"},`, `"timestamp":1e9,`, `"recipient_type":"group",`,
		`"field":"messages",`, `"value":{},`, `"changes":[],`, `"entry":[],`, `"errors":[],`, `"recipient_user_id":"BR.ENT.1",`, `"recipient_id":"BR.77",`, `{"id":"x","status":"delivered"},`}
	quick := 0
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SampledFrom(quickForms).Draw(t, "form")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			from := rapid.IntRange(0, len(body)).Draw(t, "from")
			if rapid.Bool().Draw(t, "at a member") {
				for from > 0 && from < len(body) && body[from-1] != ',' && body[from-1] != '{' && body[from-1] != ':' && body[from-1] != '[' {
					from--
				}
			}
			to := min(len(body), from+rapid.IntRange(0, 3).Draw(t, "less"))
			body = body[:from] + rapid.SampledFrom(pieces).Draw(t, "piece") + body[to:]
		}
		if sameAsSlow(t, []byte(body)) {
			quick++
		}
	})
	if quick == 0 && !testing.Short() { // about one of three is
		t.Error("nothing was read quickly")
	}
}

func FuzzQuick(f *testing.F) {
	for _, body := range quickForms {
		f.Add([]byte(body))
	}
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		if body, err := os.ReadFile(file); err == nil {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAsSlow(t, body) })
}

// A callback costs few allocations, and each status in it few more.
func TestQuickAllocates(t *testing.T) {
	per := func(n int) float64 {
		body := []byte(quickHead + `"statuses":[` + strings.Repeat(quickSent+",", n-1) + quickSent + `]` + quickTail)
		return testing.AllocsPerRun(20, func() {
			if events, err := Decode(body); err != nil || len(events) != n {
				panic(fmt.Sprint(len(events), err))
			}
		})
	}
	one, many := per(1), per(101)
	if each := (many - one) / 100; each > 8 {
		t.Errorf("a status costs %v allocations", each)
	}
	t.Logf("one %v, each more %v", one, (many-one)/100)
}
