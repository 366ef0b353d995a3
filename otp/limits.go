package otp

import (
	"time"

	"janela/internal/store"
)

// sendAsk is one message with a code that somebody wants, as the limits see it.
type sendAsk struct {
	phoneKey, ipKey, prefixKey string // keyed hashes; no ipKey: the limits of addresses do not apply
	country, client            string
	trusted                    bool // has its own limits of a phone
	limits                     Limits
}

// sendRow is the message that was made of it. A repeat (again) of one that was
// never answered was asked for by nobody: it counts for phone, range, country
// and service, and not for the address.
type sendRow struct {
	message   int64
	challenge string
	gen       int
	again     bool
}

// Fields names the columns of sqlPhoneSends and sqlSourceSends.
func (s *sentCode) Fields() []any {
	return []any{&s.At, &s.VerifiedAt, &s.Again, &s.Phone, &s.Country}
}

// scoped is the tally of one scope.
type scoped struct {
	scope string
	tally
}

func (s *scoped) Fields() []any {
	return []any{&s.scope, &s.SentHour, &s.VerifiedHour, &s.SentDay, &s.VerifiedDay}
}

type scopedCount struct {
	scope string
	count
}

func (s *scopedCount) Fields() []any { return []any{&s.scope, &s.Bucket, &s.Sent, &s.Verified} }

type rate struct {
	key string
	tat int64
}

func (r *rate) Fields() []any { return []any{&r.key, &r.tat} }

// Scopes of code_counts and keys of code_rates that have no further name.
const (
	scopeAll     = "all"
	scopeService = "service"
)

var (
	sqlPhoneSends = store.SQL(`SELECT at, verified_at, again, '', '' FROM code_sends
		WHERE phone_key = ?1 AND at > ?2 AND trusted = ?3 AND counted = 1 ORDER BY at DESC LIMIT ?4`)
	sqlSourceSends = store.SQL(`SELECT at, verified_at, again, phone_key, country FROM code_sends
		WHERE ip_key = ?1 AND ip_key <> '' AND at > ?2 AND counted = 1 AND again = 0 ORDER BY at DESC LIMIT ?3`)
	sqlTallies = store.SQL(`SELECT scope, SUM(CASE WHEN bucket >= ?4 THEN sent ELSE 0 END), SUM(CASE WHEN bucket >= ?4 THEN verified ELSE 0 END),
			SUM(sent), SUM(verified)
		FROM code_counts WHERE scope IN (?1, ?2, ?3) AND bucket >= ?5 GROUP BY scope`)
	sqlCounts   = store.SQL(`SELECT scope, bucket, sent, verified FROM code_counts WHERE scope IN (?1, ?2, ?3) AND bucket >= ?4`)
	sqlBest     = store.SQL(`SELECT most_verified FROM code_baselines WHERE country = ?1`)
	sqlRates    = store.SQL(`SELECT key, tat FROM code_rates WHERE key IN (?1, ?2)`)
	sqlTakeRate = store.SQL(`INSERT INTO code_rates (key, tat) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat`)
)

// admit judges a send by every limit and takes what it takes of the rates; the
// rest is taken by recordSend, which must follow in the same transaction. The
// error is a *Denied whose RetryAfter is when the same request passes if nothing
// else happens; then nothing is taken.
func (o *OTP) admit(tx *store.Tx, a sendAsk) error {
	f, err := o.facts(tx, a)
	if err != nil {
		return err
	}
	if len(f.refusals(store.Millis(tx.Now()))) > 0 {
		return o.refuse(tx, a, f)
	}
	l := &a.limits
	if err := take(tx, "client:"+a.client, f.client, l.ClientPerSecond, float64(l.ClientBurst)); err != nil {
		return err
	}
	return take(tx, scopeService, f.service, l.PerSecond, max(1, l.PerSecond))
}

// take takes one request of a rate that has room for it.
func take(tx *store.Tx, key string, tat int64, perSecond, burst float64) error {
	next, _ := gcra(tat, store.Millis(tx.Now()), perSecond, burst)
	if next == tat {
		return nil // no limit
	}
	_, err := tx.Exec(sqlTakeRate, key, next)
	return err
}

// facts reads what decides.
func (o *OTP) facts(q store.Querier, a sendAsk) (*facts, error) {
	now := store.Millis(q.Now())
	f := &facts{limits: a.limits, max: o.cfg.MaxSends, phone: a.phoneKey, country: a.country, source: a.ipKey != ""}
	var err error
	if f.ofPhone, err = phoneSends(q, a); err != nil {
		return nil, err
	}
	if f.locked, err = guessable(q, a.phoneKey, a.trusted, &a.limits); err != nil {
		return nil, err
	}
	if f.source {
		if f.ofSource, err = store.All[sentCode](q, sqlSourceSends, a.ipKey, now-day.Milliseconds(), mostRows); err != nil {
			return nil, err
		}
	}
	prefix, country := "prefix:"+a.prefixKey, "country:"+a.country
	err = store.Each(q, sqlTallies, func(s *scoped) error {
		switch s.scope {
		case prefix:
			f.prefix = s.tally
		case country:
			f.to = s.tally
		default:
			f.all = s.tally
		}
		return nil
	}, prefix, country, scopeAll, bucketOf(now-time.Hour.Milliseconds()), bucketOf(now-day.Milliseconds()))
	if err != nil {
		return nil, err
	}
	if f.best, _, err = store.Value[int64](q, sqlBest, a.country); err != nil {
		return nil, err
	}
	return f, store.Each(q, sqlRates, func(r *rate) error {
		if r.key == scopeService {
			f.service = r.tat
		} else {
			f.client = r.tat
		}
		return nil
	}, "client:"+a.client, scopeService)
}

func phoneSends(q store.Querier, a sendAsk) ([]sentCode, error) {
	return store.All[sentCode](q, sqlPhoneSends, a.phoneKey, store.Millis(q.Now())-week.Milliseconds(), a.trusted, mostRows)
}

// refuse says no, and until when. The counts by ten minutes are read only where
// the wait is longer than that.
func (o *OTP) refuse(q store.Querier, a sendAsk, f *facts) error {
	var (
		now, prefix, country = store.Millis(q.Now()), "prefix:" + a.prefixKey, "country:" + a.country
		counts               map[string][]count
		failed               error
	)
	until, rule := f.wait(now, func(at int64) {
		if bucketOf(at) == bucketOf(now) {
			return
		}
		if counts == nil {
			counts = map[string][]count{}
			failed = store.Each(q, sqlCounts, func(c *scopedCount) error {
				counts[c.scope] = append(counts[c.scope], c.count)
				return nil
			}, prefix, country, scopeAll, bucketOf(now-day.Milliseconds()))
		}
		f.prefix, f.to, f.all = sum(counts[prefix], at), sum(counts[country], at), sum(counts[scopeAll], at)
	})
	if failed != nil {
		return failed
	}
	return denial(rule, now, until)
}

// mayRepeat says whether a message that was never answered may go once more:
// neither the phone's day nor the service's is full.
func (o *OTP) mayRepeat(q store.Querier, a sendAsk) (bool, error) {
	f, err := o.facts(q, a)
	if err != nil {
		return false, err
	}
	for _, r := range f.refusals(store.Millis(q.Now())) {
		if r.rule == rulePhoneDay || r.rule == ruleCap {
			return false, nil
		}
	}
	return true, nil
}

// nextSend is the earliest time at which the phone's own limits let another
// send pass; now when they do already, zero when they never will.
func (o *OTP) nextSend(q store.Querier, a sendAsk) (time.Time, error) {
	sent, err := phoneSends(q, a)
	if err != nil {
		return time.Time{}, err
	}
	l := a.limits
	f := &facts{limits: Limits{Cooldown: l.Cooldown, Phone10m: l.Phone10m, PhoneHour: l.PhoneHour, PhoneDay: l.PhoneDay, Unverified: l.Unverified,
		ClientPerSecond: -1, PrefixUnverified: -1, CountryDay: -1, CountryHour: -1, PerSecond: -1}, max: 1, ofPhone: sent}
	until, _ := f.wait(store.Millis(q.Now()), func(int64) {})
	if until == never {
		return time.Time{}, nil
	}
	return store.Time(until), nil
}
