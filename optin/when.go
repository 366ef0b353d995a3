package optin

import (
	"errors"
	"time"
)

var (
	withOffset = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00",
		"2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00"}
	local = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04",
		"2/1/2006 15:04:05", "2/1/2006 15:04", "2/1/2006, 15:04:05", "2/1/2006, 15:04"}
	dates = []string{"2006-01-02", "2/1/2006"}
)

var errWhen = errors.New("write the date as 2026-11-27, 2026-11-27T09:00:00, 2026-11-27T09:00:00-03:00 or 27/11/2026 09:00 (day first)")

// parseWhen reads a date or a date and time; zone is for those without offset.
// Of a date alone it takes the first instant, or with end the last: whichever
// lets a revocation of the same day win.
func parseWhen(s string, zone *time.Location, end bool) (time.Time, error) {
	for _, layout := range withOffset {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range local {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range dates {
		t, err := time.ParseInLocation(layout, s, zone)
		if err != nil {
			continue
		}
		if end {
			y, m, d := t.Date()
			t = time.Date(y, m, d+1, 0, 0, 0, 0, zone).Add(-time.Millisecond)
		}
		return t.UTC(), nil
	}
	return time.Time{}, errWhen
}
