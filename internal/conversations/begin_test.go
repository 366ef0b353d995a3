package conversations

import (
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// accepted is the touch of a message that was accepted.
func accepted(message int64, c whatsapp.Category, hours float64) Touch {
	return Touch{Number: numberA, Contact: 1, Since: at(hours), Accepted: message, Category: c}
}

// begin leaves to Recompute whatever more there is to a message than itself.
func TestBeginLeavesTheRestToRecompute(t *testing.T) {
	join := func(b book) { b.must(func() error { _, err := b.tx.Exec(setRoot, 2, 1); return err }()) }
	wrote := func(contact int64, hours float64) func(b book) {
		return func(b book) {
			_, _, err := RecordInbound(b.tx, Inbound{Number: numberA, Contact: contact, At: at(hours), Type: "text", Counts: true, Wamid: whatsapp.Wamid("wamid.w")})
			b.must(err)
		}
	}
	for _, tt := range []struct {
		name   string
		before func(b book)
		now    func(m *sending) // of the message, which was accepted at 100 h
		did    bool
	}{
		{"nothing else", nil, nil, true},
		{"what is over", func(b book) { b.send(sent(1, 76, mkt), at(76)) }, nil, true},
		{"on another number", func(b book) { m := sent(1, 99, mkt); m.number = numberB; b.send(m, at(99)) }, nil, true},
		{"to somebody else", func(b book) { m := sent(1, 99, mkt); m.contact = 2; b.send(m, at(99)) }, nil, true},
		{"what somebody else wrote", wrote(2, 99), nil, true},
		{"one is open", func(b book) { b.send(sent(1, 76.001, mkt), at(76.001)) }, nil, false},
		{"one is open that began after it", func(b book) { b.send(sent(1, 101, mkt), at(101)) }, nil, false},
		{"the answer to an ad two days ago", func(b book) { b.wrote(1, 49, true); b.send(sent(1, 50, mkt), at(50)) }, nil, false},
		{"they wrote within a day", wrote(1, 76.001), nil, false},
		{"they wrote a day ago", wrote(1, 76), nil, true},
		{"they wrote later", wrote(1, 101), nil, false},
		{"their other contact wrote", func(b book) { join(b); wrote(2, 99)(b) }, nil, false},
		{"they are two contacts", join, nil, false},
		{"it went to the contact that is no root", join, func(m *sending) { m.contact = 2 }, false},
		{"somebody else sent later, of no category", func(b book) {
			m := sending{wamid: "wamid.f", category: "", sent: at(101)}
			b.send(m, at(101))
		}, nil, false},
		{"its status has come", nil, func(m *sending) { m.state, m.sent = "sent", at(100) }, false},
		{"it was delivered", nil, func(m *sending) { m.delivered = at(100) }, false},
		{"it was read", nil, func(m *sending) { m.read = at(100) }, false},
		{"it failed", nil, func(m *sending) { m.failed = at(100) }, false},
		{"Meta holds it", nil, func(m *sending) { m.state = "accepted_held" }, false},
		{"it was accepted at another time", nil, func(m *sending) { m.accepted = at(100.001) }, false},
	} {
		for _, category := range []whatsapp.Category{mkt, text} {
			t.Run(tt.name+" "+string(category), func(t *testing.T) {
				inBook(t, func(b book) {
					if tt.before != nil {
						tt.before(b)
					}
					before, err := stored(b.tx)
					b.must(err)
					m := sending{id: 9, category: category, run: 5, number: numberA, contact: 1, state: "accepted", accepted: at(100)}
					if tt.now != nil {
						tt.now(&m)
					}
					b.must(m.put(b.tx))
					left, changed, err := begin(b.tx, []Touch{accepted(9, category, 100)})
					b.must(err)
					did := len(left) == 0
					after, err := stored(b.tx)
					b.must(err)
					if did != tt.did || len(after)-len(before) != len(changed) || did != (len(changed) == 1) {
						t.Errorf("it began one: %t, want %t; %d rows, then %d", did, tt.did, len(before), len(after))
					}
					if did {
						if changed := b.recompute(Touch{Number: numberA, Contact: m.contact, Since: time.Time{}}); len(changed) > 0 {
							t.Errorf("the whole history says otherwise: %+v", changed)
						}
					}
				})
			})
		}
	}
}

// Two messages to one person that are accepted together are counted both.
func TestBeginOfTwoAtOnce(t *testing.T) {
	inBook(t, func(b book) {
		for id := range int64(2) {
			b.must(sending{id: id + 1, category: mkt, run: id + 5, number: numberA, contact: 1, state: "accepted", accepted: at(1)}.put(b.tx))
		}
		changed := b.recompute(accepted(1, mkt, 1), accepted(2, mkt, 1))
		if len(changed) != 2 || !changed[0].Opened || changed[1].Opened || changed[0].ID != changed[1].ID {
			t.Errorf("changes: %+v", changed)
		}
		b.want("marketing [1,25) provisional business by 1; out 2 in 0")
	})
}

// A message that nobody has begins nothing.
func TestBeginOfNothing(t *testing.T) {
	write(t, open(t), func(tx *store.Tx) error {
		left, changed, err := begin(tx, []Touch{accepted(4711, mkt, 1)})
		if len(left) != 1 || len(changed) > 0 {
			t.Error("it began")
		}
		return err
	})
}
