package outbox

import (
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Scope says which streams a hold stops.
type Scope string

// The scopes; Target names which one of it.
const (
	ScopeAll      Scope = "all"
	ScopeAccount  Scope = "account"
	ScopeNumber   Scope = "number"
	ScopeCategory Scope = "category"
	ScopeTemplate Scope = "template"
	ScopeCampaign Scope = "campaign"
)

// Hold stops streams until it is lifted.
type Hold struct {
	ID     int64
	Scope  Scope
	Target string
	Reason string
	Detail string
	Actor  string
	Since  int64 // ms
	Until  int64 // ms; 0: until somebody lifts it
	Probe  bool  // at Until one real message goes through first
	Tries  int
}

const holdColumns = `id, scope, target, reason, detail, actor, since, until, probe, tries`

// Fields names the places of holdColumns.
func (h *Hold) Fields() []any {
	return []any{&h.ID, &h.Scope, &h.Target, &h.Reason, &h.Detail, &h.Actor, &h.Since, &h.Until, &h.Probe, &h.Tries}
}

// ReasonNoAnswers is the reason of a hold that we place ourselves because Meta's
// answers do not come.
const ReasonNoAnswers = "no_answers"

// Reasons of holds on a number that Meta restricts for what it sends.
const (
	ReasonRestricted      = "number_restricted"
	ReasonCodesRestricted = "codes_restricted" // a code met the restriction as well
)

// spares reports whether a hold on a number lets a stream of it through. Missing
// answers do not stop codes: they have their own connections, somebody waits for
// each, and one that is sent twice does no harm. A restriction stops what the
// business begins, and codes only once one of them has met it: somebody waits for
// each, and they try at once whether it is about them.
func (h *Hold) spares(s *Stream) bool {
	codes := s.Category == whatsapp.Authentication // a stream that is only planned has no lane
	switch h.Reason {
	case ReasonNoAnswers:
		return codes
	case ReasonRestricted:
		return codes || s.Category == whatsapp.Service
	case ReasonCodesRestricted:
		return !codes
	default:
		return false
	}
}

// Stops reports whether the hold concerns a stream.
func (h *Hold) Stops(s *Stream) bool {
	if h.Scope == ScopeNumber && h.spares(s) {
		return false
	}
	switch h.Scope {
	case ScopeAll:
		return true
	case ScopeAccount:
		return h.Target == s.WABA
	case ScopeNumber:
		return h.Target == s.Number
	case ScopeCategory:
		return h.Target == string(s.Category)
	case ScopeTemplate:
		return s.Template != "" && h.Target == s.Ref().Target()
	case ScopeCampaign:
		return h.Target == s.Campaign && s.Campaign != ""
	default:
		return false
	}
}

// Over reports whether a hold that ends by time has ended.
func (h *Hold) Over(now time.Time) bool {
	return h.Until > 0 && !h.Probe && store.Millis(now) >= h.Until
}

// MayProbe reports whether one message may go through to see if the hold's
// cause is gone.
func (h *Hold) MayProbe(now time.Time) bool {
	return h.Probe && h.Until > 0 && store.Millis(now) >= h.Until
}

var (
	sqlHolds    = store.SQL(`SELECT ` + holdColumns + ` FROM holds WHERE lifted_at = 0 ORDER BY id`)
	sqlHold     = store.SQL(`SELECT ` + holdColumns + ` FROM holds WHERE scope = ?1 AND target = ?2 AND reason = ?3 AND lifted_at = 0`)
	sqlLifted   = store.SQL(`SELECT ` + holdColumns + `, lifted_at, lifted_by FROM holds WHERE lifted_at > 0 AND id < ?1 ORDER BY id DESC LIMIT ?2`)
	sqlPlace    = store.SQL(`INSERT INTO holds (id, scope, target, reason, detail, actor, since, until, probe) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`)
	sqlProlong  = store.SQL(`UPDATE holds SET until = ?2, tries = ?3, detail = ?4 WHERE id = ?1 AND lifted_at = 0`)
	sqlLift     = store.SQL(`UPDATE holds SET lifted_at = ?2, lifted_by = ?3 WHERE id = ?1 AND lifted_at = 0`)
	sqlLiftable = store.SQL(`SELECT ` + holdColumns + ` FROM holds WHERE scope = ?1 AND target = ?2 AND (?3 = '' OR reason = ?3) AND lifted_at = 0`)
)

// Holds returns the holds that stand.
func Holds(q store.Querier) ([]Hold, error) { return store.All[Hold](q, sqlHolds) }

// LiftedHold is a hold that is over because somebody or something lifted it.
type LiftedHold struct {
	Hold
	LiftedAt int64 // Unix milliseconds
	LiftedBy string
}

// Fields names the places of the columns of sqlLifted.
func (h *LiftedHold) Fields() []any { return append(h.Hold.Fields(), &h.LiftedAt, &h.LiftedBy) }

// LiftedHolds returns at most limit holds that were lifted, of those placed before
// the one with an id (0: all), the latest first.
func LiftedHolds(q store.Querier, before int64, limit int) ([]LiftedHold, error) {
	if before <= 0 {
		before = 1<<62 - 1
	}
	return store.All[LiftedHold](q, sqlLifted, before, limit)
}

// HoldsTopic is woken when a hold was placed: what is claimed and has not left
// must not leave any more.
const HoldsTopic store.Topic = "outbox.holds"

// Place puts a hold, or, where the same stands already, keeps it and moves its
// end to the later one. fresh says that it was not there, or had ended by time.
func Place(tx *store.Tx, h Hold) (fresh bool, err error) {
	have, ok, err := store.Get[Hold](tx, sqlHold, string(h.Scope), h.Target, h.Reason)
	if err != nil {
		return false, err
	}
	if ok && have.Over(tx.Now()) { // nobody lifts those: they stop nothing
		if err := tx.One(sqlLift, have.ID, have.Until, "time"); err != nil {
			return false, err
		}
		ok = false
	}
	if ok {
		if h.Until > 0 && h.Until <= have.Until || have.Until == 0 {
			return false, nil
		}
		return false, tx.One(sqlProlong, have.ID, h.Until, have.Tries, h.Detail)
	}
	tx.Wake(HoldsTopic)
	_, err = tx.Exec(sqlPlace, tx.NewID(), string(h.Scope), h.Target, h.Reason, h.Detail, h.Actor, store.Millis(tx.Now()), h.Until, h.Probe)
	return true, err
}

// Prolong moves the end of a hold, after a probe was let through or failed.
func Prolong(tx *store.Tx, h Hold, until time.Time) error {
	return tx.One(sqlProlong, h.ID, store.Millis(until), h.Tries+1, h.Detail)
}

// Lift ends the holds of a scope and target, all or those of one reason, and
// wakes every lane. It returns how many it ended.
func Lift(tx *store.Tx, scope Scope, target, reason, by string) (int, error) {
	rows, err := store.All[Hold](tx, sqlLiftable, string(scope), target, reason)
	if err != nil {
		return 0, err
	}
	for _, h := range rows {
		if err := LiftOne(tx, h, by); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// LiftOne ends one hold.
func LiftOne(tx *store.Tx, h Hold, by string) error {
	if err := tx.One(sqlLift, h.ID, store.Millis(tx.Now()), by); err != nil {
		return err
	}
	WakeAll(tx)
	return nil
}

// WakeAll wakes every lane: something that stopped streams has changed.
func WakeAll(tx *store.Tx) {
	for _, l := range []whatsapp.Lane{whatsapp.LaneAuthentication, whatsapp.LaneUtility, whatsapp.LaneMarketing} {
		tx.Wake(Topic(l))
	}
}
