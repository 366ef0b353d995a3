package cloudapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"janela/internal/whatsapp"
)

// Defaults of Config.
const (
	DefaultBaseURL     = "https://graph.facebook.com"
	DefaultVersion     = "v25.0"
	DefaultSendTimeout = 30 * time.Second
	DefaultReadTimeout = 30 * time.Second
	defaultIdlePerHost = 64
)

// Config says how to reach the API. The zero value of a field means its
// default; Token has none.
type Config struct {
	BaseURL string // without the version
	Version string // "v25.0"
	// Token returns the access token; it is asked before every call, so that
	// a replaced token file takes effect.
	Token func() (string, error)
	// Transport carries the calls; nil means one tuned for this API. One that
	// is not an *http.Transport must honour net/http/httptrace (a wrapper
	// around one does): without a call of GetConn a failed send proves nothing
	// and is unknown.
	Transport      http.RoundTripper
	SendTimeout    time.Duration // whole send, from waiting for a connection to the last byte
	ReadTimeout    time.Duration // one try of one page
	MaxIdlePerHost int           // idle connections kept; at least as many as concurrent sends
}

// Sender hands one message to Meta.
type Sender interface {
	// Send posts a body made by AppendMessage from the number. Every error is
	// an *Error.
	Send(ctx context.Context, numberID string, body []byte) (Answer, error)
	// SendMarketing is Send by the Marketing Messages API, of a body whose
	// message says Marketing.
	SendMarketing(ctx context.Context, numberID string, body []byte) (Answer, error)
}

// Reader asks Meta about the account and uploads media. Every error is an
// *Error, except one that each or open returned.
type Reader interface {
	// Templates calls each for every template of the account once.
	Templates(ctx context.Context, waba string, each func(Template) error) error
	Numbers(ctx context.Context, waba string) ([]Number, error)
	Number(ctx context.Context, id string) (Number, error)
	// UploadMedia stores a file of size bytes for a number and returns its id,
	// valid for 30 days. open is called once per try and once before, and what
	// it returns is closed.
	UploadMedia(ctx context.Context, numberID, name, mime string, size int64, open func() (io.ReadCloser, error)) (id string, err error)
}

// Client implements Sender and Reader. It is safe for concurrent use.
type Client struct {
	base        string // with version, without a slash at the end
	modern      bool   // v24.0 or later: the messaging limit belongs to the portfolio
	token       func() (string, error)
	transport   http.RoundTripper
	honest      bool // the transport is net/http's own: it never writes without GotConn
	sendTimeout time.Duration
	sends       *retryablehttp.Client
	reads       *retryablehttp.Client

	calls      calls
	authorized atomic.Pointer[authorization] // the token of the last send
	doorsMu    sync.Mutex
	doors      map[door]*url.URL
}

var (
	_ Sender = (*Client)(nil)
	_ Reader = (*Client)(nil)
)

// New returns a client. It does no I/O; a wrong address shows at the first
// call.
func New(cfg Config) *Client {
	base, version := strings.TrimRight(cfg.BaseURL, "/"), strings.Trim(cfg.Version, "/")
	if base == "" {
		base = DefaultBaseURL
	}
	if version == "" {
		version = DefaultVersion
	}
	if cfg.SendTimeout <= 0 {
		cfg.SendTimeout = DefaultSendTimeout
	}
	if cfg.ReadTimeout <= 0 {
		cfg.ReadTimeout = DefaultReadTimeout
	}
	if cfg.MaxIdlePerHost <= 0 {
		cfg.MaxIdlePerHost = defaultIdlePerHost
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.MaxIdlePerHost)
	}
	c := &Client{
		base:        base + "/" + version,
		modern:      majorVersion(version) >= 24,
		token:       cfg.Token,
		transport:   cfg.Transport,
		sendTimeout: cfg.SendTimeout,
		calls:       calls{most: cfg.MaxIdlePerHost},
		doors:       map[door]*url.URL{},
	}
	_, c.honest = cfg.Transport.(*http.Transport)

	c.sends = newRetryClient(cfg.Transport, 0)
	c.sends.RetryMax, c.sends.RetryWaitMin, c.sends.RetryWaitMax = 2, 50*time.Millisecond, 500*time.Millisecond
	c.sends.CheckRetry = retryUnsent

	c.reads = newRetryClient(cfg.Transport, cfg.ReadTimeout)
	c.reads.RetryMax, c.reads.RetryWaitMin, c.reads.RetryWaitMax = 3, 500*time.Millisecond, 8*time.Second
	c.reads.CheckRetry = retryRead
	return c
}

func newRetryClient(rt http.RoundTripper, timeout time.Duration) *retryablehttp.Client {
	rc := retryablehttp.NewClient()
	rc.HTTPClient = &http.Client{
		Transport: keepIdle{rt},
		Timeout:   timeout,
		// A redirect would carry the message, and the token, to a second place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	rc.Logger = nil // the default one prints every URL to stderr
	rc.Backoff = backoff
	rc.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return rc
}

// keepIdle hides CloseIdleConnections: go-retryablehttp calls it after every
// failed request, which would make one bad send cost all others their warm
// connections.
type keepIdle struct{ http.RoundTripper }

func newTransport(idlePerHost int) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        2 * idlePerHost,
		MaxIdleConnsPerHost: idlePerHost,
		// Well under the server's own limit: a connection it closes while we
		// write costs an unknown message.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
}

// Close closes the idle connections.
func (c *Client) Close() {
	c.calls.clear()
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// backoff doubles from the minimum to the maximum. A server's Retry-After may
// lengthen it within the maximum, never beyond: a worker must not sleep for a
// day because a proxy said so.
func backoff(minWait, maxWait time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := minWait << min(attempt, 16)
	if resp != nil {
		wait = max(wait, retryAfter(resp.Header))
	}
	return min(wait, maxWait)
}

// bearer returns the Authorization header and the token, for scrubbing.
func (c *Client) bearer() (header, token string, err error) {
	if c.token == nil {
		return "", "", fmt.Errorf("no access token is configured")
	}
	token, err = c.token()
	token = strings.TrimSpace(token)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("the access token could not be read: %w", err)
	case token == "":
		return "", "", fmt.Errorf("the access token is empty")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", "", fmt.Errorf("the access token holds characters that no token has; perhaps the file holds more than the token")
	}
	return "Bearer " + token, token, nil
}

// majorVersion reads 24 from "v24.0"; 0 from anything else.
func majorVersion(v string) int {
	major, _, _ := strings.Cut(strings.TrimPrefix(v, "v"), ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 0
	}
	return n
}

// Answer is Meta's acceptance of one message: accepted, not yet sent.
type Answer struct {
	Wamid  whatsapp.Wamid
	WaID   whatsapp.WaID  // the recipient as Meta writes it, which may differ; "" when sent to a user id
	UserID whatsapp.BSUID // "" when Meta left it out
	Held   bool           // held_for_quality_assessment: template pacing; it may still fail
	Paused bool           // the template is paused
}
