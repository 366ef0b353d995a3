package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/dossier"
	"janela/internal/store"
	"janela/optin"
	"janela/otp"
)

// importQuery says how a CSV file of consents is to be read.
type importQuery struct {
	Name        string   `json:"name" minLength:"1" maxLength:"200" doc:"of the file, for the evidence"`
	Category    string   `json:"category,omitempty" enum:"marketing,utility,authentication" doc:"of rows without one"`
	Scope       string   `json:"scope,omitempty" doc:"of rows without one: a number's name, or a business unit"`
	Purpose     string   `json:"purpose,omitempty" maxLength:"200"`
	Text        string   `json:"text,omitempty" maxLength:"2000" doc:"what the people were shown: the proof"`
	Origin      string   `json:"origin,omitempty" maxLength:"200" doc:"where it was collected: site form, shop, call"`
	At          string   `json:"at,omitempty" doc:"date of rows without one"`
	Columns     []string `json:"columns,omitempty" doc:"field=header, where they are not found by their names; fields are phone, category, status, consented_at, scope, purpose, text, version, source and reference"`
	Revocations bool     `json:"revocations,omitempty" doc:"every row is a revocation"`
}

func (q *importQuery) request() (ImportRequest, error) {
	in := ImportRequest{Name: q.Name, Category: q.Category, Scope: q.Scope, Purpose: q.Purpose, Text: q.Text, Origin: q.Origin, At: q.At, Revocations: q.Revocations}
	for _, c := range q.Columns {
		field, header, ok := strings.Cut(c, "=")
		if !ok || field == "" || header == "" {
			return in, malformed("columns are written as field=header")
		}
		if in.Columns == nil {
			in.Columns = map[string]string{}
		}
		in.Columns[field] = header
	}
	return in, nil
}

// dossierBody names the person whose file is wanted.
type dossierBody struct {
	Of      string `json:"of,omitempty" maxLength:"200" doc:"a number as people write it, or an id as Meta writes it"`
	Contact int64  `json:"contact,omitempty" minimum:"1" doc:"or this contact"`
}

type monthQuery struct {
	Month string `json:"month" pattern:"^[0-9]{4}-[0-9]{2}$" doc:"2026-11, of the business's time zone"`
}

// ledgerEndpoints are those that take in or give out whole ledgers, or all of a
// person: each has a scope of its own.
func ledgerEndpoints() []*endpoint {
	return []*endpoint{
		{method: http.MethodPost, path: "/v1/optins/import", scope: access.ScopeOptinImport, id: "import-consents", part: partConsent, title: "Record what many people granted or revoked, from a CSV file",
			about: "The body is the file, at most 512 MiB. The same file again, read in the same way, changes nothing (`already`). Rejected rows are counted by reason; the first are told by their lines.",
			query: importQuery{}, csv: true, replies: []reply{{status: http.StatusOK, body: optin.Report{}}}, codes: []string{otp.CodeMalformed, codeUpload}, run: (*call).importConsents},
		{method: http.MethodGet, path: "/v1/optins/export", scope: access.ScopeOptinExport, id: "export-consents", part: partConsent, title: "The whole consent ledger as CSV, with every number in full",
			about:   "Streamed; an answer that breaks off has no end of its last chunk. The audit log says who took it.",
			replies: []reply{{status: http.StatusOK, kind: "text/csv"}}, codes: []string{otp.CodeMalformed}, run: (*call).exportConsents},
		{method: http.MethodPost, path: "/v1/contacts/dossier", scope: access.ScopeContactDossier, id: "make-dossier", part: partConversations, title: "Everything that is known of a person, in full",
			about: "For who asks what you have of them. The audit log says who took it.", body: dossierBody{}, replies: []reply{{status: http.StatusOK, body: dossier.File{}}},
			codes: []string{otp.CodeMalformed, otp.CodeNotFound}, run: operated[dossier.File](func(s *Server) operation { return s.dossier }, nil, "")},
		{method: http.MethodPost, path: "/v1/contacts/forget", scope: access.ScopeContactForget, id: "forget-contact", part: partConversations, title: "Forget a person, for ever",
			about: "Names, texts and evidence go; what is queued is cancelled; they do not come back by a list. It cannot be undone.", body: ForgetRequest{},
			replies: []reply{{status: http.StatusOK, body: ForgetReply{}}}, codes: []string{otp.CodeMalformed, otp.CodeNotFound, codeRule}, run: (*call).forget},
		{method: http.MethodGet, path: "/v1/conversations/report", scope: access.ScopeConversationRead, id: "report-month", part: partConversations, title: "Conversations and messages of a month, in both readings",
			about: "It walks through the people of the month; a large one takes its time.", query: monthQuery{}, replies: []reply{{status: http.StatusOK, body: MonthReport{}}}, codes: []string{otp.CodeMalformed},
			run: operated[MonthReport](func(s *Server) operation { return s.month }, nil, "")},
	}
}

// forget is the operation; that the person's message is on its way is a rule.
func (c *call) forget() (answer, error) {
	a, err := operated[ForgetReply](func(s *Server) operation { return s.forget }, nil, "")(c)
	if p := (*Problem)(nil); errors.As(err, &p) && p.Code == CodeBusy && p.Status == http.StatusConflict {
		err = publicProblem(codeRule, "a message to this person is on its way at this moment: try again in a moment")
	}
	return a, err
}

// exportConsents streams the ledger.
func (c *call) exportConsents() (answer, error) {
	if err := c.reading(func(*store.Snap) error { return c.checkQuery() }); err != nil {
		return answer{}, err
	}
	if err := c.server.noteExport(c.r.Context(), c.actor()); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, kind: "text/csv; charset=utf-8", stream: func(w io.Writer) error {
		_, err := optin.Export(c.r.Context(), c.db, w)
		return err
	}}, nil
}

// importConsents takes a file in. Of its rows and its header nothing is repeated.
func (c *call) importConsents() (answer, error) {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "text/csv" {
		p := malformed("the body must be a CSV file: text/csv")
		p.Status = http.StatusUnsupportedMediaType
		return answer{}, p
	}
	if c.r.ContentLength > maxUpload {
		return answer{}, tooLarge(maxUpload)
	}
	q, err := queryOf[importQuery](c)
	if err != nil {
		return answer{}, err
	}
	in, err := q.request()
	if err != nil {
		return answer{}, err
	}
	r := c.r.WithContext(WithActor(c.r.Context(), c.actor()))
	opt, err := c.server.importOptions(r, in)
	if err != nil {
		return answer{}, operationProblem(err, "")
	}
	body := &halting{c.r.Body, http.NewResponseController(c.w)}
	file, err := c.server.spool(http.MaxBytesReader(c.w, io.NopCloser(body), maxUpload))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return answer{}, tooLarge(maxUpload)
	}
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = file.Close() }()
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Time{}) // a large file takes its time
	report, err := optin.ImportCSV(r.Context(), c.db, file, opt)
	if report.ImportID != 0 {
		err = errors.Join(err, c.server.noteImport(r, report))
	}
	if err != nil {
		var broken *os.PathError
		if p := problemOf(err); p.Status == http.StatusInternalServerError && report.ImportID == 0 && !errors.As(err, &broken) {
			err = publicProblem(codeUpload, "it needs a header with a column of telephone numbers, and columns, or parameters, for category and date")
		}
		return answer{}, err
	}
	report.Name, report.Columns = "", []string{} // the header is the caller's own
	return fine(report), nil
}
