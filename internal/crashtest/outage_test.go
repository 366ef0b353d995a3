package crashtest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"janela/internal/sandbox"
)

// An outage in the middle of a campaign: 502 to every request, then silence, then
// 429. What is unknown is what was under way when it began, and a probe now and
// then; the campaign ends by itself; codes pass all the while. In every run of
// the tests the script outage-of-every-kind plays it, in fake time.
func TestTortureOutage(t *testing.T) {
	skipShort(t)
	t.Parallel()
	phase := time.Duration(size("OUTAGE", 0, 600)) * time.Second
	if phase == 0 {
		t.Skip("testdata/script/outage-of-every-kind.txtar plays it in fake time; TORTURE_OUTAGE=60 plays it for real, three times 60 s and more")
	}
	line := begin("outage of the API")
	d := newDesk(t, 20_000)
	d.files(100)
	d.settings() // files has written the configuration anew
	if err := os.WriteFile(filepath.Join(d.dir, "campaigns.d", "natal.toml"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := d.start()
	d.sends(500, time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	var codes sync.WaitGroup
	var delays []time.Duration
	codes.Go(func() {
		for ctx.Err() == nil && d.n < 950 {
			begun := time.Now()
			a := d.ask()
			for len(d.arrived(a.to)) == 0 {
				if time.Since(begun) > 30*time.Second {
					t.Errorf("a code does not arrive while marketing is not answered")
					return
				}
				time.Sleep(time.Millisecond)
			}
			delays = append(delays, time.Since(begun))
			time.Sleep(3 * phase / 900)
		}
	})
	most := mostClaimed + 5
	for _, f := range []sandbox.Fault{
		{Kind: sandbox.FaultBadGateway, Count: -1},
		{Kind: sandbox.FaultTimeout, Count: -1},
		{Kind: sandbox.FaultError, Code: 130429, HTTPStatus: http.StatusTooManyRequests, Count: -1},
	} {
		f.Match = sandbox.Match{Template: template}
		if _, err := d.sandbox.AddFault(f); err != nil {
			t.Fatal(err)
		}
		time.Sleep(phase)
		d.sandbox.RemoveFault(0)
	}
	stop()
	codes.Wait()
	ended, why := d.settles(phase*4 + 20*time.Minute)
	if !ended {
		t.Errorf("the campaign does not end after the outage: %s\n%s", why, d.logs.String())
	}
	d.stop(cmd)
	line.verdict = d.compare()
	line.verdict.must(t)
	if probes := 3 * (2 + int(phase/(30*time.Second))); line.verdict.unsent > most+probes {
		t.Errorf("%d unknown messages, more than were under way and %d probes", line.verdict.unsent, probes)
	}
	slices.Sort(delays)
	line.done = fmt.Sprintf("%v of 502, %v of silence, %v of 429, in a campaign of %d", phase, phase, phase, len(d.people))
	if n := len(delays); n > 0 {
		line.figure("%d codes meanwhile, from the request to the phone p50 %v, p99 %v, at most %v", n, delays[n/2].Round(time.Millisecond), delays[n*99/100].Round(time.Millisecond), delays[n-1].Round(time.Millisecond))
	}
	line.tell(t)
}
