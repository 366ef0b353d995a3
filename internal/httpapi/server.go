// Package httpapi is JSON over HTTP: decode, call, encode.
package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Config says what a Server works with.
type Config struct {
	DB          *store.DB
	Campaigns   *campaigns.Campaigns
	Account     *account.Syncer
	Outcomes    func(tx *store.Tx, out []outbox.Outcome) error
	TestNumbers []whatsapp.Phone
	Zone        string
	Region      string
	Version     string
	Log         *slog.Logger
}

// Server answers the command line's requests.
type Server struct {
	cfg Config
	mux *http.ServeMux
}

// New returns a Server.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	return s
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// WithConn keeps the connection with its requests.
func WithConn(ctx context.Context, _ net.Conn) context.Context { return ctx }
