package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/dispatch"
	"janela/internal/hooks"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

// Config says what a Server works with. DB, Campaigns and Account are required.
type Config struct {
	DB          *store.DB
	Campaigns   *campaigns.Campaigns
	Account     *account.Syncer
	Outcomes    func(tx *store.Tx, out []outbox.Outcome) error
	TestNumbers []whatsapp.Phone
	Folder      string // where campaigns are dropped
	Spool       string // for uploads while they are read; a folder beside the database
	Zone        string // of dates without an offset
	Region      string // of numbers without a plus
	Version     string
	Health      func(ctx context.Context) Health                     // nil: not told
	Reload      func(ctx context.Context, by string) (Reload, error) // nil: there is nothing to reload
	Self        func() Self                                          // nil: not told
	Reach       func(now time.Time) dispatch.Reach                   // nil: not told
	Paces       func() []dispatch.Pace                               // nil: not told
	Sends       func() Sends                                         // of the last hour; nil: not told
	// Waits says whether a message waits for the messaging limit, and until when.
	Waits        func(q store.Querier, s outbox.Stream, contact int64) (until time.Time, wait bool, err error)
	OTP          *otp.OTP      // nil: no codes are sent
	Hooks        *hooks.Hooks  // nil: no system hears what happens
	Links        []LinkWord    // words by which people sign up
	KeyPerSecond float64       // requests of one API key, twice as many at once; 0: not bounded
	DoubleOptIn  bool          // every grant by the API has to be confirmed
	Ledger       *optin.Ledger // nil: consents are not sealed
	MAC          MAC           // of what the public face must recognise and may not keep; codes have their own
	Log          *slog.Logger
}

// Server answers the command line's requests, and through Public those of the
// business's own systems.
type Server struct {
	cfg    Config
	live   atomic.Pointer[Live]
	mux    *http.ServeMux
	public *public
	synced atomic.Bool // Meta's templates were asked for once
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Outcomes == nil {
		cfg.Outcomes = func(*store.Tx, []outbox.Outcome) error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	s.public = newPublic(s, cfg)
	s.Set(Live{cfg.Zone, cfg.Region, cfg.TestNumbers, cfg.Links, cfg.DoubleOptIn})
	for _, some := range []map[string]operation{s.operations(), s.ledgerOperations(), s.machineOperations(), s.silenceOperations(), s.selfOperations(), s.operatorOperations(), s.personOperations(), s.viewOperations(), s.campaignOperations()} {
		for pattern, f := range some {
			s.mux.HandleFunc(pattern, s.answer(pattern, f))
		}
	}
	return s
}

// operation answers one request. It writes its answer itself, or returns the
// error; an error after the first byte ends the connection, so that nobody
// takes half an answer for a whole one.
type operation func(w http.ResponseWriter, r *http.Request) error

func (s *Server) operations() map[string]operation {
	return map[string]operation{
		"POST /v1/plan":                   s.plan,
		"POST /v1/check":                  s.check,
		"GET /v1/campaigns":               s.listCampaigns,
		"GET /v1/campaigns/{id}":          s.showCampaign,
		"GET /v1/campaigns/{id}/report":   s.report,
		"POST /v1/campaigns/{id}/draft":   s.draft,
		"POST /v1/campaigns/{id}/test":    s.testCampaign,
		"POST /v1/campaigns/{id}/approve": s.approve,
		"POST /v1/campaigns/{id}/pause":   s.pause,
		"POST /v1/campaigns/{id}/resume":  s.resume,
		"POST /v1/campaigns/{id}/cancel":  s.cancel,
		"GET /v1/why":                     s.why,
		"GET /v1/messages/{id}":           s.message,
		"GET /v1/consents":                s.consents,
		"POST /v1/consents/grant":         s.grant,
		"POST /v1/consents/revoke":        s.revoke,
		"POST /v1/consents/import":        s.importConsents,
		"POST /v1/forget":                 s.forget,
		"POST /v1/dossier":                s.dossier,
		"GET /v1/consents/export":         s.exportConsents,
		"GET /v1/consents/verify":         s.verify,
		"POST /v1/consents/verify/accept": s.acceptHead,
		"GET /v1/templates":               s.templates,
		"POST /v1/templates/sync":         s.syncTemplates,
		"POST /v1/replies":                s.reply,
		"GET /v1/holds":                   s.holds,
		"POST /v1/holds":                  s.hold,
		"POST /v1/holds/release":          s.release,
		"GET /v1/keys":                    s.keys,
		"POST /v1/keys":                   s.addKey,
		"POST /v1/keys/{id}/revoke":       s.revokeKey,
		"GET /v1/otp/doctor":              s.doctor,
		"POST /v1/otp/unlock":             s.unlock,
		"POST /v1/otp/keys/rotate":        s.rotateKey,
		"GET /v1/reviews":                 s.reviews,
		"POST /v1/reviews/{id}/stop":      s.stopReview,
		"POST /v1/reviews/{id}/keep":      s.keepReview,
		"GET /v1/link":                    s.link,
		"GET /v1/hooks":                   s.hookTargets,
		"GET /v1/hooks/{name}/deliveries": s.hookDeliveries,
		"POST /v1/hooks/{name}/pause":     s.pauseHook,
		"POST /v1/hooks/{name}/resume":    s.resumeHook,
		"POST /v1/hooks/{name}/retry":     s.retryHook,
		"POST /v1/deliveries/{id}/retry":  s.retryDelivery,
		"GET /v1/status":                  s.status,
		"GET /v1/audit":                   s.audit,
	}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// answer runs an operation for somebody known, and turns its error into a
// Problem.
func (s *Server) answer(pattern string, f operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if Actor(r.Context()) == "" {
			writeProblem(w, &Problem{Title: "nobody known is asking", Status: http.StatusForbidden, Code: CodeDenied,
				Hint: "use the janela command as the user who runs the daemon"})
			return
		}
		wrote := &written{ResponseWriter: w}
		err := f(wrote, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if p.Status >= 500 {
			s.cfg.Log.Error("a command failed", "operation", pattern, "code", p.Code, "error", err)
		}
		if wrote.any {
			panic(http.ErrAbortHandler)
		}
		writeProblem(w, p)
	}
}

// written remembers whether an answer has begun.
type written struct {
	http.ResponseWriter
	any bool
}

func (w *written) WriteHeader(code int) { w.any = true; w.ResponseWriter.WriteHeader(code) }

func (w *written) Write(b []byte) (int, error) {
	w.any = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *written) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// patient lifts the listener's time limits for an operation that may take long.
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // in memory there are none
	_ = c.SetWriteDeadline(time.Time{})
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(b, '\n'))
	return err
}

// lines writes one JSON value a line.
type lines struct{ enc *json.Encoder }

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return lines{json.NewEncoder(w)}
}

// maxBody bounds what a command sends beside files.
const maxBody = 1 << 20

// decode reads a request's body strictly.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	switch {
	case errors.Is(err, io.EOF):
		return invalid("the body is empty; it must be a JSON object")
	case err != nil:
		return invalid("the body is no JSON object of this operation: %v", err)
	default:
		return nil
	}
}
