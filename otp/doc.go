// Package otp makes one-time codes: HOTP (RFC 4226) with HMAC-SHA-256, six to
// eight digits.
//
// This release has the code generator only. Issuing codes and verifying them
// over HTTP, with their limits, challenges and tables, come in the next one:
// nothing in the program calls this package yet.
//
// Invariants:
//   - a secret has at least 20 bytes (RFC 4226 recommends 160 bits)
//   - nothing but Reveal ever shows a code, and nothing shows a secret: both
//     write <secret> into logs, errors, JSON and fmt
//   - an empty code equals nothing
//
// Tables: none yet.
package otp
