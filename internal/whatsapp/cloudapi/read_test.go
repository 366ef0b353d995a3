package cloudapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/whatsapp"
)

func TestTemplates(t *testing.T) {
	pages := map[string]string{
		"": `{"data":[
			{"id":"1","name":"oferta_natal","language":"pt_BR","status":"APPROVED","category":"MARKETING","sub_category":"CUSTOM","parameter_format":"POSITIONAL",
			 "components":[{"type":"BODY","text":"Olá {{1}}"}],"quality_score":{"score":"GREEN","date":1764000000,"reasons":["NONE"]},"rejected_reason":"NONE",
			 "correct_category":"","previous_category":"UTILITY","message_send_ttl_seconds":43200,"last_updated_time":"2026-11-01T00:00:00+0000","new_field":{},
			 "health_status":{"can_send_message":"LIMITED","entities":[{"entity_type":"WABA","id":99,"can_send_message":"LIMITED","errors":[{"error_code":"141006","error_description":"d","possible_solution":"s"}],"additional_info":["i"]}]}},
			{"id":2,"name":"codigo","language":"pt-BR","status":"paused","category":"AUTHENTICATION","message_send_ttl_seconds":"-1","components":null,"quality_score":null}],
			"paging":{"cursors":{"before":"a","after":"B"},"next":"https://graph.facebook.com/v25.0/9/message_templates?access_token=SECRET&after=B"}}`,
		"B": `{"data":[],"paging":{"next":"https://graph.facebook.com/x?after=C"}}`,
		"C": `{"data":[{"id":"1","name":"oferta_natal","language":"pt_BR"},{"id":"3","name":"velho","language":"en","status":"NEW_STATUS","category":"TRANSACTIONAL","quality_score":"odd","components":{"odd":1}}],"paging":{"cursors":{"after":"D"}}}`,
	}
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v25.0/9/message_templates" || r.Header.Get("Authorization") != "Bearer "+testToken || r.URL.Query().Get("access_token") != "" {
			t.Errorf("%s %s", r.URL, r.Header)
		}
		if !strings.Contains(r.URL.Query().Get("fields"), "correct_category") {
			t.Errorf("fields %s", r.URL.Query().Get("fields"))
		}
		_, _ = io.WriteString(w, pages[r.URL.Query().Get("after")])
	})
	var got []Template
	if err := srv.client(t).Templates(t.Context(), "9", func(tpl Template) error { got = append(got, tpl); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []Template{
		{
			ID: "1", Name: "oferta_natal", Language: "pt_BR", Status: whatsapp.TemplateApproved, Category: "MARKETING", SubCategory: "CUSTOM",
			ParameterFormat: "POSITIONAL", Components: []byte(`[{"type":"BODY","text":"Olá {{1}}"}]`),
			QualityScore:   QualityScore{Score: "GREEN", At: time.Unix(1764000000, 0).UTC(), Reasons: []string{"NONE"}},
			RejectedReason: "NONE", PreviousCategory: "UTILITY", MessageSendTTLSeconds: 43200, LastUpdated: "2026-11-01T00:00:00+0000",
			Health: Health{CanSend: "LIMITED", Entities: []HealthEntity{{Type: "WABA", ID: "99", CanSend: "LIMITED", Errors: []HealthError{{141006, "d", "s"}}, Info: []string{"i"}}}},
		},
		{ID: "2", Name: "codigo", Language: "pt_BR", Status: whatsapp.TemplatePaused, Category: "AUTHENTICATION", MessageSendTTLSeconds: -1},
		{ID: "3", Name: "velho", Language: "en", Status: "NEW_STATUS", Category: "TRANSACTIONAL", Components: []byte(`{"odd":1}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	stop := errors.New("enough")
	if err := srv.client(t).Templates(t.Context(), "9", func(Template) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of each is lost: %v", err)
	}
}

func TestTemplatesRestart(t *testing.T) {
	var calls atomic.Int64
	var broken atomic.Int64
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch r.URL.Query().Get("after") {
		case "":
			_, _ = io.WriteString(w, `{"data":[{"id":"1","name":"a"}],"paging":{"cursors":{"after":"B"},"next":"x"}}`)
		default:
			if broken.Add(-1) >= 0 {
				graph(w, 400, badCursor)
				return
			}
			_, _ = io.WriteString(w, `{"data":[{"id":"2","name":"b"}]}`)
		}
	})
	for _, c := range []struct {
		broken int64
		ids    string
		ok     bool
	}{{0, "1 2", true}, {1, "1 2", true}, {2, "1 2", true}, {3, "1", false}} {
		broken.Store(c.broken)
		var ids []string
		err := srv.client(t).Templates(t.Context(), "9", func(tpl Template) error { ids = append(ids, tpl.ID); return nil })
		if (err == nil) != c.ok || strings.Join(ids, " ") != c.ids {
			t.Errorf("%d broken cursors: %v, %v", c.broken, ids, err)
		}
	}
}

// A list that could not be read whole is an error, never a shorter list: a
// template that is missing from it would be taken for deleted.
func TestListFaults(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":             "<html>",
		"empty":               "",
		"null":                "null",
		"no list":             `{"data":{}}`,
		"no data":             `{"paging":{}}`,
		"element without id":  `{"data":[{"id":"1","name":"a"},{"name":"b"}]}`,
		"element of a kind":   `{"data":[7]}`,
		"cursor missing":      `{"data":[],"paging":{"next":"https://x/y"}}`,
		"cursor that repeats": `{"data":[],"paging":{"cursors":{"after":"B"},"next":"x"}}`,
	} {
		srv := serve(t, false, page(200, body))
		err := srv.client(t).Templates(t.Context(), "9", func(Template) error { return nil })
		if e := checkError(t, err); e == nil || e.Class != whatsapp.ClassRetry {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadRetries(t *testing.T) {
	const good = `{"id":"7","status":"connected","throughput":{"level":"high"},"is_on_biz_app":true,"whatsapp_business_manager_messaging_limit":"TIER_2K","display_phone_number":"+1 202-555-0100","quality_rating":"GREEN"}`
	for _, c := range []struct {
		name  string
		fault http.HandlerFunc
		calls int64
		class whatsapp.Class
		code  int
	}{
		{"none", page(200, good), 1, "", 0},
		{"500 once", page(500, "oops"), 2, "", 0},
		{"429 once", waits("86400", 429, nil), 2, "", 0},
		{"reset once", resets, 2, "", 0},
		{"body cut once", cut(good[:20]), 2, "", 0},
		{"slow once", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 2, "", 0},
		{"code 2 once", refuses(503, 2), 2, "", 0},
		{"code 1 as 500 once", refuses(500, 1), 2, "", 0},
		{"code 3 as 500", refuses(500, 3), 1, whatsapp.ClassHaltAuth, 3},
		{"code 190", refuses(401, 190), 1, whatsapp.ClassHaltAuth, 190},
		{"code 4", refuses(400, 4), 1, whatsapp.ClassThrottleApp, 4},
		{"code 100", refuses(400, 100), 1, whatsapp.ClassStopCampaign, 100},
		{"redirect", redirect(307), 1, whatsapp.ClassRetry, 0},
		{"no number", page(200, `{}`), 1, whatsapp.ClassRetry, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var first atomic.Bool
			srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
				if first.CompareAndSwap(false, true) {
					c.fault(w, r)
					return
				}
				_, _ = io.WriteString(w, good)
			})
			n, err := srv.client(t).Number(t.Context(), "7")
			if got := srv.arrived.Load(); got != c.calls {
				t.Errorf("%d calls, want %d", got, c.calls)
			}
			if c.class != "" {
				if e := checkError(t, err); e == nil || e.Class != c.class || e.Code != c.code {
					t.Errorf("%v", err)
				}
				return
			}
			want := Number{ID: "7", DisplayPhone: "+1 202-555-0100", Status: "CONNECTED", QualityRating: "GREEN", Throughput: "HIGH", MessagingLimit: "TIER_2K", OnBizApp: true}
			if diff := cmp.Diff(want, n); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestReadGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		code  int
	}{"proxy": {page(502, "<html>"), 0}, "Graph": {refuses(503, 2), 2}, "resets": {resets, 0}} {
		srv := serve(t, false, c.fault)
		_, err := srv.client(t).Numbers(t.Context(), "9")
		if e := checkError(t, err); e == nil || e.Class != whatsapp.ClassRetry || e.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if n := srv.arrived.Load(); n != 4 {
			t.Errorf("%s: %d calls, want 4", name, n)
		}
	}
}

func TestNumbers(t *testing.T) {
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		fields := r.URL.Query().Get("fields")
		old := strings.HasPrefix(r.URL.Path, "/v23.0/")
		if strings.Contains(fields, "messaging_limit_tier") != old || strings.Contains(fields, "whatsapp_business_manager_messaging_limit") == old {
			t.Errorf("%s asks for %s", r.URL.Path, fields)
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"1","messaging_limit_tier":"TIER_250"},{"id":2,"throughput":null}],"paging":{"cursors":{"after":"x"}}}`)
	})
	client := srv.client(t)
	for _, version := range []string{"v25.0", "v23.0"} {
		client.base, client.modern = srv.URL+"/"+version, majorVersion(version) >= 24
		got, err := client.Numbers(t.Context(), "9")
		if diff := cmp.Diff([]Number{{ID: "1", MessagingLimit: "TIER_250"}, {ID: "2"}}, got); err != nil || diff != "" {
			t.Error(version, err, diff)
		}
	}
}

func TestUploadMedia(t *testing.T) {
	const content = "\x89PNG not really"
	var opened, closed atomic.Int64
	open := func() (io.ReadCloser, error) {
		opened.Add(1)
		return &countingFile{strings.NewReader(content), &closed}, nil
	}
	for _, h2 := range []bool{false, true} {
		srv := serve(t, h2, nil)
		srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			srv.arrived.Add(1)
			file, header, err := r.FormFile("file")
			if err != nil {
				t.Error(err)
				return
			}
			b, _ := io.ReadAll(file)
			if string(b) != content || header.Filename != `ban"ner.png` || header.Header.Get("Content-Type") != "image/png" ||
				r.FormValue("messaging_product") != "whatsapp" || r.FormValue("type") != "image/png" || r.ContentLength <= 0 {
				t.Errorf("%q %v %v %d", b, header, r.Form, r.ContentLength)
			}
			fmt.Fprint(w, `{"id":1037543291543636}`)
		})
		id, err := srv.client(t).UploadMedia(t.Context(), "7", `ban"ner.png`, "image/png", int64(len(content)), open)
		if err != nil || id != "1037543291543636" {
			t.Errorf("h2=%t: %q, %v", h2, id, err)
		}
	}
	if opened.Load() == 0 || opened.Load() != closed.Load() {
		t.Errorf("opened %d times, closed %d times", opened.Load(), closed.Load())
	}
}

type countingFile struct {
	io.Reader
	closed *atomic.Int64
}

func (f *countingFile) Close() error { f.closed.Add(1); return nil }

func TestUploadMediaFaults(t *testing.T) {
	upload := func(srv *counter, open func() (io.ReadCloser, error), size int64) error {
		_, err := srv.client(t).UploadMedia(t.Context(), "7", "a.png", "image/png", size, open)
		return err
	}
	file := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("1234")), nil }

	for name, answer := range map[string]http.HandlerFunc{"reset": resets, "500": page(500, ""), "no id": page(200, "{}"), "redirect": redirect(307)} {
		srv := serve(t, false, answer)
		if e := checkError(t, upload(srv, file, 4)); e == nil || e.NotSent || srv.arrived.Load() != 1 {
			t.Errorf("%s: %v after %d calls", name, e, srv.arrived.Load())
		}
	}
	srv := serve(t, false, page(200, `{"id":"1"}`))
	if err := upload(srv, func() (io.ReadCloser, error) { return nil, os.ErrNotExist }, 4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := upload(srv, file, 9); err == nil { // the file became shorter
		t.Error("a file that is too short was accepted")
	}
	if _, err := srv.client(t).UploadMedia(t.Context(), "7", "a", "image/png\r\nX: 1", 4, file); err == nil {
		t.Error("a media type with a newline was accepted")
	}
	if n := srv.processed.Load(); n != 0 {
		t.Errorf("%d uploads arrived", n)
	}
}

// Names with quotes and newlines cannot break out of the form.
func TestEnvelopeEscapesName(t *testing.T) {
	head, _, _, err := envelope("a\r\nX-Evil: 1\".png", "image/png")
	if err != nil || strings.Contains(string(head), "\r\nX-Evil") {
		t.Errorf("%v\n%s", err, head)
	}
}
