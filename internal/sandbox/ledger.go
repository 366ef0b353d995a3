package sandbox

import (
	"strings"
	"time"

	"janela/internal/whatsapp"
)

const (
	chunkBits = 12   // records are kept in chunks of 4,096, which never move
	textsKept = 2000 // of so many messages the text is remembered
)

// record is one accepted message, kept small: a ledger of a hundred thousand
// must fit beside a test. Its wamid is computed, not stored.
type record struct {
	key    string // biz_opaque_callback_data
	to     string // wa_id, or BSUID when it was sent to one
	at     int64  // accepted, Unix milliseconds
	ttl    int32  // seconds in which it must be delivered; 0: 30 days
	code   int32  // fails with it; 0: does not fail
	kind   uint32 // index in ledger.kinds
	nth    uint32 // of its key, or of its recipient and kind when it has no key
	number uint16 // index in Sandbox.byIndex
	flags  flags
	state  state
}

type flags uint16

const (
	flagHeld      flags = 1 << iota // held for quality assessment
	flagFreeEnd                     // inside a free entry point window
	flagSilent                      // no status: a fault wants it so, or there was no webhook URL
	flagDropped                     // held, and then dropped because its template was paused
	flagNoWindow                    // free-form outside the service window
	flagIdentity                    // its statuses carry the person's identity hash
	flagOffline                     // the person's phone is off: sent, and not delivered until it is on
	flagLite                        // by the Marketing Messages API
	flagMarketing                   // asked for by marketing_messages; the Cloud API may have taken it all the same
)

type state uint8

const (
	stateAccepted state = iota
	stateSent
	stateDelivered
	stateRead
	stateFailed
)

func (s state) String() string {
	return [...]string{"accepted", "sent", "delivered", "read", "failed"}[s]
}

// kind is what messages have in common; there are few of them.
type kind struct {
	typ      string // template, text, image …
	template string // name, empty for free-form
	language string
	category string // lower case, as in pricing: marketing, utility, authentication, service
}

type pair struct {
	to   string
	kind uint32
}

// Tally counts what was asked about one message, or one recipient and template.
type Tally struct {
	Read     int `json:"read"`     // bodies fully read, whatever was answered
	Accepted int `json:"accepted"` // of those, the ones that became a message
}

type tally struct{ read, accepted uint32 }

// ledger is everything that was accepted.
type ledger struct {
	chunks [][]record
	count  int
	kinds  []kind
	index  map[kind]uint32
	byKey  map[string]tally // by messageKey
	byPair map[pair]uint32
	texts  map[int]string
}

func newLedger() ledger {
	return ledger{
		index:  map[kind]uint32{},
		byKey:  map[string]tally{},
		byPair: map[pair]uint32{},
		texts:  map[int]string{},
	}
}

// messageKey is the part of our own callback data that names the message,
// without the attempt: two attempts at one message are the same message.
func messageKey(key string) string {
	if _, ok := whatsapp.ParseCallbackID(key); ok {
		return key[:strings.LastIndexByte(key, '.')]
	}
	return key
}

func (l *ledger) get(i int) *record { return &l.chunks[i>>chunkBits][i&(1<<chunkBits-1)] }

func (l *ledger) kind(k kind) uint32 {
	if i, ok := l.index[k]; ok {
		return i
	}
	i := uint32(len(l.kinds))
	l.kinds = append(l.kinds, k)
	l.index[k] = i
	return i
}

// read counts a body that was fully read.
func (l *ledger) read(key string) {
	if key == "" {
		return
	}
	key = messageKey(key)
	t := l.byKey[key]
	t.read++
	l.byKey[key] = t
}

// next returns which acceptance of its key, or of its pair, the next one is.
func (l *ledger) next(key, to string, k uint32) uint32 {
	if key != "" {
		return l.byKey[messageKey(key)].accepted + 1
	}
	return l.byPair[pair{to, k}] + 1
}

func (l *ledger) add(r record, text string) int {
	i := l.count
	if i&(1<<chunkBits-1) == 0 {
		l.chunks = append(l.chunks, make([]record, 1<<chunkBits))
	}
	l.chunks[i>>chunkBits][i&(1<<chunkBits-1)] = r
	l.count++
	if r.key != "" {
		key := messageKey(r.key)
		t := l.byKey[key]
		t.accepted++
		t.read = max(t.read, t.accepted) // after a replay the readings are forgotten
		l.byKey[key] = t
	}
	l.byPair[pair{r.to, r.kind}]++
	if text != "" {
		l.texts[i] = text
		delete(l.texts, i-textsKept)
	}
	return i
}

// Send is one accepted message as the ledger shows it.
type Send struct {
	Seq      int       `json:"seq"` // 1 for the first
	Key      string    `json:"key"` // biz_opaque_callback_data
	NumberID string    `json:"number"`
	To       string    `json:"to"` // wa_id, or BSUID
	Type     string    `json:"type"`
	Template string    `json:"template,omitempty"`
	Language string    `json:"language,omitempty"`
	Category string    `json:"category"`
	At       time.Time `json:"at"`
	Wamid    string    `json:"wamid"`
	Nth      int       `json:"nth"`            // which acceptance of this message; above 1 is a double send
	State    string    `json:"state"`          // accepted, sent, delivered, read, failed: of the acknowledged webhooks
	Code     int       `json:"code,omitempty"` // of the failure it is destined to
	Held     bool      `json:"held,omitempty"`
	Endpoint string    `json:"endpoint,omitempty"` // marketing_messages, where it came by that
	Lite     bool      `json:"lite,omitempty"`     // and goes by the Marketing Messages API
	Text     string    `json:"text,omitempty"`     // of the latest messages only, and not after a restart
}

func (s *Sandbox) show(i int) Send {
	r := s.ledger.get(i)
	k := s.ledger.kinds[r.kind]
	endpoint := ""
	if r.flags&flagMarketing != 0 {
		endpoint = "marketing_messages"
	}
	return Send{
		Endpoint: endpoint, Lite: r.flags&flagLite != 0,
		Seq: i + 1, Key: r.key, NumberID: s.byIndex[r.number].ID, To: r.to,
		Type: k.typ, Template: k.template, Language: k.language, Category: k.category,
		At: time.UnixMilli(r.at), Wamid: s.wamidOf(r), Nth: int(r.nth), State: r.state.String(),
		Code: int(r.code), Held: r.flags&flagHeld != 0, Text: s.ledger.texts[i],
	}
}

// Each calls f with every accepted message, in the order of acceptance, until f
// returns false. Messages accepted meanwhile may be missing. f may call the
// sandbox.
func (s *Sandbox) Each(f func(Send) bool) {
	for i := 0; ; i++ {
		s.mu.Lock()
		if i >= s.ledger.count {
			s.mu.Unlock()
			return
		}
		one := s.show(i)
		s.mu.Unlock()
		if !f(one) {
			return
		}
	}
}

// Sends returns every accepted message. For large ledgers use Each.
func (s *Sandbox) Sends() []Send {
	list := make([]Send, 0, s.Count())
	s.Each(func(one Send) bool { list = append(list, one); return true })
	return list
}

// Count returns how many messages were accepted.
func (s *Sandbox) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.count
}

// Tally returns what was asked under a biz_opaque_callback_data. The attempt in
// our own keys is ignored: all attempts at one message count together.
func (s *Sandbox) Tally(key string) Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.ledger.byKey[messageKey(key)]
	return Tally{int(t.read), int(t.accepted)}
}

// EachTally calls f with every message key seen, in no order, and its tally.
func (s *Sandbox) EachTally(f func(key string, t Tally)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, t := range s.ledger.byKey {
		f(key, Tally{int(t.read), int(t.accepted)})
	}
}

// Accepted returns how many messages of a template (in all its languages) were
// accepted for a person, given as digits, E.164 or BSUID.
func (s *Sandbox) Accepted(to, templateName string) int {
	who := s.who(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i, k := range s.ledger.kinds {
		if k.template == templateName {
			n += int(s.ledger.byPair[pair{who, uint32(i)}])
		}
	}
	return n
}

// Refusals returns how many sends were refused, by error code.
func (s *Sandbox) Refusals() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[int]int, len(s.refused))
	for code, n := range s.refused {
		m[code] = n
	}
	return m
}

// count counts a refused send.
func (s *Sandbox) count(e *graphError) {
	s.mu.Lock()
	s.refused[e.code]++
	s.mu.Unlock()
}

// who brings a person's address to the form the ledger keeps.
func (s *Sandbox) who(address string) string {
	if isBSUID(address) {
		return address
	}
	return waID(s.cfg.Seed, digitsOf(address))
}

func isBSUID(s string) bool {
	return len(s) > 3 && s[2] == '.' && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
