package gate

import (
	"testing"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

var putMedia = store.SQL(`INSERT INTO media (number_id, sha256, media_id, uploaded_at, refused) VALUES (?1, ?2, ?3, ?4, ?5)`)

// A stream whose file is not at Meta, or not for long any more, waits, and no
// message of it is touched; it goes on when the file is there.
func TestMessagesWaitForTheirFiles(t *testing.T) {
	w := newWorld(t)
	s := inCampaign()
	s.Files = "one two"
	w.write(t, func(tx *store.Tx) error {
		p, err := person(tx, 1)
		if err != nil {
			return err
		}
		if err := grant(tx, p.ID, whatsapp.Marketing); err != nil {
			return err
		}
		if s, _, err = queue(tx, s, p.ID); err != nil {
			return err
		}
		for sha, number := range map[string]string{"one": number1, "two": number2} { // two: of another number
			if _, err := tx.Exec(putMedia, number, sha, "10"+sha, store.Millis(start.Add(-29*24*time.Hour+time.Millisecond)), 0); err != nil {
				return err
			}
		}
		return nil
	})
	waits := func() (reasons []Reason) {
		t.Helper()
		w.undone(t, func(tx *store.Tx) error {
			f, err := FactsOfStream(tx, s, nil)
			if err != nil {
				return err
			}
			for _, v := range DecideStream(f, tx.Now()) {
				reasons = append(reasons, v.Reason)
			}
			claimed, _, err := claimAll(tx, whatsapp.LaneMarketing, 10)
			if (len(claimed) == 0) != (len(reasons) > 0) {
				t.Errorf("%d messages were claimed, and it waits for %v", len(claimed), reasons)
			}
			return err
		})
		return reasons
	}
	if got := waits(); len(got) != 1 || got[0] != MediaExpired {
		t.Fatalf("one of two files is not there: %v", got)
	}
	w.write(t, func(tx *store.Tx) error {
		_, err := tx.Exec(putMedia, number1, "two", "10two", store.Millis(start), 0)
		return err
	})
	if got := waits(); len(got) != 0 {
		t.Fatalf("both are there: %v", got)
	}
	w.wall = start.Add(time.Millisecond)
	if got := waits(); len(got) != 1 || got[0] != MediaExpired {
		t.Fatalf("one is 29 days old: %v", got)
	}
}

// What Meta cannot use is uploaded again; when that does not help, a campaign
// whose own file it is stops, and no other.
func TestReactToMedia(t *testing.T) {
	const own, link = "one", ""
	for _, test := range []struct {
		name     string
		files    string
		campaign bool
		attempt  int
		refused  int // uploads before this one, in a row
		stops    bool
		requeues bool
	}{
		{"first upload", own, true, 1, 0, false, true},
		{"second upload", own, true, 9, 1, false, true},
		{"third upload", own, true, 1, 2, true, true},
		{"a link, second try", link, true, 2, 0, false, true},
		{"a link, third try", link, true, 3, 0, false, false},
		{"a single message, second try", link, false, 2, 0, false, true},
		{"a single message, third try", link, false, 3, 0, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			s := streamOf(whatsapp.Marketing)
			if test.campaign {
				s = inCampaign()
			}
			s.Files = test.files
			f := Failure{Code: whatsapp.LookupCode(131053, 0)}
			var r, again Reaction
			var gone bool
			w.write(t, func(tx *store.Tx) (err error) {
				if f.Stream, err = outbox.OpenStream(tx, s); err != nil {
					return err
				}
				if _, err := tx.Exec(putMedia, number1, own, "1037", store.Millis(start.Add(-time.Minute)), test.refused); err != nil {
					return err
				}
				f.Message = outbox.Message{Stream: f.Stream.ID, Attempt: test.attempt, ClaimedAt: store.Millis(start)}
				if r, err = React(tx, f); err != nil {
					return err
				}
				if again, err = React(tx, f); err != nil { // another that was in flight with the same id
					return err
				}
				id, err := account.MediaID(tx, number1, own)
				gone = id == ""
				return err
			})
			if r.Placed != test.stops || again.Placed || test.stops && (r.Hold.Scope != outbox.ScopeCampaign || r.Hold.Reason != "campaign_error" || r.Hold.Detail == "") {
				t.Errorf("hold %+v, placed %t, and for the next in flight %t", r.Hold, r.Placed, again.Placed)
			}
			if gone != (test.files != "") {
				t.Errorf("the id was forgotten: %t", gone)
			}
			if _, ok := Requeues(f.Stream, f.Code, test.attempt, 0, start); ok != test.requeues {
				t.Errorf("requeues: %t", ok)
			}
		})
	}
}

// An id that was uploaded after the message was claimed is not the one that
// Meta refused.
func TestNewMediaSurvivesOldRefusals(t *testing.T) {
	w := newWorld(t)
	s := inCampaign()
	s.Files = "one"
	w.write(t, func(tx *store.Tx) error {
		if _, err := tx.Exec(putMedia, number1, "one", "1037", store.Millis(start), 0); err != nil {
			return err
		}
		f := Failure{Stream: s, Code: whatsapp.LookupCode(131053, 0), Message: outbox.Message{Attempt: 1, ClaimedAt: store.Millis(start) - 1}}
		if _, err := React(tx, f); err != nil {
			return err
		}
		if id, err := account.MediaID(tx, number1, "one"); err != nil || id != "1037" {
			t.Errorf("%q, %v", id, err)
		}
		return nil
	})
}
