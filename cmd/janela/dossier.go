package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newDossier(a *app) *cobra.Command {
	var in httpapi.DossierRequest
	cmd := &cobra.Command{
		Use:   "dossier PHONE",
		Short: "Show everything that is known of a person, for who asks by law",
		Long: "Writes one document with everything that is known of a person: consents and revocations with their proof, every message and the\n" +
			"consent it was sent under, conversations, when the person wrote, reviews, and that codes were asked for. It holds personal data:\n" +
			"hand it to nobody but the person. The audit log says who asked for it.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, "text", asJSON)
	cmd.Flags().StringVar(&in.Language, "lang", "pt-BR", "language of the text: pt-BR or en")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Of = args[0]
		if as.value == asJSON {
			in.Language = ""
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error { return c.Dossier(ctx, in, cmd.OutOrStdout()) })
	}
	return cmd
}

func newForget(a *app) *cobra.Command {
	var yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "forget PHONE --yes",
		Short: "Remove what is known of a person, for ever",
		Long: "Removes a person's names, the addresses and texts of their messages, the evidence of their consents, and Meta's callbacks that name\n" +
			"them. Conversations and prices stay, of nobody. A keyed hash keeps a list that is imported later from bringing them back.\n" +
			"Print the dossier before if it is wanted. Audience files, reports, exports and older backups are yours to remove.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.Flags().BoolVar(&yes, "yes", false, "it cannot be undone")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log, where it stays: without names or numbers of people")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !yes {
			return errors.New("this cannot be undone: say --yes")
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Forget(ctx, httpapi.ForgetRequest{Of: args[0], Reason: reason})
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if as.value == asJSON {
				return printJSON(w, out)
			}
			return say(w, "forgotten: %d names removed, %d messages blanked, %d cancelled, %d callbacks emptied", out.Names, out.Messages, out.Cancelled, out.Callbacks+out.Payloads)
		})
	}
	return cmd
}
