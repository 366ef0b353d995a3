package otp

import (
	"strconv"
	"strings"
	"time"

	"janela/internal/store"
)

// handed is where a code is on its way to the hook.
type handed string

const (
	handedQueued  handed = "queued"
	handedSending handed = "sending" // claimed: its request may have been made
	handedSent    handed = "sent"    // the hook answered 2xx
	handedFailed  handed = "failed"  // it answered something else
	handedUnknown handed = "unknown" // it may have it, and did not say so
	handedExpired handed = "expired" // no request reached it before the code was over
	handedRefused handed = "refused" // nor may one any more: consent, a lock, other hands
)

// handover is a row of code_fallbacks.
type handover struct {
	ID        int64
	Challenge string
	Gen       int
	Country   string
	Why       string
	State     handed
	Doubts    int
	Detail    string
	At        int64 // ms
	EndedAt   int64 // ms
}

const handoverColumns = `f.id, f.challenge_id, f.gen, f.country, f.reason, f.state, f.doubts, f.detail, f.at, f.ended_at`

// Fields names the places of handoverColumns.
func (h *handover) Fields() []any {
	return []any{&h.ID, &h.Challenge, &h.Gen, &h.Country, &h.Why, &h.State, &h.Doubts, &h.Detail, &h.At, &h.EndedAt}
}

// message is the id under which limits know it, in code_sends.
func (h *handover) message() int64 { return -h.ID }

// webhookID is the receiver's key for repeats: the same in every request for
// this code, and of no other. It holds no dot, since the signature joins by dots.
func (h *handover) webhookID() string { return h.Challenge + "_" + strconv.Itoa(h.Gen) }

var (
	sqlPutHandover = store.SQL(`INSERT INTO code_fallbacks (id, challenge_id, gen, phone_key, country, channel, reason, state, not_before, at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9)`)
	sqlHandoverOf    = store.SQL(`SELECT ` + handoverColumns + ` FROM code_fallbacks f WHERE f.challenge_id = ?1 AND f.gen = ?2`)
	sqlHandoverClaim = store.SQL(`UPDATE code_fallbacks SET state = 'sending' WHERE id = ?1 AND state = 'queued'`)
	sqlHandoverAgain = store.SQL(`UPDATE code_fallbacks SET state = 'queued', doubts = ?2, detail = ?3, not_before = ?4 WHERE id = ?1 AND state = 'sending'`)
	sqlHandoverEnd   = store.SQL(`UPDATE code_fallbacks SET state = ?2, doubts = ?3, detail = ?4, ended_at = ?5 WHERE id = ?1 AND ended_at = 0`)

	sqlForgetHandovers = store.SQL(`DELETE FROM code_fallbacks WHERE id IN
		(SELECT id FROM code_fallbacks WHERE ended_at > 0 AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2)`)
)

// maxDoubts is how many requests are made that the hook may have taken without
// saying so: one, and its repeat, which the hook knows by its webhook-id.
const maxDoubts = 2

// status begins what is written of an answer that was not 2xx.
const status = "status "

// lost is the end of a code that cannot be handed over any more.
func (h *handover) lost() handed {
	switch {
	case h.Doubts == 0:
		return handedExpired
	case strings.HasPrefix(h.Detail, status):
		return handedFailed
	default:
		return handedUnknown
	}
}

// Pauses before a request is made again.
const (
	doubtPause = 2 * time.Second  // after one that the hook may have taken
	minPause   = time.Second      // after one that it surely has not:
	maxPause   = 15 * time.Second // half the time since the code was asked for
)

func unsentPause(waited time.Duration) time.Duration {
	return min(max(waited/2, minPause), maxPause)
}

// again queues it for another request.
func (h *handover) again(tx *store.Tx, pause time.Duration) error {
	h.State = handedQueued
	return tx.One(sqlHandoverAgain, h.ID, h.Doubts, h.Detail, store.Millis(tx.Now().Add(pause)))
}

// endHandover writes how it ended. What surely never reached the hook is given
// back to every limit.
func (o *OTP) endHandover(tx *store.Tx, h *handover, to handed) error {
	h.State, h.EndedAt = to, store.Millis(tx.Now())
	if err := tx.One(sqlHandoverEnd, h.ID, string(to), h.Doubts, h.Detail, h.EndedAt); err != nil {
		return err
	}
	o.countFellBack(h.Why, string(to))
	tx.Wake(Topic)
	if to == handedSent {
		return reached(tx, h.Challenge, stageTaken)
	}
	if to != handedExpired && to != handedRefused {
		return nil
	}
	if err := o.refund(tx, h.message()); err != nil {
		return err
	}
	_, err := tx.Exec(sqlCountFallback, scopeFallback(h.Country), bucketOf(h.At), -1)
	return err
}

// show replaces what is said of the WhatsApp message by how far the code came on
// the other way. Why WhatsApp did not bring it stays.
func (h *handover) show(d *Delivery) {
	d.Fallback, d.At = "sent", map[string]time.Time{"queued": store.Time(h.At)}
	switch h.State {
	case handedQueued, handedSending:
		d.State = "queued"
	case handedSent:
		d.State, d.At["sent"] = "sent", store.Time(h.EndedAt)
	case handedUnknown:
		d.State = "unknown"
	default:
		d.State, d.Code, d.Reason, d.Fallback = "failed", 0, unknownReason, "none"
		d.At["failed"] = store.Time(h.EndedAt)
		if h.State == handedExpired {
			d.Reason = expiredTTL
		}
	}
}
