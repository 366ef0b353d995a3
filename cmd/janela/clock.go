package main

import (
	"context"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newClock(a *app) *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Compare the machine's clock with the database; --accept takes it as it is",
		Long: "Time never goes back for janela: where somebody sets the clock back, it stands until the clock has caught up, and after a minute\n" +
			"marketing stands still too.\n\n" +
			"--accept goes on from the time that the clock shows now. Do it only when the clock is right, and was wrong before. What was written\n" +
			"meanwhile keeps the times it has: dates that fired by the wrong clock do not fire again.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.Flags().BoolVar(&accept, "accept", false, "go on from the time that the clock shows")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			ask := c.Clock
			if accept {
				ask = c.AcceptClock
			}
			out, err := ask(ctx)
			if err != nil {
				return err
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			return say(cmd.OutOrStdout(), "clock %s, database %s: %s", stamp(out.Clock), stamp(out.Database), out.Text)
		})
	}
	return cmd
}
