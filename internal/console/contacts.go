package console

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func contactRoutes() []route {
	const page = "contacts"
	return []route{
		{method: "GET", path: "/contacts", role: access.RoleViewer, page: page, run: (*visit).contacts},
		{method: "POST", path: "/contacts", role: access.RoleViewer, page: page, run: (*visit).findContact},
		{method: "GET", path: "/contacts/{id}", role: access.RoleViewer, page: page, run: (*visit).contact},
		{method: "POST", path: "/contacts/{id}/reply", role: access.RoleOperator, page: page, run: (*visit).replyTo},
		{method: "POST", path: "/contacts/{id}/revoke", role: access.RoleOperator, page: page, run: (*visit).revokeOf},
		{method: "POST", path: "/contacts/{id}/dossier", role: access.RoleOperator, page: page, run: (*visit).dossierOf},
		{method: "GET", path: "/contacts/{id}/forget", role: access.RoleApprover, page: page, run: (*visit).forgetForm},
		{method: "POST", path: "/contacts/{id}/forget", role: access.RoleApprover, page: page, run: (*visit).forget},
	}
}

// contactsView is the page that looks for people. What was asked for stands in
// the form, never in an address: addresses are logged.
type contactsView struct {
	Of       string
	Problem  *problemView
	Stranger *httpapi.Contact // nobody is known by it
	Gate     []gateRow
	Numbers  []string
	Why      []string // rules that say no
}

func (v *visit) contacts() error { return v.render("contacts", contactsView{}) }

// findContact goes to whom a number belongs, and says of a stranger what would
// stop a message to them.
func (v *visit) findContact() error {
	of := v.r.PostFormValue("of")
	c, err := v.api.FindContact(v.ctx(), of)
	var p *httpapi.Problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusBadRequest:
		v.show(http.StatusBadRequest, "contacts", contactsView{Of: of, Problem: v.problem(p)})
		return nil
	case err != nil:
		return err
	case c.Known:
		http.Redirect(v.w, v.r, contactPath(c.ID), http.StatusSeeOther)
		return nil
	}
	numbers, rows, why := gateRows(c.Gate)
	return v.render("contacts", contactsView{Of: of, Stranger: &c, Gate: rows, Numbers: numbers, Why: why})
}

func contactPath(id int64) string { return "/contacts/" + strconv.FormatInt(id, 10) }

// contactView is a person.
type contactView struct {
	httpapi.Contact
	Number   string // the person's, or the best name there is; "" for who was forgotten
	Numbers  []string
	Gate     []gateRow
	Why      []string // rules that say no
	Windows  []windowRow
	Open     []windowRow // those in which a reply may go
	Last     *windowRow  // the window that closed last, where none is open
	Consents []consentRow
	Talks    []talkRow
	Older    string // address of the messages before these
	First    bool
	MaxText  int
	Once     string       // of the form to reply: it counts one time
	Draft    string       // a reply that was refused
	Refused  *problemView // why
}

// gateRow is what may be sent of one category, by number of ours.
type gateRow struct {
	Category string
	Cells    []gateCell
}

type gateCell struct {
	Number string
	httpapi.Verdict
	Others int // that would stop it as well
}

// gateRows orders the gate's lines by category and number; why are the rules that
// decide against something, each once.
func gateRows(lines []httpapi.GateLine) (numbers []string, rows []gateRow, why []string) {
	at := map[string]int{}
	for _, l := range lines {
		cell := gateCell{Number: l.Number}
		if len(l.Verdicts) > 0 {
			cell.Verdict, cell.Others = l.Verdicts[0], len(l.Verdicts)-1
			if cell.Rule != "" && cell.Verdict.Verdict != "go" && !slices.Contains(why, cell.Rule) {
				why = append(why, cell.Rule)
			}
		}
		i, ok := at[string(l.Category)]
		if !ok {
			i, rows = len(rows), append(rows, gateRow{Category: string(l.Category)})
			at[string(l.Category)] = i
		}
		if i == 0 {
			numbers = append(numbers, l.Number)
		}
		rows[i].Cells = append(rows[i].Cells, cell)
	}
	return numbers, rows, why
}

type windowRow struct {
	httpapi.WhyWindow
	Bar *span // nil: the person never wrote
}

// consentRow is what holds of one category on every number.
type consentRow struct {
	Category string
	States   []httpapi.ConsentState
	Granted  bool // on one of them
}

// latestMessages is how many messages a page shows.
const latestMessages = 20

// maxReply is how many characters a text may have (Meta: Messages API, text
// object); the operation refuses more.
const maxReply = 4096

// contact shows a person.
func (v *visit) contact() error {
	id, err := v.pathID()
	if err != nil {
		return err
	}
	out, err := v.person(id)
	if err != nil {
		return err
	}
	return v.render("contact", out)
}

// person reads what the page of one shows.
func (v *visit) person(id int64) (contactView, error) {
	c, err := v.api.Contact(v.ctx(), id)
	if err != nil {
		return contactView{}, err
	}
	out := contactView{Contact: c, Number: nameOf(c), First: true, MaxText: maxReply, Once: rand.Text()}
	if after, err := strconv.ParseInt(v.r.URL.Query().Get("after"), 10, 64); err == nil && after > 0 {
		older, err := v.api.ContactMessages(v.ctx(), id, after, latestMessages)
		if err != nil {
			return out, err
		}
		out.Messages, out.Next, out.First = older.Messages, older.Next, false
	}
	if out.Next > 0 {
		out.Older = fmt.Sprintf("%s?after=%d#messages", contactPath(id), out.Next)
	}
	now := v.cfg.DB.Now()
	out.Numbers, out.Gate, out.Why = gateRows(c.Gate)
	for _, w := range c.Windows {
		row := windowRow{w, windowSpan(w, now)}
		out.Windows = append(out.Windows, row)
		if w.Open {
			out.Open = append(out.Open, row)
		}
		if !w.LastAt.IsZero() && (out.Last == nil || w.LastAt.After(out.Last.LastAt)) {
			out.Last = &row
		}
	}
	for _, s := range c.Consents {
		i := slices.IndexFunc(out.Consents, func(r consentRow) bool { return r.Category == string(s.Category) })
		if i < 0 {
			i, out.Consents = len(out.Consents), append(out.Consents, consentRow{Category: string(s.Category)})
		}
		r := &out.Consents[i]
		r.States, r.Granted = append(r.States, s), r.Granted || s.State == "granted"
	}
	for _, t := range c.Conversations {
		out.Talks = append(out.Talks, talkRow{Conversation: t, Bar: talkSpan(t, now)})
	}
	return out, nil
}

// nameOf is by what operations find a person: the number, else an id of Meta's;
// "" for who was forgotten.
func nameOf(c httpapi.Contact) string {
	if c.Phone != "" {
		return c.Phone
	}
	for _, id := range c.Identities {
		if id.Value != "" {
			return id.Value
		}
	}
	return ""
}

// named finds the person of the address, and by what operations find them.
func (v *visit) named() (id int64, name string, err error) {
	if id, err = v.pathID(); err != nil {
		return 0, "", err
	}
	c, err := v.api.Contact(v.ctx(), id)
	if err != nil {
		return 0, "", err
	}
	if name = nameOf(c); name == "" {
		return 0, "", &httpapi.Problem{Title: "this person was forgotten", Status: http.StatusConflict, Code: "forgotten"}
	}
	return id, name, nil
}

// replyTo sends a text inside the service window. The same text from the same
// showing of the form goes once: a second click sends nothing. One that is refused
// is shown again.
func (v *visit) replyTo() error {
	id, name, err := v.named()
	if err != nil {
		return err
	}
	once, text := v.r.PostFormValue("once"), v.r.PostFormValue("text")
	if !v.replies.take(once, text, v.cfg.DB.Now()) {
		return v.said(contactPath(id), notice{Kind: "warn", Text: v.lang.t("contact.replied_already")})
	}
	out, err := v.api.Reply(v.ctx(), httpapi.ReplyRequest{Phone: name, Text: text, Number: v.r.PostFormValue("number")})
	var p *httpapi.Problem
	if errors.As(err, &p) && p.Status < http.StatusInternalServerError {
		v.replies.giveBack(once, text)
		page, err := v.person(id)
		if err != nil {
			return err
		}
		page.Draft, page.Refused, page.Once = text, v.problem(p), once
		v.r.URL.Path = contactPath(id) // the page that is shown, by which it keeps itself up to date
		v.show(p.Status, "contact", page)
		return nil
	}
	key := "contact.replied"
	if len(out.Waits) > 0 {
		key = "contact.replied_waits"
	}
	return v.try(err, contactPath(id), key, "Number", out.Number, "Closes", out.ClosesAt.In(v.cfg.Zone()).Format("15:04"))
}

// onces remembers what was sent from which showing of a form. It may forget, when
// the daemon starts: it is about clicks, not about days.
type onces struct {
	mu   sync.Mutex
	used map[sent]time.Time
}

// sent is a text, by its hash: what people are told is not kept here.
type sent struct {
	once string
	text [sha256.Size]byte
}

func sentOf(once, text string) sent { return sent{once, sha256.Sum256([]byte(text))} }

// take reports whether a text is sent for the first time. A form without a word is
// none of ours, and always new.
func (o *onces) take(once, text string, now time.Time) bool {
	if once == "" {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, at := range o.used {
		if now.Sub(at) > onceLife {
			delete(o.used, k)
		}
	}
	key := sentOf(once, text)
	if _, ok := o.used[key]; ok {
		return false
	}
	if o.used == nil || len(o.used) >= maxOnces {
		o.used = map[sent]time.Time{}
	}
	o.used[key] = now
	return true
}

// giveBack lets what was not sent be sent again.
func (o *onces) giveBack(once, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.used, sentOf(once, text))
}

const (
	onceLife = time.Hour
	maxOnces = 1000
)

// revokeOf takes a person's consent back, for one category.
func (v *visit) revokeOf() error {
	id, name, err := v.named()
	if err != nil {
		return err
	}
	category := v.r.PostFormValue("category")
	out, err := v.api.Revoke(v.ctx(), httpapi.RevokeRequest{Phone: name, Categories: []string{category}, Text: v.r.PostFormValue("text")})
	return v.try(err, contactPath(id), "contact.revoked", "Category", v.lang.word("category", category), "N", out.Cancelled)
}

// dossierOf hands out everything that is known of a person. It is a POST because
// the audit log says who took it.
func (v *visit) dossierOf() error {
	id, err := v.pathID()
	if err != nil {
		return err
	}
	in := httpapi.DossierRequest{Contact: id}
	kind, ext := "application/json", "json"
	if v.r.PostFormValue("as") == "text" {
		in.Language, kind, ext = v.lang.tag, "text/plain; charset=utf-8", "txt"
	}
	var b bytes.Buffer
	if err := v.api.Dossier(v.ctx(), in, &b); err != nil {
		return err
	}
	v.file(kind, fmt.Sprintf("janela-contact-%d-%s.%s", id, v.cfg.DB.Now().In(v.cfg.Zone()).Format(time.DateOnly), ext))
	_, _ = b.WriteTo(v.w) // nobody is there any more to be told
	return nil
}

// forgetView asks, twice, whether somebody is to be forgotten.
type forgetView struct {
	ID      int64
	Who     string // masked
	Reason  string
	Problem string // key of the words
	Sure    bool   // it is the second question
}

func (v *visit) forgetView() (forgetView, error) {
	id, err := v.pathID()
	if err != nil {
		return forgetView{}, err
	}
	c, err := v.api.Contact(v.ctx(), id)
	if err == nil && nameOf(c) == "" {
		err = &httpapi.Problem{Title: "this person was forgotten", Status: http.StatusConflict, Code: "forgotten"}
	}
	return forgetView{ID: id, Who: c.ToMasked}, err
}

func (v *visit) forgetForm() error {
	out, err := v.forgetView()
	if err != nil {
		return err
	}
	return v.render("forget", out)
}

// forget asks again, and forgets when it was asked twice and has a reason.
func (v *visit) forget() error {
	out, err := v.forgetView()
	if err != nil {
		return err
	}
	out.Reason = v.r.PostFormValue("reason")
	if out.Reason == "" {
		out.Problem = "forget.no_reason"
		v.show(http.StatusBadRequest, "forget", out)
		return nil
	}
	if v.r.PostFormValue("sure") != strconv.FormatInt(out.ID, 10) {
		out.Sure = true
		return v.render("forget", out)
	}
	done, err := v.api.Forget(v.ctx(), httpapi.ForgetRequest{Contact: out.ID, Reason: out.Reason})
	to := contactPath(out.ID) + "/forget"
	if err == nil {
		to = "/contacts"
	}
	return v.try(err, to, "forget.done", "Names", done.Names, "Messages", done.Messages, "Cancelled", done.Cancelled)
}
