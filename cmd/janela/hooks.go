package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/hooks"
	"janela/internal/httpapi"
)

func newHooks(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "hooks", Short: "Look after the systems of your own that hear what happens"}
	cmd.AddCommand(newHookList(a), newHookWaiting(a, "waiting", "List what waits for a target, the oldest first", false),
		newHookWaiting(a, "dead", "List what was given up for a target and is still kept", true),
		newHookChange(a, "pause", "Send a target nothing until resume; what comes waits"), newHookChange(a, "resume", "End a pause, and try the target at once"),
		newHookRetry(a), newHookSecret())
	return cmd
}

func newHookList(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the targets and how they stand", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := c.HookTargets(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, t := range all {
				oldest := ""
				if t.OldestSec > 0 {
					oldest = (time.Duration(t.OldestSec) * time.Second).String()
				}
				rows = append(rows, []string{t.Name, t.Mode, t.Address, t.State, t.Reason, number(t.Waiting), oldest, number(t.Dead), number(t.Dropped),
					number(t.Delivered), number(t.Failed)})
			}
			header := []string{"name", "mode", "address", "state", "reason", "waiting", "oldest", "dead", "dropped", "delivered", "failed"}
			return printRows(cmd.OutOrStdout(), as, header, rows, all)
		})
	}
	return cmd
}

func newHookWaiting(a *app, verb, short string, dead bool) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1)}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := c.HookDeliveries(ctx, args[0], dead)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, d := range all {
				rows = append(rows, []string{number(d.ID), d.WebhookID, d.Type, d.State, strconv.Itoa(d.Attempt), d.Failure, stamp(d.CreatedAt), stamp(d.NextAt), stamp(d.EndedAt)})
			}
			return printRows(cmd.OutOrStdout(), as, []string{"id", "webhook id", "type", "state", "requests", "failure", "created", "next", "given up"}, rows, all)
		})
	}
	return cmd
}

func newHookChange(a *app, verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.HookCommand(ctx, args[0], verb)
			if err != nil {
				return err
			}
			past := map[string]string{"pause": "paused", "resume": "resumed"}[verb]
			if !out.Changed {
				past = map[string]string{"pause": "was paused already", "resume": "was not paused; it is tried at once"}[verb]
			}
			return say(cmd.OutOrStdout(), "%s: %s", past, out.Name)
		})
	}}
}

func newHookRetry(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "retry NAME|ID",
		Short: "Try a target, or one delivery, again at once; what was given up gets a new life",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				if id, err := strconv.ParseInt(args[0], 10, 64); err == nil {
					if _, err := c.RetryDelivery(ctx, id); err != nil {
						return err
					}
					return say(cmd.OutOrStdout(), "tried again: delivery %d", id)
				}
				out, err := c.HookCommand(ctx, args[0], "retry")
				if err != nil {
					return err
				}
				return say(cmd.OutOrStdout(), "tried again: %s; %d given up before", out.Name, out.Retried)
			})
		},
	}
}

// newHookSecret needs no daemon: it makes random bytes.
func newHookSecret() *cobra.Command {
	return &cobra.Command{
		Use:   "secret",
		Short: "Make a signing secret for a target of mode events",
		Long:  "Writes a new secret in the form of Standard Webhooks. Give it to the receiver, and name a file with it, mode 0600, as secret_file:\n  (umask 077; janela hooks secret > crm.secret)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), hooks.NewSecret())
			return err
		},
	}
}
