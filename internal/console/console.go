package console

import (
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/store"
)

// Config says what a Console works with. All but Sandbox is required.
type Config struct {
	DB       *store.DB
	Logins   *access.Logins        // who comes in
	API      *httpapi.Server       // whose operations the pages call
	Zone     func() *time.Location // in which times are shown
	Sandbox  http.Handler          // its management, with a path from its root; nil: a real account
	Secure   bool                  // the browser comes by TLS: cookies are bound to it
	Version  string
	FourEyes func() bool // an approver must not be who submitted
	Log      *slog.Logger
}

// Console is the web pages. It is an http.Handler of a listener of its own.
type Console struct {
	cfg       Config
	mux       *http.ServeMux
	origin    *http.CrossOriginProtection
	templates map[string]*template.Template // by language
	notices   notices
	replies   onces
	waiting   waiting
}

// New returns a Console.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), templates: map[string]*template.Template{}}
	c.waiting.ended = make(chan struct{})
	for _, l := range langs() {
		c.templates[l.tag] = c.parse(l)
	}
	for _, r := range routes() {
		if r.sandbox && cfg.Sandbox == nil {
			continue
		}
		c.mux.HandleFunc(r.method+" "+r.path, c.serve(r))
	}
	c.mux.HandleFunc("GET /static/{file}", asset)
	c.mux.HandleFunc("GET /live", c.serve(route{role: anybody, run: (*visit).live}))
	c.mux.HandleFunc("/", c.serve(route{open: true, run: func(v *visit) error { return errNoPage }}))
	return c
}

// ServeHTTP answers a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if c.cfg.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Cache-Control", "no-store") // assets say otherwise
	c.mux.ServeHTTP(w, r)
}

// policy lets a page load what this program serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds a form, in bytes. Uploads lift it.
const maxForm = 1 << 20

// End lets every page that waits for news go, now and from now on. For
// http.Server.RegisterOnShutdown.
func (c *Console) End() { c.waiting.end() }
