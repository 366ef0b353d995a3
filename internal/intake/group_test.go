package intake

import (
	"errors"
	"testing"

	"janela/internal/store"
	"janela/internal/whatsapp/webhook"
)

// Callbacks go together, one of which leaves a note; and a group of which one was
// applied by somebody else meanwhile writes nothing.
func TestAGroupIsAppliedOnce(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{
		envelope("messages", messages(h.text(ana, "Oi"))),
		envelope("somewhere", `{"new":1}`),
		envelope("messages", messages(h.text(bia, "Oi"))),
	} {
		h.post(body, sign(secret, body))
	}
	var group []job
	h.read(func(q *store.Snap) error {
		batch, err := store.All[callback](q, sqlStored)
		for _, c := range batch {
			j := job{callback: c}
			j.events, j.err = webhook.Decode(c.Body)
			j.said = h.in.listen(j.events)
			group = append(group, j)
		}
		return err
	})
	if len(group) != 3 {
		t.Fatalf("%d of 3 callbacks are stored", len(group))
	}
	if err := h.in.applyAll(t.Context(), group[:1]); err != nil {
		t.Fatal(err)
	}
	if err := h.in.applyAll(t.Context(), group); !errors.Is(err, store.ErrLost) {
		t.Fatalf("one of them was applied before: %v", err)
	}
	states := map[string]int{}
	for _, r := range h.rows() {
		states[r.State]++
	}
	if states["applied"] != 1 || states["stored"] != 2 {
		t.Fatalf("states %v", states)
	}
	if err := h.in.applyAll(t.Context(), group[1:]); err != nil {
		t.Fatal(err)
	}
	rows := h.rows()
	for i, r := range rows {
		if r.State != "applied" || (r.Note != "") != (i == 1) {
			t.Errorf("%d: state %s, note %q", i, r.State, r.Note)
		}
	}
}
