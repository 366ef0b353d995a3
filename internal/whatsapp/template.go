package whatsapp

import "strings"

// TemplateRef is the identity of a template: names are not unique over
// languages, nor over business accounts (Meta: Message templates).
type TemplateRef struct {
	WABA     string // WhatsApp business account id
	Name     string
	Language string // as the API writes it, pt_BR
}

// String returns "name/language".
func (r TemplateRef) String() string { return r.Name + "/" + r.Language }

// Target is the text that names the template in a hold.
func (r TemplateRef) Target() string { return r.WABA + "/" + r.Name + "/" + r.Language }

// Language normalises a language code: webhooks write pt-BR where the API
// writes pt_BR.
func Language(code string) string { return strings.ReplaceAll(strings.TrimSpace(code), "-", "_") }

// TemplateStatus is Meta's status of a template. Only Approved may be sent.
type TemplateStatus string

// The statuses of Meta's API. Any other text is kept as it is and is not
// sendable.
const (
	TemplateApproved TemplateStatus = "APPROVED"
	TemplatePending  TemplateStatus = "PENDING"
	TemplateRejected TemplateStatus = "REJECTED"
	TemplatePaused   TemplateStatus = "PAUSED"
	TemplateDisabled TemplateStatus = "DISABLED"
	TemplateDeleted  TemplateStatus = "DELETED"
)

// HeaderType is the kind of header a template has.
type HeaderType string

// The header kinds this version sends; GIF and PRODUCT are refused by name.
const (
	HeaderNone     HeaderType = ""
	HeaderText     HeaderType = "text"
	HeaderImage    HeaderType = "image"
	HeaderVideo    HeaderType = "video"
	HeaderDocument HeaderType = "document"
	HeaderLocation HeaderType = "location"
)
