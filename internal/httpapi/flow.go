package httpapi

import (
	"context"
	"net/http"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Flow is how messages stand, by lane, at one instant.
type Flow struct {
	Now   time.Time  `json:"now"`
	Lanes []LaneFlow `json:"lanes"`
}

// LaneFlow counts a lane's messages by state, ever; dry runs are not among them.
type LaneFlow struct {
	Lane     string                 `json:"lane"`
	Messages map[outbox.State]int64 `json:"messages"`
}

var sqlFlow = store.SQL(`SELECT s.lane, t.state, SUM(t.n) FROM tallies t JOIN streams s ON s.id = t.stream_id
	WHERE s.dry_run = 0 GROUP BY s.lane, t.state`)

type flowRow struct {
	lane  int64
	state outbox.State
	n     int64
}

// Fields names the places of sqlFlow.
func (f *flowRow) Fields() []any { return []any{&f.lane, &f.state, &f.n} }

// laneNames are the lanes as metrics call them, in their order.
var laneNames = []string{string(whatsapp.Authentication), string(whatsapp.Utility), string(whatsapp.Marketing)}

func (s *Server) flow(w http.ResponseWriter, r *http.Request) error {
	out := Flow{}
	for _, name := range laneNames {
		out.Lanes = append(out.Lanes, LaneFlow{name, map[outbox.State]int64{}})
	}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		out.Now = q.Wall()
		return store.Each(q, sqlFlow, func(f *flowRow) error {
			if f.lane >= 0 && int(f.lane) < len(out.Lanes) {
				out.Lanes[f.lane].Messages[f.state] += f.n
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// Flow counts messages by lane and state.
func (c *Client) Flow(ctx context.Context) (out Flow, err error) {
	return out, c.call(ctx, "GET", "/v1/flow", nil, nil, &out)
}
