package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// Config says what a Syncer works with.
type Config struct {
	DB       *store.DB
	Accounts []string // WABA ids
	// Reader returns the client that speaks for an account.
	Reader func(waba string) (cloudapi.Reader, bool)
	Every  time.Duration
	Log    *slog.Logger
}

// Syncer reads templates and numbers from Meta.
type Syncer struct {
	cfg  Config
	live atomic.Pointer[Live]
	kick chan struct{}
	mu   sync.Mutex // one sync at a time

	uploads sync.Mutex // one upload at a time
}

// NewSyncer returns a Syncer that does nothing until Run or Sync.
func NewSyncer(cfg Config) *Syncer {
	s := &Syncer{cfg: cfg, kick: make(chan struct{}, 1)}
	s.live.Store(&Live{cfg.Accounts, cfg.Every})
	return s
}

// Live is what may change while a Syncer runs.
type Live struct {
	Accounts []string // WABA ids
	Every    time.Duration
}

// Set changes it, and asks for a sync now.
func (s *Syncer) Set(l Live) {
	s.live.Store(&l)
	s.Kick()
}

// Kick asks Run for a sync now: a callback or a send showed that what we know
// is old.
func (s *Syncer) Kick() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// badTokenRetry is how often an account with a refused token is tried: a halt
// ends by itself soon after the token was replaced.
const badTokenRetry = 15 * time.Second

// tellEvery is how often a failure that stays the same is logged.
const tellEvery = 10 * time.Minute

// trace is what differs in Meta's errors each time.
var trace = regexp.MustCompile(` \[trace [^\]]*\]`)

// Run syncs at once, then every so often and when kicked, until ctx ends.
func (s *Syncer) Run(ctx context.Context) error {
	var last string
	var told time.Time
	for {
		wait := s.live.Load().Every
		err := s.Sync(ctx)
		switch {
		case err == nil:
			last = ""
		case ctx.Err() != nil:
			return nil
		default:
			if text := trace.ReplaceAllString(err.Error(), ""); text != last || time.Since(told) >= tellEvery {
				s.cfg.Log.Error("templates and numbers could not be read; what is known stays", "error", err)
				last, told = text, time.Now()
			}
			wait = min(wait, badTokenRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-s.kick:
			timer.Stop()
		}
	}
}

// Sync reads every account. One account's failure does not keep the others from
// being read.
func (s *Syncer) Sync(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, waba := range s.live.Load().Accounts {
		r, ok := s.cfg.Reader(waba)
		if !ok {
			continue
		}
		if err := s.account(ctx, waba, r); err != nil {
			errs = append(errs, fmt.Errorf("account %s: %w", waba, err))
			errs = append(errs, s.refused(ctx, waba, err))
		}
	}
	return errors.Join(errs...)
}

// account reads one account's templates and numbers and writes both.
func (s *Syncer) account(ctx context.Context, waba string, r cloudapi.Reader) error {
	var templates []cloudapi.Template
	var asked int64 // what callbacks tell from now on is newer than what is read
	err := s.cfg.DB.Read(ctx, func(q *store.Snap) error { asked = store.Millis(q.Now()); return nil })
	if err != nil {
		return err
	}
	err = r.Templates(ctx, waba, func(t cloudapi.Template) error { templates = append(templates, t); return nil })
	if err != nil {
		return fmt.Errorf("read templates: %w", err)
	}
	numbers, err := r.Numbers(ctx, waba)
	if err != nil {
		return fmt.Errorf("read numbers: %w", err)
	}
	var begun int64
	for len(templates) > 0 {
		n := min(len(templates), 100)
		err := s.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
			if begun == 0 {
				begun = store.Millis(tx.Now())
			}
			old, err := putAll(tx, waba, asked, templates[:n])
			if err != nil {
				return err
			}
			if old {
				s.Kick() // what was read is old: look again
			}
			return failpoint.Err("account.templates.commit")
		})
		if err != nil {
			return err
		}
		templates = templates[n:]
	}
	err = s.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		if err := finish(tx, waba, begun, numbers); err != nil {
			return err
		}
		return failpoint.Err("account.sync.commit")
	})
	failpoint.Hit("account.synced")
	return err
}

// putAll writes what was asked for at an instant. What a callback has told since
// stays; old says that there was such.
func putAll(tx *store.Tx, waba string, asked int64, templates []cloudapi.Template) (old bool, err error) {
	for _, t := range templates {
		read := Template{
			Ref:    whatsapp.TemplateRef{WABA: waba, Name: t.Name, Language: whatsapp.Language(t.Language)},
			MetaID: t.ID, Category: category(t.Category), Status: status(string(t.Status)), ParameterFormat: t.ParameterFormat,
			Components: string(t.Components), Quality: t.QualityScore.Score, CorrectCategory: t.CorrectCategory,
			RejectedReason: t.RejectedReason, TTLSeconds: int64(t.MessageSendTTLSeconds), ReadAt: asked,
		}
		have, _, err := Lookup(tx, read.Ref)
		if err != nil {
			return false, err
		}
		read.ToldAt, read.EventAt = have.ToldAt, have.EventAt
		if have.ToldAt >= asked {
			old = true
			read.Status, read.Category, read.Quality = have.Status, have.Category, have.Quality
			read.CorrectCategory, read.RejectedReason = have.CorrectCategory, have.RejectedReason
		}
		if _, err := put(tx, read); err != nil {
			return false, err
		}
	}
	return old, nil
}

// finish marks what the listing no longer had, writes the numbers, and lifts
// what a refused token had stopped: the account answers again.
func finish(tx *store.Tx, waba string, begun int64, numbers []cloudapi.Number) error {
	if begun == 0 {
		begun = store.Millis(tx.Now())
	}
	gone, err := tx.Exec(sqlMissing, waba, begun, store.Millis(tx.Now()))
	if err != nil {
		return err
	}
	fresh, _, err := store.Value[int64](tx, sqlUnseen, waba)
	if err != nil {
		return err
	}
	if gone > 0 || fresh > 0 { // what waited for the first look can go on
		outbox.WakeAll(tx)
		tx.Wake(Changed)
	}
	for _, n := range numbers {
		was, ours, err := NumberByID(tx, n.ID)
		if err != nil {
			return err
		}
		if !ours {
			continue // not configured: nobody sends from it
		}
		if was.Throughput != n.Throughput || was.MessagingLimit != n.MessagingLimit || was.OnBizApp != n.OnBizApp {
			outbox.WakeAll(tx) // it may send more, or less
		}
		_, err = tx.Exec(sqlSeenNumber, n.ID, n.DisplayPhone, n.VerifiedName, n.Status, n.QualityRating, n.Throughput, n.MessagingLimit, n.OnBizApp, store.Millis(tx.Now()))
		if err != nil {
			return err
		}
	}
	_, err = outbox.Lift(tx, outbox.ScopeAccount, waba, ReasonBadToken, "sync")
	return err
}

// ReasonBadToken is the reason of the hold on an account whose token Meta
// refuses; the next successful read lifts it.
const ReasonBadToken = "bad_token"

// refused stops an account whose token Meta does not accept.
func (s *Syncer) refused(ctx context.Context, waba string, cause error) error {
	var e *cloudapi.Error
	if !errors.As(cause, &e) || e.Class != whatsapp.ClassHaltAuth {
		return nil
	}
	return s.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAccount, Target: waba, Reason: ReasonBadToken, Actor: "meta",
			Detail: fmt.Sprintf("error %d: the token is refused; replace it, sending goes on by itself", e.Code)})
		return err
	})
}
