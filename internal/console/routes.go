package console

import (
	"slices"

	"janela/internal/access"
)

// route is one address. Those that change something are POST.
type route struct {
	method, path string
	role         access.Role // that the visitor must have; anybody: any session
	open         bool        // needs no session
	sandbox      bool        // only there
	upload       bool        // takes files: its body is not bounded by maxForm
	page         string      // the entry of the navigation that it belongs to
	run          func(v *visit) error
}

// anybody is whoever has a session.
const anybody = access.RoleViewer

// routes is every address but those of files and of the live beat.
func routes() []route {
	return slices.Concat(todayRoutes(), campaignRoutes(), templateRoutes(), codeRoutes(), auditRoutes(), sandboxRoutes(), holdRoutes(), conversationRoutes(), contactRoutes(), reviewRoutes(), []route{
		{method: "GET", path: "/login", open: true, run: (*visit).login},
		{method: "POST", path: "/login", open: true, run: (*visit).loginWithPassword},
		{method: "POST", path: "/login/key", open: true, run: (*visit).loginWithKey},
		{method: "POST", path: "/login/once", open: true, run: (*visit).loginWithLink},
		{method: "POST", path: "/logout", open: true, run: (*visit).logout},
		{method: "GET", path: "/account", role: anybody, page: "account", run: (*visit).account},
		{method: "POST", path: "/account/password", role: anybody, run: (*visit).changePassword},
		{method: "POST", path: "/account/sessions/end", role: anybody, run: (*visit).endOthers},
		{method: "POST", path: "/language", open: true, run: (*visit).language},
		{method: "POST", path: "/theme", open: true, run: (*visit).theme},
	})
}

// entry is one of the navigation.
type entry struct{ Page, Path, Icon string }

// entries are the navigation, in its order.
func (c *Console) entries() []entry {
	all := []entry{
		{"today", "/", "sun"},
		{"campaigns", "/campaigns", "megaphone"},
		{"conversations", "/conversations", "talk"},
		{"contacts", "/contacts", "person"},
		{"review", "/review", "eye"},
		{"templates", "/templates", "template"},
		{"codes", "/codes", "key"},
		{"holds", "/holds", "hold"},
		{"unknown", "/unknown", "question"},
		{"audit", "/audit", "book"},
		{"access", "/access", "people"},
	}
	if c.cfg.Sandbox != nil {
		all = append(all, entry{"sandbox", "/sandbox", "phone"})
	}
	return all
}
