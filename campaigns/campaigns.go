package campaigns

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Config says what Campaigns works with. Paths are absolute.
type Config struct {
	DB          *store.DB
	Folder      string // definitions are dropped here
	Status      string // status files are written here
	Spool       string // frozen audiences and media
	Zone        string // of definitions that name none
	Region      string // of phone numbers without a plus
	Poll        time.Duration
	Stable      time.Duration // a file is taken when it has not changed for this long
	Approval    string        // off, marketing or all
	FourEyes    bool          // the approver must not be the one who submitted
	TestNumbers []whatsapp.Phone
	PerSecond   func(n account.Number) float64 // what a number may send, for plans
	// Tier says how far the messaging limit is used for a category; nil: nobody knows.
	Tier func(q store.Querier, category whatsapp.Category) (Tier, error)
	// Limited says in words, and until when, whether messages of a category to new
	// people wait for the messaging limit; nil: nobody knows.
	Limited func(now time.Time, category whatsapp.Category) (detail string, until time.Time, yes bool)
	// Media returns Meta's id of a file for a number, and uploads it where it is
	// not there, or not for long any more.
	Media func(ctx context.Context, n account.Number, f account.File) (string, error)
	// OnOutcomes hears what Campaigns itself did to messages, in its
	// transaction; it must lead to Outcomes. nil: Outcomes alone.
	OnOutcomes func(tx *store.Tx, out []outbox.Outcome) error
	Log        *slog.Logger
}

// Campaigns is the room's main type. Make one with New and run it once.
type Campaigns struct {
	cfg   Config
	live  atomic.Pointer[Live]
	watch watcher
	mu    sync.Mutex // guards the maps
	alert map[string]Alert

	uploads sync.Mutex // one is put at a time

	guards    map[int64]*guarded // by run; nil: it has none
	forecasts map[int64]forecast // by run
}

// Alert is something a person should look at now.
type Alert struct {
	About string // a campaign's id, or "folder"
	Text  string
	At    time.Time
}

// New returns Campaigns that do nothing until Run.
func New(cfg Config) *Campaigns {
	c := &Campaigns{cfg: cfg, alert: map[string]Alert{}, guards: map[int64]*guarded{}, forecasts: map[int64]forecast{}}
	c.Set(Live{cfg.Zone, cfg.Region, cfg.Approval, cfg.FourEyes, cfg.TestNumbers})
	c.watch = newWatcher(cfg.Folder, cfg.Stable)
	return c
}

// Live is what may change while Campaigns run; Config says what each is. What
// was planned keeps the zone and the approval that it was planned with.
type Live struct {
	Zone, Region string
	Approval     string
	FourEyes     bool
	TestNumbers  []whatsapp.Phone
}

// Set changes it from now on.
func (c *Campaigns) Set(l Live) { c.live.Store(&l) }

// Topics that wake the room's loops.
const (
	runsTopic   store.Topic = "campaigns.runs"
	statusTopic store.Topic = "campaigns.status"
)

// Run watches the folder, expands runs and keeps the status files, until ctx
// ends.
func (c *Campaigns) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, loop := range []func(context.Context){c.finishCancels, c.watchFolder, c.expandRuns, c.keepStatus, c.recheckTemplates, c.keepMedia, c.sweep, c.watchGuards} {
		wg.Go(func() { loop(ctx) })
	}
	wg.Wait()
	return nil
}

// Alerts returns what a person should look at, by subject.
func (c *Campaigns) Alerts() []Alert {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Alert, 0, len(c.alert))
	for _, a := range c.alert {
		out = append(out, a)
	}
	return out
}

// raise notes an alert and logs it once; clear takes it back.
func (c *Campaigns) raise(about, text string) {
	c.mu.Lock()
	old, ok := c.alert[about]
	c.alert[about] = Alert{About: about, Text: text, At: time.Now()}
	c.mu.Unlock()
	if !ok || old.Text != text {
		c.cfg.Log.Error("ALERT: "+text, "about", about)
	}
}

func (c *Campaigns) clear(about string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alert, about)
}

// tell hands on what Campaigns itself did to messages.
func (c *Campaigns) tell(tx *store.Tx, out []outbox.Outcome) error {
	switch {
	case len(out) == 0:
		return nil
	case c.cfg.OnOutcomes != nil:
		return c.cfg.OnOutcomes(tx, out)
	default:
		return c.Outcomes(tx, out)
	}
}

// Outcomes hears what became of messages: a run whose last message is settled
// is finished, and what comes back into the queue of a cancelled campaign is
// cancelled too. It runs in the transaction of the change.
func (c *Campaigns) Outcomes(tx *store.Tx, out []outbox.Outcome) error {
	if err := c.cancelReturned(tx, out); err != nil {
		return err
	}
	if err := c.guardOutcomes(tx, out); err != nil {
		return err
	}
	seen := map[int64]bool{}
	for _, o := range out {
		if o.Run == 0 || seen[o.Run] || o.To == outbox.Sending || o.To == outbox.Queued {
			continue
		}
		seen[o.Run] = true
		if err := c.finishRun(tx, o.Run); err != nil {
			return err
		}
	}
	return nil
}
