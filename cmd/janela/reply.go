package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

const (
	replyWait  = 10 * time.Second
	replyPause = 100 * time.Millisecond // between two looks
)

func newReply(a *app) *cobra.Command {
	var in httpapi.ReplyRequest
	var wait bool
	cmd := &cobra.Command{
		Use:   "reply PHONE TEXT",
		Short: "Answer a person in free text, while their service window is open",
		Long: "Sends free text to a person who wrote within the last 24 hours. Outside that window it is refused: Meta would not deliver\n" +
			"it; write with a template instead. The message's id is printed.",
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&in.Number, "number", "", "reply from this number, by its name; left out: the one they wrote to")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait up to 10 s for what becomes of it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Phone, in.Text = args[0], args[1]
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			w := cmd.OutOrStdout()
			out, err := c.Reply(ctx, in)
			if err != nil {
				return err
			}
			if err := say(w, "%d", out.Message); err != nil {
				return err
			}
			e := cmd.ErrOrStderr()
			for _, v := range out.Waits {
				if err := say(e, "it waits: %s", v.Value); err != nil {
					return err
				}
			}
			if c.InMemory() {
				return say(e, "queued%s, if the window is open then (until %s)", later(c), stamp(out.ClosesAt))
			}
			if !wait {
				return nil
			}
			m, err := outcome(ctx, c, out.Message)
			if err != nil {
				return err
			}
			if err := say(w, "%s: %s", m.State, m.Text); err != nil {
				return err
			}
			return exitOfState(string(m.State))
		})
	}
	return cmd
}

// outcome waits until a message has left, or cannot any more.
func outcome(ctx context.Context, c *httpapi.Client, id int64) (m httpapi.MessageState, err error) {
	for until := time.Now().Add(replyWait); ; {
		m, err = c.Message(ctx, id)
		if err != nil || (m.State != "queued" && m.State != "sending") || time.Now().After(until) {
			return m, err
		}
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-time.After(replyPause):
		}
	}
}

// exitOfState is 1 for a message that did not leave.
func exitOfState(state string) error {
	switch state {
	case "failed", "refused", "cancelled", "expired", "unknown":
		return &exitError{code: 1}
	default:
		return nil
	}
}
