package console

import (
	"errors"
	"math"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func codeRoutes() []route {
	return []route{
		{method: "GET", path: "/codes", role: access.RoleViewer, page: "codes", run: (*visit).codes},
		{method: "POST", path: "/codes/unlock", role: access.RoleOperator, page: "codes", run: (*visit).unlock},
	}
}

// codesView is the page of one-time codes.
type codesView struct {
	None   bool // codes are not configured
	Funnel httpapi.OTPFunnel
	Doctor httpapi.OTPReport
}

// codes shows what became of the codes of a day, and what their limits come to:
// no code, and no number.
func (v *visit) codes() (err error) {
	var out codesView
	out.Funnel, err = v.api.OTPFunnel(v.ctx(), 24)
	var p *httpapi.Problem
	if errors.As(err, &p) && p.Code == httpapi.CodeRefused {
		out.None = true
		return v.render("codes", out)
	}
	if err != nil {
		return err
	}
	if out.Doctor, err = v.api.Doctor(v.ctx()); err != nil {
		return err
	}
	return v.render("codes", out)
}

// unlock opens a phone for codes. Its number comes in a form's body, and stands in
// no address.
func (v *visit) unlock() error {
	out, err := v.api.Unlock(v.ctx(), v.r.PostFormValue("phone"))
	key := "codes.unlocked"
	if !out.Changed {
		key = "codes.was_open"
	}
	return v.try(err, "/codes", key, "Phone", out.Phone)
}

// oneIn writes a probability as people read it: one in so many.
func (l *lang) oneIn(p float64) string {
	switch {
	case p <= 0:
		return l.t("codes.never")
	case p >= 1:
		return l.t("codes.certain")
	default:
		return l.t("codes.one_in", "In", l.numbers.Sprint(int64(math.Floor(1/p))))
	}
}
