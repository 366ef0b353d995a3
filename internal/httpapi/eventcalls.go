package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"janela/internal/access"
	"janela/internal/hooks"
	"janela/internal/store"
	"janela/otp"
)

// eventQuery says which stream, and from where.
type eventQuery struct {
	Stream string `json:"stream,omitempty" doc:"by its name in config.toml; may be left out where there is one"`
	After  string `json:"after,omitempty" pattern:"^[0-9]{1,18}$" doc:"the id of the last event that was heard; 0: everything that is kept. Last-Event-ID goes before it. Left out: from now on"`
}

// eventEndpoints are those of what happens.
func eventEndpoints() []*endpoint {
	return []*endpoint{{method: http.MethodGet, path: "/v1/events", scope: access.ScopeEventRead, id: "stream-events", part: partHouse, title: "Hear what happens (server-sent events)",
		about: "Events of a `[[hooks]]` of mode stream, with the data that webhooks have. Each has an `id`; who connects again with `Last-Event-ID` misses nothing that is kept (`max_age`, `max_mb`). " +
			"A first event `gap` says that what came right after that id may not be kept any more. It ends when the key does, or the daemon stops: connect again.",
		query: eventQuery{}, replies: []reply{{status: http.StatusOK, kind: "text/event-stream"}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound, otp.CodeRateLimited},
		run: (*call).events}}
}

const (
	eventsEvery    = time.Second      // how often a stream looks for news
	eventsQuiet    = 15 * time.Second // after which it says that it is still there
	eventsAtOnce   = 200              // events of one look
	maxEventStream = 100              // connections
)

// events streams what happens, from a place on.
func (c *call) events() (answer, error) {
	var stream string
	var after int64
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[eventQuery](c)
		if err != nil {
			return err
		}
		all := c.server.cfg.Hooks.Streams()
		switch {
		case in.Stream == "" && len(all) == 1:
			stream = all[0]
		case slices.Contains(all, in.Stream):
			stream = in.Stream
		case in.Stream == "" && len(all) > 1:
			return malformed("there are several streams; say which with stream")
		default:
			return publicProblem(otp.CodeNotFound, "there is no such stream: it is a [[hooks]] of mode stream in config.toml")
		}
		from := in.After
		if last := c.r.Header.Get("Last-Event-ID"); last != "" {
			if _, err := strconv.ParseUint(last, 10, 63); err != nil {
				return malformed("Last-Event-ID is no id of an event")
			}
			from = last
		}
		if from == "" {
			after, err = c.server.cfg.Hooks.Newest(q, stream)
			return err
		}
		after, err = strconv.ParseInt(from, 10, 64)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if !c.listeners.enter() {
		p := publicProblem(otp.CodeRateLimited, "too many streams are open")
		p.Scope, p.RetryAfter = "source", 10
		return answer{}, p
	}
	return answer{status: http.StatusOK, kind: "text/event-stream", stream: func(w io.Writer) error {
		defer c.listeners.leave()
		return c.follow(w, stream, after)
	}}, nil
}

// follow writes events until somebody ends it.
func (c *call) follow(w io.Writer, stream string, after int64) error {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	out := bytes.NewBufferString("retry: 2000\n\n")
	quiet := 0
	for first := true; ; first = false {
		more, err := c.someEvents(ctx, out, stream, &after, first)
		if err != nil {
			return nil //nolint:nilerr // the key has ended, or the database: the stream ends, and may be asked for again
		}
		if quiet++; out.Len() == 0 && time.Duration(quiet)*eventsEvery >= eventsQuiet {
			out.WriteString(":\n\n")
		}
		if out.Len() > 0 {
			quiet = 0
			if _, err := out.WriteTo(w); err != nil {
				return nil //nolint:nilerr // nobody listens any more
			}
			if f, ok := w.(interface{ Flush() error }); ok {
				_ = f.Flush()
			}
		}
		if more {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		case <-c.waits.ended:
			return nil
		}
	}
}

// someEvents reads what is new. A key that was revoked hears nothing more.
func (c *call) someEvents(ctx context.Context, out *bytes.Buffer, stream string, after *int64, first bool) (more bool, err error) {
	var found []hooks.StreamEvent
	var gap bool
	err = c.db.Read(ctx, func(q *store.Snap) error {
		if err := c.known(q, c.endpoint.scope); err != nil {
			return err
		}
		found, gap, err = c.server.cfg.Hooks.Read(q, stream, *after, eventsAtOnce)
		return err
	})
	if err != nil {
		return false, err
	}
	if gap && first {
		out.WriteString("event: gap\ndata: {}\n\n")
	}
	for _, e := range found {
		fmt.Fprintf(out, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, bytes.TrimSpace(e.Body))
		*after = e.ID
	}
	return len(found) == eventsAtOnce, nil
}

// listeners counts the streams that are open.
type listeners struct{ n atomic.Int64 }

func (l *listeners) enter() bool {
	if l.n.Add(1) <= maxEventStream {
		return true
	}
	l.n.Add(-1)
	return false
}

func (l *listeners) leave() { l.n.Add(-1) }
