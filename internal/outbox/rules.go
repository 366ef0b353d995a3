package outbox

// reached derives the state from the facts that were reported: the furthest of
// delivered and read beats failed, failed beats the rest (Meta may report failed
// after sent, and rarely delivered after failed: the better one stands).
func (m *Message) reached() State {
	switch {
	case m.ReadAt > 0:
		return Read
	case m.DeliveredAt > 0:
		return Delivered
	case m.FailedAt > 0:
		return Failed
	case m.SentAt > 0:
		return Sent
	case m.Held:
		return AcceptedHeld
	default:
		return Accepted
	}
}

// follow brings the state up to what is known after a status.
func (m *Message) follow(before *Message, again *Resend, o Observation) {
	if again != nil {
		again.derive(m)
		return
	}
	m.State = m.reachedFrom(before.State)
	switch { // of several failures the earliest says why
	case m.State != Failed:
		m.Reason, m.Code = "", 0
	case m.FailedAt != before.FailedAt:
		m.Reason, m.Code = o.Reason, o.Code
	}
}

// reachedFrom is reached, for a message that was in a state: of one that
// presumably expired it is known that it was sent, and only its arrival, or a
// failure, is news.
func (m *Message) reachedFrom(before State) State {
	s := m.reached()
	if before == PresumedExpired && (s == Accepted || s == AcceptedHeld || s == Sent) {
		return before
	}
	return s
}

// at is the message's instant in the conversation ledger: Meta's sent, else
// delivered, else read; until one is known our own acceptance. 0: it is not in
// the ledger.
func (m *Message) at() int64 {
	for _, t := range []int64{m.SentAt, m.DeliveredAt, m.ReadAt} {
		if t > 0 {
			return t
		}
	}
	return m.AcceptedAt
}

// provisional reports whether the message's instant is our own acceptance.
// Meta's may be the same to the millisecond: the ledger differs all the same.
func (m *Message) provisional() bool { return m.SentAt == 0 && m.DeliveredAt == 0 && m.ReadAt == 0 }

// since is the earliest instant at which the ledger differs between two
// versions of a message; 0 if it does not.
func since(before, after *Message) int64 {
	a, b := before.at(), after.at()
	if a == b && counts(before) == counts(after) && before.provisional() == after.provisional() {
		return 0
	}
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// counts says whether the conversation ledger looks at the message at all.
func counts(m *Message) bool {
	switch m.State {
	case Accepted, Sent, Delivered, Read:
		return true
	default:
		return false
	}
}

// earliest keeps the earlier of two instants, where 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
