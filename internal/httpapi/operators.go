package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"time"
	"unicode/utf8"

	"janela/internal/access"
	"janela/internal/store"
)

// OperatorLine is what is known of somebody who may log in to the console.
type OperatorLine struct {
	Name       string    `json:"name"`
	Role       string    `json:"role"`     // viewer, operator or approver
	State      string    `json:"state"`    // enabled or disabled
	Sessions   int       `json:"sessions"` // that are under way
	SeenAt     time.Time `json:"seen_at,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	ChangedAt  time.Time `json:"changed_at"` // of the password or the role
	DisabledAt time.Time `json:"disabled_at,omitzero"`
}

// OperatorRequest makes an operator, or changes one. What an operation does not
// ask for must be left out.
type OperatorRequest struct {
	Name     string `json:"name,omitempty"`
	Role     string `json:"role,omitempty"`
	Password string `json:"password,omitempty"`
}

// OperatorReply is an operator after a change.
type OperatorReply struct {
	OperatorLine
	Changed bool `json:"changed"` // false: it was so before
}

// ConsoleLink opens the console in a browser, once.
type ConsoleLink struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// Roles are all that an operator may have, the smallest first.
func Roles() (out []string) {
	for _, r := range access.Roles {
		out = append(out, string(r))
	}
	return out
}

// CheckOperator says what is wrong with a new operator's name and role, before
// anybody is asked for a password.
func CheckOperator(name, role string) error {
	if err := access.CheckOperator(name, access.Role(role)); err != nil {
		return operatorProblem(err)
	}
	return nil
}

func (s *Server) operatorOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/operators":                  s.operators,
		"POST /v1/operators":                 s.addOperator,
		"POST /v1/operators/{name}/password": s.setPassword,
		"POST /v1/operators/{name}/role":     s.setRole,
		"POST /v1/operators/{name}/disable":  s.disableOperator,
		"POST /v1/console/links":             s.consoleLink,
	}
}

func lineOfOperator(o access.Operator) OperatorLine {
	l := OperatorLine{Name: o.Name, Role: string(o.Role), State: "enabled", Sessions: o.Sessions, SeenAt: o.SeenAt, CreatedAt: o.CreatedAt,
		CreatedBy: o.CreatedBy, ChangedAt: o.ChangedAt, DisabledAt: o.DisabledAt}
	if !o.DisabledAt.IsZero() {
		l.State = "disabled"
	}
	return l
}

// operatorProblem says what an error of operators means.
func operatorProblem(err error) error {
	switch {
	case errors.Is(err, access.ErrInvalidOperator), errors.Is(err, access.ErrPassword):
		return invalid("%v", err)
	case errors.Is(err, access.ErrNoOperator):
		return noOperator()
	case errors.Is(err, access.ErrOperatorExists):
		return refused(CodeRefused, "there is an operator of this name").hint("janela operators password and janela operators role change one")
	case errors.Is(err, access.ErrDisabled):
		return refused(CodeRefused, "the operator is disabled").hint("janela operators add lets him in again, with a new password")
	case errors.Is(err, access.ErrBusy):
		return (&Problem{Title: "too many passwords are being checked", Status: http.StatusServiceUnavailable, Code: CodeBusy}).hint("try again in a moment")
	default:
		return err
	}
}

func noOperator() *Problem {
	return notFound("there is no operator of this name").hint("janela operators list")
}

func (s *Server) operators(w http.ResponseWriter, r *http.Request) error {
	out := []OperatorLine{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := access.Operators(q)
		for _, o := range all {
			out = append(out, lineOfOperator(o))
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// changeOperator makes a change and answers with the operator as he is then.
func (s *Server) changeOperator(w http.ResponseWriter, r *http.Request, name string, change func(tx *store.Tx) (bool, error)) error {
	var out OperatorReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		changed, err := change(tx)
		if err != nil {
			return operatorProblem(err)
		}
		all, err := access.Operators(tx)
		for _, o := range all {
			if o.Name == name {
				out = OperatorReply{lineOfOperator(o), changed}
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) addOperator(w http.ResponseWriter, r *http.Request) error {
	var in OperatorRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	role := access.Role(in.Role)
	if err := access.CheckOperator(in.Name, role); err != nil {
		return operatorProblem(err)
	}
	p, err := access.HashPassword(r.Context(), in.Name, in.Password)
	if err != nil {
		return operatorProblem(err)
	}
	return s.changeOperator(w, r, in.Name, func(tx *store.Tx) (bool, error) {
		return true, access.AddOperator(tx, in.Name, role, p, Actor(r.Context()))
	})
}

func (s *Server) setPassword(w http.ResponseWriter, r *http.Request) error {
	in, name := OperatorRequest{}, r.PathValue("name")
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Name != "" || in.Role != "" {
		return invalid("only the password can be changed here")
	}
	p, err := access.HashPassword(r.Context(), name, in.Password)
	if err != nil {
		return operatorProblem(err)
	}
	return s.changeOperator(w, r, name, func(tx *store.Tx) (bool, error) {
		return true, access.SetPassword(tx, name, p, Actor(r.Context()))
	})
}

func (s *Server) setRole(w http.ResponseWriter, r *http.Request) error {
	in, name := OperatorRequest{}, r.PathValue("name")
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Name != "" || in.Password != "" {
		return invalid("only the role can be changed here")
	}
	return s.changeOperator(w, r, name, func(tx *store.Tx) (bool, error) {
		return access.SetRole(tx, name, access.Role(in.Role), Actor(r.Context()))
	})
}

func (s *Server) disableOperator(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	return s.changeOperator(w, r, name, func(tx *store.Tx) (bool, error) {
		return access.DisableOperator(tx, name, Actor(r.Context()))
	})
}

// consoleLink makes a link into the console for whoever may talk to the daemon's
// socket.
func (s *Server) consoleLink(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Self == nil || r.Context().Value(memoryKey{}) != nil {
		return refused(CodeRefused, "no daemon runs").hint("janela serve, or systemctl start janela")
	}
	at := s.cfg.Self().Console
	if at == "" {
		return refused(CodeRefused, "the console is switched off").hint("set [console] listen in config.toml, and restart the daemon")
	}
	var out ConsoleLink
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		token, expires, err := access.MakeLink(tx, Actor(r.Context()))
		out = ConsoleLink{URL: at + "/login?" + url.Values{"once": {token}}.Encode(), Expires: expires}
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, out)
}

// Operators lists who may log in to the console, by name.
func (c *Client) Operators(ctx context.Context) (out []OperatorLine, err error) {
	return out, c.call(ctx, "GET", "/v1/operators", nil, nil, &out)
}

var operatorPath = regexp.MustCompile(`^[a-z0-9._-]+$`)

// changeOperator asks for a change of one; a name that cannot be one is nobody's.
func (c *Client) changeOperator(ctx context.Context, name, verb string, in any) (out OperatorReply, err error) {
	if !operatorPath.MatchString(name) || name == "." || name == ".." {
		return out, noOperator()
	}
	return out, c.call(ctx, "POST", "/v1/operators/"+name+"/"+verb, nil, in, &out)
}

// AddOperator makes an operator; one who was disabled comes back.
func (c *Client) AddOperator(ctx context.Context, in OperatorRequest) (out OperatorReply, err error) {
	if !utf8.ValidString(in.Password) { // JSON would put other characters in its place
		return out, invalid("the password is not UTF-8")
	}
	return out, c.call(ctx, "POST", "/v1/operators", nil, in, &out)
}

// SetPassword gives an operator another password, and ends his sessions.
func (c *Client) SetPassword(ctx context.Context, name, password string) (OperatorReply, error) {
	if !utf8.ValidString(password) {
		return OperatorReply{}, invalid("the password is not UTF-8")
	}
	return c.changeOperator(ctx, name, "password", OperatorRequest{Password: password})
}

// SetRole gives an operator another role, at once.
func (c *Client) SetRole(ctx context.Context, name, role string) (OperatorReply, error) {
	return c.changeOperator(ctx, name, "role", OperatorRequest{Role: role})
}

// DisableOperator keeps an operator out, at once.
func (c *Client) DisableOperator(ctx context.Context, name string) (OperatorReply, error) {
	return c.changeOperator(ctx, name, "disable", nil)
}

// ConsoleLink asks the running daemon for a link into the console.
func (c *Client) ConsoleLink(ctx context.Context) (out ConsoleLink, err error) {
	return out, c.call(ctx, "POST", "/v1/console/links", nil, nil, &out)
}
