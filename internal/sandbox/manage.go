package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Manage returns the tester's door. It asks for no password: mount it on
// loopback only, beside ServeHTTP or under a prefix of its own. Requests that a
// browser makes for another site are refused.
//
//	GET    /                 counts
//	GET    /faults           POST a Fault with "delay": "2s"; DELETE all
//	DELETE /faults/{id}
//	POST   /inbound          an Inbound           answers {"wamid"}
//	POST   /not-requested    a NotRequested       answers {"wamid"}
//	POST   /preference       a Preference
//	POST   /persons          a PersonChange       answers the Person
//	GET    /persons/{digits} a Person
//	POST   /templates        a TemplateChange     PUT a Template
//	GET    /numbers          what is read of them
//	POST   /numbers          a Number             what is read of it, and its identity_key_check
//	POST   /token            {"token"}
//	GET    /app              the App               POST an AppChange
//	POST   /webhooks/hold    {"hold": true}
//	POST   /webhooks/raw     the body to post as it is
//	POST   /webhooks/verify  the handshake
//	GET    /sends?after=0&limit=1000              the ledger
//	GET    /tally?key=…      or ?to=…&template=…  the oracle
//	GET    /phones           whose phones the latest messages are on; ?limit=50
//	GET    /phones/{digits}  what a person received and wrote, the latest last; ?format=text&limit=1
func (s *Sandbox) Manage() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.getCounts)
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		list := []faultJSON{}
		for _, f := range s.Faults() {
			list = append(list, faultJSON{f, f.Delay.String()})
		}
		manageAnswer(w, http.StatusOK, map[string]any{"faults": list})
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var f faultJSON
		do(w, r, &f, func() (any, error) {
			if f.Delay != "" {
				d, err := time.ParseDuration(f.Delay)
				if err != nil {
					return nil, err
				}
				f.Fault.Delay = d
			}
			id, err := s.AddFault(f.Fault)
			return map[string]int{"id": id}, err
		})
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		manageAnswer(w, http.StatusOK, map[string]bool{"removed": s.RemoveFault(0)})
	})
	mux.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || id < 1 || !s.RemoveFault(id) {
			manageError(w, http.StatusNotFound, errors.New("there is no such fault; GET /faults lists them"))
			return
		}
		manageAnswer(w, http.StatusOK, map[string]bool{"removed": true})
	})
	mux.HandleFunc("POST /inbound", func(w http.ResponseWriter, r *http.Request) {
		var in Inbound
		do(w, r, &in, func() (any, error) {
			id, err := s.Inbound(in)
			return map[string]string{"wamid": id}, err
		})
	})
	mux.HandleFunc("POST /not-requested", func(w http.ResponseWriter, r *http.Request) {
		var n NotRequested
		do(w, r, &n, func() (any, error) {
			id, err := s.NotRequested(n)
			return map[string]string{"wamid": id}, err
		})
	})
	mux.HandleFunc("POST /preference", act(s.Preference))
	mux.HandleFunc("POST /persons", func(w http.ResponseWriter, r *http.Request) {
		var c PersonChange
		do(w, r, &c, func() (any, error) { return s.ChangePerson(c) })
	})
	mux.HandleFunc("GET /persons/{digits}", func(w http.ResponseWriter, r *http.Request) {
		manageAnswer(w, http.StatusOK, s.Person(r.PathValue("digits")))
	})
	mux.HandleFunc("POST /templates", act(s.SetTemplate))
	mux.HandleFunc("PUT /templates", act(s.AddTemplate))
	mux.HandleFunc("POST /accounts", act(s.SetAccount))
	mux.HandleFunc("GET /app", func(w http.ResponseWriter, _ *http.Request) { manageAnswer(w, http.StatusOK, s.App()) })
	mux.HandleFunc("POST /app", act(s.SetApp))
	mux.HandleFunc("GET /numbers", s.getNumbers)
	mux.HandleFunc("POST /numbers", act(s.changeNumber))
	mux.HandleFunc("POST /token", act(func(in struct {
		Token string `json:"token"`
	}) error {
		return s.SetToken(in.Token)
	}))
	mux.HandleFunc("POST /webhooks/hold", act(func(in struct {
		Hold bool `json:"hold"`
	}) error {
		s.HoldWebhooks(in.Hold)
		return nil
	}))
	mux.HandleFunc("POST /webhooks/raw", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err == nil {
			err = s.PostRaw(body)
		}
		finish(w, nil, err)
	})
	mux.HandleFunc("POST /webhooks/verify", func(w http.ResponseWriter, r *http.Request) {
		finish(w, nil, s.VerifyWebhook(r.Context()))
	})
	mux.HandleFunc("GET /sends", s.getSends)
	mux.HandleFunc("GET /tally", s.getTally)
	mux.HandleFunc("GET /phones", s.getPhones)
	mux.HandleFunc("GET /phones/{digits}", s.getPhone)
	return http.NewCrossOriginProtection().Handler(mux)
}

// faultJSON is a Fault with its delay as people write it.
type faultJSON struct {
	Fault
	Delay string `json:"delay"`
}

// act makes a handler of a method that takes one value.
func act[T any](f func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		do(w, r, &in, func() (any, error) { return nil, f(in) })
	}
}

// do decodes the body strictly, acts, and answers.
func do(w http.ResponseWriter, r *http.Request, into any, f func() (any, error)) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		manageError(w, http.StatusBadRequest, err)
		return
	}
	v, err := f()
	finish(w, v, err)
}

func finish(w http.ResponseWriter, v any, err error) {
	if err != nil {
		manageError(w, http.StatusBadRequest, err)
		return
	}
	if v == nil {
		v = map[string]bool{"ok": true}
	}
	manageAnswer(w, http.StatusOK, v)
}

func manageError(w http.ResponseWriter, status int, err error) {
	manageAnswer(w, status, map[string]string{"error": err.Error()})
}

func manageAnswer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func (s *Sandbox) getCounts(w http.ResponseWriter, _ *http.Request) {
	refusals := s.Refusals()
	s.mu.Lock()
	counts := map[string]any{
		"messages":         s.ledger.count,
		"refused":          refusals,
		"webhooks_pending": s.queue.Len() + s.inFlight,
		"webhooks_held":    s.hold,
		"webhook_url":      s.url,
		"faults":           len(s.faults),
		"seed":             s.cfg.Seed,
	}
	s.mu.Unlock()
	manageAnswer(w, http.StatusOK, counts)
}

func (s *Sandbox) getSends(w http.ResponseWriter, r *http.Request) {
	after, limit := 0, 1000
	for name, into := range map[string]*int{"after": &after, "limit": &limit} {
		raw := r.URL.Query().Get(name)
		if raw == "" {
			continue
		}
		n, err := strconv.Atoi(raw)
		if err != nil || n < 0 {
			manageError(w, http.StatusBadRequest, errors.New(name+" must be a number from 0 on"))
			return
		}
		*into = n
	}
	list := []Send{}
	s.mu.Lock()
	for i := after; i < s.ledger.count && len(list) < min(limit, 10_000); i++ {
		list = append(list, s.show(i))
	}
	s.mu.Unlock()
	next := after + len(list)
	manageAnswer(w, http.StatusOK, map[string]any{"sends": list, "next": next})
}

func (s *Sandbox) getTally(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case q.Get("key") != "":
		manageAnswer(w, http.StatusOK, s.Tally(q.Get("key")))
	case q.Get("to") != "":
		manageAnswer(w, http.StatusOK, map[string]int{"accepted": s.Accepted(q.Get("to"), q.Get("template"))})
	default:
		manageError(w, http.StatusBadRequest, errors.New("write ?key=… or ?to=…&template=…"))
	}
}
