package httpapi

import (
	"context"
	"net/http"
	"time"
)

// Self is what a running daemon says of itself: what only it knows.
type Self struct {
	PID          int               `json:"pid"`
	Version      string            `json:"version"`
	Started      time.Time         `json:"started"`
	Config       string            `json:"config"`            // the file it was started with
	HTTP         string            `json:"http"`              // the address it really listens on
	Console      string            `json:"console,omitempty"` // address of the web console; none: switched off
	WebhookURL   string            `json:"webhook_url"`
	GraphURL     string            `json:"graph_url,omitempty"` // none: the embedded sandbox
	GraphVersion string            `json:"graph_version"`
	Sandbox      string            `json:"sandbox,omitempty"` // address of the embedded one
	Numbers      []SelfNumber      `json:"numbers"`
	Tokens       map[string]string `json:"tokens"` // by account: the beginning of a hash of the token in use
}

// SelfNumber is a number that a daemon sends from.
type SelfNumber struct {
	Account string `json:"account"`
	ID      string `json:"id"`
	Name    string `json:"name"`
}

func (s *Server) selfOperations() map[string]operation {
	return map[string]operation{"GET /v1/self": s.self, "POST /v1/trials": s.trial, "GET /v1/flow": s.flow}
}

// self says what only the running daemon knows.
func (s *Server) self(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Self == nil || r.Context().Value(memoryKey{}) != nil {
		return refused(CodeRefused, "no daemon runs").hint("janela serve, or systemctl start janela")
	}
	return writeJSON(w, s.cfg.Self())
}

// Self asks the running daemon what only it knows.
func (c *Client) Self(ctx context.Context) (out Self, err error) {
	return out, c.call(ctx, "GET", "/v1/self", nil, nil, &out)
}
