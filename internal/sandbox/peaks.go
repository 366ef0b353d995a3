package sandbox

import "time"

// Peaks is how near what was accepted comes to Meta's limits: what a test, or
// somebody who tries out their pacing, holds against them.
type Peaks struct {
	Sends     int
	PerSecond int           // most messages of one number within a second, wherever it begins
	Gap       time.Duration // shortest time between two messages of a number to one person, of which the second is no code; 0: there were none
	Close     int           // how many followed another to the same person within a minute
	People    int           // most different people whom templates reached within 24 hours, over all numbers
	Used      float64       // the same on average by the minute, from the second day on
}

// Peaks reads the ledger.
func (s *Sandbox) Peaks() Peaks {
	var out Peaks
	type pair struct{ number, to string }
	recent, last := map[string][]time.Time{}, map[pair]time.Time{}
	var within []Send // of the last 24 hours, of those that count
	count := map[string]int{}
	var next time.Time
	var used, minutes float64
	s.Each(func(one Send) bool {
		out.Sends++
		second := append(recent[one.NumberID], one.At)
		for one.At.Sub(second[0]) >= time.Second {
			second = second[1:]
		}
		recent[one.NumberID], out.PerSecond = second, max(out.PerSecond, len(second))
		p := pair{one.NumberID, one.To}
		if before, ok := last[p]; ok {
			gap := one.At.Sub(before)
			if one.Category != "authentication" && (out.Gap == 0 || gap < out.Gap) {
				out.Gap = gap
			}
			if gap < time.Minute {
				out.Close++
			}
		}
		last[p] = one.At
		if next.IsZero() {
			next = one.At.Add(reachFor)
		}
		for len(within) > 0 && one.At.Sub(within[0].At) >= reachFor {
			if count[within[0].To]--; count[within[0].To] == 0 {
				delete(count, within[0].To)
			}
			within = within[1:]
		}
		for ; !one.At.Before(next); next = next.Add(time.Minute) {
			used, minutes = used+float64(len(count)), minutes+1
		}
		if one.Type == "template" && one.Code == 0 { // the others count nobody
			within = append(within, one)
			count[one.To]++
			out.People = max(out.People, len(count))
		}
		return true
	})
	if minutes > 0 {
		out.Used = used / minutes
	}
	return out
}
