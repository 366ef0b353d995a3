package otp

import (
	"math"
	"time"
)

// How long what was sent counts. The rows of code_sends are kept for a week and
// an hour, so that a right code is known as long as what it forgives; the counts
// for the fourteen whole days that a baseline is made of.
const (
	tenMinutes = 10 * time.Minute
	day        = 24 * time.Hour
	week       = 7 * day
	keepSends  = week + quiet    // a right code is less than an hour younger than its send
	quiet      = time.Hour       // ends a run of sends: the cooldown starts again
	firstWait  = 2 * time.Minute // after too many unverified sends in a row; doubles up to a day
	mostRows   = 1000            // sends that are looked at per phone and per address, the newest
	never      = math.MaxInt64   // as a time: no waiting helps
)

// Shares of what was verified that may stay unused beside it. Honest people leave
// three codes in ten unused, and an hour or a range can be worse by chance; so
// codes to a country stop when more than half are never used. With 0.3, a shop
// with a thousand logins a day would be stopped every day (simulate_test.go).
const (
	prefixShare  = 0.3
	countryShare = 1.0
)

// Rules, by their key in config.toml. They stand in the audit log and the
// metrics and are never told to a caller.
const (
	ruleCooldown    = "cooldown"
	rulePhone10m    = "phone_10m"
	rulePhoneHour   = "phone_hour"
	rulePhoneDay    = "phone_day"
	ruleUnverified  = "unverified"
	ruleIP10m       = "ip_10m"
	ruleIPHour      = "ip_hour"
	ruleIPDay       = "ip_day"
	ruleIPPhones    = "ip_phones_hour"
	ruleIPCountries = "ip_countries_day"
	ruleClient      = "client_per_second"
	rulePrefix      = "prefix_unverified"
	ruleCountryDay  = "country_unverified"
	ruleCountryHour = "country_hour"
	ruleCap         = "max_sends_24h"
	ruleService     = "per_second"
	ruleFailures    = "failures_day"
	ruleLock        = "lock"
	ruleVerifyIP    = "verify_ip_per_minute"
)

// sentCode is an earlier send, as far as a rule looks at it. Times are ms.
type sentCode struct {
	At, VerifiedAt int64
	Again          bool // the repeat of a message that was never answered: nobody asked for it
	Phone, Country string
}

// tally is what a scope sent: in the last hour and the last day, in whole ten
// minutes, so up to ten minutes more.
type tally struct{ SentHour, VerifiedHour, SentDay, VerifiedDay int64 }

func (t *tally) add(u tally) {
	t.SentHour += u.SentHour
	t.VerifiedHour += u.VerifiedHour
	t.SentDay += u.SentDay
	t.VerifiedDay += u.VerifiedDay
}

func (t tally) unusedHour() int64 { return t.SentHour - t.VerifiedHour }
func (t tally) unusedDay() int64  { return t.SentDay - t.VerifiedDay }

// facts is all that decides about one send. Rows are the newest first.
type facts struct {
	limits          Limits
	max             int        // Config.MaxSends
	phone           string     // who is asked for
	country         string     // where that is
	ofPhone         []sentCode // in the last week, of the same bucket (trusted or not)
	locked          refusal    // nobody may type its codes
	proven          bool       // it has verified a code before, or the device is known
	source          bool       // the request has a client address
	ofSource        []sentCode // in the last 24 h; repeats carry no address
	prefix, to, all tally      // of the number range, the country and the service
	best            int64      // most codes verified to the country on one of the last 14 days
	client, service int64      // theoretical arrival times, µs
}

// refusal is a rule that says no. Before until (ms) it will not say yes, as long
// as nothing else happens; then it may have another look.
type refusal struct {
	rule  string
	until int64
}

// refusals returns every rule that forbids a send at this moment (ms). The
// budgets of ranges and countries are for numbers of which nobody knows that a
// person has them: else some dozen codes that nobody uses would lock every
// customer of a country out.
func (f *facts) refusals(now int64) []refusal {
	var out []refusal
	add := func(rule string, until int64) {
		if until > now {
			out = append(out, refusal{rule, until})
		}
	}
	l := &f.limits
	add(f.locked.rule, f.locked.until)
	for _, r := range phoneRefusals(f.ofPhone, l, now) {
		add(r.rule, r.until)
	}
	if f.source {
		add(ruleIP10m, full(f.ofSource, l.IP10m, tenMinutes))
		add(ruleIPHour, full(f.ofSource, l.IPHour, time.Hour))
		add(ruleIPDay, full(f.ofSource, l.IPDay, day))
		add(ruleIPPhones, f.phones(now))
		add(ruleIPCountries, f.countries(now))
	}
	_, until := gcra(f.client, now, l.ClientPerSecond, float64(l.ClientBurst))
	add(ruleClient, until)
	if !f.proven {
		add(rulePrefix, budget(f.prefix.unusedHour(), l.PrefixUnverified, prefixShare*float64(f.prefix.VerifiedDay), now))
		// The first days have no best one yet; today stands in for it.
		best := float64(max(f.best, f.to.VerifiedDay))
		add(ruleCountryDay, budget(f.to.unusedDay(), l.CountryDay, countryShare*best, now))
		add(ruleCountryHour, budget(f.to.unusedHour(), l.CountryHour, countryShare*max(best/6, float64(f.to.VerifiedHour)), now))
	}
	add(ruleCap, budget(f.all.SentDay, max(f.max, 0), 0, now)) // -1 is no way out of the cap
	_, until = gcra(f.service, now, l.PerSecond, max(1, l.PerSecond))
	add(ruleService, until)
	return out
}

// phoneRefusals judges what one phone was sent.
func phoneRefusals(sent []sentCode, l *Limits, now int64) []refusal {
	return []refusal{
		{ruleCooldown, cooldown(sent, l)},
		{rulePhone10m, full(sent, l.Phone10m, tenMinutes)},
		{rulePhoneHour, full(sent, l.PhoneHour, time.Hour)},
		{rulePhoneDay, full(sent, l.PhoneDay, day)},
		{ruleUnverified, backoff(sent, l, now)},
	}
}

// full returns until when any window has its n sends: the n-th newest must
// leave it. 0 for a limit that is off or not reached.
func full(sent []sentCode, n int, window time.Duration) int64 {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return never
	case len(sent) < n:
		return 0
	default:
		return sent[n-1].At + window.Milliseconds()
	}
}

// rightAt is when a code of these sends was last verified. What was sent before
// it was asked for by somebody who has the phone.
func rightAt(sent []sentCode) (at int64) {
	for _, s := range sent {
		at = max(at, s.VerifiedAt)
	}
	return at
}

// cooldown returns until when the phone rests. The run is what was sent since
// the last right code, and since the last hour in which nothing was sent. After
// its first send the wait is Cooldown; it doubles with each, and ends with the
// run at the latest, after a quiet hour.
func cooldown(sent []sentCode, l *Limits) int64 {
	if l.Cooldown < 0 {
		return 0
	}
	right, run, newest, last := rightAt(sent), 0, int64(0), int64(0)
	for _, s := range sent {
		if s.Again {
			continue
		}
		if s.At < right || run > 0 && last-s.At >= quiet.Milliseconds() {
			break
		}
		if run == 0 {
			newest = s.At
		}
		run++
		last = s.At
	}
	if run == 0 {
		return 0
	}
	return newest + doubled(l.Cooldown, run-1, max(quiet, l.Cooldown)).Milliseconds()
}

// backoff returns until when the phone rests because nobody used what was sent:
// before the send that follows l.Unverified unverified ones in a row the wait is
// two minutes, and it doubles with each, up to a day. A right code ends the row,
// and what was sent a week ago is forgotten.
func backoff(sent []sentCode, l *Limits, now int64) int64 {
	if l.Unverified < 0 {
		return 0
	}
	right, row, newest, oldest := rightAt(sent), 0, int64(0), int64(0)
	for _, s := range sent {
		if s.Again {
			continue
		}
		if s.At < right || s.At <= now-week.Milliseconds() {
			break
		}
		if row == 0 {
			newest = s.At
		}
		row++
		oldest = s.At
	}
	if row == 0 || row < l.Unverified {
		return 0
	}
	ready := newest + doubled(firstWait, row-l.Unverified, day).Milliseconds()
	if ready <= now {
		return 0
	}
	return min(ready, oldest+week.Milliseconds()) // then the row is shorter
}

// doubled is d doubled n times, at most most. A d of 0 (which Check refuses)
// is the longest wait, never none.
func doubled(d time.Duration, n int, most time.Duration) time.Duration {
	if d <= 0 {
		return most
	}
	for ; n > 0 && d < most; n-- {
		d *= 2
	}
	return min(d, most)
}

// phones returns until when the address has asked for too many different phones
// within an hour.
func (f *facts) phones(now int64) int64 {
	return crowd(f.ofSource, f.limits.IPPhones, now-time.Hour.Milliseconds(), time.Hour, func(s sentCode) (string, bool) {
		return s.Phone, s.Phone != f.phone
	})
}

// countries returns until when the address has asked for too many different
// countries within a day of which it verified no code. One of which it did is
// always open.
func (f *facts) countries(now int64) int64 {
	since, proven := now-day.Milliseconds(), map[string]bool{}
	for _, s := range f.ofSource {
		if s.At > since && s.VerifiedAt > 0 {
			proven[s.Country] = true
		}
	}
	if f.limits.IPCountries != 0 && proven[f.country] {
		return 0
	}
	return crowd(f.ofSource, f.limits.IPCountries, since, day, func(s sentCode) (string, bool) {
		return s.Country, s.Country != f.country && !proven[s.Country]
	})
}

// crowd returns until when there are at least n different names among the sends
// after since, of which those that count are given by name: with the one that
// is asked for now they would be more than n.
func crowd(sent []sentCode, n int, since int64, window time.Duration, name func(sentCode) (string, bool)) int64 {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return never
	}
	seen := map[string]bool{}
	for _, s := range sent {
		if s.At <= since {
			break
		}
		if text, counts := name(s); counts && !seen[text] {
			if seen[text] = true; len(seen) == n {
				return s.At + window.Milliseconds()
			}
		}
	}
	return 0
}

// budget returns until when one more would be more than n, and more than share:
// the next ten minutes, when the oldest leave the count.
func budget(used int64, n int, share float64, now int64) int64 {
	switch {
	case n < 0:
		return 0
	case n == 0:
		return never
	case float64(used+1) <= max(float64(n), share):
		return 0
	default:
		return (bucketOf(now) + 1) * tenMinutes.Milliseconds()
	}
}

const bucketsOfHour = int64(time.Hour / tenMinutes)

// bucketOf is the time (ms) in ten minutes.
func bucketOf(at int64) int64 { return at / tenMinutes.Milliseconds() }

// hourBucket is the bucket in which the hour of a bucket begins.
func hourBucket(bucket int64) int64 { return bucket - bucket%bucketsOfHour }

// count is one row of code_counts, of a scope that is known.
type count struct{ Bucket, Sent, Verified int64 }

// sum adds up what counts at a time (ms).
func sum(counts []count, at int64) (t tally) {
	hour, dayAgo := bucketOf(at-time.Hour.Milliseconds()), bucketOf(at-day.Milliseconds())
	for _, c := range counts {
		if c.Bucket >= hour {
			t.SentHour += c.Sent
			t.VerifiedHour += c.Verified
		}
		if c.Bucket >= dayAgo {
			t.SentDay += c.Sent
			t.VerifiedDay += c.Verified
		}
	}
	return t
}

// wait returns from when on nothing refuses any more, as long as nothing else
// happens, and the rule that holds longest; never when that is not known.
// recount brings the tallies to a later time.
func (f *facts) wait(now int64, recount func(at int64)) (until int64, rule string) {
	until = now
	for range 10_000 { // ten minutes a step is more than any window
		out := f.refusals(until)
		if len(out) == 0 {
			return until, rule
		}
		worst := out[0]
		for _, r := range out[1:] {
			if r.until > worst.until {
				worst = r
			}
		}
		rule, until = worst.rule, worst.until
		if until == never {
			return never, rule
		}
		recount(until)
	}
	return never, rule
}

// gcra judges one request by the generic cell rate algorithm: per second of
// them on average, burst at once. tat is the theoretical arrival time so far,
// next the one after the request (µs). until (ms) is 0 when it may pass.
func gcra(tat, now int64, perSecond, burst float64) (next, until int64) {
	if perSecond < 0 || burst < 0 {
		return tat, 0
	}
	if perSecond == 0 || burst == 0 {
		return tat, never
	}
	every := max(1, math.Ceil(1e6/perSecond))
	next = max(tat, now*1000) + int64(every)
	allowed := next - int64(math.Floor(burst)*every) // µs: when this many fit
	if allowed <= now*1000 {
		return next, 0
	}
	return next, (allowed + 999) / 1000
}

// denial is what a caller is told of a rule: a stable code, a coarse scope, and
// nothing by which to probe it.
func denial(rule string, now, until int64) *Denied {
	d := &Denied{Code: CodeRateLimited, Rule: rule}
	switch rule {
	case ruleCooldown, rulePhone10m, rulePhoneHour, rulePhoneDay, ruleUnverified:
		d.Scope, d.Detail = "phone", "this number was sent codes too often"
	case ruleFailures, ruleLock:
		d.Code, d.Scope, d.Detail = CodePhoneLocked, "phone", "too many wrong codes were typed for this number"
	case ruleIP10m, ruleIPHour, ruleIPDay, ruleIPPhones, ruleIPCountries, ruleVerifyIP:
		d.Scope, d.Detail = "source", "too many requests come from this client address"
	case ruleClient:
		d.Scope, d.Detail = "source", "this API client asks too often"
	case rulePrefix, ruleCountryDay, ruleCountryHour:
		d.Code, d.Scope, d.Detail = CodePumping, "service", "too many codes of this kind were never used"
	default:
		d.Scope, d.Detail = "service", "no more codes are sent for now"
	}
	if until != never && until > now {
		d.RetryAfter = time.Duration(until-now) * time.Millisecond
	}
	return d
}
