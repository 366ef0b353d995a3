package httpapi

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// memory carries requests to a handler of the same process.
type memory struct {
	handler http.Handler
	wg      sync.WaitGroup
}

// RoundTrip runs the handler, and returns as soon as it has begun its answer:
// long answers are read while they are written.
func (m *memory) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &memoryWriter{header: http.Header{}, body: pw, begun: make(chan struct{})}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI = r.URL.RequestURI()
	m.wg.Go(func() {
		defer func() { _ = in.Body.Close() }()
		err := w.run(m.handler, in)
		w.once.Do(func() { w.start(http.StatusOK) })
		_ = pw.CloseWithError(err)
	})
	<-w.begun
	return &http.Response{Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: pr, ContentLength: -1, Request: r}, nil
}

// memoryWriter is the answer on its way.
type memoryWriter struct {
	header, sent http.Header
	status       int
	body         *io.PipeWriter
	once         sync.Once
	begun        chan struct{}
}

// run calls the handler; ErrAbortHandler is its way to break an answer off.
func (w *memoryWriter) run(h http.Handler, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			err = errors.New("the answer broke off")
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

func (w *memoryWriter) start(status int) {
	w.status, w.sent = status, w.header.Clone()
	close(w.begun)
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) { w.once.Do(func() { w.start(status) }) }

func (w *memoryWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
