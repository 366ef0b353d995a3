package crashtest

import (
	"cmp"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// verdict compares the two ledgers: of every message, what became of it by our
// database, and how often the other side has it.
type verdict struct {
	messages   int
	ok         int // came once, and we know it; or ended with a reason before it left
	lost       int // we say sent and nobody has it; never begun; or left behind on its way
	duplicated int // the other side has it twice
	unexpected int // the other side has what we never marked, or say we never sent
	resolved   int // was unknown when its process died or no answer came, and a status has told
	unsent     int // unknown still, and it never arrived: nothing can tell
	unproved   int // unknown still, and it did arrive
	states     map[string]int
	faults     []string
}

func (v *verdict) fault(format string, args ...any) {
	if len(v.faults) < 20 {
		v.faults = append(v.faults, fmt.Sprintf(format, args...))
	}
}

type messageRow struct {
	ID, Run       int64
	Address       string
	State, Reason string
	Attempt       int
}

// Fields names the places of sqlJudged.
func (m *messageRow) Fields() []any {
	return []any{&m.ID, &m.Run, &m.Address, &m.State, &m.Reason, &m.Attempt}
}

var sqlJudged = store.SQL(`SELECT id, run_id, address, state, reason, attempt FROM messages ORDER BY id`)

// compare reads the database that a daemon has left, and asks the sandbox about
// every message in it.
func (w *world) compare() verdict {
	w.t.Helper()
	db := w.openStore()
	defer db.Close()
	var rows []messageRow
	err := db.Read(w.t.Context(), func(q *store.Snap) (err error) {
		rows, err = store.All[messageRow](q, sqlJudged)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	v := verdict{messages: len(rows), states: map[string]int{}}
	known, once := map[int64]bool{}, map[string]bool{}
	for i := range rows {
		m := &rows[i]
		v.states[m.State]++
		known[m.ID] = true
		if who := fmt.Sprint(m.Run, m.Address); m.Run > 0 && once[who] {
			v.duplicated++
			v.fault("two messages of one run for one person")
		} else {
			once[who] = true
		}
		v.judge(m, w.sandbox.Tally(whatsapp.CallbackID{DB: db.Name(), Message: m.ID, Attempt: 1}.String()).Accepted)
	}
	w.sandbox.EachTally(func(key string, n sandbox.Tally) {
		id, ok := whatsapp.ParseCallbackID(key + ".1")
		if n.Accepted > 0 && (!ok || id.DB != db.Name() || !known[id.Message]) {
			v.unexpected++
			v.fault("%s arrived, and there is no such message", key)
		}
	})
	return v
}

func (v *verdict) judge(m *messageRow, came int) {
	switch state := outbox.State(m.State); {
	case came > 1:
		v.duplicated++
		v.fault("message %d arrived %d times; its state is %s, its attempt %d", m.ID, came, m.State, m.Attempt)
	case state == outbox.Unknown && came == 1:
		v.unproved++
	case state == outbox.Unknown:
		v.unsent++
	case state == outbox.Queued || state == outbox.Sending:
		v.lost++
		v.fault("message %d was left %s", m.ID, m.State)
	case came == 1 && (state == outbox.Refused || state == outbox.Cancelled || state == outbox.Expired):
		v.unexpected++
		v.fault("message %d arrived, and its state is %s", m.ID, m.State)
	case came == 0 && state != outbox.Refused && state != outbox.Cancelled && state != outbox.Expired && state != outbox.Failed:
		v.lost++
		v.fault("message %d is %s, and nobody has it", m.ID, m.State)
	default:
		v.ok++
	}
}

// add sums the verdicts of several rounds.
func (v *verdict) add(o verdict) {
	for _, n := range []struct {
		into *int
		n    int
	}{{&v.messages, o.messages}, {&v.ok, o.ok}, {&v.lost, o.lost}, {&v.duplicated, o.duplicated}, {&v.unexpected, o.unexpected},
		{&v.resolved, o.resolved}, {&v.unsent, o.unsent}, {&v.unproved, o.unproved}} {
		*n.into += n.n
	}
}

// must is what every torture must end with: nothing lost, nothing twice, and
// nothing unknown that arrived, because its statuses have come.
func (v *verdict) must(t testing.TB) {
	t.Helper()
	for _, f := range v.faults {
		t.Error(f)
	}
	if v.lost+v.duplicated+v.unexpected+v.unproved > 0 {
		t.Errorf("%d lost, %d duplicated, %d unexpected, %d unknown although they arrived and their statuses came; %v", v.lost, v.duplicated, v.unexpected, v.unproved, v.states)
	}
}

// remains is what lies on disk after a process was killed, looked at in a copy.
type remains struct {
	db      *sql.DB
	sending int
	unknown int
}

// remains copies what a dead process left, so that the next one finds it as it
// was, and checks it.
func (w *world) remains() *remains {
	w.t.Helper()
	dir, err := os.MkdirTemp(scratch, "remains-")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{"janela.db", "janela.db-wal"} {
		if err := copyFile(filepath.Join(w.dir, name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "janela.db")+"?_journal_mode=WAL")
	if err != nil {
		w.t.Fatal(err)
	}
	r := &remains{db: db}
	var said string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		w.t.Errorf("integrity_check after a kill says %q, %v", said, err)
	}
	for state, n := range map[string]*int{"sending": &r.sending, "unknown": &r.unknown} {
		if err := db.QueryRow("SELECT COUNT(*) FROM messages WHERE state = ?", state).Scan(n); err != nil {
			w.t.Errorf("messages after a kill: %v", err)
		}
	}
	return r
}

// doubtful are the messages whose outcome nobody knew at this moment.
func (r *remains) doubtful() map[int64]bool {
	ids := map[int64]bool{}
	rows, err := r.db.Query("SELECT id FROM messages WHERE state IN ('sending','unknown')")
	if err != nil {
		return ids
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if rows.Scan(&id) == nil {
			ids[id] = true
		}
	}
	if rows.Err() != nil {
		return nil
	}
	return ids
}

func (r *remains) close() { _ = r.db.Close() }

// unmarked counts what arrived at the other side since from, and was not marked
// on disk when the process died: it would be sent again.
func (r *remains) unmarked(w *world, from int, lenient bool) (n, to int) {
	i := 0
	w.sandbox.Each(func(s sandbox.Send) bool {
		if i++; i <= from {
			return true
		}
		id, _ := whatsapp.ParseCallbackID(s.Key)
		var state string
		var attempt int
		err := r.db.QueryRow("SELECT state, attempt FROM messages WHERE id = ?", id.Message).Scan(&state, &attempt)
		if err != nil || attempt < id.Attempt || attempt == id.Attempt && state == string(outbox.Queued) {
			if n++; lenient {
				return true
			}
			w.t.Errorf("message %d arrived by its attempt %d, and the disk says %s, attempt %d (%v)", id.Message, id.Attempt, cmp.Or(state, "nothing"), attempt, err)
		}
		return true
	})
	return n, i
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
