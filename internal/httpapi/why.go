package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/dispatch"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Why answers "why was this sent, or not": about a message or about a person.
// Exactly one of the two is set.
type Why struct {
	Message *WhyMessage `json:"message,omitempty"`
	Person  *WhyPerson  `json:"person,omitempty"`
}

// Verdict is one answer of the gate: the rule, what decided, and where that
// stands in the database.
type Verdict struct {
	Verdict string    `json:"verdict"` // go, wait or refuse
	Rule    string    `json:"rule,omitempty"`
	Value   string    `json:"value,omitempty"`
	Row     string    `json:"row,omitempty"`
	Until   time.Time `json:"until,omitzero"` // when a wait ends by itself
}

// Moment is one step of a message's life.
type Moment struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

// MessageState is where a message stands, in words.
type MessageState struct {
	ID     int64        `json:"id"`
	State  outbox.State `json:"state"`
	Reason string       `json:"reason,omitempty"`
	Code   int          `json:"code,omitempty"` // Meta's
	Text   string       `json:"text"`
	Do     string       `json:"do,omitempty"` // what to do about it
}

// WhyMessage is everything about one message.
type WhyMessage struct {
	MessageState
	To         string            `json:"to"` // in full: the operator asked for it
	Kind       string            `json:"kind"`
	Contact    int64             `json:"contact,omitempty"`
	Number     string            `json:"number"`
	Category   whatsapp.Category `json:"category"`
	Template   string            `json:"template,omitempty"` // name/language; "" for free-form text
	Campaign   string            `json:"campaign,omitempty"`
	Run        int64             `json:"run,omitempty"`
	Audience   string            `json:"audience,omitempty"` // file of the run's audience
	Line       int               `json:"line,omitempty"`     // line in it
	ExternalID string            `json:"external_id,omitempty"`
	Attempts   int               `json:"attempts"`
	Callback   string            `json:"callback,omitempty"` // biz_opaque_callback_data of the latest attempt
	Wamid      string            `json:"wamid,omitempty"`
	NotBefore  time.Time         `json:"not_before,omitzero"`
	Deadline   time.Time         `json:"deadline,omitzero"`
	History    []Moment          `json:"history"`
	Verdicts   []Verdict         `json:"verdicts,omitempty"` // while it is queued: the first decides
	Consent    []ConsentState    `json:"consent,omitempty"`  // as it stands now
	Window     *WhyWindow        `json:"window,omitempty"`   // of a free-form message
}

var sqlEnded = store.SQL(`SELECT ended_at FROM messages WHERE id = ?1 UNION ALL SELECT ended_at FROM past_messages WHERE id = ?1`)

// why explains a message id, a wamid, or a number.
func (s *Server) why(w http.ResponseWriter, r *http.Request) error {
	what := strings.TrimSpace(r.URL.Query().Get("of"))
	if what == "" {
		return invalid("say of what: a message id or a phone number")
	}
	var out Why
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		m, ok, err := messageNamed(q, what)
		if err != nil {
			return err
		}
		if ok {
			out.Message, err = s.whyMessage(q, m)
			return err
		}
		out.Person, err = s.whyPerson(q, what)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// messageNamed finds a message by our id or Meta's. A number with a plus is
// always a phone.
func messageNamed(q store.Querier, what string) (m outbox.Message, ok bool, err error) {
	if strings.HasPrefix(what, "wamid.") {
		c, _, err := contacts.OfWamid(q, whatsapp.Wamid(what))
		if err == nil && c.ID > 0 {
			m, ok, err = outbox.ByWamid(q, whatsapp.Wamid(what), c.ID)
		}
		if err == nil && !ok {
			err = notFound("no message of ours to the person that it names has this wamid; ask for the message's id, or the person").hint("janela why PHONE")
		}
		return m, ok, err
	}
	id, bad := strconv.ParseInt(what, 10, 64)
	if bad != nil || strings.HasPrefix(what, "+") {
		return m, false, nil
	}
	return outbox.ByID(q, id)
}

// message tells where one message stands.
func (s *Server) message(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return invalid("a message id is a number")
	}
	var out MessageState
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		m, ok, err := outbox.ByID(q, id)
		if err == nil && !ok {
			err = notFound("there is no message %d", id).hint("janela why PHONE lists the messages to a person")
		}
		out = stateOf(m)
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func stateOf(m outbox.Message) MessageState {
	st := MessageState{ID: m.ID, State: m.State, Reason: m.Reason, Code: m.Code}
	st.Text, st.Do = campaigns.Explain(string(m.State), m.Reason, m.Code)
	return st
}

func (s *Server) whyMessage(q store.Querier, m outbox.Message) (*WhyMessage, error) {
	stream, _, err := outbox.StreamByID(q, m.Stream)
	if err != nil {
		return nil, err
	}
	n, known, err := account.NumberByID(q, stream.Number)
	if err != nil {
		return nil, err
	}
	out := &WhyMessage{MessageState: stateOf(m), To: m.Address, Kind: string(m.Kind), Contact: m.Contact, Number: n.Name,
		Category: stream.Category, Campaign: stream.Campaign, Run: m.Run, Line: m.Line, ExternalID: m.ExternalID, Attempts: m.Attempt,
		Wamid: string(m.Wamid), NotBefore: store.Time(m.NotBefore), Deadline: store.Time(m.Deadline)}
	if !known {
		out.Number = stream.Number
	}
	if stream.Template != "" {
		out.Template = stream.Ref().String()
	}
	if m.Attempt > 0 {
		out.Callback = whatsapp.CallbackID{DB: s.cfg.DB.Name(), Message: m.ID, Attempt: m.Attempt}.String()
	}
	if run, ok, err := campaigns.RunByID(q, m.Run); err != nil {
		return nil, err
	} else if ok {
		out.Audience = run.Audience
	}
	if out.History, err = history(q, m); err != nil {
		return nil, err
	}
	if m.Contact > 0 && stream.Category != whatsapp.Service {
		out.Consent, _, err = consentsOf(q, m.Contact, []whatsapp.Category{stream.Category}, []account.Number{n})
		if err != nil {
			return nil, err
		}
	}
	if m.Contact > 0 && stream.Category == whatsapp.Service {
		w, err := windowOf(q, n, m.Contact)
		if err != nil {
			return nil, err
		}
		out.Window = &w
	}
	if m.State == outbox.Queued {
		if out.Verdicts, err = judge(q, m, stream, out); err == nil {
			out.Verdicts, err = s.limited(q, m, stream, out.Verdicts)
		}
	}
	return out, err
}

// history lists the steps that are known, in the order of their times.
func history(q store.Querier, m outbox.Message) ([]Moment, error) {
	ended, _, err := store.Value[int64](q, sqlEnded, m.ID)
	var out []Moment
	for _, step := range []struct {
		what string
		at   int64
	}{{"queued", m.CreatedAt}, {fmt.Sprintf("handed to the sender, attempt %d", m.Attempt), m.ClaimedAt}, {"accepted by Meta", m.AcceptedAt},
		{"sent", m.SentAt}, {"delivered", m.DeliveredAt}, {"read", m.ReadAt}, {"failed", m.FailedAt}, {string(m.State), endedAt(m, ended)}} {
		if step.at > 0 {
			out = append(out, Moment{step.what, store.Time(step.at)})
		}
	}
	if err == nil {
		out, err = again(q, m, out)
	}
	slices.SortStableFunc(out, func(a, b Moment) int { return a.At.Compare(b.At) })
	return out, err
}

// again adds what is known of a message that went out a second time.
func again(q store.Querier, m outbox.Message, out []Moment) ([]Moment, error) {
	r, ok, err := outbox.ResendOf(q, m.ID)
	if err != nil || !ok {
		return out, err
	}
	by := "a person, " + r.Actor
	if r.Actor == "janela" {
		by = "the policy for utility"
	}
	for _, step := range []Moment{{fmt.Sprintf("%s after attempt %d; queued a second time by %s", r.Cause, r.Attempt, by), store.Time(r.At)},
		{"the first copy was taken by Meta after all", store.Time(r.First.TakenAt)}, {"the first copy failed", store.Time(r.First.FailedAt)},
		{"the second copy was taken by Meta", store.Time(r.Second.TakenAt)}, {"the second copy failed", store.Time(r.Second.FailedAt)}} {
		if !step.At.IsZero() {
			out = append(out, step)
		}
	}
	return out, nil
}

// endedAt is when a message ended that never left.
func endedAt(m outbox.Message, at int64) int64 {
	switch m.State {
	case outbox.Refused, outbox.Cancelled, outbox.Expired:
		return at
	default:
		return 0
	}
}

// judge asks the gate about a queued message: the verdict, then every wait of
// its stream.
func judge(q store.Querier, m outbox.Message, stream outbox.Stream, about *WhyMessage) ([]Verdict, error) {
	v, waits, err := gate.Judge(q, m)
	if err != nil {
		return nil, err
	}
	rows, err := newRows(q, stream, m.ID, m.Contact, about.Consent)
	if err != nil {
		return nil, err
	}
	return rows.all(v, waits, q.Now()), nil
}

// limited puts the messaging limit in the place of a go that must wait for it.
func (s *Server) limited(q store.Querier, m outbox.Message, stream outbox.Stream, all []Verdict) ([]Verdict, error) {
	if s.cfg.Waits == nil || len(all) == 0 || all[0].Verdict != gate.Go.String() {
		return all, nil
	}
	until, wait, err := s.cfg.Waits(q, stream, m.Contact)
	if err != nil || !wait {
		return all, err
	}
	return append([]Verdict{{Verdict: gate.Wait.String(), Rule: dispatch.ReasonMessagingLimit, Value: s.cfg.Reach(q.Now()).String(), Until: until}}, all[1:]...), nil
}

// rows knows where in the database stands what a verdict is about.
type rows struct {
	facts   gate.StreamFacts
	message int64
	contact int64
	consent []ConsentState
}

func newRows(q store.Querier, stream outbox.Stream, message, contact int64, consent []ConsentState) (rows, error) {
	holds, err := outbox.Holds(q)
	if err != nil {
		return rows{}, err
	}
	facts, err := gate.FactsOfStream(q, stream, holds)
	return rows{facts, message, contact, consent}, err
}

// all puts the deciding verdict first, then the waits that stand beside it.
func (k rows) all(v gate.Verdict, waits []gate.Verdict, now time.Time) []Verdict {
	var holds []outbox.Hold // those that DecideStream made a verdict of, in its order
	for _, h := range k.facts.Holds {
		if !h.Over(now) && !h.MayProbe(now) {
			holds = append(holds, h)
		}
	}
	var shown []Verdict
	next := 0
	for _, w := range waits {
		row := k.row(w.Reason)
		if w.Reason == gate.Held && next < len(holds) {
			row = fmt.Sprintf("holds %d", holds[next].ID)
			next++
		}
		shown = append(shown, verdict(w, row))
	}
	if len(waits) > 0 && v == waits[0] {
		return shown
	}
	return append([]Verdict{verdict(v, k.row(v.Reason))}, shown...)
}

func verdict(v gate.Verdict, row string) Verdict {
	return Verdict{Verdict: v.Kind.String(), Rule: string(v.Reason), Value: v.Detail, Row: row, Until: v.Until}
}

func (k rows) row(r gate.Reason) string {
	s := k.facts.Stream
	switch r {
	case gate.NoOptIn, gate.OptedOut:
		for _, c := range k.consent {
			if len(c.Events) > 0 {
				return fmt.Sprintf("consent_events %d", c.Events[len(c.Events)-1].ID)
			}
		}
		return "consents (none)"
	case gate.UnderReview:
		return fmt.Sprintf("consents %d marketing @review", k.contact)
	case gate.CountryBarred:
		return "barred_countries " + s.WABA
	case gate.NotReachable, gate.MarketingCapped:
		return fmt.Sprintf("setbacks %d", k.contact)
	case gate.WindowClosed:
		return fmt.Sprintf("service_windows %d %s", k.contact, s.Number)
	case gate.TemplateNotApproved, gate.TemplateUnknown, gate.CategoryDrift, gate.TemplateChanged:
		return "templates " + s.Ref().Target()
	case gate.DayLimit:
		return "campaign_days " + s.Campaign
	case gate.OutsideWindow, gate.DryRun:
		return fmt.Sprintf("streams %d", s.ID)
	case gate.NumberUnknown:
		return "numbers " + s.Number
	case gate.Deadline, gate.NotDue, gate.AuthenticationOnly:
		if k.message > 0 {
			return fmt.Sprintf("messages %d", k.message)
		}
	}
	return ""
}
