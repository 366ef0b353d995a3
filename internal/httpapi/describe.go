package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"janela/internal/dossier"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

// description is the public face as OpenAPI 3.1, made of the table of endpoints
// and of the structs that are decoded and encoded. Its schemas are also what
// requests are checked against.
type description struct {
	doc        *huma.OpenAPI
	schemas    huma.Registry
	queries    map[string]*huma.Schema // of all parameters together, by the operation's id
	json, yaml []byte
}

var (
	describing sync.Once
	theOnly    *description
)

// described is made once: it is the same in every process of one version.
func described() *description {
	describing.Do(func() { theOnly = describe() })
	return theOnly
}

// OpenAPI returns the description of the public face, as JSON and as YAML.
func OpenAPI() (asJSON, asYAML []byte) {
	d := described()
	return slices.Clone(d.json), slices.Clone(d.yaml)
}

const aboutAPI = `What the business's own systems call: servers, with a key each (` + "`janela keys add`" + `), never browsers.

**Keys.** ` + "`Authorization: Bearer jnl_…`" + `. Each operation names the scope that the key needs.

**Problems.** What is no success is ` + "`application/problem+json`" + ` (RFC 9457) with a stable ` + "`code`" + `. No answer repeats anything of its request. ` + "`instance`" + ` is the request's id, as in ` + "`X-Request-Id`" + ` and in the log.

**Once.** Where an ` + "`Idempotency-Key`" + ` may be sent, a repeat with the same key and body within 24 hours gets the same answer (` + "`Idempotency-Replayed: true`" + `) and does nothing more.

**Pages.** A list that may be long has ` + "`next`" + `: send it as ` + "`after`" + `. It is opaque, and stays right while rows are added. Without ` + "`next`" + ` it was the last page.

**Limits.** ` + "`RateLimit-Policy`" + ` and ` + "`RateLimit`" + ` say how much a key may ask for; 429 has ` + "`Retry-After`" + `.

Ids are whole numbers up to 2^53, or strings. Times are RFC 3339 in UTC.`

var partsAbout = []*huma.Tag{
	{Name: partCampaigns, Description: "Definitions, plans, approvals, and what became of every row."},
	{Name: partMessages, Description: "One message at a time."},
	{Name: partCodes, Description: "One-time codes."},
	{Name: partConsent, Description: "What people agreed to, with the proof."},
	{Name: partConversations, Description: "The ledger of 24-hour conversations, service windows, and people."},
	{Name: partAccount, Description: "Templates and numbers, as Meta last told."},
	{Name: partHolds, Description: "What stands still, and why."},
	{Name: partHouse, Description: "The daemon itself: status, audit log, events."},
}

// closed gives named words their list: huma knows strings only.
type (
	categoryWord string
	stateWord    string
)

func enum(words ...string) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, w := range words {
		s.Enum = append(s.Enum, w)
	}
	return s
}

// Schema implements huma.SchemaProvider.
func (categoryWord) Schema(huma.Registry) *huma.Schema {
	return enum(string(whatsapp.Marketing), string(whatsapp.Utility), string(whatsapp.Authentication), string(whatsapp.Service))
}

// Schema implements huma.SchemaProvider.
func (stateWord) Schema(huma.Registry) *huma.Schema {
	return enum(string(outbox.Queued), string(outbox.Sending), string(outbox.Accepted), string(outbox.AcceptedHeld), string(outbox.Sent), string(outbox.Delivered),
		string(outbox.Read), string(outbox.Unknown), string(outbox.Failed), string(outbox.Refused), string(outbox.Cancelled), string(outbox.Expired),
		string(outbox.PresumedExpired))
}

// schemaName names a type. What other rooms call shortly, because it is theirs,
// gets a longer name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch {
	case t.PkgPath() == reflect.TypeFor[dossier.File]().PkgPath():
		return "Dossier" + name
	case t == reflect.TypeFor[optin.Report](), t == reflect.TypeFor[optin.Reject]():
		return "Import" + name
	default:
		return name
	}
}

func newSchemas() huma.Registry {
	huma.DefaultArrayNullable = false // an empty list is [], never null
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	r.RegisterTypeAlias(reflect.TypeFor[whatsapp.Category](), reflect.TypeFor[categoryWord]())
	r.RegisterTypeAlias(reflect.TypeFor[outbox.State](), reflect.TypeFor[stateWord]())
	return r
}

func describe() *description {
	d := &description{schemas: newSchemas(), queries: map[string]*huma.Schema{}}
	d.doc = &huma.OpenAPI{OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "janela", Version: "1", Description: aboutAPI},
		Tags: partsAbout,
		Components: &huma.Components{Schemas: d.schemas, Headers: sharedHeaders, Responses: map[string]*huma.Response{}, SecuritySchemes: map[string]*huma.SecurityScheme{
			"key": {Type: "http", Scheme: "bearer", Description: "An API key, made by janela keys add."}}},
		Servers: []*huma.Server{{URL: "/", Description: "Where [http] listen is, http://127.0.0.1:8790 unless it was changed."}},
	}
	for _, e := range endpoints() {
		d.doc.AddOperation(d.operation(e))
	}
	var err error
	if d.json, err = json.MarshalIndent(d.doc, "", "  "); err == nil {
		d.yaml, err = d.doc.YAML()
	}
	if err != nil { // it is made of constants: a fault of the program
		panic(err)
	}
	d.json = append(d.json, '\n')
	return d
}

// schemaOf is a reference to the schema of a value's type, or that of a list.
func (d *description) schemaOf(v any, hint string) *huma.Schema {
	return d.schemas.Schema(reflect.TypeOf(v), true, hint)
}

func (d *description) operation(e *endpoint) *huma.Operation {
	op := &huma.Operation{Method: e.method, Path: e.path, OperationID: e.id, Summary: e.title, Description: e.about, Tags: []string{e.part},
		Security: []map[string][]string{{"key": {e.scope}}}, Responses: map[string]*huma.Response{}}
	for _, word := range e.segments {
		if word[0] == '{' {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.Trim(word, "{}"), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	op.Parameters = append(op.Parameters, d.parameters(e)...)
	if e.body != nil {
		op.RequestBody = &huma.RequestBody{Required: !e.maybe, Content: map[string]*huma.MediaType{"application/json": {Schema: d.schemaOf(e.body, e.id)}}}
	}
	if e.upload {
		op.RequestBody = uploadBody()
	}
	if e.csv {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	}
	for _, r := range e.replies {
		op.Responses[strconv.Itoa(r.status)] = d.success(e, r)
	}
	for status, codes := range e.problems() {
		name := strings.Join(append([]string{strconv.Itoa(status)}, codes...), ".")
		if d.doc.Components.Responses[name] == nil {
			d.doc.Components.Responses[name] = d.problemResponse(status, codes)
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + name}
	}
	return op
}

// parameters are those of the query and the headers.
func (d *description) parameters(e *endpoint) (out []*huma.Param) {
	if e.query != nil {
		t := reflect.TypeOf(e.query)
		s := huma.SchemaFromType(d.schemas, t)
		d.queries[e.id] = s
		for _, f := range reflect.VisibleFields(t) {
			if f.Anonymous {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := &huma.Param{Name: name, In: "query", Description: s.Properties[name].Description, Required: slices.Contains(s.Required, name), Schema: s.Properties[name]}
			if p.Schema.Type == huma.TypeArray {
				explode := false
				p.Explode = &explode // state=failed,expired
			}
			out = append(out, p)
		}
	}
	header := func(name, about string, required bool, s *huma.Schema) {
		out = append(out, &huma.Param{Name: name, In: "header", Description: about, Required: required, Schema: s})
	}
	text := &huma.Schema{Type: huma.TypeString}
	if e.repeat != repeatNone {
		one, most := 1, 255
		header("Idempotency-Key", "A text of yours that names what this request is about; a repeat with it does nothing more.", e.repeat == repeatRequired,
			&huma.Schema{Type: huma.TypeString, MinLength: &one, MaxLength: &most})
	}
	if e.id == "stream-events" {
		header("Last-Event-ID", "The id of the last event that was heard: it goes on behind it.", false, text)
	}
	if e.prefers {
		header("Prefer", "wait=3 waits up to that many seconds for news.", false, text)
	}
	for _, r := range e.replies {
		if r.status == http.StatusNotModified {
			header("If-None-Match", "The ETag of before: 304 while nothing has changed.", false, text)
		}
	}
	header("X-Request-Id", "Yours for this request: letters, digits, . _ -, at most 64. Otherwise one is made.", false, text)
	return out
}

func (d *description) success(e *endpoint, r reply) *huma.Response {
	out := &huma.Response{Description: strings.ToLower(http.StatusText(r.status)), Headers: headers()}
	if r.location {
		out.Headers["Location"] = tells("Where it can be looked at.", true)
	}
	if r.etag {
		out.Headers["Etag"] = tells("Of every byte of the answer.", true)
	}
	if e.repeat != repeatNone {
		out.Headers["Idempotency-Replayed"] = tells("true: this is the answer of before.", false)
	}
	switch {
	case r.kind != "":
		out.Content = map[string]*huma.MediaType{r.kind: {Schema: &huma.Schema{Type: huma.TypeString}}}
	case r.body != nil:
		out.Content = map[string]*huma.MediaType{"application/json": {Schema: d.schemaOf(r.body, e.id)}}
	}
	return out
}

func tells(about string, always bool) *huma.Param {
	return &huma.Param{Description: about, Required: always, Schema: &huma.Schema{Type: huma.TypeString}}
}

// sharedHeaders are on every answer; the description has each once.
var sharedHeaders = map[string]*huma.Param{
	"X-Request-Id":     tells("Of this request, as in the log.", true),
	"Cache-Control":    tells("no-store", true),
	"RateLimit-Policy": tells("How much this key may ask for.", false),
	"RateLimit":        tells("How much of it is left.", false),
}

func headers() map[string]*huma.Param {
	out := map[string]*huma.Param{}
	for name := range sharedHeaders {
		out[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	return out
}

// problems are the codes that an endpoint may answer with, by status.
func (e *endpoint) problems() map[int][]string {
	out := map[int][]string{}
	for _, code := range slices.Concat(commonCodes, e.codes) {
		status := publicCodes[code].status
		if !slices.Contains(out[status], code) {
			out[status] = append(out[status], code)
		}
	}
	if e.body != nil || e.upload || e.csv {
		out[http.StatusRequestEntityTooLarge] = []string{otp.CodeMalformed}
		out[http.StatusUnsupportedMediaType] = []string{otp.CodeMalformed}
	}
	if e.words() > 0 && len(out[http.StatusNotFound]) == 0 {
		out[http.StatusNotFound] = []string{otp.CodeNotFound}
	}
	for _, codes := range out {
		slices.Sort(codes)
	}
	return out
}

// words is how many words in braces the path has.
func (e *endpoint) words() int { return strings.Count(e.path, "{") }

func (d *description) problemResponse(status int, codes []string) *huma.Response {
	var lines []string
	for _, code := range codes {
		lines = append(lines, "`"+code+"`: "+publicCodes[code].title)
	}
	out := &huma.Response{Description: strings.Join(lines, "; "), Headers: headers()}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		out.Headers["WWW-Authenticate"] = tells("How to ask (RFC 6750).", status == http.StatusUnauthorized)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		out.Headers["Retry-After"] = tells("Whole seconds.", false)
	}
	out.Content = map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{AllOf: []*huma.Schema{
		d.schemaOf(Problem{}, "Problem"), {Type: huma.TypeObject, Properties: map[string]*huma.Schema{"code": enum(codes...)}, AdditionalProperties: true}}}}}
	return out
}

// uploadBody is a definition with the files that it names.
func uploadBody() *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject,
		Required: []string{"definition"}, Properties: map[string]*huma.Schema{
			"definition": {Type: huma.TypeString, Description: "The definition, TOML."},
			"file":       {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}, Description: "The audience and the media that the definition names, each with its file name."},
		}}, Encoding: map[string]*huma.Encoding{"definition": {ContentType: "application/toml"}}}}}
}
