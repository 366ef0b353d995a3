package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newUndeliverable(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undeliverable",
		Short: "People to whom nothing but codes and answers is sent, because nothing could be delivered",
		Long: "When messages to somebody cannot be delivered on three different days (Meta's 131026), and nothing arrived between, marketing and\n" +
			"utility to them are refused until they write to us, get a code, or somebody clears it.",
	}
	list := &cobra.Command{Use: "list", Short: "List them, the oldest first", Args: cobra.NoArgs}
	as := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all := []httpapi.UndeliverableLine{}
			for after := ""; ; {
				page, err := c.Undeliverable(ctx, after)
				if err != nil {
					return err
				}
				all = append(all, page.People...)
				if after = page.Next; after == "" {
					break
				}
			}
			var rows [][]string
			for _, p := range all {
				rows = append(rows, []string{number(p.Contact), p.Phone, stamp(p.Since)})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"contact", "phone", "since"}, rows, all)
		})
	}
	clear := &cobra.Command{
		Use:   "clear PHONE…",
		Short: "Let messages to them be tried again",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				var errs []error
				for _, of := range args {
					out, err := c.ClearUndeliverable(ctx, of)
					if err == nil {
						err = say(cmd.OutOrStdout(), "cleared: contact %d", out.Contact)
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
		},
	}
	cmd.AddCommand(list, clear)
	return cmd
}
