package otp

import (
	"janela/internal/access"
	"janela/internal/store"
)

var sqlIdentity = store.SQL(`UPDATE code_sends SET identity = ?2 WHERE message_id = ?1 AND identity <> ?2`)

const maxIdentity = 256 // bytes: Meta's hashes have far fewer

// NotRequested is the person's tap on "I didn't request a code" under a message:
// its challenge ends at once, and the phone gets no codes for a while, except
// from a device that is known. The caller has checked that the tap came from the
// phone that the message went to.
func (o *OTP) NotRequested(tx *store.Tx, message int64) error {
	s, ok, err := store.Get[sent](tx, sqlSent, message)
	if err != nil || !ok {
		return err
	}
	ch, ok, err := store.Get[challenge](tx, sqlChallenge, s.Challenge)
	if err != nil || !ok {
		return err
	}
	now := tx.Now()
	if _, err := tx.Exec(sqlMute, ch.PhoneKey, store.Millis(now.Add(o.cfg().MuteFor)), store.Millis(now)); err != nil {
		return err
	}
	o.countReported()
	err = access.Note(tx, access.Entry{Actor: "person", Command: "otp not requested", Object: ch.ID, Before: string(ch.now(now))})
	if err != nil || ch.now(now) != Pending {
		return err
	}
	return o.end(tx, &ch, Reported, "")
}

// IdentityKey notes Meta's hash of the recipient's identity key, as a status of
// a message reported it. It is kept as the phone's when the code is verified.
func (o *OTP) IdentityKey(tx *store.Tx, message int64, hash string) error {
	if hash == "" || len(hash) > maxIdentity {
		return nil
	}
	_, err := tx.Exec(sqlIdentity, message, hash)
	return err
}
