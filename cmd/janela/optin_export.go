package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newExport(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the consent ledger as CSV, with the proof",
		Long: "Writes every grant and revocation as CSV, to the terminal or a file. The first columns are those that janela optin import reads:\n" +
			"imported elsewhere, the file permits the same. The others are the proof: the event, by what door it came, and the evidence.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&file, "to", "", "the file; left out: the terminal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			if file == "" {
				return c.Export(ctx, cmd.OutOrStdout())
			}
			return toFile(file, func(w io.Writer) error { return c.Export(ctx, w) })
		})
	}
	return cmd
}
