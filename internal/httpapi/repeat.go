package httpapi

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"janela/internal/access"
	"janela/internal/failpoint"
	"janela/internal/store"
)

// How long an answer is kept for repeats of its request.
const (
	keepChange = 24 * time.Hour
	keepGuess  = time.Minute // bound to the code, which is in the body's hash
)

// MAC is a keyed hash: the same data give another one in another domain. The key
// is in no database.
type MAC func(domain string, data []byte) string

// effect is what a request asks for.
type effect struct {
	keep time.Duration // of the answer, for repeats
	// do runs in the transaction. told is what repeats are told, the answer's body
	// unless that holds what may not be kept; nil: nothing has happened, so a
	// repeat is tried like a first one.
	do func(tx *store.Tx) (a answer, told []byte, err error)
	// remade makes an answer again of which only the status was kept (told was
	// empty).
	remade func(tx *store.Tx) (answer, error)
	// at says where the thing lies whose id the reply has; nil where nothing lies.
	at func(id string) string
}

// once runs an effect, or answers as before where the Idempotency-Key came
// before (rep nil: there was none). Two with the same key at once have one
// effect: the second waits for nothing and is told to come again.
func (c *call) once(rep *access.Repeat, e effect) (answer, error) {
	if rep != nil {
		key := rep.Client + "\n" + rep.Route + "\n" + rep.Key
		if !c.flying.begin(key) {
			p := publicProblem(codeKeyInFlight, "wait for its answer, or ask again in a moment")
			p.RetryAfter = 1
			return answer{}, p
		}
		defer c.flying.end(key)
	}
	var a answer
	err := c.db.Write(c.r.Context(), func(tx *store.Tx) error {
		if rep != nil {
			old, ok, err := access.Replay(tx, *rep)
			if err != nil {
				return err
			}
			if ok {
				a, err = e.replay(tx, old)
				return err
			}
		}
		var told []byte
		var err error
		if a, told, err = e.do(tx); err != nil || rep == nil || told == nil {
			return err
		}
		if err := access.Keep(tx, *rep, access.Reply{Status: a.status, Body: string(told)}, e.keep); err != nil {
			return err
		}
		return failpoint.Err("httpapi.effect.commit")
	})
	if err == nil && rep != nil {
		err = failpoint.Err("httpapi.effect.committed")
	}
	return a, err
}

// onceWith is once for an effect whose transaction another room opens: do hands
// on keep, which that room calls in it.
func (c *call) onceWith(rep *access.Repeat, e effect, do func(keep func(tx *store.Tx, a answer, told []byte) error) error) (a answer, err error) {
	key := rep.Client + "\n" + rep.Route + "\n" + rep.Key
	if !c.flying.begin(key) {
		p := publicProblem(codeKeyInFlight, "wait for its answer, or ask again in a moment")
		p.RetryAfter = 1
		return answer{}, p
	}
	defer c.flying.end(key)
	done := false
	err = c.db.Write(c.r.Context(), func(tx *store.Tx) error {
		old, ok, err := access.Replay(tx, *rep)
		if err != nil || !ok {
			return err
		}
		done = true
		a, err = e.replay(tx, old)
		return err
	})
	if err != nil || done {
		return a, err
	}
	err = do(func(tx *store.Tx, told answer, kept []byte) error {
		a = told
		return access.Keep(tx, *rep, access.Reply{Status: told.status, Body: string(kept)}, e.keep)
	})
	return a, err
}

// replay is the answer of before.
func (e *effect) replay(tx *store.Tx, old access.Reply) (answer, error) {
	a := answer{status: old.Status, body: []byte(old.Body)}
	switch {
	case old.Body == "":
		var err error
		if a, err = e.remade(tx); err != nil {
			return a, err
		}
	case e.at != nil && old.Status < http.StatusBadRequest:
		var of struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(a.body, &of); err != nil {
			return a, err
		}
		if of.ID != "" {
			a.location = e.at(of.ID)
		}
	}
	a.replayed = true
	return a, nil
}

// repeat reads the Idempotency-Key. Only hashes of it and of the body go any
// further: a body holds a number, a text or a code. route tells the operations
// of one client apart.
func (c *call) repeat(route string, body []byte, required bool) (*access.Repeat, error) {
	fields := c.r.Header["Idempotency-Key"]
	switch {
	case len(fields) == 0 && required:
		return nil, publicProblem(codeKeyMissing, "send Idempotency-Key with a new random text; a repeat of this request sends the same again")
	case len(fields) == 0:
		return nil, nil
	case len(fields) > 1 || !printable(fields[0]):
		return nil, malformed("Idempotency-Key must be one text of 1 to 255 printable ASCII characters")
	}
	return &access.Repeat{Client: c.key.Client, Route: route, Key: c.mac("idempotency-key", []byte(fields[0])),
		Request: c.mac("request", append([]byte(route+"\n"), body...))}, nil
}

func printable(s string) bool {
	if len(s) < 1 || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// inFlight are the keys of requests that have not ended. It is one per process
// only; across processes the transaction decides.
type inFlight struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

func (f *inFlight) begin(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.keys[key]; ok {
		return false
	}
	if f.keys == nil {
		f.keys = map[string]struct{}{}
	}
	f.keys[key] = struct{}{}
	return true
}

func (f *inFlight) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}
