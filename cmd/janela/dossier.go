package main

import (
	"context"

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
