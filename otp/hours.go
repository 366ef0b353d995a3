package otp

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// KeepHours is how long it is known of an hour what became of its codes.
const KeepHours = 35 * 24 * time.Hour

// How far the best of a challenge's messages has come.
const (
	stageTaken     = 1 // Meta took one, or the fallback hook
	stageDelivered = 2
	anyStage       = stageDelivered + 1 // above all there are
)

// A challenge counts where its own row says it stands: taken out before the row
// changes, and put in again afterwards. Decoys count as well, apart: so they cost
// as much as any other.
var (
	sqlCountOut = store.SQL(`INSERT INTO code_hours (hour, purpose, state, reason, stage, decoy, n)
		SELECT created_at / 3600000, purpose, state, reason, stage, decoy, -1 FROM challenges WHERE id = ?1 AND stage < ?2
		ON CONFLICT (hour, purpose, state, reason, stage, decoy) DO UPDATE SET n = code_hours.n - 1`)
	sqlCountIn = store.SQL(`INSERT INTO code_hours (hour, purpose, state, reason, stage, decoy, n)
		SELECT created_at / 3600000, purpose, state, reason, stage, decoy, 1 FROM challenges WHERE id = ?1
		ON CONFLICT (hour, purpose, state, reason, stage, decoy) DO UPDATE SET n = code_hours.n + 1`)
	sqlStage    = store.SQL(`UPDATE challenges SET stage = ?2 WHERE id = ?1 AND stage < ?2`)
	sqlOldHours = store.SQL(`DELETE FROM code_hours WHERE hour < ?1`)
	sqlHours    = store.SQL(`SELECT h.purpose, h.state, h.reason, h.stage, h.decoy, SUM(h.n) FROM code_hours h WHERE h.hour >= ?1
		GROUP BY h.purpose, h.state, h.reason, h.stage, h.decoy HAVING SUM(h.n) <> 0`)
)

// countIn counts a challenge where it stands.
func countIn(tx *store.Tx, id string) error {
	_, err := tx.Exec(sqlCountIn, id)
	return err
}

// countOut takes it out if its stage is below.
func countOut(tx *store.Tx, id string, below int) (counted bool, err error) {
	n, err := tx.Exec(sqlCountOut, id, below)
	return n > 0, err
}

// stageOf is how far a message has come.
func stageOf(s outbox.State) int {
	switch s {
	case outbox.Accepted, outbox.AcceptedHeld, outbox.Sent, outbox.PresumedExpired:
		return stageTaken
	case outbox.Delivered, outbox.Read:
		return stageDelivered
	default:
		return 0
	}
}

// reached notes how far a message of a challenge has come.
func reached(tx *store.Tx, challenge string, stage int) error {
	if counted, err := countOut(tx, challenge, stage); err != nil || !counted {
		return err
	}
	if err := tx.One(sqlStage, challenge, stage); err != nil {
		return err
	}
	return countIn(tx, challenge)
}

// codeTally is how many codes of a purpose stand somewhere.
type codeTally struct {
	purpose string
	state   State
	reason  string
	stage   int
	decoy   bool
	n       int64
}

// Fields names the places of sqlHours' columns.
func (t *codeTally) Fields() []any {
	return []any{&t.purpose, &t.state, &t.reason, &t.stage, &t.decoy, &t.n}
}

// CodeFunnel says what became of the codes that were asked for.
type CodeFunnel struct {
	Since    time.Time       `json:"since" doc:"the beginning of an hour"`
	All      PurposeFunnel   `json:"all"`
	Purposes []PurposeFunnel `json:"purposes" doc:"those of config.toml, and others that codes were asked for"`
	Limits   []LimitHit      `json:"limits" doc:"which limits said no, to requests and to guesses; the most frequent first"`
	Heard    time.Time       `json:"heard_since" doc:"refused, refusals and limits are kept in memory only: since when they are counted, the daemon's start or since"`
}

// PurposeFunnel counts the codes of a purpose. requested is the sum of pending,
// verified, failed, expired, exhausted, cancelled, superseded and reported;
// verified is part of delivered, and that of sent. Decoys count apart.
type PurposeFunnel struct {
	Purpose    string       `json:"purpose,omitempty" doc:"left out: all of them"`
	Requested  int64        `json:"requested" doc:"codes that were made: requests that were taken"`
	Sent       int64        `json:"sent" doc:"Meta took a message with it, or the fallback hook"`
	Delivered  int64        `json:"delivered" doc:"a message of it arrived, as Meta tells, or its code was typed"`
	Verified   int64        `json:"verified"`
	Pending    int64        `json:"pending" doc:"the code may still be typed"`
	Failed     int64        `json:"failed"`
	Expired    int64        `json:"expired" doc:"nobody typed it in time"`
	Exhausted  int64        `json:"exhausted" doc:"too many wrong guesses"`
	Cancelled  int64        `json:"cancelled" doc:"by the system that had asked"`
	Superseded int64        `json:"superseded" doc:"by a newer one"`
	Reported   int64        `json:"reported" doc:"the person did not ask for it"`
	Failures   []CodeReason `json:"failures" doc:"why those failed"`
	Decoys     int64        `json:"decoys" doc:"codes that only looked as if they were sent, because the system that asked said so: not among requested"`
	Refused    int64        `json:"refused" doc:"requests that got no code: not among requested"`
	Refusals   []CodeReason `json:"refusals" doc:"by the problem's code"`
}

// CodeReason counts one reason.
type CodeReason struct {
	Reason string `json:"reason"`
	N      int64  `json:"n"`
}

// LimitHit counts how often a limit said no.
type LimitHit struct {
	Rule string `json:"rule" doc:"its key in [otp.limits]"`
	N    int64  `json:"n"`
}

func (f *PurposeFunnel) add(t *codeTally) {
	if t.decoy {
		f.Decoys += t.n
		return
	}
	f.Requested += t.n
	verified := t.state == Verified
	if t.stage >= stageTaken || verified {
		f.Sent += t.n
	}
	if t.stage >= stageDelivered || verified {
		f.Delivered += t.n
	}
	switch t.state {
	case Pending:
		f.Pending += t.n
	case Verified:
		f.Verified += t.n
	case Expired:
		f.Expired += t.n
	case Exhausted:
		f.Exhausted += t.n
	case Cancelled:
		f.Cancelled += t.n
	case Superseded:
		f.Superseded += t.n
	case Reported:
		f.Reported += t.n
	case Failed:
		f.Failed += t.n
		f.Failures = addReason(f.Failures, t.reason, t.n)
	}
}

func addReason(all []CodeReason, reason string, n int64) []CodeReason {
	i := slices.IndexFunc(all, func(r CodeReason) bool { return r.Reason == reason })
	if i < 0 {
		return append(all, CodeReason{reason, n})
	}
	all[i].N += n
	return all
}

// Funnel counts the codes that were asked for since the beginning of an hour, at
// most KeepHours ago. It reads a few rows per hour, never the challenges.
func (o *OTP) Funnel(q store.Querier, from time.Time) (CodeFunnel, error) {
	out := CodeFunnel{Since: from.Truncate(time.Hour)}
	by := map[string]*PurposeFunnel{}
	for name := range o.cfg().Purposes {
		by[name] = &PurposeFunnel{}
	}
	of := func(name string) *PurposeFunnel {
		if by[name] == nil {
			by[name] = &PurposeFunnel{}
		}
		return by[name]
	}
	err := store.Each(q, sqlHours, func(t *codeTally) error {
		of(t.purpose).add(t)
		out.All.add(t)
		return nil
	}, wholeHour(out.Since))
	if err != nil {
		return out, err
	}
	out.Heard = o.heard.since(out.Since, q.Now(), func(purpose, code string, n int64) {
		for _, f := range []*PurposeFunnel{of(purpose), &out.All} {
			f.Refused += n
			f.Refusals = addReason(f.Refusals, code, n)
		}
	}, func(rule string, n int64) { out.Limits = append(out.Limits, LimitHit{rule, n}) })
	slices.SortFunc(out.Limits, func(a, b LimitHit) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Rule, b.Rule)) })
	if out.Limits == nil {
		out.Limits = []LimitHit{}
	}
	out.Purposes = []PurposeFunnel{}
	out.All.tidy()
	for _, name := range slices.Sorted(maps.Keys(by)) {
		by[name].Purpose = name
		by[name].tidy()
		out.Purposes = append(out.Purposes, *by[name])
	}
	return out, nil
}

// tidy puts the reasons in order.
func (f *PurposeFunnel) tidy() {
	for _, list := range []*[]CodeReason{&f.Failures, &f.Refusals} {
		if *list == nil {
			*list = []CodeReason{}
		}
		slices.SortFunc(*list, func(a, b CodeReason) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Reason, b.Reason)) })
	}
}

// wholeHour numbers the hours since 1970, UTC.
func wholeHour(t time.Time) int64 { return store.Millis(t) / time.Hour.Milliseconds() }

// heard counts what was refused, which leaves nothing on disk: whoever asks too
// often must not make us write. Its words are closed sets.
type heard struct {
	mu    sync.Mutex
	first time.Time
	n     map[hearsay]int64
}

// hearsay is one thing that was said, in one hour: a request's code, or a rule.
type hearsay struct {
	hour                int64
	purpose, code, rule string
}

func (h *heard) count(now time.Time, what hearsay) {
	what.hour = wholeHour(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.start(now)
	if _, known := h.n[what]; !known {
		oldest := wholeHour(now.Add(-KeepHours))
		maps.DeleteFunc(h.n, func(k hearsay, _ int64) bool { return k.hour < oldest })
	}
	h.n[what]++
}

// start notes since when is counted.
func (h *heard) start(now time.Time) {
	if h.n == nil {
		h.n, h.first = map[hearsay]int64{}, now
	}
}

// since tells what was counted since an instant, and from when on that is.
func (h *heard) since(from, now time.Time, refused func(purpose, code string, n int64), limited func(rule string, n int64)) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.start(now)
	rules := map[string]int64{}
	for k, n := range h.n {
		switch {
		case k.hour < wholeHour(from):
		case k.rule != "":
			rules[k.rule] += n
		default:
			refused(k.purpose, k.code, n)
		}
	}
	for rule, n := range rules {
		limited(rule, n)
	}
	if h.first.After(from) {
		return h.first
	}
	return from
}

// TemplateUse is a purpose that sends a template.
type TemplateUse struct {
	Purpose   string   `json:"purpose"`
	Languages []string `json:"languages" doc:"in order of preference"`
	Android   bool     `json:"android,omitempty" doc:"to apps for Android only"`
}

// TemplateUses are the purposes that send a template, by name.
func (o *OTP) TemplateUses(name string) []TemplateUse {
	var out []TemplateUse
	for _, purpose := range slices.Sorted(maps.Keys(o.cfg().Purposes)) {
		p := o.cfg().Purposes[purpose]
		if p.Template == name || p.AndroidTemplate == name {
			out = append(out, TemplateUse{purpose, slices.Clone(p.Languages), p.Template != name})
		}
	}
	return out
}
