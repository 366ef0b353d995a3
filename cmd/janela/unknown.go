package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
	"janela/internal/outbox"
)

func newUnknown(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unknown",
		Short: "Messages of which nobody knows whether Meta took them",
		Long: "A message is unknown when its request was written and its answer never came. Meta's status usually settles it;\n" +
			"what it does not settle, a person can. A status that comes later wins over what was said.",
	}
	cmd.AddCommand(newUnknownList(a), newUnknownResolve(a))
	return cmd
}

func newUnknownList(a *app) *cobra.Command {
	var q httpapi.UnknownQuery
	counts := false
	cmd := &cobra.Command{Use: "list", Short: "List them, the oldest first", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&q.Campaign, "campaign", "", "of this campaign only")
	cmd.Flags().StringVar(&q.Number, "number", "", "of this number only, by name")
	cmd.Flags().StringVar(&q.Category, "category", "", "marketing, utility, authentication or service")
	cmd.Flags().BoolVar(&q.Resolved, "resolved", false, "also those that somebody said were sent")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "at most so many; 0 for all")
	cmd.Flags().BoolVar(&counts, "counts", false, "how many there are, by campaign and reason")
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if q.Limit < 0 {
			return errors.New("--limit cannot be negative")
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := unknownPages(ctx, c, q, counts)
			if err != nil {
				return err
			}
			if counts {
				var rows [][]string
				for _, n := range all.Counts {
					rows = append(rows, []string{n.Campaign, n.Number, string(n.Category), n.Reason, number(n.N)})
				}
				return printRows(cmd.OutOrStdout(), as, []string{"campaign", "number", "category", "reason", "messages"}, rows, all.Counts)
			}
			var rows [][]string
			for _, m := range all.Messages {
				again := ""
				if m.Again {
					again = "yes"
				}
				rows = append(rows, []string{number(m.ID), m.Campaign, m.Number, string(m.Category), m.Template, m.To, m.Reason, stamp(m.Since), stamp(m.Deadline), again})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"id", "campaign", "number", "category", "template", "to", "reason", "since", "deadline", "sent again"}, rows, all.Messages)
		})
	}
	return cmd
}

// unknownPages reads page after page until there are enough.
func unknownPages(ctx context.Context, c *httpapi.Client, q httpapi.UnknownQuery, counts bool) (all httpapi.UnknownPage, err error) {
	most := q.Limit
	if counts {
		q.Limit = 1
		return c.Unknown(ctx, q)
	}
	for {
		page, err := c.Unknown(ctx, q)
		if err != nil {
			return all, err
		}
		all.Messages = append(all.Messages, page.Messages...)
		all.Counts = page.Counts
		q.After, q.Limit = page.Next, most-len(all.Messages)
		if page.Next == "" || most > 0 && q.Limit <= 0 {
			break
		}
		q.Limit = max(q.Limit, 0)
	}
	if all.Messages == nil {
		all.Messages = []httpapi.UnknownLine{}
	}
	return all, nil
}

// oneRequest is how many messages one request resolves.
const oneRequest = 200

func newUnknownResolve(a *app) *cobra.Command {
	var in httpapi.ResolveRequest
	kind := &format{"", []string{string(outbox.AsSent), string(outbox.AsUnsent), string(outbox.AsAgain)}}
	cmd := &cobra.Command{
		Use:   "resolve ID…",
		Short: "Say what became of unknown messages, or send them once more",
		Long: "--as sent      Meta took it (the person says so): it stays unknown for reports, and nobody looks for it any more\n" +
			"--as not-sent  Meta did not take it: it has failed, and a later run may carry it anew\n" +
			"--as resend    it goes out once more, before its deadline, if the gate still lets it; there is no third time.\n" +
			"               The person may get it twice: marketing needs --i-accept-duplicates\n" +
			"A status of Meta's that comes later wins over what was said. It is all in the audit log.",
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().Var(kind, "as", "what became of them")
	cmd.Flags().StringVar(&in.Note, "note", "", "how it is known, for the audit log")
	cmd.Flags().BoolVar(&in.AcceptDuplicates, "i-accept-duplicates", false, "send marketing once more, though people may get it twice")
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.As = outbox.Resolution(kind.value)
		switch {
		case in.As == "":
			return errors.New("say --as sent, --as not-sent or --as resend")
		case strings.TrimSpace(in.Note) == "":
			return errors.New("say with --note how it is known")
		}
		var ids []int64
		for _, arg := range args {
			id, err := strconv.ParseInt(arg, 10, 64)
			if err != nil || id <= 0 {
				return fmt.Errorf("%q is no message id: janela unknown list", arg)
			}
			ids = append(ids, id)
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out := httpapi.ResolveReply{Messages: []httpapi.MessageState{}}
			var errs []error
			for some := range slices.Chunk(ids, oneRequest) {
				in.IDs = some
				part, err := c.ResolveUnknown(ctx, in)
				errs = append(errs, err)
				out.Messages = append(out.Messages, part.Messages...)
			}
			if as.value == asJSON {
				return errors.Join(append(errs, printJSON(cmd.OutOrStdout(), out))...)
			}
			for _, m := range out.Messages {
				if err := say(cmd.OutOrStdout(), "message %d: %s %s", m.ID, m.State, m.Reason); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		})
	}
	return cmd
}
