package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Today is what somebody looks at in the morning: what leaves, what became of it,
// what stands still and why. It costs as much with a million messages as with ten.
type Today struct {
	Now            time.Time       `json:"now"`
	Version        string          `json:"version"`
	Health         *Health         `json:"health,omitempty" doc:"left out: no daemon runs"`
	Sends          *Sends          `json:"sends,omitempty" doc:"left out: no daemon runs"`
	Day            DayFunnel       `json:"day"`
	Reasons        []ReasonCount   `json:"reasons" doc:"of the day: why messages were refused, failed, were cancelled, expired, or are unknown; the most frequent first"`
	Conversations  []CategoryCount `json:"conversations" doc:"24-hour conversations that are open now, to the minute, by category"`
	MessagingLimit *MessagingLimit `json:"messaging_limit,omitempty" doc:"of the portfolio; left out: no daemon runs, or no limit is known"`
	Numbers        []NumberView    `json:"numbers"`
	Templates      []Template      `json:"templates" doc:"that cannot be sent, or that people like little; of those that Meta lists no more the ones of the last 30 days"`
	Holds          []HoldLine      `json:"holds" doc:"that stand"`
}

// Sends counts what was handed to Meta in each of the latest 60 minutes, the
// running one among them.
type Sends struct {
	Since   time.Time     `json:"since" doc:"since when it is counted: when the daemon started"`
	Minutes []MinuteSends `json:"minutes" doc:"oldest first; none before since"`
}

// MinuteSends is one minute.
type MinuteSends struct {
	At             time.Time `json:"at" doc:"its beginning"`
	Authentication int64     `json:"authentication"`
	Utility        int64     `json:"utility" doc:"and service"`
	Marketing      int64     `json:"marketing"`
}

// Lane returns the place of a lane's count.
func (m *MinuteSends) Lane(l whatsapp.Lane) *int64 {
	switch l {
	case whatsapp.LaneAuthentication:
		return &m.Authentication
	case whatsapp.LaneUtility:
		return &m.Utility
	default:
		return &m.Marketing
	}
}

// DayFunnel says where the messages stand now that were made in the last 24 hours.
type DayFunnel struct {
	Since time.Time    `json:"since" doc:"whole hours: the last 24, and what has passed of the running one"`
	All   Funnel       `json:"all"`
	Lanes []LaneFunnel `json:"lanes"`
}

// Funnel counts messages. messages is the sum of queued, sent, failed, refused,
// cancelled, expired and unknown; delivered is part of sent, and read of
// delivered.
type Funnel struct {
	Messages  int64 `json:"messages"`
	Queued    int64 `json:"queued" doc:"waiting, or under way to Meta"`
	Sent      int64 `json:"sent" doc:"Meta took them, and they have not failed"`
	Delivered int64 `json:"delivered"`
	Read      int64 `json:"read"`
	Failed    int64 `json:"failed"`
	Refused   int64 `json:"refused" doc:"a rule said no"`
	Cancelled int64 `json:"cancelled"`
	Expired   int64 `json:"expired" doc:"their deadline passed before they could leave"`
	Unknown   int64 `json:"unknown" doc:"nobody knows whether Meta took them"`
}

// LaneFunnel is the funnel of a lane.
type LaneFunnel struct {
	Lane string `json:"lane" enum:"authentication,utility,marketing"`
	Funnel
}

// Add counts messages of a state.
func (f *Funnel) Add(s outbox.State, n int64) {
	f.Messages += n
	switch s {
	case outbox.Queued, outbox.Sending:
		f.Queued += n
	case outbox.Failed:
		f.Failed += n
	case outbox.Refused:
		f.Refused += n
	case outbox.Cancelled:
		f.Cancelled += n
	case outbox.Expired:
		f.Expired += n
	case outbox.Unknown:
		f.Unknown += n
	default:
		f.Sent += n
	}
	if s == outbox.Delivered || s == outbox.Read {
		f.Delivered += n
	}
	if s == outbox.Read {
		f.Read += n
	}
}

// ReasonCount is why some messages did not arrive.
type ReasonCount struct {
	State    outbox.State `json:"state"`
	Reason   string       `json:"reason"`
	Messages int64        `json:"messages"`
	Text     string       `json:"text" doc:"in words"`
	Do       string       `json:"do,omitempty" doc:"what to do about it"`
}

// CategoryCount counts one category.
type CategoryCount struct {
	Category whatsapp.Category `json:"category"`
	Open     int64             `json:"open"`
}

// today looks at everything at one instant.
func (s *Server) today(w http.ResponseWriter, r *http.Request) error {
	out := Today{Version: s.cfg.Version}
	var numbers []account.Number
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out.Now = q.Now()
		if err := out.day(q); err != nil {
			return err
		}
		if out.Conversations, err = openByCategory(q); err != nil {
			return err
		}
		if numbers, err = account.Numbers(q); err != nil {
			return err
		}
		if out.Templates, err = unhealthy(q); err != nil {
			return err
		}
		holds, err := holdsOf(q)
		out.Holds = slices.DeleteFunc(holds, func(h HoldLine) bool { return h.State == "over" })
		return err
	})
	if err != nil {
		return err
	}
	running := r.Context().Value(memoryKey{}) == nil
	out.Numbers = s.numberViews(numbers, running)
	if s.cfg.Health != nil && running {
		h := s.cfg.Health(r.Context())
		out.Health = &h
	}
	if s.cfg.Sends != nil && running {
		sends := s.cfg.Sends()
		out.Sends = &sends
	}
	if running {
		out.MessagingLimit = s.messagingLimit(out.Now)
	}
	return writeJSON(w, out)
}

// day fills in what became of the messages of the last 24 hours.
func (t *Today) day(q store.Querier) error {
	for _, name := range laneNames {
		t.Day.Lanes = append(t.Day.Lanes, LaneFunnel{Lane: name})
	}
	since, tallies, err := outbox.MadeSince(q, q.Now().Add(-24*time.Hour))
	t.Day.Since, t.Reasons = since, []ReasonCount{}
	reasons := map[ReasonCount]int64{}
	for _, n := range tallies {
		t.Day.All.Add(n.State, n.N)
		if l := int(n.Lane); l >= 0 && l < len(t.Day.Lanes) {
			t.Day.Lanes[l].Add(n.State, n.N)
		}
		if n.Reason != "" {
			reasons[ReasonCount{State: n.State, Reason: n.Reason}] += n.N
		}
	}
	for c, n := range reasons {
		c.Messages = n
		c.Text, c.Do = campaigns.Explain(string(c.State), c.Reason, 0)
		t.Reasons = append(t.Reasons, c)
	}
	slices.SortFunc(t.Reasons, func(a, b ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	})
	return err
}

// openByCategory counts open conversations, of every category.
func openByCategory(q store.Querier) ([]CategoryCount, error) {
	open, err := conversations.OpenNow(q)
	var out []CategoryCount
	for _, c := range append(slices.Clone(whatsapp.TemplateCategories), whatsapp.Service) {
		out = append(out, CategoryCount{c, open[c]})
	}
	return out, err
}

// unhealthy are the templates that somebody should look at.
func unhealthy(q store.Querier) ([]Template, error) {
	all, err := templatesOf(q)
	return slices.DeleteFunc(all, func(t Template) bool {
		if t.Missing {
			return q.Now().Sub(t.Changed) > 30*24*time.Hour
		}
		return t.Sendable && t.Quality != "YELLOW" && t.Quality != "RED"
	}), err
}

// messagingLimit is how far the portfolio's limit is used; nil where none is known.
func (s *Server) messagingLimit(now time.Time) *MessagingLimit {
	if s.cfg.Reach == nil {
		return nil
	}
	at := s.cfg.Reach(now)
	if at.Limit <= 0 {
		return nil
	}
	out := &MessagingLimit{People: at.People, Limit: at.Limit, Reserve: at.Reserve, Notices: at.Notices, Left: at.Marketing, Full: at.Full, Text: at.String()}
	if at.Full {
		out.Opens = &at.Opens
	}
	return out
}

// numberViews show our numbers; paced: with how fast they go.
func (s *Server) numberViews(all []account.Number, paced bool) []NumberView {
	paces := map[string]*NumberPace{}
	if of := s.cfg.Paces; of != nil && paced {
		for _, p := range of() {
			line := paceOf(p, numberNames(all))
			paces[p.Number] = &line
		}
	}
	views := make([]NumberView, len(all))
	for i, n := range all {
		views[i] = NumberView{Name: n.Name, ID: n.ID, Account: n.WABA, Unit: n.Unit, VerifiedName: n.VerifiedName, Status: n.Status, Quality: n.Quality, Throughput: n.Throughput,
			MessagingLimit: n.MessagingLimit, OnBizApp: n.OnBizApp, SeenAt: store.Time(n.SeenAt), Pace: paces[n.ID]}
	}
	return views
}

// Today is what somebody looks at in the morning.
func (c *Client) Today(ctx context.Context) (out Today, err error) {
	return out, c.call(ctx, "GET", "/v1/today", nil, nil, &out)
}
