package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/otp"
)

type templatePage struct {
	Templates []Template `json:"templates"`
	Next      string     `json:"next,omitempty"`
}

// NumberView is one of our numbers: what Meta last told of it, and how fast it
// goes.
type NumberView struct {
	Name           string      `json:"name" doc:"as config.toml calls it"`
	ID             string      `json:"id" doc:"phone_number_id"`
	Account        string      `json:"account" doc:"WhatsApp Business Account"`
	Unit           string      `json:"unit,omitempty" doc:"the business unit whose consents count for it"`
	VerifiedName   string      `json:"verified_name,omitempty"`
	Status         string      `json:"status,omitempty" doc:"as Meta says: CONNECTED, …; left out before the first look"`
	Quality        string      `json:"quality,omitempty" doc:"GREEN, YELLOW, RED"`
	Throughput     string      `json:"throughput,omitempty" doc:"STANDARD, HIGH"`
	MessagingLimit string      `json:"messaging_limit,omitempty" doc:"TIER_250, …"`
	OnBizApp       bool        `json:"is_on_biz_app,omitempty"`
	SeenAt         time.Time   `json:"seen_at,omitzero" doc:"when Meta was last asked"`
	Pace           *NumberPace `json:"pace,omitempty" doc:"left out for one that has not sent since the start"`
}

type numberPage struct {
	Numbers []NumberView `json:"numbers"`
	Next    string       `json:"next,omitempty"`
}

type holdPage struct {
	Holds []HoldLine `json:"holds"`
	Next  string     `json:"next,omitempty"`
}

type auditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next,omitempty"`
}

// unknownQuery says which unknown messages are wanted.
type unknownQuery struct {
	PageQuery
	Campaign string `json:"campaign,omitempty"`
	Number   string `json:"number,omitempty" doc:"by its name"`
	Category string `json:"category,omitempty" enum:"marketing,utility,authentication,service"`
	Resolved bool   `json:"resolved,omitempty" doc:"also those that somebody said were sent"`
}

type deliveryQuery struct {
	Dead bool `json:"dead,omitempty" doc:"those that were given up, in place of those that wait"`
}

// accountEndpoints are those of what Meta tells of us.
func accountEndpoints() []*endpoint {
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/templates", scope: access.ScopeTemplateRead, id: "list-templates", part: partAccount, title: "List templates, as Meta last told",
			query: PageQuery{}, replies: taggedReplies(templatePage{}), codes: []string{otp.CodeMalformed}, run: (*call).listTemplates},
		{method: http.MethodPost, path: "/v1/templates/sync", scope: access.ScopeTemplateRead, id: "sync-templates", part: partAccount, title: "Ask Meta for templates and numbers now",
			body: nothingBody{}, maybe: true, replies: []reply{{status: http.StatusOK, body: []Template{}}}, codes: []string{otp.CodeMalformed, codeMeta},
			run: operated[[]Template](func(s *Server) operation { return s.syncTemplates }, nil, "")},
		{method: http.MethodGet, path: "/v1/numbers", scope: access.ScopeNumberRead, id: "list-numbers", part: partAccount, title: "List numbers: quality, messaging limit, throughput, pace",
			query: PageQuery{}, replies: []reply{{status: http.StatusOK, body: numberPage{}}}, codes: []string{otp.CodeMalformed}, run: (*call).listNumbers},
	}
}

// holdEndpoints are those of holds, and of what has no outcome.
func holdEndpoints() []*endpoint {
	named := []string{otp.CodeMalformed, otp.CodeNotFound, codeRule}
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/holds", scope: access.ScopeHoldRead, id: "list-holds", part: partHolds, title: "List what stands still, and why",
			query: PageQuery{}, replies: taggedReplies(holdPage{}), codes: []string{otp.CodeMalformed}, run: (*call).listHolds},
		{method: http.MethodPost, path: "/v1/holds", scope: access.ScopeHoldWrite, id: "place-hold", part: partHolds, title: "Stop something",
			about: "The same again changes nothing but its end: `fresh` is false.", body: HoldRequest{}, replies: []reply{{status: http.StatusOK, body: HoldReply{}}}, codes: named,
			run: operated[HoldReply](func(s *Server) operation { return s.hold }, nil, "")},
		{method: http.MethodPost, path: "/v1/holds/release", scope: access.ScopeHoldWrite, id: "release-hold", part: partHolds, title: "Let it go on",
			about: "Whoever stopped it; but not what only mirrors something else.", body: HoldRequest{}, replies: []reply{{status: http.StatusOK, body: HoldReply{}}}, codes: named,
			run: operated[HoldReply](func(s *Server) operation { return s.release }, nil,
				"it mirrors something else: remove the STOP file, resume the campaign, or confirm the restored database")},
		{method: http.MethodGet, path: "/v1/unknown", scope: access.ScopeMessageRead, id: "list-unknown", part: partHolds, title: "List messages of which nobody knows whether Meta took them",
			query: unknownQuery{}, replies: []reply{{status: http.StatusOK, body: UnknownPage{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated(func(s *Server) operation { return s.unknown }, func(p *UnknownPage) {
				for i := range p.Messages {
					p.Messages[i].ToMasked, p.Messages[i].To = whatsapp.Mask(p.Messages[i].To), ""
				}
			}, "")},
		{method: http.MethodPost, path: "/v1/unknown/resolve", scope: access.ScopeUnknownResolve, id: "resolve-unknown", part: partHolds, title: "Say what became of unknown messages",
			about: "For all of them or for none. `resend` sends once more, at most.", body: ResolveRequest{}, replies: []reply{{status: http.StatusOK, body: ResolveReply{}}},
			codes: []string{otp.CodeMalformed, codeRule}, run: operated[ResolveReply](func(s *Server) operation { return s.resolveUnknown }, nil,
				"nothing was changed: one of the messages does not exist, is not unknown any more, went out twice already, is a code, is over its deadline, or is marketing and accept_duplicates is not set")},
		{method: http.MethodGet, path: "/v1/undeliverable", scope: access.ScopeMessageRead, id: "list-undeliverable", part: partHolds, title: "List people to whom nothing could be delivered on several days",
			query: PageQuery{}, replies: []reply{{status: http.StatusOK, body: UndeliverablePage{}}}, codes: []string{otp.CodeMalformed},
			run: operated(func(s *Server) operation { return s.undeliverable }, func(p *UndeliverablePage) {
				for i := range p.People {
					p.People[i].Masked, p.People[i].Phone = whatsapp.Mask(p.People[i].Phone), ""
				}
			}, "")},
		{method: http.MethodPost, path: "/v1/undeliverable/clear", scope: access.ScopeHoldWrite, id: "clear-undeliverable", part: partHolds, title: "Let messages to a person be tried again",
			body: ClearRequest{}, replies: []reply{{status: http.StatusOK, body: ClearReply{}}}, codes: named,
			run: operated[ClearReply](func(s *Server) operation { return s.clearUndeliverable }, nil, "")},
	}
}

// houseEndpoints are those of the daemon itself.
func houseEndpoints() []*endpoint {
	hook := []reply{{status: http.StatusOK, body: HookReply{}}}
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/status", scope: access.ScopeStatusRead, id: "show-status", part: partHouse, title: "The house at a glance",
			replies: []reply{{status: http.StatusOK, body: Status{}}}, codes: []string{otp.CodeMalformed}, run: operated[Status](func(s *Server) operation { return s.status }, nil, "")},
		{method: http.MethodGet, path: "/v1/audit", scope: access.ScopeAuditRead, id: "list-audit", part: partHouse, title: "Who did what, newest first",
			query: PageQuery{}, replies: []reply{{status: http.StatusOK, body: auditPage{}}}, codes: []string{otp.CodeMalformed}, run: (*call).listAudit},
		{method: http.MethodGet, path: "/v1/reviews", scope: access.ScopeOptinRead, id: "list-reviews", part: partConsent, title: "List messages that may mean an opt-out",
			query: reviewQuery{}, replies: []reply{{status: http.StatusOK, body: ReviewPage{}}}, codes: []string{otp.CodeMalformed},
			run: operated(func(s *Server) operation { return s.reviews }, func(p *ReviewPage) {
				for i := range p.Reviews {
					p.Reviews[i].ToMasked, p.Reviews[i].Phone = whatsapp.Mask(p.Reviews[i].Phone), ""
				}
			}, "")},
		decision("stop", "It was an opt-out", func(s *Server) operation { return s.stopReview }),
		decision("keep", "It was none", func(s *Server) operation { return s.keepReview }),
		{method: http.MethodGet, path: "/v1/hooks", scope: access.ScopeHookRead, id: "list-hooks", part: partHouse, title: "How your systems stand that hear what happens",
			replies: []reply{{status: http.StatusOK, body: []HookTarget{}}}, codes: []string{otp.CodeMalformed},
			run: operated[[]HookTarget](func(s *Server) operation { return s.hookTargets }, nil, "")},
		{method: http.MethodGet, path: "/v1/hooks/{hook}/deliveries", scope: access.ScopeHookRead, id: "list-deliveries", part: partHouse, title: "What waits for one of them, or was given up",
			about: "The oldest, at most 500.", query: deliveryQuery{}, replies: []reply{{status: http.StatusOK, body: []HookDelivery{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[[]HookDelivery](func(s *Server) operation { return s.hookDeliveries }, nil, "")},
		{method: http.MethodPost, path: "/v1/hooks/{hook}/pause", scope: access.ScopeHookWrite, id: "pause-hook", part: partHouse, title: "Send it nothing for now: what comes waits",
			body: nothingBody{}, maybe: true, replies: hook, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[HookReply](func(s *Server) operation { return s.pauseHook }, nil, "")},
		{method: http.MethodPost, path: "/v1/hooks/{hook}/resume", scope: access.ScopeHookWrite, id: "resume-hook", part: partHouse, title: "Send to it again",
			body: nothingBody{}, maybe: true, replies: hook, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[HookReply](func(s *Server) operation { return s.resumeHook }, nil, "")},
		{method: http.MethodPost, path: "/v1/hooks/{hook}/retry", scope: access.ScopeHookWrite, id: "retry-hook", part: partHouse, title: "Try at once, what was given up too",
			body: nothingBody{}, maybe: true, replies: hook, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[HookReply](func(s *Server) operation { return s.retryHook }, nil, "")},
		{method: http.MethodGet, path: "/v1/callbacks", scope: access.ScopeStatusRead, id: "list-callbacks", part: partHouse, title: "List callbacks of Meta's that could not be applied",
			query: reviewQuery{}, replies: []reply{{status: http.StatusOK, body: FailedPage{}}}, codes: []string{otp.CodeMalformed},
			run: operated[FailedPage](func(s *Server) operation { return s.failedCallbacks }, nil, "")},
		{method: http.MethodPost, path: "/v1/callbacks/retry", scope: access.ScopeHoldWrite, id: "retry-callbacks", part: partHouse, title: "Apply them again",
			body: RetryRequest{}, replies: []reply{{status: http.StatusOK, body: RetryReply{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[RetryReply](func(s *Server) operation { return s.retryCallbacks }, nil, "")},
	}
}

// reviewQuery pages by id.
type reviewQuery struct {
	After int64 `json:"after,omitempty" minimum:"0" doc:"next of the page before"`
	Limit int   `json:"limit,omitempty" minimum:"1" maximum:"500" default:"500"`
}

// decision says what a message of a review meant.
func decision(verb, title string, of func(s *Server) operation) *endpoint {
	return &endpoint{method: http.MethodPost, path: "/v1/reviews/{review}/" + verb, scope: access.ScopeOptinWrite, id: verb + "-review", part: partConsent, title: title,
		body: nothingBody{}, maybe: true, replies: []reply{{status: http.StatusOK, body: DecideReply{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound, codeRule},
		run: operated(of, func(d *DecideReply) { d.ToMasked, d.Phone = whatsapp.Mask(d.Phone), "" }, "it was decided before")}
}

func (c *call) listTemplates() (answer, error) {
	var out templatePage
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[PageQuery](c)
		if err != nil {
			return err
		}
		all, err := templatesOf(q)
		if err != nil {
			return err
		}
		out.Templates, out.Next, err = pageOf(all, in, func(t *Template) string { return t.Name + "\x01" + t.Language + "\x01" + t.Account })
		return err
	})
	return c.tagged(out), err
}

func (c *call) listNumbers() (answer, error) {
	var out numberPage
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[PageQuery](c)
		if err != nil {
			return err
		}
		all, err := account.Numbers(q)
		if err != nil {
			return err
		}
		views := c.server.numberViews(all, true)
		out.Numbers, out.Next, err = pageOf(views, in, func(v *NumberView) string { return v.Name + "\x01" + v.ID })
		return err
	})
	return fine(out), err
}

func (c *call) listHolds() (answer, error) {
	var out holdPage
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[PageQuery](c)
		if err != nil {
			return err
		}
		all, err := holdsOf(q)
		if err != nil {
			return err
		}
		out.Holds, out.Next, err = pageOf(all, in, func(h *HoldLine) string { return orderedID(h.ID) })
		return err
	})
	return c.tagged(out), err
}

// orderedID writes an id so that texts are in the order of their numbers.
func orderedID(id int64) string {
	text := strconv.FormatInt(id, 10)
	return "0000000000000000000"[min(len(text), 19):] + text
}

func (c *call) listAudit() (answer, error) {
	out := auditPage{Entries: []AuditEntry{}}
	err := c.reading(func(q *store.Snap) error {
		in, err := queryOf[PageQuery](c)
		if err != nil {
			return err
		}
		before, err := in.ints(1)
		if err != nil {
			return err
		}
		entries, err := access.Audit(q, before[0], in.most()+1)
		if err != nil {
			return err
		}
		if len(entries) > in.most() {
			entries = entries[:in.most()]
			out.Next = pageToken(strconv.FormatInt(entries[in.most()-1].ID, 10))
		}
		for _, e := range entries {
			out.Entries = append(out.Entries, AuditEntry{e.ID, store.Time(e.At), e.Actor, e.Command, e.Object, e.Before, e.After})
		}
		return nil
	})
	return fine(out), err
}
