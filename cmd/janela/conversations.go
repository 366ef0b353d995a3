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
	cmd.AddCommand(newRebuild(a))
	return cmd
}

func newRebuild(a *app) *cobra.Command {
	var check, write bool
	cmd := &cobra.Command{
		Use:   "rebuild --check|--write",
		Short: "Derive all conversations again from the messages, and compare",
		Long: "Derives every conversation and service window again from the messages, those of others and what people wrote, and shows each\n" +
			"row that is another. --check changes nothing, and ends with exit code 1 when there is a difference. --write corrects the rows.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().BoolVar(&check, "check", false, "only compare")
	cmd.Flags().BoolVar(&write, "write", false, "correct what is wrong")
	cmd.MarkFlagsOneRequired("check", "write")
	cmd.MarkFlagsMutuallyExclusive("check", "write")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all := []httpapi.RebuildDifference{}
			var rows [][]string
			out, err := c.Rebuild(ctx, httpapi.RebuildRequest{Write: write}, func(d httpapi.RebuildDifference) error {
				all = append(all, d)
				rows = append(rows, []string{d.Table, number(d.ID), d.Number, number(d.Contact), d.Is, d.Should})
				return nil
			})
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			switch {
			case as.value == asJSON:
				err = printJSON(w, struct {
					httpapi.RebuildReply
					Rows []httpapi.RebuildDifference `json:"rows"`
				}{out, all})
			case len(rows) > 0 || as.value == asCSV:
				err = printRows(w, as, []string{"table", "id", "number", "contact", "is", "should"}, rows, all)
			}
			if err == nil && as.value == asTable {
				err = say(cmd.ErrOrStderr(), "%d people, %d ledgers: %s", out.People, out.Ledgers, rebuilt(out))
			}
			if err == nil && check && out.Differences > 0 {
				err = &exitError{code: 1}
			}
			return err
		})
	}
	return cmd
}

func rebuilt(r httpapi.RebuildReply) string {
	switch {
	case r.Differences == 0:
		return "every row is what the messages say"
	case r.Written:
		return number(int64(r.Differences)) + " rows corrected"
	default:
		return number(int64(r.Differences)) + " rows are wrong; janela conversations rebuild --write corrects them"
	}
}
