package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"janela/internal/store"
	"janela/otp"
)

// OTPFunnel says what became of the codes that were asked for: no code, and no
// number.
type OTPFunnel = otp.CodeFunnel

// funnelQuery says how far back codes are counted.
type funnelQuery struct {
	Hours int `json:"hours,omitempty" minimum:"1" maximum:"168" default:"24" doc:"so many whole hours, and what has passed of the running one"`
}

// A funnel shows a day if nobody says, and at most a week.
const (
	usualHours = 24
	mostHours  = 168
)

// otpFunnel counts codes from their tallies.
func (s *Server) otpFunnel(w http.ResponseWriter, r *http.Request) error {
	codes, err := s.codes()
	if err != nil {
		return err
	}
	hours, err := whole(r, "hours", usualHours)
	if err != nil {
		return err
	}
	if hours < 1 || hours > mostHours {
		return invalid("hours is between 1 and %d", mostHours)
	}
	var out OTPFunnel
	err = s.cfg.DB.Read(r.Context(), func(q *store.Snap) (err error) {
		out, err = codes.Funnel(q, q.Now().Add(-time.Duration(hours)*time.Hour))
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// OTPFunnel counts the codes of the last hours; 0 for 24.
func (c *Client) OTPFunnel(ctx context.Context, hours int) (out OTPFunnel, err error) {
	v := url.Values{}
	if hours > 0 {
		v.Set("hours", strconv.Itoa(hours))
	}
	return out, c.call(ctx, "GET", "/v1/otp/funnel", v, nil, &out)
}
