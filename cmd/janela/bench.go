package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	for i := range measurements(&bench.Sizes{}) {
		sizes := bench.DefaultSizes() // its own: several have a flag of the same name
		cmd.AddCommand(measurements(&sizes)[i].command())
	}
	cmd.AddCommand(newBenchAll(), newBenchChild())
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
func (f *benchFlags) measure(cmd *cobra.Command, fn func(context.Context, *bench.Config) ([]*bench.Report, error)) error {
	c, err := f.config()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	all, err := fn(ctx, c)
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: nothing was measured to its end, and nothing is left behind")
	}
	if err != nil {
		return err
	}
	return f.show(cmd.OutOrStdout(), all)
}

// show prints reports; wrong counts are an answer of no.
func (f *benchFlags) show(out io.Writer, all []*bench.Report) error {
	var wrong error
	for i, r := range all {
		wrong = errors.Join(wrong, r.Err())
		if f.as.value == asJSON {
			continue
		}
		m := r.Machine
		err := say(out, "%s (%s), %s: %d × %s, %s, %s, load %s", r.Measures, r.Settled(), r.At.Format("2006-01-02 15:04 MST"), m.CPUs, m.Model, m.OS, m.Go, m.Load)
		if err == nil {
			err = printTable(out, bench.Header, r.Rows())
		}
		if err == nil && i < len(all)-1 {
			err = say(out, "")
		}
		if err != nil {
			return err
		}
	}
	if f.as.value == asJSON {
		var v any = all
		if len(all) == 1 {
			v = all[0]
		}
		if err := printJSON(out, v); err != nil {
			return err
		}
	}
	if wrong != nil {
		return &exitError{1, wrong}
	}
	return nil
}

// measurement is a subcommand of bench.
type measurement struct {
	use, short, long string
	runs             int                      // by default
	flags            func(cmd *cobra.Command) // its own
	measure          func(ctx context.Context, c *bench.Config) (*bench.Report, error)
}

func (m measurement) command() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{Use: m.use, Short: m.short, Long: m.long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.measure(cmd, func(ctx context.Context, c *bench.Config) ([]*bench.Report, error) {
				r, err := m.measure(ctx, c)
				return []*bench.Report{r}, err
			})
		}}
	f.flags(cmd, m.runs)
	m.flags(cmd)
	return cmd
}

// measurements are all but bench all; what their flags say stands in o.
func measurements(o *bench.Sizes) []measurement {
	return []measurement{
		{use: "send", short: "A campaign against a plain loop of requests", runs: 5,
			long: "Sends a campaign to a server in another process, with consent, durability and the ledger, and compares it with a loop of\n" +
				"16 requests in flight to the same server, before and after. Admission comes first and is told apart.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().IntVar(&o.Messages, "messages", o.Messages, "recipients of the campaign, and requests of the plain loop")
			},
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) { return c.Send(ctx, o.Messages) }},
		{use: "size", short: "A message of a large campaign over one of a small campaign", runs: 1,
			long: "Sends a small campaign, a large one, and the small one again, and compares what a message costs, and the memory.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().IntVar(&o.Messages, "small", o.Messages, "recipients of the small campaign")
				cmd.Flags().IntVar(&o.Large, "large", o.Large, "recipients of the large campaign")
			},
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) {
				return c.Size(ctx, o.Messages, o.Large)
			}},
		{use: "admit", short: "From a list of recipients to the first message, and until all are admitted", runs: 1,
			long: "Drops a campaign onto a running daemon: how long until everybody is admitted, over a bare insert of the same rows; and, with\n" +
				"another daemon that may send, how long until the first message.",
			flags:   func(cmd *cobra.Command) { cmd.Flags().IntVar(&o.Large, "rows", o.Large, "rows of the list") },
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) { return c.Admit(ctx, o.Large) }},
		{use: "statuses", short: "Signed callbacks answered and applied, against verifying and decoding them", runs: 3,
			long: "Sends a campaign, then posts what became of each message (sent, delivered, read) as Meta does, one status in a callback and\n" +
				"many: how fast they are answered 200, after they are on disk, and applied to the ledgers.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().IntVar(&o.Told, "messages", o.Told, "messages; each gets three statuses")
				cmd.Flags().IntVar(&o.Batch, "batch", o.Batch, "statuses in a callback, for half of the messages")
			},
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) {
				return c.Statuses(ctx, o.Told, o.Batch)
			}},
		{use: "storm", short: "Callbacks at 3,000 a second while 1,000 messages a second go out", runs: 1,
			long: "Sends a campaign at 1,000 messages a second, and posts each message's three statuses one, two and three seconds after it, one in\n" +
				"a callback: how soon they are answered 200, after they are on disk, counted from when each was due.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().DurationVar(&o.Storm, "during", o.Storm, "how long the campaign lasts")
			},
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) { return c.Storm(ctx, o.Storm) }},
		{use: "idle", short: "A daemon with nothing to do, and one that starts with messages waiting", runs: 3,
			long: "Measures processor time and memory of a daemon that does nothing, with an empty database and with many messages that are held;\n" +
				"and how long after the start of its process the first of them leaves.",
			flags: func(cmd *cobra.Command) {
				cmd.Flags().IntVar(&o.Large, "rows", o.Large, "messages that wait")
				cmd.Flags().DurationVar(&o.Idle, "during", o.Idle, "how long it does nothing")
			},
			measure: func(ctx context.Context, c *bench.Config) (*bench.Report, error) { return c.Idle(ctx, o.Large, o.Idle) }},
	}
}

func newBenchAll() *cobra.Command {
	f, o := &benchFlags{}, bench.DefaultSizes()
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Everything, one after the other",
		Long: "Runs send, size, admit, statuses, storm and idle, on the same people where it can. With the default sizes it takes a quarter of an hour,\n" +
			"and some 3 GB in --dir; with --messages 5000 --large 20000 --told 2000 --runs 1 a minute.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.measure(cmd, func(ctx context.Context, c *bench.Config) ([]*bench.Report, error) { return c.All(ctx, o) })
		},
	}
	f.flags(cmd, 3)
	cmd.Flags().IntVar(&o.Messages, "messages", o.Messages, "recipients of a small campaign")
	cmd.Flags().IntVar(&o.Large, "large", o.Large, "recipients of a large one")
	cmd.Flags().IntVar(&o.Told, "told", o.Told, "messages whose statuses are told")
	cmd.Flags().IntVar(&o.Batch, "batch", o.Batch, "statuses in a callback, for half of those")
	cmd.Flags().DurationVar(&o.Storm, "storm", o.Storm, "how long callbacks storm")
	cmd.Flags().DurationVar(&o.Idle, "idle", o.Idle, "how long a daemon does nothing")
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
