package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newOptin(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "optin", Short: "Record and show who agreed to be written to"}
	cmd.AddCommand(newImport(a), newGrant(a), newRevoke(a), newConsents(a), newExport(a), newVerify(a), newDetector(), newReview(a), newLink(a))
	return cmd
}

func newImport(a *app) *cobra.Command {
	var in httpapi.ImportRequest
	var columns []string
	var rejects string
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Read a CSV file of consents and revocations into the ledger",
		Long: "Reads a CSV file of any size. Columns are found by their names; --column names one that is not found. The same file again\n" +
			"changes nothing; an import that was interrupted is resumed by running it again. Exit code 1 when rows were rejected.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asJSON)
	fl := cmd.Flags()
	fl.StringVar(&in.Category, "category", "", "marketing, utility or authentication, for rows without one")
	fl.StringVar(&in.Scope, "scope", "", "a number's name or a business unit, for rows without one; left out: all numbers")
	fl.StringVar(&in.Purpose, "purpose", "", "what for, in your words")
	fl.StringVar(&in.Text, "text", "", "the text that people agreed to: the proof")
	fl.StringVar(&in.Origin, "source", "", "where it was collected: site form, shop, call")
	fl.StringVar(&in.At, "at", "", "date of rows without one, 2026-11-27")
	fl.BoolVar(&in.Revocations, "revocations", false, "every row takes consent back")
	fl.StringArrayVar(&columns, "column", nil, "field=header, where a field's column is not found by its name")
	fl.StringVar(&rejects, "rejects", "", "write the rejected rows with their reasons to this file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Name = args[0]
		if in.Columns = map[string]string{}; len(columns) > 0 {
			for _, c := range columns {
				field, header, ok := strings.Cut(c, "=")
				if !ok {
					return fmt.Errorf("--column %q: write field=header", c)
				}
				in.Columns[field] = header
			}
		}
		return a.importFile(cmd.OutOrStdout(), in, as, rejects)
	}
	return cmd
}

func (a *app) importFile(w io.Writer, in httpapi.ImportRequest, as *format, rejects string) error {
	f, err := os.Open(in.Name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		var out httpapi.ImportReport
		err := toFile(rejects, func(to io.Writer) (err error) {
			out, err = c.Import(ctx, in, f, to)
			return err
		})
		if err != nil {
			return err
		}
		if as.value == asJSON {
			err = printJSON(w, out)
		} else {
			err = showImport(w, out, rejects)
		}
		if err == nil && out.Rejected > 0 {
			err = &exitError{code: 1}
		}
		return err
	})
}

func showImport(w io.Writer, out httpapi.ImportReport, rejects string) error {
	if out.Already {
		if err := say(w, "this file was imported before in the same way"); err != nil {
			return err
		}
	}
	err := printFacts(w, [][]string{{"rows", number(int64(out.Rows))}, {"granted", number(int64(out.Granted))}, {"revoked", number(int64(out.Revoked))},
		{"unchanged", number(int64(out.Unchanged))}, {"overruled", optional(int64(out.Overruled))}, {"repaired", optional(int64(out.Repaired))},
		{"cancelled", optional(int64(out.Cancelled))}, {"rejected", number(int64(out.Rejected))}, {"columns", strings.Join(out.Columns, ", ")}})
	if err != nil || out.Rejected == 0 {
		return err
	}
	for _, r := range out.Rejects {
		if err := say(w, "%s:%d: %s: %s", out.Name, r.Line, r.Reason, r.Detail); err != nil {
			return err
		}
	}
	if more := out.Rejected - len(out.Rejects); more > 0 {
		if err := say(w, "… and %d more", more); err != nil {
			return err
		}
	}
	if rejects == "" {
		return say(w, "--rejects FILE writes all of them to a file that can be mended and imported")
	}
	return say(w, "written: %s", rejects)
}

func newGrant(a *app) *cobra.Command {
	var in httpapi.GrantRequest
	cmd := &cobra.Command{Use: "grant PHONE --category CATEGORY", Short: "Record that a person agreed, now", Args: cobra.ExactArgs(1)}
	fl := cmd.Flags()
	fl.StringVar(&in.Category, "category", "", "marketing, utility or authentication")
	fl.StringVar(&in.Scope, "scope", "", "a number's name or a business unit; left out: all numbers")
	fl.StringVar(&in.Purpose, "purpose", "", "what for, in your words")
	fl.StringVar(&in.Text, "text", "", "what the person was told, or said: the proof")
	_ = cmd.MarkFlagRequired("category")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Phone = args[0]
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Grant(ctx, in)
			if err != nil {
				return err
			}
			if out.State != "granted" {
				if err := say(cmd.OutOrStdout(), "recorded (event %d), but the person may not be written to: %s", out.Event, out.State); err != nil {
					return err
				}
				return &exitError{code: 1}
			}
			return say(cmd.OutOrStdout(), "granted: contact %d, event %d", out.Contact, out.Event)
		})
	}
	return cmd
}

func newRevoke(a *app) *cobra.Command {
	var in httpapi.RevokeRequest
	var category string
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke PHONE --category CATEGORY|--all",
		Short: "Record that a person wants no more, and cancel what is queued",
		Args:  cobra.ExactArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&category, "category", "", "marketing, utility or authentication")
	fl.BoolVar(&all, "all", false, "every category")
	fl.StringVar(&in.Scope, "scope", "", "a number's name or a business unit; left out: all numbers")
	fl.StringVar(&in.Text, "text", "", "what the person said")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch in.Phone = args[0]; {
		case all == (category != ""):
			return errors.New("say what is revoked: --category marketing, or --all")
		case all:
			in.Categories = []string{"marketing", "utility", "authentication"}
		default:
			in.Categories = []string{category}
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Revoke(ctx, in)
			if err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "revoked: contacts %s; %d queued messages were cancelled", ids(out.Contacts), out.Cancelled)
		})
	}
	return cmd
}

func newConsents(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "show PHONE", Short: "Show what a person agreed to, with the proof", Args: cobra.ExactArgs(1)}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Consents(ctx, args[0])
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if as.value == asJSON {
				return printJSON(w, out)
			}
			header := []string{"event", "at", "what", "category", "scope", "purpose", "source", "by", "proof"}
			var rows [][]string
			for _, e := range out.Events {
				rows = append(rows, []string{number(e.ID), stamp(e.At), e.Kind, string(e.Category), e.Scope, e.Purpose, e.Source, e.Actor, proof(e)})
			}
			if as.value == asCSV {
				return printCSV(w, header, rows)
			}
			s := &sections{w: w}
			s.who(&out.Person)
			s.consents(out.States)
			s.table("ledger", header, rows)
			return s.err
		})
	}
	return cmd
}

// proof sums up the evidence of an event.
func proof(e httpapi.ConsentEvent) string {
	var out []string
	for _, part := range []string{e.Evidence.Text, e.Evidence.Version, e.Evidence.Reference, e.Evidence.Origin, e.Evidence.Via} {
		if part != "" {
			out = append(out, part)
		}
	}
	if e.Evidence.File != "" {
		out = append(out, fmt.Sprintf("%s:%d", e.Evidence.File, e.Evidence.Line))
	}
	if e.Evidence.Message != "" {
		out = append(out, "message "+e.Evidence.Message)
	}
	return strings.Join(out, "; ")
}
