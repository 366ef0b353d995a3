package scripttest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/google/go-cmp/cmp"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
)

// open opens the database beside janela, for reading only.
func (w *world) open() (*sql.DB, error) {
	return sql.Open("sqlite3", "file:"+w.database()+"?_query_only=1&_busy_timeout=5000")
}

// rows runs a query and returns its rows as they stand in expected files:
// instants readable, numbers of people by name.
func (w *world) rows(query string) (out []string, err error) {
	db, err := w.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rs, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rs.Close() }()
	columns, err := rs.Columns()
	if err != nil {
		return nil, err
	}
	for rs.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rs.Scan(into...); err != nil {
			return nil, err
		}
		cells := make([]string, len(columns))
		for i, v := range values {
			cells[i] = cell(v)
		}
		out = append(out, strings.Join(cells, " | "))
	}
	return out, rs.Err()
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case int64:
		if v > 1_200_000_000_000 && v < 4_200_000_000_000 {
			return time.UnixMilli(v).UTC().Format("2006-01-02T15:04:05.999Z")
		}
		return strconv.FormatInt(v, 10)
	case []byte:
		return cell(string(v))
	case string:
		if v == "" {
			return "-"
		}
		if name, ok := nameOf(v); ok {
			return name
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// expectRows compares a query with a file of the archive: expect-rows runs.want
// SELECT civil, state FROM runs ORDER BY id.
func expectRows(w *world, l line) error {
	w.settle()
	name, query, _ := strings.Cut(l.rest, " ")
	if query == "" {
		return errors.New("write expect-rows FILE QUERY")
	}
	got, err := w.rows(string(expand([]byte(query))))
	if err != nil {
		return err
	}
	text := strings.Join(got, "\n")
	if text != "" {
		text += "\n"
	}
	f, err := w.script.file(name)
	if err != nil {
		return err
	}
	if string(f.Data) == text {
		return nil
	}
	if *update {
		f.Data, w.script.changed = []byte(text), true
		return nil
	}
	return fmt.Errorf("the rows are others than in %s (- expected, + found); -update rewrites it\n%s", name,
		cmp.Diff(strings.Split(string(f.Data), "\n"), strings.Split(text, "\n")))
}

// sends are the accepted messages that fit.
func (w *world) sends(words []string) (out []sandbox.Send, err error) {
	w.settle()
	if w.meta.box == nil {
		return nil, errors.New("nothing was ever started")
	}
	match := map[string]string{}
	for i := 0; i+1 < len(words); i += 2 {
		match[words[i]] = words[i+1]
	}
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("%q: write to WHO, template NAME, number ID or category NAME", words)
	}
	if err := only(match, "to", "template", "number", "category", "endpoint"); err != nil {
		return nil, err
	}
	var who string
	if name, ok := match["to"]; ok {
		p, err := phoneOf(name)
		if err != nil {
			return nil, err
		}
		who = p.Digits()
	}
	for _, s := range w.meta.box.Sends() {
		if (who == "" || s.To == who) && (match["template"] == "" || s.Template == match["template"]) &&
			(match["number"] == "" || s.NumberID == match["number"]) && (match["category"] == "" || s.Category == match["category"]) &&
			(match["endpoint"] == "" || s.Endpoint == match["endpoint"]) {
			out = append(out, s)
		}
	}
	return out, nil
}

func describe(sends []sandbox.Send) string {
	var b strings.Builder
	for i, s := range sends {
		if i == 20 {
			fmt.Fprintf(&b, "  … and %d more\n", len(sends)-i)
			break
		}
		who := s.To
		if name, ok := nameOf(s.To); ok {
			who = name
		}
		fmt.Fprintf(&b, "  %s to %s: %s %s %s, %s\n", s.At.UTC().Format("2006-01-02T15:04:05.999Z"), who, s.Type, s.Template, s.Language, s.State)
	}
	return b.String()
}

// expectSends counts what Meta has accepted since the beginning: expect-sends 3
// to ana template promo.
func expectSends(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	got, err := w.sends(l.words[1:])
	if err != nil {
		return err
	}
	ok := strconv.Itoa(len(got)) == l.words[0]
	if from, to, between := strings.Cut(l.words[0], ".."); between { // 5..12
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		ok = len(got) >= a && len(got) <= b
	}
	if !ok {
		return fmt.Errorf("Meta has accepted %d:\n%s", len(got), describe(got))
	}
	return nil
}

func expectNoSend(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	got, err := w.sends([]string{"to", l.words[0]})
	if err == nil && len(got) > 0 {
		return fmt.Errorf("Meta has accepted %d:\n%s", len(got), describe(got))
	}
	return err
}

// expectState looks at the latest message to a person: expect-state ana refused
// no_opt_in.
func expectState(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	w.settle()
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	rows, err := w.rows("SELECT state, reason FROM messages WHERE address = '" + string(p) + "' ORDER BY id DESC LIMIT 1")
	if err != nil {
		return err
	}
	want := l.words[1] + " | -"
	if len(l.words) > 2 {
		want = l.words[1] + " | " + l.words[2]
	}
	switch {
	case len(rows) == 0:
		return errors.New("there is no message to this person")
	case len(l.words) == 2 && strings.HasPrefix(rows[0], l.words[1]+" | "), rows[0] == want:
		return nil
	default:
		return fmt.Errorf("the latest message is %s", rows[0])
	}
}

// expectStates counts all messages by state, and wants no other states:
// expect-states read=3 refused=1.
func expectStates(w *world, l line) error {
	w.settle()
	got, err := w.rows("SELECT state || '=' || count(*) FROM (SELECT state FROM messages UNION ALL SELECT state FROM past_messages) GROUP BY state ORDER BY state")
	if err != nil {
		return err
	}
	want := append([]string{}, l.words...)
	sort.Strings(want)
	sort.Strings(got)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("the messages are %s", strings.Join(got, " "))
	}
	return nil
}

// expectWait asks the gate why the latest message to a person is not sent:
// expect-wait ana template_not_approved.
func expectWait(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	w.settle()
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	rows, err := w.rows("SELECT CAST(id AS TEXT) FROM messages WHERE address = '" + string(p) + "' ORDER BY id DESC LIMIT 1")
	if err != nil || len(rows) == 0 {
		return errors.Join(errors.New("there is no message to this person"), err)
	}
	id, err := strconv.ParseInt(rows[0], 10, 64)
	if err != nil {
		return err
	}
	d, err := w.running()
	if err != nil {
		return err
	}
	ctx, cancel := within(time.Minute)
	defer cancel()
	return d.DB().Read(ctx, func(q *store.Snap) error {
		m, _, err := outbox.ByID(q, id)
		if err != nil {
			return err
		}
		if m.State != outbox.Queued {
			return fmt.Errorf("the message is %s %s", m.State, m.Reason)
		}
		v, _, err := gate.Judge(q, m)
		if err != nil {
			return err
		}
		if v.Kind != gate.Wait || string(v.Reason) != l.words[1] {
			return fmt.Errorf("the gate says %s, %s: %s", v.Kind, v.Reason, v.Detail)
		}
		return nil
	})
}

// expectHold wants a hold to stand: expect-hold category stop_file.
func expectHold(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	holds, err := w.holds()
	if err != nil {
		return err
	}
	for _, h := range holds {
		if strings.HasPrefix(h, l.words[0]+" | ") && strings.HasSuffix(h, " | "+l.words[1]) {
			return nil
		}
	}
	return fmt.Errorf("the holds are:\n%s", strings.Join(holds, "\n"))
}

func expectNoHold(w *world, l line) error {
	holds, err := w.holds()
	if len(l.words) > 0 {
		holds = slices.DeleteFunc(holds, func(h string) bool { return !strings.HasSuffix(h, " | "+l.words[0]) })
	}
	if err == nil && len(holds) > 0 {
		return fmt.Errorf("the holds are:\n%s", strings.Join(holds, "\n"))
	}
	return err
}

func (w *world) holds() ([]string, error) {
	w.settle()
	return w.rows("SELECT scope, target, reason FROM holds WHERE lifted_at = 0 ORDER BY id")
}

func expectLog(w *world, l line) error {
	w.settle()
	if text := strings.Join(l.words, " "); !strings.Contains(w.logs.text(), text) {
		return errors.New("no line of the log says so")
	}
	return nil
}

func expectNoLog(w *world, l line) error {
	w.settle()
	text := strings.Join(l.words, " ")
	for _, row := range strings.Split(w.logs.text(), "\n") {
		if strings.Contains(row, text) {
			return fmt.Errorf("the log says: %s", row)
		}
	}
	return nil
}

// expectAlert wants /readyz to name something for a person to look at.
func expectAlert(w *world, l line) error {
	alerts, err := w.readAlerts()
	if err != nil {
		return err
	}
	for _, a := range alerts {
		if strings.Contains(a, strings.Join(l.words, " ")) {
			return nil
		}
	}
	return fmt.Errorf("the alerts are:\n%s", strings.Join(alerts, "\n"))
}

func expectNoAlert(w *world, _ line) error {
	alerts, err := w.readAlerts()
	if err == nil && len(alerts) > 0 {
		return fmt.Errorf("the alerts are:\n%s", strings.Join(alerts, "\n"))
	}
	return err
}

// expectRefusals counts the sends that Meta refused, by code: expect-refusals
// 132015=1; without any: expect-refusals.
func expectRefusals(w *world, l line) error {
	w.settle()
	got := map[string]string{}
	for code, n := range w.meta.box.Refusals() {
		got[strconv.Itoa(code)] = strconv.Itoa(n)
	}
	want, _ := options(l.words)
	for code, n := range want {
		if n == "some" && got[code] != "" {
			want[code] = got[code]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("Meta refused others (- expected, + found):\n%s", diff)
	}
	return nil
}
