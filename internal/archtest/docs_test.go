package archtest

import (
	"bufio"
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"janela/campaigns"
	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
	"janela/optin"
)

var update = flag.Bool("update", false, "write what is generated into the docs")

const reasonsFile = "docs/reasons.md"

// reasonsInCode gathers every reason that the code can give: from the lists that
// the rooms export, and from what is written into a Reason in passing.
func reasonsInCode(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{outbox.ReasonRestart: "outbox", outbox.ReasonNoAnswer: "outbox", account.ReasonBadToken: "account", optin.ReasonForgotten: "optin"}
	for _, r := range gate.Reasons() {
		out[string(r)] = "gate.Reasons"
	}
	for _, r := range slices.Concat(campaigns.RowReasons, []campaigns.RowReason{campaigns.RowDuplicate, campaigns.RowAlreadySent, campaigns.RowOfferEnded}) {
		out[string(r)] = "campaigns.RowReasons"
	}
	for _, c := range whatsapp.Codes() {
		out[string(c.Class)] = "whatsapp.Codes"
	}
	for _, e := range gate.Effects() {
		if e.Hold != "" {
			out[e.Hold] = "gate.Effects"
		}
	}
	h := open(t)
	for _, f := range h.code() {
		switch short(f.pkg) {
		case "outbox", "gate", "guard", "campaigns", "otp", "dispatch", "intake", "account", "httpapi", "daemon":
			inPassing(h, f, out)
		}
	}
	return out
}

var reasonForm = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// inPassing finds Reason: "x" and Refused: "x" in literals of holds, moves,
// results and messages, x.Reason = "y" and x.Refused = "y", constants whose name
// begins with Reason, and what a function returns as a result named reason.
func inPassing(h *house, f file, out map[string]string) {
	note := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if s, err := strconv.Unquote(lit.Value); err == nil && reasonForm.MatchString(s) {
			out[s] = h.at(lit)
		}
	}
	isReason := func(name string) bool { return name == "Reason" || name == "Refused" }
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && isReason(k.Name) {
				note(n.Value)
			}
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if s, ok := l.(*ast.SelectorExpr); ok && isReason(s.Sel.Name) && len(n.Lhs) == len(n.Rhs) {
					note(n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if strings.HasPrefix(strings.ToLower(name.Name), "reason") && i < len(n.Values) {
					note(n.Values[i])
				}
			}
		case *ast.FuncDecl:
			returnsReason(n, note)
		}
		return true
	})
}

// returnsReason finds literals that a function returns as its result "reason".
func returnsReason(d *ast.FuncDecl, note func(ast.Expr)) {
	if d.Type.Results == nil || d.Body == nil {
		return
	}
	at, i := -1, 0
	for _, field := range d.Type.Results.List {
		for _, name := range field.Names {
			if name.Name == "reason" {
				at = i
			}
			i++
		}
	}
	if at < 0 {
		return
	}
	ast.Inspect(d.Body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && at < len(r.Results) {
			note(r.Results[at])
		}
		return true
	})
}

var reasonRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| .+ \\|$")

// Every reason the code can give is explained, and no other.
func TestReasonsAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, m := range reasonRow.FindAllStringSubmatch(text(t, reasonsFile), -1) {
		documented[m[1]] = true
	}
	code := reasonsInCode(t)
	for reason, from := range code {
		if !documented[reason] {
			t.Errorf("the reason %q (%s) has no row in %s.\n  Either give it one: what it means, what to do; or use a reason that is explained there.", reason, from, reasonsFile)
		}
	}
	for reason := range documented {
		if _, ok := code[reason]; !ok {
			t.Errorf("%s explains %q, which the code never gives: take the row out, or mend the name", reasonsFile, reason)
		}
	}
}

// generated compares what stands between two marks of a page with what the code
// says, or writes it there.
func generated(t *testing.T, page, begin, end, want, how string) {
	t.Helper()
	doc := text(t, page)
	head, rest, ok := strings.Cut(doc, begin)
	have, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks of a generated table", page)
	}
	if have == want {
		return
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, page), []byte(head+begin+want+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: a table is another than the code's; run %s\n%s", page, how, cmp.Diff(have, want))
}

// The table of classes in the docs is the one by which the gate acts: every
// class that a code can have, and every hold that an error places has its row.
func TestClassesAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| class | scope | what happens | how it ends |\n|---|---|---|---|\n")
	known := map[whatsapp.Class]bool{}
	for _, e := range gate.Effects() {
		does := e.Does
		if e.Hold != "" {
			does = "hold `" + e.Hold + "`; " + does
			if row := regexp.MustCompile("(?m)^\\| `" + e.Hold + "` \\| " + e.Scope + " \\|"); !row.MatchString(text(t, reasonsFile)) {
				t.Errorf("%s: the hold %s of scope %s, which class %s places, has no row", reasonsFile, e.Hold, e.Scope, e.Class)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Class, e.Scope, does, e.Ends)
		if known[e.Class] || e.Does == "" || e.Ends == "" {
			t.Errorf("class %s stands twice, or does not say what happens and how it ends", e.Class)
		}
		known[e.Class] = true
	}
	for _, c := range whatsapp.Codes() {
		if !known[c.Class] {
			t.Errorf("code %d has the class %q, of which the gate says nothing", c.Code, c.Class)
		}
	}
	b.WriteString("\n")
	generated(t, reasonsFile, "-run Classes -update -->\n", "<!-- end of classes -->", b.String(), "go test ./internal/archtest -run Classes -update")
}

// The table of Meta's codes in the docs is the one in the code.
func TestCodesAreDocumented(t *testing.T) {
	const begin, end = "-run Codes -update -->\n", "<!-- end -->"
	var b strings.Builder
	scopes := map[whatsapp.Class]string{}
	for _, e := range gate.Effects() {
		scopes[e.Class] = e.Scope
	}
	b.WriteString("\n| code | class | scope | taken? | what it means | what to do |\n|---|---|---|---|---|---|\n")
	for _, c := range whatsapp.Codes() {
		code := strconv.Itoa(c.Code)
		if c.Last > 0 {
			code += "–" + strconv.Itoa(c.Last)
		}
		class := "`" + string(c.Class) + "`"
		if c.RetryAfter > 0 {
			class += ", " + c.RetryAfter.String()
		}
		if c.InARow > 0 {
			class += fmt.Sprintf("; %d in a row: `stop_campaign`", c.InARow)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", code, class, scopes[c.Class], c.Accepted, c.Meaning, c.Do)
	}
	b.WriteString("\n")
	generated(t, reasonsFile, begin, end, b.String(), "go test ./internal/archtest -run Codes -update")
}

// foreign are texts that mean something on one machine, or to one person, only.
// They are put together here, so that this file does not contain them.
var foreign = regexp.MustCompile(`(^|[^A-Za-z0-9_.+/-])` + `/(` + `wo` + `rk|ro` + `ot|ho` + `me|Us` + `ers)/[A-Za-z]` +
	`|(^|[^A-Za-z0-9_-])` + `sha` + `red/[a-z]` + `|cla` + `ude|TO` + `DO|FIX` + `ME`)

// Nothing in the repository names the machine it was made on, or papers that
// its readers do not have.
func TestNothingForeign(t *testing.T) {
	for _, name := range tracked(t) {
		switch filepath.Ext(name) {
		case ".sum", ".jpg", ".png", ".db":
			continue
		}
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			continue // deleted and not yet committed
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			if m := foreign.FindString(lines.Text()); m != "" {
				t.Errorf("%s:%d: %q means nothing to a reader.\n  Say it in words that stand by themselves, or use a relative path.", name, n, m)
			}
		}
		_ = f.Close()
	}
}

// tracked are the files of the repository: what git knows, or, in an unpacked
// archive, everything.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	}
	var all []string
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(root, name)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
