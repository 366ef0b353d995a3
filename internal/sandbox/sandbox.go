package sandbox

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"janela/internal/whatsapp"
)

// Sandbox is the stand-in for Meta. New makes it, Run posts its webhooks,
// Close ends it. All methods may be called at the same time.
type Sandbox struct {
	cfg     Config
	profile Profile
	log     *slog.Logger
	client  *http.Client
	traces  atomic.Uint64
	wake    chan struct{} // capacity 1: the queue has changed
	done    chan struct{} // closed when Run has returned, or by Close
	ending  sync.Once

	mu        sync.Mutex
	token     string
	url       string
	app       app
	hold      bool
	accounts  map[string]*account
	numbers   map[string]*number
	byIndex   []*number // record.number
	templates map[whatsapp.TemplateRef]*template
	media     map[string]media
	persons   map[string]*person
	faults    []Fault
	nextFault int
	ledger    ledger
	heard     []Heard // what people wrote: the latest, and not after a restart
	queue     queue
	inFlight  int
	nextHook  uint64
	pairs     map[string]int64
	reach     reach
	refused   map[int]int
	journal   *journal
}

// account is a business account as it stands.
type account struct {
	WABA
	subscribed bool
	override   string // where its callbacks go instead of the app's address
	numbers    []*number
	templates  []*template // in order of creation, which is the order of listing
}

// number is a sending number as it stands.
type number struct {
	Number
	account *account
	index   uint16
	tat     time.Time // when the next message of an evenly paced number would be due
}

// template is a template and what its components ask for.
type template struct {
	Template
	shape shape
	sync  syncing
}

func (t *Template) ref() whatsapp.TemplateRef {
	return whatsapp.TemplateRef{WABA: t.WABA, Name: t.Name, Language: t.Language}
}

// New makes a Sandbox. With a journal it reads what earlier lives have written:
// the ledger, open windows, template changes, and the webhooks that are still
// owed. It returns an error when the configuration is not usable, when the
// token looks real, and when the journal is broken or of another seed.
func New(cfg Config) (*Sandbox, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	profile := cfg.Profile.filled()
	transport := cfg.Transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	s := &Sandbox{
		cfg:     cfg,
		profile: profile,
		log:     cfg.Logger,
		client: &http.Client{
			Transport: transport,
			// Meta follows no redirect: anything but 200 is a failure.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		token:     cfg.Token,
		url:       cfg.WebhookURL,
		accounts:  map[string]*account{},
		numbers:   map[string]*number{},
		templates: map[whatsapp.TemplateRef]*template{},
		media:     map[string]media{},
		persons:   map[string]*person{},
		pairs:     map[string]int64{},
		reach:     reach{until: map[string]int64{}},
		refused:   map[int]int{},
		ledger:    newLedger(),
	}
	s.app = s.newApp()
	for _, w := range cfg.WABAs {
		a := &account{WABA: w, subscribed: !w.Unsubscribed}
		s.accounts[w.ID] = a
		for _, n := range w.Numbers {
			num := &number{Number: n.filled(), account: a, index: uint16(len(s.byIndex))}
			a.numbers = append(a.numbers, num)
			s.numbers[n.ID] = num
			s.byIndex = append(s.byIndex, num)
		}
	}
	for _, t := range cfg.Templates {
		if err := s.put(t); err != nil {
			return nil, err
		}
	}
	if cfg.Journal != "" {
		if err := s.openJournal(cfg.Journal); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (n Number) filled() Number {
	for _, f := range []struct {
		field *string
		value string
	}{
		{&n.Status, "CONNECTED"}, {&n.Quality, "GREEN"},
		{&n.Throughput, "STANDARD"}, {&n.MessagingLimit, "TIER_100K"}, {&n.NameStatus, "APPROVED"},
	} {
		if *f.field == "" {
			*f.field = f.value
		}
	}
	return n
}

// Close lets go of requests that hang by a fault, and of the journal. What is
// asked of the sandbox afterwards is refused with error 2.
func (s *Sandbox) Close() error {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return s.journal.close()
}

func (s *Sandbox) end() { s.ending.Do(func() { close(s.done) }) }

// kick wakes Run after the queue has changed.
func (s *Sandbox) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
