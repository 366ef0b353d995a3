package optin

import (
	"slices"
	"time"
)

// Standing is one row of the table consents: the latest grant and the latest
// revocation of a contact in one category and scope. Zero times: never.
type Standing struct {
	Contact     int64
	Scope       string
	GrantedAt   time.Time
	RevokedAt   time.Time
	GrantEvent  int64
	RevokeEvent int64
}

// Facts is what decides for one contact, in one category, on one number: the
// latest of each kind, zero for none.
type Facts struct {
	GrantedAt   time.Time // by the contact itself, in a matching scope
	GrantEvent  int64
	RevokedAt   time.Time // by anybody who is the same person, in a matching scope
	RevokeEvent int64
	BlockedAt   time.Time // the latest block in WhatsApp itself (ScopeMeta), of anybody who is the same person, that no lift followed
	BlockEvent  int64
}

// State is the answer: may messages of the category go to the contact?
type State struct {
	Granted     bool
	GrantedAt   time.Time // the latest grant, zero for none
	RevokedAt   time.Time // the latest revocation or standing block, zero for none
	GrantEvent  int64
	RevokeEvent int64
	Reason      string // ReasonNoOptIn, ReasonOptedOut, or "" when granted
}

// Gather picks what decides from the rows of a person: contact is the one to be
// written to, rows are those of every contact that is the same person, and
// scopes are those that cover the number (see Scopes).
func Gather(contact int64, scopes []string, rows []Standing) Facts {
	var f Facts
	for _, r := range rows {
		if r.Scope == ScopeMeta {
			if r.RevokedAt.After(r.GrantedAt) && r.RevokedAt.After(f.BlockedAt) {
				f.BlockedAt, f.BlockEvent = r.RevokedAt, r.RevokeEvent
			}
			continue
		}
		if !slices.Contains(scopes, r.Scope) {
			continue
		}
		if r.Contact == contact && r.GrantedAt.After(f.GrantedAt) {
			f.GrantedAt, f.GrantEvent = r.GrantedAt, r.GrantEvent
		}
		if r.RevokedAt.After(f.RevokedAt) {
			f.RevokedAt, f.RevokeEvent = r.RevokedAt, r.RevokeEvent
		}
	}
	return f
}

// Decide judges. A grant must be later than every revocation; at a tie it is
// revoked. A block in WhatsApp itself forbids whatever was granted, also later,
// until it is lifted there; a lift grants nothing.
func Decide(f Facts) State {
	s := State{GrantedAt: f.GrantedAt, GrantEvent: f.GrantEvent, RevokedAt: f.RevokedAt, RevokeEvent: f.RevokeEvent}
	if f.BlockedAt.After(s.RevokedAt) {
		s.RevokedAt, s.RevokeEvent = f.BlockedAt, f.BlockEvent
	}
	switch {
	case !f.BlockedAt.IsZero():
		s.Reason = ReasonOptedOut
	case f.GrantedAt.After(f.RevokedAt):
		s.Granted = true
	case !f.RevokedAt.IsZero():
		s.Reason = ReasonOptedOut
	default:
		s.Reason = ReasonNoOptIn
	}
	return s
}
