package scripttest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"
)

// week is a business's week: a campaign to more people than the limit lets in, a
// series of notices to the same people every day, notices and codes at any hour,
// to new people and to those who have just got something.
type week struct {
	*world
	limit int
	dice  *rand.Rand
	next  int // the next new person of notices and codes
	met   []int
	n     int
}

const weekCampaign = `
id = "grande"
category = "marketing"
[template]
name = "promo"
language = "pt_BR"
[[template.body]]
column = "nome"
[recipients]
file = "grande.csv"
phone_column = "telefone"
[schedule]
at = 2026-11-23T09:00:00
`

const weekSeries = `
id = "diario"
category = "utility"
[template]
name = "aviso"
language = "pt_BR"
[[template.body]]
column = "nome"
[recipients]
file = "diario.csv"
phone_column = "telefone"
[schedule]
cron = "0 12 * * *"
`

// weekBegins is a Monday, 8 h in São Paulo.
var weekBegins = time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)

// do plays one line of a script.
func (w *week) do(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	verb, rest, _ := strings.Cut(text, " ")
	words, err := split(rest)
	if err == nil {
		err = verbs[verb](w.world, line{verb: verb, words: words, rest: rest})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// all plays lines until one fails.
func (w *week) all(lines ...string) error {
	for _, l := range lines {
		if err := w.do("%s", l); err != nil {
			return err
		}
	}
	return nil
}

func (w *week) begin() error {
	campaign, regular := 7*w.limit, w.limit/20
	w.next = campaign + 1
	err := w.all("meta rate=80 pairs=true tier=TIER_"+strconv.Itoa(w.limit)+" read=0 status-delay=1s..20s undeliverable=0.02 batch=100",
		"config campaigns.poll=1h otp.max_sends_24h=100000 otp.limits.country_hour=-1 otp.limits.country_unverified=-1 otp.limits.prefix_unverified=-1 otp.limits.ip_10m=-1 otp.limits.ip_hour=-1 otp.limits.ip_day=-1 otp.limits.ip_phones_hour=-1 otp.limits.cooldown=-1s",
		"clock 2026-11-23T10:00:00Z", "start",
		"drop grande.toml diario.toml", fmt.Sprintf("audience grande.csv p1-p%d", campaign), fmt.Sprintf("audience diario.csv p1-p%d", regular))
	last := campaign + 7*w.limit/2
	for from := 1; err == nil && from <= last; from += 200 {
		err = w.all(fmt.Sprintf("consent p%d-p%d marketing", from, min(from+199, last)), fmt.Sprintf("consent p%d-p%d utility", from, min(from+199, last)),
			fmt.Sprintf("consent p%d-p%d authentication", from, min(from+199, last)))
	}
	if err == nil {
		err = w.do("until %s", weekBegins.Format(time.RFC3339))
	}
	return err
}

// fresh is somebody new; again somebody who got something before.
func (w *week) fresh() int {
	w.next++
	w.met = append(w.met, w.next-1)
	return w.next - 1
}

func (w *week) again() int {
	if len(w.met) == 0 {
		return 1
	}
	return w.met[max(0, len(w.met)-1-w.dice.IntN(min(len(w.met), 50)))]
}

func (w *week) notice(who int) error {
	w.n++
	return w.do("message m%d p%d template=aviso", w.n, who)
}

func (w *week) code(who int) error {
	w.n++
	return w.do("code c%d p%d login", w.n, who)
}

// hour plays what comes at any hour: new people for codes, in a day a little less
// than is kept for those, and as many for notices; notices to people who got
// something before; and a person who gets five things at once.
func (w *week) hour() error {
	var deeds []func() error
	for range max(1, w.limit*8/100/24) {
		deeds = append(deeds, func() error { return w.code(w.fresh()) }, func() error { return w.notice(w.fresh()) },
			func() error { return w.notice(w.again()) })
	}
	deeds = append(deeds, func() error {
		who := w.fresh()
		for range 4 {
			if err := w.notice(who); err != nil {
				return err
			}
		}
		return w.code(who)
	})
	w.dice.Shuffle(len(deeds), func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })
	end := time.Now().Add(time.Hour)
	for i, deed := range deeds {
		time.Sleep(time.Until(end) / time.Duration(len(deeds)-i+1))
		if err := deed(); err != nil {
			return err
		}
	}
	time.Sleep(time.Until(end))
	w.settle()
	return nil
}

// The week of internal/dispatch with the whole daemon, which takes minutes: a week
// in which everybody wants more than Meta allows, which sees not one send too many.
//
//	JANELA_WEEK=2000 go test -timeout 1h -run TestSimulatedWeek -v ./internal/scripttest
func TestSimulatedWeek(t *testing.T) {
	limit, err := strconv.Atoi(os.Getenv("JANELA_WEEK"))
	if err != nil {
		t.Skip("JANELA_WEEK says how many people the portfolio may begin to write to in 24 hours, such as 2000")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &script{name: "week", archive: &txtar.Archive{Files: []txtar.File{{Name: "grande.toml", Data: []byte(weekCampaign)}, {Name: "diario.toml", Data: []byte(weekSeries)}}}}
		w := &week{world: newWorld(s, dir), limit: limit, dice: rand.New(rand.NewPCG(1, 2))}
		err := w.begin()
		for h := 0; err == nil && h < 7*24; h++ {
			err = w.hour()
		}
		if err != nil {
			t.Error(err)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the last lines of the log:\n%s", w.logs.tail(15))
			return
		}
		for _, check := range []func() error{w.noneTwice, w.sendsHaveRows, w.allSettled, w.talliesAdd} {
			if err := check(); err != nil {
				t.Error(err)
			}
		}
		w.judge(t)
	})
}

// judge reads the ledger of the sandbox, and nothing else.
func (w *week) judge(t *testing.T) {
	if refused := w.meta.box.Refusals(); len(refused) > 0 {
		t.Errorf("Meta refused messages, by code: %v", refused)
	}
	p := w.meta.box.Peaks()
	if p.PerSecond > 80 || p.People > w.limit || p.Gap < 6*time.Second {
		t.Errorf("too many: %+v", p)
	}
	if used := p.Used / float64(w.limit); used < 0.95 {
		t.Errorf("only %.1f %% of the people were used", 100*used)
	}
	t.Logf("%+v", p)
}
