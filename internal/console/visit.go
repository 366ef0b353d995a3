package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
)

// visit is one request on its way.
type visit struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request
	session access.Session // zero on open pages without one
	api     *httpapi.Client
	route   route
	lang    *lang
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// Errors of the console itself; what an operation answers is a *httpapi.Problem.
var (
	errNoPage = &httpapi.Problem{Title: "there is no such page", Status: http.StatusNotFound, Code: "no_page"}
	errRole   = &httpapi.Problem{Title: "your role does not permit this", Status: http.StatusForbidden, Code: "role"}
	errOrigin = &httpapi.Problem{Title: "the request comes from another site", Status: http.StatusForbidden, Code: "origin"}
)

// serve answers requests of a route.
func (c *Console) serve(to route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Console: c, w: w, r: r, route: to, lang: langOf(r)}
		defer v.rescue()
		if !to.upload {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		if err := v.enter(); err != nil {
			v.fail(err)
			return
		}
		if v.api != nil {
			defer v.api.Close()
		}
		if err := to.run(v); err != nil {
			v.fail(err)
		}
	}
}

// errLogin sends the visitor to the login page.
var errLogin = errors.New("no session")

// enter checks origin, session and role.
func (v *visit) enter() error {
	if err := v.origin.Check(v.r); err != nil {
		return errOrigin
	}
	session, ok, err := v.known()
	if err != nil {
		return err
	}
	if !ok {
		if v.route.open {
			return nil
		}
		return errLogin
	}
	v.session = session
	v.api = httpapi.Within(v.cfg.API, session.Actor())
	if !v.route.open && !session.Role.May(v.route.role) {
		return errRole
	}
	return nil
}

// fail answers what went wrong: a page with the words for it.
func (v *visit) fail(err error) {
	if errors.Is(err, errLogin) {
		to := "/login"
		if v.r.Method == http.MethodGet && v.r.URL.Path != "/" && v.r.URL.Path != "/live" {
			to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
		}
		http.Redirect(v.w, v.r, to, http.StatusSeeOther)
		return
	}
	var p *httpapi.Problem
	if !errors.As(err, &p) {
		if v.ctx().Err() != nil {
			return // nobody waits for it any more
		}
		p = &httpapi.Problem{Title: "something broke", Status: http.StatusInternalServerError, Code: httpapi.CodeInternal}
		v.cfg.Log.Error("a page of the console failed", "page", v.r.Pattern, "error", err)
	}
	v.show(p.Status, "problem", v.problem(p))
}

// problem is what a page says of a Problem.
func (v *visit) problem(p *httpapi.Problem) *problemView {
	title, ok := v.lang.maybe("problem." + p.Code)
	if !ok {
		title = p.Title
	}
	return &problemView{Title: title, Detail: p.Detail, Hint: p.Hint, Status: p.Status, Back: v.from()}
}

type problemView struct {
	Title, Detail, Hint, Back string
	Status                    int
}

// rescue turns a panic into a page.
func (v *visit) rescue() {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		v.cfg.Log.Error("a page of the console panicked", "page", v.r.Pattern, "stack", string(debug.Stack()))
		http.Error(v.w, "janela: something broke; the log says more", http.StatusInternalServerError)
	}
}

// from is the page of ours that the visitor came from, or the first one.
func (v *visit) from() string {
	if v.route.upload { // its body is not looked into
		return "/"
	}
	if back := v.r.FormValue("back"); local(back) {
		return back
	}
	return "/"
}

// local reports whether a path leads to a page of ours, and nowhere else.
func local(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return false
	}
	u, err := url.Parse(path)
	return err == nil && u.Host == "" && u.Scheme == ""
}

// done sends the visitor on after a change, to a page that says what was done:
// a key of the words, with its values in pairs.
func (v *visit) done(to, key string, pairs ...any) error {
	return v.said(to, notice{Kind: "good", Text: v.lang.t(key, pairs...)})
}

// said sends the visitor to a page that says something.
func (v *visit) said(to string, n notice) error {
	if !local(to) {
		to = "/"
	}
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("said", v.notices.keep(v.session.Actor(), n, v.cfg.DB.Now()))
	u.RawQuery = q.Encode()
	http.Redirect(v.w, v.r, u.String(), http.StatusSeeOther)
	return nil
}

// try sends the visitor back with what a change was refused for, or on with what
// was done.
func (v *visit) try(err error, to, key string, pairs ...any) error {
	var p *httpapi.Problem
	switch {
	case err == nil:
		return v.done(to, key, pairs...)
	case errors.As(err, &p) && p.Status < 500:
		shown := v.problem(p)
		return v.said(to, notice{Kind: "bad", Text: shown.Title, Detail: shown.Detail, Hint: shown.Hint})
	default:
		return err
	}
}

// may reports whether the visitor's role permits what needs one.
func (v *visit) may(role access.Role) bool { return v.session.Role.May(role) }

// language changes the language of the pages for this browser.
func (v *visit) language() error {
	if l, ok := langNamed(v.r.FormValue("language")); ok {
		v.setCookie(languageCookie, l.tag, 365*24*time.Hour)
	}
	http.Redirect(v.w, v.r, v.from(), http.StatusSeeOther)
	return nil
}

// theme changes the colours for this browser: auto, light or dark.
func (v *visit) theme() error {
	switch t := v.r.FormValue("theme"); t {
	case "auto", "light", "dark":
		v.setCookie(themeCookie, t, 365*24*time.Hour)
	}
	http.Redirect(v.w, v.r, v.from(), http.StatusSeeOther)
	return nil
}

const (
	languageCookie = "janela_language"
	themeCookie    = "janela_theme"
)

// setCookie keeps a preference; what it holds is no secret.
func (v *visit) setCookie(name, value string, life time.Duration) {
	http.SetCookie(v.w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, Secure: v.cfg.Secure, SameSite: http.SameSiteLaxMode})
}
