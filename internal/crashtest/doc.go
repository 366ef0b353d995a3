// Package crashtest kills the real process, again and again, while a campaign
// runs over a misbehaving network, and then asks the other side: the sandbox's
// ledger says whether anybody got a message twice, the database whether anybody
// was lost. It holds tests of the real process only: beside the crashes, a
// Graph API as an outsider would mock it, and the benchmark of a campaign.
//
// The tests named Torture compare both ledgers and tell what they found as a line
// of a table; they are small by themselves, and take hours with TORTURE=full
// (make torture). TORTURE_KILLS, TORTURE_CUTS and the like set one size, and
// TORTURE_TABLE names a file for the lines.
package crashtest
