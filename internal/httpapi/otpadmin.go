package httpapi

import (
	"context"
	"net/http"

	"janela/internal/store"
	"janela/otp"
)

// UnlockRequest opens a phone for codes again.
type UnlockRequest struct {
	Phone string `json:"phone"`
}

// UnlockReply says whether there was anything to open.
type UnlockReply struct {
	Phone   string `json:"phone"` // masked
	Changed bool   `json:"changed"`
}

// RotateReply names the key that codes are made of from now on.
type RotateReply struct {
	Key string `json:"key"`
}

// codes returns the room of codes, or why there is none.
func (s *Server) codes() (*otp.OTP, error) {
	if s.cfg.OTP == nil {
		return nil, refused(CodeRefused, "no one-time codes are configured").hint("describe one in config.toml: [otp.purposes.login] with template and languages")
	}
	return s.cfg.OTP, nil
}

// OTPReport is what is unsafe about one-time codes, and what their limits come
// to.
type OTPReport = otp.Report

// doctor looks at the configuration of codes, and at their templates as Meta
// lists them.
func (s *Server) doctor(w http.ResponseWriter, r *http.Request) error {
	codes, err := s.codes()
	if err != nil {
		return err
	}
	patient(w)
	s.askMeta(r.Context())
	var out OTPReport
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out, err = codes.Doctor(q)
		return err
	})
	if err != nil {
		return err
	}
	if out.Findings == nil {
		out.Findings = []otp.Finding{}
	}
	return writeJSON(w, out)
}

func (s *Server) unlock(w http.ResponseWriter, r *http.Request) error {
	var in UnlockRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	codes, err := s.codes()
	if err != nil {
		return err
	}
	phone, err := s.phone(in.Phone)
	if err != nil {
		return err
	}
	out := UnlockReply{Phone: phone.Phone.String()}
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out.Changed, err = codes.Unlock(tx, phone.Phone, Actor(r.Context()))
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) error {
	codes, err := s.codes()
	if err != nil {
		return err
	}
	var out RotateReply
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out.Key, err = codes.RotateKey(tx, Actor(r.Context()))
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// Unlock opens a phone that is locked, muted, or has changed hands.
func (c *Client) Unlock(ctx context.Context, phone string) (out UnlockReply, err error) {
	return out, c.call(ctx, "POST", "/v1/otp/unlock", nil, UnlockRequest{phone}, &out)
}

// RotateKey replaces the key that codes are made of.
func (c *Client) RotateKey(ctx context.Context) (out RotateReply, err error) {
	return out, c.call(ctx, "POST", "/v1/otp/keys/rotate", nil, nil, &out)
}

// Doctor says what is unsafe about one-time codes, and what their limits come to.
func (c *Client) Doctor(ctx context.Context) (out OTPReport, err error) {
	return out, c.call(ctx, "GET", "/v1/otp/doctor", nil, nil, &out)
}
