package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newReview(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "review",
		Short: "List messages that may mean an opt-out, and decide what they mean",
		Long: "Lists what people wrote that may mean an opt-out. Marketing to each of them waits until somebody decides:\n" +
			"  janela optin review stop ID    it was one: marketing is revoked, with the message as the proof\n" +
			"  janela optin review keep ID    it was none: marketing goes on",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.listReviews(cmd, as) }
	list := &cobra.Command{Use: "list", Short: "The same as review alone", Args: cobra.NoArgs}
	listAs := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error { return a.listReviews(cmd, listAs) }
	cmd.AddCommand(list, newDecide(a, "stop", "It was an opt-out: revoke marketing"), newDecide(a, "keep", "It was none: let marketing go on"))
	return cmd
}

func (a *app) listReviews(cmd *cobra.Command, as *format) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		all := []httpapi.Review{}
		for after := int64(0); ; {
			page, err := c.Reviews(ctx, after)
			if err != nil {
				return err
			}
			all = append(all, page.Reviews...)
			if after = page.Next; after == 0 {
				break
			}
		}
		var rows [][]string
		for _, r := range all {
			who := r.Phone
			if who == "" {
				who = fmt.Sprintf("contact %d", r.Contact)
			}
			rows = append(rows, []string{number(r.ID), stamp(r.SaidAt), who, r.Number, r.Rule, r.Language, r.Text})
		}
		return printRows(cmd.OutOrStdout(), as, []string{"id", "said", "by", "to", "rule", "language", "text"}, rows, all)
	})
}

func newDecide(a *app, verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " ID…", Short: short, Args: cobra.MinimumNArgs(1)}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var ids []int64
		for _, arg := range args {
			id, err := strconv.ParseInt(arg, 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no review's id: janela optin review lists them", arg)
			}
			ids = append(ids, id)
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			var all []httpapi.DecideReply
			var errs []error
			for _, id := range ids {
				out, err := c.Decide(ctx, id, verb)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				all = append(all, out)
				if as.value == asTable {
					err = say(cmd.OutOrStdout(), "%s: review %d, contact %d; %d queued messages were cancelled", out.State, out.ID, out.Contact, out.Cancelled)
				}
				if err != nil {
					return err
				}
			}
			if as.value == asJSON {
				errs = append(errs, printJSON(cmd.OutOrStdout(), all))
			}
			return errors.Join(errs...)
		})
	}
	return cmd
}
