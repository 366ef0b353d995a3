package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/campaigns"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// A reply leaves only while the window is open, with two minutes to spare.
func TestReplyWindow(t *testing.T) {
	for _, c := range []struct {
		after  time.Duration
		refuse string
	}{
		{0, ""},
		{23*time.Hour + 57*time.Minute + 59*time.Second, ""},
		{23*time.Hour + 58*time.Minute, "it closes at 2026-11-24T12:00:00Z"},
		{24*time.Hour - time.Millisecond, "it closes at 2026-11-24T12:00:00Z"},
		{24 * time.Hour, "it closed at 2026-11-24T12:00:00Z"},
		{48 * time.Hour, "it closed at 2026-11-24T12:00:00Z"},
	} {
		t.Run(c.after.String(), func(t *testing.T) {
			h := newHouse(t)
			h.inbound(ana, loja)
			h.advance(c.after)
			out, err := h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi"})
			if c.refuse != "" {
				wantProblem(t, err, http.StatusConflict, "service_window_closed", c.refuse)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			why, err := h.client.Why(t.Context(), fmt.Sprint(out.Message))
			if err != nil {
				t.Fatal(err)
			}
			m := why.Message
			if m.State != outbox.Queued || m.To != ana || m.Category != whatsapp.Service || m.Number != "loja" || !m.Deadline.Equal(began.Add(24*time.Hour-beforeClosing)) {
				t.Errorf("got %+v", m)
			}
			if len(m.Verdicts) != 1 || m.Verdicts[0].Verdict != "go" {
				t.Errorf("the gate says %+v", m.Verdicts)
			}
		})
	}
}

func TestReplyChoosesTheNumber(t *testing.T) {
	h := newHouse(t)
	_, err := h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi"})
	wantProblem(t, err, http.StatusConflict, "service_window_closed", "never wrote to us")
	h.inbound(ana, filial)
	out, err := h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi"})
	if err != nil || out.Number != "filial" {
		t.Fatalf("%+v, %v", out, err)
	}
	_, err = h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi", Number: "loja"})
	wantProblem(t, err, http.StatusConflict, "service_window_closed", "never wrote to this number")
	h.inbound(ana, loja)
	_, err = h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi"})
	wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "--number filial, --number loja")
	if _, err = h.client.Hold(t.Context(), HoldRequest{Scope: "number", Target: "loja", Detail: "quebrado"}); err != nil {
		t.Fatal(err)
	}
	out, err = h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi", Number: "loja"})
	if err != nil || len(out.Waits) != 1 || !strings.Contains(out.Waits[0].Value, "quebrado") {
		t.Errorf("a held reply: %+v, %v", out, err)
	}
	for _, text := range []string{" \n", strings.Repeat("á", maxText+1), "\xff"} {
		_, err = h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: text, Number: "loja"})
		wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "text")
	}
	if _, err = h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: strings.Repeat("á", maxText), Number: "loja"}); err != nil {
		t.Error(err)
	}
}

// Why lists everything that stops a message, each with its row.
func TestWhyOfAQueuedMessage(t *testing.T) {
	h := newHouse(t)
	id := h.queue(ana)
	for _, hold := range []HoldRequest{{Scope: "all", Detail: "um"}, {Scope: "utility"}, {Scope: "marketing", Detail: "dois", Seconds: 60}, {Scope: "marketing", Seconds: 120}} {
		if _, err := h.client.Hold(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
	}
	holds, err := h.client.Holds(t.Context())
	if err != nil || len(holds) != 3 {
		t.Fatalf("%+v, %v", holds, err)
	}
	rules := func() (out []string) {
		why, err := h.client.Why(t.Context(), fmt.Sprint(id))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range why.Message.Verdicts {
			out = append(out, fmt.Sprintf("%s %s %s", v.Verdict, v.Rule, v.Row))
		}
		return out
	}
	template := "wait template_unknown templates " + waba + "/oferta/pt_BR"
	first, third := fmt.Sprintf("wait held holds %d", holds[0].ID), fmt.Sprintf("wait held holds %d", holds[2].ID)
	if diff := cmp.Diff([]string{first, third, template}, rules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	h.advance(3 * time.Minute) // the second hold is over
	if diff := cmp.Diff([]string{first, template}, rules()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// A revocation comes before all that may pass; Revoke itself would cancel
	// it, so an opt-out by another scope's door shows the gate's own answer.
	if _, err := h.client.Revoke(t.Context(), RevokeRequest{Phone: ana, Categories: []string{"marketing"}}); err != nil {
		t.Fatal(err)
	}
	why, err := h.client.Why(t.Context(), fmt.Sprint(id))
	if err != nil {
		t.Fatal(err)
	}
	m := why.Message
	if m.State != outbox.Cancelled || m.Reason != "opted_out" || m.Consent[0].State != "opted_out" || len(m.Consent[0].Events) != 2 {
		t.Errorf("got %+v", m)
	}
	var steps []string
	for _, s := range m.History {
		steps = append(steps, s.What)
	}
	if diff := cmp.Diff([]string{"queued", "cancelled"}, steps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(h.out) != 1 || h.out[0].Message != id || h.out[0].To != outbox.Cancelled {
		t.Errorf("the outcome was not handed on: %+v", h.out)
	}
}

// A message is found by Meta's id of it: that names the person.
func TestWhyByWamid(t *testing.T) {
	h := newHouse(t)
	id := h.queue(ana)
	const wamid = "wamid.HBgNNTUxMTkwMDAwMDAwMRUCABEYEkQ5REY3OUE4OTI4NjE5MjUyMAA="
	h.write(func(tx *store.Tx) error {
		m, _, err := outbox.ByID(tx, id)
		if err != nil {
			return err
		}
		if _, _, err := outbox.Apply(tx, outbox.Stream{ID: m.Stream}, []outbox.Move{{Message: m, To: outbox.Sending}}); err != nil {
			return err
		}
		_, err = outbox.Settle(tx, []outbox.Result{{Message: id, Attempt: 1, To: outbox.Accepted, Wamid: wamid, At: tx.Now()}})
		return err
	})
	why, err := h.client.Why(t.Context(), wamid)
	if err != nil || why.Message == nil || why.Message.ID != id {
		t.Errorf("got %+v, %v", why, err)
	}
	if why, err := h.client.Why(t.Context(), "wamid.1"); err == nil {
		t.Errorf("an id that names nobody: %+v", why)
	}
}

// Why of a person gives the same answer the gate gives when it sends.
func TestWhyOfAPerson(t *testing.T) {
	h := newHouse(t)
	if _, err := h.client.Grant(t.Context(), GrantRequest{Phone: ana, Category: "marketing", Scope: "filial"}); err != nil {
		t.Fatal(err)
	}
	h.inbound(ana, loja)
	for _, spelt := range []string{ana, "11 90000-0001", "5511900000001", " +55 (11) 90000-0001"} {
		why, err := h.client.Why(t.Context(), spelt)
		if err != nil {
			t.Fatal(err)
		}
		p := why.Person
		if p == nil || !p.Known || p.Phone != ana || strings.Contains(strings.Join(p.Identities, ""), "90000") {
			t.Fatalf("%q: %+v", spelt, p)
		}
		got := map[string]string{}
		for _, g := range p.Gate {
			got[g.Number+" "+string(g.Category)] = g.Verdicts[0].Verdict + " " + g.Verdicts[0].Rule
		}
		want := map[string]string{"loja marketing": "refuse no_opt_in", "loja utility": "refuse no_opt_in", "loja authentication": "refuse no_opt_in", "loja service": "go ",
			"filial marketing": "go ", "filial utility": "refuse no_opt_in", "filial authentication": "refuse no_opt_in", "filial service": "refuse service_window_closed"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", spelt, diff)
		}
	}
	why, err := h.client.Why(t.Context(), bia)
	if err != nil || why.Person.Known || why.Person.Gate[0].Verdicts[0].Row != "consents (none)" {
		t.Errorf("of a stranger: %+v, %v", why.Person, err)
	}
}

// Holds that mirror something else are not lifted behind its back.
func TestReleaseLeavesMirrors(t *testing.T) {
	h := newHouse(t)
	for _, hold := range []outbox.Hold{{Scope: outbox.ScopeCategory, Target: "marketing", Reason: reasonStopFile, Actor: "file"},
		{Scope: outbox.ScopeAccount, Target: waba, Reason: "account_throttled", Actor: "meta"}} {
		h.write(func(tx *store.Tx) error { _, err := outbox.Place(tx, hold); return err })
	}
	_, err := h.client.Release(t.Context(), HoldRequest{Scope: "marketing"})
	wantProblem(t, err, http.StatusConflict, CodeRefused, "remove the file")
	if _, err := h.client.Hold(t.Context(), HoldRequest{Scope: "category", Target: "marketing"}); err != nil {
		t.Fatal(err)
	}
	out, err := h.client.Release(t.Context(), HoldRequest{Scope: "marketing"})
	if err != nil || len(out.Holds) != 1 || out.Holds[0].Reason != reasonOperator {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := h.client.Release(t.Context(), HoldRequest{Scope: "account", Target: waba}); err != nil {
		t.Error(err)
	}
	left, err := h.client.Holds(t.Context())
	if err != nil || len(left) != 1 || left[0].Reason != reasonStopFile {
		t.Errorf("%+v, %v", left, err)
	}
}

// An import leaves nothing in the spool, also when it breaks.
func TestImportSpool(t *testing.T) {
	h := newHouse(t)
	var rejects bytes.Buffer
	file := "telefone;data\n" + ana + ";2026-01-02\nabc;2026-01-02\n"
	in := ImportRequest{Name: "/srv/listas/lista.csv", Category: "marketing"}
	report, err := h.client.Import(t.Context(), in, strings.NewReader(file), &rejects)
	if err != nil || report.Granted != 1 || report.Rejected != 1 || report.Name != "lista.csv" || !strings.Contains(rejects.String(), "abc") {
		t.Fatalf("%+v, %v\n%s", report, err, rejects.String())
	}
	again, err := h.client.Import(t.Context(), in, strings.NewReader(file), nil)
	if err != nil || again.Granted != 0 || again.Unchanged != 1 || !again.Already {
		t.Errorf("again: %+v, %v", again, err)
	}
	_, err = h.client.Import(t.Context(), in, io.MultiReader(strings.NewReader(file), cutLine{}), nil)
	if err == nil {
		t.Error("half a file was imported")
	}
	_, err = h.client.Import(t.Context(), ImportRequest{Name: "x.csv", Category: "marketing"}, strings.NewReader("nome\nAna\n"), nil)
	wantProblem(t, err, http.StatusUnprocessableEntity, CodeRefused, "phone numbers")
	_, err = h.client.Import(t.Context(), ImportRequest{Name: "x.csv", Scope: "nenhuma"}, strings.NewReader(file), nil)
	wantProblem(t, err, http.StatusBadRequest, CodeInvalid, "varejo")
	left, err := os.ReadDir(filepath.Join(h.dir, "spool"))
	if err != nil || len(left) != 0 {
		t.Errorf("the spool holds %v, %v", left, err)
	}
}

type cutLine struct{}

func (cutLine) Read([]byte) (int, error) { return 0, errors.New("the line is cut") }

// Conversations come whole, over more than one page.
func TestConversationPages(t *testing.T) {
	h := newHouse(t)
	h.inbound(ana, loja)
	if _, err := h.client.Reply(t.Context(), ReplyRequest{Phone: ana, Text: "oi"}); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := h.client.Conversations(t.Context(), ConversationsQuery{}, func(Conversation) error { n++; return nil }); err != nil || n != 0 {
		t.Errorf("%d conversations before anything was sent, %v", n, err)
	}
	err := h.client.Conversations(t.Context(), ConversationsQuery{Number: "lojja"}, func(Conversation) error { return nil })
	wantProblem(t, err, http.StatusNotFound, CodeNotFound, "filial, loja")
}

// A fresh draft is a sound definition but for what only Meta knows.
func TestDraft(t *testing.T) {
	h := newHouse(t)
	out, err := h.client.Command(t.Context(), "draft", "primavera", CampaignCommand{})
	if err != nil {
		t.Fatal(err)
	}
	folder := h.server.cfg.Folder
	if diff := cmp.Diff([]string{filepath.Join(folder, "primavera.csv"), filepath.Join(folder, "primavera.toml.draft")}, out.Files); diff != "" {
		t.Error(diff)
	}
	started := filepath.Join(folder, "primavera.toml")
	if err := os.Rename(out.Files[1], started); err != nil {
		t.Fatal(err)
	}
	faults, err := CheckOffline(started, time.Now(), Offline{Zone: "America/Sao_Paulo", Numbers: []string{"loja"}})
	if err != nil || Faulty(faults) || len(faults) != 1 || !strings.Contains(faults[0].Message, "not checked: template") {
		t.Errorf("%+v, %v", faults, err)
	}
	_, err = h.client.Command(t.Context(), "draft", "primavera", CampaignCommand{})
	wantProblem(t, err, http.StatusConflict, CodeRefused, "there already")
	if _, err := h.client.Command(t.Context(), "draft", "outono", CampaignCommand{From: "primavera"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "outono.toml.draft"))
	if err != nil {
		t.Fatal(err)
	}
	def, _, problems := campaigns.ParseDefinition("outono.toml", text)
	if problems.HasErrors() || def.ID != "outono" || def.Recipients.File != "outono.csv" {
		t.Errorf("%v, %+v", problems, def)
	}
	_, err = h.client.Command(t.Context(), "draft", "inverno", CampaignCommand{From: "verao"})
	wantProblem(t, err, http.StatusNotFound, CodeNotFound, "verao")
	for _, id := range []string{"Inverno", "../x", "-x", strings.Repeat("x", 65)} {
		if _, err = h.client.Command(t.Context(), "draft", id, CampaignCommand{}); err == nil {
			t.Errorf("%q was taken for an id", id)
		}
	}
}

func TestSetKey(t *testing.T) {
	const text = "# id = \"no\"\nid = 'old'  # why\ntitle = \"id = \\\"x\\\"\"\n[recipients]\n id=\"theirs\"\n\tfile  = \"old.csv\"\n[[template.body]]\nfile = \"x\"\n"
	if got, want := setKey(text, "", "id", "new"), strings.Replace(text, "'old'", `"new"`, 1); got != want {
		t.Errorf("got\n%s", got)
	}
	if got, want := setKey(text, "recipients", "file", "new.csv"), strings.Replace(text, `"old.csv"`, `"new.csv"`, 1); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := setKey(text, "recipients", "phone_column", "x"); got != text {
		t.Errorf("a key that is not there changed the text:\n%s", got)
	}
}

// Whatever stands in a file, at most one line of it changes.
func FuzzSetKey(f *testing.F) {
	f.Add("id = \"a\"\n[recipients]\nfile = 'b'\n", "new")
	f.Add("[x]\nid=\"\"\r\n", "")
	f.Fuzz(func(t *testing.T, text, value string) {
		before, after := strings.Split(text, "\n"), strings.Split(setKey(text, "", "id", "v-"+fmt.Sprint(len(value))), "\n")
		if len(before) != len(after) {
			t.Fatalf("%d lines became %d", len(before), len(after))
		}
		changed := 0
		for i := range before {
			if before[i] != after[i] {
				changed++
			}
		}
		if changed > 1 {
			t.Errorf("%d lines changed", changed)
		}
	})
}
