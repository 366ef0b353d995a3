// Package connect brings a house together with an account of Meta's: it checks
// the token, finds accounts and numbers, writes the secrets and config.toml, has
// Meta post its callbacks to us, and sends one message to see that it all works.
//
//	reach ▶ token ▶ permissions ▶ accounts ▶ numbers
//	      ▶ secrets ▶ configuration ▶ daemon ▶ subscription ▶ callback ▶ templates ▶ test message
//
// Every step says what it found or did. What is as it should be is left alone, so
// that it can be run again and goes on where it stopped. A step that fails ends
// it and says what to do.
//
// Invariants:
//   - nothing is written before Meta has accepted the token and shown the numbers
//   - config.toml is changed key by key where it stands; a file that would say
//     anything else than before beside those keys is not written; the file as it
//     was stays beside it
//   - secrets are in files of mode 0600, never in an argument, an error or a line
//     that is shown
//   - a callback address that another program has is not taken from it unasked
package connect
