package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Make, list and revoke the API keys of your own systems"}
	cmd.AddCommand(newAddKey(a), newListKeys(a), newRevokeKey(a))
	return cmd
}

func newAddKey(a *app) *cobra.Command {
	var in httpapi.KeyRequest
	var plain bool
	cmd := &cobra.Command{
		Use:   "add CLIENT",
		Short: "Make an API key; it is shown once",
		Long: "Makes an API key for a system of yours and shows it, this once: the database keeps only a hash. A client may have several keys\n" +
			"at a time: add the next one, bring it to the client, revoke the one before.\n" +
			"  KEY=$(janela keys add app --plain)",
		Args: cobra.ExactArgs(1),
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&in.Scopes, "scope", httpapi.DefaultKeyScopes(), "what it may do, of "+strings.Join(httpapi.KeyScopes(), ", "))
	fl.StringSliceVar(&in.Purposes, "purpose", nil, "purposes of codes it may use, such as login; left out: all")
	fl.StringSliceVar(&in.Countries, "country", nil, "countries it may send to, such as BR; left out: all of config.toml")
	fl.StringVar(&in.Expires, "expires", "", "when it ends: a date or time, or how long from now, such as 90d; left out: never")
	fl.BoolVar(&plain, "plain", false, "write nothing but the key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Client = args[0]
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.AddKey(ctx, in)
			if err != nil {
				return err
			}
			if plain {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), out.Key)
			} else {
				err = printFacts(cmd.OutOrStdout(), [][]string{{"key", out.Key}, {"id", out.ID}, {"client", out.Client}, {"may", strings.Join(out.Scopes, " ")},
					{"purposes", all(out.Purposes)}, {"countries", all(out.Countries)}, {"expires", stamp(out.ExpiresAt)}})
			}
			if err != nil {
				return err
			}
			return say(cmd.ErrOrStderr(), "the key is shown only this once; keep it where %s can read it and nobody else", out.Client)
		})
	}
	return cmd
}

// all writes a list of which none means every one.
func all(list []string) string {
	if len(list) == 0 {
		return "all"
	}
	return strings.Join(list, " ")
}

func newListKeys(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the API keys, newest first, without the keys themselves", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			keys, err := c.Keys(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{k.ID, k.Client, k.State, strings.Join(k.Scopes, " "), all(k.Purposes), all(k.Countries),
					stamp(k.CreatedAt), k.CreatedBy, stamp(k.ExpiresAt), stamp(k.RevokedAt), k.RevokedBy})
			}
			header := []string{"id", "client", "state", "may", "purposes", "countries", "created", "by", "expires", "revoked", "revoked by"}
			return printRows(cmd.OutOrStdout(), as, header, rows, keys)
		})
	}
	return cmd
}

func newRevokeKey(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End an API key, at once and for ever",
		Long:  "Ends an API key: the next request with it is refused. ID is what janela keys list shows, or the key itself.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.RevokeKey(ctx, args[0])
				if err != nil {
					return err
				}
				word := "revoked"
				if !out.Changed {
					word = "was revoked already"
				}
				return say(cmd.OutOrStdout(), "%s: key %s of %s", word, out.ID, out.Client)
			})
		},
	}
}
