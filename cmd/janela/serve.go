package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"janela/internal/daemon"
)

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "Runs the daemon until SIGTERM or SIGINT: it then sends nothing new, waits for what is in flight, and ends.\n" +
			"A second signal ends it at once; what was in flight is then unknown until a status tells, and is never sent twice.\n" +
			"SIGHUP reads the configuration again, as janela reload does.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(a) },
	}
}

func serve(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	progress := daemon.NewProgress(os.Stdout, terminalWidth(os.Stdout))
	level := new(slog.LevelVar)
	log := newLog(cfg.Log, level, progress.Wrap(os.Stderr))
	notify := notifier()
	if notify != nil {
		notify(daemon.Starting, "starting")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	d, err := daemon.New(ctx, daemon.Options{Config: cfg, Log: log, Level: level, Notify: notify, Version: version()})
	if err != nil {
		return failure{err}
	}
	var hangups sync.WaitGroup
	defer func() {
		stop()
		hangups.Wait()
	}()
	hangups.Go(func() { reloadAtHangup(ctx, d) })
	context.AfterFunc(ctx, stop) // from now on a second signal kills
	d.ShowProgress(progress)
	err = d.Run(ctx)
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &exitError{1, failure{err}}
	}
	return nil
}

// reloadAtHangup reads the configuration again at every SIGHUP; what is wrong is
// in the log.
func reloadAtHangup(ctx context.Context, d *daemon.Daemon) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			_, _ = d.Reload(ctx, "SIGHUP")
		}
	}
}

// terminalWidth tells the columns of the terminal that f is; nil if it is none.
func terminalWidth(f *os.File) func() int {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	return func() int {
		columns, _, err := term.GetSize(fd)
		if err != nil || columns < 20 {
			return 80
		}
		return columns
	}
}

// newLog logs in colour to a terminal, and in JSON elsewhere.
func newLog(cfg daemon.LogConfig, level *slog.LevelVar, w io.Writer) *slog.Logger {
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level.Set(slog.LevelInfo)
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	switch {
	case cfg.Format == "json" || cfg.Format == "auto" && !terminal:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	default:
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly,
			NoColor: !terminal || os.Getenv("NO_COLOR") != ""}))
	}
}
