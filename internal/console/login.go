package console

import (
	"errors"
	"net/http"
	"strconv"

	"janela/internal/access"
	"janela/internal/httpapi"
	"janela/internal/store"
)

// loginView is the page on which one comes in.
type loginView struct {
	Name string // as it was typed
	Next string // where one wanted to go
	Once string // the token of a link
	Key  bool   // it was tried with a key
	Said string // why it did not work
}

// next is where one wanted to go: a page of ours, and not this one.
func (v *visit) next() string {
	if next := v.r.FormValue("next"); local(next) {
		return next
	}
	return "/"
}

// login shows how to come in. A link for one login is not used up by looking at
// it: programs look at links before people do.
func (v *visit) login() error {
	once := v.r.URL.Query().Get("once")
	if once == "" && v.session.Name != "" {
		http.Redirect(v.w, v.r, v.next(), http.StatusSeeOther)
		return nil
	}
	if once != "" {
		return v.render("once", loginView{Once: once})
	}
	return v.render("login", loginView{Next: v.next()})
}

// loginWithPassword lets an operator in.
func (v *visit) loginWithPassword() error {
	name := v.r.PostFormValue("name")
	token, _, err := v.cfg.Logins.Login(v.ctx(), name, v.r.PostFormValue("password"), address(v.r))
	return v.loggedIn("login", loginView{Name: name, Next: v.next()}, token, err)
}

// loginWithKey lets a client in.
func (v *visit) loginWithKey() error {
	token, _, err := v.cfg.Logins.LoginByKey(v.ctx(), v.r.PostFormValue("key"), address(v.r))
	return v.loggedIn("login", loginView{Next: v.next(), Key: true}, token, err)
}

// loginWithLink lets the machine's user in, and uses the link up.
func (v *visit) loginWithLink() error {
	token, _, err := v.cfg.Logins.LoginByLink(v.ctx(), v.r.PostFormValue("once"), address(v.r))
	return v.loggedIn("once", loginView{}, token, err)
}

// loggedIn goes on to where one wanted to go, or says why not.
func (v *visit) loggedIn(page string, view loginView, token string, err error) error {
	status := http.StatusForbidden
	var many *access.TooManyError
	switch {
	case errors.As(err, &many):
		status = http.StatusTooManyRequests
		v.w.Header().Set("Retry-After", strconv.Itoa(many.Seconds()))
		view.Said = v.lang.t("login.too_many", "N", many.Seconds())
	case errors.Is(err, access.ErrLogin):
		view.Said = v.lang.t(page + ".refused")
	case err != nil:
		return err
	}
	if err != nil {
		v.session = access.Session{} // whoever tries is shown as nobody
		v.show(status, page, view)
		return nil
	}
	if err := v.enterWith(token); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, v.next(), http.StatusSeeOther)
	return nil
}

// logout ends the visitor's session.
func (v *visit) logout() error {
	if err := v.cfg.DB.Write(v.ctx(), func(tx *store.Tx) error { return access.Logout(tx, v.token()) }); err != nil {
		return err
	}
	v.keepToken("", -1)
	http.Redirect(v.w, v.r, "/login", http.StatusSeeOther)
	return nil
}

// accountView is who one is.
type accountView struct {
	Sessions []access.Session
	Password bool // there is one to change
}

// account shows who one is, and where one is logged in.
func (v *visit) account() error {
	view := accountView{Password: v.session.How == "password"}
	err := v.cfg.DB.Read(v.ctx(), func(q *store.Snap) (err error) {
		view.Sessions, err = access.Sessions(q, v.session)
		return err
	})
	if err != nil {
		return err
	}
	return v.render("account", view)
}

// endOthers ends the visitor's other sessions.
func (v *visit) endOthers() error {
	var n int
	err := v.cfg.DB.Write(v.ctx(), func(tx *store.Tx) (err error) { n, err = access.EndOthers(tx, v.token()); return err })
	if errors.Is(err, access.ErrNoSession) {
		return errLogin
	}
	if err != nil {
		return err
	}
	return v.done("/account", "account.ended", "N", n)
}

// changePassword gives the visitor another password, and a new session.
func (v *visit) changePassword() error {
	fresh := v.r.PostFormValue("password")
	bad := func(key string, pairs ...any) error {
		return v.said("/account", notice{Kind: "bad", Text: v.lang.t(key, pairs...)})
	}
	if v.session.How != "password" {
		return &httpapi.Problem{Title: "you have no password here", Status: http.StatusConflict, Code: httpapi.CodeRefused}
	}
	if fresh != v.r.PostFormValue("again") {
		return bad("account.not_the_same")
	}
	token, err := v.cfg.Logins.ChangePassword(v.ctx(), v.token(), v.r.PostFormValue("old"), fresh, address(v.r))
	var many *access.TooManyError
	switch {
	case errors.As(err, &many):
		return bad("login.too_many", "N", many.Seconds())
	case errors.Is(err, access.ErrLogin):
		return bad("account.wrong_old")
	case errors.Is(err, access.ErrPassword):
		return bad("account.weak", "Least", access.MinPassword)
	case errors.Is(err, access.ErrNoSession):
		return errLogin
	case err != nil:
		return err
	}
	v.keepToken(token, int(access.SessionLife.Seconds()))
	return v.done("/account", "account.changed")
}
