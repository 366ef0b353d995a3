// Package crashtest kills the real process, again and again, while a campaign
// runs over a misbehaving network, and then asks the other side: the sandbox's
// ledger says whether anybody got a message twice, the database whether anybody
// was lost. It holds tests of the real process only: beside the crashes, a
// Graph API as an outsider would mock it, and the benchmark of a campaign.
//
// CRASH_KILLS and CRASH_RECIPIENTS make it longer.
package crashtest
