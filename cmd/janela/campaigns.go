package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"janela/campaigns"
	"janela/internal/httpapi"
)

func newCampaigns(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "campaigns",
		Short: "List campaigns, and change them",
		Args:  cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.listCampaigns(cmd.OutOrStdout(), as) }
	list := &cobra.Command{Use: "list", Short: "List campaigns", Args: cobra.NoArgs}
	as2 := outputFlag(list, asTable, asCSV, asJSON)
	list.RunE = func(cmd *cobra.Command, _ []string) error { return a.listCampaigns(cmd.OutOrStdout(), as2) }
	cmd.AddCommand(list, newPlan(a), newShow(a), newDraft(a), newTest(a), newApprove(a), newPause(a), newResume(a), newCancel(a), newReport(a), newCampaignSchema())
	return cmd
}

func (a *app) listCampaigns(w io.Writer, as *format) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		all, err := c.Campaigns(ctx)
		if err != nil {
			return err
		}
		var rows [][]string
		for _, camp := range all {
			run, finishes, waiting := "", "", camp.Waiting
			if len(camp.Runs) > 0 {
				r := camp.Runs[0]
				run, finishes = r.Due+" "+r.State, r.Finishes
				waiting = strings.Join(slices.DeleteFunc([]string{waiting, campaigns.WaitWords(r.Waits)}, func(s string) bool { return s == "" }), "; ")
			}
			rows = append(rows, []string{camp.ID, camp.State, camp.Reason, camp.Plan, camp.Next, run, finishes, counts(camp.Totals), waiting})
		}
		return printRows(w, as, []string{"id", "state", "reason", "plan", "next", "latest run", "finishes", "messages", "waiting"}, rows, all)
	})
}

func newShow(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "show ID", Short: "Show one campaign with its runs", Args: cobra.ExactArgs(1)}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			camp, err := c.Campaign(ctx, args[0])
			if err != nil {
				return err
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), camp)
			}
			return showCampaign(cmd.OutOrStdout(), camp)
		})
	}
	return cmd
}

func showCampaign(w io.Writer, camp httpapi.Campaign) error {
	err := printFacts(w, [][]string{{"campaign", camp.ID}, {"state", camp.State}, {"reason", camp.Reason}, {"definition", camp.Path},
		{"plan", camp.Plan}, {"waiting", camp.Waiting}, {"next", camp.Next}, {"alert", camp.Alert}, {"messages", counts(camp.Totals)}})
	if err != nil || len(camp.Runs) == 0 {
		return err
	}
	var rows [][]string
	for _, r := range camp.Runs {
		rows = append(rows, []string{number(r.ID), r.Due, r.State, r.Finishes, number(r.Rows), number(r.Admitted), number(r.Rejected), number(r.Duplicates),
			counts(r.Messages), counts(r.Reasons), strings.Join(slices.DeleteFunc([]string{r.Note, campaigns.WaitWords(r.Waits)}, func(s string) bool { return s == "" }), "; ")})
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return printTable(w, []string{"run", "due", "state", "finishes", "rows", "admitted", "rejected", "duplicates", "messages", "reasons", "note, and what it waits for"}, rows)
}

// printFacts writes names with their values, and leaves out what is empty.
func printFacts(w io.Writer, facts [][]string) error {
	for _, f := range facts {
		if f[1] == "" {
			continue
		}
		if err := say(w, "%-14s %s", f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

// command is a subcommand that does something to one campaign and tells what.
func (a *app) command(cmd *cobra.Command, verb, id string, in httpapi.CampaignCommand, tell func(httpapi.CampaignReply) string) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		out, err := c.Command(ctx, verb, id, in)
		if err != nil {
			return err
		}
		return say(cmd.OutOrStdout(), "%s", tell(out))
	})
}

func newDraft(a *app) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Write a draft of a definition into the campaigns folder",
		Long:  "Writes ID.toml.draft and ID.csv into the campaigns folder: explained, or as a copy of another. A draft does not start; it does when it is renamed to ID.toml. No file is ever written over.",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&from, "from", "", "copy this campaign, by id or by file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.ContainsAny(from, "/.") {
			path, err := filepath.Abs(from)
			if err != nil {
				return err
			}
			from = path
		}
		return a.command(cmd, "draft", args[0], httpapi.CampaignCommand{From: from}, func(out httpapi.CampaignReply) string {
			return "written: " + strings.Join(out.Files, ", ")
		})
	}
	return cmd
}

func newTest(a *app) *cobra.Command {
	var in httpapi.CampaignCommand
	cmd := &cobra.Command{
		Use:   "test ID",
		Short: "Send one row of a campaign to your own number",
		Long:  "Sends what the campaign would send, with the values of one row, to one of the test numbers of config.toml. It counts in no report, and is not held back by windows or approval; consent and template are asked as ever.",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&in.To, "to", "", "your number, one of test_numbers; it may be left out when there is one")
	cmd.Flags().IntVar(&in.Row, "row", 1, "row of the audience whose values are used, from 1")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.Command(ctx, "test", args[0], in)
			if err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "message %d is queued%s", out.Message, later(c))
		})
	}
	return cmd
}

// later says that nothing leaves while no daemon runs.
func later(c *httpapi.Client) string {
	if c.InMemory() {
		return "; it leaves when the daemon runs (janela serve)"
	}
	return ""
}

func newApprove(a *app) *cobra.Command {
	var in httpapi.CampaignCommand
	cmd := &cobra.Command{Use: "approve ID --plan HASH", Short: "Let a plan be sent", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&in.Plan, "plan", "", "the plan that you looked at (janela plan FILE)")
	_ = cmd.MarkFlagRequired("plan")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(cmd, "approve", args[0], in, func(httpapi.CampaignReply) string {
			return fmt.Sprintf("campaign %s: plan %s is approved", args[0], in.Plan)
		})
	}
	return cmd
}

func newPause(a *app) *cobra.Command {
	var in httpapi.CampaignCommand
	cmd := &cobra.Command{Use: "pause ID", Short: "Stop a campaign until it is resumed", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit log")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(cmd, "pause", args[0], in, told(args[0]))
	}
	return cmd
}

func newResume(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "resume ID", Short: "Let a paused campaign go on", Args: cobra.ExactArgs(1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(cmd, "resume", args[0], httpapi.CampaignCommand{}, told(args[0]))
	}
	return cmd
}

func told(id string) func(httpapi.CampaignReply) string {
	return func(out httpapi.CampaignReply) string { return fmt.Sprintf("campaign %s is %s", id, out.State) }
}

func newCancel(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "cancel ID --yes", Short: "End a campaign for good", Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, for good: its id can never be used again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !yes {
			return errors.New("cancelling is final: nothing of the campaign that is queued will leave, and its id cannot be used again; add --yes, or use janela campaigns pause")
		}
		return a.command(cmd, "cancel", args[0], httpapi.CampaignCommand{}, func(out httpapi.CampaignReply) string {
			return fmt.Sprintf("campaign %s is %s; %d queued messages were cancelled", args[0], out.State, out.Cancelled)
		})
	}
	return cmd
}

func newReport(a *app) *cobra.Command {
	var q httpapi.ReportQuery
	var audience string
	cmd := &cobra.Command{
		Use:   "report ID",
		Short: "Say what became of every row of a run",
		Long: "Says what became of every row of a run, in words. With --audience the chosen rows are written again as they stood in the\n" +
			"audience, for the next campaign: janela campaigns report natal --state failed --audience again.csv",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().Int64Var(&q.Run, "run", 0, "which run; left out: the latest")
	cmd.Flags().StringSliceVar(&q.States, "state", nil, "only rows in these states")
	cmd.Flags().StringSliceVar(&q.Reasons, "reason", nil, "only rows with these reasons")
	cmd.Flags().StringVar(&audience, "audience", "", "write the chosen rows as an audience to this file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.report(cmd.OutOrStdout(), args[0], q, as, audience)
	}
	return cmd
}

func (a *app) report(w io.Writer, id string, q httpapi.ReportQuery, as *format, audience string) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		if audience != "" {
			q.Format = httpapi.ReportAudience
			if err := toFile(audience, func(f io.Writer) error { return c.Report(ctx, id, q, f) }); err != nil {
				return err
			}
			_, err := fmt.Fprintln(os.Stderr, "written: "+audience)
			return err
		}
		if as.value == asCSV {
			q.Format = httpapi.ReportCSV
			return c.Report(ctx, id, q, w)
		}
		var rows [][]string
		all := []httpapi.ReportLine{}
		err := c.ReportLines(ctx, id, q, func(r httpapi.ReportLine) error {
			all = append(all, r)
			rows = append(rows, []string{strconv.Itoa(r.Line), optional(r.Message), r.ExternalID, r.Phone, r.State, r.Reason,
				optional(int64(r.Code)), r.Explanation})
			return nil
		})
		if err != nil {
			return err
		}
		return printRows(w, as, []string{"line", "message", "external id", "phone", "state", "reason", "code", "explanation"}, rows, all)
	})
}

// optional writes a number, and nothing for 0.
func optional(n int64) string {
	if n == 0 {
		return ""
	}
	return number(n)
}
