package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

func TestRampDoubles(t *testing.T) {
	first := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		perSecond float64
		start     float64
		after     time.Duration // the first message; below 0: none has left
		want      float64
	}{
		{0, 0, time.Hour, 0}, {40, 0, time.Hour, 40}, {0, 5, -1, 5}, {40, 5, -1, 5}, {40, 5, 0, 5}, {40, 5, 10*time.Minute - 1e6, 5},
		{40, 5, 10 * time.Minute, 10}, {40, 5, 25 * time.Minute, 20}, {40, 5, 30 * time.Minute, 40}, {40, 5, 40 * time.Minute, 40},
		{0, 5, 40 * time.Minute, 80}, {0, 0.01, 30 * time.Minute, 0.08}, {0, 5, 24 * 365 * time.Hour, 0}, {3, 5, 0, 3},
	} {
		s := Stream{PerSecond: tt.perSecond, Throttle: Throttle{RampStart: tt.start, DoubleEvery: (10 * time.Minute).Milliseconds()}}
		now := first
		if tt.after >= 0 {
			s.FirstAt, now = store.Millis(first), first.Add(tt.after)
		}
		if got := s.Rate(now); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt, got, tt.want)
		}
	}
}

// The next day begins with the first instant of its date, whatever the clock does
// at midnight.
func TestNextDay(t *testing.T) {
	for _, name := range []string{"UTC", "America/Sao_Paulo", "America/New_York", "America/Havana", "Asia/Beirut", "America/Asuncion", "Pacific/Apia", "Australia/Lord_Howe"} {
		th := Throttle{Zone: name}
		for at := time.Date(2011, 1, 1, 0, 7, 0, 0, time.UTC); at.Year() < 2024; at = at.Add(5*time.Hour + 11*time.Minute) {
			next := th.NextDay(at)
			if !next.After(at) || th.Day(next) == th.Day(at) || th.Day(next.Add(-time.Nanosecond)) != th.Day(at) {
				t.Fatalf("%s: after %v the next day begins at %v", name, at.In(zone(name)), next)
			}
		}
	}
}

// What leaves on a local day is counted, over all runs of the campaign and over a
// restart; what surely did not leave is taken back from the day it was claimed on.
func TestDaysAreCounted(t *testing.T) {
	path := t.TempDir() + "/x.db"
	now := time.Date(2026, 11, 27, 2, 50, 0, 0, time.UTC) // 23:50 in São Paulo
	open := func() *store.DB {
		db, err := store.Open(t.Context(), store.Config{Path: path, Wall: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	defer func() { _ = db.Close() }()
	must := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	streams := map[int64]Stream{}
	stream := func(run int64) Stream {
		must(func(tx *store.Tx) error {
			s, err := OpenStream(tx, Stream{Number: "1", WABA: "2", Category: whatsapp.Marketing, Template: "t", Language: "pt_BR", Campaign: "natal", Run: run,
				Throttle: Throttle{PerDay: 100, Zone: "America/Sao_Paulo", RampStart: 1, DoubleEvery: 1000}})
			streams[run] = s
			return err
		})
		return streams[run]
	}
	claim := func(s Stream, n int) (out []Message) {
		must(func(tx *store.Tx) error {
			rows := make([]New, n)
			for i := range rows {
				rows[i] = New{Contact: tx.NewID(), To: whatsapp.Phone("+5511900000001").Identity()}
			}
			ids, _, err := Enqueue(tx, s, rows)
			if err != nil {
				return err
			}
			var moves []Move
			for _, id := range ids {
				m, _, err := ByID(tx, id)
				if err != nil {
					return err
				}
				moves = append(moves, Move{Message: m, To: Sending})
			}
			out, _, err = Apply(tx, s, moves)
			return err
		})
		return out
	}
	settle := func(to State, ms ...Message) {
		must(func(tx *store.Tx) error {
			var results []Result
			for _, m := range ms {
				results = append(results, Result{Message: m.ID, Attempt: m.Attempt, To: to, At: tx.Now()})
			}
			_, err := Settle(tx, results)
			return err
		})
	}
	today := func(want int64) {
		t.Helper()
		must(func(tx *store.Tx) error {
			n, err := SentToday(tx, streams[1])
			if n != want {
				return fmt.Errorf("%d left today, want %d", n, want)
			}
			return err
		})
	}
	first := claim(stream(1), 10)
	second := claim(stream(2), 5)
	today(15)
	settle(Accepted, first[:4]...)
	settle(Queued, first[4:6]...)
	settle(Failed, first[6])
	settle(Unknown, first[7])
	today(12)
	now = now.Add(20 * time.Minute) // the day after
	today(0)
	settle(Failed, second...) // of the day before
	claim(streams[1], 3)
	today(3)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open()
	today(3)
	now = now.Add(-20 * time.Minute)
	must(func(tx *store.Tx) error {
		n, _, err := store.Value[int64](tx, sqlDays, "natal", "2026-11-26")
		if n != 7 {
			return fmt.Errorf("on the day before %d left, want 7", n)
		}
		s, _, err2 := StreamByID(tx, streams[1].ID)
		if want := time.Date(2026, 11, 27, 2, 50, 0, 0, time.UTC); s.FirstAt != store.Millis(want) || s.Throttle != streams[1].Throttle {
			return fmt.Errorf("the first message of %+v left at %v, want %v", s, store.Time(s.FirstAt), want)
		}
		return errors.Join(err, err2)
	})
}
