package daemon

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"janela/internal/store"
)

var newestMessage = store.SQL(`SELECT state FROM messages ORDER BY id DESC LIMIT 1`)

// A code leaves with the commit of its request, not with the next look of a
// loop: wherever the loop is in its sleep, no time passes in between.
func TestCodesLeaveOnCommit(t *testing.T) {
	withCodes(t, "[otp.limits]\ncooldown = \"-1s\"\nphone_10m = -1\nphone_hour = -1\nphone_day = -1\nunverified = -1\nlive = -1\nip_10m = -1\nip_hour = -1\nip_day = -1\n"+
		"prefix_unverified = -1\ncountry_unverified = -1\ncountry_hour = -1\n"+codePurposes, func(c *counter) {
		for i := range 20 {
			time.Sleep(time.Duration(i) * 7919 * time.Millisecond)
			asked := time.Now()
			c.request(ana, "login", fmt.Sprint("key ", i))
			synctest.Wait() // what can happen without any time has happened
			state := ""
			err := c.d.DB().Read(context.Background(), func(q *store.Snap) (err error) { state, _, err = store.Value[string](q, newestMessage); return err })
			if err != nil || state == "queued" || state == "" || !time.Now().Equal(asked) {
				t.Fatalf("%v after the request of number %d it is %q, %v", time.Since(asked), i, state, err)
			}
		}
	})
}
