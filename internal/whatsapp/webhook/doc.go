// Package webhook reads what Meta posts to us: it verifies the signature over
// the raw bytes and decodes a callback into a closed set of events. It does no
// I/O and keeps nothing.
//
// A callback is entry[] of changes[] of statuses[], messages[] or one account
// event. Two webhook versions may arrive side by side (up to v23 with a
// conversation in every status, from v24 mostly without), fields come and go,
// and one person may be named by phone, by user id, or by both. So decoding is
// loose about everything that is not needed to know what happened:
//
//	the body is no JSON object with an entry list   an error; nothing is known
//	an element cannot be understood                 Unknown, in its place; the others survive
//	a field is missing, null, of another type, new  left empty or ignored
//
// Invariants: Decode never panics and loses no element silently; the events
// stand in the order of the body; a business-scoped user id is never left in a
// field for phone ids, wherever Meta put it.
package webhook
