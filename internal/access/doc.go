// Package access knows who may and who did. In this version it keeps the audit
// log: one append-only row for every change made by a file, the command line,
// the API or the console, with the actor, the command, the object, and what it
// was before and after. It owns the table audit. API keys and operators come
// with the HTTP API.
package access
