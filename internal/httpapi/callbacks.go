package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"janela/internal/access"
	"janela/internal/intake"
	"janela/internal/store"
)

// FailedCallback is a callback of Meta's that could not be applied. What it says
// is kept, and not shown.
type FailedCallback struct {
	ID         int64     `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	FailedAt   time.Time `json:"failed_at"`
	Why        string    `json:"why"`
}

// FailedPage is a page of them.
type FailedPage struct {
	Callbacks []FailedCallback `json:"callbacks"`
	Next      int64            `json:"next,omitempty"` // after=… of the next page
	All       int64            `json:"all"`            // how many there are
}

func (s *Server) failedCallbacks(w http.ResponseWriter, r *http.Request) error {
	after, err := whole(r, "after", 0)
	if err != nil {
		return err
	}
	limit, err := whole(r, "limit", maxPage)
	if err != nil {
		return err
	}
	limit = min(max(limit, 1), maxPage)
	out := FailedPage{Callbacks: []FailedCallback{}}
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := intake.Failed(q, after, int(limit))
		if err != nil {
			return err
		}
		for _, f := range all {
			out.Callbacks = append(out.Callbacks, FailedCallback{f.ID, store.Time(f.ReceivedAt), store.Time(f.FailedAt), f.Why})
		}
		if int64(len(all)) == limit {
			out.Next = all[limit-1].ID
		}
		out.All, err = intake.CountFailed(q)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// RetryRequest names callbacks that are to be applied again.
type RetryRequest struct {
	IDs []int64 `json:"ids"`
}

// RetryReply says how many they are.
type RetryReply struct {
	Callbacks int `json:"callbacks"`
}

// retryCallbacks lets callbacks be applied again, all that are named or none.
func (s *Server) retryCallbacks(w http.ResponseWriter, r *http.Request) error {
	var in RetryRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if len(in.IDs) == 0 || len(in.IDs) > maxResolve {
		return invalid("%d callbacks; name from 1 to %d", len(in.IDs), maxResolve)
	}
	slices.Sort(in.IDs)
	in.IDs = slices.Compact(in.IDs)
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		for _, id := range in.IDs {
			ok, err := intake.Retry(tx, id)
			if err != nil {
				return err
			}
			if !ok {
				return notFound("there is no callback %d that could not be applied", id).hint("nothing was changed: janela callbacks list")
			}
			if err := access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "callbacks retry", Object: fmt.Sprintf("callback %d", id), Before: "failed", After: "stored"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, RetryReply{len(in.IDs)})
}
