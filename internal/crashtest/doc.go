// Package crashtest kills the real process, again and again, while a campaign
// runs over a misbehaving network, and then asks the other side: the sandbox's
// ledger says whether anybody got a message twice, the database whether anybody
// was lost. It holds tests only.
//
// CRASH_KILLS and CRASH_RECIPIENTS make it longer.
package crashtest
