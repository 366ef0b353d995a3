package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"janela/internal/daemon"
	"janela/internal/httpapi"
)

// patience is how long a command waits for a database that another process
// holds without answering: a daemon that starts or stops, or another command.
const patience = 5 * time.Second

// ask runs fn with a client: of the running daemon, or of one that this process
// builds for the moment. It gives the error its exit code.
func (a *app) ask(fn func(ctx context.Context, c *httpapi.Client) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	c, done, err := a.connect(ctx)
	if err != nil {
		return failure{err}
	}
	err = fn(ctx, c)
	if closeErr := done(); err == nil {
		err = closeErr
	}
	return coded(err)
}

// coded gives an error of an operation its exit code: 1 when the answer is no,
// 2 when there was none.
func coded(err error) error {
	var p *httpapi.Problem
	if errors.As(err, &p) && p.Status > http.StatusBadRequest && p.Status < http.StatusInternalServerError {
		return &exitError{1, err}
	}
	return err
}

// connect finds the daemon by its socket. Where none listens and nobody holds
// the database, it opens the database itself.
func (a *app) connect(ctx context.Context) (*httpapi.Client, func() error, error) {
	cfg, err := a.load()
	if err != nil || a.socket != "" {
		c, err := a.dial(ctx, os.Stderr)
		if err != nil {
			return nil, nil, err
		}
		return c, func() error { c.Close(); return nil }, nil
	}
	until := time.Now().Add(patience)
	for {
		c, err := httpapi.Dial(ctx, cfg.SocketPath())
		if err == nil {
			return c, func() error { c.Close(); return nil }, nil
		}
		c, done, err := inProcess(ctx, cfg)
		if !errors.Is(err, daemon.ErrLocked) || ctx.Err() != nil {
			return c, done, err
		}
		if time.Now().After(until) {
			return nil, nil, fmt.Errorf("another process holds the database, but nobody answers at %s\n  a daemon may be starting, stopping, or hanging: try again, then look at its log", cfg.SocketPath())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// inProcess builds a daemon without its loops, so that its API can be asked.
func inProcess(ctx context.Context, cfg daemon.Config) (*httpapi.Client, func() error, error) {
	quiet := cfg.Log
	quiet.Level = "warn"
	d, err := daemon.New(ctx, daemon.Options{Config: cfg, Log: newLog(quiet, new(slog.LevelVar), os.Stderr), Version: version()})
	if err != nil {
		return nil, nil, err
	}
	stop := d.Assist()
	c := httpapi.InProcess(d.API(), httpapi.UserName(os.Getuid()))
	return c, func() error {
		c.Close()
		stop()
		return d.Close()
	}, nil
}
