package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

var conversationHeader = []string{"id", "phone", "number", "category", "origin", "opened", "ends", "state", "out", "in"}

func conversationRow(c httpapi.Conversation) []string {
	state := "over"
	if c.Open {
		state = "open"
	}
	if c.Provisional {
		state += ", provisional"
	}
	origin := c.Origin
	if c.FreeEntryPoint {
		origin += ", free entry point"
	}
	return []string{number(c.ID), c.Phone, c.Number, string(c.Category), origin, stamp(c.OpenedAt), stamp(c.EndsAt), state,
		number(c.MessagesOut), number(c.MessagesIn)}
}

func newConversations(a *app) *cobra.Command {
	var q httpapi.ConversationsQuery
	cmd := &cobra.Command{
		Use:   "conversations",
		Short: "List the 24-hour conversations",
		Long:  "Lists the conversations of 24 hours: with whom, in which category, who began it, when it opened and when it ends.",
		Args:  cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	fl := cmd.Flags()
	fl.BoolVar(&q.Open, "open", false, "only those open now")
	fl.StringVar(&q.From, "from", "", "only those that lasted until this date or time, or longer")
	fl.StringVar(&q.To, "to", "", "only those that opened before this date or time")
	fl.StringVar(&q.Number, "number", "", "only those of this number, by its name")
	fl.StringVar(&q.Category, "category", "", "only those of this category")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all := []httpapi.Conversation{}
			var rows [][]string
			err := c.Conversations(ctx, q, func(c httpapi.Conversation) error {
				all = append(all, c)
				row := conversationRow(c)
				if as.value == asCSV { // for programs: times as in JSON
					row[5], row[6] = c.OpenedAt.Format(time.RFC3339), c.EndsAt.Format(time.RFC3339)
				}
				rows = append(rows, row)
				return nil
			})
			if err != nil {
				return err
			}
			return printRows(cmd.OutOrStdout(), as, conversationHeader, rows, all)
		})
	}
	return cmd
}
