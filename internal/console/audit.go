package console

import (
	"net/url"
	"strconv"
	"strings"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func auditRoutes() []route {
	return []route{{method: "GET", path: "/audit", role: access.RoleViewer, page: "audit", run: (*visit).audit}}
}

// The audit log has no index of actors and commands, and grows: a filtered page
// looks at so many entries at most, and says how far it looked.
const (
	auditPage = 50
	auditLook = 2000
)

// auditView is a page of the log.
type auditView struct {
	Actor, Command string // parts that actor and command must hold
	Entries        []httpapi.AuditEntry
	Looked         int                 // entries
	Last           *httpapi.AuditEntry // the oldest that was looked at, where the page is not full
	Next           string
}

// audit shows who changed what, newest first.
func (v *visit) audit() error {
	q := v.r.URL.Query()
	out := auditView{Actor: strings.TrimSpace(q.Get("actor")), Command: strings.TrimSpace(q.Get("command"))}
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // of anything else: the latest
	actor, command := strings.ToLower(out.Actor), strings.ToLower(out.Command)
	more := true
	for len(out.Entries) < auditPage && out.Looked < auditLook && more {
		ask := auditPage
		if actor+command != "" {
			ask = auditLook / 4
		}
		entries, err := v.api.AuditBefore(v.ctx(), max(before, 0), ask+1)
		if err != nil {
			return err
		}
		if more = len(entries) > ask; more {
			entries = entries[:ask]
		}
		for i, e := range entries {
			before = e.ID
			out.Looked++
			if strings.Contains(strings.ToLower(e.Actor), actor) && strings.Contains(strings.ToLower(e.Command), command) {
				out.Entries = append(out.Entries, e)
			}
			if len(out.Entries) == auditPage {
				more = more || i+1 < len(entries)
				break
			}
			out.Last = &entries[i]
		}
	}
	if more {
		values := url.Values{"before": {strconv.FormatInt(before, 10)}}
		for name, text := range map[string]string{"actor": out.Actor, "command": out.Command} {
			if text != "" {
				values.Set(name, text)
			}
		}
		out.Next = "/audit?" + values.Encode()
	}
	if !more || len(out.Entries) == auditPage {
		out.Last = nil
	}
	return v.render("audit", out)
}
