package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
	"janela/internal/hooks"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

// Config says what an Intake works with.
type Config struct {
	DB *store.DB
	// Secrets returns the app secrets that may have signed a callback; several
	// while one is being replaced.
	Secrets func() [][]byte
	// VerifyToken is what Meta's handshake must bring.
	VerifyToken func() string
	// Outcomes follows up, in the same transaction, what became of messages:
	// the conversation ledger, then the producers.
	Outcomes func(tx *store.Tx, out []outbox.Outcome) error
	// IdentityKey hears Meta's hash of the person's identity key, as a status of
	// one of our codes brings it. nil: nobody asks.
	IdentityKey func(tx *store.Tx, message int64, hash string) error
	// NotRequested hears that the person to whom a code went says, by the button
	// under it, that they did not ask for it. nil: nobody asks.
	NotRequested func(tx *store.Tx, message int64) error
	// Foreign hears that somebody else sent a message of a category to a contact
	// from one of our numbers; it counts within the messaging limit. nil: nobody.
	Foreign func(tx *store.Tx, contact int64, c whatsapp.Category) error
	// Confirm is the text by which a person hears that their STOP was heard, "" for
	// none. nil: nobody hears.
	Confirm func(optin.Keyword) string
	// Offers are the words by which people sign up.
	Offers optin.Offers
	// ConfirmWords, folded, confirm what waits for a person (double opt-in).
	ConfirmWords []string
	// Silent is how long news of accepted messages may be missing before Watch stops
	// marketing.
	Silent time.Duration
	// Hooks hand callbacks on, and tell of what people say; nil: to nobody.
	Hooks *hooks.Hooks
	// Version is the program's: what an earlier one could not apply is tried again,
	// once. "": nothing is.
	Version string
	// Failed counts Meta's errors, for metrics; nil: nobody counts.
	Failed func(class whatsapp.Class, by string)
	// Resync asks for a fresh look at an account's templates and numbers.
	Resync func()
	Log    *slog.Logger
}

// Intake takes callbacks in. Make one with New.
type Intake struct {
	cfg     Config
	live    atomic.Pointer[Live]
	running atomic.Bool // Run does
	gather  gathering
	Stats   Stats
}

// Live is what may change while an Intake runs; Config says what each is.
type Live struct {
	Offers       optin.Offers
	ConfirmWords []string
	Silent       time.Duration
}

// Set changes it from now on.
func (in *Intake) Set(l Live) { in.live.Store(&l) }

// Stats counts callbacks since the start.
type Stats struct {
	Stored, Again, Forged, Refused, Applied, Failed, UnknownEvents, Doubts atomic.Int64
}

// New returns an Intake; Run applies what its handler stores.
func New(cfg Config) *Intake {
	in := &Intake{cfg: cfg}
	in.Set(Live{cfg.Offers, cfg.ConfirmWords, cfg.Silent})
	return in
}

const (
	maxBody     = 4 << 20 // Meta: callbacks of up to 3 MB
	storedTopic = store.Topic("intake.stored")
)

var sqlStore = store.SQL(`INSERT INTO callbacks (id, received_at, hash, body, state) VALUES (?1, ?2, ?3, ?4, 'stored')
	ON CONFLICT (hash) DO NOTHING`)

// ServeHTTP is the callback endpoint: GET is Meta's handshake, POST a callback.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		challenge, ok := webhook.Challenge(r.URL.Query(), in.cfg.VerifyToken())
		if !ok {
			http.Error(w, "the verify token is not ours", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, challenge)
	case http.MethodPost:
		in.post(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "callbacks come by POST", http.StatusMethodNotAllowed)
	}
}

func (in *Intake) post(w http.ResponseWriter, r *http.Request) {
	body, err := read(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	if err != nil {
		in.Stats.Refused.Add(1)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "the callback is larger than 4 MiB", http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, "the callback could not be read", http.StatusBadRequest)
		return
	}
	if !webhook.Verify(in.cfg.Secrets(), r.Header.Get("X-Hub-Signature-256"), body) {
		in.Stats.Forged.Add(1)
		in.cfg.Log.Warn("a callback with a wrong signature was refused; check the app secret", "bytes", len(body))
		http.Error(w, "the signature is not right", http.StatusUnauthorized)
		return
	}
	failpoint.Hit("intake.received")
	if err := in.keep(r.Context(), body, in.cfg.Hooks.Callback(body, r.Header)); err != nil {
		in.cfg.Log.Error("a callback could not be stored; Meta will send it again", "error", err)
		http.Error(w, "not stored; send it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// read reads a body that is said to be so long, -1 for not known.
func read(r io.Reader, length int64) ([]byte, error) {
	if length < 0 || length > longest {
		return io.ReadAll(r)
	}
	b := bytes.NewBuffer(make([]byte, 0, length+bytes.MinRead))
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// keep writes a callback down, once, and hands it on to who wants it as it came.
// One of nothing but statuses it applies at once; where that fails, it is stored
// like all others, and Run sees to it.
func (in *Intake) keep(ctx context.Context, body []byte, as hooks.Callback) error {
	statuses, ok := statusesOnly(body)
	key := keyOf(body, statuses)
	if ok && in.running.Load() && in.takeIn(&newcomer{body: body, key: key, pass: as, statuses: statuses}) == nil {
		return nil
	}
	return in.store(ctx, key, body, as)
}

// keyOf is by what the same bytes are known again: their hash. Of statuses of a
// message of ours its id stands before it, which follows from the bytes too: so
// what comes together lies together in the index, and not each in a page of its own.
func keyOf(body []byte, statuses []webhook.Event) string {
	sum := sha256.Sum256(body)
	key := hex.EncodeToString(sum[:])
	if len(statuses) > 0 {
		if id, ok := whatsapp.ParseCallbackID(statuses[0].(webhook.Status).Callback); ok {
			return fmt.Sprintf("%016x%s", uint64(id.Message), key[:48])
		}
	}
	return key
}

// store writes a callback down for Run.
func (in *Intake) store(ctx context.Context, key string, body []byte, as hooks.Callback) error {
	fresh := int64(0)
	err := in.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		var err error
		fresh, err = tx.Exec(sqlStore, tx.NewID(), store.Millis(tx.Now()), key, body)
		if err != nil || fresh == 0 {
			return err
		}
		tx.Wake(storedTopic)
		if err := in.cfg.Hooks.Pass(tx, as); err != nil {
			return err
		}
		return keeping()
	})
	if err == nil {
		err = kept()
	}
	if err != nil {
		return err
	}
	if fresh > 0 {
		in.Stats.Stored.Add(1)
	} else {
		in.Stats.Again.Add(1)
	}
	return nil
}
