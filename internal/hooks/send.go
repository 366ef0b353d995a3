package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"janela/internal/failpoint"
)

// agent is who we say we are.
const agent = "janela"

// send makes one request and judges what comes of it.
func (w *worker) send(ctx context.Context, t ticket) result {
	r := result{row: t.row}
	reqCtx, cancel := context.WithTimeout(ctx, w.target().Timeout)
	defer cancel()
	var connected atomic.Bool
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(reqCtx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), http.MethodPost, w.target().URL, bytes.NewReader(t.body))
	if err != nil { // Check has seen the address
		r.verdict, r.failure = away, "the address cannot be used"
		return r
	}
	if err := w.head(req.Header, t); err != nil {
		r.verdict, r.failure = away, "no secret to sign with"
		return r
	}
	failpoint.Hit("hooks.request")
	resp, err := w.h.client.Do(req)
	failpoint.Hit("hooks.answered")
	if err != nil {
		switch {
		case ctx.Err() != nil:
			r.verdict = interrupted
		case connected.Load():
			r.verdict, r.failure = failed, Failure(err)
		default:
			r.verdict, r.failure = away, Failure(err)
		}
		return r
	}
	defer func() { _ = resp.Body.Close() }()
	if r.verdict = judge(resp.StatusCode); r.verdict != arrived {
		r.failure = "status " + strconv.Itoa(resp.StatusCode)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			r.asked = retryAfter(resp.Header)
		}
	}
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose connection is cut loose from the request, and never ends
		drain(resp.Body, cancel)
	}
	return r
}

// head writes the headers of a request.
func (w *worker) head(h http.Header, t ticket) error {
	h.Set("User-Agent", agent)
	h.Set("Webhook-Id", t.webhookID)
	if t.contentType != "" {
		h.Set("Content-Type", t.contentType)
	}
	if w.target().Mode == Passthrough {
		if t.signature != "" {
			h.Set("X-Hub-Signature-256", t.signature)
		}
		return nil
	}
	signed, err := Sign(w.target().Secrets(), t.webhookID, t.at, t.body)
	if err != nil {
		return err
	}
	h.Set("Webhook-Timestamp", timestamp(t.at))
	h.Set("Webhook-Signature", signed)
	return nil
}

const (
	drainBytes = 64 << 10
	drainTime  = time.Second
)

// drain reads a short answer to its end, so that its connection can be used
// again; a long or slow one is broken off. What it says does not matter.
func drain(body io.Reader, cancel context.CancelFunc) {
	timer := time.AfterFunc(drainTime, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, drainBytes)
}

// Failure says why there was no answer. It makes its words itself: errors of
// net/http hold the whole address.
func Failure(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var nerr net.Error
	switch {
	case errors.Is(err, errPlainFar):
		return plainFar
	case errors.As(err, &dns):
		return "no such host"
	case errors.As(err, &unknown):
		return "its certificate is of an unknown authority"
	case errors.As(err, &host):
		return "its certificate is of another host"
	case errors.As(err, &invalid):
		return "its certificate has expired or is not valid"
	case errors.As(err, &alert), errors.As(err, &record):
		return "no TLS could be agreed on"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &nerr) && nerr.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection broke off"
	default:
		return "no answer that can be read"
	}
}
