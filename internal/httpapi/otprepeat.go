package httpapi

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"janela/internal/access"
	"janela/internal/store"
)

// How long an answer is kept for repeats of its request.
const (
	keepChange = 24 * time.Hour
	keepGuess  = time.Minute // bound to the code, which is in the body's hash
)

// effect does what a request asks for, in the transaction. keep is what repeats
// are told, the answer itself unless it holds what may not be kept; nil: nothing
// has happened, so a repeat is tried like a first one.
type effect func(tx *store.Tx) (a answer, keep []byte, err error)

// once runs an effect, or answers as before where the Idempotency-Key came
// before. remade makes an answer again of which only the status was kept.
func (c *call) once(rep *access.Repeat, ttl time.Duration, do effect, remade func(tx *store.Tx) (answer, error)) (answer, error) {
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
				a, err = replayed(tx, old, remade)
				return err
			}
		}
		var keep []byte
		var err error
		if a, keep, err = do(tx); err != nil || rep == nil || keep == nil {
			return err
		}
		return access.Keep(tx, *rep, access.Reply{Status: a.status, Body: string(keep)}, ttl)
	})
	return a, err
}

// replayed is the answer of before.
func replayed(tx *store.Tx, old access.Reply, remade func(tx *store.Tx) (answer, error)) (answer, error) {
	a := answer{status: old.Status, body: []byte(old.Body)}
	switch {
	case old.Body == "":
		var err error
		if a, err = remade(tx); err != nil {
			return a, err
		}
	case old.Status == http.StatusAccepted:
		var of struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(a.body, &of); err != nil {
			return a, err
		}
		a.location = challengePath(of.ID)
	}
	a.replayed = true
	return a, nil
}

// repeat reads the Idempotency-Key. Only hashes of it and of the body go any
// further: a body holds a number or a code.
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
	return &access.Repeat{Client: c.key.Client, Route: route, Key: c.otp.MAC("idempotency-key", []byte(fields[0])),
		Request: c.otp.MAC("request", append([]byte(route+"\n"), body...))}, nil
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

func challengePath(id string) string { return "/v1/otp/" + id }
