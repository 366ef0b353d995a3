package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	html "html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// The description is no secret: it is read without a key, by browsers too. Its
// page loads nothing, from here or elsewhere, and runs nothing.

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page answers at /openapi.json, /openapi.yaml and /docs; false: the request is
// for something else.
func (p *public) page(w http.ResponseWriter, r *http.Request) bool {
	var kind string
	var body []byte
	switch r.URL.Path {
	case "/openapi.json":
		kind, body = "application/vnd.oai.openapi+json;version=3.1", described().json
	case "/openapi.yaml":
		kind, body = "application/vnd.oai.openapi;version=3.1", described().yaml
	case "/docs":
		kind, body = "text/html; charset=utf-8", renderPage()
	default:
		return false
	}
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "GET", http.StatusMethodNotAllowed)
		return true
	}
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", styleHash()))
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	if matches(r.Header["If-None-Match"], tag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	_, _ = w.Write(body)
	return true
}

var styleHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
})

// pagePart is what the page shows of one part of the API.
type pagePart struct {
	Name, About string
	Operations  []*huma.Operation
}

var renderPage = sync.OnceValue(func() []byte {
	d := described()
	var parts []pagePart
	for _, tag := range d.doc.Tags {
		part := pagePart{Name: tag.Name, About: tag.Description}
		for _, e := range endpoints() {
			if e.part == tag.Name {
				part.Operations = append(part.Operations, operationAt(d.doc, e))
			}
		}
		if len(part.Operations) > 0 {
			parts = append(parts, part)
		}
	}
	show := html.Must(html.New("page").Funcs(html.FuncMap{
		"style":    func() html.CSS { return html.CSS(pageStyle) }, //nolint:gosec // a file of ours
		"text":     paragraphs,
		"type":     d.typeOf,
		"fields":   d.fields,
		"response": d.responses,
		"codes":    codesOf,
		"scope":    func(op *huma.Operation) string { return op.Security[0]["key"][0] },
		"short":    func(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] },
	}).Parse(pageText))
	var b bytes.Buffer
	if err := show.Execute(&b, map[string]any{"Info": d.doc.Info, "Parts": parts, "Schemas": d.objects()}); err != nil { // a fault of the program
		panic(err)
	}
	return b.Bytes()
})

func operationAt(doc *huma.OpenAPI, e *endpoint) *huma.Operation {
	item := doc.Paths[e.path]
	return map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete}[e.method]
}

// paragraphs splits a Markdown text at empty lines; of Markdown it knows **bold**
// and `code`.
func paragraphs(text string) (out []html.HTML) {
	for p := range strings.SplitSeq(text, "\n\n") {
		p = html.HTMLEscapeString(p)
		for _, mark := range [][2]string{{"**", "strong"}, {"`", "code"}} {
			parts := strings.Split(p, mark[0])
			for i := 1; i < len(parts); i += 2 {
				parts[i] = "<" + mark[1] + ">" + parts[i] + "</" + mark[1] + ">"
			}
			p = strings.Join(parts, "")
		}
		out = append(out, html.HTML(p)) //nolint:gosec // escaped above
	}
	return out
}

// typeOf says in a word or two what a schema takes; objects are links.
func (d *description) typeOf(s *huma.Schema) html.HTML {
	esc := html.HTMLEscapeString
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return html.HTML(fmt.Sprintf(`<a href="#%s">%s</a>`, esc(name), esc(name))) //nolint:gosec // escaped
	case s.Type == huma.TypeArray:
		return "list of " + d.typeOf(s.Items)
	case s.Type == huma.TypeObject && s.AdditionalProperties != nil:
		if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
			return "object of " + d.typeOf(of)
		}
		return "object"
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, w := range s.Enum {
			words[i] = "<code>" + esc(fmt.Sprint(w)) + "</code>"
		}
		return html.HTML(strings.Join(words, " ")) //nolint:gosec // escaped
	case s.Format == "date-time":
		return "time"
	case s.Type == "":
		return "anything"
	default:
		return html.HTML(esc(s.Type)) //nolint:gosec // escaped
	}
}

// field is one line of an object's table.
type field struct {
	Name     string
	Schema   *huma.Schema
	Required bool
	About    string
}

func (d *description) fields(s *huma.Schema) (out []field) {
	if s.Ref != "" {
		s = d.schemas.SchemaFromRef(s.Ref)
	}
	for name, f := range s.Properties {
		about := f.Description
		if f.Default != nil {
			about = strings.TrimSpace(about + " Left out: " + plainText(f.Default) + ".")
		}
		out = append(out, field{name, f, slices.Contains(s.Required, name), about})
	}
	slices.SortFunc(out, func(a, b field) int {
		if a.Required != b.Required {
			return map[bool]int{true: -1, false: 1}[a.Required]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func plainText(v any) string {
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}

// shown is one response of the page.
type shownResponse struct {
	Status string
	*huma.Response
}

func (d *description) responses(op *huma.Operation) (out []shownResponse) {
	for status, r := range op.Responses {
		if r.Ref != "" {
			r = d.doc.Components.Responses[r.Ref[len("#/components/responses/"):]]
		}
		out = append(out, shownResponse{status, r})
	}
	slices.SortFunc(out, func(a, b shownResponse) int { return strings.Compare(a.Status, b.Status) })
	return out
}

// codesOf are the codes of a problem's response.
func codesOf(r *huma.Response) (out []any) {
	if m := r.Content["application/problem+json"]; m != nil {
		return m.Schema.AllOf[1].Properties["code"].Enum
	}
	return nil
}

// object is a schema with a name.
type object struct {
	Name   string
	Schema *huma.Schema
}

func (d *description) objects() (out []object) {
	for name, s := range d.schemas.Map() {
		if s.Type == huma.TypeObject {
			out = append(out, object{name, s})
		}
	}
	slices.SortFunc(out, func(a, b object) int { return strings.Compare(a.Name, b.Name) })
	return out
}
