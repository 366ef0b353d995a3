package feed

import (
	"encoding/json"
	"slices"
	"time"

	"janela/internal/hooks"
	"janela/internal/store"
)

var (
	sqlLastConsent = store.SQL(`SELECT COALESCE(MAX(id), 0) FROM consent_events`)
	sqlConsents    = store.SQL(`SELECT id, contact_id, category, kind, scope, purpose, source, at FROM consent_events WHERE id > ?1 ORDER BY id LIMIT ?2`)

	sqlLastConversation = store.SQL(`SELECT COALESCE(MAX(id), 0) FROM conversations`)
	sqlConversations    = store.SQL(`SELECT id, number_id, contact_id, category, origin, free_entry_point, opened_at, expires_at, provisional, opened_by
		FROM conversations WHERE id > ?1 ORDER BY id LIMIT ?2`)

	sqlLastHold = store.SQL(`SELECT COALESCE(MAX(id), 0) FROM holds`)
	sqlHolds    = store.SQL(`SELECT id, scope, target, reason, actor, since, until, lifted_at, lifted_by FROM holds WHERE id > ?1 ORDER BY id LIMIT ?2`)
	sqlHold     = store.SQL(`SELECT id, scope, target, reason, actor, since, until, lifted_at, lifted_by FROM holds WHERE id = ?1`)
	sqlStanding = store.SQL(`SELECT id FROM holds WHERE lifted_at = 0 ORDER BY id`)

	// Templates are few; the others have an index over what has ended.
	sqlTemplates = store.SQL(`SELECT waba_id, name, language, category, status, quality, missing, changed_at FROM templates
		WHERE changed_at >= ?1 AND changed_at < ?2 ORDER BY changed_at, waba_id, name, language`)
	sqlRuns = store.SQL(`SELECT id, campaign_id, state, note, rows, admitted, rejected, duplicates, started_at, ended_at FROM runs
		WHERE ended_at >= ?1 AND ended_at < ?2 AND ended_at > 0 ORDER BY ended_at, id`)
	sqlCodes = store.SQL(`SELECT id, client, purpose, state, reason, created_at, ended_at FROM challenges
		WHERE ended_at >= ?1 AND ended_at < ?2 AND ended_at > 0 ORDER BY ended_at, id`)
)

// all lists the sources.
func all() []*source {
	return []*source{
		byID("consents", []string{"optin.granted", "optin.revoked", "optin.blocked", "optin.unblocked"}, sqlLastConsent, sqlConsents, (*consent).event),
		byID("conversations", []string{"conversation.opened"}, sqlLastConversation, sqlConversations, (*conversation).event),
		{"holds", []string{"hold.placed", "hold.lifted"}, beginHolds, nextHolds},
		byTime("templates", []string{"template.changed"}, sqlTemplates, (*template).event),
		byTime("runs", []string{"campaign.done"}, sqlRuns, (*run).event),
		byTime("codes", []string{"otp.verified", "otp.expired", "otp.cancelled", "otp.superseded", "otp.exhausted", "otp.reported", "otp.failed"}, sqlCodes, (*code).event),
	}
}

// byID follows a table whose rows are only added.
func byID[T any, P interface {
	store.Row[T]
	mark() int64
}](name string, kinds []string, last, rows *store.Stmt, event func(*T) hooks.Event) *source {
	return &source{name, kinds,
		func(q store.Querier) (m mark, err error) {
			m.at, _, err = store.Value[int64](q, last)
			return m, err
		},
		func(q store.Querier, from mark) (out []hooks.Event, to mark, err error) {
			all, err := store.All[T, P](q, rows, from.at, batch)
			for i := range all {
				out = append(out, event(&all[i]))
				from.at = P(&all[i]).mark()
			}
			return out, from, err
		}}
}

// byTime follows a table whose rows get their instant when they are done.
func byTime[T any, P store.Row[T]](name string, kinds []string, rows *store.Stmt, event func(*T) hooks.Event) *source {
	return &source{name, kinds,
		func(q store.Querier) (mark, error) { return mark{at: store.Millis(q.Now())}, nil },
		func(q store.Querier, from mark) (out []hooks.Event, to mark, err error) {
			to.at = store.Millis(q.Now())
			all, err := store.All[T, P](q, rows, from.at, to.at)
			for i := range all {
				out = append(out, event(&all[i]))
			}
			return out, to, err
		}}
}

type consent struct {
	id, contact, at                        int64
	category, kind, scope, purpose, source string
}

// Fields names the places of sqlConsents.
func (c *consent) Fields() []any {
	return []any{&c.id, &c.contact, &c.category, &c.kind, &c.scope, &c.purpose, &c.source, &c.at}
}

func (c *consent) mark() int64 { return c.id }

// scopeMeta is the block in WhatsApp itself; a grant there lifts it, and permits
// nothing.
const scopeMeta = "@meta"

func (c *consent) event() hooks.Event {
	kind := map[string]string{"grant": "optin.granted", "revoke": "optin.revoked"}[c.kind]
	if c.scope == scopeMeta {
		kind = map[string]string{"grant": "optin.unblocked", "revoke": "optin.blocked"}[c.kind]
	}
	return hooks.Event{Type: kind, Key: "contact:" + id(c.contact), Data: struct {
		ID       string     `json:"id"`
		Contact  string     `json:"contact"`
		Category string     `json:"category"`
		Scope    string     `json:"scope"`
		Purpose  string     `json:"purpose,omitempty"`
		Source   string     `json:"source"`
		At       *time.Time `json:"at"`
	}{id(c.id), id(c.contact), c.category, c.scope, c.purpose, c.source, instant(c.at)}}
}

type conversation struct {
	id, contact, opened, expires, openedBy int64
	number, category, origin               string
	free, provisional                      bool
}

// Fields names the places of sqlConversations.
func (c *conversation) Fields() []any {
	return []any{&c.id, &c.number, &c.contact, &c.category, &c.origin, &c.free, &c.opened, &c.expires, &c.provisional, &c.openedBy}
}

func (c *conversation) mark() int64 { return c.id }

func (c *conversation) event() hooks.Event {
	return hooks.Event{Type: "conversation.opened", Number: c.number, Key: "conversation:" + id(c.id), Data: struct {
		ID          string     `json:"id"`
		Contact     string     `json:"contact"`
		Number      string     `json:"number"`
		Category    string     `json:"category"`
		Origin      string     `json:"origin"`
		Free        bool       `json:"free_entry_point,omitempty"`
		Provisional bool       `json:"provisional,omitempty"` // Meta's time is not known yet
		OpenedBy    string     `json:"opened_by,omitempty"`
		OpenedAt    *time.Time `json:"opened_at"`
		ExpiresAt   *time.Time `json:"expires_at"`
	}{id(c.id), id(c.contact), c.number, c.category, c.origin, c.free, c.provisional, id(c.openedBy), instant(c.opened), instant(c.expires)}}
}

type hold struct {
	id, since, until, liftedAt             int64
	scope, target, reason, actor, liftedBy string
}

// Fields names the places of sqlHolds.
func (h *hold) Fields() []any {
	return []any{&h.id, &h.scope, &h.target, &h.reason, &h.actor, &h.since, &h.until, &h.liftedAt, &h.liftedBy}
}

func (h *hold) event(lifted bool) hooks.Event {
	kind, at := "hold.placed", h.since
	by := h.actor
	if lifted {
		kind, at, by = "hold.lifted", h.liftedAt, h.liftedBy
	}
	return hooks.Event{Type: kind, Key: "hold:" + id(h.id), At: store.Time(at), Data: struct {
		ID     string     `json:"id"`
		Scope  string     `json:"scope"`
		Target string     `json:"target,omitempty"`
		Reason string     `json:"reason"`
		By     string     `json:"by"`
		Since  *time.Time `json:"since"`
		Until  *time.Time `json:"until,omitempty"`
	}{id(h.id), h.scope, h.target, h.reason, by, instant(h.since), instant(h.until)}}
}

// Holds are followed by id, and those that stand are kept in mind: one that was
// lifted may have ended, by its time, before anybody looked.
func beginHolds(q store.Querier) (mark, error) {
	last, _, err := store.Value[int64](q, sqlLastHold)
	if err != nil {
		return mark{}, err
	}
	open, err := standing(q)
	return mark{last, ids(open)}, err
}

func standing(q store.Querier) (out []int64, err error) {
	rows, err := store.All[store.Col[int64]](q, sqlStanding)
	for _, r := range rows {
		out = append(out, r.V)
	}
	return out, err
}

func ids(list []int64) string {
	b, err := json.Marshal(list)
	if err != nil { // a list of numbers: cannot happen
		panic(err)
	}
	return string(b)
}

func nextHolds(q store.Querier, from mark) (out []hooks.Event, to mark, err error) {
	var known []int64
	if from.state != "" {
		if err := json.Unmarshal([]byte(from.state), &known); err != nil {
			return nil, from, err
		}
	}
	now, err := standing(q)
	if err != nil {
		return nil, from, err
	}
	open := []int64{}
	for _, h := range known {
		if slices.Contains(now, h) {
			open = append(open, h)
			continue
		}
		row, ok, err := store.Get[hold](q, sqlHold, h)
		if err != nil {
			return nil, from, err
		}
		if ok {
			out = append(out, row.event(true))
		}
	}
	fresh, err := store.All[hold](q, sqlHolds, from.at, batch)
	if err != nil {
		return nil, from, err
	}
	for i := range fresh {
		h := &fresh[i]
		from.at = h.id
		out = append(out, h.event(false))
		if h.liftedAt > 0 {
			out = append(out, h.event(true))
			continue
		}
		open = append(open, h.id)
	}
	from.state = ids(open)
	return out, from, nil
}

type template struct {
	waba, name, language, category, status, quality string
	missing                                         bool
	changed                                         int64
}

// Fields names the places of sqlTemplates.
func (t *template) Fields() []any {
	return []any{&t.waba, &t.name, &t.language, &t.category, &t.status, &t.quality, &t.missing, &t.changed}
}

func (t *template) event() hooks.Event {
	return hooks.Event{Type: "template.changed", Key: "template:" + t.waba + "/" + t.name + "/" + t.language, At: store.Time(t.changed), Data: struct {
		Account  string `json:"account"`
		Name     string `json:"name"`
		Language string `json:"language"`
		Category string `json:"category"`
		Status   string `json:"status"`
		Quality  string `json:"quality,omitempty"`
		Missing  bool   `json:"missing,omitempty"`
	}{t.waba, t.name, t.language, t.category, t.status, t.quality, t.missing}}
}

type run struct {
	id, rows, admitted, rejected, duplicates, started, ended int64
	campaign, state, note                                    string
}

// Fields names the places of sqlRuns.
func (r *run) Fields() []any {
	return []any{&r.id, &r.campaign, &r.state, &r.note, &r.rows, &r.admitted, &r.rejected, &r.duplicates, &r.started, &r.ended}
}

func (r *run) event() hooks.Event {
	return hooks.Event{Type: "campaign.done", Key: "campaign:" + r.campaign, At: store.Time(r.ended), Data: struct {
		Campaign   string     `json:"campaign"`
		Run        string     `json:"run"`
		State      string     `json:"state"`
		Rows       int64      `json:"rows"`
		Admitted   int64      `json:"admitted"`
		Rejected   int64      `json:"rejected"`
		Duplicates int64      `json:"duplicates"`
		StartedAt  *time.Time `json:"started_at"`
		EndedAt    *time.Time `json:"ended_at"`
	}{r.campaign, id(r.id), r.state, r.rows, r.admitted, r.rejected, r.duplicates, instant(r.started), instant(r.ended)}}
}

type code struct {
	id, client, purpose, state, reason string
	created, ended                     int64
}

// Fields names the places of sqlCodes.
func (c *code) Fields() []any {
	return []any{&c.id, &c.client, &c.purpose, &c.state, &c.reason, &c.created, &c.ended}
}

func (c *code) event() hooks.Event {
	return hooks.Event{Type: "otp." + c.state, Key: "code:" + c.id, At: store.Time(c.ended), Data: struct {
		ID        string     `json:"id"`
		Client    string     `json:"client"`
		Purpose   string     `json:"purpose"`
		Reason    string     `json:"reason,omitempty"`
		CreatedAt *time.Time `json:"created_at"`
		EndedAt   *time.Time `json:"ended_at"`
	}{c.id, c.client, c.purpose, c.reason, instant(c.created), instant(c.ended)}}
}
