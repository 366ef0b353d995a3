package httpapi

import (
	"net/http"

	"janela/internal/access"
	"janela/otp"
)

// viewEndpoints are those that gather what a page shows.
func viewEndpoints() []*endpoint {
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/today", scope: access.ScopeStatusRead, id: "show-today", part: partHouse, title: "What leaves, what became of it, and what stands still",
			about: "It costs as much with a million messages as with ten.", replies: []reply{{status: http.StatusOK, body: Today{}}}, codes: []string{otp.CodeMalformed},
			run: operated[Today](func(s *Server) operation { return s.today }, nil, "")},
		{method: http.MethodGet, path: "/v1/templates/{template}", scope: access.ScopeTemplateRead, id: "show-template", part: partAccount, title: "A template in all its languages, and who sends it",
			replies: []reply{{status: http.StatusOK, body: TemplateView{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[TemplateView](func(s *Server) operation { return s.template }, nil, "")},
		{method: http.MethodGet, path: "/v1/otp/funnel", scope: access.ScopeOTPStats, id: "show-codes", part: partCodes, title: "How many codes arrive, and what became of them",
			about: "Of every system. No code and no number is in it.", query: funnelQuery{}, replies: []reply{{status: http.StatusOK, body: OTPFunnel{}}}, codes: []string{otp.CodeMalformed},
			needs: func(c *public) bool { return c.otp != nil }, run: operated[OTPFunnel](func(s *Server) operation { return s.otpFunnel }, nil, "")},
	}
}

// personEndpoints are those on one person.
func personEndpoints() []*endpoint {
	shown := []reply{{status: http.StatusOK, body: Contact{}}}
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/contacts/{contact}", scope: access.ScopeContactRead, id: "show-contact", part: partConversations, title: "Everything about a person, by id",
			about: "Names are masked.", replies: shown, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated(func(s *Server) operation { return s.contact }, maskedContact, "")},
		{method: http.MethodPost, path: "/v1/contacts/lookup", scope: access.ScopeContactRead, id: "lookup-contact", part: partConversations, title: "Everything about a person, by number",
			about: "A number stands in no address, because addresses are logged. Of somebody unknown it says what a stranger may be sent.", body: ContactRequest{}, replies: shown, codes: []string{otp.CodeMalformed},
			run: operated(func(s *Server) operation { return s.lookupContact }, maskedContact, "")},
		{method: http.MethodGet, path: "/v1/contacts/{contact}/messages", scope: access.ScopeContactRead, id: "list-contact-messages", part: partConversations, title: "List the messages to a person, newest first",
			query: contactPage{}, replies: []reply{{status: http.StatusOK, body: ContactMessages{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: operated[ContactMessages](func(s *Server) operation { return s.contactMessages }, nil, "")},
	}
}

// contactPage pages through the messages to a person.
type contactPage struct {
	After int64 `json:"after,omitempty" minimum:"0" doc:"next of the page before"`
	Limit int   `json:"limit,omitempty" minimum:"1" maximum:"500" default:"100"`
}
