// Package console is the operator's web pages: see what the house does, and steer
// it. It is a face over the operations that the command line uses, called in the
// same process for the visitor, so that console, command line and API show the
// same numbers, obey the same rules and leave the same lines in the audit log.
//
//	browser ─▶ Console ─▶ session, role ─▶ route ─▶ httpapi.Client ─▶ operations
//	   ▲          │
//	   └── /live ─┘  a beat when something was committed: the page asks for itself
//
// A page is HTML from the server (pages/*.html) in the visitor's language
// (words/*.toml) and works without JavaScript: forms post, and the answer is a
// redirect to a page that says what was done. With JavaScript a page keeps itself
// up to date, lists grow in place, and the chart can be read with the pointer.
//
// To add a page: a line in routes, a template, its words in both languages.
//
// It owns no table. Sessions and operators are access's.
//
// Invariants:
//   - nothing is shown and nothing is done without a session whose role permits
//     it; roles are looked up for every request
//   - a request that changes something is a POST of this very origin
//   - no page runs or loads anything that is not this program's: the policy
//     (Content-Security-Policy) forbids it, and styles and scripts are files
//   - what people wrote is text: templates escape, and nothing is marked as safe
//   - no page reads a table that grows from its beginning to its end
package console
