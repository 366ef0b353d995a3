package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"janela/campaigns"
	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

func newPlan(a *app) *cobra.Command {
	var rejects string
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Say what a definition would do, and change nothing",
		Long: "Says how many people a definition would reach, who would not get it and why, and when: judged by the same rules that\n" +
			"judge when it is sent. Nothing is changed. Exit codes: 0 fine, 1 it has faults and would not run, 2 it could not be judged.",
		Args: cobra.ExactArgs(1),
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.Flags().StringVar(&rejects, "rejects", "", "write the rows that cannot be used to this file, as CSV")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.plan(cmd.OutOrStdout(), args[0], as, rejects) }
	return cmd
}

func (a *app) plan(w io.Writer, file string, as *format, rejects string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		var out httpapi.PlanReply
		err := toFile(rejects, func(to io.Writer) (err error) {
			out, err = c.Plan(ctx, path, to)
			return err
		})
		if err != nil {
			return err
		}
		if as.value == asJSON {
			err = printJSON(w, out)
		} else {
			err = showPlan(w, out, path, file)
		}
		if err == nil && httpapi.Faulty(out.Faults) {
			err = &exitError{code: 1}
		}
		return err
	})
}

// toFile calls fn with a new file, or with nil when none is wanted. A file that
// is there is not written over.
func toFile(path string, fn func(io.Writer) error) error {
	if path == "" {
		return fn(nil)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = fn(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if info, statErr := os.Stat(path); err != nil || statErr == nil && info.Size() == 0 {
		_ = os.Remove(path) // nothing was rejected, or it is not whole
	}
	return err
}

func showPlan(w io.Writer, out httpapi.PlanReply, path, typed string) error {
	if err := showFaults(w, out.Faults, path, typed); err != nil || out.Plan == nil {
		return err
	}
	p := out.Plan
	rows := [][]string{
		{"campaign", p.Campaign},
		{"plan", p.Hash},
		{"template", fmt.Sprintf("%s/%s, %s, from %s", p.Template, p.Language, p.Category, p.Number)},
		{"rows", number(p.Rows)},
		{"would get it", number(p.Go)},
		{"refused", counts(p.Refused)},
		{"rejected", counts(p.Rejected)},
		{"first message", stamp(p.FirstSend)},
		{"last message", stamp(p.LastSend)},
		{"per second", strconv.FormatFloat(p.PerSecond, 'f', -1, 64)},
		{"windows", p.Windows},
		{"messaging limit", limitWords(p.Limit)},
		{"countries", counts(p.ByCountry)},
		{"approval", p.Approval},
	}
	if p.OutsideHours > 0 {
		rows = append(rows, []string{"outside 08 to 20 h", number(p.OutsideHours)})
	}
	for _, x := range p.Waits {
		rows = append(rows, []string{"waits", x})
	}
	for _, x := range p.Hints {
		rows = append(rows, []string{"note", x})
	}
	for _, s := range p.Samples {
		rows = append(rows, []string{fmt.Sprintf("line %d, to %s", s.Line, s.To), s.Text})
	}
	rows = slices.DeleteFunc(rows, func(r []string) bool { return r[1] == "" })
	return printTable(w, []string{"what", "value"}, rows)
}

// limitWords says what the messaging limit makes of a plan.
func limitWords(l *campaigns.PlanLimit) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%d people in 24 hours, %d of them kept; %d count now; %d of these are new", l.Limit, l.Kept, l.Count, l.New)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// counts writes "no_opt_in 3, opted_out 1"; the most first.
func counts(m map[string]int64) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return int(m[b] - m[a])
		}
		return strings.Compare(a, b)
	})
	var out []string
	for _, k := range keys {
		name := k
		if name == "" {
			name = "unknown"
		}
		out = append(out, fmt.Sprintf("%s %d", name, m[k]))
	}
	return strings.Join(out, ", ")
}

// showFaults writes one line for each fault, with the file as it was typed.
func showFaults(w io.Writer, faults []httpapi.Fault, path, typed string) error {
	for _, f := range faults {
		p := tomlfile.Problem{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message, Hint: f.Hint}
		if p.File == path {
			p.File = typed
		}
		if f.Severity == tomlfile.Warning.String() {
			p.Severity = tomlfile.Warning
		}
		if err := say(w, "%s", p); err != nil {
			return err
		}
	}
	return nil
}

func newCheck(a *app) *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say what is wrong with definitions",
		Long: "Says everything that is wrong with definitions, one line each, as file:line:column. Exit codes: 0 fine, 1 faults, 2 a file\n" +
			"could not be checked. With --offline it needs neither database nor Meta, and says what it could not check.",
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "check the files alone, without database and Meta")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if offline {
			return a.checkOffline(cmd.OutOrStdout(), args)
		}
		return a.check(cmd.OutOrStdout(), args)
	}
	return cmd
}

func (a *app) check(w io.Writer, files []string) error {
	return a.ask(func(ctx context.Context, c *httpapi.Client) error {
		return eachFile(w, files, func(path string) ([]httpapi.Fault, error) {
			out, err := c.Check(ctx, path)
			return out.Faults, err
		})
	})
}

// checkOffline takes from config.toml what it can, and does without it too.
func (a *app) checkOffline(w io.Writer, files []string) error {
	var env httpapi.Offline
	if cfg, err := a.load(); err == nil {
		env = httpapi.Offline{Zone: cfg.Campaigns.Timezone, Numbers: []string{}}
		for _, acc := range cfg.WhatsApp.Accounts {
			for _, n := range acc.Numbers {
				env.Numbers = append(env.Numbers, n.Name)
			}
		}
	}
	return eachFile(w, files, func(path string) ([]httpapi.Fault, error) { return httpapi.CheckOffline(path, time.Now(), env) })
}

// eachFile checks all files, also after one that could not be checked.
func eachFile(w io.Writer, files []string, check func(path string) ([]httpapi.Fault, error)) error {
	code := 0
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		faults, err := check(path)
		if err != nil {
			code = 2
			fmt.Fprintln(os.Stderr, file+": "+clean(err.Error()))
			continue
		}
		if err := showFaults(w, faults, path, file); err != nil {
			return err
		}
		if httpapi.Faulty(faults) {
			code = max(code, 1)
		} else if err := say(w, "%s: fine", file); err != nil {
			return err
		}
	}
	if code > 0 {
		return &exitError{code: code}
	}
	return nil
}
