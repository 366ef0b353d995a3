package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthPatience is how long a daemon may take to answer a health check.
const healthPatience = 10 * time.Second

func newHealthcheck(a *app) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit code 0 while the daemon answers, 1 otherwise",
		Long: "Asks the running daemon by its socket, and says nothing where it answers: for HEALTHCHECK of a container, and for monitors.\n" +
			"--ready also wants it to take work. Do not restart a daemon because it is not ready: a token that Meta refuses, or a disk that\n" +
			"is full, is not mended by that.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "also 1 while it takes no work")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := context.WithTimeout(context.Background(), healthPatience)
		defer stop()
		c, err := a.dial(ctx, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer c.Close()
		st, err := c.Status(ctx)
		switch {
		case err != nil:
			return &exitError{1, err}
		case ready && (st.Health == nil || !st.Health.Ready):
			why := "it is not ready"
			if st.Health != nil {
				why += ": " + strings.Join(st.Health.Problems, "; ")
			}
			return &exitError{1, errors.New(why)}
		}
		return nil
	}
	return cmd
}
