package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// PastHold is a hold that was lifted.
type PastHold struct {
	HoldLine
	LiftedAt time.Time `json:"lifted_at"`
	LiftedBy string    `json:"lifted_by"`
}

// maxPastHolds bounds one page of them.
const maxPastHolds = 500

// holdHistory lists the holds that were lifted, the latest placed first.
func (s *Server) holdHistory(w http.ResponseWriter, r *http.Request) error {
	n, err := whole(r, "n", 50)
	if err != nil {
		return err
	}
	before, err := whole(r, "before", 0)
	if err != nil {
		return err
	}
	out := []PastHold{}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		names, err := allNames(q)
		if err != nil {
			return err
		}
		all, err := outbox.LiftedHolds(q, before, int(min(n, maxPastHolds)))
		for _, h := range all {
			l := holdLine(h.Hold, names, q.Now())
			l.State, l.ByHand = "over", false
			out = append(out, PastHold{l, store.Time(h.LiftedAt), h.LiftedBy})
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// HoldHistory lists n holds that were lifted, before the one with an id; 0: the
// latest.
func (c *Client) HoldHistory(ctx context.Context, before int64, n int) (out []PastHold, err error) {
	return out, c.call(ctx, "GET", "/v1/holds/history", url.Values{"n": {strconv.Itoa(n)}, "before": {strconv.FormatInt(before, 10)}}, nil, &out)
}
