// Package dossier is one person's file: everything that is known of somebody,
// for the person who asks (LGPD, article 18; GDPR, article 15), as JSON and as a
// text to read; and forgetting it. Forget empties what names the person, by the
// rooms that own the tables, and leaves rows of nobody: conversations, prices,
// consents without evidence.
//
// It owns no table and reads those of all rooms, by the person's contacts:
//
//	identities, consent_events, consents, consent_reviews,
//	pending_consents
//	messages, past_messages, streams, conversations, inbound_messages,
//	service_windows
//	challenges (by the messages that carried codes), callbacks (by their bytes)
//
// What people wrote to the business is not kept but in Meta's callbacks as they
// came: the file says how many of them name the person.
//
// Invariants:
//   - every table that is marked -- personal is in Personal, with what forgetting
//     does to it
//   - the names go last, with all that is found by contact, in one transaction:
//     what a crash has interrupted is begun again by the same command
//   - the file of somebody holds nothing of anybody else: only contacts found to
//     be the same person are read
//   - of a message it says which consent it was sent under: the grant that
//     decided at the moment of its claim
//   - no code stands in it, and none could: no table has one
package dossier
