package otp

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// mostIn is how many of these times (ms, ascending) lie in any window.
func mostIn(at []int64, window time.Duration) (most int) {
	from := 0
	for i := range at {
		for at[i]-at[from] >= window.Milliseconds() {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// ninthDigit returns both spellings of a Brazilian mobile number. The example
// numbers have one only: they are not in the plan that repairs apply to.
func ninthDigit(t *testing.T) []whatsapp.Identity {
	t.Helper()
	text, err := os.ReadFile("../internal/whatsapp/testdata/live-looking-numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); strings.TrimSpace(cells[0]) == "br eight digits" {
			eight := "+" + strings.NewReplacer("+", "", " ", "", "-", "").Replace(cells[1])
			return []whatsapp.Identity{whatsapp.Phone(eight).Identity(), whatsapp.Phone(strings.TrimSpace(cells[3])).Identity()}
		}
	}
	t.Fatal("no number for the ninth digit")
	return nil
}

// Somebody asks for codes for a victim's number, as often as it is allowed, by
// both spellings of the number and from ever new addresses.
func TestAWeekOfCodeBombing(t *testing.T) {
	m := newMeter(t, 100_000)
	both := ninthDigit(t)
	var sent []int64
	denied := map[string]int{}
	for i := 0; m.now().Before(meterStart.Add(week)); i++ {
		a := askFor(whatsapp.MatchKey(both[i%2]), DefaultLimits())
		a.ipKey, a.prefixKey = fmt.Sprint("address ", i), "range"
		_, d := m.ask(a)
		switch {
		case d == nil:
			sent = append(sent, m.now().UnixMilli())
		case d.RetryAfter <= 0:
			t.Fatalf("%s names no time", d.Rule)
		default:
			denied[d.Rule]++
			m.advance(d.RetryAfter)
		}
	}
	for _, c := range []struct {
		window time.Duration
		most   int
	}{{30 * time.Second, 1}, {tenMinutes, 3}, {time.Hour, 5}, {day, 10}} {
		if n := mostIn(sent, c.window); n > c.most {
			t.Errorf("%d codes in %s, at most %d", n, c.window, c.most)
		}
	}
	t.Logf("%d codes in a week, %d on the worst day; denied by %v", len(sent), mostIn(sent, day), denied)
	// The row of unverified sends makes the waits long: far fewer than 70.
	if len(sent) < 15 || len(sent) > 24 {
		t.Errorf("%d codes in a week", len(sent))
	}
	if denied[ruleUnverified] == 0 || denied[rulePhone10m] == 0 {
		t.Errorf("denied by %v", denied)
	}
}

// A hundred times the phone's owner uses a code: the waits start again, and the
// windows hold all the same.
func TestARightCodeEndsTheWaits(t *testing.T) {
	m := newMeter(t, 1000)
	a := askFor("phone", DefaultLimits())
	for range 2 {
		message, d := m.ask(a)
		if d != nil {
			t.Fatalf("denied by %s", d.Rule)
		}
		m.advance(20 * time.Second)
		m.verify(message)
	}
	if _, d := m.ask(a); d != nil {
		t.Fatalf("denied by %s right after a right code", d.Rule)
	}
	if _, d := m.ask(a); ruleOf(d) != rulePhone10m {
		t.Errorf("denied by %q, want %s", ruleOf(d), rulePhone10m)
	}
	a.trusted = true
	if _, d := m.ask(a); d != nil {
		t.Errorf("the trusted device is denied by %s: it has limits of its own", d.Rule)
	}
}

// atOnce runs n askers at once and returns how many got a code.
func atOnce(t *testing.T, n int, ask func(i int) error) (admitted int) {
	t.Helper()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for i := range n {
		wg.Go(func() {
			err := ask(i)
			mu.Lock()
			defer mu.Unlock()
			var d *Denied
			switch {
			case err == nil:
				admitted++
			case !errors.As(err, &d):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return admitted
}

// Two hundred requests for one phone at once: one code. Where the check and the
// taking are two transactions, more get through.
func TestParallelRequestsForOnePhone(t *testing.T) {
	const n = 200
	a := askFor("phone", DefaultLimits())
	m := newMeter(t, 1000)
	got := atOnce(t, n, func(i int) error {
		return m.Write(m.Context(), func(tx *store.Tx) error {
			if err := m.admit(tx, a); err != nil {
				return err
			}
			return m.recordSend(tx, a, sendRow{message: int64(i + 1), challenge: challengeOf(int64(i)), gen: 1})
		})
	})
	if got != 1 {
		t.Errorf("%d of %d were admitted, want 1", got, n)
	}

	naive := newMeter(t, 1000)
	var checked sync.WaitGroup // the race at its worst: all have checked before one takes
	checked.Add(n)
	got = atOnce(t, n, func(i int) error {
		err := naive.Write(naive.Context(), func(tx *store.Tx) error { return naive.admit(tx, a) })
		checked.Done()
		if err != nil {
			return err
		}
		checked.Wait()
		return naive.Write(naive.Context(), func(tx *store.Tx) error {
			return naive.recordSend(tx, a, sendRow{message: int64(i + 1), challenge: challengeOf(int64(i)), gen: 1})
		})
	})
	t.Logf("checked in one transaction and taken in another: %d of %d admitted", got, n)
	if got <= 1 {
		t.Error("the naive way lets nobody else through: this test shows nothing")
	}
}

// A year of asking for a code and guessing it, as early as each limit allows,
// against one phone: never more guesses than doctor says.
func TestAYearOfGuessing(t *testing.T) {
	const days = 365
	for _, c := range []struct {
		name   string
		change func(*Limits)
		owner  bool // the phone's owner logs in each day, which ends every row
		least  int  // guesses that the attack gets at least: else it is a poor one
		most   int
	}{
		{"as it comes", func(*Limits) {}, false, 100, 100}, // then the phone is locked
		{"no lock", func(l *Limits) { l.Lock = -1 }, false, 5 * 300, 15 * days},
		{"no lock, no waits", func(l *Limits) { l.Lock, l.Unverified = -1, -1 }, false, 14 * days, 15 * days},
		{"the owner logs in each day", func(*Limits) {}, true, 5 * 300, 15 * days},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := DefaultLimits()
			c.change(&l)
			m := newMeter(t, 100_000)
			guesses := m.attack(t, l, days, c.owner)
			bound := guessBound(l, 6)
			p := -math.Expm1(float64(len(guesses)) * math.Log1p(-1e-6))
			t.Logf("%d guesses in %d days, %d on the worst; a guess is right with probability %.2g (bound: %d a day, %.2g a year)",
				len(guesses), days, mostIn(guesses, day), p, bound.Guesses, bound.Year)
			if n := mostIn(guesses, day); n > bound.Guesses {
				t.Errorf("%d guesses in 24 h, the bound is %d", n, bound.Guesses)
			}
			if len(guesses) < c.least || len(guesses) > c.most || p > bound.Year {
				t.Errorf("%d guesses, want %d to %d; probability %g, bound %g", len(guesses), c.least, c.most, p, bound.Year)
			}
		})
	}
}

// attack returns when guesses were looked at. No challenge gets more than five.
func (m *meter) attack(t *testing.T, l Limits, days int, owner bool) (guesses []int64) {
	a := askFor("phone", l)
	mine := a
	mine.trusted = true // the owner's device
	end, login := meterStart.AddDate(0, 0, days), meterStart.Add(day)
	for i := 0; m.now().Before(end); i++ {
		if owner && !m.now().Before(login) {
			message, d := m.ask(mine)
			if d != nil {
				t.Fatalf("the owner's device is denied by %s", d.Rule)
			}
			m.verify(message)
			m.write(func(tx *store.Tx) error { return m.guessedRight(tx, a.phoneKey, true, "") })
			login = login.Add(day)
		}
		a.ipKey = fmt.Sprint("address ", i)
		_, d := m.ask(a)
		if d == nil {
			m.write(func(tx *store.Tx) error {
				for range l.Attempts {
					if err := m.mayGuess(tx, a.phoneKey, a.ipKey, false, l); errors.As(err, &d) {
						break
					} else if err != nil {
						return err
					}
					guesses = append(guesses, store.Millis(tx.Now()))
					if _, err := m.guessedWrong(tx, a.phoneKey, false, l); err != nil {
						return err
					}
				}
				return nil
			})
		}
		switch {
		case d == nil:
		case d.RetryAfter > 0:
			m.advance(d.RetryAfter)
		case owner:
			m.clock.Store(login.UnixMilli()) // locked until the owner logs in
		default:
			return guesses
		}
	}
	return guesses
}

// event is something that a person does, at a time of the day.
type event struct {
	at time.Duration
	do func()
}

type agenda []event

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

// busy is how many people log in in each hour of a day, relative to the others.
var busy = []int{10, 5, 3, 2, 2, 4, 10, 30, 50, 60, 70, 70, 80, 70, 60, 60, 60, 60, 70, 80, 80, 60, 40, 20}

func hourOf(rng *rand.Rand) time.Duration {
	total := 0
	for _, n := range busy {
		total += n
	}
	x := rng.IntN(total)
	for h, n := range busy {
		if x -= n; x < 0 {
			return time.Duration(h) * time.Hour
		}
	}
	return 0
}

// traffic is a day of people who log in.
type traffic struct{ sent, verified, refused int }

// legitimate plays a day: each person asks once; seven of ten codes are typed
// within a minute and a half; of the others every second person asks again, up
// to twice. Half of the people share addresses.
func (m *meter) legitimate(rng *rand.Rand, people int, l Limits) (out traffic, rules map[string]int) {
	var todo agenda
	rules = map[string]int{}
	start := m.now()
	var plan func(a sendAsk, at time.Duration, try int)
	plan = func(a sendAsk, at time.Duration, try int) {
		heap.Push(&todo, event{at, func() {
			message, d := m.ask(a)
			if d != nil {
				out.refused++
				rules[d.Rule]++
				return
			}
			out.sent++
			switch {
			case rng.Float64() < 0.7:
				typed := at + 5*time.Second + time.Duration(rng.IntN(85))*time.Second
				heap.Push(&todo, event{typed, func() { out.verified++; m.verify(message) }})
			case try < 2 && rng.IntN(2) == 0:
				plan(a, at+65*time.Second+time.Duration(rng.IntN(90)+90*try)*time.Second, try+1)
			}
		}})
	}
	for i := range people {
		a := askFor(fmt.Sprint("person ", i), l)
		a.prefixKey, a.ipKey = fmt.Sprint("range ", rng.IntN(3000)), fmt.Sprint("home ", i)
		if rng.IntN(2) == 0 {
			a.ipKey = fmt.Sprint("mobile ", rng.IntN(2000))
		}
		plan(a, hourOf(rng)+time.Duration(rng.Int64N(int64(time.Hour))), 0)
	}
	for todo.Len() > 0 {
		e := heap.Pop(&todo).(event)
		m.clock.Store(start.Add(e.at).UnixMilli())
		e.do()
	}
	return out, rules
}

// A day of honest people is refused nothing, small shop or large.
func TestLegitimateTrafficIsNotRefused(t *testing.T) {
	for _, people := range []int{30, 300, 1000} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			m := newMeter(t, 100_000)
			m.clock.Store(meterStart.Truncate(day).UnixMilli())
			m.best(int64(people) * 9 / 10) // what such a shop's days are like
			rng := rand.New(rand.NewPCG(uint64(people), 7))
			for range 2 { // the second follows on the first
				day, rules := m.legitimate(rng, people, DefaultLimits())
				t.Logf("%d sent, %d verified (%.0f%%), %d refused %v", day.sent, day.verified, 100*float64(day.verified)/float64(day.sent), day.refused, rules)
				if day.refused > 0 {
					t.Errorf("%d honest requests were refused: %v", day.refused, rules)
				}
				m.clock.Store(m.now().Truncate(24 * time.Hour).Add(24 * time.Hour).UnixMilli())
			}
		})
	}
}

// On its very first day, a shop with a thousand logins is refused hardly
// anything, although nothing is known of it.
func TestTheFirstDayOfALargeShop(t *testing.T) {
	m := newMeter(t, 100_000)
	m.clock.Store(meterStart.Truncate(day).UnixMilli())
	out, rules := m.legitimate(rand.New(rand.NewPCG(1, 7)), 1000, DefaultLimits())
	t.Logf("%d sent, %d verified, %d refused %v", out.sent, out.verified, out.refused, rules)
	if out.refused*100 > out.sent {
		t.Errorf("%d of %d honest requests were refused: %v", out.refused, out.sent, rules)
	}
}

func (m *meter) best(n int64) {
	m.Helper()
	m.write(func(tx *store.Tx) error { _, err := tx.Exec(sqlSetBest, "BR", n, 1); return err })
}

// Attackers who have codes sent that nobody will type: how many go out in a day,
// by what they have. It is never more than doctor says.
func TestPumping(t *testing.T) {
	l := DefaultLimits()
	countries := []string{"AR", "BR", "MX", "PT", "US"}
	bounds := sendBounds(Config{MaxSends: 1000, Countries: countries}, l, nil)
	for _, c := range []struct {
		name  string
		next  func(i int, a *sendAsk)
		pause time.Duration
		bound SendBound
		hour  int // sends in any hour, at most
		by    string
	}{
		{"a range in sequence, from many addresses", func(_ int, a *sendAsk) { a.prefixKey = "one range" }, time.Second, bounds[2], l.PrefixUnverified, rulePrefix},
		{"many phones, from one address", func(_ int, a *sendAsk) { a.ipKey = "one address" }, time.Second, bounds[1], l.IPPhones, ruleIPPhones},
		{"many phones, from many addresses", func(int, *sendAsk) {}, time.Second, bounds[3], l.CountryHour, ruleCountryHour},
		{"slowly", func(int, *sendAsk) {}, 11 * time.Minute, bounds[3], l.CountryHour, ruleCountryDay},
		{"many countries, from one address", func(i int, a *sendAsk) { a.ipKey, a.country = "one address", countries[i%5] }, 13 * time.Minute, bounds[1], l.IPPhones, ruleIPCountries},
		{"every country, from many addresses", func(i int, a *sendAsk) { a.country = countries[i%5] }, 10 * time.Second, bounds[4], 5 * l.CountryHour, ruleCountryDay},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMeter(t, 1000)
			var sent []int64
			rules := map[string]int{}
			for i, end := 0, m.now().Add(25*time.Hour); m.now().Before(end); i++ {
				a := askFor(fmt.Sprint("phone ", i), l)
				a.ipKey = fmt.Sprint("address ", i)
				c.next(i, &a)
				if _, d := m.ask(a); d == nil {
					sent = append(sent, m.now().UnixMilli())
				} else {
					rules[d.Rule]++
					m.advance(time.Minute)
				}
				m.advance(c.pause)
			}
			hour, whole := mostIn(sent, time.Hour), mostIn(sent, day)
			t.Logf("%d sent in a day, %d in an hour; refused by %v; doctor: %s", whole, hour, rules, c.bound.Text)
			if hour > c.hour || whole > c.bound.Sends {
				t.Errorf("%d codes in an hour and %d in a day, at most %d and %d", hour, whole, c.hour, c.bound.Sends)
			}
			if len(sent) == 0 || rules[c.by] == 0 {
				t.Errorf("%s stopped nothing: %v", c.by, rules)
			}
		})
	}
}

// An attacker who has used up a country's budget shuts out numbers that nobody
// knows; not those who have verified a code before, nor known devices.
func TestPumpingLocksNoCustomerOut(t *testing.T) {
	m := newMeter(t, 1000)
	l := DefaultLimits()
	customer, newcomer := askFor("customer", l), askFor("newcomer", l)
	message, d := m.ask(customer)
	if d != nil {
		t.Fatal(d)
	}
	m.verify(message)
	m.write(func(tx *store.Tx) error { return m.guessedRight(tx, "customer", false, "") })
	for i := range 200 {
		_, _ = m.ask(askFor(fmt.Sprint("phone ", i), l))
		m.advance(5 * time.Minute)
	}
	if _, d := m.ask(newcomer); ruleOf(d) != ruleCountryDay || d.Code != CodePumping {
		t.Errorf("the budget is not used up: %v", d)
	}
	newcomer.trusted = true
	for who, a := range map[string]sendAsk{"a customer": customer, "a known device": newcomer} {
		if _, d := m.ask(a); d != nil {
			t.Errorf("%s is denied by %s", who, d.Rule)
		}
	}
}

// Whatever else is off, a day never costs more than the cap, in any 24 hours.
func TestTheCapOfADay(t *testing.T) {
	const most = 60
	m := newMeter(t, most)
	rng := rand.New(rand.NewPCG(3, 3))
	var sent []int64
	for i := range 1500 {
		a := askFor(fmt.Sprint("phone ", i), quietLimits())
		message, d := m.ask(a)
		switch {
		case d == nil:
			sent = append(sent, m.now().UnixMilli())
			if rng.IntN(3) == 0 {
				m.verify(message)
			}
		case d.Rule != ruleCap:
			t.Fatalf("denied by %s", d.Rule)
		case rng.IntN(20) == 0:
			m.advance(d.RetryAfter)
		}
		m.advance(time.Duration(rng.IntN(4*60)) * time.Second)
	}
	if n := mostIn(sent, day); n != most {
		t.Errorf("%d codes in 24 h, want %d", n, most)
	}
	t.Logf("%d sent in %s", len(sent), m.now().Sub(meterStart))
}
