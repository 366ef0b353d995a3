// Package bench measures this program against plain loops that do the same
// without it, in one run on one machine, and says how many times more it costs.
// Machines differ and are noisy: a ratio says something, messages a second say
// little. It measures; it judges nothing but counts.
//
// Every measurement has at least three processes, all of this program: who
// measures, a sink that stands where Meta would be, and what is measured, alone
// in its process so that its processor time and memory are its own.
//
//	janela bench send ── start, release, usage ──▶ daemon ──▶ sink
//	       │                                                    ▲
//	       ├── run, usage ──▶ plain loop ───────────────────────┤
//	       └── counts (HTTP) ───────────────────────────────────┘
//
// Children take requests on standard input, answer on standard output, a line of
// JSON each, and end when standard input does.
//
// Invariants: what a sink received twice, or not at all, is a fault, and no
// figure hides it; nothing is left behind in the folder that was given.
package bench
