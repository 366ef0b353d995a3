package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newCallbacks(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "callbacks",
		Short: "Callbacks of Meta's that could not be applied",
		Long: "A callback that cannot be applied is kept, with the reason, and stops no other. After an update they are tried again by\n" +
			"themselves, once; retry does it at any time. Hearing a fact again changes nothing.",
	}
	list := &cobra.Command{Use: "list", Short: "List them, the oldest first, with why", Args: cobra.NoArgs}
	as := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := allFailed(ctx, c)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, f := range all {
				rows = append(rows, []string{number(f.ID), stamp(f.ReceivedAt), stamp(f.FailedAt), f.Why})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"id", "received", "failed", "why"}, rows, all)
		})
	}
	every := false
	retry := &cobra.Command{Use: "retry ID…", Short: "Apply callbacks again: those named, or --all", Args: cobra.ArbitraryArgs}
	retry.Flags().BoolVar(&every, "all", false, "all that could not be applied")
	retry.RunE = func(cmd *cobra.Command, args []string) error {
		var ids []int64
		for _, arg := range args {
			id, err := strconv.ParseInt(arg, 10, 64)
			if err != nil || id <= 0 {
				return fmt.Errorf("%q is no callback's id: janela callbacks list", arg)
			}
			ids = append(ids, id)
		}
		if every == (len(ids) > 0) {
			return errors.New("name callbacks, or say --all")
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			if every {
				all, err := allFailed(ctx, c)
				if err != nil {
					return err
				}
				for _, f := range all {
					ids = append(ids, f.ID)
				}
			}
			n := 0
			for some := range slices.Chunk(ids, oneRequest) {
				out, err := c.RetryCallbacks(ctx, some)
				if err != nil {
					return err
				}
				n += out.Callbacks
			}
			return say(cmd.OutOrStdout(), "tried again: %d callbacks", n)
		})
	}
	cmd.AddCommand(list, retry)
	return cmd
}

// allFailed reads page after page.
func allFailed(ctx context.Context, c *httpapi.Client) ([]httpapi.FailedCallback, error) {
	all := []httpapi.FailedCallback{}
	for after := int64(0); ; {
		page, err := c.FailedCallbacks(ctx, after)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Callbacks...)
		if after = page.Next; after == 0 {
			return all, nil
		}
	}
}
