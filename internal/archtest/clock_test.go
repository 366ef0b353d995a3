package archtest

import (
	"go/ast"
	"testing"
)

// clocks are the places that may read a clock, with the reason. Everything else
// takes the transaction's Now, which never goes backwards and is the same for
// all that is decided together.
var clocks = map[string]string{
	"console.visit.live":              "how long a reader of the beat may stand still",
	"store.newClock":                  "the one clock of decisions, unless Config.Wall replaces it, and the one that it is watched by",
	"store.Open":                      "how long the writer stands",
	"store.DB.readingBegins":          "how long a snapshot is open",
	"store.DB.Oldest":                 "how long a snapshot is open",
	"store.DB.Backup":                 "how long a snapshot is open",
	"store.copyPagesOf":               "pacing: a copy leaves half of the disk's time to others",
	"store.DB.Stalled":                "how long the writer stands",
	"store.writer.turn":               "bounds how long a batch takes",
	"store.writer.next":               "bounds how long a batch takes",
	"campaigns.Campaigns.raise":       "when an alert was first seen, for people",
	"campaigns.folderWatch.look":      "how long a file has been quiet: measured against its own modification time",
	"campaigns.Campaigns.quiet":       "how long a file has been quiet: measured against its own modification time",
	"campaigns.Campaigns.inspectFile": "which definitions lie in the folder now",
	"campaigns.Campaigns.writeFaults": "when a status file was written, for people",
	"scheduler.Loop.fail":             "back-off of a loop",
	"scheduler.Loop.look":             "back-off of a loop",
	"dispatch.lane.claim":             "pacing",
	"dispatch.Dispatcher.Stuck":       "how long a turn takes, for the watchdog",
	"dispatch.lane.take":              "how fast answers come",
	"dispatch.lane.run":               "when the loop wakes",
	"dispatch.Dispatcher.mayLeave":    "a ticket whose time passed while it waited must not leave; the transaction that claimed it is over",
	"whatsapp/cloudapi.call.begin":    "a request whose time passed while it waited for a connection must not begin",
	"whatsapp/cloudapi.call.ring":     "how long a request may take",
	"dispatch.pacer.wait":             "paces",
	"dispatch.pacer.leave":            "paces: what may leave within a second, and to one person within six",
	"dispatch.lane.scanAll":           "how long a page took, and when the next is due",
	"dispatch.pause":                  "paces",
	"dispatch.Dispatcher.Paces":       "tells how fast a number may send now",
	"dispatch.lane.send":              "how long Meta took",
	"dispatch.lane.turn":              "how long a claim may be sent: a span of the transaction's Now, counted by a clock that is never set",
	"dispatch.lane.count":             "pacing",
	"dispatch.Dispatcher.lookAtReach": "how often the limit is looked at",
	"optin.Ledger.seal":               "pacing: sealing leaves an import its commits",
	"optin.yield":                     "pacing: sealing leaves an import its commits",
	"account.Syncer.Run":              "how often the same failure is logged",
	"httpapi.slow.Write":              "how long a connection may stand still",
	"httpapi.halting.Read":            "how long a connection may stand still",
	"campaigns.Campaigns.dropStale":   "which uploads an earlier process left behind",
	"httpapi.Server.draftOf":          "the date that a draft proposes",
	"daemon.Daemon.Run":               "warns of a Graph version that ends",
	"daemon.New":                      "since when it runs, for people",
	"whatsapp/cloudapi.Client.Reach":  "how long Meta took",
	"daemon.certificate.get":          "how often a certificate's files are looked at",
	"daemon.certificate.read":         "how often a certificate's files are looked at",
	"daemon.secretFile.get":           "how often a secret's file is looked at",
	"daemon.minutes.count":            "in which minute a message left, for people",
	"daemon.minutes.lately":           "which minutes are the last, for people",
	"daemon.newMetrics":               "since when sends are counted, for people",
	"daemon.Daemon.showProgress":      "how long looking takes",
}

// clockless are packages that are free to read clocks.
var clockless = map[string]string{
	"sandbox":    "stands for Meta, whose clock is its own",
	"cmd/janela": "shows times to people, decides nothing",
	"bench":      "measures",
	"connect":    "waits, and names files by the time, for people",
	"doctor":     "compares the clock with Meta's, decides nothing",
	"scripttest": "tests",
	"crashtest":  "tests",
	"archtest":   "tests",
}

// Rule 4: no decision reads a clock.
func TestNoDecisionReadsAClock(t *testing.T) {
	h := open(t)
	used := map[string]bool{}
	for _, f := range h.code() {
		name := short(f.pkg)
		if _, free := clockless[name]; free {
			continue
		}
		for _, reads := range []string{"Now", "Since", "Until"} {
			f.selects("time", reads, func(use *ast.SelectorExpr, in string) {
				where := name + "." + in
				used[where] = true
				if _, ok := clocks[where]; !ok {
					t.Errorf("%s: %s reads the clock (time.%s).\n  Either take the transaction's Now, or a parameter, if anything is decided by it; or name the function with its reason in clocks of internal/archtest/clock_test.go.", h.at(use), where, reads)
				}
			})
		}
	}
	for where := range clocks {
		if !used[where] {
			t.Errorf("%s reads no clock any more: take it out of clocks in internal/archtest/clock_test.go, or correct its name there", where)
		}
	}
}
