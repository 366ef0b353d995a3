package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// The last 60 minutes are shown as they were, quiet ones too; none from before
// counting began, and what goes back into the queue is no send.
func TestMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Second) // into the middle of a minute
		m := &minutes{since: time.Now()}
		first := time.Now().UTC().Truncate(time.Minute)
		naive := map[time.Time]httpapi.MinuteSends{}
		for i := range 200 {
			lane := whatsapp.Lane(i % 3)
			m.count(lane, outbox.Queued)
			for range i % 4 {
				m.count(lane, outbox.Accepted)
				at := time.Now().UTC().Truncate(time.Minute)
				n := naive[at]
				*n.Lane(lane)++
				naive[at] = n
			}
			got := m.lately()
			now := time.Now().UTC().Truncate(time.Minute)
			if want := min(60, int(now.Sub(first).Minutes())+1); len(got.Minutes) != want || !got.Minutes[want-1].At.Equal(now) || !got.Since.Equal(m.since) {
				t.Fatalf("%d minutes, want %d, the last at %s", len(got.Minutes), want, now)
			}
			for j, is := range got.Minutes {
				want := naive[is.At]
				if want.At = is.At; is != want || j > 0 && is.At.Sub(got.Minutes[j-1].At) != time.Minute {
					t.Fatalf("%+v, want %+v", is, want)
				}
			}
			time.Sleep(time.Duration(i%7) * 17 * time.Second)
		}
	})
}
