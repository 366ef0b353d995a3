// Package seeded tests the tests: it plants known bugs of such daemons into a
// copy of the source, one at a time, and wants the test that guards against each
// to fail.
//
//	SEEDED=1 go test ./internal/seeded -v -timeout 30m
package seeded
