package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"janela/internal/access"
	"janela/otp"
)

// endpoint is one operation of the public face. The table of them (endpoints) is
// what is served and what is described: there is no other list.
type endpoint struct {
	method, path string // segments in braces stand for any one word
	scope        string // that the key must have
	id           string // in the description, lower case words joined by dashes
	part         string // one of parts
	title, about string // in the description; about in Markdown, "" for none

	query    any                  // a struct: one parameter for each field; nil for none
	body     any                  // a struct: the JSON body; nil for none
	maybe    bool                 // the body may be left out
	upload   bool                 // multipart/form-data: a definition and its files
	csv      bool                 // the body is a CSV file
	repeat   repeatUse            // Idempotency-Key
	replies  []reply              // what a success answers
	codes    []string             // of problems, beside those of every operation
	prefers  bool                 // Prefer: wait=… is understood
	needs    func(c *public) bool // nil: it is always there
	run      func(c *call) (answer, error)
	segments []string // of path
}

// repeatUse says whether an Idempotency-Key is looked at.
type repeatUse int

const (
	repeatNone     repeatUse = iota // nothing changes, or a repeat changes nothing more
	repeatMay                       // it may be sent
	repeatRequired                  // nothing is done without
)

// reply is one success.
type reply struct {
	status   int
	body     any    // a struct or a slice of them; nil for none
	kind     string // media type; "" for application/json
	location bool   // Location is told
	etag     bool
}

// Parts of the API, in the order in which they are described.
const (
	partCampaigns     = "campaigns"
	partMessages      = "messages"
	partCodes         = "codes"
	partConsent       = "consent"
	partConversations = "conversations"
	partAccount       = "account"
	partHolds         = "holds"
	partHouse         = "house"
)

// endpoints is the whole public face.
func endpoints() []*endpoint {
	all := slices.Concat(campaignEndpoints(), codeEndpoints(), messageEndpoints(), consentEndpoints(), conversationEndpoints(), accountEndpoints(), holdEndpoints(), houseEndpoints(), eventEndpoints(), viewEndpoints(), personEndpoints(), ledgerEndpoints())
	for _, e := range all {
		e.segments = strings.Split(strings.TrimPrefix(e.path, "/"), "/")
	}
	return all
}

// router finds endpoints by path: by the number of segments, then by the words.
type router map[int][]*endpoint

func newRouter(p *public) router {
	r := router{}
	for _, e := range endpoints() {
		if e.needs == nil || e.needs(p) {
			r[len(e.segments)] = append(r[len(e.segments)], e)
		}
	}
	return r
}

// maxSegments is more than any path of ours has.
const maxSegments = 8

// find returns the endpoints at a path, one for each of its methods, and what
// stands in place of the words in braces. A path that is written out wins over
// one with braces.
func (r router) find(path string) (at []*endpoint, words []string) {
	var buf [maxSegments]string
	segments := buf[:0]
	for word := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if len(segments) == maxSegments || word == "" {
			return nil, nil
		}
		segments = append(segments, word)
	}
	braces := maxSegments
	for _, e := range r[len(segments)] {
		n, ok := e.fits(segments)
		if !ok || n > braces {
			continue
		}
		if n < braces {
			at, braces = at[:0], n
		}
		at = append(at, e)
	}
	if len(at) == 0 {
		return nil, nil
	}
	for i, word := range at[0].segments {
		if word[0] == '{' {
			words = append(words, segments[i])
		}
	}
	return at, words
}

// fits reports whether a path is the endpoint's, and how many of its words stand
// for braces.
func (e *endpoint) fits(segments []string) (braces int, ok bool) {
	for i, word := range e.segments {
		switch {
		case word[0] == '{':
			braces++
		case word != segments[i]:
			return 0, false
		}
	}
	return braces, true
}

// Codes that every operation may be answered with.
var commonCodes = []string{codeUnauthorized, codeScope, codeBrowser, otp.CodeRateLimited, otp.CodeChannel, CodeInternal}

func hasMAC(p *public) bool { return p.mac != nil }

// codeEndpoints are those of one-time codes.
func codeEndpoints() []*endpoint {
	here := func(p *public) bool { return p.otp != nil }
	// one is a call on a challenge that stands in the path.
	one := func(run func(c *call, id string) (answer, error)) func(*call) (answer, error) {
		return func(c *call) (answer, error) {
			c.mac = c.otp.MAC
			if c.r.Method != http.MethodGet && !plausible(c.words[0]) {
				return answer{}, unknownChallenge()
			}
			return run(c, c.words[0])
		}
	}
	asked := []string{otp.CodeMalformed, otp.CodePurpose, otp.CodeNoOptIn, otp.CodeOptedOut, otp.CodeIdentityChanged, otp.CodeCountry,
		codeKeyMissing, codeKeyInFlight, codeKeyReused, otp.CodePhoneLocked, otp.CodePumping, otp.CodeInvalidPhone}
	return []*endpoint{
		{method: http.MethodPost, path: "/v1/otp", scope: access.ScopeOTPSend, id: "ask-for-code", part: partCodes, title: "Ask for a code",
			about: "A code is made and its message queued. 202 when that is on disk.", body: codeBody{}, repeat: repeatRequired, prefers: true,
			replies: []reply{{status: http.StatusAccepted, body: codeReply{}, location: true}}, codes: asked, needs: here,
			run: func(c *call) (answer, error) { c.mac = c.otp.MAC; return c.request() }},
		{method: http.MethodGet, path: "/v1/otp/{challenge}", scope: access.ScopeOTPRead, id: "look-at-code", part: partCodes, title: "Look how a code is going",
			about: "With `Prefer: wait=20` it is answered when something changes.", prefers: true,
			replies: []reply{{status: http.StatusOK, body: codeReply{}, etag: true}, {status: http.StatusNotModified, etag: true}},
			codes:   []string{otp.CodeNotFound}, needs: here, run: one((*call).look)},
		{method: http.MethodPost, path: "/v1/otp/{challenge}/verify", scope: access.ScopeOTPVerify, id: "verify-code", part: partCodes, title: "Try a code",
			body: guessBody{}, repeat: repeatMay, replies: []reply{{status: http.StatusOK, body: codeVerified{}}},
			codes: []string{otp.CodeMalformed, otp.CodeInvalidFormat, otp.CodeInvalidCode, otp.CodeGone, otp.CodeNotFound, codeKeyInFlight, codeKeyReused,
				otp.CodePhoneLocked},
			needs: here, run: one((*call).verify)},
		{method: http.MethodPost, path: "/v1/otp/{challenge}/resend", scope: access.ScopeOTPSend, id: "resend-code", part: partCodes, title: "Send the code again",
			body: resendBody{}, maybe: true, repeat: repeatRequired, prefers: true, replies: []reply{{status: http.StatusAccepted, body: codeReply{}, location: true}},
			codes: append([]string{otp.CodeGone, otp.CodeNotFound, otp.CodeFallbackDisabled}, asked...), needs: here, run: one((*call).resend)},
		{method: http.MethodPost, path: "/v1/otp/{challenge}/cancel", scope: access.ScopeOTPSend, id: "cancel-code", part: partCodes, title: "End a challenge",
			body: nothingBody{}, maybe: true, repeat: repeatMay, replies: []reply{{status: http.StatusOK, body: codeReply{}}},
			codes: []string{otp.CodeMalformed, otp.CodeGone, otp.CodeNotFound, codeKeyInFlight, codeKeyReused}, needs: here, run: one((*call).cancel)},
	}
}

// messageEndpoints are those of single messages.
func messageEndpoints() []*endpoint {
	return []*endpoint{
		{method: http.MethodPost, path: "/v1/messages", scope: access.ScopeMessageSend, id: "send-message", part: partMessages, title: "Send one message",
			about: "A template, or a text inside the service window. 202 when it is on disk.", body: messageBody{}, repeat: repeatRequired,
			replies: []reply{{status: http.StatusAccepted, body: messageReply{}, location: true}},
			codes: []string{otp.CodeMalformed, codeRecipient, codeParameters, codeTemplate, codeTemplateNow, codeCategory, codeWindow, codeUndeliverable, codeCapped,
				otp.CodeNoOptIn, otp.CodeOptedOut, otp.CodeCountry, codeKeyMissing, codeKeyInFlight, codeKeyReused},
			needs: hasMAC, run: (*call).sendMessage},
		{method: http.MethodGet, path: "/v1/messages/{message}", scope: access.ScopeMessageRead, id: "show-message", part: partMessages, title: "Where a message stands",
			about: "Of any message, those of campaigns too.", replies: []reply{{status: http.StatusOK, body: messageView{}}}, codes: []string{otp.CodeNotFound},
			run: func(c *call) (answer, error) { return c.showMessage(c.words[0]) }},
	}
}

// consentEndpoints are those of what people agreed to.
func consentEndpoints() []*endpoint {
	change := []string{otp.CodeMalformed, codeForgotten, codeKeyInFlight, codeKeyReused}
	return []*endpoint{
		{method: http.MethodPost, path: "/v1/optins", scope: access.ScopeOptinWrite, id: "grant-consent", part: partConsent, title: "Record that a person agreed",
			about: "201 when it is recorded; 202 when the person has to confirm it first.", body: grantBody{}, repeat: repeatRequired,
			replies: []reply{{status: http.StatusCreated, body: optinReply{}}, {status: http.StatusAccepted, body: optinReply{}}},
			codes:   append([]string{codeKeyMissing}, change...), needs: hasMAC, run: (*call).grantOptin},
		{method: http.MethodDelete, path: "/v1/optins", scope: access.ScopeOptinWrite, id: "revoke-consent", part: partConsent, title: "Take consent back, at once",
			about: "What is queued for the person is cancelled.", body: revocationBody{}, repeat: repeatMay, replies: []reply{{status: http.StatusOK, body: optinReply{}}},
			codes: change, run: (*call).revokeOptin},
		{method: http.MethodGet, path: "/v1/optins", scope: access.ScopeOptinRead, id: "show-consents", part: partConsent, title: "What a contact agreed to, by id",
			query: consentQuery{}, replies: []reply{{status: http.StatusOK, body: optinView{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound},
			run: func(c *call) (answer, error) { return c.lookAtOptins(optinLook{}) }},
		{method: http.MethodPost, path: "/v1/optins/lookup", scope: access.ScopeOptinRead, id: "lookup-consents", part: partConsent, title: "What a person agreed to, by number",
			about: "A number stands in no address, because addresses are logged.", body: consentLookBody{}, replies: []reply{{status: http.StatusOK, body: optinView{}}},
			codes: []string{otp.CodeMalformed}, run: (*call).lookupOptins},
		{method: http.MethodPost, path: "/v1/optins/{pending}/confirm", scope: access.ScopeOptinWrite, id: "confirm-consent", part: partConsent,
			title: "Record that a person has confirmed", body: confirmationBody{}, repeat: repeatMay, replies: []reply{{status: http.StatusOK, body: optinReply{}}},
			codes: append([]string{otp.CodeNotFound}, change...), run: func(c *call) (answer, error) { return c.confirmOptin(c.words[0]) }},
	}
}

// conversationEndpoints are those of the ledger of conversations, and of people.
func conversationEndpoints() []*endpoint {
	return []*endpoint{
		{method: http.MethodGet, path: "/v1/conversations", scope: access.ScopeConversationRead, id: "list-conversations", part: partConversations,
			title: "List conversations", about: "In the order of their ends.", query: conversationQuery{}, replies: []reply{{status: http.StatusOK, body: conversationPage{}}},
			codes: []string{otp.CodeMalformed}, run: (*call).listConversations},
		{method: http.MethodGet, path: "/v1/conversations/{conversation}/messages", scope: access.ScopeConversationRead, id: "show-conversation", part: partConversations,
			title: "What counts in a conversation", replies: []reply{{status: http.StatusOK, body: ConversationContents{}}}, codes: []string{otp.CodeNotFound},
			run: func(c *call) (answer, error) { return c.showConversation(c.words[0]) }},
		{method: http.MethodGet, path: "/v1/contacts/{contact}/window", scope: access.ScopeConversationRead, id: "show-window", part: partConversations,
			title: "Where a contact's service windows stand", replies: []reply{{status: http.StatusOK, body: windowReply{}}}, codes: []string{otp.CodeNotFound},
			run: func(c *call) (answer, error) { return c.window(c.words[0]) }},
		{method: http.MethodPost, path: "/v1/contacts/window", scope: access.ScopeConversationRead, id: "lookup-window", part: partConversations,
			title: "Where a person's service windows stand, by number", body: windowBody{}, replies: []reply{{status: http.StatusOK, body: windowReply{}}},
			codes: []string{otp.CodeMalformed, codeRecipient}, run: (*call).lookupWindow},
	}
}
