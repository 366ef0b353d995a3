package archtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	// Every room that has statements: importing it registers them.
	_ "janela/campaigns"
	_ "janela/internal/access"
	_ "janela/internal/account"
	_ "janela/internal/contacts"
	_ "janela/internal/conversations"
	_ "janela/internal/daemon"
	_ "janela/internal/dispatch"
	_ "janela/internal/dossier"
	_ "janela/internal/feed"
	_ "janela/internal/gate"
	_ "janela/internal/hooks"
	_ "janela/internal/httpapi"
	_ "janela/internal/intake"
	_ "janela/internal/outbox"
	"janela/internal/store"
	_ "janela/optin"
	_ "janela/otp"
	_ "janela/scheduler"
)

// hot are the tables that grow with messages, people and time: no statement
// walks one.
var hot = []string{"messages", "past_messages", "identities", "contacts", "consents", "conversations", "inbound_messages", "callbacks", "rejects",
	"once_keys", "consent_events", "service_windows", "message_prices", "foreign_messages", "streams", "tallies", "slots", "runs", "audit",
	"challenges", "code_sends", "code_decoys", "code_counts", "code_ranges", "code_rates", "code_failures", "code_phones", "code_fallbacks", "idempotent_replies",
	"hook_payloads", "hook_deliveries", "consent_seals", "pending_consents",
	"consent_reviews", "message_hours", "code_hours", "conversation_ends"}

// fewRows are indexes of hot tables that hold only what waits or is under way:
// walking one is walking a queue.
var fewRows = map[string]string{
	"messages_sending":        "what is in flight, at most a few hundred",
	"messages_unknown":        "what no answer came for",
	"messages_held":           "what Meta holds back for its quality assessment",
	"callbacks_stored":        "what waits to be applied",
	"callbacks_failed":        "what could not be applied",
	"consent_reviews_queue":   "what somebody has to decide",
	"consent_reviews_open":    "what somebody has to decide",
	"tallies_queued":          "streams that have something to send",
	"runs_open":               "runs under way",
	"slots_due":               "what fires next",
	"code_fallbacks_due":      "codes that wait for the fallback hook",
	"code_fallbacks_sending":  "requests to the fallback hook under way",
	"hook_deliveries_sending": "requests to the business's own systems under way",
}

// mayScan are statements that walk a hot table, by their owner and what they
// walk, with the reason.
var mayScan = map[string]string{
	"outbox: FROM tallies t CROSS JOIN streams s":       "what has not arrived, every few minutes; what is unknown, when a person asks: a few rows per run",
	"httpapi: FROM tallies t JOIN streams s ON":         "janela top, while somebody watches: a few rows per run",
	"outbox: FROM tallies t GROUP BY t.state, t.reason": "metrics and progress: the whole outbox is what they count, a few rows per run",
}

// bare mirrors how store prepares statements: with a unary plus, so that the
// plan does not depend on what is bound.
var bare = regexp.MustCompile(`\?[0-9]+`)

// writes collects, while a statement is prepared, the tables that it writes.
type writes struct {
	conn   *sqlite3.SQLiteConn
	tables map[string]bool
}

func (w *writes) authorize(op int, table, _, _ string) int {
	switch op {
	case sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		w.tables[table] = true
	case sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE:
		w.tables["(the schema)"] = true
	}
	return sqlite3.SQLITE_OK
}

// migrated opens an empty database as the program would have made it.
func migrated(t *testing.T) *writes {
	t.Helper()
	name := filepath.Join(t.TempDir(), "house.db")
	db, err := store.Open(t.Context(), store.Config{Path: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := (&sqlite3.SQLiteDriver{}).Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w := &writes{conn: conn.(*sqlite3.SQLiteConn), tables: map[string]bool{}}
	w.conn.RegisterAuthorizer(w.authorize)
	return w
}

// of returns the tables that a statement writes.
func (w *writes) of(text string) ([]string, error) {
	clear(w.tables)
	s, err := w.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	var out []string
	for name := range w.tables {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, s.Close()
}

// plan returns the lines of the statement's query plan.
func (w *writes) plan(text string) ([]string, error) {
	s, err := w.conn.Prepare("EXPLAIN QUERY PLAN " + bare.ReplaceAllString(text, "+$0"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	args := make([]driver.NamedValue, s.NumInput())
	for i := range args {
		args[i] = driver.NamedValue{Ordinal: i + 1}
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, len(rows.Columns()))
	var out []string
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprint(row[len(row)-1]))
	}
}

// Rule 3: every table has exactly one package that writes it.
func TestTablesHaveOneOwner(t *testing.T) {
	owners, known := map[string]string{}, rooms(t)
	for _, d := range schema(t) {
		owners[d.name] = d.owner
		if _, ok := known[d.owner]; !ok {
			t.Errorf("%s: table %s is owned by %s, which is no room of the house", schemaFolder, d.name, d.owner)
		}
	}
	db, writes := migrated(t), map[string]bool{}
	for _, s := range store.Statements() {
		owner := short(s.Owner())
		tables, err := db.of(s.Text())
		if err != nil {
			t.Errorf("%s: a statement cannot be prepared: %v\n%s", owner, err, s.Text())
			continue
		}
		for _, name := range tables {
			writes[name] = true
			if owners[name] != owner {
				t.Errorf("%s writes %s, which belongs to %q.\n  Either call a function of %s that does it, or give the table another owner in %s.\n%s",
					owner, name, owners[name], owners[name], schemaFolder, s.Text())
			}
		}
	}
	for name, owner := range owners {
		if !writes[name] && owner != "store" { // store writes its own without statements
			t.Errorf("table %s of %s is written by no statement.\n  Either use it, or leave it out of the schema until it is needed.", name, owner)
		}
	}
}

// Rule 3, second half: the test above sees every statement there is.
func TestEveryStatementIsSeen(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range store.Statements() {
		seen[short(s.Owner())] = true
	}
	h := open(t)
	for _, f := range h.code() {
		f.selects("janela/internal/store", "SQL", func(use *ast.SelectorExpr, _ string) {
			if name := short(f.pkg); !seen[name] {
				t.Errorf("%s: the statements of %s are not checked.\n  Import the package blank in internal/archtest/tables_test.go.", h.at(use), name)
			}
		})
	}
	if !slices.Contains(sql.Drivers(), "sqlite3") {
		t.Error("mattn/go-sqlite3 is not the driver any more")
	}
}

var (
	scan  = regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?`)
	alias = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?`)
)

// Rule 3, third part: no statement walks a table that grows.
func TestNoHotTableIsScanned(t *testing.T) {
	db, excused := migrated(t), map[string]bool{}
	for _, s := range store.Statements() {
		lines, err := db.plan(s.Text())
		if err != nil {
			t.Errorf("%s: %v\n%s", s.Owner(), err, s.Text())
			continue
		}
		behind := map[string][]string{} // alias → tables
		for _, m := range alias.FindAllStringSubmatch(s.Text(), -1) {
			behind[m[1]] = append(behind[m[1]], m[1])
			behind[m[2]] = append(behind[m[2]], m[1])
		}
		for _, line := range lines {
			m := scan.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			if _, few := fewRows[m[2]]; few {
				continue
			}
			for _, name := range behind[m[1]] {
				if !slices.Contains(hot, name) {
					continue
				}
				key := path.Base(s.Owner()) + ": " + source(s.Text())
				excused[key] = true
				if _, ok := mayScan[key]; !ok {
					t.Errorf("%s walks %s: %s\n  Either give it an index (and a condition that uses it), or name it in mayScan of internal/archtest/tables_test.go as\n  %q\n%s",
						s.Owner(), name, line, key, s.Text())
				}
				break
			}
		}
	}
	for key := range mayScan {
		if !excused[key] {
			t.Errorf("%q walks nothing any more: take it out of mayScan", key)
		}
	}
}

// source names a statement by what it reads from.
func source(text string) string {
	words := strings.Fields(text)
	if from := slices.Index(words, "FROM"); from > 0 {
		words = words[from:]
	}
	return strings.Join(words[:min(len(words), 7)], " ")
}
