package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/scheduler"
)

// machineOperations are those on the machine that the daemon runs on.
func (s *Server) machineOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/clock":         s.clock,
		"POST /v1/clock/accept": s.acceptClock,
		"GET /v1/recover":       s.recovery,
		"POST /v1/recover":      s.recover,
		"POST /v1/backups":      s.noteBackup,
		"POST /v1/reload":       s.reload,
	}
}

// Clock is the machine's clock against the time that the database has reached.
type Clock struct {
	Clock    time.Time `json:"clock"`    // the machine's, UTC
	Database time.Time `json:"database"` // what decisions are made by; ahead where the clock was set back
	Behind   int64     `json:"behind"`   // by how many seconds the clock is behind the database; 0: it is not
	Text     string    `json:"text"`     // the same in words
}

func clockOf(q store.Querier) Clock {
	c := Clock{Clock: q.Wall(), Database: q.Now(), Behind: max(int64(q.Now().Sub(q.Wall()).Round(time.Second)/time.Second), 0)}
	c.Text = "the clock is not behind the database"
	if c.Behind > 0 {
		c.Text = fmt.Sprintf("the clock is %s behind the database: time stands for janela until it has caught up", time.Duration(c.Behind)*time.Second)
	}
	return c
}

// clock says whether time goes on.
func (s *Server) clock(w http.ResponseWriter, r *http.Request) error {
	var out Clock
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		out = clockOf(q)
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// acceptClock takes the clock as it is, for somebody who knows that it is right.
func (s *Server) acceptClock(w http.ResponseWriter, r *http.Request) error {
	var out Clock
	var again int
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out = clockOf(tx)
		if !tx.Wall().Before(tx.Now()) {
			return refused(CodeRefused, "the clock is not behind the database: there is nothing to accept").hint("janela clock shows both")
		}
		was, is := tx.AcceptWall()
		if again, err = scheduler.Rewind(tx, is); err != nil {
			return err
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "clock --accept", Object: "clock",
			Before: was.Format(time.RFC3339), After: is.Format(time.RFC3339)})
	})
	if err != nil {
		return err
	}
	out.Text = fmt.Sprintf("accepted: it was %s and is %s; %d dates that the wrong clock let pass are to come again",
		out.Database.Format(time.RFC3339), out.Clock.Format(time.RFC3339), again)
	return writeJSON(w, out)
}

// Clock compares the machine's clock with the database.
func (c *Client) Clock(ctx context.Context) (out Clock, err error) {
	return out, c.call(ctx, "GET", "/v1/clock", nil, nil, &out)
}

// AcceptClock takes the machine's clock as it is.
func (c *Client) AcceptClock(ctx context.Context) (out Clock, err error) {
	return out, c.call(ctx, "POST", "/v1/clock/accept", nil, struct{}{}, &out)
}
