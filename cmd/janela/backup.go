package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
	"janela/internal/httpapi"
)

func newBackup(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database into a new file, while the daemon runs or not",
		Long: "Copies the database as it stands now into a new file (mode 0600), looks the copy through (every page, every table), and gives it\n" +
			"its name only then. The daemon goes on meanwhile. A file that is there is never written over: exit code 1.\n\n" +
			"A backup holds personal data, and not the keys (optin.key, otp.key): keep copies of those apart.\n" +
			"[backup] in config.toml makes backups by a schedule.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			start := time.Now()
			made, err := cfg.BackupTo(ctx, args[0])
			if err != nil {
				return failedCopy(err)
			}
			if c, err := httpapi.Dial(ctx, cfg.SocketPath()); err == nil {
				_, err = c.NoteBackup(ctx, httpapi.BackupNote{File: made.File, Bytes: made.Bytes, Rows: made.Total()})
				c.Close()
				if err != nil {
					fmt.Fprintln(os.Stderr, "the backup is good, and the daemon could not note it in the audit log:", err)
				}
			}
			return say(cmd.OutOrStdout(), "%s: %d bytes, %d rows, as of %s; looked through in %s", made.File, made.Bytes, made.Total(), stamp(made.Stands), time.Since(start).Round(time.Millisecond))
		},
	}
}

// failedCopy gives an error its exit code: 1 where the answer is no.
func failedCopy(err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, daemon.ErrLocked) {
		return &exitError{1, err}
	}
	return err
}

func newRestore(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of the database; --check only looks it through",
		Long: "Looks a backup through and puts it in the place of the database. What was there is kept beside it. Stop the daemon first: while one\n" +
			"runs, nothing is done and the exit code is 1.\n\n" +
			"A restored database does not know what was sent since. The daemon starts with it, takes callbacks and sends codes, and holds marketing\n" +
			"and notices until somebody has looked: janela recover.",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&check, "check", false, "look the backup through, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if check {
			c, err := daemon.Inspect(ctx, file)
			if err != nil {
				return &exitError{1, err}
			}
			return say(cmd.OutOrStdout(), "%s is whole: %d bytes, %d rows, schema %d, as of %s", file, c.Bytes, c.Total(), c.Schema, stamp(c.Stands))
		}
		cfg, err := a.load()
		if err != nil {
			return err
		}
		put, err := cfg.RestoreFrom(ctx, file, time.Now())
		if err != nil {
			return failedCopy(err)
		}
		return tellRestore(cmd, put.Aside, fmt.Sprintf("%s is in place: %d rows, as of %s", file, put.Total(), stamp(put.Stands)), put.Commits)
	}
	return cmd
}

// tellRestore says what was done, and what to do next.
func tellRestore(cmd *cobra.Command, aside, done string, commits int64) error {
	lines := []string{done}
	if commits > 0 {
		lines = append(lines, fmt.Sprintf("%d transactions of what ran here are not in it", commits))
	}
	if aside != "" {
		lines = append(lines, "what was there is kept as "+aside+": remove it when all is well")
	}
	lines = append(lines, "next:",
		"  1. start the daemon: marketing and notices stand still (hold restored), codes and replies go on",
		"  2. janela recover says what is known of the time between",
		"  3. import the opt-outs you know of since, and janela forget who was forgotten since",
		"  4. janela optin verify, and --accept where it says that the last seals are gone",
		"  5. janela recover --confirm")
	for _, l := range lines {
		if err := say(cmd.OutOrStdout(), "%s", l); err != nil {
			return err
		}
	}
	return nil
}
