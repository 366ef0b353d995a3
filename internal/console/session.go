package console

import (
	"errors"

	"janela/internal/access"
	"janela/internal/store"
)

// sessionCookie is what the browser holds of a session. The name with the prefix
// is one that a browser takes only by TLS, for this very host.
func (c *Console) sessionCookie() string {
	if c.cfg.Secure {
		return "__Host-janela"
	}
	return "janela_session"
}

// known returns who is visiting; false: nobody that has logged in.
func (v *visit) known() (s access.Session, ok bool, err error) {
	cookie, err := v.r.Cookie(v.sessionCookie())
	if err != nil {
		return s, false, nil //nolint:nilerr // there is none
	}
	err = v.cfg.DB.Read(v.ctx(), func(q *store.Snap) (err error) {
		s, err = access.SessionOf(q, cookie.Value)
		return err
	})
	if errors.Is(err, access.ErrNoSession) {
		return s, false, nil
	}
	if err != nil || !s.Stale(v.cfg.DB.Now()) {
		return s, err == nil, err
	}
	err = v.cfg.DB.Write(v.ctx(), func(tx *store.Tx) error { return access.Touch(tx, cookie.Value) })
	return s, err == nil, err
}
