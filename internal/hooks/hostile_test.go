package hooks

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// hostiles are receivers that misbehave, and what has become of a delivery to
// each: whether it has arrived, and what is said of it if not.
var hostiles = map[string]struct {
	does    http.HandlerFunc
	arrived bool
	says    string
}{
	"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false, "no answer in time"},
	"closes early":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "the connection broke off"},
	"endless body": {func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}, true, ""},
	"body that never comes": {func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, true, ""},
	"failure with an endless body": {func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}, false, "status 400"},
	"huge header":   {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, false, "no answer that can be read"},
	"half a header": {hijacked("HTTP/1.1 200 OK\r\nContent-Le"), false, "no answer that can be read"},
	"no HTTP":       {hijacked("220 mail.example ESMTP\r\n\r\n"), false, "no answer that can be read"},
	"switches protocols": {func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the other side closes
		_ = conn.Close()
	}, false, "status 101"},
}

func hijacked(says string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, says)
		_ = conn.Close()
	}
}

// A target that misbehaves costs its own time and nothing else, and what it did
// not take is not lost.
func TestHostileTargets(t *testing.T) {
	for name, c := range hostiles {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.start(events("it"), events("good"))
				h.peer("it").answers(c.does)
				h.emit("a.b", "", 1)
				equal(t, "at the good one", len(h.peer("good").log()), 1)
				h.pass(30 * time.Second)
				r := h.reports()["it"]
				if c.arrived {
					equal(t, "report", fmt.Sprint(r.Delivered, r.Waiting), "1 0")
					equal(t, "requests", len(h.peer("it").log()), 1)
				} else {
					equal(t, "report", fmt.Sprint(r.Delivered, r.Waiting), "0 1")
					equal(t, "failure", h.list("it", false)[0].Failure, c.says)
				}
				h.peer("it").answers(nil)
				h.pass(2 * time.Minute)
				equal(t, "delivered in the end", h.reports()["it"].Delivered, 1)
				equal(t, "rows left", h.left(), 0)
				h.sound()
			})
		})
	}
}

// What is said of a failure is made of fixed words: no address, no secret.
func TestNothingOfAnAddressLeaks(t *testing.T) {
	bubble(t, func(h *house) {
		h.start(events("it", func(t *Target) { t.URL = "https://hunter1:hunter2@it/hunter3?key=hunter4" }),
			events("nowhere", func(t *Target) { t.URL = "https://eva:hunter5@nowhere/hunter6" }))
		delete(h.peers, "nowhere")
		for _, c := range hostiles {
			h.peer("it").answers(c.does)
			h.emit("a.b", "", 1)
			h.pass(20 * time.Second)
		}
		for name, outage := range outages {
			if name != "refused" {
				outage(h.peer("it"), true)
				h.emit("a.b", "", 1)
				h.pass(20 * time.Second)
			}
		}
		h.peer("it").setAway(true)
		h.emit("a.b", "", 1)
		h.pass(4 * 24 * time.Hour)
		all := h.log.String() + fmt.Sprintf("%+v %+v %+v", h.reports(), h.list("it", true), h.list("nowhere", true))
		if !strings.Contains(all, "no such host") || !strings.Contains(all, "given up") {
			t.Errorf("nothing was said:\n%s", all)
		}
		for i := 1; i <= 6; i++ {
			if strings.Contains(all, fmt.Sprint("hunter", i)) {
				t.Errorf("hunter%d leaked", i)
			}
		}
		if strings.Contains(all, aSecret[6:]) {
			t.Error("the secret leaked")
		}
	})
}

// Certificates that are not right are said in words.
func TestWordsForTLS(t *testing.T) {
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure, plain := httptest.NewUnstartedServer(http.NotFoundHandler()), httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog, plain.Config.ErrorLog = quiet, quiet
	secure.StartTLS()
	plain.Start()
	defer secure.Close()
	defer plain.Close()
	for address, want := range map[string]string{
		secure.URL: "its certificate is of an unknown authority",
		strings.Replace(plain.URL, "http", "https", 1): "no answer that can be read",
	} {
		resp, err := (&http.Client{Transport: newTransport()}).Get(address)
		if err == nil {
			_ = resp.Body.Close()
		}
		equal(t, "words", Failure(err), want)
	}
}
