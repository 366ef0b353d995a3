// Package cloudapi makes the calls to Meta's Cloud API that this program needs:
// sending a message, listing templates and numbers, uploading media. It is the
// only user of go-retryablehttp, and it holds no state but connections and
// what one send leaves for the next to use again.
//
// Sending has one rule above all others: Meta knows no idempotency key, so a
// request that may have arrived is never written again. Of every failed send
// the Error says whether the message was surely not sent:
//
//	no connection was ever obtained (httptrace GotConn)   NotSent, class retry
//	Graph error with a documented code, accepted=no       NotSent, the code's class
//	Graph error, undocumented code, 4xx                   NotSent, class drop
//	anything else after a connection: reset, timeout,     not NotSent, class unknown
//	  3xx, 5xx without a Graph body, codes 1 and 131000,
//	  2xx without a message id, a body that is cut off
//
// Invariants, each held by a test: one Send is processed at most once by the
// server, over HTTP/1.1 and HTTP/2, whatever the network does; neither token,
// URL query nor a phone number stands in any error; the token travels in the
// Authorization header only (DebugToken apart, whose parameter it is) and
// follows no redirect; no wait is longer than an
// hour because a server said so.
package cloudapi
