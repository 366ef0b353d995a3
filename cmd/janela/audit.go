package main

import (
	"context"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newAudit(a *app) *cobra.Command {
	var n int
	cmd := &cobra.Command{Use: "audit", Short: "List who changed what, newest first", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().IntVarP(&n, "number", "n", 50, "how many")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := c.Audit(ctx, n)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, e := range all {
				rows = append(rows, []string{stamp(e.At), e.Actor, e.Command, e.Object, e.Before, e.After})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"at", "who", "command", "object", "before", "after"}, rows, all)
		})
	}
	return cmd
}
