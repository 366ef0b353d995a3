package otp

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/store"
)

// meter is a database whose clock the test sets, and a room of which only the
// limits are used.
type meter struct {
	testing.TB
	*store.DB
	*OTP
	clock   *atomic.Int64 // ms
	message int64
}

var meterStart = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newMeter(t testing.TB, max int) *meter {
	t.Helper()
	m := &meter{TB: t, clock: new(atomic.Int64), OTP: &OTP{}}
	m.use(Config{MaxSends: max, Limits: DefaultLimits()})
	m.clock.Store(meterStart.UnixMilli())
	var err error
	m.DB, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "j.db"), Wall: func() time.Time { return time.UnixMilli(m.clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func (m *meter) now() time.Time          { return store.Time(m.clock.Load()) }
func (m *meter) advance(d time.Duration) { m.clock.Add(d.Milliseconds()) }

func (m *meter) write(fn func(*store.Tx) error) {
	m.Helper()
	if err := m.Write(m.Context(), fn); err != nil {
		m.Fatal(err)
	}
}

// ask asks for a send, and makes its message when it is admitted. A denial is
// committed, so that whatever it took would stay.
func (m *meter) ask(a sendAsk) (message int64, d *Denied) {
	m.Helper()
	m.write(func(tx *store.Tx) error {
		err := m.admit(tx, a)
		if errors.As(err, &d) {
			return nil
		}
		if err == nil {
			m.message++
			message = m.message
			err = m.recordSend(tx, a, sendRow{message: message, challenge: challengeOf(message), gen: 1})
		}
		return err
	})
	return message, d
}

func challengeOf(message int64) string { return fmt.Sprintf("otp_%d", message) }

// verify ends the challenge of a message with the right code.
func (m *meter) verify(message int64) {
	m.Helper()
	m.write(func(tx *store.Tx) error { return m.markVerified(tx, challengeOf(message)) })
}

// guess types a wrong code.
func (m *meter) guess(phone, ip string, trusted bool, l Limits) (locked bool, d *Denied) {
	m.Helper()
	m.write(func(tx *store.Tx) (err error) {
		if err = m.mayGuess(tx, phone, ip, trusted, l); errors.As(err, &d) {
			return nil
		}
		if err == nil {
			locked, err = m.guessedWrong(tx, phone, trusted, l)
		}
		return err
	})
	return locked, d
}

// any row of a table, as text.
var (
	sqlAllSends    = store.SQL(`SELECT message_id || ' ' || phone_key || ' ' || at || ' ' || counted || ' ' || verified_at FROM code_sends ORDER BY message_id`)
	sqlAllCounts   = store.SQL(`SELECT scope || ' ' || bucket || ' ' || sent || ' ' || verified FROM code_counts ORDER BY scope, bucket`)
	sqlAllRates    = store.SQL(`SELECT key || ' ' || tat FROM code_rates ORDER BY key`)
	sqlAllFailures = store.SQL(`SELECT phone_key || ' ' || at FROM code_failures ORDER BY id`)
	sqlAllPhones   = store.SQL(`SELECT phone_key || ' ' || failures || ' ' || locked_at || ' ' || identity FROM code_phones ORDER BY phone_key`)
	sqlNoSends     = store.SQL(`DELETE FROM code_sends`)
	sqlNoCounts    = store.SQL(`DELETE FROM code_counts`)
	sqlAllRanges   = store.SQL(`SELECT prefix_key || ' ' || bucket || ' ' || sent || ' ' || verified FROM code_ranges ORDER BY prefix_key, bucket`)
	sqlNoRanges    = store.SQL(`DELETE FROM code_ranges`)
	sqlNoRates     = store.SQL(`DELETE FROM code_rates`)
	sqlNoFailures  = store.SQL(`DELETE FROM code_failures`)
	sqlNoPhones    = store.SQL(`DELETE FROM code_phones`)
	sqlSetBest     = store.SQL(`INSERT INTO code_baselines (country, most_verified, at) VALUES (?1, ?2, ?3) ON CONFLICT (country) DO UPDATE SET most_verified = excluded.most_verified`)
)

func (m *meter) state() (out []string) {
	m.Helper()
	err := m.Read(m.Context(), func(s *store.Snap) error {
		for _, st := range []*store.Stmt{sqlAllSends, sqlAllCounts, sqlAllRanges, sqlAllRates, sqlAllFailures, sqlAllPhones} {
			rows, err := store.All[store.Col[string]](s, st)
			if err != nil {
				return err
			}
			for _, r := range rows {
				out = append(out, r.V)
			}
		}
		return nil
	})
	if err != nil {
		m.Fatal(err)
	}
	return out
}

func (m *meter) clear() {
	m.Helper()
	m.write(func(tx *store.Tx) error {
		for _, st := range []*store.Stmt{sqlNoSends, sqlNoCounts, sqlNoRanges, sqlNoRates, sqlNoFailures, sqlNoPhones} {
			if _, err := tx.Exec(st); err != nil {
				return err
			}
		}
		return nil
	})
}

// quietLimits are all off: each test sets the ones it is about.
func quietLimits() Limits {
	return Limits{Attempts: 5, Resends: 3, Life: 20 * time.Minute, Live: 3, Cooldown: -1, Phone10m: -1, PhoneHour: -1, PhoneDay: -1, Unverified: -1,
		Failures: -1, Lock: -1, IP10m: -1, IPHour: -1, IPDay: -1, IPPhones: -1, IPCountries: -1, PrefixUnverified: -1, CountryDay: -1, CountryHour: -1,
		ClientPerSecond: -1, ClientBurst: -1, PerSecond: -1, VerifyIPMinute: -1}
}

func askFor(phone string, l Limits) sendAsk {
	return sendAsk{phoneKey: phone, prefixKey: "range of " + phone, country: "BR", client: "app", limits: l}
}

// modelSend is a send in the model's own book, which forgets nothing.
type modelSend struct {
	message  int64
	ask      sendAsk
	at       int64
	counted  bool
	again    bool
	verified int64 // when; 0 never
}

// model is the rules in as few words as possible, over everything that was ever
// sent.
type model struct {
	max  int
	best int64
	own  map[string]bool // phones that have verified a code
	sent []modelSend
	took []modelSend // what the rates saw, refunds or not
}

func (md *model) in(from, to int64, which func(modelSend) bool) (n, verified int64) {
	for _, s := range md.sent {
		if s.counted && s.at >= from && s.at <= to && which(s) {
			n++
			if s.verified > 0 {
				verified++
			}
		}
	}
	return n, verified
}

const (
	msMinute = int64(60_000)
	msHour   = 60 * msMinute
	msDay    = 24 * msHour
)

// allows judges at a time that is now or later.
func (md *model) allows(a sendAsk, now int64) bool {
	l := a.limits
	phone := func(s modelSend) bool { return s.ask.phoneKey == a.phoneKey && s.ask.trusted == a.trusted }
	source := func(s modelSend) bool { return !s.again && a.ipKey != "" && s.ask.ipKey == a.ipKey }
	fewer := func(which func(modelSend) bool, window int64, limit int) bool {
		n, _ := md.in(now-window+1, now, which)
		return limit < 0 || n < int64(limit)
	}
	if !fewer(phone, 10*msMinute, l.Phone10m) || !fewer(phone, msHour, l.PhoneHour) || !fewer(phone, msDay, l.PhoneDay) {
		return false
	}
	if a.ipKey != "" && (!fewer(source, 10*msMinute, l.IP10m) || !fewer(source, msHour, l.IPHour) || !fewer(source, msDay, l.IPDay)) {
		return false
	}
	return md.rested(phone, l, now) && md.sources(source, a, now) && md.budgets(a, now) &&
		md.rate(func(s modelSend) bool { return s.ask.client == a.client }, l.ClientPerSecond, float64(l.ClientBurst), now) &&
		md.rate(func(modelSend) bool { return true }, l.PerSecond, max(1, l.PerSecond), now)
}

// rested walks forward through the phone's life.
func (md *model) rested(phone func(modelSend) bool, l Limits, now int64) bool {
	var right int64
	for _, s := range md.sent {
		if phone(s) && s.counted {
			right = max(right, s.verified)
		}
	}
	run, row, last := 0, 0, int64(0)
	for _, s := range md.sent {
		if !phone(s) || !s.counted || s.again || s.at < right {
			continue
		}
		if s.at-last >= msHour {
			run = 0
		}
		run++
		if s.at > now-7*msDay {
			row++
		}
		last = s.at
	}
	if run > 0 && l.Cooldown >= 0 {
		wait := l.Cooldown.Milliseconds()
		for range run - 1 {
			wait = min(2*wait, msHour)
		}
		if l.Cooldown == 0 {
			wait = msHour
		}
		if now < last+wait {
			return false
		}
	}
	if row > 0 && l.Unverified >= 0 && row >= l.Unverified {
		wait := 2 * msMinute
		for range row - l.Unverified {
			wait = min(2*wait, msDay)
		}
		return now >= last+wait
	}
	return true
}

func (md *model) sources(source func(modelSend) bool, a sendAsk, now int64) bool {
	if a.ipKey == "" {
		return true
	}
	phones, countries, proven := map[string]bool{a.phoneKey: true}, map[string]bool{a.country: true}, map[string]bool{}
	for _, s := range md.sent {
		if !s.counted || !source(s) {
			continue
		}
		if s.at > now-msHour {
			phones[s.ask.phoneKey] = true
		}
		if s.at > now-msDay {
			countries[s.ask.country] = true
			proven[s.ask.country] = proven[s.ask.country] || s.verified > 0
		}
	}
	unproven := 0
	for c := range countries {
		if !proven[c] {
			unproven++
		}
	}
	if proven[a.country] && a.limits.IPCountries != 0 {
		unproven = 0
	}
	return (a.limits.IPPhones < 0 || len(phones) <= a.limits.IPPhones) && (a.limits.IPCountries < 0 || unproven <= a.limits.IPCountries)
}

// budgets counts in whole ten minutes.
func (md *model) budgets(a sendAsk, now int64) bool {
	floor := func(at int64) int64 { return at - at%(10*msMinute) }
	unused := func(window int64, which func(modelSend) bool) (int64, float64) {
		n, verified := md.in(floor(now-window), now, which)
		return n - verified, float64(verified)
	}
	within := func(n int64, limit int, share float64) bool {
		return limit < 0 || limit > 0 && float64(n) < max(float64(limit), share) && float64(n)+1 <= max(float64(limit), share)
	}
	prefix := func(s modelSend) bool { return s.ask.prefixKey == a.prefixKey }
	country := func(s modelSend) bool { return s.ask.country == a.country }
	prefixHour, _ := unused(msHour, prefix)
	_, prefixRight := unused(msDay, prefix)
	dayUnused, dayRight := unused(msDay, country)
	hourUnused, hourRight := unused(msHour, country)
	best := max(float64(md.best), dayRight)
	all, _ := md.in(floor(now-msDay), now, func(modelSend) bool { return true })
	if all >= int64(md.max) || a.trusted || md.own[a.phoneKey] {
		return all < int64(md.max)
	}
	return within(prefixHour, a.limits.PrefixUnverified, prefixShare*prefixRight) && within(dayUnused, a.limits.CountryDay, countryShare*best) &&
		within(hourUnused, a.limits.CountryHour, countryShare*max(best/6, hourRight))
}

// rate is a bucket that leaks.
func (md *model) rate(which func(modelSend) bool, perSecond, burst float64, now int64) bool {
	if perSecond < 0 || burst < 0 {
		return true
	}
	if perSecond == 0 || burst == 0 {
		return false
	}
	every, tat := int64(1e6/perSecond+0.999999), int64(0)
	for _, s := range md.took {
		if which(s) {
			tat = max(tat, s.at*1000) + every
		}
	}
	return max(tat, now*1000)+every-now*1000 <= int64(burst)*every
}

// Random requests over a fake clock, once for each rule, with some of the others:
// the limits say what the model says, a denial takes nothing, and the time it
// names is the first that passes.
func TestLimitsAgreeWithTheModel(t *testing.T) {
	for _, rule := range []string{ruleCooldown, rulePhone10m, rulePhoneHour, rulePhoneDay, ruleUnverified, ruleIP10m, ruleIPHour, ruleIPDay,
		ruleIPPhones, ruleIPCountries, ruleClient, rulePrefix, ruleCountryDay, ruleCountryHour, ruleCap, ruleService} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			m, seen := newMeter(t, 1000), map[string]int{}
			// A run with few examples (-short) may meet the rule by none of them.
			for tries := 0; tries == 0 || seen[rule] == 0 && tries < 10; tries++ {
				rapid.Check(t, func(rt *rapid.T) {
					m.clear()
					m.advance(8 * day)
					l, md := drawLimits(rt, rule)
					m.cfg().MaxSends = md.max
					m.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlSetBest, "BR", md.best, 1); return err })
					for range rapid.IntRange(5, 50).Draw(rt, "acts") {
						m.step(rt, md, l, seen)
					}
				})
			}
			t.Log("denials by rule:", seen)
			if seen[rule] == 0 {
				t.Errorf("of all requests none was denied by %s", rule)
			}
		})
	}
}

// drawLimits sets the one limit, and each of the others one time in four.
func drawLimits(rt *rapid.T, rule string) (Limits, *model) {
	on := func(name string) bool { return name == rule || rapid.IntRange(0, 3).Draw(rt, name+" too") == 0 }
	l, md := quietLimits(), &model{max: 1000, own: map[string]bool{}, best: rapid.SampledFrom([]int64{0, 3, 18}).Draw(rt, "best")}
	if on(ruleCooldown) {
		l.Cooldown = rapid.SampledFrom([]time.Duration{0, 30 * time.Second, 10 * time.Minute}).Draw(rt, ruleCooldown)
	}
	for _, f := range []struct {
		name  string
		limit *int
		most  int
	}{
		{rulePhone10m, &l.Phone10m, 3}, {rulePhoneHour, &l.PhoneHour, 4}, {rulePhoneDay, &l.PhoneDay, 6}, {ruleUnverified, &l.Unverified, 4},
		{ruleIP10m, &l.IP10m, 4}, {ruleIPHour, &l.IPHour, 5}, {ruleIPDay, &l.IPDay, 6}, {ruleIPPhones, &l.IPPhones, 3}, {ruleIPCountries, &l.IPCountries, 2},
		{rulePrefix, &l.PrefixUnverified, 4}, {ruleCountryDay, &l.CountryDay, 5}, {ruleCountryHour, &l.CountryHour, 4}, {ruleCap, &md.max, 8},
	} {
		if on(f.name) {
			*f.limit = rapid.IntRange(1, f.most).Draw(rt, f.name)
			if rapid.IntRange(0, 29).Draw(rt, f.name+" forced") == 0 {
				*f.limit = 0
			}
		}
	}
	if on(ruleClient) {
		l.ClientPerSecond, l.ClientBurst = rapid.SampledFrom([]float64{0.003, 0.03, 3}).Draw(rt, ruleClient), rapid.IntRange(1, 3).Draw(rt, "burst")
	}
	if on(ruleService) {
		l.PerSecond = rapid.SampledFrom([]float64{0.007, 0.7, 1.5}).Draw(rt, ruleService)
	}
	return l, md
}

// step does one thing, to the database and to the model.
func (m *meter) step(rt *rapid.T, md *model, l Limits, seen map[string]int) {
	now := m.clock.Load()
	act := rapid.IntRange(0, 9).Draw(rt, "act")
	if act < 3 {
		m.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 30 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute,
			17 * time.Minute, time.Hour, 5 * time.Hour, day, 3 * day}).Draw(rt, "time"))
		return
	}
	if act == 9 && rapid.IntRange(0, 4).Draw(rt, "rarely") == 0 {
		phone := fmt.Sprint("phone ", rapid.IntRange(0, 3).Draw(rt, "proven"))
		md.own[phone] = true
		m.write(func(tx *store.Tx) error { return m.guessedRight(tx, phone, rapid.Bool().Draw(rt, "known device"), "") })
		return
	}
	if act < 6 && len(md.sent) > 0 {
		s := &md.sent[rapid.IntRange(0, len(md.sent)-1).Draw(rt, "earlier")]
		switch act {
		case 3:
			if s.counted && s.verified == 0 && !s.again && now-s.at < msHour { // no challenge lives longer
				s.verified = now
				m.verify(s.message)
			}
		case 4:
			s.counted = false
			m.write(func(tx *store.Tx) error { return m.refund(tx, s.message) })
		case 5:
			m.message++
			m.write(func(tx *store.Tx) error {
				return m.recordSend(tx, s.ask, sendRow{message: m.message, challenge: challengeOf(m.message), gen: 1, again: true})
			})
			md.sent = append(md.sent, modelSend{message: m.message, ask: s.ask, at: now, counted: true, again: true})
		}
		return
	}
	who := rapid.IntRange(0, 3).Draw(rt, "phone")
	a := askFor(fmt.Sprint("phone ", who), l)
	a.prefixKey, a.country = fmt.Sprint("range ", who/2), []string{"BR", "BR", "US", "PT"}[who]
	a.trusted = rapid.IntRange(0, 4).Draw(rt, "trusted") == 0
	a.ipKey = rapid.SampledFrom([]string{"", "one", "one", "two"}).Draw(rt, "address")
	a.client = rapid.SampledFrom([]string{"app", "shop"}).Draw(rt, "client")
	d := m.agree(rt, md, a)
	if d == nil {
		return
	}
	seen[d.Rule]++
	if d.RetryAfter > 0 && rapid.Bool().Draw(rt, "waits") {
		m.advance(d.RetryAfter)
		if again := m.agree(rt, md, a); again != nil {
			rt.Fatalf("%s: told to wait %s, and then denied by %s", d.Rule, d.RetryAfter, again.Rule)
		}
	}
}

// agree asks both, and compares what they say.
func (m *meter) agree(rt *rapid.T, md *model, a sendAsk) *Denied {
	now, before := m.clock.Load(), m.state()
	known := *md
	if a.country != "BR" {
		known.best = 0
	}
	message, d := m.ask(a)
	if allowed := known.allows(a, now); allowed != (d == nil) {
		rt.Fatalf("the model says %v, the limits are against it by %q", allowed, ruleOf(d))
	}
	if d == nil {
		s := modelSend{message: message, ask: a, at: now, counted: true}
		md.sent, md.took = append(md.sent, s), append(md.took, s)
		return nil
	}
	if diff := cmp.Diff(before, m.state()); diff != "" {
		rt.Fatalf("a denial took something: %s", diff)
	}
	if d.RetryAfter == 0 {
		if known.allows(a, now+365*msDay) {
			rt.Fatalf("%s: no time is named, and there is one", d.Rule)
		}
		return d
	}
	wait := d.RetryAfter.Milliseconds()
	for _, early := range []int64{1, 1000, wait / 2} {
		if early > 0 && early < wait && known.allows(a, now+wait-early) {
			rt.Fatalf("%s: told to wait %s, and %d ms less are enough", d.Rule, d.RetryAfter, early)
		}
	}
	if !known.allows(a, now+wait) {
		rt.Fatalf("%s: told to wait %s, and then it would be denied", d.Rule, d.RetryAfter)
	}
	return d
}

func ruleOf(d *Denied) string {
	if d == nil {
		return ""
	}
	return d.Rule
}
