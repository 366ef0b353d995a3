package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"janela/internal/httpapi"
	"janela/internal/outbox"
)

func newTop(a *app) *cobra.Command {
	var once bool
	every := 2 * time.Second
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the daemon: sends a minute, the queue, what became of messages, holds, numbers",
		Long: "Shows what the daemon does, and draws it again every two seconds until you press Ctrl-C. With --once, or where the output is no\n" +
			"terminal, it looks twice, shows it, and ends. Exit code 1 when no daemon runs.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.Flags().BoolVar(&once, "once", false, "show it once")
	cmd.Flags().DurationVar(&every, "every", every, "time between two looks")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if every < 100*time.Millisecond {
			return errors.New("--every must be at least 100ms")
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		return a.ask(func(_ context.Context, c *httpapi.Client) error {
			if c.InMemory() {
				return &exitError{1, errors.New("no daemon runs\n  janela serve, or systemctl start janela")}
			}
			w := cmd.OutOrStdout()
			return watch(ctx, c, w, every, once || !onTerminal(w) || as.value != asTable, as)
		})
	}
	return cmd
}

// view is what is shown.
type view struct {
	At      time.Time            `json:"at"`
	Ready   bool                 `json:"ready"`
	Lanes   []laneView           `json:"lanes"`
	Funnel  map[string]int64     `json:"funnel"`
	Holds   []httpapi.HoldLine   `json:"holds"`
	Numbers []httpapi.NumberPace `json:"numbers"`
	Limit   string               `json:"messaging_limit,omitempty"`
	Alerts  []string             `json:"alerts,omitempty"`
	version string
}

// laneView is one lane.
type laneView struct {
	Lane     string  `json:"lane"`
	Minute   float64 `json:"per_minute"` // sends, since the look before
	Queued   int64   `json:"queued"`
	InFlight int64   `json:"in_flight"`
	Left     int64   `json:"left"` // ever
}

// left are the states of messages that have left, or may have.
var left = []outbox.State{outbox.Sending, outbox.Accepted, outbox.AcceptedHeld, outbox.Sent, outbox.Delivered, outbox.Read, outbox.Failed, outbox.Unknown, outbox.PresumedExpired}

// watch looks again and again.
func watch(ctx context.Context, c *httpapi.Client, w io.Writer, every time.Duration, once bool, as *format) error {
	before, err := c.Flow(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := c.Flow(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		v, err := look(ctx, c, before, now)
		if err != nil {
			return ended(ctx, err)
		}
		before = now
		if once {
			return v.write(w, as)
		}
		if _, err := io.WriteString(w, v.screen(size(w))); err != nil {
			return err
		}
	}
}

// ended is no error when somebody pressed Ctrl-C.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// look gathers a view.
func look(ctx context.Context, c *httpapi.Client, before, now httpapi.Flow) (v view, err error) {
	st, err := c.Status(ctx)
	if err != nil {
		return v, err
	}
	if v.Holds, err = c.Holds(ctx); err != nil {
		return v, err
	}
	v.fill(st, before, now)
	return v, nil
}

func (v *view) fill(st httpapi.Status, before, now httpapi.Flow) {
	v.At, v.Numbers, v.version, v.Funnel = now.Now, st.Numbers, st.Version, map[string]int64{}
	if st.Health != nil {
		v.Ready, v.Alerts = st.Health.Ready, append(append([]string{}, st.Health.Problems...), st.Health.Alerts...)
	}
	if st.MessagingLimit != nil {
		v.Limit = st.MessagingLimit.Text
	}
	for i, l := range now.Lanes {
		one := laneView{Lane: l.Lane, Queued: l.Messages[outbox.Queued], InFlight: l.Messages[outbox.Sending]}
		var was int64
		for _, s := range left {
			one.Left += l.Messages[s]
			if i < len(before.Lanes) {
				was += before.Lanes[i].Messages[s]
			}
		}
		if d := now.Now.Sub(before.Now); d > 0 { // a message may also come back into the queue
			one.Minute = max(float64(one.Left-was)/d.Minutes(), 0)
		}
		v.Lanes = append(v.Lanes, one)
		m := l.Messages
		v.Funnel["queued"] += m[outbox.Queued] + m[outbox.Sending]
		v.Funnel["accepted"] += m[outbox.Accepted] + m[outbox.AcceptedHeld] + m[outbox.PresumedExpired]
		v.Funnel["sent"] += m[outbox.Sent]
		v.Funnel["delivered"] += m[outbox.Delivered]
		v.Funnel["read"] += m[outbox.Read]
		v.Funnel["failed"] += m[outbox.Failed]
		v.Funnel["unknown"] += m[outbox.Unknown]
		v.Funnel["refused"] += m[outbox.Refused] + m[outbox.Cancelled] + m[outbox.Expired]
	}
}

// write shows it once.
func (v view) write(w io.Writer, as *format) error {
	if as.value == asTable {
		_, err := io.WriteString(w, strings.Join(v.lines(), "\n")+"\n")
		return err
	}
	var rows [][]string
	for _, l := range v.Lanes {
		rows = append(rows, []string{l.Lane, fmt.Sprintf("%.0f", l.Minute), number(l.Queued), number(l.InFlight), number(l.Left)})
	}
	return printRows(w, as, []string{"lane", "per_minute", "queued", "in_flight", "left"}, rows, v)
}

// stages are the funnel, in its order.
var stages = []string{"queued", "accepted", "sent", "delivered", "read", "failed", "unknown", "refused"}

// lines are the view as text.
func (v view) lines() []string {
	ready := "ready"
	if !v.Ready {
		ready = "NOT READY"
	}
	out := []string{fmt.Sprintf("janela %s, %s, %s", v.version, ready, v.At.Local().Format("2006-01-02 15:04:05")), "",
		fmt.Sprintf("%-16s %10s %10s %10s %12s", "lane", "a minute", "queued", "in flight", "left, ever")}
	for _, l := range v.Lanes {
		out = append(out, fmt.Sprintf("%-16s %10.0f %10d %10d %12d", l.Lane, l.Minute, l.Queued, l.InFlight, l.Left))
	}
	var now []string
	for _, s := range stages {
		now = append(now, fmt.Sprintf("%s %d", s, v.Funnel[s]))
	}
	out = append(out, "", "now      "+strings.Join(now, " · "))
	for _, n := range v.Numbers {
		out = append(out, "pace     "+clean(n.Text))
	}
	if v.Limit != "" {
		out = append(out, "reached  "+clean(v.Limit))
	}
	for _, h := range v.Holds {
		if h.State == "over" {
			continue
		}
		out = append(out, "hold     "+clean(strings.TrimSpace(fmt.Sprintf("%s %s: %s since %s %s", h.Scope, h.Target, h.Reason, stamp(h.Since), h.Detail))))
	}
	for _, a := range v.Alerts {
		out = append(out, "alert    "+clean(a))
	}
	return out
}

// screen draws the view over what stands there.
func (v view) screen(width, height int) string {
	lines := v.lines()
	if len(lines) > height-1 && height > 1 {
		lines = append(lines[:height-2], fmt.Sprintf("… and %d more lines", len(lines)-height+2))
	}
	var b strings.Builder
	b.WriteString("\x1b[H") // to the first place
	for _, l := range lines {
		b.WriteString(text.Trim(l, max(width-1, 1)) + "\x1b[K\r\n") // and wipe the rest of the line
	}
	b.WriteString("\x1b[J") // and what stood below
	return b.String()
}

// size of the terminal that w is.
func size(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return 80, 24
}
