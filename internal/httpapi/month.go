package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// MonthReport counts the conversations and messages of a month of the business's
// time zone.
type MonthReport struct {
	Month string       `json:"month"` // 2026-11
	Zone  string       `json:"zone"`
	From  time.Time    `json:"from"`
	To    time.Time    `json:"to"`
	AsOf  time.Time    `json:"as_of"` // before to: the month is not over
	Rows  []MonthShare `json:"rows"`
}

// MonthShare is one line of it; docs/conversations.md says what is counted.
type MonthShare struct {
	Reading       string            `json:"reading"` // meta or window
	Category      whatsapp.Category `json:"category"`
	Country       string            `json:"country"`
	Origin        string            `json:"origin"` // business, user or none
	Conversations int64             `json:"conversations"`
	Messages      int64             `json:"messages"`
	Billed        int64             `json:"billed"`
	Free          int64             `json:"free"`
	Unknown       int64             `json:"unknown"`
}

// monthPage is how many people one snapshot counts.
const monthPage = 200

// month counts a month.
func (s *Server) month(w http.ResponseWriter, r *http.Request) error {
	text := r.URL.Query().Get("month")
	zone, err := time.LoadLocation(s.live.Load().Zone)
	if err != nil {
		return invalid("time zone %q is not known", s.live.Load().Zone)
	}
	from, err := time.ParseInLocation("2006-01", text, zone)
	if err != nil {
		return invalid("%q is no month", text).hint("write 2026-11")
	}
	patient(w)
	out := MonthReport{Month: text, Zone: s.live.Load().Zone, From: from.UTC(), To: from.AddDate(0, 1, 0).UTC(), Rows: []MonthShare{}}
	report := conversations.NewReport(out.From, out.To)
	for after, more := int64(0), true; more; {
		err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
			out.AsOf = q.Now()
			after, more, err = report.Add(q, after, monthPage, func(root int64) (string, error) { return country(q, root) })
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, x := range report.Shares() {
		out.Rows = append(out.Rows, MonthShare{string(x.Reading), x.Category, x.Country, string(x.Origin), x.Conversations, x.Messages, x.Billed, x.Free, x.Unknown})
	}
	return writeJSON(w, out)
}

// country is where a person is by their number, else by their user id, which
// begins with it (Meta: Business-scoped user IDs); "" for a forgotten one.
func country(q store.Querier, contact int64) (string, error) {
	ids, err := contacts.Identities(q, contact)
	for _, id := range ids {
		switch id.Kind {
		case whatsapp.KindPhone:
			return whatsapp.Phone(id.Value).Region(), err
		case whatsapp.KindWaID:
			return whatsapp.Phone("+" + id.Value).Region(), err
		case whatsapp.KindBSUID, whatsapp.KindParentBSUID:
			if len(id.Value) > 2 && id.Value[2] == '.' {
				return id.Value[:2], err
			}
		}
	}
	return "", err
}

// Month counts a month, written as 2026-11.
func (c *Client) Month(ctx context.Context, month string) (out MonthReport, err error) {
	return out, c.call(ctx, "GET", "/v1/conversations/report", url.Values{"month": {month}}, nil, &out)
}
