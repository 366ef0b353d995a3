// Package archtest holds the rules that keep the plan of the house true, as
// tests. The plan itself is docs/architecture.md: the table of rooms there is
// parsed here, so picture and test are one text.
//
//	imports_test.go     1  who may import whom; top-level names; required modules
//	sender_test.go      2  one door out
//	tables_test.go      3  every table has one owner; no large table is walked
//	clock_test.go       4  no decision reads a clock
//	goroutines_test.go  5  no goroutine that nobody waits for
//	files_test.go       6  package comments, sizes, what is linked
//	personal_test.go    7  where personal data may stand
//	docs_test.go           reasons are documented; nothing names this machine
//
// Every failure names both ways out: how to bend the code, and where to change
// the rule if the rule is wrong. The whole takes less than five seconds.
package archtest
