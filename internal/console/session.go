package console

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"janela/internal/access"
	"janela/internal/store"
)

// sessionCookie is the name under which a browser keeps its token. By TLS it is
// one that no other host and no plain page can set.
func (c *Console) sessionCookie() string {
	if c.cfg.Secure {
		return "__Host-janela"
	}
	return "janela_session"
}

// token is what the browser shows, "" for nothing.
func (v *visit) token() string {
	c, err := v.r.Cookie(v.sessionCookie())
	if err != nil {
		return ""
	}
	return c.Value
}

// known returns who is visiting; false: nobody that has logged in. That somebody
// did something puts the end of his session off; a page that keeps itself up to
// date does not.
func (v *visit) known() (s access.Session, ok bool, err error) {
	token, stale := v.token(), false
	err = v.cfg.DB.Read(v.ctx(), func(q *store.Snap) (err error) {
		s, err = access.SessionOf(q, token)
		stale = s.Stale(q.Now())
		return err
	})
	switch {
	case errors.Is(err, access.ErrNoSession):
		return access.Session{}, false, nil
	case err != nil:
		return access.Session{}, false, err
	}
	if stale && !v.byItself() {
		err := v.cfg.DB.Write(v.ctx(), func(tx *store.Tx) error { return access.Touch(tx, token) })
		if err != nil && !errors.Is(err, access.ErrNoSession) && v.ctx().Err() == nil { // who looks because the disk is full can look
			v.cfg.Log.Warn("that somebody is in the console could not be written down", "error", err)
		}
	}
	return s, true, nil
}

// byItself reports whether a page asks, and no person.
func (v *visit) byItself() bool {
	return v.r.URL.Path == "/live" || v.r.Method == http.MethodGet && v.r.Header.Get("HX-Request") != ""
}

// enterWith gives the browser the token of a new session, and ends the one it had.
func (v *visit) enterWith(token string) error {
	if old := v.token(); old != "" {
		if err := v.cfg.DB.Write(v.ctx(), func(tx *store.Tx) error { return access.Logout(tx, old) }); err != nil {
			return err
		}
	}
	v.keepToken(token, int(access.SessionLife.Seconds()))
	return nil
}

// keepToken puts a token into the browser; one of less than a second takes it out.
func (v *visit) keepToken(token string, seconds int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.sessionCookie(), Value: token, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: v.cfg.Secure, SameSite: http.SameSiteLaxMode})
}

// address is the visitor's. A proxy on this machine tells whose request it
// brings; anybody else's word for it counts for nothing.
func address(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddr(host)
	if err != nil || !at.Unmap().IsLoopback() {
		return at
	}
	told := r.Header.Values("X-Forwarded-For")
	if len(told) == 0 {
		return at
	}
	all := strings.Split(told[len(told)-1], ",")
	if from, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil { // the last is the proxy's own word
		return from
	}
	return at
}
