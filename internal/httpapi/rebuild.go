package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"janela/internal/access"
	"janela/internal/conversations"
	"janela/internal/store"
)

// RebuildRequest derives the conversations again from messages and from what
// people wrote. Without Write nothing is changed.
type RebuildRequest struct {
	Write bool `json:"write,omitempty"`
}

// RebuildDifference is a row that is not what the facts say.
type RebuildDifference struct {
	Table   string `json:"table"`
	ID      int64  `json:"id,omitempty"`
	Number  string `json:"number"`
	Contact int64  `json:"contact"`
	Is      string `json:"is"`     // "": there is none
	Should  string `json:"should"` // "": there shall be none
}

// RebuildReply says what was looked at.
type RebuildReply struct {
	People      int  `json:"people"`
	Ledgers     int  `json:"ledgers"` // a ledger is a person on a number
	Differences int  `json:"differences"`
	Written     bool `json:"written"`
}

// rebuildLine is one line of the answer; the last one has Done.
type rebuildLine struct {
	*RebuildDifference
	Done *RebuildReply `json:"done,omitempty"`
}

// How many people one snapshot, and one transaction, looks at.
const (
	rebuildRead  = 200
	rebuildWrite = 20
)

// rebuild tells one difference a line, then what was looked at. What it writes
// stands in the audit log, page by page.
func (s *Server) rebuild(w http.ResponseWriter, r *http.Request) error {
	var in RebuildRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	patient(w)
	out, done := newLines(w), RebuildReply{Written: in.Write}
	for after, more := int64(0), true; more; {
		var a conversations.Audit
		var names map[string]string
		err := s.rebuildPage(r.Context(), in.Write, func(q store.Querier, limit int) (err error) {
			if names, err = allNames(q); err != nil {
				return err
			}
			tx, writing := q.(*store.Tx)
			if !writing {
				a, err = conversations.Check(q, after, limit)
				return err
			}
			if a, err = conversations.Rebuild(tx, after, limit); err != nil || len(a.Differences) == 0 {
				return err
			}
			return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "conversations rebuild", Object: "conversations",
				After: fmt.Sprintf("%d rows corrected", len(a.Differences))})
		})
		if err != nil {
			return err
		}
		for _, d := range a.Differences {
			name := names[d.Number]
			if name == "" {
				name = d.Number
			}
			if err := out.enc.Encode(rebuildLine{RebuildDifference: &RebuildDifference{d.Table, d.ID, name, d.Contact, d.Is, d.Should}}); err != nil {
				return err
			}
		}
		done.People += a.People
		done.Ledgers += a.Ledgers
		done.Differences += len(a.Differences)
		after, more = a.Last, a.More
	}
	return out.enc.Encode(rebuildLine{Done: &done})
}

// rebuildPage runs one page: in a snapshot, or in a transaction that lets others
// go first.
func (s *Server) rebuildPage(ctx context.Context, write bool, page func(q store.Querier, limit int) error) error {
	if write {
		return s.cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return page(tx, rebuildWrite) })
	}
	return s.cfg.DB.Read(ctx, func(q *store.Snap) error { return page(q, rebuildRead) })
}

// Rebuild compares the conversations with what the messages say, calls each for
// every difference, and with Write corrects them.
func (c *Client) Rebuild(ctx context.Context, in RebuildRequest, each func(RebuildDifference) error) (out RebuildReply, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	resp, err := c.do(ctx, "POST", "/v1/conversations/rebuild", nil, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	ended := false
	err = eachLine(resp.Body, func(l rebuildLine) error {
		if l.Done != nil {
			out, ended = *l.Done, true
			return nil
		}
		if l.RebuildDifference == nil {
			return nil
		}
		return each(*l.RebuildDifference)
	})
	if err == nil && !ended {
		err = broken(errors.New("the last line is missing"))
	}
	return out, err
}
