package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

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
	limit := ""
	if st.MessagingLimit != nil {
		limit = st.MessagingLimit.Text
	}
	var paces []string
	for _, n := range st.Numbers {
		paces = append(paces, n.Text)
	}
	return printFacts(w, [][]string{{"daemon", health}, {"problems", problems}, {"alerts", alerts}, {"version", st.Version},
		{"messages", counts(st.Messages)}, {"reasons", counts(st.Reasons)}, {"conversations", number(st.OpenConversations) + " open"},
		{"reached", limit}, {"pace", strings.Join(paces, "; ")}, {"holds", number(int64(st.Holds))}})
}
