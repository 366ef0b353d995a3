package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

const maxBody = 1 << 20

// sendBody is the envelope of POST /{number}/messages.
type sendBody struct {
	Product       string          `json:"messaging_product"`
	RecipientType string          `json:"recipient_type"`
	To            string          `json:"to"`
	Recipient     string          `json:"recipient"`
	IdentityHash  string          `json:"recipient_identity_key_hash"`
	Type          string          `json:"type"`
	Context       *contextSend    `json:"context"`
	Callback      string          `json:"biz_opaque_callback_data"`
	Category      string          `json:"category"`
	Policy        string          `json:"product_policy"`
	Sharing       *bool           `json:"message_activity_sharing"`
	Template      json.RawMessage `json:"template"`
	Text          *textSend       `json:"text"`
	Image         *mediaSend      `json:"image"`
	Video         *mediaSend      `json:"video"`
	Document      *mediaSend      `json:"document"`
	Audio         *mediaSend      `json:"audio"`
	Sticker       *mediaSend      `json:"sticker"`
	Interactive   json.RawMessage `json:"interactive"`
	Location      json.RawMessage `json:"location"`
	Contacts      json.RawMessage `json:"contacts"`
	Reaction      json.RawMessage `json:"reaction"`

	// The other thing this endpoint does: mark as read, and show typing.
	Status    string          `json:"status"`
	MessageID string          `json:"message_id"`
	Typing    json.RawMessage `json:"typing_indicator"`
}

type contextSend struct {
	MessageID string `json:"message_id"`
}

type textSend struct {
	PreviewURL bool   `json:"preview_url"`
	Body       string `json:"body"`
}

// request is a send that has been read.
type request struct {
	sendBody
	template  templateSend
	who       string // wa_id or BSUID
	marketing bool   // came by /marketing_messages
}

func (q *request) facts(number string) facts {
	f := facts{kind: q.Type, number: number, template: q.template.Name, key: q.Callback, recipient: q.Recipient}
	if q.To != "" {
		f.recipient = digitsOf(q.To)
	}
	if q.Status != "" {
		f.kind = "mark"
	}
	return f
}

var unknownField = regexp.MustCompile(`json: unknown field (".*")`)

// decode reads JSON strictly: a field Meta does not know is a slip of ours
// that must show.
func decode(raw []byte, into any, param string) *graphError {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("more than one JSON value")
	}
	if err == nil {
		return nil
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return badParameter("Unexpected key %s on param %q.", m[1], param)
	}
	return badParameter("Param %s is not valid: %v", param, err)
}

// postMessage is POST /{number}/messages and /{number}/marketing_messages.
func (s *Sandbox) postMessage(c *call, num *number) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		// Not read to its end: the message cannot exist, and nobody listens.
		s.answerError(c.w, badParameter("the body could not be read"))
		return
	}
	q := &request{marketing: c.edge == "marketing_messages"}
	bad := q.read(raw, num, s.cfg.Seed)
	f := s.takeFault(q.facts(num.ID))
	if f != nil && f.Kind == FaultResetBefore {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.ledger.read(q.Callback)
	s.mu.Unlock()
	if s.faultBefore(c, f) {
		return
	}
	if bad == nil && q.Status != "" {
		s.faultAfter(c, f, func() { s.answer(c.w, http.StatusOK, map[string]bool{"success": true}) })
		return
	}
	var done *accepted
	if bad == nil {
		done, bad = s.accept(q, num, f)
	}
	if bad != nil {
		s.count(bad)
		s.log.Debug("sandbox: send refused", "code", bad.code, "details", bad.details)
		s.faultAfter(c, f, func() { s.answerError(c.w, bad) })
		return
	}
	s.kick()
	s.pause(c.r, done.latency, false)
	s.faultAfter(c, f, func() { s.answer(c.w, http.StatusOK, done.answer) })
}

// read decodes the body and checks what needs no state.
func (q *request) read(raw []byte, num *number, seed int64) *graphError {
	if e := decode(raw, &q.sendBody, "messages"); e != nil {
		// What can be read still serves to match faults and to count.
		_ = json.Unmarshal(raw, &q.sendBody)
		return e
	}
	if len(q.Template) > 0 {
		if e := decode(q.Template, &q.template, "template"); e != nil {
			_ = json.Unmarshal(q.Template, &q.template)
			return e
		}
	}
	if q.Product != "whatsapp" {
		return badParameter("The parameter messaging_product is required.")
	}
	if utf8.RuneCountInString(q.Callback) > 512 {
		return refuse(131009, "biz_opaque_callback_data has more than 512 characters")
	}
	if q.Status != "" {
		if q.Status != "read" || !strings.HasPrefix(q.MessageID, "wamid.") {
			return refuse(131009, "status must be read, with the message_id of a message received")
		}
		return nil
	}
	if e := q.readRecipient(num, seed); e != nil {
		return e
	}
	if q.Category != "" {
		return badParameter("category: Direct Send is not enabled for this business account")
	}
	if (q.Policy != "" || q.Sharing != nil) && !q.marketing {
		return badParameter("product_policy and message_activity_sharing belong to marketing_messages")
	}
	if q.Policy != "" && q.Policy != "CLOUD_API_FALLBACK" && q.Policy != "STRICT" {
		return badParameter("product_policy must be CLOUD_API_FALLBACK or STRICT")
	}
	if q.marketing && q.Type != "template" {
		return badParameter("marketing_messages: type must be template")
	}
	return q.readContent()
}

func (q *request) readRecipient(num *number, seed int64) *graphError {
	if q.RecipientType != "" && q.RecipientType != "individual" {
		return refuse(131009, "recipient_type %q: the sandbox emulates individual only", q.RecipientType)
	}
	if q.To == "" {
		if q.Recipient == "" {
			return badParameter("The parameter to is required.")
		}
		if !isBSUID(q.Recipient) {
			return refuse(131009, "recipient is not a business-scoped user ID")
		}
		q.who = q.Recipient
		return nil
	}
	digits := digitsOf(q.To)
	own := digitsOf(num.Display)
	if strings.Trim(q.To, "+0123456789 -()") != "" || len(digits) < 8 || len(digits) > 15 {
		return refuse(131009, "Recipient phone number is not valid")
	}
	// Meta: without a plus the country code of the business number is put in
	// front. Kept to where it is missing, so that plain wa_ids work.
	if country := countryCode(own); !strings.HasPrefix(q.To, "+") && !strings.HasPrefix(digits, country) {
		digits = country + digits
	}
	if digits == own {
		return refuse(131021, "Recipient phone number is the sender's")
	}
	q.who = waID(seed, digits)
	return nil
}

func countryCode(digits string) string {
	for _, c := range []string{"1", "55", "52", "54", "351", "34"} {
		if strings.HasPrefix(digits, c) {
			return c
		}
	}
	return digits[:min(2, len(digits))]
}

// readContent checks that the object named by type is there, alone and whole.
func (q *request) readContent() *graphError {
	given := map[string]bool{
		"template": len(q.Template) > 0, "text": q.Text != nil, "image": q.Image != nil,
		"video": q.Video != nil, "document": q.Document != nil, "audio": q.Audio != nil,
		"sticker": q.Sticker != nil, "interactive": len(q.Interactive) > 0,
		"location": len(q.Location) > 0, "contacts": len(q.Contacts) > 0, "reaction": len(q.Reaction) > 0,
	}
	if q.Type == "" {
		q.Type = "text" // Meta's default
	}
	has, known := given[q.Type]
	if !known {
		return refuse(131051, "type %q is not supported", q.Type)
	}
	if !has {
		return badParameter("The parameter %s is required.", q.Type)
	}
	var extra []string
	for name, there := range given {
		if there && name != q.Type {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		sort.Strings(extra)
		return badParameter("Unexpected key %q on param %q: the type is %s.", extra[0], "messages", q.Type)
	}
	if q.Type == "text" {
		if q.Text.Body == "" {
			return badParameter("The parameter text['body'] is required.")
		}
		if n := utf8.RuneCountInString(q.Text.Body); n > 4096 {
			return badParameter("Param text['body'] must be at most 4096 characters long, it has %d.", n)
		}
	}
	if m := q.freeMedia(); m != nil && (m.ID == "") == (m.Link == "") {
		return refuse(131008, "%s needs either an id or a link", q.Type)
	}
	if q.Type == "template" {
		switch {
		case q.template.Name == "":
			return badParameter("The parameter template['name'] is required.")
		case q.template.Language.Code == "":
			return badParameter("The parameter template['language']['code'] is required.")
		case q.template.Language.Policy != "" && q.template.Language.Policy != "deterministic":
			return badParameter("Param template['language']['policy'] must be deterministic.")
		}
	}
	return nil
}

// freeMedia returns the media object of a free-form message, if it has one.
func (q *request) freeMedia() *mediaSend {
	return map[string]*mediaSend{
		"image": q.Image, "video": q.Video, "document": q.Document, "audio": q.Audio, "sticker": q.Sticker,
	}[q.Type]
}

// accepted is what an accepted send goes on with.
type accepted struct {
	answer  sendAnswer
	latency time.Duration
}

type sendAnswer struct {
	Product  string          `json:"messaging_product"`
	Contacts []answerContact `json:"contacts"`
	Messages []answerMessage `json:"messages"`
}

type answerContact struct {
	Input  string `json:"input"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

type answerMessage struct {
	ID     string `json:"id"`
	Status string `json:"message_status,omitempty"`
}
