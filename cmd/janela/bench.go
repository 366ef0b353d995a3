package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"janela/internal/bench"
)

// benchFlags are what all measurements share.
type benchFlags struct {
	dir     string
	runs    int
	senders int
	as      *format
}

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this program on this machine, by ratios",
		Long: "Measures this program against plain loops that do the same without it, in one run on this machine. It needs no configuration and\n" +
			"no account: messages go to a server of its own on loopback, and everything it makes is removed. See docs/performance.md.\n" +
			"Exit code 1: something was sent twice, or not at all. A goal that is missed is only shown.",
	}
	cmd.AddCommand(newBenchSend(), newBenchChild())
	return cmd
}

// flags adds the shared ones to a measurement.
func (f *benchFlags) flags(cmd *cobra.Command, runs int) {
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", "", "folder for databases, on a real disk; left out: the system's folder of temporary files")
	fl.IntVar(&f.runs, "runs", runs, "how often; the median counts")
	fl.IntVar(&f.senders, "senders", 0, "requests in flight of the daemon; 0: its default")
	f.as = outputFlag(cmd, asTable, asJSON)
}

func (f *benchFlags) config() (*bench.Config, error) {
	if f.runs < 1 {
		return nil, fmt.Errorf("--runs is %d: write at least 1", f.runs)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &bench.Config{Self: []string{self, "bench", "child"}, Dir: f.dir, Runs: f.runs, Senders: f.senders, Notes: os.Stderr}, nil
}

// measure measures until a signal comes, and shows what was found.
func (f *benchFlags) measure(cmd *cobra.Command, fn func(context.Context, *bench.Config) (*bench.Report, error)) error {
	c, err := f.config()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	r, err := fn(ctx, c)
	if err != nil {
		return err
	}
	return f.show(cmd, r)
}

// show prints a report; wrong counts are an answer of no.
func (f *benchFlags) show(cmd *cobra.Command, r *bench.Report) error {
	out := cmd.OutOrStdout()
	if f.as.value == asJSON {
		if err := printJSON(out, r); err != nil {
			return err
		}
	} else {
		m := r.Machine
		if err := say(out, "%s, %s: %d × %s, %s, %s, load %s", r.Measures, r.At.Format("2006-01-02 15:04 MST"), m.CPUs, m.Model, m.OS, m.Go, m.Load); err != nil {
			return err
		}
		if err := printTable(out, bench.Header, r.Rows()); err != nil {
			return err
		}
	}
	if err := r.Err(); err != nil {
		return &exitError{1, err}
	}
	return nil
}

func newBenchSend() *cobra.Command {
	f := &benchFlags{}
	n := 0
	cmd := &cobra.Command{
		Use:   "send",
		Short: "A campaign against a plain loop of requests",
		Long: "Sends a campaign to a server in another process, with consent, durability and the ledger, and compares it with a loop of\n" +
			"16 requests in flight to the same server, before and after. Admission comes first and is told apart.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.measure(cmd, func(ctx context.Context, c *bench.Config) (*bench.Report, error) { return c.Send(ctx, n) })
		},
	}
	f.flags(cmd, 5)
	cmd.Flags().IntVar(&n, "messages", 100_000, "recipients of the campaign, and requests of the plain loop")
	return cmd
}

// newBenchChild is a process that a measurement starts.
func newBenchChild() *cobra.Command {
	return &cobra.Command{
		Use:    "child ROLE",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Child(cmd.Context(), bench.Role(args[0]), os.Stdin, os.Stdout)
		},
	}
}
