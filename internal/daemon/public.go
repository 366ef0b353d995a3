package daemon

import (
	"net"
	"net/http"
	"time"
)

// Bounds of what the outside may hold of us, and for how long. A request that
// waits for news (Prefer: wait) takes half a minute: reading is bounded sharply,
// and net/http lifts that bound once a request was read whole.
const (
	headTime    = 5 * time.Second  // to send a request's head
	readTime    = 15 * time.Second // to send all of it: Meta's callbacks are 3 MB at most
	answerTime  = 60 * time.Second // from the head to the answer's last byte
	idleTime    = 60 * time.Second // between two requests of a connection
	publicHeads = 16 << 10         // bytes; net/http allows 4 KiB more
)

// newPublic serves the outside.
func newPublic(lis net.Listener, h http.Handler) *server {
	return &server{name: "http", lis: lis, http: &http.Server{Handler: h, ReadHeaderTimeout: headTime, ReadTimeout: readTime, WriteTimeout: answerTime,
		IdleTimeout: idleTime, MaxHeaderBytes: publicHeads}}
}
