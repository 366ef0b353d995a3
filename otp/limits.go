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
	decoy                      bool // counts as a number that has verified a code
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
		WHERE ip_key = ?1 AND ip_key <> '' AND at > ?2 AND counted = 1 ORDER BY at DESC LIMIT ?3`)
	// The day is made of ten minutes at both its ends (from ?5 to before ?6, and
	// since ?7) and of whole hours between; the last hour, since ?8, is at the end.
	// What was verified on the country's best day comes along. IN with a list, and
	// GROUP BY, would each make a temporary table: three times the cost.
	sqlTallies = store.SQL(`SELECT 'all', 0, 0, COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?1 AND bucket >= ?5 AND bucket < ?6
		UNION ALL SELECT 'all', 0, 0, COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?2 AND bucket >= ?6 AND bucket < ?7
		UNION ALL SELECT 'all', 0, 0, COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?1 AND bucket >= ?7
		UNION ALL SELECT 'country', 0, 0, COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?3 AND bucket >= ?5 AND bucket < ?6
		UNION ALL SELECT 'country', 0, 0, COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?4 AND bucket >= ?6 AND bucket < ?7
		UNION ALL SELECT 'country', COALESCE(SUM(CASE WHEN bucket >= ?8 THEN sent ELSE 0 END), 0), COALESCE(SUM(CASE WHEN bucket >= ?8 THEN verified ELSE 0 END), 0),
				COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_counts WHERE scope = ?3 AND bucket >= ?7
		UNION ALL SELECT 'range', COALESCE(SUM(CASE WHEN bucket >= ?8 THEN sent ELSE 0 END), 0), COALESCE(SUM(CASE WHEN bucket >= ?8 THEN verified ELSE 0 END), 0),
				COALESCE(SUM(sent), 0), COALESCE(SUM(verified), 0)
			FROM code_ranges WHERE prefix_key = ?9 AND bucket >= ?5
		UNION ALL SELECT 'best', 0, 0, 0, most_verified FROM code_baselines WHERE country = ?10`)
	sqlCounts = store.SQL(`SELECT 'all', bucket, sent, verified FROM code_counts WHERE scope = ?1 AND bucket >= ?4
		UNION ALL SELECT 'country', bucket, sent, verified FROM code_counts WHERE scope = ?2 AND bucket >= ?4
		UNION ALL SELECT 'range', bucket, sent, verified FROM code_ranges WHERE prefix_key = ?3 AND bucket >= ?4`)
	sqlRates    = store.SQL(`SELECT key, tat FROM code_rates WHERE key = ?1 UNION ALL SELECT key, tat FROM code_rates WHERE key = ?2`)
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
	f := &facts{limits: a.limits, max: o.cfg().MaxSends, phone: a.phoneKey, country: a.country, source: a.ipKey != ""}
	var err error
	if f.ofPhone, err = phoneSends(q, a); err != nil {
		return nil, err
	}
	if f.locked, f.proven, err = guessable(q, a.phoneKey, a.trusted, &a.limits); err != nil {
		return nil, err
	}
	f.proven = f.proven || a.trusted || a.decoy
	if f.source {
		if f.ofSource, err = store.All[sentCode](q, sqlSourceSends, a.ipKey, now-day.Milliseconds(), mostRows); err != nil {
			return nil, err
		}
	}
	if err := o.tallies(q, a, f); err != nil {
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

// tallies reads what number range, country and service sent.
func (o *OTP) tallies(q store.Querier, a sendAsk, f *facts) error {
	now, country := store.Millis(q.Now()), "country:"+a.country
	dayAgo, hourAgo := bucketOf(now-day.Milliseconds()), bucketOf(now-time.Hour.Milliseconds())
	wholeFrom, wholeTo := hourBucket(dayAgo+bucketsOfHour-1), hourBucket(hourAgo)
	return store.Each(q, sqlTallies, func(s *scoped) error {
		switch s.scope {
		case "all":
			f.all.add(s.tally)
		case "country":
			f.to.add(s.tally)
		case "range":
			f.prefix = s.tally
		default:
			f.best = s.VerifiedDay
		}
		return nil
	}, scopeAll, "hour:"+scopeAll, country, "hour:"+country, dayAgo, wholeFrom, wholeTo, hourAgo, a.prefixKey, a.country)
}

func phoneSends(q store.Querier, a sendAsk) ([]sentCode, error) {
	return store.All[sentCode](q, sqlPhoneSends, a.phoneKey, store.Millis(q.Now())-keepSends.Milliseconds(), a.trusted, mostRows)
}

// refuse says no, and until when. The counts by ten minutes are read only where
// the wait is longer than that.
func (o *OTP) refuse(q store.Querier, a sendAsk, f *facts) error {
	var (
		now    = store.Millis(q.Now())
		counts map[string][]count
		failed error
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
			}, scopeAll, "country:"+a.country, a.prefixKey, bucketOf(now-day.Milliseconds()))
		}
		f.prefix, f.to, f.all = sum(counts["range"], at), sum(counts["country"], at), sum(counts["all"], at)
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

// nextSend is the earliest time since a challenge began, and since the last send
// to its phone, at which the phone's own limits let another pass; zero when they
// never will. Until somebody sends, verifies or gives back it stays the same,
// also when it has passed: as long as a challenge may live (maxLife), every row
// that made it is still there (keepSends).
func (o *OTP) nextSend(q store.Querier, a sendAsk, began int64) (time.Time, error) {
	sent, err := phoneSends(q, a)
	if err != nil {
		return time.Time{}, err
	}
	from := began
	if len(sent) > 0 {
		from = max(from, sent[0].At)
	}
	l := a.limits
	f := &facts{limits: Limits{Cooldown: l.Cooldown, Phone10m: l.Phone10m, PhoneHour: l.PhoneHour, PhoneDay: l.PhoneDay, Unverified: l.Unverified,
		ClientPerSecond: -1, PerSecond: -1}, max: 1, proven: true, ofPhone: sent}
	until, _ := f.wait(from, func(int64) {})
	if until == never {
		return time.Time{}, nil
	}
	return store.Time(until), nil
}
