package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"

	"janela/internal/store"
	"janela/otp"
)

// operated makes an operation of the command line one of the public face: the
// request is checked against the description first, the actor is the key's
// client, and of what the operation says against it nothing is told but the kind,
// because it may repeat the request. fix takes out of the answer what the face
// does not tell; nil: it tells all. nos say why a rule says no; "" for the usual.
func operated[T any](of func(s *Server) operation, fix func(*T), no string) func(c *call) (answer, error) {
	return func(c *call) (answer, error) {
		if c.endpoint.method == http.MethodGet {
			err := c.reading(func(*store.Snap) error { return c.checkQuery() })
			if err != nil {
				return answer{}, err
			}
			return runOperation(c, of(c.server), nil, fix, no)
		}
		var a answer
		err := c.withLargeBody(maxMessageBody, func(body []byte) (err error) {
			if err := c.checkBody(body); err != nil {
				return err
			}
			a, err = runOperation(c, of(c.server), body, fix, no)
			return err
		})
		return a, err
	}
}

// checkQuery holds a query to the description.
func (c *call) checkQuery() error {
	if c.endpoint.query == nil {
		if c.r.URL.RawQuery != "" {
			return malformed("there is a parameter that is not known; there are none")
		}
		return nil
	}
	_, err := queryOf[map[string]any](c)
	return err
}

// checkBody holds a body to the description.
func (c *call) checkBody(body []byte) error {
	if c.endpoint.body == nil {
		return readNothing(body)
	}
	_, err := bodyOf[map[string]any](c, body)
	return err
}

// operatedAnswer is what an operation answers, in memory.
type operatedAnswer struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *operatedAnswer) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *operatedAnswer) Write(b []byte) (int, error) { return w.body.Write(b) }

// WriteHeader implements http.ResponseWriter: operations succeed with 200.
func (w *operatedAnswer) WriteHeader(int) {}

func runOperation[T any](c *call, op operation, body []byte, fix func(*T), no string) (answer, error) {
	r := c.r.Clone(WithActor(c.r.Context(), c.actor()))
	if len(body) == 0 {
		body = []byte("{}")
	}
	r.Body = http.NoBody
	if c.endpoint.method != http.MethodGet {
		r.Body = readCloser{bytes.NewReader(body)}
	}
	names := 0
	for _, word := range c.endpoint.segments {
		if word[0] == '{' {
			r.SetPathValue(map[bool]string{true: "name", false: "id"}[word == "{hook}" || word == "{template}"], c.words[names])
			names++
		}
	}
	w := &operatedAnswer{header: http.Header{}}
	if err := op(w, r); err != nil {
		return answer{}, operationProblem(err, no)
	}
	var out T
	if err := json.Unmarshal(w.body.Bytes(), &out); err != nil {
		return answer{}, err
	}
	if fix != nil {
		fix(&out)
	}
	return fine(out), nil
}

// readCloser closes nothing.
type readCloser struct{ *bytes.Reader }

// Close implements io.Closer.
func (readCloser) Close() error { return nil }

// operationProblem tells of an operation's Problem what cannot repeat anything.
func operationProblem(err error, no string) error {
	if no == "" {
		no = "a rule says no"
	}
	p := problemOf(err)
	switch p.Code {
	case CodeInvalid:
		return malformed("it names something that there is not, or says what cannot be")
	case CodeNotFound:
		return publicProblem(otp.CodeNotFound, "it names something that there is not")
	case CodeRefused:
		return publicProblem(codeRule, no)
	case CodeMeta:
		return publicProblem(codeMeta, "what was known stays")
	default:
		return err
	}
}
