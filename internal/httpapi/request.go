package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"janela/internal/store"
)

// How requests are read that the description says everything about: its schemas
// are what they are checked against. Codes, messages and consents have readers
// of their own.

// reading runs fn in the one snapshot in which the key is looked at.
func (c *call) reading(fn func(q *store.Snap) error) error {
	return c.db.Read(c.r.Context(), func(q *store.Snap) error {
		if err := c.authenticate(q, c.endpoint.scope); err != nil {
			return err
		}
		return fn(q)
	})
}

// queryOf reads the parameters of the query. One that is not known is refused: if
// it were overlooked, too much would be shown.
func queryOf[T any](c *call) (in T, err error) {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return in, malformed("the query cannot be read")
	}
	s := described().queries[c.endpoint.id]
	got := map[string]any{}
	for name, all := range values {
		of, known := s.Properties[name]
		switch {
		case !known:
			return in, malformed("there is a parameter that is not known; known are %s", fieldsKnown(s))
		case len(all) != 1:
			return in, malformed("every parameter may stand once")
		case all[0] == "": // state= is like no state
			continue
		}
		v, ok := parameter(of, all[0])
		if !ok {
			return in, malformed("%s cannot be what was written: it is of type %s", name, of.Type)
		}
		got[name] = v
	}
	return in, c.decodeInto(&in, s, got, "the query")
}

// parameter reads one value of a query as its schema wants it.
func parameter(s *huma.Schema, text string) (v any, ok bool) {
	switch s.Type {
	case huma.TypeInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		return float64(n), err == nil && n > -1<<53 && n < 1<<53
	case huma.TypeBoolean:
		return text == "true", text == "true" || text == "false"
	case huma.TypeArray:
		var out []any
		for _, w := range words(text) {
			out = append(out, w)
		}
		return out, true
	default:
		return text, utf8.ValidString(text)
	}
}

// bodyOf reads a JSON body. Nothing of it stands in an error but the names of
// fields that are known.
func bodyOf[T any](c *call, body []byte) (in T, err error) {
	if len(body) == 0 && c.endpoint.maybe {
		return in, nil
	}
	if len(body) == 0 {
		return in, malformed("the body is empty; it must be a JSON object")
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return in, malformed("the body is no JSON in UTF-8, or has something behind its end")
	}
	if twice(json.NewDecoder(bytes.NewReader(body))) {
		return in, malformed("the body has a field twice")
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return in, malformed("the body cannot be read")
	}
	d := described()
	return in, c.decodeInto(&in, d.schemas.SchemaFromRef(d.schemaOf(c.endpoint.body, c.endpoint.id).Ref), v, "the body")
}

// decodeInto checks a value against a schema, and fills a struct with it.
func (c *call) decodeInto(into any, s *huma.Schema, v any, what string) error {
	var found huma.ValidateResult
	huma.Validate(described().schemas, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &found)
	var wrong []string
	for _, err := range found.Errors {
		var detail *huma.ErrorDetail
		switch {
		case !errors.As(err, &detail):
			wrong = append(wrong, "it is not as described")
		case detail.Message == validation.MsgUnexpectedProperty: // its place ends in what was written
			wrong = append(wrong, "there is a field that is not known; known are "+fieldsKnown(s))
		default:
			wrong = append(wrong, strings.TrimPrefix(detail.Location+": "+detail.Message, ": "))
		}
	}
	if len(wrong) > 0 {
		sort.Strings(wrong)
		wrong = slices.Compact(wrong)
		return malformed("%s is not valid: %s", what, strings.Join(wrong[:min(len(wrong), 10)], "; "))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil { // a number that fits no int64, or a time that is none
		return malformed("%s is not valid: a value is out of range", what)
	}
	return nil
}

// fieldsKnown lists the names of a schema's fields.
func fieldsKnown(s *huma.Schema) string {
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// twice reports whether an object of a document has a field twice: which of the
// two was meant, nobody knows.
func twice(d *json.Decoder) bool {
	t, err := d.Token()
	if err != nil {
		return false
	}
	switch t {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			name, err := d.Token()
			text, ok := name.(string)
			if err != nil || !ok || seen[text] {
				return err == nil
			}
			seen[text] = true
			if twice(d) {
				return true
			}
		}
	case json.Delim('['):
		for d.More() {
			if twice(d) {
				return true
			}
		}
	default:
		return false
	}
	_, _ = d.Token()
	return false
}

// PageQuery is the query of every list that comes in pages.
type PageQuery struct {
	After string `json:"after,omitempty" doc:"next of the page before"`
	Limit int    `json:"limit,omitempty" minimum:"1" maximum:"500" default:"100"`
}

func (p PageQuery) most() int {
	if p.Limit == 0 {
		return usualPage
	}
	return p.Limit
}

// A pageToken is the place of a page's last row, by its key. It means nothing to
// whoever gets it.
func pageToken(key ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(key, "\x00")))
}

// key reads a token of n parts; "" is the beginning.
func (p PageQuery) key(n int) (parts []string, err error) {
	if p.After == "" {
		return make([]string, n), nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.After)
	if parts = strings.Split(string(b), "\x00"); err != nil || len(parts) != n || !utf8.Valid(b) {
		return nil, badToken()
	}
	return parts, nil
}

func badToken() error { return malformed("after is no next of a page of this list") }

// ints reads a token of n whole numbers; the beginning is all zeros.
func (p PageQuery) ints(n int) (out []int64, err error) {
	parts, err := p.key(n)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		v := int64(0)
		if part != "" {
			if v, err = strconv.ParseInt(part, 10, 64); err != nil {
				return nil, badToken()
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// pageOf cuts a page out of a list that is short enough to be read whole. It is
// ordered by a key of its rows, and begins behind a key: so rows that come and go
// shift nothing.
func pageOf[T any](rows []T, p PageQuery, key func(*T) string) (page []T, next string, err error) {
	after, err := p.key(1)
	if err != nil {
		return nil, "", err
	}
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b T) int { return strings.Compare(key(&a), key(&b)) })
	if p.After != "" {
		from := sort.Search(len(rows), func(i int) bool { return key(&rows[i]) > after[0] })
		rows = rows[from:]
	}
	if most := p.most(); len(rows) > most {
		rows = rows[:most]
		next = pageToken(key(&rows[most-1]))
	}
	if rows == nil {
		rows = []T{}
	}
	return rows, next, nil
}

// fine is a success.
func fine(v any) answer { return answer{status: http.StatusOK, body: line(v)} }

// tagged is a success of a GET that is not told twice: while nothing has changed,
// If-None-Match gets 304.
func (c *call) tagged(v any) answer {
	a := fine(v)
	sum := sha256.Sum256(a.body)
	a.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
	if matches(c.r.Header["If-None-Match"], a.etag) {
		a.status, a.body = http.StatusNotModified, nil
	}
	return a
}

// taggedReplies are the successes of such a GET.
func taggedReplies(body any) []reply {
	return []reply{{status: http.StatusOK, body: body, etag: true}, {status: http.StatusNotModified, etag: true}}
}

// withJSON reads a body of at most 64 KiB and hands what it says to f.
func withJSON[T any](c *call, f func(in T, body []byte) (answer, error)) (a answer, err error) {
	err = c.withLargeBody(maxMessageBody, func(body []byte) error {
		in, err := bodyOf[T](c, body)
		if err != nil {
			return err
		}
		a, err = f(in, body)
		return err
	})
	return a, err
}

// stream writes an answer that is made while it is sent. What goes wrong after
// the first byte ends the connection, so that nobody takes half for a whole.
type stream func(w io.Writer) error
