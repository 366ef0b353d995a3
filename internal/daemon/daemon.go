package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/backup"
	"janela/internal/dispatch"
	"janela/internal/failpoint"
	"janela/internal/feed"
	"janela/internal/gate"
	"janela/internal/guard"
	"janela/internal/hooks"
	"janela/internal/httpapi"
	"janela/internal/intake"
	"janela/internal/outbox"
	"janela/internal/retention"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
	"janela/optin"
	"janela/otp"
	"janela/scheduler"
)

// Options says how to build a daemon. Only Config is required.
type Options struct {
	Config Config
	Log    *slog.Logger
	Wall   func() time.Time // the clock of decisions; nil for time.Now
	// Listen and Dial replace the network, for scripts in fake time.
	Listen  func(network, address string) (net.Listener, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Look    time.Duration                         // how often the machine is looked at; 0: every second
	Space   func(dir string) (guard.Space, error) // nil: the file system is asked
	Version string
	Notify  func(s State, sentence string) // tells the service manager; nil: there is none
	Level   *slog.LevelVar                 // of Log; nil: [log] level does not change while it runs
}

// Daemon is the whole program, built. Run starts it.
type Daemon struct {
	cfg           Config                   // as it was at the start
	live          atomic.Pointer[Config]   // what holds now, of what may change; see reload.go
	reloads       sync.Mutex               // one at a time
	waits         atomic.Pointer[[]string] // keys that wait for a restart
	opt           Options
	log           *slog.Logger
	db            *store.DB
	guard         *guard.Guard
	backups       *backup.Backups
	sandbox       *sandbox.Sandbox // nil with a real account
	secrets       atomic.Pointer[secrets]
	clients       atomic.Pointer[clients]
	account       *account.Syncer
	campaigns     *campaigns.Campaigns
	scheduler     *scheduler.Loop
	dispatch      *dispatch.Dispatcher
	intake        *intake.Intake
	hooks         *hooks.Hooks
	feed          *feed.Feed
	retention     *retention.Retention
	ledger        *optin.Ledger
	otp           *otp.OTP // nil: no codes are configured
	api           *httpapi.Server
	metrics       *metrics
	progress      *Progress // nil: none is shown
	ready         atomic.Bool
	callbacks     string // where Meta's callbacks come, as this machine reaches it, once Run has opened it
	console       string // address of the web pages; "": there are none
	addr          string // of the public listener, once Run has opened it
	started       time.Time
	sandboxServer *server
	stops         []stop
}

// stop is a named cleanup; they run last in, first out.
type stop struct {
	name string
	fn   func() error
}

// New builds everything and starts nothing but the database's writer. Close
// must be called, also after Run.
func New(ctx context.Context, opt Options) (*Daemon, error) {
	opt.fill()
	d := &Daemon{cfg: opt.Config, opt: opt, started: time.Now(), log: slog.New(guard.Calm(opt.Log.Handler()))}
	d.live.Store(&d.cfg)
	for _, w := range d.cfg.warnings {
		d.log.Warn("the configuration: "+w.Message, "at", fmt.Sprintf("%s:%d", w.File, w.Line), "key", w.Path, "hint", w.Hint)
	}
	if err := d.build(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
}

func (d *Daemon) onStop(name string, fn func() error) { d.stops = append(d.stops, stop{name, fn}) }

// build is one straight line on purpose: it reads as the order of the house.
func (d *Daemon) build(ctx context.Context) error {
	var err error
	if d.db, err = store.Open(ctx, store.Config{Path: d.cfg.file(d.cfg.Store.Path), Wall: d.opt.Wall, Free: d.free}); err != nil {
		return err
	}
	d.onStop("database", d.db.Close)
	d.tellUpgrade()
	d.guard = guard.New(guard.Config{DB: d.db, Every: d.opt.Look, Dir: dirOf(d.cfg.file(d.cfg.Store.Path)), Reserve: d.cfg.Store.ReserveMB << 20, Space: d.opt.Space, Log: d.opt.Log})
	d.backups = backup.New(backup.Config{DB: d.db, Settings: d.cfg.backup(), Free: d.free, Log: d.log})
	secrets, err := d.openSecrets(&d.cfg)
	if err != nil {
		return err
	}
	d.secrets.Store(secrets)
	if d.cfg.Embedded() {
		if err := d.openSandbox(); err != nil {
			return err
		}
	}
	d.clients.Store(newClients(d, &d.cfg, secrets))
	if err := d.declare(ctx, &d.cfg); err != nil {
		return err
	}
	keys, err := optin.OpenKeys(d.cfg.file(d.cfg.Optin.KeyFile))
	if err != nil {
		return err
	}
	d.ledger = optin.NewLedger(optin.LedgerConfig{DB: d.db, Keys: keys, Head: d.cfg.file(d.cfg.Store.Path) + ".head", Log: d.log})
	d.account = account.NewSyncer(account.Config{DB: d.db, Accounts: d.cfg.accountIDs(), Reader: d.reader, Every: d.cfg.WhatsApp.SyncEvery, Log: d.log})
	d.campaigns = campaigns.New(d.campaignsConfig())
	d.scheduler = scheduler.NewLoop(d.db, d.campaigns.Fire, d.log)
	d.metrics = newMetrics(d)
	if d.hooks, err = hooks.New(ctx, hooks.Config{DB: d.db, Targets: d.cfg.hookTargets(d.log), Transport: d.hookTransport(), Log: d.log}); err != nil {
		return err
	}
	d.feed = feed.New(feed.Config{DB: d.db, Hooks: d.hooks, Log: d.log})
	d.retention = retention.New(retention.Config{DB: d.db, Policy: func() retention.Policy { return d.now().Retention.policy() }, Log: d.log})
	codes, err := d.openCodes()
	if err != nil {
		return err
	}
	d.dispatch = dispatch.New(dispatch.Config{DB: d.db, Sender: d.sender, PerSecond: d.perSecond, Outcomes: d.outcomes, Resync: d.account.Kick, Sent: d.metrics.sent,
		Reveal: codes.reveal, Marketing: func(s outbox.Stream) *cloudapi.Marketing { return d.now().WhatsApp.marketing(s) }, Note: note, Failed: d.metrics.failed, Policy: d.cfg.policy(), Log: d.log, Senders: d.cfg.WhatsApp.Senders, Drain: d.cfg.WhatsApp.Drain})
	d.intake = intake.New(intake.Config{DB: d.db, Secrets: d.appSecrets, VerifyToken: d.verifyToken,
		Version: d.opt.Version, Failed: d.metrics.failed, Outcomes: d.outcomes, Foreign: d.dispatch.Heard, Resync: d.account.Kick, IdentityKey: codes.identityKey, NotRequested: codes.notRequested, Log: d.log,
		Confirm: func(k optin.Keyword) string { return d.now().confirm(k) }, Offers: optin.NewOffers(d.cfg.offers()), ConfirmWords: d.cfg.confirmWords(), Hooks: d.hooks, Silent: d.cfg.WhatsApp.WebhookSilent})
	d.api = httpapi.New(httpapi.Config{DB: d.db, Campaigns: d.campaigns, Account: d.account, Outcomes: d.outcomes, OTP: d.otp, Hooks: d.hooks, Links: d.cfg.links(), Log: d.log,
		Ledger: d.ledger, DoubleOptIn: d.cfg.Optin.DoubleOptIn, MAC: keys.MAC, KeyPerSecond: max(d.cfg.HTTP.KeyPerSecond, 0),
		TestNumbers: d.cfg.testNumbers(), Zone: d.cfg.Campaigns.Timezone, Region: d.cfg.Campaigns.Region, Version: d.opt.Version,
		Folder: d.cfg.file(d.cfg.Campaigns.Folder), Spool: filepath.Join(filepath.Dir(d.cfg.file(d.cfg.Store.Path)), "spool"),
		Reload: d.Reload,
		Self:   d.self, Health: func(ctx context.Context) httpapi.Health { return httpapi.Health(d.health(ctx)) }, Reach: d.dispatch.Reach, Paces: d.dispatch.Paces, Waits: d.dispatch.Waits,
		Sends: d.metrics.minutes.lately})
	return nil
}

// outcomes follows up what became of messages: the conversation ledger first,
// then those who produced them.
func (d *Daemon) outcomes(tx *store.Tx, out []outbox.Outcome) error {
	if err := recount(tx, out); err != nil {
		return err
	}
	if err := errors.Join(d.dispatch.Outcomes(tx, out), gate.Decided(tx, out)); err != nil {
		return err
	}
	d.metrics.codeOutcomes(tx, out)
	if err := d.intake.Accepted(tx, out); err != nil {
		return err
	}
	if err := d.feed.Outcomes(tx, out); err != nil {
		return err
	}
	if err := d.campaigns.Outcomes(tx, out); err != nil || d.otp == nil {
		return err
	}
	return d.otp.Outcomes(tx, out)
}

func (d *Daemon) campaignsConfig() campaigns.Config {
	c := d.cfg.Campaigns
	dir := filepath.Dir(d.cfg.file(d.cfg.Store.Path))
	return campaigns.Config{DB: d.db, Folder: d.cfg.file(c.Folder), Status: d.cfg.file(c.Status), Spool: filepath.Join(dir, "spool"),
		Zone: c.Timezone, Region: c.Region, Poll: c.Poll, Stable: c.Stable, Approval: d.cfg.Approval(), FourEyes: c.FourEyes,
		TestNumbers: d.cfg.testNumbers(), PerSecond: d.perSecond, Tier: d.tier, Limited: d.limited, Media: d.account.Media, OnOutcomes: d.outcomes, Log: d.log}
}

func (c *Config) testNumbers() []whatsapp.Phone {
	var out []whatsapp.Phone
	for _, n := range c.Campaigns.TestNumbers {
		if p, err := whatsapp.ParsePhone(n, c.Campaigns.Region); err == nil { // checked with the configuration
			out = append(out, p.Phone)
		}
	}
	return out
}

// declare writes the configured numbers into the database.
func (d *Daemon) declare(ctx context.Context, cfg *Config) error {
	var all []account.Number
	for _, a := range cfg.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			all = append(all, account.Number{ID: n.ID, Name: n.Name, WABA: a.ID, Unit: n.Unit})
		}
	}
	return d.db.Write(ctx, func(tx *store.Tx) error { return account.Declare(tx, all) })
}

func (c *Config) accountIDs() []string {
	var out []string
	for _, a := range c.WhatsApp.Accounts {
		out = append(out, a.ID)
	}
	return out
}

// perSecond is what a number may send in a second.
func (d *Daemon) perSecond(n account.Number) float64 {
	var ceiling float64
	for _, a := range d.now().WhatsApp.Accounts {
		for _, c := range a.Numbers {
			if c.ID == n.ID {
				ceiling = c.PerSecond
			}
		}
	}
	return n.PerSecond(ceiling)
}

// tier is how far the messaging limit is used, as campaigns plan with it.
func (d *Daemon) tier(q store.Querier, category whatsapp.Category) (t campaigns.Tier, err error) {
	t.Limit, t.Kept, t.Counts, err = d.dispatch.Tier(q, category)
	t.Span = dispatch.Counted
	return t, err
}

// limited says whether messages of a category wait for the messaging limit.
func (d *Daemon) limited(now time.Time, category whatsapp.Category) (detail string, until time.Time, yes bool) {
	r := d.dispatch.Reach(now)
	return r.String(), r.Opens, r.Limit > 0 && r.Left(category) == 0
}

// Run starts everything and returns after ctx ended and all has stopped, or
// with the error that kept it from starting.
func (d *Daemon) Run(ctx context.Context) error {
	servers, err := d.listen()
	if err != nil {
		return err
	}
	if err := d.guard.Begin(ctx); err != nil {
		return err
	}
	if d.sandbox != nil {
		if err := d.importSandboxConsents(ctx); err != nil {
			return err
		}
	}
	// The doors close after the producers: what is in flight still gets its
	// answers and callbacks.
	var doors, rooms sync.WaitGroup
	doorsCtx, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoors()
	for _, s := range servers {
		doors.Go(func() { s.serve(doorsCtx, d.log) })
	}
	d.loop(doorsCtx, &doors, "machine", d.guard.Run)
	d.loop(doorsCtx, &doors, "callbacks", d.intake.Run)
	d.loop(doorsCtx, &doors, "webhooks", d.hooks.Run)
	d.loop(ctx, &rooms, "feed", d.feed.Run)
	d.loop(ctx, &rooms, "backups", d.backups.Run)
	d.loop(ctx, &rooms, "hearing", d.intake.Watch)
	d.loop(doorsCtx, &doors, "consents", d.ledger.Run)
	if d.sandbox != nil {
		d.loop(doorsCtx, &doors, "sandbox", d.sandbox.Run)
	}
	d.loop(ctx, &rooms, "sender", d.dispatch.Run)
	d.loop(ctx, &rooms, "deadlines", d.dispatch.Sweep)
	d.loop(ctx, &rooms, "templates", d.account.Run)
	d.loop(ctx, &rooms, "scheduler", d.scheduler.Run)
	d.loop(ctx, &rooms, "campaigns", d.campaigns.Run)
	d.loop(ctx, &rooms, "replies", func(ctx context.Context) error { return access.Run(ctx, d.db, d.log) })
	d.loop(ctx, &rooms, "retention", d.retention.Run)
	if d.otp != nil {
		d.loop(ctx, &rooms, "codes", d.otp.Run)
	}
	if d.progress != nil {
		d.loop(doorsCtx, &doors, "progress", d.showProgress)
	}
	failpoint.Hit("daemon.running")
	d.ready.Store(true)
	d.notify(Ready)
	d.loop(doorsCtx, &doors, "watchdog", d.watch)
	d.warnGraph(time.Now())
	d.log.Info("janela is running", "http", d.addr, "campaigns", d.cfg.file(d.cfg.Campaigns.Folder), "database", d.cfg.file(d.cfg.Store.Path))
	<-ctx.Done()
	failpoint.Hit("daemon.stopping")
	d.ready.Store(false)
	d.notify(Stopping)
	d.log.Info("stopping: nothing new is sent, waiting for what is in flight")
	rooms.Wait()
	failpoint.Hit("daemon.rooms_closed")
	closeDoors()
	doors.Wait()
	failpoint.Hit("daemon.doors_closed")
	return nil
}

// loop runs one room's loop; an error of it is a fault of the program, told
// loudly.
func (d *Daemon) loop(ctx context.Context, wg *sync.WaitGroup, name string, run func(context.Context) error) {
	wg.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("a loop has ended", "loop", name, "error", err)
		}
	})
}

// Close ends what New and Run opened, last in, first out.
func (d *Daemon) Close() error {
	var errs []error
	for i := len(d.stops) - 1; i >= 0; i-- {
		if err := d.stops[i].fn(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", d.stops[i].name, err))
		}
	}
	d.stops = nil
	return errors.Join(errs...)
}

// DB is the open database, for commands that read it in the same process.
func (d *Daemon) DB() *store.DB { return d.db }

// Sandbox is the embedded stand-in for Meta, nil with a real account.
func (d *Daemon) Sandbox() *sandbox.Sandbox { return d.sandbox }

// API is the handler of the command line's socket.
func (d *Daemon) API() http.Handler { return d.api }
