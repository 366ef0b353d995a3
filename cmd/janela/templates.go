package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newTemplates(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "templates", Short: "List what Meta last said of the templates", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as, false) }
	list := &cobra.Command{Use: "list", Short: "List what Meta last said of the templates", Args: cobra.NoArgs}
	as2 := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as2, false) }
	sync := &cobra.Command{Use: "sync", Short: "Ask Meta for the templates and numbers now", Args: cobra.NoArgs}
	as3 := outputFlag(sync, asTable, asCSV, asJSON)
	sync.RunE = func(cmd *cobra.Command, _ []string) error { return a.templates(cmd.OutOrStdout(), as3, true) }
	cmd.AddCommand(list, sync, newTemplateShow(a))
	return cmd
}

func (a *app) templates(w io.Writer, as *format, sync bool) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		all, err := c.Templates(ctx, sync)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, t := range all {
			rows = append(rows, templateRow(t))
		}
		return printRows(w, as, templateHeader, rows, all)
	})
}

var templateHeader = []string{"template", "category", "status", "quality", "rejected", "changed", "account"}

func templateRow(t httpapi.Template) []string {
	status := string(t.Status)
	if t.Missing {
		status = "not listed any more"
	}
	return []string{t.Name + "/" + t.Language, string(t.Category), status, t.Quality, t.Rejected, stamp(t.Changed), t.Account}
}
