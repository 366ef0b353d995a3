package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newReload(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Let the daemon read its configuration again",
		Long: "Lets the running daemon read its configuration again, as SIGHUP does. The whole is checked first: anything wrong, and nothing\n" +
			"changes (exit code 1). What may change while it runs holds at once; what takes a restart is named, and waits for one.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON, asCSV)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := a.load(); err != nil { // which would not even find the daemon
			return &exitError{1, fmt.Errorf("the configuration was not taken; the one before stays:\n%w", err)}
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Reload(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			restart := 0
			for _, ch := range out.Changes {
				holds := "now"
				if ch.Restart {
					holds = "after a restart"
					restart++
				}
				rows = append(rows, []string{ch.Key, ch.Before, ch.After, holds})
			}
			if len(rows) == 0 && as.value == asTable {
				return say(cmd.OutOrStdout(), "nothing has changed")
			}
			if err := printRows(cmd.OutOrStdout(), as, []string{"key", "before", "after", "holds"}, rows, out); err != nil || as.value != asTable {
				return err
			}
			return say(cmd.OutOrStdout(), "%d keys have changed, %s of them after a restart", len(rows), strconv.Itoa(restart))
		})
	}
	return cmd
}
