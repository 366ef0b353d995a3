package conversations

import (
	"cmp"
	"slices"
	"time"

	"janela/internal/whatsapp"
)

// The lengths of the platform (Meta: Conversation-based pricing; Messaging
// limits, customer service windows).
const (
	Length          = 24 * time.Hour // of a conversation
	FreeEntryLength = 72 * time.Hour // of a free entry point, from the answer
	WindowLength    = 24 * time.Hour // of a service window, and in which an ad must be answered
)

// earliest is before WhatsApp existed: a time below it is a zero, or seconds
// taken for milliseconds.
var earliest = time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC)

// SaneTime returns at, or now when at cannot be true: before 2009 or more than
// a day ahead. now is when the fact arrived.
func SaneTime(at, now time.Time) time.Time {
	if at.Before(earliest) || at.After(now.Add(24*time.Hour)) {
		return now
	}
	return at
}

// Counts reports whether an inbound message of Meta's type opens the service
// window and counts in conversations. System events, reactions, edits,
// revocations and preferences do neither.
func Counts(messageType string) bool {
	switch messageType {
	case "system", "reaction", "edit", "revoke", "user_preferences":
		return false
	default:
		return true
	}
}

// progress is what is known of a message's way; times in ms, 0 for not yet.
type progress struct {
	state                                     string
	accepted, sent, delivered, read, failedAt int64
}

// instant returns the message's time in the ledger. ok is false for a message
// that opens nothing and counts nowhere.
func (p progress) instant() (at int64, provisional, ok bool) {
	arrived := p.delivered > 0 || p.read > 0
	switch {
	case arrived: // whatever else was said, the person has it
	case p.failedAt > 0:
		return 0, false, false
	case p.state != "accepted" && p.state != "sent":
		return 0, false, false
	}
	for _, at := range []int64{p.sent, p.delivered, p.read} {
		if at > 0 {
			return at, false, true
		}
	}
	return p.accepted, true, p.accepted > 0
}

// Event is one fact of the ledger: a message of the business, or one of the
// user that counts.
type Event struct {
	At    time.Time
	ID    int64 // of our message, 0 for a foreign one; of the inbound message
	Wamid whatsapp.Wamid

	// Of a message of the business.
	Category    whatsapp.Category // Service for free-form, "" for not known
	Provisional bool              // At is our acceptance

	// Of a message of the user.
	Inbound      bool
	Referral     bool           // it came through an ad
	Answers      int64          // the message of ours that it answers, if known by id
	AnswersWamid whatsapp.Wamid // the same by Meta's id
}

// order is the order in which the ledger takes events: by time; at one instant
// the user's first, because a window contains its first instant; then ours by
// id; then foreign ones by wamid. It does not depend on the order of arrival.
func order(a, b Event) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	if a.Inbound != b.Inbound {
		if a.Inbound {
			return -1
		}
		return 1
	}
	if foreign := a.ID == 0; !a.Inbound && foreign != (b.ID == 0) {
		if foreign {
			return 1
		}
		return -1
	}
	if !a.Inbound && a.ID != 0 {
		return cmp.Compare(a.ID, b.ID)
	}
	return cmp.Compare(a.Wamid, b.Wamid)
}

// Ledger derives the conversations of one person on one number, in the order in
// which they opened. It sorts events in place.
//
// It may begin later than the history, at any instant at which no conversation
// was open. events must then hold every message from that instant on, and every
// inbound message from 24 h before it on; freeEntryEnd is the end of the last
// free entry point before. For a whole history it is the zero time.
func Ledger(freeEntryEnd time.Time, events []Event) []Conversation {
	rows, _ := Homes(freeEntryEnd, events)
	return rows
}

// Homes is Ledger, and says as well in which of the conversations each event
// counts, in the order into which it sorts them: an index, or -1 for none.
func Homes(freeEntryEnd time.Time, events []Event) (rows []Conversation, home []int) {
	slices.SortFunc(events, order)
	l := ledger{freeEntryEnd: freeEntryEnd, home: make([]int, len(events))}
	for i := range events {
		if e := &events[i]; e.Inbound {
			l.wrote(e)
		} else {
			l.home[i] = l.sent(e)
		}
	}
	l.countInbound(events)
	return l.rows, l.home
}

// ledger is the state between two events.
type ledger struct {
	rows         []Conversation
	open         []int     // rows not yet over, as they opened
	freeEntryEnd time.Time // of the last free entry point
	last, ad     *Event    // the user's last message; the last that came through an ad and may open
	home         []int     // per event, the row in which a message counts, or -1
}

func (l *ledger) wrote(e *Event) {
	l.last = e
	if e.Referral && !e.At.Before(l.freeEntryEnd) {
		l.ad = e
	}
}

// sent takes a message of the business and returns the row it counts in, or -1.
func (l *ledger) sent(e *Event) int {
	l.open = slices.DeleteFunc(l.open, func(i int) bool { return !e.At.Before(l.rows[i].Ends()) })
	if e.Category != "" && !e.At.Before(l.freeEntryEnd) {
		switch {
		case within(l.ad, e.At):
			l.openFreeEntry(e)
		case e.Category == whatsapp.Service && len(l.open) == 0:
			var answered *Event
			if within(l.last, e.At) {
				answered = l.last
			}
			l.begin(e, whatsapp.Service, Length, answered)
		case e.Category != whatsapp.Service && l.find(e.Category) < 0:
			l.begin(e, e.Category, Length, nil)
		}
	}
	category := e.Category
	if category == "" {
		category = whatsapp.Service
	}
	i := l.find(category)
	if i < 0 && len(l.open) > 0 {
		i = l.open[len(l.open)-1]
	}
	if i >= 0 {
		l.rows[i].MessagesOut++
	}
	return i
}

// within reports whether t lies in the 24 h that an inbound message opens.
func within(in *Event, t time.Time) bool {
	return in != nil && t.Before(in.At.Add(WindowLength))
}

// find returns the open row of a category, or -1.
func (l *ledger) find(c whatsapp.Category) int {
	for _, i := range l.open {
		if l.rows[i].Category == c {
			return i
		}
	}
	return -1
}

func (l *ledger) openFreeEntry(e *Event) {
	for _, i := range l.open {
		l.rows[i].ClosedAt = e.At
	}
	l.open = l.open[:0]
	l.begin(e, whatsapp.Service, FreeEntryLength, l.ad)
	l.rows[len(l.rows)-1].FreeEntryPoint = true
	l.freeEntryEnd = e.At.Add(FreeEntryLength)
	l.ad = nil
}

func (l *ledger) begin(e *Event, category whatsapp.Category, length time.Duration, answered *Event) {
	c := Conversation{
		Category: category, Origin: FromBusiness,
		OpenedAt: e.At, ExpiresAt: e.At.Add(length),
		Provisional: e.Provisional, OpenedBy: e.ID,
	}
	if e.ID == 0 {
		c.OpenedByWamid = e.Wamid
	}
	if answered != nil {
		c.Origin, c.Inbound = FromUser, answered.ID
	}
	l.open = append(l.open, len(l.rows))
	l.rows = append(l.rows, c)
}

// countInbound gives each message of the user to the conversation of the
// message it answers, if that is open then, else to the latest opened one.
func (l *ledger) countInbound(events []Event) {
	var byID map[int64]int
	var byWamid map[whatsapp.Wamid]int
	opened := 0 // rows that had opened by the event's time
	for at, e := range events {
		if !e.Inbound {
			continue
		}
		if byID == nil && (e.Answers != 0 || e.AnswersWamid != "") {
			byID, byWamid = l.homes(events)
		}
		for opened < len(l.rows) && !e.At.Before(l.rows[opened].OpenedAt) {
			opened++
		}
		i, ok := byID[e.Answers]
		if !ok {
			i, ok = byWamid[e.AnswersWamid]
		}
		if !ok || !l.rows[i].OpenAt(e.At) {
			i = l.latestOpen(opened, e.At)
		}
		l.home[at] = i
		if i >= 0 {
			l.rows[i].MessagesIn++
		}
	}
}

// homes names the row of every message that counts in one.
func (l *ledger) homes(events []Event) (byID map[int64]int, byWamid map[whatsapp.Wamid]int) {
	byID, byWamid = map[int64]int{}, map[whatsapp.Wamid]int{}
	for i, e := range events {
		if e.Inbound || l.home[i] < 0 {
			continue
		}
		if e.ID != 0 {
			byID[e.ID] = l.home[i]
		}
		if e.Wamid != "" {
			byWamid[e.Wamid] = l.home[i]
		}
	}
	return byID, byWamid
}

// latestOpen returns which of the first n rows opened last and is open at t,
// or -1.
func (l *ledger) latestOpen(n int, t time.Time) int {
	for i := n - 1; i >= 0; i-- {
		if l.rows[i].OpenAt(t) {
			return i
		}
		if !t.Before(l.rows[i].OpenedAt.Add(FreeEntryLength)) {
			break // the longest there is would be over, and so those before it
		}
	}
	return -1
}
