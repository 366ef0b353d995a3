package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// digest hashes the seed and some texts; lengths are mixed in, so that no two
// lists of texts collide by joining.
func digest(seed int64, parts ...string) [32]byte {
	buf := make([]byte, 0, 128)
	buf = binary.BigEndian.AppendUint64(buf, uint64(seed))
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	return sha256.Sum256(buf)
}

// dice is the source of everything random: it depends on the seed and on what
// is asked about, on nothing else.
func dice(seed int64, parts ...string) *rand.Rand {
	h := digest(seed, parts...)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])))
}

// decimal returns n digits (at most 18), the first one not zero.
func decimal(seed int64, n int, parts ...string) string {
	h := digest(seed, parts...)
	first := '1' + rune(h[0]%9)
	rest := strconv.FormatUint(binary.BigEndian.Uint64(h[8:16]), 10) + "000000000000000000"
	return string(first) + rest[1:n]
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// waID returns the WhatsApp id of a number given as digits. Meta may change
// the extra prefix of Brazilian and Mexican numbers, by design: about half of
// the Brazilians beyond DDD 28 have an id without the ninth digit, and Mexican
// mobiles carry a 1. With and without the digit it is one person, one id.
func waID(seed int64, digits string) string {
	switch {
	case strings.HasPrefix(digits, "52") && len(digits) == 12:
		return "521" + digits[2:]
	case strings.HasPrefix(digits, "55") && (len(digits) == 12 || len(digits) == 13):
		ddd, sub := digits[2:4], digits[4:]
		if len(sub) == 9 && sub[0] == '9' {
			sub = sub[1:]
		}
		if len(sub) != 8 || sub[0] < '6' {
			return digits // a landline, or no mobile account from the time of eight digits
		}
		if ddd > "28" && digest(seed, "ninth", ddd, sub)[0]&1 == 0 {
			return "55" + ddd + sub
		}
		return "55" + ddd + "9" + sub
	default:
		return digits
	}
}

// bsuid returns the business-scoped user id of the person with this wa_id.
func bsuid(seed int64, wa string) string {
	country := "XX"
	for _, c := range []struct{ prefix, code string }{
		{"55", "BR"}, {"52", "MX"}, {"54", "AR"}, {"351", "PT"}, {"34", "ES"}, {"1", "US"},
	} {
		if strings.HasPrefix(wa, c.prefix) {
			country = c.code
			break
		}
	}
	return country + "." + decimal(seed, 17, "bsuid", wa)
}

// wamid makes a message id as Meta's look: base64 in which the person's id
// stands in clear, then something unique.
func wamid(who string, unique []byte, inbound bool) string {
	dir := byte(0x11)
	if inbound {
		dir = 0x12
	}
	b := append([]byte{0x1c, 0x18, byte(len(who))}, who...)
	b = append(b, 0x15, 0x02, 0x00, dir, 0x18, byte(2*len(unique)))
	b = append(b, strings.ToUpper(hex.EncodeToString(unique))...)
	return "wamid." + base64.StdEncoding.EncodeToString(append(b, 0))
}

// expiration is the end of a conversation as Meta writes it: 24 hours after
// sent, rounded up to the full minute. Unix seconds.
func expiration(sent int64) int64 {
	return (sent + 24*3600 + 59) / 60 * 60
}

// asciiJSON marshals as Meta does for webhooks: everything beyond ASCII and
// every slash escaped. A receiver that signs what it re-serialised is found
// out by it.
func asciiJSON(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(plain)+32)
	for len(plain) > 0 {
		r, n := utf8.DecodeRune(plain)
		plain = plain[n:]
		switch {
		case r == '/':
			out = append(out, '\\', '/')
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r > 0xFFFF:
			r -= 0x10000
			out = appendEscape(appendEscape(out, 0xD800+r>>10), 0xDC00+r&0x3FF)
		default:
			out = appendEscape(out, r)
		}
	}
	return out, nil
}

func appendEscape(b []byte, r rune) []byte {
	const hexdigits = "0123456789abcdef"
	return append(b, '\\', 'u', hexdigits[r>>12&15], hexdigits[r>>8&15], hexdigits[r>>4&15], hexdigits[r&15])
}

func seconds(ms int64) string { return strconv.FormatInt(ms/1000, 10) }

// fate is what chance holds for one message. All of it is drawn at once and in
// a fixed order, so that changing one chance moves no other.
type fate struct {
	undeliverable, capped, held       bool
	never, read, omit, reorder        bool
	failedAfterSent                   bool
	latency, sent, delivered, readDue time.Duration
	heldFor                           time.Duration
	again                             [4]time.Duration // 0: posted once
}

func (p *Profile) fate(d *rand.Rand) fate {
	chance := func(c float64) bool { return d.Float64() < c }
	f := fate{
		undeliverable:   chance(p.Undeliverable),
		capped:          chance(p.MarketingCap),
		held:            chance(p.HeldChance),
		never:           chance(p.NeverDelivered),
		read:            chance(p.ReadChance),
		omit:            chance(p.OmitDelivered),
		reorder:         chance(p.ReorderWebhook),
		failedAfterSent: chance(p.FailedAfterSent),
		latency:         p.AnswerLatency.draw(d),
		sent:            p.StatusDelay.draw(d),
		delivered:       p.StatusDelay.draw(d),
		readDue:         p.ReadDelay.draw(d),
		heldFor:         p.HeldDelay.draw(d),
	}
	for i := range f.again {
		twice, after := chance(p.DuplicateWebhook), Span{time.Second, time.Minute}.draw(d)
		if twice {
			f.again[i] = after
		}
	}
	return f
}
