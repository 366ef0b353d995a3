package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/optin"
)

// LedgerFault is something of the consent ledger that was changed behind its
// back.
type LedgerFault struct {
	Kind    string `json:"kind"`
	Seal    int64  `json:"seal,omitempty"`
	Event   int64  `json:"event,omitempty"`
	Contact int64  `json:"contact,omitempty"`
	Detail  string `json:"detail"`
}

// VerifyReply says whether the consent ledger is what was written down.
type VerifyReply struct {
	Intact        bool          `json:"intact"`
	Events        int64         `json:"events"`
	Seals         int64         `json:"seals"`
	Blanked       int64         `json:"blanked"`  // events whose evidence was removed because the person was forgotten
	Unsealed      int64         `json:"unsealed"` // the newest events, not sealed yet
	UnsealedSince time.Time     `json:"unsealed_since,omitzero"`
	Standings     int64         `json:"standings"` // rows of what the gate reads
	Head          string        `json:"head"`      // to be kept elsewhere
	FaultCount    int           `json:"fault_count"`
	Faults        []LedgerFault `json:"faults"` // the first of them
}

// verify compares the consent ledger with its seals.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Ledger == nil {
		return notFound("the consent ledger is not sealed here").hint("[optin] key_file names the keys; janela doctor looks at them")
	}
	var heads []optin.Head
	for _, text := range r.URL.Query()["head"] {
		h, err := optin.ParseHead(text)
		if err != nil {
			return err
		}
		heads = append(heads, h)
	}
	patient(w)
	found, err := s.cfg.Ledger.Verify(r.Context(), heads...)
	if err != nil {
		return err
	}
	out := VerifyReply{Intact: found.FaultCount == 0, Events: found.Events, Seals: found.Seals, Blanked: found.Blanked, Unsealed: found.Unsealed,
		UnsealedSince: found.UnsealedSince, Standings: found.Standings, Head: found.Head.String(), FaultCount: found.FaultCount, Faults: []LedgerFault{}}
	for _, f := range found.Faults {
		out.Faults = append(out.Faults, LedgerFault{f.Kind, f.Seq, f.Event, f.Contact, f.Detail})
	}
	return writeJSON(w, out)
}

// AcceptReply says which head was known, and which is now.
type AcceptReply struct {
	Before string `json:"before"`
	Now    string `json:"now"`
}

// acceptHead takes the last seal for the head, whatever was known before.
func (s *Server) acceptHead(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Ledger == nil {
		return notFound("the consent ledger is not sealed here").hint("[optin] key_file names the keys; janela doctor looks at them")
	}
	before, now, err := s.cfg.Ledger.Accept(r.Context())
	if err != nil {
		return err
	}
	out := AcceptReply{before.String(), now.String()}
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "optin verify --accept", Object: "consent ledger", Before: fmt.Sprint("head ", out.Before), After: fmt.Sprint("head ", out.Now)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// Verify compares the consent ledger with its seals, and with heads that were
// kept elsewhere.
func (c *Client) Verify(ctx context.Context, heads []string) (out VerifyReply, err error) {
	return out, c.call(ctx, "GET", "/v1/consents/verify", url.Values{"head": heads}, nil, &out)
}

// AcceptHead takes the last seal for the head.
func (c *Client) AcceptHead(ctx context.Context) (out AcceptReply, err error) {
	return out, c.call(ctx, "POST", "/v1/consents/verify/accept", nil, struct{}{}, &out)
}
