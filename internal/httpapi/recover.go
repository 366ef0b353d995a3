package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"janela/internal/access"
	"janela/internal/guard"
	"janela/internal/outbox"
	"janela/internal/store"
)

// Recovery says what is known of a database that is not the one that ran here
// last.
type Recovery struct {
	Needed   bool          `json:"needed"` // false: nothing is wrong
	Why      string        `json:"why,omitempty"`
	Found    time.Time     `json:"found,omitzero"`     // when it was noticed
	Stands   time.Time     `json:"stands,omitzero"`    // the last instant that the database knew then
	Ran      time.Time     `json:"ran_until,omitzero"` // the last instant that the file beside it knew
	Commits  int64         `json:"commits,omitempty"`  // transactions that are gone, where that is known
	Runs     []RecoveryRun `json:"runs"`               // begun, with messages that may have been sent before
	Singles  int64         `json:"singles"`            // single messages of which the same holds
	Settled  int64         `json:"settled,omitempty"`  // messages that have become unknown by a confirmation
	Expanded bool          `json:"expanded"`           // every run has read its audience: it can be confirmed
}

// RecoveryRun is a run with queued messages.
type RecoveryRun struct {
	Campaign string    `json:"campaign"`
	Run      int64     `json:"run"`
	Civil    string    `json:"civil"` // the local minute it is for
	Started  time.Time `json:"started"`
	State    string    `json:"state"`
	Queued   int64     `json:"queued"`
}

// RecoverRequest is how a restored database is taken care of. One of both.
type RecoverRequest struct {
	Confirm     bool `json:"confirm,omitempty"`      // what may have been sent becomes unknown, and is not sent
	NothingLost bool `json:"nothing_lost,omitempty"` // the database is the newest there is: all of it is sent
}

var (
	sqlBegun = store.SQL(`SELECT r.campaign_id, r.id, r.civil, r.started_at, r.state,
		COALESCE((SELECT SUM(t.n) FROM streams s JOIN tallies t ON t.stream_id = s.id WHERE s.run_id = r.id AND s.run_id > 0 AND s.dry_run = 0 AND t.state = 'queued'), 0)
		FROM runs r WHERE r.state IN ('expanding','sending') ORDER BY r.id`)
	sqlSingles = store.SQL(`SELECT COUNT(*) FROM streams s CROSS JOIN messages m
		WHERE s.run_id = 0 AND s.lane > 0 AND m.stream_id = s.id AND m.state = 'queued' AND m.id <= ?1`)
)

// Fields names the places of sqlBegun.
func (r *RecoveryRun) Fields() []any {
	return []any{&r.Campaign, &r.Run, &r.Civil, (*instantMS)(&r.Started), &r.State, &r.Queued}
}

// recovery says what is known.
func (s *Server) recovery(w http.ResponseWriter, r *http.Request) error {
	var out Recovery
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out, err = s.recoveryOf(q)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) recoveryOf(q store.Querier) (out Recovery, err error) {
	out.Runs = []RecoveryRun{}
	found, needed := s.cfg.DB.Restored()
	if !needed {
		return out, nil
	}
	out = Recovery{Needed: true, Why: found.Why, Found: store.Time(found.Found), Stands: store.Time(found.Stands), Ran: store.Time(found.Ran),
		Commits: found.Commits, Runs: out.Runs, Expanded: true}
	runs, err := store.All[RecoveryRun](q, sqlBegun)
	if err != nil {
		return out, err
	}
	out.Runs = append(out.Runs, runs...)
	for _, run := range runs {
		out.Expanded = out.Expanded && run.State != "expanding"
	}
	out.Singles, _, err = store.Value[int64](q, sqlSingles, found.IDs)
	return out, err
}

// doubtRows is how many messages one transaction of a confirmation settles.
const doubtRows = 200

// recover takes care of a restored database.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) error {
	var in RecoverRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Confirm == in.NothingLost {
		return invalid("say either confirm or nothing_lost")
	}
	found, needed := s.cfg.DB.Restored()
	if !needed {
		return refused(CodeRefused, "the database is the one that ran here last: there is nothing to recover").hint("janela holds lists what stands still, and why")
	}
	patient(w)
	var out Recovery
	for more := true; more; {
		err := s.cfg.DB.Bulk(r.Context(), func(tx *store.Tx) (err error) {
			if out, err = s.recoverSome(tx, r, in, found, out.Settled); err == nil {
				more = out.Needed
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return writeJSON(w, out)
}

// recoverSome settles some messages; the transaction that finds none left ends
// the recovery.
func (s *Server) recoverSome(tx *store.Tx, r *http.Request, in RecoverRequest, found store.Restored, settled int64) (Recovery, error) {
	out, err := s.recoveryOf(tx)
	if err != nil {
		return out, err
	}
	if !out.Needed {
		return out, refused(CodeBusy, "somebody else has just recovered it").hint("janela audit says who")
	}
	if in.Confirm {
		if !out.Expanded {
			return out, refused(CodeBusy, "a run still reads its audience, and its rows would be sent").hint("try again when no run is expanding: janela recover shows them; or cancel its campaign")
		}
		gone, err := outbox.Doubt(tx, found.IDs, doubtRows)
		if err == nil {
			err = s.cfg.Outcomes(tx, gone)
		}
		if out.Settled = settled + int64(len(gone)); err != nil || len(gone) > 0 {
			return out, err
		}
	}
	out.Needed = false
	if err := guard.Release(tx, Actor(r.Context())); err != nil {
		return out, err
	}
	command, after := "recover --nothing-lost", "all of it is sent"
	if in.Confirm {
		command, after = "recover --confirm", fmt.Sprintf("%d messages are unknown", out.Settled)
	}
	return out, access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: command, Object: "database", Before: found.Why, After: after})
}

// instantMS reads milliseconds into a time.
type instantMS time.Time

// Scan implements sql.Scanner.
func (t *instantMS) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("%T is no instant", v)
	}
	*t = instantMS(store.Time(ms))
	return nil
}

// Recovery says whether the database is the one that ran here last.
func (c *Client) Recovery(ctx context.Context) (out Recovery, err error) {
	return out, c.call(ctx, "GET", "/v1/recover", nil, nil, &out)
}

// Recover takes care of a restored database.
func (c *Client) Recover(ctx context.Context, in RecoverRequest) (out Recovery, err error) {
	return out, c.call(ctx, "POST", "/v1/recover", nil, in, &out)
}
