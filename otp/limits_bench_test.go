package otp

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"janela/internal/store"
)

// What the limits cost beside a day of traffic: 500 transactions of one request
// each on a disk would measure the disk, so many requests share one.
func BenchmarkAdmit(b *testing.B) {
	m := newMeter(b, 10_000_000)
	l := DefaultLimits()
	l.CountryDay, l.CountryHour, l.PerSecond, l.ClientPerSecond = -1, -1, -1, -1
	send := func(tx *store.Tx, i int) error {
		a := askFor(fmt.Sprint("phone ", i), l)
		a.prefixKey, a.ipKey = fmt.Sprint("range ", i%3000), fmt.Sprint("address ", i%20_000)
		if err := m.admit(tx, a); err != nil {
			return err
		}
		m.message++
		return m.recordSend(tx, a, sendRow{message: m.message, challenge: challengeOf(m.message), gen: 1})
	}
	n := 0
	some := func(count int) {
		m.write(func(tx *store.Tx) error {
			for range count {
				n++
				var d *Denied
				if err := send(tx, n); err != nil && !errors.As(err, &d) {
					return err
				}
			}
			return nil
		})
	}
	for range 144 { // a day
		some(100)
		m.advance(10 * time.Minute)
	}
	b.ResetTimer()
	for left := b.N; left > 0; left -= 100 {
		some(min(left, 100))
		m.advance(time.Minute)
	}
}
