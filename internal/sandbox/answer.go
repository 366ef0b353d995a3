package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// graphError is an answer that says no, in the shape of the Graph API.
type graphError struct {
	status  int
	typ     string
	code    int
	subcode int
	message string
	details string
}

// refuse makes the error of a code, with details for a person to read.
func refuse(code int, format string, args ...any) *graphError {
	info := infoOf(code)
	return &graphError{
		status:  info.status,
		typ:     "OAuthException",
		code:    code,
		message: fmt.Sprintf("(#%d) %s", code, info.title),
		details: fmt.Sprintf(format, args...),
	}
}

// badParameter is the Graph API's own complaint, which has no error_data when
// the request never reached the WhatsApp part.
func badParameter(format string, args ...any) *graphError {
	return refuse(100, format, args...)
}

// noObject is what Meta answers for an id it does not know or will not show.
func noObject(method, id string) *graphError {
	verb := "get"
	if method != http.MethodGet {
		verb = "post"
	}
	return &graphError{
		status: 400, typ: "GraphMethodException", code: 100, subcode: 33,
		message: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api", verb, id),
	}
}

func badToken() *graphError {
	return &graphError{
		status: 401, typ: "OAuthException", code: 190,
		message: "Error validating access token: Session has expired on Thursday, 01-Jan-26 00:00:00 PST. The current time is Friday, 02-Jan-26 00:00:00 PST.",
		subcode: 463,
	}
}

type errorBody struct {
	Error errorFields `json:"error"`
}

type errorFields struct {
	Message   string     `json:"message"`
	Type      string     `json:"type"`
	Code      int        `json:"code"`
	Subcode   int        `json:"error_subcode,omitempty"`
	ErrorData *errorData `json:"error_data,omitempty"`
	TraceID   string     `json:"fbtrace_id"`
}

type errorData struct {
	Product string `json:"messaging_product,omitempty"`
	Details string `json:"details"`
}

func (s *Sandbox) answerError(w http.ResponseWriter, e *graphError) {
	fields := errorFields{Message: e.message, Type: e.typ, Code: e.code, Subcode: e.subcode, TraceID: s.trace()}
	if e.details != "" {
		fields.ErrorData = &errorData{Product: "whatsapp", Details: e.details}
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token"`)
	}
	s.answer(w, e.status, errorBody{fields})
}

func (s *Sandbox) answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-FB-Trace-ID", s.trace())
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// trace returns the next fbtrace_id.
func (s *Sandbox) trace() string {
	n := s.traces.Add(1)
	h := digest(s.cfg.Seed, "trace", strconv.FormatUint(n, 10))
	return "A" + base64.RawURLEncoding.EncodeToString(h[:16])
}
