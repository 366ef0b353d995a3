package httpapi

import (
	"net/http"
	"strings"
	"time"

	"janela/campaigns"
	"janela/internal/store"
)

// Campaign is where a campaign stands.
type Campaign struct {
	campaigns.Status
	Title     string    `json:"title,omitempty"`
	Path      string    `json:"path"` // of its definition
	ChangedAt time.Time `json:"changed_at"`
}

func (s *Server) campaignOf(q store.Querier, camp campaigns.Campaign) (Campaign, error) {
	return s.campaignWith(q, camp, 20)
}

// campaignWith is campaignOf with at most so many runs.
func (s *Server) campaignWith(q store.Querier, camp campaigns.Campaign, runs int) (Campaign, error) {
	st, err := s.cfg.Campaigns.StatusOfRuns(q, camp, runs)
	if err != nil {
		return Campaign{}, err
	}
	out := Campaign{Status: st, Path: camp.Path, ChangedAt: store.Time(camp.ChangedAt)}
	def, _, err := definitionIn(q, camp)
	if def != nil {
		out.Title = def.Title
	}
	return out, err
}

// definitionIn reads the definition in force, else the one that waits; nil: there
// is none.
func definitionIn(q store.Querier, camp campaigns.Campaign) (*campaigns.Definition, string, error) {
	for _, id := range []int64{camp.Current, camp.Next} {
		rev, ok, err := campaigns.RevisionByID(q, id)
		if err != nil {
			return nil, "", err
		}
		if ok {
			def, _, _ := campaigns.ParseDefinition(camp.Path, []byte(rev.Definition)) // one that an older version took may have faults by now
			return def, rev.Definition, nil
		}
	}
	return nil, "", nil
}

func (s *Server) listCampaigns(w http.ResponseWriter, r *http.Request) error {
	out := []Campaign{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := campaigns.List(q)
		if err != nil {
			return err
		}
		for _, camp := range all {
			c, err := s.campaignOf(q, camp)
			if err != nil {
				return err
			}
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) showCampaign(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var out Campaign
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		camp, ok, err := campaigns.ByID(q, id)
		if err == nil && !ok {
			err = notFound("there is no campaign %q", id).hint("if its definition lies in the folder, it may have faults: janela check FILE")
		}
		if err != nil {
			return err
		}
		out, err = s.campaignOf(q, camp)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// CampaignCommand is what the commands on one campaign take; each reads its own
// fields.
type CampaignCommand struct {
	Plan   string `json:"plan,omitempty"`   // approve: the hash that the approver saw
	Reason string `json:"reason,omitempty"` // pause: why, in words
	To     string `json:"to,omitempty"`     // test: one of test_numbers
	Row    int    `json:"row,omitempty"`    // test: whose values, counted from 1; 0: the first usable
	From   string `json:"from,omitempty"`   // draft: a campaign's id or a definition's absolute path
}

// CampaignReply says what a command on a campaign did.
type CampaignReply struct {
	State     string   `json:"state"`               // of the campaign afterwards; "" for a draft
	Cancelled int64    `json:"cancelled,omitempty"` // cancel: messages that were queued
	Message   int64    `json:"message,omitempty"`   // test
	Files     []string `json:"files,omitempty"`     // draft: written
}

// command runs f and answers with the campaign's state afterwards.
func (s *Server) command(w http.ResponseWriter, r *http.Request, f func(id string, in CampaignCommand, out *CampaignReply) error) error {
	var in CampaignCommand
	if err := decode(r, &in); err != nil {
		return err
	}
	patient(w)
	id := r.PathValue("id")
	var out CampaignReply
	if err := f(id, in, &out); err != nil {
		return err
	}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		camp, _, err := campaigns.ByID(q, id)
		out.State = camp.State
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) approve(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, in CampaignCommand, _ *CampaignReply) error {
		if in.Plan == "" {
			return invalid("an approval names the plan that was looked at").hint("janela campaigns show %s", id)
		}
		return s.cfg.Campaigns.Approve(r.Context(), id, in.Plan, Actor(r.Context()))
	})
}

func (s *Server) pause(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, in CampaignCommand, _ *CampaignReply) error {
		return s.cfg.Campaigns.Pause(r.Context(), id, Actor(r.Context()), in.Reason)
	})
}

func (s *Server) resume(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, _ CampaignCommand, _ *CampaignReply) error {
		return s.cfg.Campaigns.Resume(r.Context(), id, Actor(r.Context()))
	})
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, _ CampaignCommand, out *CampaignReply) (err error) {
		out.Cancelled, err = s.cfg.Campaigns.Cancel(r.Context(), id, Actor(r.Context()))
		return err
	})
}

func (s *Server) testCampaign(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, in CampaignCommand, out *CampaignReply) (err error) {
		if in.To == "" && len(s.live.Load().TestNumbers) == 1 {
			in.To = s.live.Load().TestNumbers[0].E164()
		}
		to, err := s.phone(in.To)
		if err != nil {
			return err
		}
		out.Message, err = s.cfg.Campaigns.Test(r.Context(), campaigns.TestRequest{ID: id, To: to.Phone.E164(), Row: in.Row, Actor: Actor(r.Context())})
		return err
	})
}

// Formats of a report.
const (
	ReportCSV      = "csv"      // what became of every row
	ReportJSON     = "json"     // the same, one JSON value a line
	ReportAudience = "audience" // the chosen rows again, as an audience for the next campaign
)

// ReportQuery chooses what a report holds. Empty lists take everything.
type ReportQuery struct {
	Run     int64 // 0: the latest
	States  []string
	Reasons []string
	Format  string
}

// report streams what became of a run's rows.
func (s *Server) report(w http.ResponseWriter, r *http.Request) error {
	run, err := whole(r, "run", 0)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	req := campaigns.ReportRequest{ID: r.PathValue("id"), Run: run, States: words(v.Get("state")), Reasons: words(v.Get("reason"))}
	patient(w)
	switch format := v.Get("format"); format {
	case ReportCSV, "":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		return s.cfg.Campaigns.ReportCSV(r.Context(), req, w)
	case ReportAudience:
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		return s.cfg.Campaigns.NextAudience(r.Context(), req, w)
	case ReportJSON:
		out := newLines(w)
		return s.cfg.Campaigns.Report(r.Context(), req, func(row campaigns.ReportRow) error { return out.enc.Encode(reportLine(row)) })
	default:
		return invalid("format %q is not known", format).hint("write csv, json or audience")
	}
}

// ReportLine is one row of a run's audience and what became of it.
type ReportLine struct {
	Message     int64     `json:"message,omitempty"` // none for a row that became no message
	Line        int       `json:"line"`
	ExternalID  string    `json:"external_id,omitempty"`
	Phone       string    `json:"phone,omitempty"` // in full: the operator asked for it
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Code        int       `json:"code,omitempty"`
	Explanation string    `json:"explanation"`
	Do          string    `json:"do,omitempty"`
	CreatedAt   time.Time `json:"created_at,omitzero"`
	AcceptedAt  time.Time `json:"accepted_at,omitzero"`
	SentAt      time.Time `json:"sent_at,omitzero"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	FailedAt    time.Time `json:"failed_at,omitzero"`
	Replied     bool      `json:"replied"`           // they answered it, or wrote within a day
	Answers     int64     `json:"answers,omitempty"` // what quotes it, or was tapped on its buttons
}

func reportLine(r campaigns.ReportRow) ReportLine {
	return ReportLine{Message: r.Message, Line: r.Line, ExternalID: r.ExternalID, Phone: r.Phone.E164(), State: r.State, Reason: r.Reason,
		Code: r.Code, Explanation: r.Explanation, Do: r.Do, CreatedAt: store.Time(r.CreatedAt), AcceptedAt: store.Time(r.AcceptedAt),
		SentAt: store.Time(r.SentAt), DeliveredAt: store.Time(r.DeliveredAt), ReadAt: store.Time(r.ReadAt), FailedAt: store.Time(r.FailedAt),
		Replied: r.Replied, Answers: r.Answers}
}

// words splits a list with commas.
func words(text string) []string {
	var out []string
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}
