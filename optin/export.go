package optin

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

var (
	sqlExport = store.SQL(`SELECT id, contact_id, category, kind, scope, purpose, source, evidence, actor, at, recorded_at
		FROM consent_events WHERE (contact_id, id) > (?1, ?2) ORDER BY contact_id, id LIMIT ?3`)
	sqlNamesOf = store.SQL(`SELECT i.contact_id, i.kind, i.value FROM contacts c CROSS JOIN contacts m CROSS JOIN identities i
		WHERE c.id = CAST(?1 AS BIGINT) AND m.root = c.root AND i.contact_id = m.id ORDER BY i.kind, i.value`)
)

// exportColumns are those that an import reads, and then those that only prove.
var exportColumns = []string{fieldPhone, fieldCategory, fieldStatus, fieldAt, fieldScope, fieldPurpose, fieldText, fieldVersion, fieldSource,
	fieldReference, "identity", "contact", "event", "recorded_at", "recorded_through", "actor", "evidence"}

// exportPage is how many events one snapshot reads.
const exportPage = 500

// Export writes the whole ledger as CSV, a row for each event and number: a
// grant with the numbers of the contact that it was given to, a revocation with
// those of everybody found to be the same person, since it binds them all. So
// importing it elsewhere permits the same, and never more. People without a
// number have one row, which an import rejects; who was forgotten has none. It
// returns how many rows it wrote. Memory does not grow with the ledger.
func Export(ctx context.Context, db *store.DB, to io.Writer) (rows int, err error) {
	w := csv.NewWriter(to)
	if err := w.Write(exportColumns); err != nil {
		return 0, err
	}
	var x exporter
	for more := true; more; {
		var out [][]string
		err := db.Read(ctx, func(q *store.Snap) error {
			events, err := store.All[eventRow](q, sqlExport, x.contact, x.event, exportPage)
			if err != nil {
				return err
			}
			more = len(events) == exportPage
			for i := range events {
				if out, err = x.rows(q, &events[i], out); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return rows, err
		}
		for _, row := range out { // outside of the snapshot: whoever reads may be slow
			if err := w.Write(row); err != nil {
				return rows, fmt.Errorf("write the export: %w", err)
			}
			rows++
		}
		if w.Flush(); w.Error() != nil {
			return rows, fmt.Errorf("write the export: %w", w.Error())
		}
	}
	return rows, nil
}

// exporter remembers the person whose events are written.
type exporter struct {
	contact, event int64 // the last that was written
	known          bool
	own, all       []string // phones of the contact, and of the person
	other          string   // another name of a contact without a phone
}

type nameRow struct {
	contact     int64
	kind, value string
}

// Fields names the places of sqlNamesOf's columns.
func (n *nameRow) Fields() []any { return []any{&n.contact, &n.kind, &n.value} }

// person finds the names of a contact.
func (x *exporter) person(q store.Querier, contact int64) error {
	x.known, x.own, x.all, x.other = true, nil, nil, ""
	return store.Each(q, sqlNamesOf, func(n *nameRow) error {
		switch {
		case whatsapp.IdentityKind(n.kind) == whatsapp.KindPhone:
			x.all = append(x.all, n.value)
			if n.contact == contact {
				x.own = append(x.own, n.value)
			}
		case n.contact == contact && x.other == "":
			x.other = n.kind + ":" + n.value
		}
		return nil
	}, contact)
}

// rows appends those of an event.
func (x *exporter) rows(q store.Querier, e *eventRow, out [][]string) ([][]string, error) {
	if !x.known || e.Contact != x.contact {
		if err := x.person(q, e.Contact); err != nil {
			return out, err
		}
	}
	x.contact, x.event = e.Contact, e.ID
	if err := json.Unmarshal([]byte(e.evidence), &e.Evidence); err != nil {
		return out, fmt.Errorf("optin: evidence of event %d: %w", e.ID, err)
	}
	e.At, e.RecordedAt = store.Time(e.at), store.Time(e.recorded)
	phones := x.own
	if e.Kind == kindRevoke {
		phones = x.all
	}
	if len(phones) == 0 {
		if x.other == "" {
			return out, nil
		}
		phones = []string{""}
	}
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	ev := &e.Evidence
	for _, phone := range phones {
		row := []string{phone, string(e.Category), e.Kind, stamp(e.counts()), e.Scope, e.Purpose, ev.Text, ev.Version, ev.Origin, ev.Reference, x.other,
			strconv.FormatInt(e.Contact, 10), strconv.FormatInt(e.ID, 10), stamp(e.RecordedAt), string(e.Source), e.Actor, e.evidence}
		out = append(out, defused(slices.Clone(row)))
	}
	return out, nil
}
