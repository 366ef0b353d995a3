package campaigns

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"janela/internal/conversations"
	"janela/internal/csvfile"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// sentOut runs a one-off in which something of everything happened.
func sentOut(t *testing.T, w *world, id, text string) {
	t.Helper()
	w.consent("marketing", 1, 6)
	w.consent("utility", 1, 6)
	w.put(id+".csv", "nome;cliente;telefone;nota\n"+
		"Ana;=1+1;"+testPhone(1)+";\"um\nde dois\"\n"+
		"Bia;c2;"+testPhone(2)+";-x\n"+
		"Caio;c3;"+testPhone(3)+";\n"+
		"Davi;c4;"+testPhone(50)+";sem aceite\n"+
		"Eva;c5;12;curto\n"+
		"Ana de novo;c6;"+testPhone(1)+";\n")
	w.put(id+".toml", text)
	w.pass(2 * time.Minute)
	if n := w.send(); n != 3 {
		t.Fatalf("%d sent", n)
	}
	w.must(func(tx *store.Tx) error {
		rows, err := store.All[store.Col[int64]](tx, store.SQL(`SELECT id FROM messages WHERE state = 'accepted' ORDER BY id`))
		if err != nil {
			return err
		}
		for i, status := range []string{"read", "failed", "sent"} {
			o := outbox.Observation{Message: rows[i].V, Attempt: 1, Status: status, At: tx.Now()}
			if status == "failed" {
				o.Code, o.Reason = 131026, string(whatsapp.ClassSuppressUser)
			}
			if _, _, err := outbox.Observe(tx, o); err != nil {
				return err
			}
		}
		m, _, err := outbox.ByID(tx, rows[0].V)
		if err != nil {
			return err
		}
		_, _, err = conversations.RecordInbound(tx, conversations.Inbound{Wamid: "wamid.in" + whatsapp.Wamid(id), Number: "200000000000001", Contact: m.Contact,
			Type: "text", At: tx.Now().Add(time.Second).Truncate(time.Second), Counts: true})
		return err
	})
	w.pass(3 * time.Second)
}

const reportMore = "external_id_column = \"cliente\"\nmax_rejected_percent = 50\n"

// addressed is a message by whom it went to, and by Meta's name for it.
type addressed struct {
	Contact int64
	Wamid   whatsapp.Wamid
}

func (a *addressed) Fields() []any { return []any{&a.Contact, (*string)(&a.Wamid)} }

var sqlAddressed = store.SQL(`SELECT contact_id, wamid FROM messages ORDER BY line`)

// What quotes a message, or was tapped under it, is its answer; what
// only came after it is a reply, and no answer.
func TestReportCountsAnswers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		sentOut(t, w, "m", oneOff("m", "2026-11-20T10:01:00", reportMore, ""))
		w.must(func(tx *store.Tx) error {
			rows, err := store.All[addressed](tx, sqlAddressed)
			if err != nil {
				return err
			}
			for i, in := range []conversations.Inbound{{Contact: rows[1].Contact, AnswersWamid: rows[1].Wamid, Type: "button"},
				{Contact: rows[1].Contact, AnswersWamid: rows[1].Wamid, Type: "reaction"}, {Contact: rows[2].Contact, AnswersWamid: "wamid.other"}, {Contact: rows[2].Contact}} {
				in.Wamid, in.Number, in.At = whatsapp.Wamid(fmt.Sprint("wamid.answer", i)), "200000000000001", tx.Now()
				in.Counts = in.Type != "reaction"
				if _, _, err := conversations.RecordInbound(tx, in); err != nil {
					return err
				}
			}
			return nil
		})
		var got []string
		err := w.c.Report(t.Context(), ReportRequest{ID: "m"}, func(r ReportRow) error {
			if r.Message > 0 {
				got = append(got, fmt.Sprintf("%d %v %d", r.Line, r.Replied, r.Answers))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "replied and answers", strings.Join(got, ", "), "2 true 0, 4 true 2, 5 true 0, 6 false 0")
		var csv bytes.Buffer
		err = w.c.ReportCSV(t.Context(), ReportRequest{ID: "m", States: []string{"failed"}}, &csv)
		if err != nil || !strings.Contains(csv.String(), ";replied;answers\n") || !strings.HasSuffix(csv.String(), ";true;2\n") {
			t.Errorf("the file says %s", csv.String())
		}
	})
}

func TestReport(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		sentOut(t, w, "m", oneOff("m", "2026-11-20T10:01:00", reportMore, ""))
		var rows []string
		collect := func(req ReportRequest) []string {
			t.Helper()
			rows = nil
			err := w.c.Report(t.Context(), req, func(r ReportRow) error {
				rows = append(rows, fmt.Sprintf("%d %s %s %s %d %v %v", r.Line, r.ExternalID, r.State, r.Reason, r.Code, r.Replied, r.Phone.E164()))
				if r.Explanation == "" {
					t.Errorf("line %d has no explanation", r.Line)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		want := []string{
			"2 =1+1 read  0 true " + testPhone(1),
			"4 c2 failed suppress_user 131026 false " + testPhone(2),
			"5 c3 sent  0 false " + testPhone(3),
			"6 c4 refused no_opt_in 0 false " + testPhone(50),
			"7  rejected invalid_phone 0 false ",
			"8  rejected duplicate 0 false ",
		}
		if diff := cmp.Diff(want, collect(ReportRequest{ID: "m"})); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want[1:2], collect(ReportRequest{ID: "m", Run: w.runs("m")[0].ID, States: []string{"failed"}})); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want[3:5], collect(ReportRequest{ID: "m", Reasons: []string{"no_opt_in", "invalid_phone"}})); diff != "" {
			t.Error(diff)
		}
		for _, req := range []ReportRequest{{ID: "x"}, {ID: "m", Run: 7}} {
			if err := w.c.Report(t.Context(), req, nil); !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v: %v", req, err)
			}
		}

		var b bytes.Buffer
		if err := w.c.ReportCSV(t.Context(), ReportRequest{ID: "m"}, &b); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(&b)
		r.Comma = ';'
		cells, err := r.ReadAll()
		if err != nil || len(cells) != 7 {
			t.Fatal(err, cells)
		}
		equal(t, "external id", cells[1][2], "'=1+1")
		equal(t, "phone", cells[1][3], testPhone(1))
		equal(t, "explanation of the failure", cells[2][7], whatsapp.LookupCode(131026, 0).Meaning)
		equal(t, "replied", cells[1][15], "true")

		rejects, err := os.ReadFile(filepath.Join(w.cfg.Status, "m", "rejects.csv"))
		if err != nil || strings.Count(string(rejects), ";rejected;") != 2 {
			t.Errorf("rejects.csv: %v\n%s", err, rejects)
		}
		info, err := os.Stat(filepath.Join(w.cfg.Status, "m", "report.csv"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("report.csv: %v %v", info, err)
		}
	})
}

// The next audience has the original rows, and can be one.
func TestNextAudience(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.run()
		next := func(req ReportRequest) string {
			t.Helper()
			var b bytes.Buffer
			if err := w.c.NextAudience(t.Context(), req, &b); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		const header = "nome;cliente;telefone;nota\n"
		sentOut(t, w, "m", oneOff("m", "2026-11-20T10:01:00", reportMore, ""))
		w.put("m.csv", people(1, 1)) // the spool has what was sent
		equal(t, "those who failed", next(ReportRequest{ID: "m", States: []string{"failed"}}), header+"Bia;c2;"+testPhone(2)+";-x\n")
		equal(t, "those who read", next(ReportRequest{ID: "m", States: []string{"read"}}), header+"Ana;=1+1;"+testPhone(1)+";\"um\nde dois\"\n")
		equal(t, "those without consent", next(ReportRequest{ID: "m", Reasons: []string{"no_opt_in", "invalid_phone"}}),
			header+"Davi;c4;"+testPhone(50)+";sem aceite\nEva;c5;12;curto\n")
		a, err := ReadAudience(strings.NewReader(next(ReportRequest{ID: "m"})))
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for row := (csvfile.Row{}); a.Next(&row) == nil; rows++ {
		}
		equal(t, "rows", rows, 6)
	})
	inWorld(t, nil, func(t *testing.T, w *world) { // the copy of a cron run is not kept
		w.run()
		sentOut(t, w, "u", series("u", "1 10 * * *", reportMore, ""))
		req := ReportRequest{ID: "u", States: []string{"sent"}}
		var b bytes.Buffer
		if err := w.c.NextAudience(t.Context(), req, &b); err != nil || !strings.Contains(b.String(), "Caio;c3;"+testPhone(3)) {
			t.Errorf("%v %s", err, b.String())
		}
		w.put("u.csv", people(1, 1))
		refused(t, w.c.NextAudience(t.Context(), req, &b), "another file by now")
		w.remove("u.csv")
		refused(t, w.c.NextAudience(t.Context(), req, &b), "not kept")
	})
}

// Every reason that anything can give is explained, and no cell of a report
// begins like a formula.
func TestEverythingIsExplained(t *testing.T) {
	reasons := []string{string(RowDuplicate), string(RowAlreadySent), string(RowOfferEnded), reasonCampaignCancelled, outbox.ReasonNoAnswer, outbox.ReasonRestart}
	for _, r := range gate.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, r := range RowReasons {
		reasons = append(reasons, string(r))
	}
	for _, reason := range reasons {
		if _, ok := explainedReasons[reason]; !ok {
			t.Errorf("reason %s is not explained", reason)
		}
	}
	for _, s := range append(outbox.States, Rejected) {
		if text, _ := Explain(string(s), "", 0); text == "" {
			t.Errorf("state %s is not explained", s)
		}
	}
	for _, c := range whatsapp.Codes() {
		if c.Code == 0 { // stands for none as well
			continue
		}
		if text, _ := Explain("failed", string(c.Class), c.Code); text != c.Meaning {
			t.Errorf("code %d: %q", c.Code, text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "cell")
		got := cell(s)
		if strings.TrimPrefix(got, "'") != strings.TrimPrefix(s, "'") {
			t.Fatalf("%q became %q", s, got)
		}
		if got != "" && strings.ContainsRune("=+-@\t\r", rune(got[0])) && !plainNumber.MatchString(got) {
			t.Fatalf("%q begins like a formula", got)
		}
	})
}
