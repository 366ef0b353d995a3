package console

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// waiting counts the pages that wait for news.
type waiting struct {
	n     atomic.Int64
	once  sync.Once
	ended chan struct{}
}

func (w *waiting) end() { w.once.Do(func() { close(w.ended) }) }

const (
	maxLive   = 200              // pages
	liveEvery = 2 * time.Second  // between two beats, at least
	liveQuiet = 20 * time.Second // after which it says that it is still there
	liveLook  = time.Minute      // how often the session is looked at again
	livePatch = 30 * time.Second // how long a reader may stand still
)

// live tells a page, as server-sent events, that something was committed since it
// last looked. The page then asks for itself: what it shows is made in one place.
func (v *visit) live() error {
	if v.waiting.n.Add(1) > maxLive {
		v.waiting.n.Add(-1)
		v.w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	defer v.waiting.n.Add(-1)
	v.w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(v.w)
	say := func(text string) bool {
		_ = out.SetWriteDeadline(time.Now().Add(livePatch)) // in memory there is none
		_, err := fmt.Fprint(v.w, text)
		return err == nil && out.Flush() == nil
	}
	if !say("retry: 3000\n\n") {
		return nil
	}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	seen, quiet, looked := v.cfg.DB.Commits(), time.Duration(0), time.Duration(0)
	for {
		select {
		case <-v.ctx().Done():
			return nil
		case <-v.waiting.ended:
			return nil
		case <-tick.C:
		}
		if looked += liveEvery; looked >= liveLook {
			looked = 0
			if _, ok, err := v.known(); err != nil || !ok {
				say("event: ended\ndata: {}\n\n")
				return nil
			}
		}
		quiet += liveEvery
		switch now := v.cfg.DB.Commits(); {
		case now != seen:
			seen, quiet = now, 0
			if !say("event: beat\ndata: {}\n\n") {
				return nil
			}
		case quiet >= liveQuiet:
			quiet = 0
			if !say(":\n\n") {
				return nil
			}
		}
	}
}
