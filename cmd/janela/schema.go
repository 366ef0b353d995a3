package main

import (
	"github.com/spf13/cobra"

	"janela/schema"
)

// newCampaignSchema prints what an editor needs to know of campaign files.
func newCampaignSchema() *cobra.Command {
	return printSchema("Print a JSON Schema of campaign files, for editors", schema.Campaign)
}

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "What config.toml may hold", Args: cobra.NoArgs}
	cmd.AddCommand(printSchema("Print a JSON Schema of config.toml, for editors", schema.Config))
	return cmd
}

func printSchema(short string, text []byte) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
