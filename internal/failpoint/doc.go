// Package failpoint names the places at which a test breaks the process: before
// and after every commit that something hangs on, and at every step of a
// request. A program built as usual holds nothing of it: Hit and Err are empty,
// and the compiler leaves them out.
//
// Built with the tag failpoint, the environment says what happens where:
//
//	FAILPOINTS     = name=action[@n][,…]   at the n-th time that name is passed (1), once
//	FAILPOINTS_LOG = file                  the name of every place that is passed, once each
//
//	exit     the process ends at once, with status 86
//	panic    a panic
//	error    Err returns an error; Hit has none to return, and goes on
//	stall:5s it takes so long
//
// A name is the room, what is done, and where in it: dispatch.claim.commit is the
// last thing inside the transaction of a claim, dispatch.claim.committed the
// first thing after it. Every name stands in the code once.
package failpoint
