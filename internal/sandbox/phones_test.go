package sandbox

import (
	"fmt"
	"testing"
	"time"
)

// The list of phones is by the latest message of each, in or out, and each is
// found by the BSUID that the list gives.
func TestPhones(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if got := w.s.Phones(9); len(got) != 0 {
			t.Fatalf("at first there are %v", got)
		}
		for i := range 3 {
			w.must("POST", sendPath, oferta(fmt.Sprintf("+551190000000%d", i+1), fmt.Sprintf("j%d.db.1.1", i)))
			time.Sleep(time.Minute)
		}
		for range 2 {
			if _, err := w.s.Inbound(Inbound{From: "+5511900000002", Text: "oi"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		got := w.s.Phones(2)
		if len(got) != 2 || got[0].WaID != "5511900000002" || !got[0].In || got[0].Text != "oi" || got[1].WaID != "5511900000003" || got[1].In || got[1].State == "" {
			t.Fatalf("got %+v", got)
		}
		if p := w.s.Person(got[1].UserID); p.WaID != "5511900000003" {
			t.Errorf("%s is %s", got[1].UserID, p.WaID)
		}
		if all := w.s.Phones(9); len(all) != 3 || all[2].WaID != "5511900000001" {
			t.Errorf("all are %+v", all)
		}
		if said := w.s.Heard("+55 11 90000-0002"); len(said) != 2 || said[0].Text != "oi" || said[1].At.Sub(said[0].At) != time.Minute {
			t.Errorf("they said %+v", said)
		}
		for i := range 2*textsKept + 5 {
			w.s.remember(Heard{WaID: "1", Text: fmt.Sprint(i)})
		}
		if n := len(w.s.heard); n > 2*textsKept || w.s.heard[n-1].Text != fmt.Sprint(2*textsKept+4) {
			t.Errorf("%d are remembered, the last is %q", n, w.s.heard[n-1].Text)
		}
	})
}
