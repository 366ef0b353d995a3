// Package contacts knows people and the names Meta and the business have for
// them: phones as the business wrote them, wa_ids as Meta writes them, and
// business-scoped user ids that come without any phone.
//
// Tables: contacts, identities (personal).
//
// An identity points to one contact, for ever. A contact points to its root:
// itself, or the lowest contact it was joined to.
//
//	phone +55 11 90000-0001 ──┐
//	                          ├── contact 7 (root 7) ◄── root ── contact 9
//	wa_id 551190000001 ───────┘                                     │
//	                                             bsuid BR.1502… ────┘
//
// What a new identity does depends on what is known (Learn):
//
//	none known        one new contact, all identities on it
//	one contact       the new identities go on it
//	two contacts      joined: every contact under the higher root gets the lower
//
// Nothing else is rewritten by a join. The other ledgers keep the contact id
// they were given and resolve it through the root: a revocation on any member
// binds all of them, a grant counts only on the contact it was given to.
//
// There are two ways to reach a person. Exact (Find): an identity as it is
// stored, or one learnt with it; everything positive goes this way, such as a
// grant or a code. Wide (Reach): also every spelling of the number (Brazil's
// ninth digit, Mexico's 521, Argentina's 549); only a STOP goes this way,
// because stopping one person too many is the lesser harm.
//
// Invariants:
//   - roots are flat: the root of a root is itself
//   - the root of a contact is the lowest id of its person, so a join gives the
//     same result whichever side was seen first
//   - an identity never moves to another contact
package contacts
