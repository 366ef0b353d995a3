package main

import (
	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newOpenAPI() *cobra.Command {
	cmd := &cobra.Command{Use: "openapi", Short: "Print the description of the API (OpenAPI 3.1)", Args: cobra.NoArgs}
	as := &format{"yaml", []string{"yaml", asJSON}}
	cmd.Flags().VarP(as, "output", "o", "output format")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		text, yaml := httpapi.OpenAPI()
		if as.value == "yaml" {
			text = yaml
		}
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	return cmd
}
