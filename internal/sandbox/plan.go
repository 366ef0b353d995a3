package sandbox

import "time"

// plan queues the statuses of message i. It is a pure function of the record
// and the profile, so a restart plans the same again. early: sent is due now,
// before the sandbox has answered the request. The caller holds the lock.
func (s *Sandbox) plan(i int, early bool) {
	r := s.ledger.get(i)
	for _, e := range planned(r, s.chance(r), early) {
		e.rec = int32(i)
		s.queue.add(e)
	}
}

func planned(r *record, luck fate, early bool) []event {
	if r.flags&flagSilent != 0 {
		return nil
	}
	sent := r.sentAt(luck)
	if early {
		sent = r.at
	}
	delivered := sent + luck.delivered.Milliseconds()
	var list []event
	switch {
	case r.code != 0:
		failed := sent
		if luck.failedAfterSent && r.code != 131047 && r.code != 131050 && r.code != 137000 {
			list = append(list, at(sent, slotSent, true))
			failed = delivered
		}
		list = append(list, at(failed, slotFailed, false))
	case luck.never, r.flags&flagOffline != 0:
		list = append(list, at(sent, slotSent, true))
	default:
		list = append([]event{at(sent, slotSent, true)}, arrivals(delivered, luck)...)
		if luck.reorder && !early && len(list) > 1 {
			list[0].due, list[1].due = list[1].due+1, list[0].due
		}
	}
	return repeated(list, luck)
}

func at(t int64, slot uint8, priced bool) event {
	return event{due: t, at: t / 1000, slot: slot, priced: priced}
}

func (r *record) sentAt(luck fate) int64 {
	sent := r.at + luck.sent.Milliseconds()
	if r.flags&flagHeld != 0 {
		sent += luck.heldFor.Milliseconds()
	}
	return sent
}

// arrivals are the statuses of a message that reaches the phone.
func arrivals(delivered int64, luck fate) (list []event) {
	if omit := luck.read && luck.omit; !omit {
		list = append(list, at(delivered, slotDelivered, true))
	}
	if luck.read {
		list = append(list, at(delivered+luck.readDue.Milliseconds(), slotRead, luck.omit))
	}
	return list
}

// repeated adds the second postings.
func repeated(list []event, luck fate) []event {
	for _, e := range list {
		if again := luck.again[e.slot]; again > 0 {
			e.due += again.Milliseconds()
			e.slot += slotAgain
			list = append(list, e)
		}
	}
	return list
}

// addHook queues a ready body, after its journal line. The caller holds the
// lock.
func (s *Sandbox) addHook(waba string, body []byte, now time.Time) error {
	if !s.reachable() {
		return nil
	}
	s.nextHook++
	h := &hook{id: s.nextHook, waba: waba, body: body}
	if s.journal != nil {
		if err := s.journal.hook(h, now.UnixMilli()); err != nil {
			return err
		}
	}
	e := event{due: now.UnixMilli(), at: now.Unix(), rec: -1, hook: h}
	s.queue.add(e)
	return nil
}
