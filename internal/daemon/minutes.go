package daemon

import (
	"sync"
	"time"

	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// lastMinutes is how many minutes of sends are remembered.
const lastMinutes = 60

// minutes remember how many messages left in each of the last minutes, by lane. It
// costs an addition a message, and nothing on disk: a new process begins anew.
type minutes struct {
	mu    sync.Mutex
	since time.Time
	ring  [lastMinutes]httpapi.MinuteSends
}

// count takes one message that was handed to Meta.
func (m *minutes) count(lane whatsapp.Lane, to outbox.State) {
	if to == outbox.Queued { // Meta surely did not take it, and it is tried again
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.at(time.Now()).Lane(lane)++
}

// at is the place of an instant's minute, emptied of the one an hour before.
func (m *minutes) at(now time.Time) *httpapi.MinuteSends {
	begins := now.UTC().Truncate(time.Minute)
	place := &m.ring[begins.Unix()/60%lastMinutes]
	if !place.At.Equal(begins) {
		*place = httpapi.MinuteSends{At: begins}
	}
	return place
}

// lately returns the last minutes, the running one among them: quiet ones too, and
// none from before it was counted.
func (m *minutes) lately() httpapi.Sends {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	out := httpapi.Sends{Since: m.since, Minutes: make([]httpapi.MinuteSends, 0, lastMinutes)}
	for i := lastMinutes - 1; i >= 0; i-- {
		at := now.Add(-time.Duration(i) * time.Minute)
		if at.Truncate(time.Minute).Before(m.since.Truncate(time.Minute)) {
			continue
		}
		out.Minutes = append(out.Minutes, *m.at(at))
	}
	return out
}
