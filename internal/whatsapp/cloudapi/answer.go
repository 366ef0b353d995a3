package cloudapi

import "janela/internal/whatsapp"

// scanAnswer reads an acceptance as Meta writes it: the keys it has had for
// years, each once, with plain strings. ok is false for whatever looks otherwise,
// which encoding/json reads: that takes ten times as long.
func scanAnswer(b []byte) (a Answer, ok bool) {
	s := scanner{b: b}
	var contacts, messages, product bool
	var status []byte
	s.object(func(key []byte) bool {
		switch string(key) {
		case "messaging_product":
			return s.once(&product, func() { s.text() })
		case "contacts":
			return s.once(&contacts, func() {
				var input, waID, userID bool
				s.only(func(key []byte) bool {
					switch string(key) {
					case "input":
						return s.once(&input, func() { s.text() })
					case "wa_id":
						return s.once(&waID, func() { a.WaID = whatsapp.WaID(s.text()) })
					case "user_id":
						return s.once(&userID, func() { a.UserID = whatsapp.BSUID(s.text()) })
					default:
						return false
					}
				})
			})
		case "messages":
			return s.once(&messages, func() {
				var id, state bool
				s.only(func(key []byte) bool {
					switch string(key) {
					case "id":
						return s.once(&id, func() { a.Wamid = whatsapp.Wamid(s.text()) })
					case "message_status":
						return s.once(&state, func() { status = s.text() })
					default:
						return false
					}
				})
			})
		default:
			return false
		}
	})
	s.space()
	if s.bad || s.at < len(s.b) || a.Wamid == "" {
		return Answer{}, false
	}
	a.state(string(status))
	return a, true
}

// scanner walks through JSON of one known form. bad is set, for ever, by
// anything else.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\n' || s.b[s.at] == '\t' || s.b[s.at] == '\r') {
		s.at++
	}
}

// is takes the next byte if it is c.
func (s *scanner) is(c byte) bool {
	s.space()
	if s.bad || s.at >= len(s.b) || s.b[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) want(c byte) {
	if !s.is(c) {
		s.bad = true
	}
}

// text takes a string of ASCII without escapes. It is a part of what is scanned.
func (s *scanner) text() []byte {
	s.want('"')
	for i := s.at; !s.bad && i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			t := s.b[s.at:i]
			s.at = i + 1
			return t
		case c == '\\' || c < ' ' || c > '~':
			s.bad = true
		}
	}
	s.bad = true
	return nil
}

// object takes an object; member takes the value of a key, or returns false.
func (s *scanner) object(member func(key []byte) bool) {
	s.want('{')
	for first := true; !s.bad && !(first && s.is('}')); first = false {
		key := s.text()
		s.want(':')
		if s.bad || !member(key) {
			s.bad = true
			return
		}
		if s.is('}') {
			return
		}
		s.want(',')
	}
}

// only takes a list of one object.
func (s *scanner) only(member func(key []byte) bool) {
	s.want('[')
	s.object(member)
	s.want(']')
}

// once takes the value of a key that was not there before.
func (s *scanner) once(seen *bool, value func()) bool {
	if *seen {
		return false
	}
	*seen = true
	value()
	return true
}
