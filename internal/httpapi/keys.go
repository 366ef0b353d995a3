package httpapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"janela/internal/access"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// KeyLine is what is known of an API key. The key itself is kept nowhere.
type KeyLine struct {
	ID        string    `json:"id"`
	Client    string    `json:"client"`
	State     string    `json:"state"` // valid, expired or revoked
	Scopes    []string  `json:"scopes"`
	Purposes  []string  `json:"purposes"`  // empty: all
	Countries []string  `json:"countries"` // empty: all that codes are sent to
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// KeyRequest asks for a new API key.
type KeyRequest struct {
	Client    string   `json:"client"`
	Scopes    []string `json:"scopes"`
	Purposes  []string `json:"purposes,omitempty"`
	Countries []string `json:"countries,omitempty"`
	Expires   string   `json:"expires,omitempty"` // a date, a time, or a span from now such as 90d or 12h; "": never
}

// KeyReply is the only place where a key is ever shown.
type KeyReply struct {
	KeyLine
	Key string `json:"key"`
}

// RevokeKeyReply says which key is revoked.
type RevokeKeyReply struct {
	KeyLine
	Changed bool `json:"changed"` // false: it was revoked before
}

// KeyScopes are all that a key may be given.
func KeyScopes() []string { return append([]string{}, access.Scopes...) }

// DefaultKeyScopes are what a key may do if nobody says.
func DefaultKeyScopes() []string { return append([]string{}, access.OTPScopes...) }

func lineOfKey(k access.Key, now time.Time) KeyLine {
	l := KeyLine{ID: k.ID, Client: k.Client, State: "valid", Scopes: k.Scopes, Purposes: k.Purposes, Countries: k.Countries,
		CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, RevokedBy: k.RevokedBy}
	switch {
	case !k.RevokedAt.IsZero():
		l.State = "revoked"
	case !k.Valid(now):
		l.State = "expired"
	}
	return l
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) error {
	out := []KeyLine{}
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		all, err := access.Keys(q)
		for _, k := range all {
			out = append(out, lineOfKey(k, q.Now()))
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) addKey(w http.ResponseWriter, r *http.Request) error {
	var in KeyRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := knownCountries(in.Countries); err != nil {
		return err
	}
	var out KeyReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		expires, err := s.until(in.Expires, tx.Now())
		if err != nil {
			return err
		}
		plain, k, err := access.NewKey(tx, access.KeyRequest{Client: in.Client, Scopes: in.Scopes, Purposes: in.Purposes, Countries: in.Countries,
			ExpiresAt: expires, Actor: Actor(r.Context())})
		if errors.Is(err, access.ErrInvalidKey) {
			return invalid("%v", err)
		}
		out = KeyReply{lineOfKey(k, tx.Now()), plain}
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, out)
}

// knownCountries refuses codes that no number would ever have: UK is written GB.
func knownCountries(codes []string) error {
	for _, c := range codes {
		var bad *whatsapp.PhoneError
		if _, err := whatsapp.ParsePhone("1", c); errors.As(err, &bad) && bad.Kind == whatsapp.PhoneNoRegion {
			return invalid("no country has the code %q", c).hint("write ISO 3166-1 codes: BR, US, GB")
		}
	}
	return nil
}

var spanForm = regexp.MustCompile(`^([0-9]{1,5})d$`)

// until reads the end of something: a date or time, or a span from now. "" is
// the zero time.
func (s *Server) until(text string, now time.Time) (time.Time, error) {
	if m := spanForm.FindStringSubmatch(text); m != nil {
		days, err := strconv.Atoi(m[1])
		return now.AddDate(0, 0, days), err
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	t, err := s.when(text)
	if p := new(Problem); errors.As(err, &p) && p.Hint != "" {
		p.Hint += ", or how long: 90d, 12h"
	}
	return t, err
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var out RevokeKeyReply
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		before, err := keyOf(tx, id)
		if err != nil {
			return err
		}
		if err := access.RevokeKey(tx, id, Actor(r.Context())); err != nil {
			return err
		}
		after, err := keyOf(tx, id)
		out = RevokeKeyReply{lineOfKey(after, tx.Now()), before.RevokedAt.IsZero()}
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// keyOf finds a key. Its problem does not repeat what was asked for: it may be
// a whole key, mistyped.
func keyOf(q store.Querier, id string) (access.Key, error) {
	all, err := access.Keys(q)
	for _, k := range all {
		if k.ID == id {
			return k, nil
		}
	}
	return access.Key{}, firstError(err, noKey())
}

func noKey() *Problem {
	return notFound("there is no API key with this id").hint("janela keys list")
}

// Keys lists the API keys, newest first.
func (c *Client) Keys(ctx context.Context) (out []KeyLine, err error) {
	return out, c.call(ctx, "GET", "/v1/keys", nil, nil, &out)
}

// AddKey makes an API key.
func (c *Client) AddKey(ctx context.Context, in KeyRequest) (out KeyReply, err error) {
	return out, c.call(ctx, "POST", "/v1/keys", nil, in, &out)
}

var keyIDForm = regexp.MustCompile(`^[a-z0-9]+$`)

// RevokeKey ends an API key, by its id or the key itself; of that, nothing but
// the id leaves this process.
func (c *Client) RevokeKey(ctx context.Context, id string) (out RevokeKeyReply, err error) {
	if id = access.KeyID(id); !keyIDForm.MatchString(id) {
		return out, noKey()
	}
	return out, c.call(ctx, "POST", "/v1/keys/"+id+"/revoke", nil, nil, &out)
}
