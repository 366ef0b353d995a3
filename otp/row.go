package otp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Times of a code's life that are no matter of taste.
const (
	maxTTL    = 10 * time.Minute // NIST SP 800-63B: a secret sent out of band is invalid after 10 min
	sameCode  = 5 * time.Minute  // as long as this the same code is sent again: template footers say 5 min
	lastSend  = 30 * time.Second // before its end no code leaves any more: nobody could type it
	againWait = 6 * time.Second  // Meta: one message in 6 s to the same person
)

// challenge is one row of the table.
type challenge struct {
	ID, Client, Purpose        string
	Contact                    int64
	PhoneKey, PhoneMAC         string
	PrefixKey                  string
	Masked, Country            string
	IPKey, Binding             string
	Language, Device           string
	Trusted, Decoy             bool
	Digits                     int
	KID, Seed                  string
	Gen, Attempts, MaxAttempts int
	Resends, MaxResends        int
	State                      State
	Reason, Channel            string
	Message                    int64
	Metadata                   string
	CreatedAt, CodeAt          int64 // ms
	ExpiresAt, EndedAt         int64 // ms
}

const challengeColumns = `c.id, c.client, c.purpose, c.contact_id, c.phone_key, c.phone_mac, c.prefix_key, c.masked, c.country, c.ip_key, c.binding, c.language, c.device,
	c.trusted, c.decoy, c.digits, c.kid, c.seed, c.gen, c.attempts, c.max_attempts, c.resends, c.max_resends, c.state, c.reason, c.channel, c.message_id,
	c.metadata, c.created_at, c.code_at, c.expires_at, c.ended_at`

// Fields names the places of challengeColumns.
func (ch *challenge) Fields() []any {
	return []any{&ch.ID, &ch.Client, &ch.Purpose, &ch.Contact, &ch.PhoneKey, &ch.PhoneMAC, &ch.PrefixKey, &ch.Masked, &ch.Country, &ch.IPKey, &ch.Binding, &ch.Language, &ch.Device,
		&ch.Trusted, &ch.Decoy, &ch.Digits, &ch.KID, &ch.Seed, &ch.Gen, &ch.Attempts, &ch.MaxAttempts, &ch.Resends, &ch.MaxResends, &ch.State, &ch.Reason, &ch.Channel, &ch.Message,
		&ch.Metadata, &ch.CreatedAt, &ch.CodeAt, &ch.ExpiresAt, &ch.EndedAt}
}

var (
	sqlChallenge = store.SQL(`SELECT ` + challengeColumns + ` FROM challenges c WHERE c.id = ?1`)
	sqlEnd       = store.SQL(`UPDATE challenges SET state = ?2, reason = ?3, seed = '', ended_at = ?4 WHERE id = ?1 AND state = 'pending'`)
	sqlWaiting   = store.SQL(`SELECT s.message_id FROM code_sends s JOIN messages m ON m.id = s.message_id WHERE s.challenge_id = ?1 AND m.state = 'queued'`)
)

// find returns a challenge that the caller may know of. Another client's, and
// one of a purpose that is not the key's, is as unknown as one that never was.
func (o *OTP) find(q store.Querier, c Caller, id string) (challenge, error) {
	ch, ok, err := store.Get[challenge](q, sqlChallenge, id)
	if err == nil && (!ok || !c.knows(&ch)) {
		err = denied(CodeNotFound, "there is no such challenge")
	}
	return ch, err
}

func (c Caller) knows(ch *challenge) bool { return ch.Client == c.Client && c.may(ch.Purpose) }

// now returns the state as it is at an instant: one that has expired does not
// wait for the sweep.
func (ch *challenge) now(at time.Time) State {
	switch {
	case ch.State == Pending && store.Millis(at) >= ch.ExpiresAt:
		return Expired
	case ch.State == Pending && ch.Attempts >= ch.MaxAttempts: // no verb leaves a row so
		return Exhausted
	default:
		return ch.State
	}
}

// ended says how a challenge ended: its state, or why it failed.
func (ch *challenge) ended(at time.Time) string {
	switch s := ch.now(at); s {
	case Pending:
		return ""
	case Failed:
		return ch.Reason
	default:
		return string(s)
	}
}

// gone is the answer to whoever wants something of a challenge that ended.
func (ch *challenge) gone(at time.Time) *Denied {
	return &Denied{Code: CodeGone, Reason: ch.ended(at), Detail: "the challenge is over; ask for a new code"}
}

// end ends a pending challenge: the seed is wiped, and what is still queued of
// it never leaves.
func (o *OTP) end(tx *store.Tx, ch *challenge, to State, reason string) error {
	if err := ch.close(tx, to, reason); err != nil {
		return err
	}
	return o.drop(tx, ch, "code_over")
}

func (ch *challenge) close(tx *store.Tx, to State, reason string) error {
	now := store.Millis(tx.Now())
	ch.State, ch.Reason, ch.Seed, ch.EndedAt = to, reason, "", now
	tx.Wake(Topic)
	if _, err := countOut(tx, ch.ID, anyStage); err != nil {
		return err
	}
	if err := tx.One(sqlEnd, ch.ID, string(to), reason, now); err != nil {
		return err
	}
	return countIn(tx, ch.ID)
}

// drop cancels the queued messages of a challenge.
func (o *OTP) drop(tx *store.Tx, ch *challenge, reason string) error {
	if ch.Decoy {
		return o.withdraw(tx, ch)
	}
	ids, err := store.All[store.Col[int64]](tx, sqlWaiting, ch.ID)
	if err != nil || len(ids) == 0 {
		return err
	}
	messages := make([]int64, len(ids))
	for i := range ids {
		messages[i] = ids[i].V
	}
	out, err := outbox.CancelMessages(tx, messages, reason)
	if err != nil {
		return err
	}
	return o.tell(tx, out)
}

// tell hands outcomes to the daemon's follow-up, of which Outcomes is a part.
func (o *OTP) tell(tx *store.Tx, out []outbox.Outcome) error {
	if len(out) == 0 {
		return nil
	}
	if o.deps.Outcomes != nil {
		return o.deps.Outcomes(tx, out)
	}
	return o.Outcomes(tx, out)
}

// exact is the keyed hash that binds a row to its number.
func (o *OTP) exact(address string) string { return o.MAC("exact", []byte(address)) }

// phoneKey is the keyed hash of a number under all its spellings.
func (o *OTP) phoneKey(p whatsapp.Phone) string {
	return o.MAC("phone", []byte(whatsapp.MatchKey(p.Identity())))
}

// prefixKey is the keyed hash of a number's range: all but its last four digits.
func (o *OTP) prefixKey(p whatsapp.Phone) string {
	digits := whatsapp.MatchKey(p.Identity())
	return o.MAC("prefix", []byte(digits[:max(len(digits)-4, 0)]))
}

// address returns the number that a challenge is bound to: the address of its
// message, or, where none was ever sent, that name of its contact. ok is false
// when the rows do not belong together.
func (o *OTP) address(q store.Querier, ch *challenge) (p whatsapp.Phone, ok bool, err error) {
	var names []whatsapp.Identity
	if ch.Message > 0 {
		m, found, err := outbox.ByID(q, ch.Message)
		if err != nil || !found {
			return "", false, err
		}
		names = []whatsapp.Identity{m.To()}
	} else if names, err = contacts.Identities(q, ch.Contact); err != nil {
		return "", false, err
	}
	for _, id := range names {
		if id.Kind == whatsapp.KindPhone && o.exact(id.Value) == ch.PhoneMAC {
			return whatsapp.Phone(id.Value), true, nil
		}
	}
	return "", false, nil
}

// code makes the code of a challenge for the number it is bound to. ok is false
// when its key is gone, or the row is not what it was.
func (o *OTP) code(ch *challenge, p whatsapp.Phone) (c Code, ok bool, err error) {
	seed, err := hex.DecodeString(ch.Seed)
	if err != nil || len(seed) != seedBytes || p == "" {
		return Code{}, false, nil //nolint:nilerr // no fault of the machine: a wiped row, or one that somebody changed
	}
	s, ok, err := o.deps.Keys.secret(ch.KID, bound{seed: seed, id: ch.ID, client: ch.Client, purpose: ch.Purpose, e164: p.E164(), binding: ch.Binding})
	if err != nil || !ok {
		return Code{}, false, err
	}
	c, err = s.Code(uint64(ch.Gen), ch.Digits)
	return c, err == nil, nil
}

var idText = base32.StdEncoding.WithPadding(base32.NoPadding)

// newID returns the id of what begins at an instant: otp_ and 26 small letters and
// digits, of which the first ten or so are the time (48 bits of milliseconds, as in
// a UUIDv7) and the others 80 random bits. So what is asked for at the same time
// stands together in the indexes: ids in no order would have every step of every
// challenge write a page of its own.
func newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(store.Millis(now))<<16)
	_, _ = rand.Read(b[6:]) // never fails: crypto/rand ends the program instead
	return "otp_" + strings.ToLower(idText.EncodeToString(b[:]))
}

func newSeed() string {
	var b [seedBytes]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// maskNumber shows the first three and the last two characters of a number, and
// how long it is: "+55*********21".
func maskNumber(p whatsapp.Phone) string {
	e := p.E164()
	if len(e) < 8 {
		return strings.Repeat("*", len(e))
	}
	return e[:3] + strings.Repeat("*", len(e)-5) + e[len(e)-2:]
}

func denied(code, detail string) *Denied { return &Denied{Code: code, Detail: detail} }
