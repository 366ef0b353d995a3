package webhook

import "strings"

// quick reads a callback that holds nothing but statuses of the usual form: most
// of all callbacks, and what comes most while a campaign runs. It goes over the
// bytes once, where encoding/json goes over them five times. Whatever it does not
// expect ends it, and encoding/json decides: what it returns is what that would
// return.
type quick struct {
	s        string
	at       int
	events   []Event
	contacts [1]contact
	priced   statusPricing
	talk     statusConversation
}

// quickly decodes a body of that form; ok is false for every other.
func quickly(body []byte) (events []Event, ok bool) {
	q := quick{s: string(body)}
	if !q.callback() {
		return nil, false
	}
	return q.events, len(q.events) > 0
}

// deepest is how deep a value that is passed over may be.
const deepest = 32

func (q *quick) space() {
	for q.at < len(q.s) && (q.s[q.at] == ' ' || q.s[q.at] == '\n' || q.s[q.at] == '\t' || q.s[q.at] == '\r') {
		q.at++
	}
}

// next passes over a byte and the space before it, if it is that one.
func (q *quick) next(c byte) bool {
	if q.at < len(q.s) && q.s[q.at] == c {
		q.at++
		return true
	}
	q.space()
	if q.at < len(q.s) && q.s[q.at] == c {
		q.at++
		return true
	}
	return false
}

// object calls member for each member of an object, which must read its value.
func (q *quick) object(member func(key string) bool) bool {
	if !q.next('{') {
		return false
	}
	if q.next('}') {
		return true
	}
	for {
		q.space()
		key, ok := q.plain()
		if !ok || !q.next(':') || !member(key) {
			return false
		}
		if !q.next(',') {
			return q.next('}')
		}
	}
}

// array calls element for each element of an array, which must read it.
func (q *quick) array(element func() bool) bool {
	if !q.next('[') {
		return false
	}
	if q.next(']') {
		return true
	}
	for {
		if !element() {
			return false
		}
		if !q.next(',') {
			return q.next(']')
		}
	}
}

// plain reads a string without escapes, of ASCII.
func (q *quick) plain() (string, bool) {
	if q.at >= len(q.s) || q.s[q.at] != '"' {
		return "", false
	}
	from := q.at + 1
	for i := from; i < len(q.s); i++ {
		switch c := q.s[i]; {
		case c == '"':
			q.at = i + 1
			return q.s[from:i], true
		case c < ' ' || c == '\\' || c >= 0x80:
			return "", false
		}
	}
	return "", false
}

// text reads what text does, but for null.
func (q *quick) text(t *text) bool {
	q.space()
	if v, ok := q.plain(); ok {
		*t = text(v)
		return true
	}
	from := q.at
	if !q.number() && !q.word("true") && !q.word("false") {
		return false
	}
	*t = text(q.s[from:q.at])
	return true
}

func (q *quick) instant(i *instant) bool {
	var t text
	if !q.text(&t) {
		return false
	}
	i.read(string(t))
	return true
}

func (q *quick) boolean(b *boolean) bool {
	q.space()
	var v bool
	switch {
	case q.word("true"):
		v = true
	case !q.word("false"):
		return false
	}
	b.value = &v
	return true
}

func (q *quick) word(w string) bool {
	if !strings.HasPrefix(q.s[q.at:], w) {
		return false
	}
	q.at += len(w)
	return true
}

// number passes over a number; false where there is none.
func (q *quick) number() bool {
	i := q.at
	if i < len(q.s) && q.s[i] == '-' {
		i++
	}
	switch from := i; {
	case i < len(q.s) && q.s[i] == '0':
		i++
	default:
		if i = q.digits(i); i == from {
			return false
		}
	}
	if i < len(q.s) && q.s[i] == '.' {
		from := i + 1
		if i = q.digits(from); i == from {
			return false
		}
	}
	if i < len(q.s) && (q.s[i] == 'e' || q.s[i] == 'E') {
		i++
		if i < len(q.s) && (q.s[i] == '+' || q.s[i] == '-') {
			i++
		}
		from := i
		if i = q.digits(from); i == from {
			return false
		}
	}
	q.at = i
	return true
}

func (q *quick) digits(i int) int {
	for i < len(q.s) && q.s[i] >= '0' && q.s[i] <= '9' {
		i++
	}
	return i
}

// other passes over a member that nobody here reads. encoding/json takes a name
// in any case for one that it knows: that is left to it.
func (q *quick) other(key string) bool {
	for i := range len(key) {
		if c := key[i]; c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return q.skip(0)
}

// skip passes over a value.
func (q *quick) skip(depth int) bool {
	q.space()
	if q.at >= len(q.s) || depth > deepest {
		return false
	}
	switch q.s[q.at] {
	case '{':
		q.at++
		return q.skipMembers(depth)
	case '[':
		return q.array(func() bool { return q.skip(depth + 1) })
	case '"':
		return q.quoted()
	default:
		return q.number() || q.word("true") || q.word("false") || q.word("null")
	}
}

func (q *quick) skipMembers(depth int) bool {
	if q.next('}') {
		return true
	}
	for {
		q.space()
		if !q.quoted() || !q.next(':') || !q.skip(depth+1) {
			return false
		}
		if !q.next(',') {
			return q.next('}')
		}
	}
}

// quoted passes over a string of any kind.
func (q *quick) quoted() bool {
	if q.at >= len(q.s) || q.s[q.at] != '"' {
		return false
	}
	for i := q.at + 1; i < len(q.s); i++ {
		switch c := q.s[i]; {
		case c == '"':
			q.at = i + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			i++
			if i >= len(q.s) || strings.IndexByte(`"\/bfnrtu`, q.s[i]) < 0 {
				return false
			}
			if q.s[i] != 'u' {
				continue
			}
			for range 4 {
				if i++; i >= len(q.s) || strings.IndexByte("0123456789abcdefABCDEF", q.s[i]) < 0 {
					return false
				}
			}
		}
	}
	return false
}
