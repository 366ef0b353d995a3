package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// agreesCmd runs "agrees KEY PATH LEAST COMMAND…": the list that the command
// prints as JSON and the one that the API answers, page by page, have the same
// rows, as far as both name the same things; and at least so many rows.
func agreesCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: agrees KEY PATH LEAST COMMAND…")
	}
	ts.Check(ts.Exec(args[3], append(args[4:], "-o", "json")...))
	var printed any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed))
	cli, api := rowsOf(printed), answered(ts, args[0], args[1])
	least := 0
	_, err := fmt.Sscan(args[2], &least)
	ts.Check(err)
	if len(cli) < least || len(cli) != len(api) {
		ts.Fatalf("%d rows by the command, %d by the API, at least %d wanted\n%v\n%v", len(cli), len(api), least, cli, api)
	}
	if len(cli) == 0 {
		return
	}
	shared := sharedNames(cli, api)
	if len(shared) < 2 {
		ts.Fatalf("they have only %v in common:\n%v\n%v", shared, cli[0], api[0])
	}
	a, b := reduced(cli, shared), reduced(api, shared)
	if !slices.Equal(a, b) {
		ts.Fatalf("by %v they differ:\n%s\n\n%s", shared, strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	ts.Logf("%d rows agree in %v", len(a), shared)
}

// matchesCmd runs "matches KEY PATH COMMAND…": what the command prints as JSON and
// what the API answers are the same, but for what moves by itself and what the API
// masks. A path of "lookup PERSON" is asked by POST.
func matchesCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: matches KEY PATH COMMAND…")
	}
	ts.Check(ts.Exec(args[2], append(args[3:], "-o", "json")...))
	var printed, told any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed))
	method, path, body := http.MethodGet, args[1], ""
	if of, ok := strings.CutPrefix(path, "lookup:"); ok {
		method, path, body = http.MethodPost, "/v1/contacts/lookup", fmt.Sprintf(`{"of":%q}`, of)
	}
	status, text := asked(ts, args[0], method, path, body)
	if status != http.StatusOK {
		ts.Fatalf("%s: %d %s", path, status, text)
	}
	ts.Check(json.Unmarshal(text, &told))
	still(printed)
	still(told)
	a, err := json.MarshalIndent(printed, "", " ")
	ts.Check(err)
	b, err := json.MarshalIndent(told, "", " ")
	ts.Check(err)
	if diff := cmp.Diff(string(a), string(b)); diff != "" {
		ts.Fatalf("- command, + API:\n%s", diff)
	}
}

// sameCSVCmd runs "same-csv KEY PATH COMMAND…": both give the same bytes, and more
// than a header; where the API masks a number, all but its middle is the same, and all but what a
// rejected cell was.
func sameCSVCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: same-csv KEY PATH COMMAND…")
	}
	ts.Check(ts.Exec(args[2], args[3:]...))
	printed := ts.ReadFile("stdout")
	status, told := asked(ts, args[0], http.MethodGet, args[1], "")
	if strings.Contains(string(told), "…") {
		printed = detailCell.ReplaceAllString(phoneCell.ReplaceAllString(printed, ";'$1…$2;"), "$1;")
	}
	if diff := cmp.Diff(printed, string(told)); status != http.StatusOK || diff != "" || strings.Count(printed, "\n") < 2 {
		ts.Fatalf("%d, %d lines; - command, + API:\n%s", status, strings.Count(printed, "\n"), diff)
	}
}

var (
	phoneCell  = regexp.MustCompile(`;(\+\d\d)\d+(\d\d);`)
	detailCell = regexp.MustCompile(`(;rejected;\w+;;[^;:]+): [^;]*;`)
)

// still takes out of an answer what moves by itself, and what the API masks.
func still(v any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			still(one)
		}
	case map[string]any:
		for _, name := range []string{"now", "health", "per_second", "answer_ms", "requests", "window", "since", "phone", "to_masked", "value", "repairs", "opened_by_wamid", "heard_since"} {
			delete(v, name)
		}
		if _, paced := v["allowed"]; paced {
			delete(v, "text")
		}
		for _, one := range v {
			still(one)
		}
	}
}

// asked makes one request of the running daemon's public face.
func asked(ts *testscript.TestScript, key, method, path, body string) (status int, text []byte) {
	log, err := os.ReadFile(running(ts).log)
	ts.Check(err)
	at := public.FindSubmatch(log)
	if at == nil {
		ts.Fatalf("the log does not tell where the daemon listens")
	}
	req, err := http.NewRequest(method, "http://"+string(at[1])+path, strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	text, err = io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, text
}

// answered reads a list of the API to its end, two rows a page.
func answered(ts *testscript.TestScript, key, path string) (rows []map[string]any) {
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for after := "limit=2"; ; {
		if strings.HasSuffix(path, "!") { // it has no pages
			after = ""
		}
		url := strings.TrimSuffix(path, "!")
		if after != "" {
			url += join + after
		}
		status, text := asked(ts, key, http.MethodGet, url, "")
		if status != http.StatusOK {
			ts.Fatalf("%s: %d %s", url, status, text)
		}
		var v any
		ts.Check(json.Unmarshal(text, &v))
		rows = append(rows, rowsOf(v)...)
		page, _ := v.(map[string]any)
		next, ok := page["next"].(string)
		if id, isID := page["next"].(float64); isID {
			next, ok = fmt.Sprintf("%.0f", id), true
		}
		if !ok || after == "" {
			return rows
		}
		after = "limit=2&after=" + next
	}
}

// renamed are fields that the API calls by another name than the command.
var renamed = map[string]string{"totals": "by_state", "messages": "by_state", "reasons": "by_reason"}

// rowsOf finds the rows in an answer: a list, the one list of a page, or the
// answer itself.
func rowsOf(v any) (out []map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, row := range v {
			if m, ok := row.(map[string]any); ok {
				out = append(out, named(m))
			}
		}
	case map[string]any:
		for _, name := range []string{"campaigns", "runs", "holds", "templates", "conversations", "entries", "rows", "people", "reviews", "callbacks", "counts", "messages"} {
			if list, ok := v[name].([]any); ok {
				return rowsOf(list)
			}
		}
		return []map[string]any{named(v)}
	}
	return out
}

func named(m map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range m {
		if to := renamed[name]; to != "" {
			if _, isMap := v.(map[string]any); isMap || to == name {
				name = to
			}
		}
		out[name] = v
	}
	return out
}

// moving are fields that change by themselves, and such as the API tells less of:
// numbers, and what stood in a row that was rejected.
var moving = []string{"written_at", "now", "finishes", "health", "numbers", "messaging_limit", "oldest_seconds", "phone", "waits", "runs", "explanation"}

func sharedNames(a, b []map[string]any) (out []string) {
	names := map[string]int{}
	for i, rows := range [][]map[string]any{a, b} {
		for _, row := range rows {
			for name := range row {
				names[name] |= 1 << i
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] == 3 && !slices.Contains(moving, name) {
			out = append(out, name)
		}
	}
	return out
}

// reduced writes what is shared of every row; ids are texts here and numbers
// there.
func reduced(rows []map[string]any, shared []string) (out []string) {
	for _, row := range rows {
		var b strings.Builder
		for _, name := range shared {
			if v, ok := row[name]; ok {
				if f, isNumber := v.(float64); isNumber {
					v = fmt.Sprintf("%.0f", f)
				}
				text, _ := json.Marshal(v)
				fmt.Fprintf(&b, "%s=%s ", name, text)
			}
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}
