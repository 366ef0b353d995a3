package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

// TemplateView is a template in all its languages, and who sends it.
type TemplateView struct {
	Name      string             `json:"name"`
	Languages []TemplateLanguage `json:"languages" doc:"by account and language"`
	Campaigns []TemplateCampaign `json:"campaigns" doc:"that are active or paused and whose definition names it"`
	Purposes  []TemplatePurpose  `json:"purposes" doc:"of one-time codes, in config.toml"`
	Since     time.Time          `json:"since" doc:"of runs: 30 days ago"`
	Runs      []TemplateRun      `json:"runs" doc:"of the last 30 days, newest first, at most 100"`
	Singles   []TemplateRun      `json:"singles" doc:"messages that are of no run, since they were first sent: single ones, replies and codes"`
}

// TemplateLanguage is a template as Meta approved it, in one language.
type TemplateLanguage struct {
	Template
	ID              string              `json:"id,omitempty" doc:"Meta's"`
	ParameterFormat string              `json:"parameter_format" doc:"POSITIONAL or NAMED"`
	CorrectCategory string              `json:"correct_category,omitempty" doc:"the category that Meta says it belongs to"`
	TTLSeconds      int64               `json:"message_send_ttl_seconds,omitempty" doc:"how long Meta tries to deliver; left out: as long as Meta does by itself"`
	Components      []TemplateComponent `json:"components"`
	Holds           []HoldLine          `json:"holds" doc:"that stop it alone: paused by Meta, held back for its quality assessment, or by a person"`
}

// TemplateComponent is a part of a template, as Meta lists it.
type TemplateComponent struct {
	Type                      string            `json:"type" doc:"HEADER, BODY, FOOTER, BUTTONS, CAROUSEL, LIMITED_TIME_OFFER, …"`
	Format                    string            `json:"format,omitempty" doc:"of a header: TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION"`
	Text                      string            `json:"text,omitempty" doc:"with {{1}} or {{name}} where values go"`
	Examples                  []TemplateExample `json:"examples,omitempty" doc:"the values that Meta was shown"`
	Buttons                   []TemplateButton  `json:"buttons,omitempty"`
	Cards                     []TemplateCard    `json:"cards,omitempty"`
	HasExpiration             bool              `json:"has_expiration,omitempty" doc:"of a limited-time offer: its end is shown"`
	AddSecurityRecommendation bool              `json:"add_security_recommendation,omitempty" doc:"of a code's body"`
	CodeExpirationMinutes     int               `json:"code_expiration_minutes,omitempty" doc:"of a code's footer"`
}

// TemplateExample is an example of one value.
type TemplateExample struct {
	Name  string `json:"name,omitempty" doc:"of a named value; those without come in the order of their places"`
	Value string `json:"value"`
}

// TemplateButton is a button.
type TemplateButton struct {
	Type     string   `json:"type" doc:"QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE, OTP, …"`
	Text     string   `json:"text,omitempty"`
	URL      string   `json:"url,omitempty"`
	Phone    string   `json:"phone_number,omitempty" doc:"of the business"`
	OTPType  string   `json:"otp_type,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// TemplateCard is one card of a carousel.
type TemplateCard struct {
	Components []TemplateComponent `json:"components"`
}

// TemplateCampaign is a campaign that sends the template.
type TemplateCampaign struct {
	Campaign string `json:"campaign"`
	State    string `json:"state"`
	Language string `json:"language"`
	Waiting  bool   `json:"waiting,omitempty" doc:"only its next revision names it, which waits"`
}

// TemplatePurpose is a purpose of one-time codes that sends the template.
type TemplatePurpose = otp.TemplateUse

// TemplateRun counts what was sent with the template by one run, or by none.
type TemplateRun struct {
	Run       int64             `json:"run,omitempty"`
	Campaign  string            `json:"campaign,omitempty"`
	Account   string            `json:"account"`
	Number    string            `json:"number"`
	Language  string            `json:"language"`
	Category  whatsapp.Category `json:"category"`
	StartedAt time.Time         `json:"started_at"`
	Funnel
}

// template shows a template by its name.
func (s *Server) template(w http.ResponseWriter, r *http.Request) error {
	out := TemplateView{Name: r.PathValue("name"), Languages: []TemplateLanguage{}, Campaigns: []TemplateCampaign{}, Purposes: []TemplatePurpose{}}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := account.Templates(q)
		if err != nil {
			return err
		}
		holds, err := holdsOf(q)
		if err != nil {
			return err
		}
		for _, t := range all {
			if t.Ref.Name == out.Name {
				out.Languages = append(out.Languages, languageOf(t, holds))
			}
		}
		if len(out.Languages) == 0 {
			return notFound("Meta lists no template of this name").hint("janela templates list; janela templates sync asks Meta")
		}
		if err := out.campaigns(q); err != nil {
			return err
		}
		if s.cfg.OTP != nil {
			out.Purposes = some(s.cfg.OTP.TemplateUses(out.Name))
		}
		return out.sent(q)
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func languageOf(t account.Template, holds []HoldLine) TemplateLanguage {
	out := TemplateLanguage{Template: templateOf(t), ID: t.MetaID, ParameterFormat: t.ParameterFormat, CorrectCategory: t.CorrectCategory, TTLSeconds: t.TTLSeconds,
		Components: componentsOf([]byte(t.Components)), Holds: []HoldLine{}}
	for _, h := range holds {
		if h.Scope == string(outbox.ScopeTemplate) && h.Target == t.Ref.Target() && h.State != "over" {
			out.Holds = append(out.Holds, h)
		}
	}
	return out
}

// campaigns finds those whose definition names the template. Those that ended are
// told by their runs.
func (v *TemplateView) campaigns(q store.Querier) error {
	all, err := campaigns.List(q)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.State != campaigns.Active && c.State != campaigns.Paused {
			continue
		}
		for i, id := range []int64{c.Current, c.Next} {
			if id == 0 {
				continue
			}
			rev, ok, err := campaigns.RevisionByID(q, id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			d, _, _ := campaigns.ParseDefinition(c.Path, []byte(rev.Definition))
			// one that an older version took is known by its runs
			if d == nil || d.Template.Name != v.Name {
				continue
			}
			v.Campaigns = append(v.Campaigns, TemplateCampaign{Campaign: c.ID, State: c.State, Language: d.Template.Language, Waiting: i == 1})
			break
		}
	}
	return nil
}

// mostRuns bounds how many runs a template shows.
const mostRuns = 100

var (
	sqlTemplateRuns = store.SQL(`SELECT s.id, s.run_id, s.campaign_id, s.waba_id, s.number_id, s.language, s.category, s.created_at, t.state, t.n
		FROM (SELECT * FROM streams WHERE template = ?1 AND template <> '' AND id >= ?2 AND run_id > 0 AND dry_run = 0 ORDER BY id DESC LIMIT ?3) s
		CROSS JOIN tallies t WHERE t.stream_id = s.id`)
	sqlTemplateSingles = store.SQL(`SELECT s.id, s.run_id, s.campaign_id, s.waba_id, s.number_id, s.language, s.category, s.created_at, t.state, t.n
		FROM streams s CROSS JOIN tallies t WHERE s.run_id = 0 AND s.template = ?1 AND s.template <> '' AND t.stream_id = s.id`)
)

type templateTally struct {
	stream, run                         int64
	campaign, account, number, language string
	category                            whatsapp.Category
	created                             int64
	state                               outbox.State
	n                                   int64
}

// Fields names the places of the columns of sqlTemplateRuns.
func (t *templateTally) Fields() []any {
	return []any{&t.stream, &t.run, &t.campaign, &t.account, &t.number, &t.language, &t.category, &t.created, &t.state, &t.n}
}

// sent counts what was sent with the template, from the tallies of its streams.
func (v *TemplateView) sent(q store.Querier) error {
	v.Since = q.Now().AddDate(0, 0, -30)
	names, err := allNames(q)
	if err != nil {
		return err
	}
	if v.Runs, err = templateRuns(q, names, sqlTemplateRuns, v.Name, store.FirstID(v.Since), mostRuns); err != nil {
		return err
	}
	v.Singles, err = templateRuns(q, names, sqlTemplateSingles, v.Name)
	return err
}

func templateRuns(q store.Querier, names map[string]string, stmt *store.Stmt, args ...any) ([]TemplateRun, error) {
	byStream := map[int64]*TemplateRun{}
	err := store.Each(q, stmt, func(t *templateTally) error {
		r := byStream[t.stream]
		if r == nil {
			r = &TemplateRun{Run: t.run, Campaign: t.campaign, Account: t.account, Number: cmp.Or(names[t.number], t.number), Language: t.language, Category: t.category, StartedAt: store.Time(t.created)}
			byStream[t.stream] = r
		}
		r.Add(t.state, t.n)
		return nil
	}, args...)
	out := make([]TemplateRun, 0, len(byStream))
	for _, r := range byStream {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b TemplateRun) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(b.Run, a.Run), cmp.Compare(a.Language, b.Language), cmp.Compare(a.Number, b.Number))
	})
	return out, err
}

// metaComponent is a component as Meta writes it (Graph API: Template Components).
type metaComponent struct {
	Type     string       `json:"type"`
	Format   string       `json:"format"`
	Text     string       `json:"text"`
	Example  metaExample  `json:"example"`
	Buttons  []metaButton `json:"buttons"`
	Security bool         `json:"add_security_recommendation"`
	Minutes  int          `json:"code_expiration_minutes"`
	Offer    struct {
		Text          string `json:"text"`
		HasExpiration bool   `json:"has_expiration"`
	} `json:"limited_time_offer"`
	Cards []struct {
		Components []metaComponent `json:"components"`
	} `json:"cards"`
}

type metaExample struct {
	HeaderText  []string    `json:"header_text"`
	HeaderNamed []metaNamed `json:"header_text_named_params"`
	HeaderFile  []string    `json:"header_handle"`
	Body        [][]string  `json:"body_text"`
	BodyNamed   []metaNamed `json:"body_text_named_params"`
}

type metaNamed struct {
	Name    string `json:"param_name"`
	Example string `json:"example"`
}

type metaButton struct {
	Type    string          `json:"type"`
	Text    string          `json:"text"`
	URL     string          `json:"url"`
	Phone   string          `json:"phone_number"`
	OTPType string          `json:"otp_type"`
	Example json.RawMessage `json:"example"` // a list, or one text
}

// componentsOf reads what Meta listed. A part that is written in another way than
// the documentation says is left out: nothing is decided by it.
func componentsOf(text []byte) []TemplateComponent {
	var raw []json.RawMessage
	_ = json.Unmarshal(text, &raw) // of what Meta wrote otherwise nothing can be shown
	out := []TemplateComponent{}
	for _, r := range raw {
		var c metaComponent
		if err := json.Unmarshal(r, &c); err == nil {
			out = append(out, c.view())
		}
	}
	return out
}

func (c *metaComponent) view() TemplateComponent {
	out := TemplateComponent{Type: c.Type, Format: c.Format, Text: cmp.Or(c.Text, c.Offer.Text), HasExpiration: c.Offer.HasExpiration, AddSecurityRecommendation: c.Security, CodeExpirationMinutes: c.Minutes}
	e := &c.Example
	for _, v := range slices.Concat(e.HeaderText, e.HeaderFile) {
		out.Examples = append(out.Examples, TemplateExample{Value: v})
	}
	if len(e.Body) > 0 {
		for _, v := range e.Body[0] {
			out.Examples = append(out.Examples, TemplateExample{Value: v})
		}
	}
	for _, n := range slices.Concat(e.HeaderNamed, e.BodyNamed) {
		out.Examples = append(out.Examples, TemplateExample{n.Name, n.Example})
	}
	for _, b := range c.Buttons {
		v := TemplateButton{Type: b.Type, Text: b.Text, URL: b.URL, Phone: b.Phone, OTPType: b.OTPType}
		var one string
		if json.Unmarshal(b.Example, &v.Examples) != nil && json.Unmarshal(b.Example, &one) == nil {
			v.Examples = []string{one}
		}
		out.Buttons = append(out.Buttons, v)
	}
	for _, card := range c.Cards {
		var v TemplateCard
		for i := range card.Components {
			v.Components = append(v.Components, card.Components[i].view())
		}
		out.Cards = append(out.Cards, v)
	}
	return out
}

// viewOperations are those that gather what a page shows.
func (s *Server) viewOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/today":            s.today,
		"GET /v1/templates/{name}": s.template,
		"GET /v1/otp/funnel":       s.otpFunnel,
		"GET /v1/holds/history":    s.holdHistory,
	}
}

// Template shows a template in all its languages, and who sends it.
func (c *Client) Template(ctx context.Context, name string) (out TemplateView, err error) {
	return out, c.call(ctx, "GET", "/v1/templates/"+name, nil, nil, &out)
}
