package main

import (
	"context"
	"errors"
	"strconv"
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
	cmd := newListConversations(a, "conversations")
	cmd.AddCommand(newListConversations(a, "list"), newContents(a), newMonth(a), newRebuild(a))
	return cmd
}

func newListConversations(a *app, name string) *cobra.Command {
	var q httpapi.ConversationsQuery
	cmd := &cobra.Command{
		Use:   name,
		Short: "List the 24-hour conversations",
		Long:  "Lists the conversations of 24 hours: with whom, in which category, who began it, when it opened and when it ends.",
		Args:  cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	fl := cmd.Flags()
	fl.BoolVar(&q.Open, "open", false, "only those open now")
	fl.StringVar(&q.From, "from", "", "only those that lasted until this date or time, or longer")
	fl.StringVar(&q.To, "to", "", "only those that opened before this date or time")
	fl.StringVar(&q.OpenedFrom, "opened-from", "", "only those that opened at this date or time, or later")
	fl.StringVar(&q.OpenedTo, "opened-to", "", "only those that opened before this date or time")
	fl.StringVar(&q.Number, "number", "", "only those of this number, by its name")
	fl.StringVar(&q.Category, "category", "", "only those of this category")
	fl.StringVar(&q.Origin, "origin", "", "only those that this side began: business or user")
	fl.StringVar(&q.Phone, "phone", "", "only those with the person of this telephone number")
	fl.StringVar(&q.Contact, "contact", "", "only those with the person of this contact, by its id")
	cmd.MarkFlagsMutuallyExclusive("phone", "contact")
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

var contentsHeader = []string{"at", "direction", "source", "id", "category", "state", "template", "campaign", "in_window", "answers",
	"pricing_model", "pricing_type", "pricing_category", "billable", "conversation_id", "conversation_origin", "wamid"}

func contentsRow(m httpapi.ConversationMessage, at string) []string {
	var meta httpapi.MetasWords
	if m.Meta != nil {
		meta = *m.Meta
	}
	row := []string{at, m.Direction, m.Source, "", string(m.Category), string(m.State), m.Template, m.Campaign, "", "",
		meta.PricingModel, meta.PricingType, meta.PricingCategory, meta.Billable, meta.ConversationID, meta.ConversationOrigin, m.Wamid}
	if m.ID > 0 {
		row[3] = number(m.ID)
	}
	if m.Direction == "out" {
		row[8] = strconv.FormatBool(m.InWindow)
	}
	if m.Answers > 0 {
		row[9] = number(m.Answers)
	}
	return row
}

func newContents(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "messages CONVERSATION",
		Short: "Show the messages of a conversation, and what Meta said of each",
		Long: "Shows every message that counts in a conversation: ours, those that other programs send from our number, and what the person\n" +
			"wrote; and beside each, word for word, what Meta said of its price and conversation.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return errors.New("a conversation's id is a number; janela conversations shows it")
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Contents(ctx, id)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, m := range out.Messages {
				at := stamp(m.At)
				if as.value == asCSV {
					at = m.At.Format(time.RFC3339)
				}
				rows = append(rows, contentsRow(m, at))
			}
			return printRows(cmd.OutOrStdout(), as, contentsHeader, rows, out)
		})
	}
	return cmd
}

func newMonth(a *app) *cobra.Command {
	var month string
	cmd := &cobra.Command{
		Use:   "report --month 2026-11",
		Short: "Count a month's conversations and messages, and what Meta charges for",
		Long: "Counts the conversations that opened in a month, and the messages sent in it, by category, country and origin: as Meta reads the\n" +
			"origin, and by the service window (what is sent inside it belongs to what the user began). billed, free and unknown are what Meta\n" +
			"said of each message. Months begin and end at midnight of [campaigns] timezone.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().StringVar(&month, "month", "", "the month")
	_ = cmd.MarkFlagRequired("month") // there is such a flag
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Month(ctx, month)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, r := range out.Rows {
				rows = append(rows, []string{r.Reading, string(r.Category), r.Country, r.Origin, number(r.Conversations), number(r.Messages),
					number(r.Billed), number(r.Free), number(r.Unknown)})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"reading", "category", "country", "origin", "conversations", "messages", "billed", "free", "unknown"}, rows, out)
		})
	}
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
