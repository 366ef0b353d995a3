package httpapi

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/otp"
)

const codesPage = "../../docs/otp.md"

var (
	inTicks   = regexp.MustCompile("`([^`]+)`")
	problemID = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
)

// documented reads the tables of status and code of a page: the statuses of each
// code. A row of as many statuses as codes has them in pairs.
func documented(t *testing.T, page string) map[string][]int {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out, inside := map[string][]int{}, false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case strings.HasPrefix(line, "| status | code |"):
			inside = true
			continue
		case !strings.HasPrefix(line, "|"):
			inside = false
		}
		if !inside || len(cells) < 3 || strings.HasPrefix(cells[0], "---") {
			continue
		}
		var statuses []int
		for s := range strings.SplitSeq(cells[0], ",") {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil {
				t.Fatalf("%s: %q is no status", page, cells[0])
			}
			statuses = append(statuses, n)
		}
		codes := inTicks.FindAllStringSubmatch(cells[1], -1)
		for i, code := range codes {
			of := statuses
			if len(statuses) == len(codes) {
				of = statuses[i : i+1]
			}
			out[code[1]] = append(out[code[1]], of...)
		}
	}
	return out
}

// Every code that codes are answered with is in the table of docs/otp.md, with
// its status, and no other.
func TestProblemsAreDocumented(t *testing.T) {
	have, shared := documented(t, codesPage), sharedCodes(t)
	ofCodes := map[string]bool{}
	for name, code := range codesOfOTP(t) {
		if ofCodes[code] = true; publicCodes[code].status == 0 {
			t.Errorf("otp.%s (%s) has no status: give it one in publicCodes", name, code)
		}
	}
	for code, known := range publicCodes {
		want := []int{known.status}
		if code == "malformed" {
			want = append(want, statusesOfBodies(t)...)
		}
		got := slices.Sorted(slices.Values(have[code]))
		switch {
		case len(got) == 0 && !ofCodes[code] && !shared[code]: // of another part of the API
		case len(got) == 0:
			t.Errorf("%s (%d) has no row in %s", code, known.status, codesPage)
		case !slices.Equal(got, want):
			t.Errorf("%s: %s says %v, it is %v", code, codesPage, got, want)
		}
	}
	for code := range have {
		if _, ok := publicCodes[code]; !ok {
			t.Errorf("%s explains %q, which is never answered", codesPage, code)
		} else if !ofCodes[code] && !shared[code] {
			t.Errorf("%s explains %q, which only other parts of the API answer", codesPage, code)
		}
	}
}

// sharedCodes are those beside the room's own that the calls of codes, or what
// all parts of the public face share, answer with.
func sharedCodes(t *testing.T) map[string]bool {
	t.Helper()
	names, out := map[string]string{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, pass := range []string{"names", "uses"} {
		for _, name := range files {
			mine := strings.HasPrefix(name, "otp") || strings.HasPrefix(name, "public") || name == "bearer.go" || name == "repeat.go"
			if strings.HasSuffix(name, "_test.go") || pass == "uses" && !mine {
				continue
			}
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				_, isFunc := decl.(*ast.FuncDecl)
				ast.Inspect(decl, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.ValueSpec:
						for i, v := range n.Values {
							if lit, ok := v.(*ast.BasicLit); ok && pass == "names" && strings.HasPrefix(strings.ToLower(n.Names[i].Name), "code") {
								names[n.Names[i].Name], _ = strconv.Unquote(lit.Value)
							}
						}
					case *ast.Ident:
						if pass == "uses" && isFunc && names[n.Name] != "" {
							out[names[n.Name]] = true
						}
					}
					return true
				})
			}
		}
	}
	if !out["scope"] || !out["browser-refused"] || !out["idempotency-in-flight"] || !out["internal"] {
		t.Fatalf("only %v were found", out)
	}
	return out
}

// statusesOfBodies are the statuses beside 400 that a body may be refused with.
func statusesOfBodies(t *testing.T) (out []int) {
	d := newDesk(t, unlimited(), nil)
	defer func() {
		if err := d.db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct{ kind, body string }{
		{"application/json", `{"to": "` + strings.Repeat("5", maxSmallBody) + `"}`}, {"text/plain", requestFor(d.phone())},
	} {
		a, _ := d.here(t.Context(), "POST", "/v1/otp", c.body, "Content-Type", c.kind, "Idempotency-Key", unique())
		if !strings.Contains(string(a.body), `"code":"malformed"`) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		out = append(out, a.status)
	}
	return out
}

// codesOfOTP are the constants of the room's codes. Whatever it denies must be
// one of them: a text in its place would be told as "internal".
func codesOfOTP(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../otp/*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset, out, parsed := token.NewFileSet(), map[string]string{}, []*ast.File(nil)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != len(v.Names) {
				return true
			}
			for i, value := range v.Values {
				lit, ok := value.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || !strings.HasPrefix(v.Names[i].Name, "Code") {
					continue
				}
				if text, err := strconv.Unquote(lit.Value); err == nil && problemID.MatchString(text) {
					out[v.Names[i].Name] = text
				}
			}
			return true
		})
	}
	if len(out) < 15 {
		t.Fatalf("only %v were found", out)
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			var code ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "denied" {
					code = n.Args[0]
				}
			case *ast.CompositeLit:
				if name, ok := n.Type.(*ast.Ident); ok && name.Name == "Denied" {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Code" {
							code = kv.Value
						}
					}
				}
			}
			if lit, ok := code.(*ast.BasicLit); ok && lit.Value != `"error"` { // of the metrics, never answered
				t.Errorf("%s: %s is no constant of a code", fset.Position(lit.Pos()), lit.Value)
			}
			return true
		})
	}
	return out
}

// What is documented of the fields that only GET tells holds: an answer to POST
// is kept for repeats, and has none of them.
func TestFieldsOfGetAreDocumented(t *testing.T) {
	text, err := os.ReadFile(codesPage)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^`resend_after` is .*?: one instant.*? until the next message\\. (.*?) are told by GET only").FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s has lost the sentence of what only GET tells", codesPage)
	}
	var said []string
	for _, m := range inTicks.FindAllStringSubmatch(found[1], -1) {
		said = append(said, m[1])
	}
	fields := fieldsOf(fullReply(viewOfAll()))
	for name := range fieldsOf(briefReply(viewOfAll())) {
		delete(fields, name)
	}
	var only []string
	for name := range fields {
		only = append(only, name)
	}
	slices.Sort(only)
	slices.Sort(said)
	if diff := cmp.Diff(only, said); diff != "" {
		t.Errorf("%s is wrong about what only GET tells (-code +docs):\n%s", codesPage, diff)
	}
}

// viewOfAll is a challenge of which there is something to say in every field.
func viewOfAll() otp.View {
	at := began
	return otp.View{ID: "otp_x", State: otp.Verified, Reason: "verified", Purpose: "login", ToMasked: "+55*", Channel: "whatsapp", CreatedAt: at, ExpiresAt: at,
		ResendAfter: at, ResendsLeft: 3, AttemptsLeft: 5, VerifiedAt: at, StepUpRequired: true, Metadata: map[string]string{"a": "b"},
		Delivery: otp.Delivery{State: "failed", At: map[string]time.Time{"failed": at}, Code: 131026, Reason: "not_on_whatsapp", Fallback: "offered"}}
}

// fieldsOf are the names of an answer's fields, without what is inside delivery.
func fieldsOf(r codeReply) map[string]bool {
	var all map[string]any
	if err := json.Unmarshal(line(r), &all); err != nil {
		panic(err)
	}
	out := map[string]bool{}
	for name := range all {
		out[name] = true
	}
	return out
}
