package whatsapp

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// IdentityKind says in which name space an identity lives.
type IdentityKind string

// The kinds of identity Meta uses for one person.
const (
	KindPhone       IdentityKind = "phone"        // E.164 with its plus, as the business wrote it (after repairs)
	KindWaID        IdentityKind = "wa_id"        // digits, as Meta writes them; may lack Brazil's ninth digit
	KindBSUID       IdentityKind = "bsuid"        // business-scoped user id, "BR.1502…"; may come without any phone
	KindParentBSUID IdentityKind = "parent_bsuid" // the same over a family of portfolios, "BR.ENT.…"
)

// Identity names one person in one name space. Its String is masked; Value is
// the full text, for storing and sending only.
type Identity struct {
	Kind  IdentityKind
	Value string
}

// Zero reports whether the identity is empty.
func (i Identity) Zero() bool { return i.Value == "" }

// String returns the masked identity, safe for logs and errors.
func (i Identity) String() string {
	if i.Zero() {
		return ""
	}
	return string(i.Kind) + ":" + Mask(i.Value)
}

// Format makes every fmt verb print the masked form.
func (i Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(i.String())) }

// LogValue makes slog print the masked form.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.String()) }

// Phone is a telephone number in E.164 with its plus ("+5511900000001"). The
// zero value is no number. Use ParsePhone to make one from what people write.
type Phone string

// E164 returns the full number, for storing and sending only.
func (p Phone) E164() string { return string(p) }

// Digits returns the number without its plus, as Meta writes wa_ids.
func (p Phone) Digits() string { return strings.TrimPrefix(string(p), "+") }

// Identity returns the number as an identity of kind phone.
func (p Phone) Identity() Identity { return Identity{KindPhone, string(p)} }

// String returns the masked number ("+55…01").
func (p Phone) String() string { return Mask(string(p)) }

// Format makes every fmt verb print the masked form.
func (p Phone) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }

// LogValue makes slog print the masked form.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// WaID is a WhatsApp id: digits as Meta answers them. It may differ from the
// number we sent to (Brazil, Mexico, Argentina) and must never be corrected.
type WaID string

// Identity returns the id as an identity of kind wa_id.
func (w WaID) Identity() Identity { return Identity{KindWaID, string(w)} }

// String returns the masked id.
func (w WaID) String() string { return Mask(string(w)) }

// Format makes every fmt verb print the masked form.
func (w WaID) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(w.String())) }

// LogValue makes slog print the masked form.
func (w WaID) LogValue() slog.Value { return slog.StringValue(w.String()) }

// BSUID is a business-scoped user id. People who use usernames may reach us
// with nothing else.
type BSUID string

// Identity returns the id as an identity of kind bsuid.
func (b BSUID) Identity() Identity { return Identity{KindBSUID, string(b)} }

// String returns the masked id.
func (b BSUID) String() string { return Mask(string(b)) }

// Format makes every fmt verb print the masked form.
func (b BSUID) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(b.String())) }

// LogValue makes slog print the masked form.
func (b BSUID) LogValue() slog.Value { return slog.StringValue(b.String()) }

// Wamid is Meta's message id. It is base64 that contains the recipient's phone
// in clear, so it is personal data: its String is masked.
type Wamid string

// String returns the masked id.
func (w Wamid) String() string {
	if w == "" {
		return ""
	}
	if len(w) < 12 {
		return "wamid…"
	}
	return "wamid…" + string(w[len(w)-4:])
}

// Format makes every fmt verb print the masked form.
func (w Wamid) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(w.String())) }

// LogValue makes slog print the masked form.
func (w Wamid) LogValue() slog.Value { return slog.StringValue(w.String()) }

// Person returns whom the id names: Meta writes the recipient's number, without
// its plus, or BSUID in front of what makes the id unique. That is documented
// nowhere, so ok is false for an id that looks otherwise.
func (w Wamid) Person() (id Identity, ok bool) {
	const lead, field = 0x1c, 0x18
	text, _ := strings.CutPrefix(string(w), "wamid.")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) < 3 || raw[0] != lead || raw[1] != field || len(raw) < 3+int(raw[2]) {
		return id, false
	}
	switch who := string(raw[3 : 3+raw[2]]); {
	case who == "" || len(who) > 128:
		return id, false
	case strings.Trim(who, "0123456789") == "":
		return WaID(who).Identity(), true
	case strings.Contains(who, "."):
		return BSUID(who).Identity(), true
	default:
		return id, false
	}
}

// Mask keeps the first three and the last two characters of an identity:
// enough to recognise a number one knows, too little to learn one.
func Mask(s string) string {
	r := []rune(s)
	switch {
	case len(r) == 0:
		return ""
	case len(r) < 8:
		return "…"
	default:
		return string(r[:3]) + "…" + string(r[len(r)-2:])
	}
}
