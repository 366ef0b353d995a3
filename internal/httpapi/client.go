package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/optin"
)

// Client calls the operations: of a running daemon through its socket, or of a
// handler in the same process. Errors of the daemon are *Problem.
type Client struct {
	http   *http.Client
	memory *memory
	alone  bool // no loops run behind the handler
	actor  string
}

// Dial returns a client of the daemon that listens on a unix socket, or an
// error when nobody listens there.
func Dial(ctx context.Context, socket string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		return d.DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

// InProcess returns a client of a handler in this process; actor is who the
// audit log will name. Close it before what the handler works with.
func InProcess(h http.Handler, actor string) *Client {
	m := &memory{handler: h}
	return &Client{http: &http.Client{Transport: m}, memory: m, alone: true, actor: actor}
}

// Within returns a client of the running daemon for a part of it, which answers
// for who makes the requests: actor is who the audit log will name.
func Within(h http.Handler, actor string) *Client {
	c := InProcess(h, actor)
	c.alone = false
	return c
}

// InMemory reports whether no daemon is behind the client: what it queues
// leaves when one runs.
func (c *Client) InMemory() bool { return c.alone }

// Close waits for what is under way.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	if c.memory != nil {
		c.memory.wg.Wait()
	}
}

// do makes a request. The caller closes the answer's body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	return c.doAs(ctx, method, path, query, "", body)
}

// doAs is do with a body of a kind.
func (c *Client) doAs(ctx context.Context, method, path string, query url.Values, kind string, body io.Reader) (*http.Response, error) {
	if c.memory != nil {
		ctx = WithActor(ctx, c.actor)
	}
	if c.alone {
		ctx = context.WithValue(ctx, memoryKey{}, true)
	}
	u := url.URL{Scheme: "http", Host: "janela", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var broken *url.Error
		if errors.As(err, &broken) { // its text would repeat the query
			err = broken.Err
		}
		return nil, &Problem{Title: "the daemon did not answer", Status: http.StatusServiceUnavailable, Code: CodeGone, Detail: err.Error(),
			Hint: "what was asked may have been done; look before repeating it"}
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	p := &Problem{Status: resp.StatusCode, Code: CodeInternal, Title: resp.Status}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.NewDecoder(resp.Body).Decode(p); err != nil {
			return nil, err
		}
		return nil, p
	}
	p.Detail, p.Hint = "the daemon is of another version than this command", "restart the daemon"
	return nil, p
}

// call sends a value (nil for none) and reads one.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return readOne(resp.Body, out)
}

// readOne reads the one value of an answer.
func readOne(body io.Reader, out any) error {
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return broken(err)
	}
	return nil
}

// broken says that an answer ended early.
func broken(err error) error {
	return &Problem{Title: "the answer broke off", Status: http.StatusBadGateway, Code: CodeGone, Detail: err.Error(),
		Hint: "the daemon's log says why"}
}

// parts reads an answer of writeParts; file may be nil.
func (c *Client) parts(resp *http.Response, out any, file io.Writer) error {
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return broken(err)
	}
	parts := multipart.NewReader(resp.Body, params["boundary"])
	first, err := parts.NextPart()
	if err != nil {
		return broken(err)
	}
	if err := json.NewDecoder(first).Decode(out); err != nil {
		return broken(err)
	}
	second, err := parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return broken(err)
	case file == nil:
		file = io.Discard
	}
	if _, err := io.Copy(file, second); err != nil {
		return fmt.Errorf("write the rejected rows: %w", err)
	}
	return nil
}

// Plan says what a definition would do. rejects gets the rows that could not be
// used, as CSV; nil for nowhere.
func (c *Client) Plan(ctx context.Context, path string, rejects io.Writer) (out PlanReply, err error) {
	b, err := json.Marshal(PlanRequest{Path: path, Rejects: rejects != nil})
	if err != nil {
		return out, err
	}
	resp, err := c.do(ctx, "POST", "/v1/plan", nil, bytes.NewReader(b))
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	return out, c.parts(resp, &out, rejects)
}

// Check says what is wrong with a definition.
func (c *Client) Check(ctx context.Context, path string) (out CheckReply, err error) {
	return out, c.call(ctx, "POST", "/v1/check", nil, PlanRequest{Path: path}, &out)
}

// Campaigns lists the campaigns.
func (c *Client) Campaigns(ctx context.Context) (out []Campaign, err error) {
	return out, c.call(ctx, "GET", "/v1/campaigns", nil, nil, &out)
}

// Campaign shows one.
func (c *Client) Campaign(ctx context.Context, id string) (out Campaign, err error) {
	return out, c.call(ctx, "GET", "/v1/campaigns/"+id, nil, nil, &out)
}

// Command does something to one campaign: draft, test, approve, pause, resume
// or cancel.
func (c *Client) Command(ctx context.Context, verb, id string, in CampaignCommand) (out CampaignReply, err error) {
	return out, c.call(ctx, "POST", "/v1/campaigns/"+id+"/"+verb, nil, in, &out)
}

// Report writes what became of a run's rows to w.
func (c *Client) Report(ctx context.Context, id string, q ReportQuery, w io.Writer) error {
	resp, err := c.do(ctx, "GET", "/v1/campaigns/"+id+"/report", q.values(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return copyAnswer(w, resp.Body)
}

// ReportLines calls each for every row of a report.
func (c *Client) ReportLines(ctx context.Context, id string, q ReportQuery, each func(ReportLine) error) error {
	q.Format = ReportJSON
	resp, err := c.do(ctx, "GET", "/v1/campaigns/"+id+"/report", q.values(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return eachLine(resp.Body, each)
}

// eachLine reads one JSON value after the other.
func eachLine[T any](r io.Reader, each func(T) error) error {
	d := json.NewDecoder(r)
	for {
		var row T
		switch err := d.Decode(&row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return broken(err)
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

func (q ReportQuery) values() url.Values {
	v := url.Values{"format": {q.Format}, "state": {strings.Join(q.States, ",")}, "reason": {strings.Join(q.Reasons, ",")}}
	if q.Run > 0 {
		v.Set("run", strconv.FormatInt(q.Run, 10))
	}
	return v
}

// copyAnswer tells a broken answer from a target that cannot be written.
func copyAnswer(w io.Writer, body io.Reader) error {
	r := &noted{r: body}
	_, err := io.Copy(w, r)
	if r.err != nil {
		return broken(r.err)
	}
	return err
}

type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// Why explains a message id, a wamid or a phone number.
func (c *Client) Why(ctx context.Context, of string) (out Why, err error) {
	return out, c.call(ctx, "GET", "/v1/why", url.Values{"of": {of}}, nil, &out)
}

// Message says where a message stands.
func (c *Client) Message(ctx context.Context, id int64) (out MessageState, err error) {
	return out, c.call(ctx, "GET", "/v1/messages/"+strconv.FormatInt(id, 10), nil, nil, &out)
}

// Consents shows what a person granted and revoked.
func (c *Client) Consents(ctx context.Context, of string) (out Consents, err error) {
	return out, c.call(ctx, "GET", "/v1/consents", url.Values{"of": {of}}, nil, &out)
}

// Grant records a consent.
func (c *Client) Grant(ctx context.Context, in GrantRequest) (out GrantReply, err error) {
	return out, c.call(ctx, "POST", "/v1/consents/grant", nil, in, &out)
}

// Revoke takes consent back.
func (c *Client) Revoke(ctx context.Context, in RevokeRequest) (out RevokeReply, err error) {
	return out, c.call(ctx, "POST", "/v1/consents/revoke", nil, in, &out)
}

// Import streams a CSV file of consents into the ledger. rejects gets the rows
// that could not be used; nil for nowhere.
func (c *Client) Import(ctx context.Context, in ImportRequest, file io.Reader, rejects io.Writer) (out optin.Report, err error) {
	in.Rejects = rejects != nil
	b, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	resp, err := c.do(ctx, "POST", "/v1/consents/import", url.Values{"options": {string(b)}}, file)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	return out, c.parts(resp, &out, rejects)
}

// Templates lists what Meta last said of the templates; with sync it asks
// first.
func (c *Client) Templates(ctx context.Context, sync bool) (out []Template, err error) {
	if sync {
		return out, c.call(ctx, "POST", "/v1/templates/sync", nil, nil, &out)
	}
	return out, c.call(ctx, "GET", "/v1/templates", nil, nil, &out)
}

// Conversations calls each for every conversation, in the order of their ends.
func (c *Client) Conversations(ctx context.Context, q ConversationsQuery, each func(Conversation) error) error {
	resp, err := c.do(ctx, "GET", "/v1/conversations", q.values(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return eachLine(resp.Body, each)
}

// Reply queues a free-form text.
func (c *Client) Reply(ctx context.Context, in ReplyRequest) (out ReplyReply, err error) {
	if !utf8.ValidString(in.Text) { // JSON would put other characters in its place
		return out, invalid("the text is not UTF-8")
	}
	return out, c.call(ctx, "POST", "/v1/replies", nil, in, &out)
}

// Holds lists the holds.
func (c *Client) Holds(ctx context.Context) (out []HoldLine, err error) {
	return out, c.call(ctx, "GET", "/v1/holds", nil, nil, &out)
}

// Hold stops something.
func (c *Client) Hold(ctx context.Context, in HoldRequest) (out HoldReply, err error) {
	return out, c.call(ctx, "POST", "/v1/holds", nil, in, &out)
}

// Release lifts the holds of a scope and target.
func (c *Client) Release(ctx context.Context, in HoldRequest) (out HoldReply, err error) {
	return out, c.call(ctx, "POST", "/v1/holds/release", nil, in, &out)
}

// Status is the house at a glance.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	return out, c.call(ctx, "GET", "/v1/status", nil, nil, &out)
}

// Audit lists the latest n changes, newest first.
func (c *Client) Audit(ctx context.Context, n int) (out []AuditEntry, err error) {
	return c.AuditBefore(ctx, 0, n)
}

// AuditBefore lists n changes before the one with an id, newest first; 0: the
// latest.
func (c *Client) AuditBefore(ctx context.Context, before int64, n int) (out []AuditEntry, err error) {
	return out, c.call(ctx, "GET", "/v1/audit", url.Values{"n": {strconv.Itoa(n)}, "before": {strconv.FormatInt(before, 10)}}, nil, &out)
}
