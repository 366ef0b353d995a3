// Package apitest holds what the public face of the API answers to its
// description, with a validator that is not ours. It is for tests: of the face
// itself, and of the scripts.
package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// Checker compares answers with a description.
type Checker struct {
	v validator.Validator

	mu   sync.Mutex
	seen map[string]int // answers compared, by request, status and code
}

// New takes an OpenAPI description, and refuses what is none.
func New(description []byte) (*Checker, error) {
	doc, err := libopenapi.NewDocument(description)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			err = errors.Join(err, errors.New(p.Message+": "+p.Reason))
			for _, s := range p.SchemaValidationErrors {
				err = errors.Join(err, errors.New(s.FieldPath+": "+s.Reason))
			}
		}
		return nil, err
	}
	return &Checker{v: v, seen: map[string]int{}}, nil
}

// Exchange is a request and what it was answered.
type Exchange struct {
	Method, Target string // the target with its query
	Sent           http.Header
	Body           []byte
	Status         int
	Header         http.Header
	Answer         []byte
}

// enough answers of one kind are compared: a torture makes thousands.
const enough = 20

// Check says in what an exchange is not as described: its status, its headers,
// its body; and the request as well where it was obeyed. Addresses and methods
// that there are not are not described: their problems are not compared.
func (c *Checker) Check(e *Exchange) error {
	at, err := url.Parse(e.Target)
	if err != nil {
		return err
	}
	text := string(e.Answer)
	if e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotFound && strings.Contains(text, "there is nothing at this address") || e.Method == http.MethodHead {
		return nil
	}
	kind := fmt.Sprint(e.Method, " ", strings.Count(at.Path, "/"), at.Path[:min(len(at.Path), 9)], " ", e.Status, len(text) > 0 && strings.HasPrefix(text, `{"type"`), codeIn(text))
	c.mu.Lock()
	c.seen[kind]++
	n := c.seen[kind]
	c.mu.Unlock()
	if n > enough {
		return nil
	}
	req := &http.Request{Method: e.Method, URL: at, Header: e.Sent.Clone(), Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: int64(len(e.Body))}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	resp := &http.Response{StatusCode: e.Status, Header: e.Header, Body: io.NopCloser(bytes.NewReader(e.Answer)), Request: req}
	ok, problems := c.v.ValidateHttpResponse(req, resp)
	if ok && e.Status < http.StatusMultipleChoices && !strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/") {
		ok, problems = c.v.ValidateHttpRequestSync(req)
	}
	if ok {
		return nil
	}
	for _, p := range problems {
		err = errors.Join(err, errors.New(p.Message+": "+p.Reason))
		for _, s := range p.SchemaValidationErrors {
			err = errors.Join(err, fmt.Errorf("  %s: %s", s.FieldPath, s.Reason))
		}
	}
	return fmt.Errorf("%s %s is not as described: %d %s\n%w", e.Method, at.Path, e.Status, text, err)
}

// codeIn finds the code of a problem.
func codeIn(text string) string {
	_, after, _ := strings.Cut(text, `"code":"`)
	code, _, _ := strings.Cut(after, `"`)
	return code
}
