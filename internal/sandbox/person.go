package sandbox

import "time"

const (
	serviceWindow = 24 * time.Hour
	entryPoint    = 72 * time.Hour
)

// person is somebody who has written to the business, told Meta what they want
// of it, whom ChangePerson changed, or who was asked for. People who only receive
// are not kept.
type person struct {
	Stopped  bool // no marketing from this business: 131050
	wa       string
	member   *bool  // whether they are on WhatsApp: 131026; nil: Profile.Absent says
	offline  bool   // their phone is off
	identity uint32 // how often their identity key changed
	windows  map[uint16]*window
	written  uint32 // inbound messages, for their ids
}

// window is what one person's messages to one number have opened.
type window struct {
	last  int64 // their last message, Unix milliseconds
	ad    int64 // their message that came by an ad and is not answered yet; 0: none
	entry int64 // end of the free entry point window
}

func (p *person) windowOpen(number uint16, now time.Time) bool {
	w := p.windows[number]
	return w != nil && now.UnixMilli() < w.last+serviceWindow.Milliseconds()
}

// entryOpen reports whether a message sent now falls into a free entry point
// window: an open one, or the one it opens itself by answering an ad.
func (p *person) entryOpen(number uint16, now time.Time) bool {
	w := p.windows[number]
	return w != nil && (now.UnixMilli() < w.entry || w.answersAd(now.UnixMilli()))
}

func (w *window) answersAd(at int64) bool {
	return w.ad > 0 && at < w.ad+serviceWindow.Milliseconds()
}

// person returns the person with this wa_id, known from now on also by BSUID.
func (s *Sandbox) person(wa string) *person {
	p := s.persons[wa]
	if p == nil {
		p = &person{wa: wa, windows: map[uint16]*window{}}
		s.persons[wa] = p
		if !isBSUID(wa) {
			s.persons[bsuid(s.cfg.Seed, wa)] = p
		}
	}
	return p
}

// hear records that a person wrote to a number.
func (s *Sandbox) hear(wa string, number uint16, at int64, ad bool) {
	p := s.person(wa)
	w := p.windows[number]
	if w == nil {
		w = &window{}
		p.windows[number] = w
	}
	w.last = max(w.last, at)
	if ad && at >= w.entry { // an ad counts only after the end of the last one's window
		w.ad = at
	}
}

// openEntryPoint opens the free entry point window when this message is the
// answer to an ad.
func (s *Sandbox) openEntryPoint(r *record, now time.Time) {
	p := s.persons[r.to]
	if p == nil {
		return
	}
	if w := p.windows[r.number]; w != nil && now.UnixMilli() >= w.entry && w.answersAd(r.at) {
		w.entry, w.ad = now.Add(entryPoint).UnixMilli(), 0
	}
}
