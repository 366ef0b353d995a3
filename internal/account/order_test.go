package account

import (
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// tells applies a callback about the first account's template, of Meta's time at.
func (h *house) tells(event string, at time.Time) (reread bool) {
	h.t.Helper()
	h.write(func(tx *store.Tx) (err error) {
		reread, err = ApplyStatus(tx, whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}, event, "", at)
		return err
	})
	return reread
}

// asked reports whether somebody wants a fresh look.
func (h *house) asked() bool {
	select {
	case <-h.syncer.kick:
		return true
	default:
		return false
	}
}

// What a callback tells while the account is read is newer than what was read:
// it stays, and the account is read again.
func TestCallbackWhileReading(t *testing.T) {
	h := newHouse(t)
	h.sync()
	for _, c := range []struct {
		read, told string
		late       time.Duration // between the beginning of the reading and the callback
	}{{"APPROVED", "PAUSED", 0}, {"APPROVED", "PAUSED", time.Second}, {"PAUSED", "APPROVED", time.Second}, {"APPROVED", "APPROVED", time.Second}} {
		h.pass(time.Minute)
		h.meta.set(first, tpl("a", "MARKETING", c.read))
		h.meta.meanwhile = func() {
			h.pass(c.late)
			h.tells(c.told, h.wall())
			h.write(func(tx *store.Tx) error {
				_, err := ApplyQuality(tx, whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}, "RED", h.wall())
				return err
			})
		}
		if err := h.syncer.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := h.template(first, "a")
		want(t, c.read+" read, "+c.told+" told", []string{string(got.Status), got.Quality}, []string{c.told, "RED"})
		want(t, "asked for a fresh look", h.asked(), true)
		h.pass(time.Second)
		if err := h.syncer.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		got = h.template(first, "a")
		want(t, "the look after that", []string{string(got.Status), got.Quality}, []string{c.read, "GREEN"})
		want(t, "asked for another", h.asked(), false)
	}
}

// Meta repeats callbacks for days, in no order: one that is older than what is
// known, by a reading or by another callback, lets nothing go on. A stop that is
// a little older counts, because clocks differ; and Meta is asked.
func TestOldCallbacks(t *testing.T) {
	for _, c := range []struct {
		name   string
		known  string        // by the reading
		event  string        // before it
		age    time.Duration // of the event, at the reading
		want   whatsapp.TemplateStatus
		reread bool
	}{
		{"newer", "PAUSED", "APPROVED", -time.Second, "APPROVED", false},
		{"of the same instant", "PAUSED", "APPROVED", 0, "APPROVED", false},
		{"an old approval", "PAUSED", "APPROVED", time.Second, "PAUSED", true},
		{"a stop a little older", "APPROVED", "PAUSED", 5 * time.Second, "PAUSED", true},
		{"a stop of hours ago", "APPROVED", "PAUSED", 2 * time.Hour, "APPROVED", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.meta.set(first, tpl("a", "MARKETING", c.known))
			h.sync()
			at := h.wall().Add(-c.age)
			h.pass(time.Second)
			want(t, "read again", h.tells(c.event, at), c.reread)
			want(t, "status", h.template(first, "a").Status, c.want)
		})
	}
	h := newHouse(t)
	h.sync()
	h.pass(time.Hour)
	want(t, "a pause", h.tells("PAUSED", h.wall()), false)
	want(t, "an approval from before", h.tells("APPROVED", h.wall().Add(-time.Minute)), true)
	want(t, "status", h.template(first, "a").Status, "PAUSED")
	h.write(func(tx *store.Tx) error {
		ref := whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}
		for i, fn := range []func() (bool, error){
			func() (bool, error) { return ApplyQuality(tx, ref, "RED", h.wall().Add(-time.Hour)) },
			func() (bool, error) { return ApplyCategory(tx, ref, whatsapp.Utility, h.wall().Add(-time.Hour)) },
			func() (bool, error) { return ApplyCorrectCategory(tx, ref, "UTILITY", h.wall().Add(-time.Hour)) },
		} {
			reread, err := fn()
			if err != nil {
				return err
			}
			if !reread {
				t.Errorf("change %d, an hour old, was taken for news", i)
			}
		}
		return nil
	})
	got := h.template(first, "a")
	want(t, "what old callbacks changed", []string{got.Quality, string(got.Category), got.CorrectCategory}, []string{"GREEN", "marketing", ""})
	want(t, "of the future counts as of now", h.tells("APPROVED", h.wall().Add(time.Hour)), false)
	h.pass(time.Second)
	want(t, "so that the next one counts", h.tells("PAUSED", h.wall()), false)
	want(t, "status", h.template(first, "a").Status, "PAUSED")
}
