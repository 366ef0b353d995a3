package otp

import (
	"janela/internal/store"
)

// counted is a send that may be given back or verified.
type counted struct {
	message, at, verifiedAt int64
	prefixKey, country      string
}

func (c *counted) Fields() []any {
	return []any{&c.message, &c.at, &c.verifiedAt, &c.prefixKey, &c.country}
}

var (
	sqlPutSend = store.SQL(`INSERT INTO code_sends (message_id, challenge_id, gen, phone_key, trusted, ip_key, prefix_key, country, at, again)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`)
	sqlCount = store.SQL(`INSERT INTO code_counts (scope, bucket, sent, verified)
			VALUES (?1, ?5, ?7, ?8), (?2, ?5, ?7, ?8), (?3, ?6, ?7, ?8), (?4, ?6, ?7, ?8)
		ON CONFLICT (scope, bucket) DO UPDATE SET sent = code_counts.sent + excluded.sent, verified = code_counts.verified + excluded.verified`)
	sqlCountRange = store.SQL(`INSERT INTO code_ranges (prefix_key, bucket, sent, verified) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (prefix_key, bucket) DO UPDATE SET sent = code_ranges.sent + excluded.sent, verified = code_ranges.verified + excluded.verified`)
	sqlCountedSend = store.SQL(`SELECT message_id, at, verified_at, prefix_key, country FROM code_sends WHERE message_id = ?1 AND counted = 1`)
	sqlUncount     = store.SQL(`UPDATE code_sends SET counted = 0 WHERE message_id = ?1 AND counted = 1`)
	sqlUnverified  = store.SQL(`SELECT message_id, at, verified_at, prefix_key, country FROM code_sends
		WHERE challenge_id = ?1 AND counted = 1 AND verified_at = 0`)
	sqlVerifySend = store.SQL(`UPDATE code_sends SET verified_at = ?2 WHERE message_id = ?1 AND verified_at = 0`)

	sqlSweepSends = store.SQL(`DELETE FROM code_sends WHERE message_id IN (SELECT message_id FROM code_sends WHERE at < ?1 ORDER BY at LIMIT ?2)`)
	sqlSweepFails = store.SQL(`DELETE FROM code_failures WHERE id IN (SELECT id FROM code_failures WHERE at < ?1 ORDER BY at LIMIT ?2)`)
	sqlSweepRates = store.SQL(`DELETE FROM code_rates WHERE key IN (SELECT key FROM code_rates WHERE tat < ?1 ORDER BY tat LIMIT ?2)`)
	sqlSweepCount = store.SQL(`DELETE FROM code_counts WHERE (scope, bucket) IN
		(SELECT scope, bucket FROM code_counts WHERE bucket < ?1 ORDER BY bucket LIMIT ?2)`)
	sqlSweepRange = store.SQL(`DELETE FROM code_ranges WHERE (prefix_key, bucket) IN
		(SELECT prefix_key, bucket FROM code_ranges WHERE bucket < ?1 ORDER BY bucket LIMIT ?2)`)
)

// recordSend counts a message that was enqueued.
func (o *OTP) recordSend(tx *store.Tx, a sendAsk, s sendRow) error {
	now, ipKey := store.Millis(tx.Now()), a.ipKey
	if s.again {
		ipKey = ""
	}
	if _, err := tx.Exec(sqlPutSend, s.message, s.challenge, s.gen, a.phoneKey, a.trusted, ipKey, a.prefixKey, a.country, now, s.again); err != nil {
		return err
	}
	return countMore(tx, a.prefixKey, a.country, now, 1, 0)
}

// refund takes a message out of every count, because Meta surely did not take
// it. A second time, or for a message without a code, it does nothing. The rates
// keep what they took: they bound requests, not messages.
func (o *OTP) refund(tx *store.Tx, message int64) error {
	s, ok, err := store.Get[counted](tx, sqlCountedSend, message)
	if err != nil || !ok {
		return err
	}
	if err := tx.One(sqlUncount, message); err != nil {
		return err
	}
	verified := 0
	if s.verifiedAt > 0 {
		verified = -1
	}
	return countMore(tx, s.prefixKey, s.country, s.at, -1, verified)
}

// markVerified says of every message of a challenge that its code was used.
func (o *OTP) markVerified(tx *store.Tx, challenge string) error {
	sent, err := store.All[counted](tx, sqlUnverified, challenge)
	if err != nil {
		return err
	}
	for _, s := range sent {
		if err := tx.One(sqlVerifySend, s.message, store.Millis(tx.Now())); err != nil {
			return err
		}
		if err := countMore(tx, s.prefixKey, s.country, s.at, 0, 1); err != nil {
			return err
		}
	}
	return nil
}

// countMore changes the counts of the time (ms) of a send.
func countMore(tx *store.Tx, prefixKey, country string, at int64, sent, verified int) error {
	bucket, country := bucketOf(at), "country:"+country
	_, err := tx.Exec(sqlCount, scopeAll, country, "hour:"+scopeAll, "hour:"+country, bucket, hourBucket(bucket), sent, verified)
	if err != nil {
		return err
	}
	_, err = tx.Exec(sqlCountRange, prefixKey, bucket, sent, verified)
	return err
}

// sweepLimits removes at most limit rows of each kind that no limit looks at any
// more, and returns how many.
func (o *OTP) sweepLimits(tx *store.Tx, limit int) (removed int, err error) {
	now := store.Millis(tx.Now())
	for _, s := range []struct {
		stmt *store.Stmt
		from int64
	}{
		{sqlSweepSends, now - keepSends.Milliseconds()},
		{sqlSweepFails, now - day.Milliseconds()},
		{sqlSweepDecoys, now - 2*day.Milliseconds()},
		{sqlSweepRates, now * 1000},
		{sqlSweepCount, bucketOf(now - 15*day.Milliseconds())},
		{sqlSweepRange, bucketOf(now - 2*day.Milliseconds())},
	} {
		n, err := tx.Exec(s.stmt, s.from, limit)
		if err != nil {
			return removed, err
		}
		removed += int(n)
	}
	return removed, nil
}
