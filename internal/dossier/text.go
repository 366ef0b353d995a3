package dossier

import (
	"fmt"
	"io"
	"strings"
	"time"

	"janela/optin"
)

// Languages of the text.
var Languages = []string{"pt-BR", "en"}

// words are those of one language. Words of the data (categories, states) are
// translated where they stand in terms, and left as they are otherwise.
type words struct {
	title, asOf, ids, standing, consents, messages, conversations, inbound, reviews, pending, codes, none                       string
	granted, revoked, from, by, through, text, version, page, address, browser, origin, reference, file, message, via, recorded string
	first, last, to, consent, noConsent, sent, delivered, read, failed, until, answered, callbacks, forgotten                   string
	setbacks, capped, daysFailed, unreachable                                                                                   string
	format                                                                                                                      string
	terms                                                                                                                       map[string]string
}

var vocabulary = map[string]words{
	"pt-BR": {title: "Dossiê de uma pessoa", asOf: "Situação em", ids: "Identidades", standing: "O que vale agora", consents: "Consentimentos e revogações",
		messages: "Mensagens", conversations: "Conversas", inbound: "Mensagens recebidas da pessoa", reviews: "Em análise", pending: "À espera de confirmação", codes: "Códigos de uso único", none: "nada",
		granted: "concedeu", revoked: "revogou", from: "em", by: "registrado por", through: "por meio de", text: "texto", version: "versão", page: "página",
		address: "endereço IP", browser: "navegador", origin: "coletado em", reference: "comprovante", file: "arquivo", message: "mensagem recebida", via: "alcance",
		recorded: "registrado em", first: "vista primeiro em", last: "por último em", to: "para", consent: "sob o consentimento", noConsent: "não enviada, ou sem necessidade de consentimento",
		sent: "enviada", delivered: "entregue", read: "lida", failed: "falhou", until: "até", answered: "responde à mensagem",
		callbacks: "Avisos da Meta, guardados como vieram, que citam a pessoa (com o que ela escreveu)",
		setbacks:  "O que os erros da Meta dizem", capped: "sem marketing até", daysFailed: "dias em que nada pôde ser entregue:", unreachable: "só códigos e respostas desde",
		forgotten: "a evidência foi apagada", format: "02/01/2006 15:04:05 MST",
		terms: map[string]string{"marketing": "marketing", "utility": "utilidade", "authentication": "autenticação", "service": "atendimento", "granted": "permitido",
			"no_opt_in": "sem consentimento", "opted_out": "revogado", "import": "importação de arquivo", "api": "sistema da empresa (API)", "operator": "operador",
			"whatsapp": "resposta no WhatsApp", "user_preferences": "configurações do WhatsApp", "meta": "recusa da Meta", "sandbox": "sandbox", "business": "iniciada pela empresa",
			"user": "iniciada pela pessoa", "queued": "na fila", "sending": "em envio", "accepted": "aceita", "accepted_held": "retida pela Meta", "sent": "enviada",
			"delivered": "entregue", "read": "lida", "unknown": "sem resposta", "failed": "falhou", "refused": "recusada", "cancelled": "cancelada", "expired": "expirada",
			"open": "em aberto", "stopped": "era revogação", "kept": "não era revogação", "phone": "telefone", "wa_id": "id no WhatsApp", "bsuid": "id na empresa"}},
	"en": {title: "File of a person", asOf: "As of", ids: "Identities", standing: "What holds now", consents: "Consents and revocations",
		messages: "Messages", conversations: "Conversations", inbound: "Messages from the person", reviews: "Under review", pending: "Waiting to be confirmed", codes: "One-time codes", none: "nothing",
		granted: "granted", revoked: "revoked", from: "on", by: "recorded by", through: "through", text: "text", version: "version", page: "page",
		address: "IP address", browser: "browser", origin: "collected at", reference: "reference", file: "file", message: "inbound message", via: "reach",
		recorded: "recorded on", first: "first seen on", last: "last on", to: "to", consent: "under consent", noConsent: "not sent, or none was needed",
		sent: "sent", delivered: "delivered", read: "read", failed: "failed", until: "until", answered: "answers message",
		callbacks: "Callbacks of Meta's, kept as they came, that name the person (with what they wrote)",
		setbacks:  "What Meta's errors say", capped: "no marketing before", daysFailed: "days on which nothing could be delivered:", unreachable: "only codes and answers since",
		forgotten: "the evidence was removed", format: "2006-01-02 15:04:05 MST",
		terms: map[string]string{"import": "imported file", "api": "the business's system (API)", "whatsapp": "reply in WhatsApp", "user_preferences": "settings in WhatsApp",
			"meta": "refusal by Meta", "business": "begun by the business", "user": "begun by the person", "no_opt_in": "no consent", "opted_out": "revoked",
			"stopped": "it was an opt-out", "kept": "it was no opt-out"}},
}

// text writes one language.
type text struct {
	words
	w    io.Writer
	zone *time.Location
	err  error
}

// Text writes the file to be read by a person, in one of Languages, with times
// in a zone.
func (f *File) Text(w io.Writer, language string, zone *time.Location) error {
	v, ok := vocabulary[language]
	if !ok {
		return fmt.Errorf("dossier: there is no language %q; there are %s", language, strings.Join(Languages, ", "))
	}
	t := &text{words: v, w: w, zone: zone}
	t.line("%s", t.title)
	t.line("%s %s", t.asOf, t.when(f.At))
	t.section(t.ids, len(f.Identities))
	for _, id := range f.Identities {
		t.line("- %s %s (%s %s, %s %s)", t.term(id.Kind), id.Value, t.first, t.when(id.FirstSeen), t.last, t.when(id.LastSeen))
	}
	t.section(t.standing, len(f.Standing))
	for _, s := range f.Standing {
		t.line("- %s, %s: %s", s.Number, t.term(s.Category), t.term(s.State))
	}
	t.section(t.consents, len(f.Consents))
	for _, c := range f.Consents {
		t.aConsent(c)
	}
	t.section(t.pending, len(f.Pending))
	for _, p := range f.Pending {
		t.line("- %s %s %s: %s", t.when(p.At), t.until, t.when(p.ExpiresAt), p.Content)
	}
	t.section(t.messages, len(f.Messages))
	for _, m := range f.Messages {
		t.aMessage(m)
	}
	t.section(t.conversations, len(f.Conversations))
	for _, c := range f.Conversations {
		t.line("- %s, %s, %s: %s %s %s (%d + %d)", c.Number, t.term(c.Category), t.term(c.Origin), t.when(c.OpenedAt), t.until, t.when(c.ExpiresAt), c.Out, c.In)
	}
	t.section(t.inbound, len(f.Inbound))
	for _, i := range f.Inbound {
		answers := ""
		if i.Answers > 0 {
			answers = fmt.Sprintf(" (%s %d)", t.answered, i.Answers)
		}
		t.line("- %s, %s, %s%s", t.when(i.At), i.Number, i.Type, answers)
	}
	t.line("%s: %d", t.callbacks, f.Callbacks)
	t.section(t.reviews, len(f.Reviews))
	for _, r := range f.Reviews {
		t.line("- %s: %s %s%s", t.when(r.At), t.term(r.State), t.when(r.DecidedAt), quote(r.Text))
	}
	t.section(t.codes, len(f.Codes))
	for _, c := range f.Codes {
		t.line("- %s: %s, %s, %s, %s", t.when(c.CreatedAt), c.Purpose, c.Client, c.Channel, t.term(c.State))
	}
	t.section(t.setbacks, len(f.Setbacks))
	for _, s := range f.Setbacks {
		var parts []string
		if !s.CappedUntil.IsZero() {
			parts = append(parts, t.capped+" "+t.when(s.CappedUntil))
		}
		if s.Days > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", t.daysFailed, s.Days))
		}
		if !s.Undeliverable.IsZero() {
			parts = append(parts, t.unreachable+" "+t.when(s.Undeliverable))
		}
		t.line("- %d: %s", s.Contact, strings.Join(parts, "; "))
	}
	return t.err
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, strings.TrimRight(format, " ")+"\n", args...)
	}
}

// section begins one; n is how much stands in it.
func (t *text) section(title string, n int) {
	t.line("")
	t.line("%s (%d)", title, n)
	if n == 0 {
		t.line("- %s", t.none)
	}
}

func (t *text) term(word string) string {
	if own, ok := t.terms[word]; ok {
		return own
	}
	return word
}

func (t *text) when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(t.zone).Format(t.format)
}

func quote(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" %q", s)
}

func (t *text) aConsent(c Consent) {
	what := t.granted
	if c.Kind != "grant" {
		what = t.revoked
	}
	t.line("- [%d] %s %s (%s) %s %s, %s %s", c.Event, what, t.term(c.Category), c.Scope, t.from, t.when(c.At), t.through, t.term(c.Through))
	t.line("    %s %s%s %s", t.recorded, t.when(c.RecordedAt), comma(t.by, c.By), quote(c.Purpose))
	e := c.Evidence
	if e == (optin.Evidence{}) {
		t.line("    %s", t.forgotten)
	}
	for _, part := range []struct{ name, value string }{{t.text, e.Text}, {t.version, e.Version}, {t.origin, e.Origin}, {t.page, e.URL}, {t.address, e.IP},
		{t.browser, e.UserAgent}, {t.reference, e.Reference}, {t.message, e.Message}, {t.via, e.Via}} {
		if part.value != "" {
			t.line("    %s: %s", part.name, part.value)
		}
	}
	if e.File != "" {
		t.line("    %s: %s:%d, SHA-256 %s", t.file, e.File, e.Line, e.FileHash)
	}
}

func comma(name, value string) string {
	if value == "" {
		return ""
	}
	return ", " + name + " " + value
}

func (t *text) aMessage(m Message) {
	what := m.Template
	if what == "" {
		what = m.Category
	}
	state := t.term(m.State)
	if m.Reason != "" {
		state += " (" + m.Reason + ")"
	}
	t.line("- [%d] %s, %s, %s %s: %s", m.ID, what, t.term(m.Category), t.to, m.To, state)
	consent := t.noConsent
	if m.Consent > 0 {
		consent = fmt.Sprintf("%s [%d]", t.consent, m.Consent)
	}
	t.line("    %s%s; %s", t.when(m.CreatedAt), comma("", m.Campaign), consent)
	for _, part := range []struct {
		name string
		at   time.Time
	}{{t.sent, m.SentAt}, {t.delivered, m.Delivered}, {t.read, m.Read}, {t.failed, m.Failed}} {
		if !part.at.IsZero() {
			t.line("    %s %s", part.name, t.when(part.at))
		}
	}
	if len(m.Content) > 0 {
		t.line("    %s", m.Content)
	}
}
