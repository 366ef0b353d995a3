package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newTemplateShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a template in all its languages, and what sends it",
		Args:  cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			t, err := c.Template(ctx, args[0])
			if err != nil {
				return err
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			return (&sections{w: cmd.OutOrStdout()}).template(&t)
		})
	}
	return cmd
}

func (s *sections) template(t *httpapi.TemplateView) error {
	var rows [][]string
	for _, l := range t.Languages {
		rows = append(rows, templateRow(l.Template))
	}
	s.facts([][]string{{"template", t.Name}})
	s.table("languages", templateHeader, rows)
	for _, l := range t.Languages {
		s.table(l.Language+", "+l.Account, []string{"part", "text", "examples"}, componentRows(l.Components, ""))
		for _, h := range l.Holds {
			s.facts([][]string{{"held", h.Reason + " since " + stamp(h.Since) + "; ends " + h.Ends}})
		}
	}
	rows = nil
	for _, c := range t.Campaigns {
		rows = append(rows, []string{"campaign " + c.Campaign, c.State, c.Language})
	}
	for _, p := range t.Purposes {
		rows = append(rows, []string{"codes, purpose " + p.Purpose, "", strings.Join(p.Languages, ", ")})
	}
	s.table("who sends it", []string{"who", "state", "language"}, rows)
	rows = nil
	for _, r := range append(t.Runs, t.Singles...) {
		who := "single messages"
		if r.Run > 0 {
			who = fmt.Sprintf("%s, run %d", r.Campaign, r.Run)
		}
		rows = append(rows, append([]string{who, r.Language, stamp(r.StartedAt)}, funnelCells(r.Funnel)...))
	}
	s.table("runs of the last 30 days, and single messages ever", append([]string{"what", "language", "since"}, funnelHeader...), rows)
	return s.err
}

func componentRows(all []httpapi.TemplateComponent, before string) (rows [][]string) {
	for _, c := range all {
		var examples []string
		for _, e := range c.Examples {
			examples = append(examples, strings.TrimPrefix(e.Name+": ", ": ")+e.Value)
		}
		rows = append(rows, []string{before + strings.ToLower(c.Type), strings.TrimSpace(c.Format + " " + c.Text), strings.Join(examples, ", ")})
		for _, b := range c.Buttons {
			rows = append(rows, []string{before + "button " + strings.ToLower(b.Type), strings.TrimSpace(b.Text + " " + b.URL + b.Phone), strings.Join(b.Examples, ", ")})
		}
		for i, card := range c.Cards {
			rows = append(rows, componentRows(card.Components, fmt.Sprintf("card %d ", i+1))...)
		}
	}
	return rows
}

func newOTPFunnel(a *app) *cobra.Command {
	hours := 24
	cmd := &cobra.Command{
		Use:   "funnel",
		Short: "Show how many codes were asked for, sent, delivered and verified, by purpose",
		Long: "Counts the codes of the last hours, by purpose: asked for, sent, delivered, verified, and how the others ended; which requests\n" +
			"got none, and which limits said no. No code and no number is in it.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().IntVar(&hours, "hours", hours, "whole hours, at most 168")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			f, err := c.OTPFunnel(ctx, hours)
			if err != nil {
				return err
			}
			all := f.All
			all.Purpose = "all"
			rows := [][]string{}
			for _, p := range append(f.Purposes, all) {
				row := []string{p.Purpose}
				for _, n := range []int64{p.Requested, p.Sent, p.Delivered, p.Verified, p.Pending, p.Failed, p.Expired, p.Exhausted, p.Cancelled, p.Superseded, p.Reported, p.Refused} {
					row = append(row, number(n))
				}
				rows = append(rows, row)
			}
			header := []string{"purpose", "requested", "sent", "delivered", "verified", "pending", "failed", "expired", "exhausted", "cancelled", "superseded", "reported", "refused"}
			w := cmd.OutOrStdout()
			if as.value != asTable {
				return printRows(w, as, header, rows, f)
			}
			s := &sections{w: w}
			s.facts([][]string{{"since", stamp(f.Since)}, {"refused since", stamp(f.Heard)}})
			s.table("codes", header, rows)
			rows = nil
			for _, r := range f.All.Failures {
				rows = append(rows, []string{"failed", r.Reason, number(r.N)})
			}
			for _, r := range f.All.Refusals {
				rows = append(rows, []string{"refused", r.Reason, number(r.N)})
			}
			for _, l := range f.Limits {
				rows = append(rows, []string{"limit", l.Rule, number(l.N)})
			}
			s.table("why not", []string{"what", "reason", "times"}, rows)
			return s.err
		})
	}
	return cmd
}
