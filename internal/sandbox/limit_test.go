package sandbox

import (
	"fmt"
	"testing"
	"time"
)

// The messaging limit counts different people over all numbers, for 24 hours from
// the phone on; replies, and who will not get it, do not count.
func TestMessagingLimit(t *testing.T) {
	inBubble(t, func(c *Config) {
		c.MessagingLimit = true
		c.Profile.StatusDelay = Span{time.Second, time.Second} // to sent, and as long to delivered
		c.Profile.Absent = []string{"55119000099"}
		for i := range c.WABAs[0].Numbers {
			c.WABAs[0].Numbers[i].MessagingLimit = "TIER_3"
		}
	}, func(w *world) {
		begun := time.Now()
		person := func(i int) string { return fmt.Sprintf("+55119%08d", i) }
		n := 0
		send := func(number string, i, want int) {
			t.Helper()
			n++
			status, body, _ := w.do("POST", "/v25.0/"+number+"/messages", oferta(person(i), fmt.Sprint("k", n)))
			if want == 0 && status != 200 || want > 0 && codeOf(body) != want {
				t.Errorf("to person %d after %v: %d %s", i, time.Since(begun), status, body)
			}
		}
		send(numA, 1, 0)
		send(numB, 2, 0)
		send(numA, 9999, 0) // not on WhatsApp
		send(numA, 3, 0)
		send(numA, 4, 131048)
		send(numB, 4, 131048)
		time.Sleep(time.Hour)
		send(numB, 1, 0) // who counts may get more, and counts longer
		if _, err := w.s.Inbound(Inbound{From: person(5), Text: "oi", NumberID: numA}); err != nil {
			t.Fatal(err)
		}
		send(numA, 5, 0) // inside of the service window
		send(numB, 5, 131048)
		time.Sleep(23*time.Hour + time.Second)
		send(numA, 4, 131048)
		time.Sleep(time.Second)
		send(numA, 4, 0) // 2 and 3 have left, 1 has not
		send(numA, 6, 0)
		send(numA, 7, 131048)
	})
}
