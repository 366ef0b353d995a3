package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/hooks"
	"janela/internal/store"
)

// HookTarget is how a system stands that hears what happens.
type HookTarget struct {
	Name      string    `json:"name"`
	Address   string    `json:"address,omitempty"` // its host; "" of one that is no longer configured
	Mode      string    `json:"mode,omitempty"`
	State     string    `json:"state"`            // active, paused, or not configured
	Reason    string    `json:"reason,omitempty"` // of a pause: operator, or gone when it answered 410
	Actor     string    `json:"actor,omitempty"`
	Since     time.Time `json:"since"`
	Waiting   int64     `json:"waiting"`
	OldestSec int64     `json:"oldest_seconds"`
	Dead      int64     `json:"dead"`
	Bytes     int64     `json:"bytes"`
	Dropped   int64     `json:"dropped"`
	DroppedAt time.Time `json:"dropped_at,omitzero"`
	Delivered int64     `json:"delivered"` // since the start of the process, as the next two
	Failed    int64     `json:"failed"`
	Died      int64     `json:"died"`
}

// HookDelivery is one webhook on its way, without what is in it.
type HookDelivery struct {
	ID        int64     `json:"id"`
	WebhookID string    `json:"webhook_id"`
	Type      string    `json:"type"`
	State     string    `json:"state"`
	Attempt   int       `json:"attempt"`
	Failure   string    `json:"failure,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	NextAt    time.Time `json:"next_at,omitzero"`
	Deadline  time.Time `json:"deadline"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// HookReply says what a command did.
type HookReply struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
	Retried int    `json:"retried"` // dead deliveries that were given a new life
}

func (s *Server) hookTargets(w http.ResponseWriter, r *http.Request) error {
	out := []HookTarget{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := s.cfg.Hooks.Reports(q)
		for _, t := range all {
			line := HookTarget{Name: t.Name, Address: t.Address, Mode: string(t.Mode), State: "active", Reason: t.Reason, Actor: t.Actor, Since: t.Since,
				Waiting: t.Waiting, OldestSec: int64(t.Oldest / time.Second), Dead: t.Dead, Bytes: t.Bytes, Dropped: t.Dropped, DroppedAt: t.DroppedAt,
				Delivered: t.Delivered, Failed: t.Failed, Died: t.Died}
			switch {
			case t.Mode == "":
				line.State = "not configured"
			case t.Paused:
				line.State = "paused"
			}
			out = append(out, line)
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// hookDeliveries lists what waits for a target, or with dead what was given up.
func (s *Server) hookDeliveries(w http.ResponseWriter, r *http.Request) error {
	name, out := r.PathValue("name"), []HookDelivery{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		if err := s.knownHook(q, name); err != nil {
			return err
		}
		all, err := s.cfg.Hooks.List(q, name, r.URL.Query().Get("dead") == "true", maxPage)
		for _, d := range all {
			out = append(out, HookDelivery{d.ID, d.WebhookID, d.Type, d.State, d.Attempt, d.Failure, d.CreatedAt, d.NextAt, d.Deadline, d.EndedAt})
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) knownHook(q store.Querier, name string) error {
	all, err := s.cfg.Hooks.Reports(q)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Name == name {
			return nil
		}
	}
	return noHook(name)
}

func noHook(name string) *Problem {
	return notFound("there is no webhook target %q", name).hint("janela hooks list")
}

func (s *Server) pauseHook(w http.ResponseWriter, r *http.Request) error {
	return s.changeHook(w, r, "pause", s.cfg.Hooks.Pause)
}

func (s *Server) resumeHook(w http.ResponseWriter, r *http.Request) error {
	return s.changeHook(w, r, "resume", s.cfg.Hooks.Resume)
}

func (s *Server) changeHook(w http.ResponseWriter, r *http.Request, verb string, do func(*store.Tx, string, string) (bool, error)) error {
	out := HookReply{Name: r.PathValue("name")}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if err := s.knownHook(tx, out.Name); err != nil {
			return err
		}
		var err error
		if out.Changed, err = do(tx, out.Name, Actor(r.Context())); err != nil || !out.Changed {
			return err
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "hooks " + verb, Object: out.Name})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// retryHook tries a target again at once; what was given up gets a new life.
func (s *Server) retryHook(w http.ResponseWriter, r *http.Request) error {
	out := HookReply{Name: r.PathValue("name"), Changed: true}
	for n := 1; n > 0; {
		err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
			if err := s.knownHook(tx, out.Name); err != nil {
				return err
			}
			n, err = s.cfg.Hooks.RetryTarget(tx, out.Name)
			return err
		})
		if err != nil {
			return err
		}
		out.Retried += n
	}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "hooks retry", Object: out.Name, After: fmt.Sprintf("%d dead deliveries", out.Retried)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// retryDelivery tries one delivery again.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return invalid("a delivery's id is a number")
	}
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		if err := s.cfg.Hooks.Retry(tx, id); errors.Is(err, hooks.ErrUnknown) {
			return notFound("there is no delivery %d: it has arrived, or is no longer kept", id).hint("janela hooks dead TARGET lists what was given up")
		} else if err != nil {
			return err
		}
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "hooks retry", Object: fmt.Sprintf("delivery %d", id)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, HookReply{Changed: true, Retried: 1})
}
