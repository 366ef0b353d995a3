package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"janela/internal/doctor"
	"janela/internal/httpapi"
)

func newHouseDoctor(a *app) *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether everything can work, and say how each fault is put right",
		Long: "Looks at the configuration, the secrets, the machine, the database, the daemon, and at what Meta says of the token, the account,\n" +
			"the numbers, the callback address and the templates. It changes nothing. docs/doctor.md explains every finding.\n" +
			"Exit codes: 0 nothing failed (warnings alone are fine), 1 something failed.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().BoolVar(&offline, "offline", false, "ask nothing of Meta or of the network")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		r := a.examine(ctx, offline)
		err := showDoctor(cmd.OutOrStdout(), as, r)
		if err == nil && r.Fail > 0 {
			err = &exitError{code: 1}
		}
		return err
	}
	return cmd
}

// examine runs the doctor over the configuration as it is, with faults too.
func (a *app) examine(ctx context.Context, offline bool) doctor.Report {
	cfg, err := a.load()
	w := doctor.World{Config: cfg, Faults: cfg.Warnings(), Version: version(), Offline: offline}
	switch {
	case err == nil:
	case !errors.As(err, &w.Faults), len(w.Faults) == 1 && w.Faults[0].Path == "": // a fault of syntax: nothing else is known
		w.Unread = err
	}
	if w.Unread == nil {
		if c, err := httpapi.Dial(ctx, cfg.SocketPath()); err == nil {
			w.Client = c
			defer c.Close()
		}
	}
	return doctor.Run(ctx, w)
}

func showDoctor(w io.Writer, as *format, r doctor.Report) error {
	if as.value == asTable {
		return showFindings(w, r)
	}
	var rows [][]string
	for _, c := range r.Results {
		if len(c.Findings) == 0 {
			rows = append(rows, []string{fmt.Sprint(c.Number), c.Check, string(c.Level), "", c.Text, "", c.Docs})
		}
		for _, f := range c.Findings {
			rows = append(rows, []string{fmt.Sprint(c.Number), c.Check, string(f.Level), f.Code, f.Text, f.Fix, c.Docs})
		}
	}
	return printRows(w, as, []string{"number", "check", "level", "code", "text", "fix", "docs"}, rows, r)
}

// showFindings writes a line for each check, and below it what is wrong and how
// it is put right.
func showFindings(w io.Writer, r doctor.Report) error {
	colours := coloured(w)
	for _, c := range r.Results {
		if _, err := fmt.Fprintf(w, "%2d %s %-12s %s\n", c.Number, level(c.Level, colours), c.Check, clean(c.Text)); err != nil {
			return err
		}
		for _, f := range c.Findings {
			for _, line := range []string{string(f.Level) + ": " + f.Text, "  fix: " + f.Fix} {
				if err := say(w, "        %s", line); err != nil {
					return err
				}
			}
		}
		if len(c.Findings) > 0 {
			if err := say(w, "          see %s", c.Docs); err != nil {
				return err
			}
		}
	}
	return say(w, "%d fine, %d to look at, %d failed, %d not looked at", r.OK, r.Warn, r.Fail, r.Skip)
}

// level is a level in its column, in colour on a terminal.
func level(l doctor.Level, colours bool) string {
	word := fmt.Sprintf("%-4s", l)
	if !colours {
		return word
	}
	text.EnableColors()
	switch l {
	case doctor.OK:
		return text.FgGreen.Sprint(word)
	case doctor.WARN:
		return text.FgYellow.Sprint(word)
	case doctor.FAIL:
		return text.FgRed.Sprint(word)
	default:
		return text.Faint.Sprint(word)
	}
}
