package otp

import (
	"context"
	"errors"
	"sync"
	"time"

	"janela/internal/store"
)

// How often Run looks, and how long what is over is kept.
const (
	sweepEvery  = 10 * time.Second
	tidyEvery   = time.Hour
	sweepRows   = 100
	tidyRows    = 200
	keepEnded   = 24 * time.Hour
	keepPhones  = 400 * 24 * time.Hour
	daysOfBase  = 14
	bucketsADay = int64(day / tenMinutes)
)

var (
	sqlDue = store.SQL(`SELECT ` + challengeColumns + ` FROM challenges c WHERE c.state = 'pending' AND c.expires_at <= ?1 ORDER BY c.expires_at LIMIT ?2`)

	sqlForgetChallenges = store.SQL(`DELETE FROM challenges WHERE id IN (SELECT id FROM challenges WHERE ended_at > 0 AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2)`)
	sqlForgetPhones     = store.SQL(`DELETE FROM code_phones WHERE phone_key IN (SELECT phone_key FROM code_phones
		WHERE changed_at <= ?1 AND locked_at = 0 AND identity_changed_at = 0 ORDER BY changed_at LIMIT ?2)`)

	sqlMostVerified = store.SQL(`SELECT COALESCE(MAX(d.n), 0) FROM (SELECT SUM(verified) AS n FROM code_counts
		WHERE scope = ?1 AND bucket > ?2 GROUP BY bucket / ?3) d`)
	sqlBaseline = store.SQL(`INSERT INTO code_baselines (country, most_verified, at) VALUES (?1, ?2, ?3)
		ON CONFLICT (country) DO UPDATE SET most_verified = excluded.most_verified, at = excluded.at`)
)

// Run ends challenges whose time is over, every ten seconds, forgets what is
// older than anybody needs, every hour, and hands codes over to the fallback,
// until ctx ends. It waits for the requests under way.
func (o *OTP) Run(ctx context.Context) error {
	var courier sync.WaitGroup
	courier.Go(func() { o.handOver(ctx) })
	defer courier.Wait()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	tidied := 0
	for turn := 0; ; turn++ {
		err := errors.Join(o.sweep(ctx), o.learn(ctx))
		if err == nil && (turn == 0 || turn-tidied >= int(tidyEvery/sweepEvery)) {
			err = o.tidy(ctx)
			tidied = turn
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			o.deps.Log.Error("sweeping one-time codes failed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweep ends the challenges whose time is over: their seeds are wiped.
func (o *OTP) sweep(ctx context.Context) error {
	for n := sweepRows; n == sweepRows; {
		err := o.deps.DB.Bulk(ctx, func(tx *store.Tx) error {
			rows, err := store.All[challenge](tx, sqlDue, store.Millis(tx.Now()), sweepRows)
			n = len(rows)
			for i := range rows {
				if err == nil {
					err = o.end(tx, &rows[i], Expired, "")
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tidy forgets what is older than anybody needs, a few rows a transaction, and
// takes the measure of the countries.
func (o *OTP) tidy(ctx context.Context) error {
	forget := func(stmt *store.Stmt, keep time.Duration) func(tx *store.Tx) (int, error) {
		return func(tx *store.Tx) (int, error) {
			n, err := tx.Exec(stmt, store.Millis(tx.Now().Add(-keep)), tidyRows)
			return int(n), err
		}
	}
	for _, few := range []func(tx *store.Tx) (int, error){
		forget(sqlForgetChallenges, keepEnded),
		forget(sqlForgetPhones, keepPhones),
		forget(sqlForgetHandovers, keepEnded),
		func(tx *store.Tx) (int, error) { return o.sweepLimits(tx, tidyRows) },
	} {
		for n := 1; n > 0; {
			err := o.deps.DB.Bulk(ctx, func(tx *store.Tx) (err error) { n, err = few(tx); return err })
			if err != nil {
				return err
			}
		}
	}
	return o.deps.DB.Bulk(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(sqlOldHours, wholeHour(tx.Now().Add(-KeepHours))); err != nil {
			return err
		}
		return o.measure(tx)
	})
}

// measure notes the most codes that were verified on one day, by country.
func (o *OTP) measure(tx *store.Tx) error {
	for _, country := range o.cfg().Countries {
		most, _, err := store.Value[int64](tx, sqlMostVerified, "country:"+country, bucketOf(store.Millis(tx.Now().Add(-daysOfBase*day))), bucketsADay)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(sqlBaseline, country, most, store.Millis(tx.Now())); err != nil {
			return err
		}
	}
	return nil
}
