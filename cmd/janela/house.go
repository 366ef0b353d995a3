package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newTemplates(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "templates", Short: "List what Meta last said of the templates", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as, false) }
	list := &cobra.Command{Use: "list", Short: "List what Meta last said of the templates", Args: cobra.NoArgs}
	as2 := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as2, false) }
	sync := &cobra.Command{Use: "sync", Short: "Ask Meta for the templates and numbers now", Args: cobra.NoArgs}
	as3 := outputFlag(sync, asTable, asCSV, asJSON)
	sync.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as3, true) }
	cmd.AddCommand(list, sync)
	return cmd
}

func (a *app) templates(w io.Writer, as *format, sync bool) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		all, err := c.Templates(ctx, sync)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, t := range all {
			status := string(t.Status)
			if t.Missing {
				status = "not listed any more"
			}
			rows = append(rows, []string{t.Name + "/" + t.Language, string(t.Category), status, t.Quality, t.Rejected, stamp(t.Changed), t.Account})
		}
		return printRows(w, as, []string{"template", "category", "status", "quality", "rejected", "changed", "account"}, rows, all)
	})
}

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

func newStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the daemon is, and how many messages are in which state",
		Long:  "Shows how the daemon is, and how many messages are in which state. Exit code 1 when no daemon runs, or when it takes no work.",
		Args:  cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			st, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if as.value == asJSON {
				err = printJSON(cmd.OutOrStdout(), st)
			} else {
				err = showStatus(cmd.OutOrStdout(), st)
			}
			if err == nil && (st.Health == nil || !st.Health.Ready) {
				err = &exitError{code: 1}
			}
			return err
		})
	}
	return cmd
}

func showStatus(w io.Writer, st httpapi.Status) error {
	health := "no daemon runs (janela serve)"
	var problems, alerts string
	if st.Health != nil {
		health = "ready"
		if !st.Health.Ready {
			health = "not ready"
		}
		problems, alerts = strings.Join(st.Health.Problems, "; "), strings.Join(st.Health.Alerts, "; ")
	}
	return printFacts(w, [][]string{{"daemon", health}, {"problems", problems}, {"alerts", alerts}, {"version", st.Version},
		{"messages", counts(st.Messages)}, {"reasons", counts(st.Reasons)}, {"conversations", number(st.OpenConversations) + " open"},
		{"holds", number(int64(st.Holds))}})
}
