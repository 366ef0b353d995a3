package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/hooks"
)

const planted = "plantado7"

// No problem of any operation repeats anything of its request: not a word of the
// path, a parameter, a header, a field's name or what stands in it, whatever its
// type. Every answer is held to the description besides.
func TestNoProblemRepeatsItsRequest(t *testing.T) {
	h := newHouse(t)
	key := h.key(access.Scopes...)
	refused := 0
	try := func(e *endpoint, path, body string, header ...string) {
		t.Helper()
		a := h.ask(e.method, path, key, body, header...)
		if a.status < 400 {
			return
		}
		refused++
		if a.status >= 500 && a.status != 503 && a.status != 502 {
			t.Errorf("%s %s %s: %d %s", e.method, path, body, a.status, a.body)
		}
		var b bytes.Buffer
		_ = a.header.Write(&b)
		if text := strings.ToLower(b.String() + string(a.body)); strings.Contains(text, planted) {
			t.Errorf("%s %s %s repeats it: %d %s%s", e.method, path, body, a.status, b.String(), a.body)
		}
	}
	for _, e := range endpoints() {
		if e.id == "stream-events" {
			continue // a stream that is open has no end; its problems are in TestStreamsByKey
		}
		words := regexp.MustCompile(`\{[a-z]+\}`)
		plain, strange := words.ReplaceAllString(e.path, "1"), words.ReplaceAllString(e.path, planted)
		repeat := []string{"Idempotency-Key", planted + fmt.Sprint(refused)}
		try(e, strange, "", repeat...)
		try(e, strange, "{}", repeat...)
		for _, header := range []string{"Idempotency-Key", "X-Request-Id", "Prefer", "If-None-Match", "Last-Event-ID", "Content-Type", "Accept"} {
			if header != "Content-Type" { // of no body it says nothing
				try(e, plain, "", header, planted+" é")
			}
			try(e, plain, `{"`+planted+`":1}`, header, planted+" é")
		}
		try(e, plain+"?"+planted+"=1", "", repeat...)
		try(e, plain+"?limit=1&limit="+planted, "", repeat...)
		try(e, plain+"?%zz"+planted, "", repeat...)
		if e.query != nil {
			for name := range described().queries[e.id].Properties {
				try(e, plain+"?"+name+"="+planted, "", repeat...)
			}
		}
		if e.upload {
			tryUploads(func(body, kind string) {
				try(e, strange, body, "Content-Type", kind)
				try(e, plain, body, "Content-Type", kind)
			})
			continue
		}
		if e.csv {
			for _, body := range []string{planted, planted + ";telefone\n1;" + planted, "telefone;" + planted + "\n" + planted + ";1"} {
				for _, query := range []string{"?name=x", "?name=" + planted + "&category=marketing&at=2026-11-01", "?name=x&columns=phone%3D" + planted, "?name=x&scope=" + planted} {
					try(e, plain+query, body, "Content-Type", "text/csv")
				}
			}
		}
		if e.body == nil {
			continue
		}
		for _, body := range []string{planted, `"` + planted + `"`, `{"` + planted, `{"` + planted + `":1}`, `[{"` + planted + `":1}]`, `{"a":"` + planted + `"}{}`, "{\"\xff" + planted + "\":1}"} {
			try(e, plain, body, repeat...)
		}
		s := described().schemas.SchemaFromRef(described().schemaOf(e.body, e.id).Ref)
		good := example(s)
		for name := range s.Properties {
			for _, bad := range []any{planted, map[string]any{planted: planted}, []any{planted}, []any{map[string]any{planted: planted}}, "2026-" + planted, "+" + planted} {
				in := maps.Clone(good)
				in[name] = bad
				text, _ := json.Marshal(in)
				repeat[1] += "x"
				try(e, plain, string(text), repeat...)
			}
		}
	}
	if refused < 800 {
		t.Errorf("only %d requests were refused", refused)
	}
	if strings.Contains(h.log.String(), planted) {
		t.Errorf("the log has it:\n%s", h.log.String())
	}
}

// example fills what an object needs.
func example(s *huma.Schema) map[string]any {
	out := map[string]any{}
	for _, name := range s.Required {
		f := s.Properties[name]
		switch {
		case len(f.Enum) > 0:
			out[name] = f.Enum[0]
		case f.Format == "date-time":
			out[name] = "2026-11-23T12:00:00Z"
		case f.Type == huma.TypeString && len(f.Examples) > 0:
			out[name] = f.Examples[0]
		case f.Type == huma.TypeString:
			out[name] = "x"
		case f.Type == huma.TypeInteger:
			out[name] = 1
		case f.Type == huma.TypeBoolean:
			out[name] = true
		case f.Type == huma.TypeArray && len(f.Items.Enum) > 0:
			out[name] = []any{f.Items.Enum[0]}
		case f.Type == huma.TypeArray:
			out[name] = []any{1}
		default:
			out[name] = map[string]any{}
		}
	}
	return out
}

// tryUploads are forms that are no upload. What a definition's faults say of it is
// not among them: they quote it on purpose.
func tryUploads(try func(body, kind string)) {
	form := func(parts ...[3]string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, p := range parts {
			part, _ := w.CreateFormFile(p[0], p[1])
			_, _ = part.Write([]byte(p[2]))
		}
		_ = w.Close()
		return b.String(), w.FormDataContentType()
	}
	try(form([3]string{planted, planted, planted}))
	try(form([3]string{"file", planted + ".toml", planted}))
	try(form([3]string{"file", "../" + planted, planted}))
	try(form([3]string{"file", "." + planted, planted}))
	try(form([3]string{"file", "STOP", planted}))
	try(form([3]string{"file", planted, "x"}, [3]string{"file", planted, "x"}))
	try(form([3]string{"definition", "a", "x"}, [3]string{"definition", planted, planted}))
	try(form([3]string{"definition", "a", strings.Repeat(planted, campaigns.MaxDefinition/8+1)}))
	body, kind := form([3]string{"definition", "a", planted})
	try(body[:len(body)/2], kind)
	try(planted, "multipart/form-data")
	try(planted, "multipart/form-data; boundary="+planted)
	try(planted, planted)
}

// Whatever comes and goes between two pages, what stands all the time is shown
// once, in order, and a token of another list, or of nobody, is refused.
func TestPagesAreStable(t *testing.T) {
	type row struct{ key string }
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[a-c\x01]{1,4}`), func(s string) string { return s })
		rows := map[string]bool{}
		for _, k := range keys.Draw(rt, "rows") {
			rows[k] = true
		}
		stood := maps.Clone(rows)
		var seen []string
		p := PageQuery{Limit: rapid.IntRange(1, 4).Draw(rt, "limit")}
		for {
			var all []row
			for k := range rows {
				all = append(all, row{k})
			}
			page, next, err := pageOf(all, p, func(r *row) string { return r.key })
			if err != nil {
				rt.Fatal(err)
			}
			if len(page) > p.Limit || page == nil {
				rt.Fatalf("a page of %d: %v", p.Limit, page)
			}
			for _, r := range page {
				seen = append(seen, r.key)
			}
			if next == "" {
				break
			}
			p.After = next
			for _, k := range keys.Draw(rt, "added") {
				rows[k] = true
			}
			for _, k := range slices.Sorted(maps.Keys(rows)) {
				if rapid.IntRange(0, 3).Draw(rt, "removed") == 0 {
					delete(rows, k)
					delete(stood, k)
				}
			}
		}
		if !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != len(seen) {
			rt.Fatalf("not each once, in order: %q", seen)
		}
		for k := range stood {
			if !slices.Contains(seen, k) {
				rt.Fatalf("%q stood all the time, and was not shown: %q", k, seen)
			}
		}
	})
	for _, bad := range []string{"x", "!", pageToken("a", "b"), "YQ=="} {
		if _, err := (PageQuery{After: bad}).key(1); err == nil && bad != "x" {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := (PageQuery{After: pageToken("a")}).ints(1); err == nil {
		t.Error("a token of texts was taken as one of numbers")
	}
	if got, err := (PageQuery{After: pageToken("-5", "7")}).ints(2); err != nil || !reflect.DeepEqual(got, []int64{-5, 7}) {
		t.Errorf("%v %v", got, err)
	}
}

// The audit log in pages, while it grows: nothing twice, nothing left out.
func TestAuditInPages(t *testing.T) {
	h := newHouse(t)
	key := h.key("audit:read")
	hold := func() {
		if _, err := h.client.Hold(t.Context(), HoldRequest{Scope: "all"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 25 {
		hold()
	}
	all := read[auditPage](t, h.ask("GET", "/v1/audit?limit=500", key, ""))
	var seen []int64
	for after := ""; ; {
		page := read[auditPage](t, h.ask("GET", "/v1/audit?limit=7&after="+after, key, ""))
		for _, e := range page.Entries {
			seen = append(seen, e.ID)
		}
		if after = page.Next; after == "" {
			break
		}
		hold()
	}
	want := []int64{}
	for _, e := range all.Entries {
		want = append(want, e.ID)
	}
	if !slices.Equal(seen, want) || len(want) != 26 {
		t.Errorf("%d of %d: %v", len(seen), len(want), seen)
	}
}

// What a stream is asked wrongly, and where there is none; what it tells is in
// the scripts.
func TestStreamsByKey(t *testing.T) {
	h := newHouse(t)
	key := h.key("event:read")
	h.ask("GET", "/v1/events", key, "").wantCode(t, 404, "not-found")
	var err error
	h.server.cfg.Hooks, err = hooks.New(t.Context(), hooks.Config{DB: h.db, Targets: []hooks.Target{{Name: "um", Mode: hooks.Stream}, {Name: "dois", Mode: hooks.Stream}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]string{"/v1/events": "malformed", "/v1/events?stream=" + planted: "not-found", "/v1/events?stream=um&after=" + planted: "malformed", "/v1/events?" + planted + "=1": "malformed"} {
		a := h.ask("GET", path, key, "")
		if a.wantCode(t, map[string]int{"malformed": 400, "not-found": 404}[code], code); strings.Contains(string(a.body), planted) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	h.ask("GET", "/v1/events?stream=um", key, "", "Last-Event-ID", planted).wantCode(t, 400, "malformed")
}
