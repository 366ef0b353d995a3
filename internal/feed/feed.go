package feed

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"janela/internal/failpoint"
	"janela/internal/hooks"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Config says what a Feed works with.
type Config struct {
	DB    *store.DB
	Hooks *hooks.Hooks // nil: nobody hears
	Log   *slog.Logger
}

// Feed tells what happened. Make one with New.
type Feed struct {
	cfg     Config
	sources []*source // those that somebody wants to hear of
}

// New returns a Feed that tells nothing until Run.
func New(cfg Config) *Feed {
	f := &Feed{cfg: cfg}
	for _, s := range all() {
		if slices.ContainsFunc(s.kinds, cfg.Hooks.Wants) {
			f.sources = append(f.sources, s)
		}
	}
	return f
}

// every is how often the ledgers are looked at: whoever needs to know sooner asks
// the API, or takes Meta's callbacks as they come.
const every = time.Second

// batch bounds what is told in one transaction.
const batch = 200

// source is one ledger that is followed.
type source struct {
	name  string
	kinds []string // of event
	// begin is the mark of who begins to listen now.
	begin func(q store.Querier) (mark, error)
	// next returns what to tell from a mark on, at most about batch, and the mark
	// behind it.
	next func(q store.Querier, from mark) ([]hooks.Event, mark, error)
}

// mark is up to where a source was told: an id or an instant, and of holds the
// ids of those that stand.
type mark struct {
	at    int64
	state string
}

// Fields names the places of sqlMark.
func (m *mark) Fields() []any { return []any{&m.at, &m.state} }

var (
	sqlMark  = store.SQL(`SELECT at, state FROM hook_marks WHERE source = ?1`)
	sqlMarks = store.SQL(`SELECT source FROM hook_marks ORDER BY source`)
	sqlMove  = store.SQL(`INSERT INTO hook_marks (source, at, state) VALUES (?1, ?2, ?3)
		ON CONFLICT (source) DO UPDATE SET at = excluded.at, state = excluded.state`)
	sqlForget = store.SQL(`DELETE FROM hook_marks WHERE source = ?1`)
)

// Run tells what happens until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for begun := false; ; {
		var err error
		if !begun {
			if err = f.start(ctx); err == nil {
				begun = true
				if len(f.sources) == 0 {
					<-ctx.Done()
					return nil
				}
			}
		} else {
			err = f.look(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			f.cfg.Log.Error("what happened could not be told to webhooks; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// start sets the marks of who begins to listen, and forgets those of who does not
// listen any more.
func (f *Feed) start(ctx context.Context) error {
	return f.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		have, err := store.All[store.Col[string]](tx, sqlMarks)
		if err != nil {
			return err
		}
		for _, h := range have {
			if !slices.ContainsFunc(f.sources, func(s *source) bool { return s.name == h.V }) {
				if _, err := tx.Exec(sqlForget, h.V); err != nil {
					return err
				}
			}
		}
		for _, s := range f.sources {
			if slices.ContainsFunc(have, func(h store.Col[string]) bool { return h.V == s.name }) {
				continue
			}
			m, err := s.begin(tx)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(sqlMove, s.name, m.at, m.state); err != nil {
				return err
			}
		}
		return nil
	})
}

// look tells all that is new.
func (f *Feed) look(ctx context.Context) error {
	for _, s := range f.sources {
		for more := true; more; {
			var err error
			if more, err = f.lookAt(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookAt writes only where there is something to tell, or a mark grows old.
func (f *Feed) lookAt(ctx context.Context, s *source) (more bool, err error) {
	var events []hooks.Event
	err = f.cfg.DB.Read(ctx, func(q *store.Snap) error {
		events, _, err = s.from(q)
		return err
	})
	if err != nil || len(events) == 0 {
		return false, err
	}
	err = f.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		events, to, err := s.from(tx)
		if err != nil {
			return err
		}
		more = len(events) >= batch
		for _, e := range events {
			if err := f.cfg.Hooks.Emit(tx, e); err != nil {
				return err
			}
		}
		if _, err = tx.Exec(sqlMove, s.name, to.at, to.state); err != nil {
			return err
		}
		return failpoint.Err("feed.commit")
	})
	return more, err
}

func (s *source) from(q store.Querier) ([]hooks.Event, mark, error) {
	m, _, err := store.Get[mark](q, sqlMark, s.name)
	if err != nil {
		return nil, m, err
	}
	return s.next(q, m)
}

// id is how events write ids: JavaScript's numbers are too short for them.
func id(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// instant is a time of the ledgers, nil for never.
func instant(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := store.Time(ms).UTC()
	return &t
}

// messageEvent is the data of message.accepted, message.delivered, …
type messageEvent struct {
	ID         string `json:"id"`
	ExternalID string `json:"external_id,omitempty"`
	Contact    string `json:"contact,omitempty"`
	Number     string `json:"number"`
	Category   string `json:"category"`
	Campaign   string `json:"campaign,omitempty"`
	Run        string `json:"run,omitempty"`
	State      string `json:"state"`
	Before     string `json:"before"`
	Reason     string `json:"reason,omitempty"`
	Code       int    `json:"code,omitempty"` // Meta's
}

// Outcomes tells what became of messages. What is queued, or on its way to Meta,
// is not told.
func (f *Feed) Outcomes(tx *store.Tx, out []outbox.Outcome) error {
	for _, o := range out {
		kind := "message." + string(o.To)
		if o.From == o.To || o.To == outbox.Queued || o.To == outbox.Sending || !f.cfg.Hooks.Wants(kind) {
			continue
		}
		m, _, err := outbox.ByID(tx, o.Message)
		if err != nil {
			return err
		}
		err = f.cfg.Hooks.Emit(tx, hooks.Event{Type: kind, Number: o.Number, Key: "message:" + id(o.Message), Data: messageEvent{ID: id(o.Message),
			ExternalID: m.ExternalID, Contact: id(o.Contact), Number: o.Number, Category: string(o.Category), Campaign: o.Campaign, Run: id(o.Run),
			State: string(o.To), Before: string(o.From), Reason: o.Reason, Code: o.Code}})
		if err != nil {
			return err
		}
	}
	return nil
}
