package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

const holdScopes = "SCOPE is all, marketing, utility, authentication, number NAME, template NAME/LANGUAGE, campaign ID or account ID."

// scope reads SCOPE [TARGET].
func scope(args []string) (httpapi.HoldRequest, error) {
	in := httpapi.HoldRequest{Scope: args[0]}
	if len(args) > 1 {
		in.Target = args[1]
	}
	switch args[0] {
	case "number", "template", "campaign", "account":
		if in.Target == "" {
			return in, errors.New("say which " + args[0] + ": " + holdScopes)
		}
	default:
		if in.Target != "" {
			return in, errors.New(args[0] + " takes no name: " + holdScopes)
		}
	}
	return in, nil
}

func newHold(a *app) *cobra.Command {
	var reason string
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:   "hold SCOPE [TARGET]",
		Short: "Stop sending: everything, or a part of it",
		Long:  "Stops what is queued until it is released. What has left already cannot be called back.\n" + holdScopes,
		Args:  cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who find it stopped")
	cmd.Flags().DurationVar(&lasts, "for", 0, "end by itself after this time, such as 30m or 2h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := scope(args)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("for") && lasts < time.Second {
			return errors.New("--for must be at least a second, such as 30m")
		}
		in.Detail, in.Seconds = reason, int64(lasts/time.Second)
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Hold(ctx, in)
			if err != nil {
				return err
			}
			word := "held"
			if !out.Fresh {
				word = "was held already"
			}
			if c.InMemory() { // who pulls the brake must know whether anything moves
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "no daemon runs with this configuration: this holds from its next start on; --socket names a daemon that runs with another")
			}
			return tellHolds(cmd.OutOrStdout(), word, out.Holds)
		})
	}
	return cmd
}

func tellHolds(w io.Writer, word string, holds []httpapi.HoldLine) error {
	for _, h := range holds {
		what := strings.TrimSpace(h.Scope + " " + h.Target)
		until := ""
		if !h.Until.IsZero() && word != "released" {
			until = ", until " + stamp(h.Until)
		}
		if err := say(w, "%s: %s (%s)%s", word, what, h.Reason, until); err != nil {
			return err
		}
	}
	return nil
}

func newRelease(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "release SCOPE [TARGET]",
		Short: "Lift the holds of something, whoever placed them",
		Long:  "Lifts every hold of exactly this scope, also one that an error of Meta's placed; janela holds lists them.\n" + holdScopes,
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := scope(args)
			if err != nil {
				return err
			}
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.Release(ctx, in)
				if err != nil {
					return err
				}
				return tellHolds(cmd.OutOrStdout(), "released", out.Holds)
			})
		},
	}
}

func newHolds(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "holds", Short: "List what is stopped, since when and by whom", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := c.Holds(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, h := range all {
				rows = append(rows, []string{number(h.ID), h.Scope, h.Target, h.State, h.Reason, h.Detail, h.Actor, stamp(h.Since), stamp(h.Until), h.Ends})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"id", "scope", "target", "state", "reason", "detail", "by", "since", "until", "ends"}, rows, all)
		})
	}
	return cmd
}
