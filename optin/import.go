package optin

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"janela/internal/csvfile"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// ImportOptions say how a CSV file of consents is to be read.
type ImportOptions struct {
	Name            string            // the file's name, for the evidence
	Columns         map[string]string // field (phone, category, status, consented_at, scope, purpose, text, version, source, reference) to header; others are found by name
	DefaultCategory string            // for rows without one
	DefaultScope    string            // for rows without one; ScopeAll if empty
	DefaultPurpose  string
	DefaultTime     time.Time // for rows without one; zero: such a grant is rejected, such a revocation counts from the import
	DefaultRegion   string    // of numbers without a plus, "BR"
	Zone            string    // IANA zone of dates without an offset
	Source          Source    // SourceImport if empty
	Actor           string
	Evidence        Evidence  // what holds for every row: text, version, reference
	Revocations     bool      // every row is a revocation
	Rejects         io.Writer // where every rejected row goes, as CSV with the reason; nil for nowhere

	// OnOutcome is told of the messages that revocations cancelled, in the same
	// transaction. nil: nobody needs to know.
	OnOutcome func(*store.Tx, []outbox.Outcome) error
}

// Report says what an import did. Rows = Granted + Revoked + Unchanged + Rejected.
type Report struct {
	ImportID  int64          `json:"import"`
	Name      string         `json:"name"`
	FileHash  string         `json:"file_hash"`         // SHA-256 of the bytes, hex
	Encoding  string         `json:"encoding"`          // UTF-8 or Windows-1252
	Columns   []string       `json:"columns"`           // "phone = Telefone", as they were understood
	Already   bool           `json:"already,omitempty"` // the same bytes were imported before in the same way; nothing was done
	Rows      int            `json:"rows"`
	Granted   int            `json:"granted"`             // rows whose grant is now what holds
	Revoked   int            `json:"revoked"`             // rows whose revocation is now the latest of somebody
	Unchanged int            `json:"unchanged"`           // rows that told nothing newer than what was known
	Overruled int            `json:"overruled,omitempty"` // of Unchanged: grants older than a revocation, which stands
	Repaired  int            `json:"repaired,omitempty"`  // rows whose number was corrected (ninth digit, …)
	Cancelled int            `json:"cancelled,omitempty"` // queued messages that revocations cancelled
	Rejected  int            `json:"rejected"`
	Reasons   map[string]int `json:"reasons,omitempty"` // of the rejected rows
	Rejects   []Reject       `json:"rejects,omitempty"` // the first of them; all go to ImportOptions.Rejects
}

// Reject is a row that was not used. It repeats nothing of the row.
type Reject struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

const (
	// batch is how many rows one transaction takes. It holds the database for
	// about 5 ms, so that a one-time code never waits long.
	batch = 100
	// shownRejects bounds Report.Rejects.
	shownRejects = 100
)

var (
	sqlImports = store.SQL(`SELECT id, report, started_at, ended_at FROM consent_imports WHERE hash = ?1 ORDER BY id`)
	sqlBegin   = store.SQL(`INSERT INTO consent_imports (id, name, hash, source, actor, report, started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`)
	sqlEnd     = store.SQL(`UPDATE consent_imports SET report = ?2, ended_at = ?3 WHERE id = ?1`)
	sqlNames   = store.SQL(`SELECT name FROM numbers UNION SELECT unit FROM numbers WHERE unit <> '' ORDER BY 1`)
)

// ImportCSV reads a CSV file of grants and revocations into the ledger, in
// transactions of a few rows, with memory that does not grow with the file. A
// row that cannot be used is rejected with a reason, and the others go on. The
// same bytes imported again in the same way change nothing (Report.Already);
// only rows that were rejected are tried again. An import that was interrupted
// is resumed by running it again: what was done counts as unchanged. An error
// names a fault of the file as a whole, or of the database; what was recorded
// before it stays.
func ImportCSV(ctx context.Context, db *store.DB, file io.ReadSeeker, opt ImportOptions) (Report, error) {
	imp, err := newImporter(opt)
	if err != nil {
		return Report{}, err
	}
	if err := imp.open(file); err != nil {
		return imp.Report, fmt.Errorf("optin: import %s: %w", opt.Name, err)
	}
	if err := db.Write(ctx, imp.begin); err != nil || imp.complete {
		return imp.Report, err
	}
	err = imp.run(ctx, db)
	if imp.rejects != nil {
		if imp.rejects.Flush(); err == nil && imp.rejects.Error() != nil {
			err = fmt.Errorf("write the rejected rows: %w", imp.rejects.Error())
		}
	}
	if err != nil {
		return imp.Report, fmt.Errorf("optin: import %s: %w; %d rows are done, run it again when this is mended", opt.Name, err, imp.done())
	}
	return imp.Report, nil
}

// importer is one import under way.
type importer struct {
	Report
	opt     ImportOptions
	manner  string // everything in opt that changes what the file means
	zone    *time.Location
	table   *csvfile.File
	cols    columns
	rejects *csv.Writer
	now     time.Time // of the transaction that began this try
	started time.Time // of the one that began the first try: the time of revocations without one
	scopes  []string  // that cover a number

	complete bool // an earlier import left nothing to do
}

func newImporter(opt ImportOptions) (*importer, error) {
	imp := &importer{opt: opt}
	imp.Name = opt.Name
	if imp.opt.Source == "" {
		imp.opt.Source = SourceImport
	}
	var faults []error
	if opt.Name == "" {
		faults = append(faults, invalid("an import needs the file's name, for the evidence"))
	}
	if !slices.Contains(Sources, imp.opt.Source) {
		faults = append(faults, invalid("source %q is not known", opt.Source))
	}
	if opt.DefaultCategory != "" {
		if _, err := readCategories(opt.DefaultCategory, opt.Revocations); err != nil {
			faults = append(faults, invalid("default category: %w", err))
		}
	}
	var err error
	if opt.Zone == "" || opt.Zone == "Local" {
		faults = append(faults, invalid("an import needs a time zone for dates without an offset, such as America/Sao_Paulo"))
	} else if imp.zone, err = time.LoadLocation(opt.Zone); err != nil {
		faults = append(faults, invalid("time zone %q is not known; write one such as America/Sao_Paulo", opt.Zone))
	}
	manner, err := json.Marshal([]any{opt.Columns, opt.DefaultCategory, opt.DefaultScope, opt.DefaultPurpose, store.Millis(opt.DefaultTime),
		opt.DefaultRegion, opt.Zone, imp.opt.Source, opt.Evidence, opt.Revocations})
	imp.manner = string(manner)
	return imp, errors.Join(append(faults, err)...)
}

// open surveys the file and reads its header; nothing is written yet.
func (imp *importer) open(file io.ReadSeeker) (err error) {
	if imp.table, err = csvfile.Open(file, csvfile.Options{Bar: true}); err != nil {
		return err
	}
	imp.Encoding, imp.FileHash = imp.table.Encoding, imp.table.SHA256()
	if imp.cols, err = mapColumns(imp.table.Header, imp.opt.Columns); err != nil {
		return err
	}
	for field, i := range imp.cols {
		imp.Columns = append(imp.Columns, field+" = "+imp.table.Header[i])
	}
	slices.Sort(imp.Columns)
	var faults []error
	if _, ok := imp.cols[fieldCategory]; !ok && imp.opt.DefaultCategory == "" {
		faults = append(faults, errors.New("there is no column of categories; say which it is, or give one for all rows"))
	}
	_, hasStatus := imp.cols[fieldStatus]
	if _, ok := imp.cols[fieldAt]; !ok && imp.opt.DefaultTime.IsZero() && !imp.opt.Revocations && !hasStatus {
		faults = append(faults, errors.New("there is no column of dates; say in which the date of consent stands, or give one for all rows"))
	}
	return errors.Join(faults...)
}

// kept is what consent_imports.report holds.
type kept struct {
	Report
	Manner string `json:"manner"`
}

func (imp *importer) kept() (string, error) {
	k := kept{imp.Report, imp.manner}
	k.Rejects = nil
	b, err := json.Marshal(k)
	return string(b), err
}

type importRow struct {
	id             int64
	report         string
	started, ended int64
}

func (r *importRow) Fields() []any { return []any{&r.id, &r.report, &r.started, &r.ended} }

// begin finds the same import of earlier, or writes down that this one began.
func (imp *importer) begin(tx *store.Tx) error {
	imp.now = tx.Now()
	var err error
	imp.scopes = []string{ScopeAll}
	if err = store.Each(tx, sqlNames, func(c *store.Col[string]) error { imp.scopes = append(imp.scopes, c.V); return nil }); err != nil {
		return err
	}
	rows, err := store.All[importRow](tx, sqlImports, imp.FileHash)
	if err != nil {
		return err
	}
	for _, r := range rows {
		var k kept
		if err := json.Unmarshal([]byte(r.report), &k); err != nil {
			return fmt.Errorf("optin: report of import %d: %w", r.id, err)
		}
		if k.Manner != imp.manner {
			continue
		}
		if imp.started.IsZero() {
			imp.started = store.Time(r.started)
		}
		switch {
		case r.ended == 0:
			imp.ImportID = r.id
		case k.Rejected == 0:
			imp.Already, imp.complete = true, true
			imp.ImportID, imp.Rows, imp.Unchanged = r.id, k.Rows, k.Rows
			return nil
		default:
			imp.Already = true
		}
	}
	if imp.ImportID != 0 {
		return nil
	}
	if imp.started.IsZero() {
		imp.started = tx.Now()
	}
	imp.ImportID = tx.NewID()
	report, err := imp.kept()
	if err != nil {
		return err
	}
	_, err = tx.Exec(sqlBegin, imp.ImportID, imp.Name, imp.FileHash, imp.opt.Source, imp.opt.Actor, report, store.Millis(tx.Now()))
	return err
}

// run reads all rows, writes them in batches, and closes the import.
func (imp *importer) run(ctx context.Context, db *store.DB) error {
	entries := make([]entry, 0, batch)
	var row csvfile.Row
	for end := false; !end; {
		switch err := imp.table.Next(&row); {
		case errors.Is(err, io.EOF):
			end = true
		case err != nil:
			return err
		default:
			imp.Rows++
			if e, no := imp.read(&row); no == nil {
				if imp.opt.Rejects != nil {
					e.cells = slices.Clone(row.Fields)
				}
				entries = append(entries, e)
			} else if err := imp.reject(*no, row.Fields); err != nil {
				return err
			}
		}
		if len(entries) == batch || (end && len(entries) > 0) {
			if err := imp.write(ctx, db, entries); err != nil {
				return err
			}
			entries = entries[:0]
		}
	}
	return db.Write(ctx, func(tx *store.Tx) error {
		report, err := imp.kept()
		if err != nil {
			return err
		}
		return tx.One(sqlEnd, imp.ImportID, report, store.Millis(tx.Now()))
	})
}

// done counts the rows that were dealt with.
func (imp *importer) done() int { return imp.Granted + imp.Revoked + imp.Unchanged + imp.Rejected }

// write records a batch in one transaction, and counts once it is on disk.
func (imp *importer) write(ctx context.Context, db *store.DB, entries []entry) error {
	type effect struct {
		granted, revoked, overruled, forgotten bool
		cancelled                              int
	}
	effects := make([]effect, len(entries))
	err := db.Bulk(ctx, func(tx *store.Tx) error {
		for i, e := range entries {
			if e.revoke {
				_, moved, out, err := revoke(tx, e.revocation())
				if err != nil {
					return fmt.Errorf("line %d: %w", e.Evidence.Line, err)
				}
				if len(out) > 0 && imp.opt.OnOutcome != nil {
					if err := imp.opt.OnOutcome(tx, out); err != nil {
						return err
					}
				}
				effects[i] = effect{revoked: moved, cancelled: len(out)}
				continue
			}
			r, err := Record(tx, e.Grant)
			if errors.Is(err, ErrForgotten) {
				effects[i] = effect{forgotten: true}
				continue
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", e.Evidence.Line, err)
			}
			holds := r.State.Granted && r.State.GrantEvent == r.Event
			effects[i] = effect{granted: r.Fresh && holds, overruled: r.State.Reason == ReasonOptedOut}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, f := range effects {
		if f.forgotten {
			no := Reject{entries[i].Evidence.Line, ReasonForgotten, "the person asked to be forgotten; only they themselves can come back"}
			if err := imp.reject(no, entries[i].cells); err != nil {
				return err
			}
			continue
		}
		imp.Cancelled += f.cancelled
		if entries[i].repaired {
			imp.Repaired++
		}
		switch {
		case f.granted:
			imp.Granted++
		case f.revoked:
			imp.Revoked++
		default:
			imp.Unchanged++
		}
		if f.overruled {
			imp.Overruled++
		}
	}
	return nil
}

// revocation turns an entry that revokes into what Revoke takes.
func (e *entry) revocation() Revocation {
	return Revocation{Identities: []whatsapp.Identity{e.Identity}, Categories: e.categories, Scope: e.Scope, Source: e.Source,
		Actor: e.Actor, Evidence: e.Evidence, At: e.At}
}
