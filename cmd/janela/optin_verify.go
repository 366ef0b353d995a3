package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newVerify(a *app) *cobra.Command {
	var heads []string
	var accept bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nobody has changed the consent ledger",
		Long: "Compares every event of the consent ledger with its seal, the seals with each other, and what the gate reads with the events.\n" +
			"Prints what was changed, and the head: the number and hash of the last seal. Keep it outside of this machine; --head of an\n" +
			"earlier one shows whether anything up to it was cut off or made anew. Exit code 1 when something was changed.\n\n" +
			"--accept takes the ledger as it is from now on, after you have looked and know why seals are missing: a backup was restored.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head that was printed before, SEQ:MAC")
	cmd.Flags().BoolVar(&accept, "accept", false, "take the last seal for the head from now on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Verify(ctx, heads)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if as.value == asJSON {
				err = printJSON(w, out)
			} else {
				err = showVerify(w, out)
			}
			switch {
			case err != nil:
				return err
			case accept:
				now, err := c.AcceptHead(ctx)
				if err != nil {
					return err
				}
				return say(cmd.ErrOrStderr(), "accepted: the head was %s and is %s", now.Before, now.Now)
			case !out.Intact:
				return &exitError{code: 1}
			}
			return nil
		})
	}
	return cmd
}

func showVerify(w io.Writer, out httpapi.VerifyReply) error {
	state := "intact"
	if !out.Intact {
		state = "CHANGED: " + number(int64(out.FaultCount)) + " faults"
	}
	unsealed := number(out.Unsealed)
	if out.Unsealed > 0 {
		unsealed += ", since " + stamp(out.UnsealedSince)
	}
	err := printFacts(w, [][]string{{"ledger", state}, {"events", number(out.Events)}, {"seals", number(out.Seals)}, {"blanked", optional(out.Blanked)},
		{"not sealed yet", unsealed}, {"standings", number(out.Standings)}, {"head", out.Head}})
	for _, f := range out.Faults {
		if err != nil {
			return err
		}
		err = say(w, "%s: seal %s, event %s: %s", f.Kind, orDash(f.Seal), orDash(f.Event), f.Detail)
	}
	if more := out.FaultCount - len(out.Faults); err == nil && more > 0 {
		err = say(w, "… and %d more", more)
	}
	return err
}

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return number(n)
}
