package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newRecover(a *app) *cobra.Command {
	var in httpapi.RecoverRequest
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "After a restored backup: show what is known, and go on",
		Long: "A database that is not the one that ran here last does not know what was sent since. Marketing and notices stand still (hold\n" +
			"restored) until somebody has looked. Without a flag: what is known.\n\n" +
			"--confirm goes on. Everything of runs that have begun, and single notices that were queued in the backup, is unknown from then on:\n" +
			"it may have been sent, and is not sent again by itself. New runs and messages are sent.\n" +
			"--nothing-lost goes on and sends it all. Only where the database is the newest there is: it was moved to another machine without\n" +
			"the file janela.db.epoch, or opened with sqlite3 after a crash.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.Flags().BoolVar(&in.Confirm, "confirm", false, "go on; what may have been sent is unknown, and not sent")
	cmd.Flags().BoolVar(&in.NothingLost, "nothing-lost", false, "go on; the database is the newest there is, and all of it is sent")
	cmd.MarkFlagsMutuallyExclusive("confirm", "nothing-lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			var out httpapi.Recovery
			var err error
			if in.Confirm || in.NothingLost {
				out, err = c.Recover(ctx, in)
			} else {
				out, err = c.Recovery(ctx)
			}
			switch {
			case err != nil:
				return err
			case as.value == asJSON:
				return printJSON(cmd.OutOrStdout(), out)
			case in.Confirm:
				return say(cmd.OutOrStdout(), "recovered: %d messages that may have been sent are unknown; janela goes on", out.Settled)
			case in.NothingLost:
				return say(cmd.OutOrStdout(), "recovered: nothing was lost; janela goes on")
			default:
				return showRecovery(cmd.OutOrStdout(), out)
			}
		})
	}
	return cmd
}

func showRecovery(w io.Writer, out httpapi.Recovery) error {
	if !out.Needed {
		return say(w, "the database is the one that ran here last: there is nothing to recover")
	}
	facts := [][]string{{"why", out.Why}, {"noticed", stamp(out.Found)}, {"database of", stamp(out.Stands)}, {"ran here until", stamp(out.Ran)},
		{"transactions gone", optional(out.Commits)}, {"single notices queued in it", optional(out.Singles)}}
	if err := printFacts(w, facts); err != nil {
		return err
	}
	var rows [][]string
	for _, r := range out.Runs {
		rows = append(rows, []string{r.Campaign, number(r.Run), r.Civil, stamp(r.Started), r.State, number(r.Queued)})
	}
	if len(rows) > 0 {
		if err := printRows(w, &format{value: asTable}, []string{"campaign", "run", "for", "started", "state", "queued"}, rows, nil); err != nil {
			return err
		}
	}
	if !out.Expanded {
		return say(w, "a run still reads its audience; wait until none is expanding, then janela recover --confirm")
	}
	return say(w, "record the opt-outs you know of since, then janela recover --confirm; what is queued becomes unknown, and is not sent")
}
