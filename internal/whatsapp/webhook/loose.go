package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/whatsapp"
)

// text reads a JSON string, number or boolean as text: Meta writes ids and
// limits in several ways. Anything else leaves it empty.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		if inside := b[1 : len(b)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
			*t = text(inside) // nothing to unescape: nearly always
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case '{', '[', 'n':
		*t = ""
	default:
		*t = text(b)
	}
	return nil
}

// instant reads a time: seconds as a number or a string, or milliseconds when
// the number is that large; also an ISO date-time. It keeps Meta's seconds, in
// UTC, and is zero for anything it cannot read. Whether a time is believable
// is the caller's rule.
type instant struct{ time.Time }

func (i *instant) UnmarshalJSON(b []byte) error {
	i.Time = time.Time{}
	var t text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	i.read(string(t))
	return nil
}

// read reads the text of a time.
func (i *instant) read(s string) {
	s = strings.TrimSpace(s)
	if n, ok := whole(s); ok {
		if n >= 1e12 {
			n /= 1000
		}
		if n > 0 && n < 1e12 { // 1e12 s is far beyond the year 9999
			if at := time.Unix(n, 0).UTC(); at.Year() <= 9999 {
				i.Time = at
			}
		}
		return
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700"} {
		if at, err := time.Parse(layout, s); err == nil {
			i.Time = at.UTC().Truncate(time.Second)
			return
		}
	}
}

// number reads a whole JSON number, or a string that holds one; else noCode.
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	*n = noCode
	if v, ok := whole(strings.Trim(string(b), `" `)); ok && v == int64(int32(v)) {
		*n = number(v)
	}
	return nil
}

func whole(s string) (int64, bool) {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v, true
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<53 {
		return int64(f), true
	}
	return 0, false
}

// boolean reads a boolean, also as a string; nil for anything else.
type boolean struct{ value *bool }

func (f *boolean) UnmarshalJSON(b []byte) error {
	f.value = nil
	if v, err := strconv.ParseBool(strings.Trim(string(b), `"`)); err == nil && len(b) > 3 {
		f.value = &v
	}
	return nil
}

// list reads a list. Elements of another type than expected are left empty, so
// that each still stands for itself; odd tells that there was something else
// than a list.
type list[T any] struct {
	items []T
	odd   bool
}

func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = list[T]{odd: b[0] != '[' && b[0] != 'n'}
	if b[0] != '[' {
		return nil
	}
	if err := json.Unmarshal(b, &l.items); err != nil && !isTypeError(err) {
		return err
	}
	return nil
}

// loose decodes an object, leaving fields of another type than expected empty.
// It is false when raw is no object.
func loose(raw json.RawMessage, into any) bool {
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	err := json.Unmarshal(raw, into)
	return err == nil || isTypeError(err)
}

func isTypeError(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

// identity is a person in one callback: a field meant for a phone id may hold a
// user id, and each field may be missing.
type identity struct {
	waID   whatsapp.WaID
	user   whatsapp.BSUID
	parent whatsapp.BSUID
}

// person sorts the ids of one person by what they are, whatever field they
// came in. A field made for an id wins over one that merely holds it.
func person(phone, user, parent text) identity {
	p := identity{user: whatsapp.BSUID(trim(user)), parent: whatsapp.BSUID(trim(parent))}
	if isParentUserID(string(p.user)) && p.parent == "" {
		p.user, p.parent = "", p.user
	}
	switch s := trim(phone); {
	case isParentUserID(s):
		if p.parent == "" {
			p.parent = whatsapp.BSUID(s)
		}
	case isUserID(s):
		if p.user == "" {
			p.user = whatsapp.BSUID(s)
		}
	default:
		p.waID = whatsapp.WaID(strings.TrimPrefix(s, "+"))
	}
	return p
}

// known tells whether there is any id.
func (p identity) known() bool { return p.waID != "" || p.user != "" || p.parent != "" }

// contradicts tells whether both name a person in one name space, differently.
func (p identity) contradicts(q identity) bool {
	return p.waID != "" && q.waID != "" && p.waID != q.waID || p.user != "" && q.user != "" && p.user != q.user
}

func trim(t text) string { return strings.TrimSpace(string(t)) }

// isUserID tells a business-scoped user id ("BR.1502…") from a phone id.
func isUserID(s string) bool {
	return len(s) > 3 && s[2] == '.' && isLetter(s[0]) && isLetter(s[1])
}

func isParentUserID(s string) bool { return isUserID(s) && strings.HasPrefix(s[3:], "ENT.") }

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' }
