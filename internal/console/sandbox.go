package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/access"
	"janela/internal/httpapi"
)

func sandboxRoutes() []route {
	post := func(path string, run func(v *visit) error) route {
		return route{method: "POST", path: path, role: access.RoleOperator, sandbox: true, page: "sandbox", run: run}
	}
	return []route{
		{method: "GET", path: "/sandbox", role: access.RoleViewer, sandbox: true, page: "sandbox", run: (*visit).sandboxPage},
		post("/sandbox/open", (*visit).sandboxOpen),
		post("/sandbox/write", (*visit).sandboxWrite),
		post("/sandbox/person", (*visit).sandboxPerson),
		post("/sandbox/fault", (*visit).sandboxFault),
		post("/sandbox/fault/remove", (*visit).sandboxFaultRemove),
		post("/sandbox/template", (*visit).sandboxTemplate),
		post("/sandbox/number", (*visit).sandboxNumber),
		post("/sandbox/callbacks", (*visit).sandboxCallbacks),
	}
}

// What the sandbox's management answers, as far as the page shows it.
type (
	simPhone struct {
		WaID   string    `json:"wa_id"`
		UserID string    `json:"user_id"`
		At     time.Time `json:"at"`
		Text   string    `json:"text"`
		In     bool      `json:"in"`
		State  string    `json:"state"`
	}
	simSend struct {
		Template string    `json:"template"`
		Language string    `json:"language"`
		Category string    `json:"category"`
		Type     string    `json:"type"`
		At       time.Time `json:"at"`
		Wamid    string    `json:"wamid"`
		Nth      int       `json:"nth"`
		State    string    `json:"state"`
		Code     int       `json:"code"`
		Held     bool      `json:"held"`
		Text     string    `json:"text"`
	}
	simHeard struct {
		At    time.Time `json:"at"`
		Wamid string    `json:"wamid"`
		Type  string    `json:"type"`
		Text  string    `json:"text"`
	}
	simPerson struct {
		WaID       string `json:"wa_id"`
		UserID     string `json:"user_id"`
		OnWhatsApp bool   `json:"on_whatsapp"`
		Online     bool   `json:"online"`
		Stopped    bool   `json:"marketing_stopped"`
	}
	simMatch struct {
		Template  string `json:"template,omitempty"`
		Recipient string `json:"recipient,omitempty"`
		Kind      string `json:"kind,omitempty"`
	}
	simFault struct {
		ID    int      `json:"id,omitempty"`
		Match simMatch `json:"match"`
		Kind  string   `json:"kind"`
		Code  int      `json:"code,omitempty"`
		Count int      `json:"count"`
		Delay string   `json:"delay,omitempty"`
	}
	simCounts struct {
		Messages int  `json:"messages"`
		Pending  int  `json:"webhooks_pending"`
		Held     bool `json:"webhooks_held"`
	}
	simNumber struct {
		ID      string `json:"id"`
		Display string `json:"display_phone_number,omitempty"`
		Name    string `json:"verified_name,omitempty"`
		Quality string `json:"quality_rating,omitempty"`
	}
)

// simLine is one bubble: what a person got, or wrote.
type simLine struct {
	At    time.Time
	Out   *simSend
	In    *simHeard
	Taps  []string // buttons that can be tapped
	Code  bool     // "I didn't request a code" can be tapped
	Fresh bool     // the first of its day
}

// sandboxView is the page.
type sandboxView struct {
	Phones    []simPhone
	Who       *simPerson
	Talk      []simLine
	Faults    []simFault
	Counts    simCounts
	Numbers   []simNumber
	Templates []httpapi.Template
	Kinds     []string // of faults
	Codes     []int    // of Meta's that are often wanted
	Types     []string // of messages
	Typing    bool     // the person has just written
}

// talkShown bounds how many messages of a phone are shown.
const talkShown = 60

var (
	simKinds = []string{"error", "failed_status", "reset_after", "timeout", "http_502_html", "slow", "silence", "garbage_200", "no_wamid_200", "reset_before", "status_before_answer", "held"}
	simCodes = []int{130429, 131026, 131049, 131050, 131048, 131056, 132015, 131042, 190, 131000, 80007, 368}
	simTypes = []string{"text", "image", "audio", "video", "document", "sticker", "location", "contacts", "unsupported"}
)

// manage asks the sandbox.
func (v *visit) manage(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(v.ctx(), method, "http://sandbox"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	w := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	v.cfg.Sandbox.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(w.body.Bytes(), &said) // the status alone says no
		return &httpapi.Problem{Title: "the sandbox said no", Status: http.StatusBadRequest, Code: httpapi.CodeInvalid, Detail: strings.TrimPrefix(said.Error, "sandbox: ")}
	}
	return json.Unmarshal(w.body.Bytes(), out)
}

// heldAnswer keeps an answer in memory.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header         { return h.header }
func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }

// told is what the sandbox answers to a change.
type told map[string]any

// sandboxPage shows the simulated phones, and what can be done to them.
func (v *visit) sandboxPage() error {
	out := sandboxView{Kinds: simKinds, Codes: simCodes, Types: simTypes, Typing: v.r.URL.Query().Get("typing") != ""}
	var phones struct {
		Phones []simPhone `json:"phones"`
	}
	var faults struct {
		Faults []simFault `json:"faults"`
	}
	var numbers struct {
		Numbers []simNumber `json:"numbers"`
	}
	for path, into := range map[string]any{"/phones?limit=50": &phones, "/faults": &faults, "/numbers": &numbers, "/": &out.Counts} {
		if err := v.manage("GET", path, nil, into); err != nil {
			return err
		}
	}
	out.Phones, out.Faults, out.Numbers = phones.Phones, faults.Faults, numbers.Numbers
	var err error
	if out.Templates, err = v.api.Templates(v.ctx(), false); err != nil {
		return err
	}
	who := v.r.URL.Query().Get("who")
	if who == "" && len(out.Phones) > 0 {
		who = out.Phones[0].UserID
	}
	if who != "" {
		if out.Who, err = v.simulated(who); err != nil {
			return err
		}
	}
	if out.Who != nil {
		if out.Talk, err = v.talkOf(out.Who); err != nil {
			return err
		}
	}
	return v.render("sandbox", out)
}

// simulated finds a person by number, or by the id that the list gives: a number
// stands in no address.
func (v *visit) simulated(who string) (*simPerson, error) {
	var p simPerson
	if who == "" {
		return nil, nil
	}
	if err := v.manage("GET", "/persons/"+url.PathEscape(who), nil, &p); err != nil {
		return nil, err
	}
	if p.WaID == "" || strings.Contains(p.WaID, ".") { // of nobody that the sandbox has met since its start
		return nil, nil
	}
	return &p, nil
}

// talkOf puts what a person got and wrote in order.
func (v *visit) talkOf(p *simPerson) ([]simLine, error) {
	var talk struct {
		Messages []simSend  `json:"messages"`
		Heard    []simHeard `json:"heard"`
	}
	if err := v.manage("GET", "/phones/"+url.PathEscape(p.WaID)+"?limit="+strconv.Itoa(talkShown), nil, &talk); err != nil {
		return nil, err
	}
	var out []simLine
	for i := range talk.Messages {
		out = append(out, simLine{At: talk.Messages[i].At, Out: &talk.Messages[i]})
	}
	for i := range talk.Heard {
		out = append(out, simLine{At: talk.Heard[i].At, In: &talk.Heard[i]})
	}
	slices.SortStableFunc(out, func(a, b simLine) int { return a.At.Compare(b.At) })
	out = out[max(0, len(out)-talkShown):]
	zone := v.cfg.Zone()
	taps := map[string][]string{} // by template and language
	for i := range out {
		y, m, d := out[i].At.In(zone).Date()
		out[i].Fresh = i == 0 || !sameDay(y, m, d, out[i-1].At.In(zone))
		s := out[i].Out
		if s == nil || s.Template == "" || s.Text == "" || !v.may(access.RoleOperator) {
			continue
		}
		key := s.Template + "/" + s.Language
		if _, ok := taps[key]; !ok {
			taps[key] = v.tapsOf(s.Template, s.Language)
		}
		out[i].Taps, out[i].Code = taps[key], s.Category == "authentication"
		for _, tap := range out[i].Taps { // shown as buttons, and not as text too
			s.Text = strings.Replace(s.Text, "\n["+tap+"]", "", 1)
		}
	}
	return out, nil
}

// tapsOf are the buttons of a template that answer. Of one that is not listed any
// more there are none.
func (v *visit) tapsOf(name, language string) (out []string) {
	view, err := v.api.Template(v.ctx(), name)
	if err != nil {
		return nil
	}
	for _, l := range view.Languages {
		if l.Language != language {
			continue
		}
		for _, c := range l.Components {
			for _, b := range c.Buttons {
				if b.Type == "QUICK_REPLY" {
					out = append(out, b.Text)
				}
			}
		}
	}
	return out
}

// backTo is the page of a person.
func backTo(p *simPerson) string {
	if p == nil {
		return "/sandbox"
	}
	return "/sandbox?who=" + url.QueryEscape(p.UserID)
}

// whose is the person that a form is about.
func (v *visit) whose() (*simPerson, error) {
	p, err := v.simulated(v.r.PostFormValue("who"))
	if err == nil && p == nil {
		err = &httpapi.Problem{Title: "no such phone", Status: http.StatusBadRequest, Code: "no_phone"}
	}
	return p, err
}

// sandboxOpen opens the phone of a number, which the form says in its body.
func (v *visit) sandboxOpen() error {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, v.r.PostFormValue("phone"))
	if len(digits) < 8 || len(digits) > 15 {
		return v.try(&httpapi.Problem{Title: "a number has 8 to 15 digits", Status: http.StatusBadRequest, Code: "bad_phone"}, "/sandbox", "")
	}
	p, err := v.simulated(digits)
	if err != nil {
		return v.try(err, "/sandbox", "")
	}
	http.Redirect(v.w, v.r, backTo(p), http.StatusSeeOther)
	return nil
}

// sandboxWrite is a person who writes, or taps a button.
func (v *visit) sandboxWrite() error {
	p, err := v.whose()
	if err != nil {
		return v.try(err, "/sandbox", "")
	}
	form := v.r.PostFormValue
	in := map[string]any{"from": p.WaID, "text": cmp.Or(form("quick"), form("text")), "reply_to": form("reply_to"), "number": form("number"), "type": form("type")}
	switch {
	case form("code") != "":
		return v.try(v.manage("POST", "/not-requested", map[string]any{"from": p.WaID}, &told{}), backTo(p), "sandbox.reported")
	case form("tap") != "":
		in["type"], in["text"], in["button_payload"] = "button", form("tap"), form("tap")
	case form("quick") != "":
		in["type"] = "text"
	}
	if text, _ := in["text"].(string); strings.TrimSpace(text) == "" && (in["type"] == "" || in["type"] == "text") {
		return v.try(&httpapi.Problem{Title: "nothing is written", Status: http.StatusBadRequest, Code: "no_text"}, backTo(p), "")
	}
	if err := v.manage("POST", "/inbound", in, &told{}); err != nil {
		return v.try(err, backTo(p), "")
	}
	http.Redirect(v.w, v.r, backTo(p)+"&typing=1", http.StatusSeeOther) // the bubble says what was done
	return nil
}

// sandboxPerson changes what becomes of a person's phone.
func (v *visit) sandboxPerson() error {
	p, err := v.whose()
	if err != nil {
		return v.try(err, "/sandbox", "")
	}
	do, path := map[string]any{"from": p.WaID}, "/persons"
	switch what := v.r.PostFormValue("do"); what {
	case "online", "offline":
		do["online"] = what == "online"
	case "join", "leave":
		do["on_whatsapp"] = what == "join"
	case "new_phone":
		do["new_identity"] = true
	case "stop", "resume":
		path = "/preference"
		do["value"] = what
	}
	return v.try(v.manage("POST", path, do, &told{}), backTo(p), "sandbox.person_changed")
}

// sandboxFault lets something of Meta's go wrong.
func (v *visit) sandboxFault() error {
	form := v.r.PostFormValue
	f := simFault{Kind: form("kind"), Delay: form("delay")}
	f.Count, _ = strconv.Atoi(form("count")) // of anything else: once
	f.Code, _ = strconv.Atoi(cmp.Or(strings.TrimSpace(form("other")), form("code")))
	if f.Kind != "error" && f.Kind != "failed_status" {
		f.Code = 0
	}
	p, err := v.simulated(form("who"))
	if err != nil {
		return v.try(err, "/sandbox", "")
	}
	if form("only") != "" && p != nil {
		f.Match.Recipient = p.WaID
	}
	return v.try(v.manage("POST", "/faults", f, &told{}), backTo(p), "sandbox.fault_set")
}

func (v *visit) sandboxFaultRemove() error {
	path := "/faults"
	if id, _ := strconv.Atoi(v.r.PostFormValue("fault")); id > 0 {
		path += "/" + strconv.Itoa(id)
	}
	return v.try(v.manage("DELETE", path, nil, &told{}), v.from(), "sandbox.fault_gone")
}

// sandboxTemplate is Meta who thinks otherwise of a template.
func (v *visit) sandboxTemplate() error {
	account, rest, _ := strings.Cut(v.r.PostFormValue("template"), "/")
	name, language, _ := strings.Cut(rest, "/")
	status := v.r.PostFormValue("status")
	err := v.manage("POST", "/templates", map[string]any{"waba": account, "name": name, "language": language, "status": status}, &told{})
	return v.try(err, v.from(), "sandbox.template_set", "Name", name, "Status", v.lang.word("template_status", status))
}

// sandboxNumber is Meta who rates a number otherwise.
func (v *visit) sandboxNumber() error {
	n := simNumber{ID: v.r.PostFormValue("number"), Quality: v.r.PostFormValue("quality")}
	return v.try(v.manage("POST", "/numbers", n, &told{}), v.from(), "sandbox.number_set", "Quality", v.lang.word("template_quality", n.Quality))
}

// sandboxCallbacks holds Meta's callbacks back, or lets them go.
func (v *visit) sandboxCallbacks() error {
	hold, key := v.r.PostFormValue("hold") == "yes", "sandbox.callbacks_go"
	if hold {
		key = "sandbox.callbacks_held"
	}
	return v.try(v.manage("POST", "/webhooks/hold", map[string]any{"hold": hold}, &told{}), v.from(), key)
}
