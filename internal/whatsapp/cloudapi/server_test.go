package cloudapi

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"janela/internal/whatsapp"
)

const (
	testToken = "EAATESTTOKEN0123456789abcdef"
	accepted  = `{"messaging_product":"whatsapp","contacts":[{"input":"+5511900000001","wa_id":"551190000001","user_id":"BR.13491208655302741918"}],"messages":[{"id":"wamid.HBgMTEST","message_status":"accepted"}]}`
)

// counter is a server that counts the requests it has fully read: the messages
// Meta would have sent.
type counter struct {
	*httptest.Server
	processed atomic.Int64
	arrived   atomic.Int64
	h2        bool
}

// serve starts a counting server over HTTP/1.1 or HTTP/2.
func serve(t testing.TB, h2 bool, answer http.HandlerFunc) *counter {
	t.Helper()
	c := &counter{h2: h2}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.arrived.Add(1)
		if h2 != (r.ProtoMajor == 2) {
			t.Errorf("the request came over %s", r.Proto)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		c.processed.Add(1)
		answer(w, r)
	}))
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	if h2 {
		c.EnableHTTP2 = true
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

// client returns a client of the server with short times.
func (c *counter) client(t testing.TB) *Client {
	return testClient(t, c.URL, c.Client().Transport)
}

func testClient(t testing.TB, base string, rt http.RoundTripper) *Client {
	t.Helper()
	client := New(Config{
		BaseURL: base, Version: "v25.0", Transport: rt,
		Token:       func() (string, error) { return testToken, nil },
		SendTimeout: 400 * time.Millisecond, ReadTimeout: 400 * time.Millisecond,
	})
	client.sends.RetryWaitMin, client.sends.RetryWaitMax = time.Millisecond, 2*time.Millisecond
	client.reads.RetryWaitMin, client.reads.RetryWaitMax = time.Millisecond, 2*time.Millisecond
	t.Cleanup(client.Close)
	return client
}

func testBody() []byte {
	return AppendMessage(nil, Message{To: whatsapp.Phone("+5511900000001").Identity(), Text: "Oi", Callback: "j1.db.1.1"})
}

// frameServer speaks just enough HTTP/2 to read requests and answer each fully
// read one with what reply returns: frames that net/http's server cannot be
// made to send.
type frameServer struct {
	address   string
	processed atomic.Int64
}

func serveFrames(t *testing.T, reply func(stream uint32) []byte) (*frameServer, *http.Transport) {
	t.Helper()
	donor := httptest.NewUnstartedServer(nil) // for its certificate
	donor.EnableHTTP2 = true
	donor.StartTLS()
	rt := donor.Client().Transport.(*http.Transport).Clone()
	certs := donor.TLS.Certificates
	donor.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certs, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &frameServer{address: "https://" + ln.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() { s.speak(conn, reply) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s, rt
}

func (s *frameServer) speak(conn net.Conn, reply func(uint32) []byte) {
	defer conn.Close()
	const preface = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if _, err := io.CopyN(io.Discard, conn, int64(preface)); err != nil {
		return
	}
	_, _ = conn.Write(frame(4, 0, 0, nil)) // SETTINGS
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		if _, err := io.CopyN(io.Discard, conn, size); err != nil {
			return
		}
		switch {
		case kind == 4 && flags&1 == 0:
			_, _ = conn.Write(frame(4, 1, 0, nil)) // SETTINGS ack
		case (kind == 0 || kind == 1) && flags&1 != 0: // END_STREAM
			s.processed.Add(1)
			_, _ = conn.Write(reply(stream))
		}
	}
}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

func rstStream(code uint32) func(uint32) []byte {
	return func(stream uint32) []byte { return frame(3, 0, stream, binary.BigEndian.AppendUint32(nil, code)) }
}

func goAway(last, code uint32) func(uint32) []byte {
	return func(uint32) []byte {
		return frame(7, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
	}
}
