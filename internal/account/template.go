package account

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Template is what Meta last said of a template.
type Template struct {
	Ref             whatsapp.TemplateRef
	MetaID          string
	Category        whatsapp.Category // "" when Meta's is none of ours: not sendable
	Status          whatsapp.TemplateStatus
	ParameterFormat string // POSITIONAL or NAMED
	Components      string // Meta's JSON
	Quality         string
	CorrectCategory string
	RejectedReason  string
	TTLSeconds      int64
	Hash            string // of category and components
	Missing         bool   // the latest listing did not have it
	SeenAt          int64  // ms
	ChangedAt       int64  // ms
	ReadAt          int64  // ms; when the reading began that told this
	ToldAt          int64  // ms; when a callback told of it last
	EventAt         int64  // ms; Meta's own time of that
}

// Sendable reports whether the template may be sent at all.
func (t *Template) Sendable() bool { return t.Status == whatsapp.TemplateApproved && !t.Missing }

const templateColumns = `waba_id, name, language, template_id, category, status, parameter_format, components, quality,
	correct_category, rejected_reason, ttl_seconds, hash, missing, seen_at, changed_at, read_at, told_at, event_at`

// Fields names the places of templateColumns.
func (t *Template) Fields() []any {
	return []any{&t.Ref.WABA, &t.Ref.Name, &t.Ref.Language, &t.MetaID, &t.Category, &t.Status, &t.ParameterFormat, &t.Components, &t.Quality,
		&t.CorrectCategory, &t.RejectedReason, &t.TTLSeconds, &t.Hash, &t.Missing, &t.SeenAt, &t.ChangedAt, &t.ReadAt, &t.ToldAt, &t.EventAt}
}

var (
	sqlTemplate    = store.SQL(`SELECT ` + templateColumns + ` FROM templates WHERE waba_id = ?1 AND name = ?2 AND language = ?3`)
	sqlNamed       = store.SQL(`SELECT ` + templateColumns + ` FROM templates WHERE waba_id = ?1 AND name = ?2 AND missing = 0 ORDER BY language`)
	sqlTemplates   = store.SQL(`SELECT ` + templateColumns + ` FROM templates ORDER BY waba_id, name, language`)
	sqlPutTemplate = store.SQL(`INSERT INTO templates (` + templateColumns + `)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
		ON CONFLICT (waba_id, name, language) DO UPDATE SET template_id = excluded.template_id, category = excluded.category,
			status = excluded.status, parameter_format = excluded.parameter_format, components = excluded.components,
			quality = excluded.quality, correct_category = excluded.correct_category, rejected_reason = excluded.rejected_reason,
			ttl_seconds = excluded.ttl_seconds, hash = excluded.hash, missing = excluded.missing, seen_at = excluded.seen_at,
			changed_at = excluded.changed_at, read_at = excluded.read_at, told_at = excluded.told_at, event_at = excluded.event_at`)
	sqlMissing = store.SQL(`UPDATE templates SET missing = 1, changed_at = ?3 WHERE waba_id = ?1 AND seen_at < ?2 AND missing = 0`)
)

// Lookup returns a template; ok is false when Meta never listed it.
func Lookup(q store.Querier, ref whatsapp.TemplateRef) (Template, bool, error) {
	return store.Get[Template](q, sqlTemplate, ref.WABA, ref.Name, ref.Language)
}

// Languages returns the languages in which a template of that name exists.
func Languages(q store.Querier, waba, name string) ([]string, error) {
	rows, err := store.All[Template](q, sqlNamed, waba, name)
	var out []string
	for _, t := range rows {
		out = append(out, t.Ref.Language)
	}
	return out, err
}

// Templates returns every template we know of.
func Templates(q store.Querier) ([]Template, error) { return store.All[Template](q, sqlTemplates) }

// put stores a template, and says whether anything that decides about sending
// has changed. A change wakes every lane.
func put(tx *store.Tx, t Template) (changed bool, err error) {
	have, ok, err := Lookup(tx, t.Ref)
	if err != nil {
		return false, err
	}
	now := store.Millis(tx.Now())
	t.Hash, t.SeenAt, t.ChangedAt = hash(t.Category, t.Components), now, have.ChangedAt
	changed = !ok || have.Status != t.Status || have.Hash != t.Hash || have.Missing != t.Missing
	if changed {
		t.ChangedAt = now
		outbox.WakeAll(tx)
		tx.Wake(Changed)
	}
	_, err = tx.Exec(sqlPutTemplate, t.Fields()...)
	return changed, err
}

// Changed is woken when a template or number changed in a way that decides
// about sending.
const Changed store.Topic = "account.changed"

func hash(c whatsapp.Category, components string) string {
	sum := sha256.Sum256([]byte(string(c) + "\n" + components))
	return hex.EncodeToString(sum[:8])
}

// category reads Meta's category; "" for one that is none of ours (old accounts
// still list categories from before 2023).
func category(s string) whatsapp.Category {
	c, err := whatsapp.ParseCategory(s)
	if err != nil {
		return ""
	}
	return c
}

func status(s string) whatsapp.TemplateStatus {
	return whatsapp.TemplateStatus(strings.ToUpper(strings.TrimSpace(s)))
}
