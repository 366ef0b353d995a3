package scripttest

import (
	"fmt"
	"time"
)

// wall sets janela's wall clock: +1h or -1h from the true time, which Meta and
// everybody else keeps; 0s is right again. The monotonic clock goes on.
func wall(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	d, err := time.ParseDuration(l.words[0])
	if err != nil {
		return fmt.Errorf("%q is no time; write +1h, -24h or 0s", l.words[0])
	}
	w.skew.Store(int64(d))
	w.settle()
	return nil
}
