package scripttest

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// network joins hosts by pipes in memory. It is a network as net/http sees one:
// dialling may be refused, connections are kept alive and break, and httptrace
// fires; but everything lives in the bubble.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by address
	refused   map[string]bool      // addresses that nobody reaches
}

func newNetwork() *network {
	return &network{listeners: map[string]*listener{}, refused: map[string]bool{}}
}

// host is one process on the network: what it opened dies with it.
type host struct {
	net       *network
	mu        sync.Mutex
	dead      bool
	conns     map[net.Conn]string // the host's own ends → the address of the listener
	listeners []*listener
}

func (n *network) host() *host { return &host{net: n, conns: map[net.Conn]string{}} }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// listener hands out what was dialled.
type listener struct {
	addr    address
	host    *host
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var errInUse = errors.New("the address is in use")

func (h *host) listen(_, addr string) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: address(addr), Err: errInUse}
	}
	l := &listener{addr: address(addr), host: h, backlog: make(chan net.Conn, 256), closed: make(chan struct{})}
	h.net.listeners[addr] = l
	h.mu.Lock()
	h.listeners = append(h.listeners, l)
	h.mu.Unlock()
	return l, nil
}

// dial connects to an address, or is refused at once.
func (h *host) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: address(addr), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	h.net.mu.Lock()
	l := h.net.listeners[addr]
	if h.net.refused[addr] {
		l = nil
	}
	h.net.mu.Unlock()
	if l == nil || h.isDead() {
		return nil, refused
	}
	near, far := net.Pipe()
	own, theirs := h.own(near, addr), l.host.own(far, addr)
	select {
	case l.backlog <- theirs:
		return own, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	return nil, errors.Join(refused, own.Close(), theirs.Close())
}

func (h *host) isDead() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead
}

// conn is a host's end of a connection.
type conn struct {
	net.Conn
	host *host
	addr address
}

func (h *host) own(c net.Conn, addr string) *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &conn{c, h, address(addr)}
	h.conns[out] = addr
	return out
}

func (c *conn) Close() error {
	c.host.mu.Lock()
	delete(c.host.conns, c)
	c.host.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) LocalAddr() net.Addr  { return c.addr }
func (c *conn) RemoteAddr() net.Addr { return c.addr }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.host.net.mu.Lock()
		delete(l.host.net.listeners, string(l.addr))
		l.host.net.mu.Unlock()
		for {
			select {
			case c := <-l.backlog:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return nil
}

// kill ends the host as a kill -9 would: every connection breaks, every address
// is free, and nothing goes out any more.
func (h *host) kill() {
	h.mu.Lock()
	h.dead = true
	listeners := h.listeners
	h.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	h.cut("")
}

// cut breaks the host's connections with an address, "" for all.
func (h *host) cut(addr string) {
	h.mu.Lock()
	var hit []net.Conn
	for c, a := range h.conns {
		if addr == "" || a == addr {
			hit = append(hit, c)
		}
	}
	h.mu.Unlock()
	for _, c := range hit {
		_ = c.Close()
	}
}

// refuse makes an address unreachable, or reachable again.
func (n *network) refuse(addr string, yes bool) {
	n.mu.Lock()
	n.refused[addr] = yes
	l := n.listeners[addr]
	n.mu.Unlock()
	if yes && l != nil {
		l.host.cut(addr)
	}
}

// within returns a context for one request of a script.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
