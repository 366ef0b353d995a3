package otp

import (
	"janela/internal/store"
)

// guesses is what a phone's guesses have come to.
type guesses struct{ failures, lockedAt, verifiedAt int64 }

func (g *guesses) Fields() []any { return []any{&g.failures, &g.lockedAt, &g.verifiedAt} }

var (
	sqlFailures    = store.SQL(`SELECT at FROM code_failures WHERE phone_key = ?1 AND at > ?2 AND trusted = ?3 ORDER BY at DESC LIMIT ?4`)
	sqlPutFailure  = store.SQL(`INSERT INTO code_failures (phone_key, trusted, at) VALUES (?1, ?2, ?3)`)
	sqlGuesses     = store.SQL(`SELECT failures, locked_at, verified_at FROM code_phones WHERE phone_key = ?1`)
	sqlOneMoreFail = store.SQL(`INSERT INTO code_phones (phone_key, failures, changed_at) VALUES (?1, 1, ?2)
		ON CONFLICT (phone_key) DO UPDATE SET failures = code_phones.failures + 1, changed_at = excluded.changed_at`)
	sqlLock  = store.SQL(`UPDATE code_phones SET locked_at = ?2 WHERE phone_key = ?1 AND locked_at = 0`)
	sqlRight = store.SQL(`INSERT INTO code_phones (phone_key, identity, verified_at, changed_at) VALUES (?1, ?2, ?3, ?3)
		ON CONFLICT (phone_key) DO UPDATE SET failures = 0,
			locked_at = CASE WHEN CAST(?4 AS INTEGER) = 1 THEN 0 ELSE code_phones.locked_at END,
			identity = CASE WHEN excluded.identity = '' THEN code_phones.identity ELSE excluded.identity END,
			verified_at = excluded.verified_at, changed_at = excluded.changed_at`)
)

// mayGuess judges a guess before it is looked at. What it takes of the address's
// rate is taken also when it is denied. The error is a *Denied.
func (o *OTP) mayGuess(tx *store.Tx, phoneKey, ipKey string, trusted bool, l Limits) error {
	if ipKey != "" {
		key, now := "verify-ip:"+ipKey, store.Millis(tx.Now())
		r, _, err := store.Get[rate](tx, sqlRates, key, "")
		if err != nil {
			return err
		}
		perSecond, burst := float64(l.VerifyIPMinute)/60, float64(l.VerifyIPMinute)
		if _, until := gcra(r.tat, now, perSecond, burst); until > now {
			return denial(ruleVerifyIP, now, until)
		}
		if err := take(tx, key, r.tat, perSecond, burst); err != nil {
			return err
		}
	}
	r, _, err := guessable(tx, phoneKey, trusted, &l)
	if err != nil || r.until == 0 {
		return err
	}
	return denial(r.rule, store.Millis(tx.Now()), r.until)
}

// guessable says whether a code for the phone could be typed: it is not locked,
// and has wrong guesses left in every 24 h. A refusal of until 0 is none. proven
// says that the phone has verified a code before.
func guessable(q store.Querier, phoneKey string, trusted bool, l *Limits) (no refusal, proven bool, err error) {
	g, _, err := store.Get[guesses](q, sqlGuesses, phoneKey)
	proven = g.verifiedAt > 0
	switch {
	case err != nil:
		return refusal{}, false, err
	case g.lockedAt > 0 && !trusted:
		return refusal{ruleLock, never}, proven, nil
	case l.Failures < 0:
		return refusal{}, proven, nil
	case l.Failures == 0:
		return refusal{ruleFailures, never}, proven, nil
	}
	at, err := store.All[store.Col[int64]](q, sqlFailures, phoneKey, store.Millis(q.Now())-day.Milliseconds(), trusted, l.Failures)
	if err != nil || len(at) < l.Failures {
		return refusal{}, proven, err
	}
	return refusal{ruleFailures, at[len(at)-1].V + day.Milliseconds()}, proven, nil
}

// guessedWrong counts a wrong guess. Those of a trusted device lock nothing; the
// others in a row lock the phone for everything that is not trusted.
func (o *OTP) guessedWrong(tx *store.Tx, phoneKey string, trusted bool, l Limits) (locked bool, err error) {
	now := store.Millis(tx.Now())
	if _, err := tx.Exec(sqlPutFailure, phoneKey, trusted, now); err != nil || trusted {
		return false, err
	}
	if _, err := tx.Exec(sqlOneMoreFail, phoneKey, now); err != nil || l.Lock < 0 {
		return false, err
	}
	g, _, err := store.Get[guesses](tx, sqlGuesses, phoneKey)
	if err != nil || g.failures < int64(l.Lock) {
		return false, err
	}
	n, err := tx.Exec(sqlLock, phoneKey, now)
	return n == 1, err
}

// guessedRight ends the row of wrong guesses, and opens the lock if the device
// was trusted. identity is Meta's hash of the identity key, "" to keep the old
// one. The wrong guesses of the last 24 h still count.
func (o *OTP) guessedRight(tx *store.Tx, phoneKey string, trusted bool, identity string) error {
	_, err := tx.Exec(sqlRight, phoneKey, identity, store.Millis(tx.Now()), trusted)
	return err
}
