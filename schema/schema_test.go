package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	toml "github.com/pelletier/go-toml/v2"

	"janela/campaigns"
	"janela/internal/daemon"
)

var update = flag.Bool("update", false, "write the schemas and the tables made from them")

const (
	configPage   = "docs/config.md"
	campaignPage = "docs/campaign-file.md"
)

// text reads a file of the repository.
func text(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same compares a file of the repository with what was made, or writes it.
func same(t *testing.T, name, made string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("..", name), []byte(made), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text(t, name), made); diff != "" {
		t.Errorf("%s is another than what is made from the code; run go test ./schema -update (-file +code):\n%s", name, diff)
	}
}

// Patterns of what TOML has and JSON has not. An editor hands it over as text.
const (
	durationPattern = `^[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$`
	datePattern     = `^\d{4}-\d{2}-\d{2}$`
	timePattern     = `^\d{2}:\d{2}:\d{2}(\.\d+)?$`
	dateTimePattern = `^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?$`
)

func patterned(pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: pattern}
}

// reflector makes a schema without references: an editor shows it as it is.
func reflector() *jsonschema.Reflector {
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, FieldNameTag: "toml", RequiredFromJSONSchemaTags: true}
	r.Mapper = func(typ reflect.Type) *jsonschema.Schema {
		switch typ {
		case reflect.TypeFor[time.Duration]():
			return patterned(durationPattern)
		case reflect.TypeFor[toml.LocalDate]():
			return patterned(datePattern)
		case reflect.TypeFor[toml.LocalTime]():
			return patterned(timePattern)
		case reflect.TypeFor[toml.LocalDateTime]():
			return patterned(dateTimePattern)
		case reflect.TypeFor[campaigns.Media](): // a file's name, or a table
			table := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema, Required: []string{"column"}}
			for _, key := range []string{"column", "default"} {
				table.Properties.Set(key, &jsonschema.Schema{Type: "string"})
			}
			return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, table}}
		}
		return nil
	}
	return r
}

// walk visits every key below a schema by its path: [] after a list of tables, *
// for the keys of a map. A key that visit drops is taken out.
func walk(s *jsonschema.Schema, prefix string, visit func(path string, s *jsonschema.Schema, required bool) (keep bool)) {
	var drop []string
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		path, required := prefix+p.Key, false
		for _, key := range s.Required {
			required = required || key == p.Key
		}
		if !visit(path, p.Value, required) {
			drop = append(drop, p.Key)
			continue
		}
		for _, below := range p.Value.AnyOf {
			if below.Properties != nil {
				walk(below, path+".", visit)
			}
		}
		switch {
		case p.Value.Properties != nil:
			walk(p.Value, path+".", visit)
		case p.Value.Items != nil && p.Value.Items.Properties != nil:
			walk(p.Value.Items, path+"[].", visit)
		case p.Value.AdditionalProperties != nil && p.Value.AdditionalProperties.Properties != nil:
			walk(p.Value.AdditionalProperties, path+".*.", visit)
		}
	}
	for _, key := range drop {
		s.Properties.Delete(key)
	}
}

// written is a default as a person would write it; nil for none, or what says
// nothing.
func written(v reflect.Value) any {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return nil
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		short := regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(value.String(), "$1")
		return short
	default:
		return value
	}
}

// defaultsOf gathers what each key is when it is left out.
func defaultsOf(v reflect.Value, prefix string, out map[string]any) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		switch f := v.Field(i); {
		case v.Type().Field(i).Anonymous:
			defaultsOf(f, prefix, out)
		case key == "" || key == "-" || f.Kind() == reflect.Pointer:
		case f.Kind() == reflect.Struct:
			defaultsOf(f, prefix+key+".", out)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct, f.Kind() == reflect.Map:
		default:
			if value := written(f); value != nil {
				out[prefix+key] = value
			}
		}
	}
}

// plain is a text of the docs without its marks.
func plain(s string) string {
	s = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`).ReplaceAllString(s, "$1")
	return strings.NewReplacer("`", "", "*reserved*", "reserved").Replace(s)
}

// configTexts are the comments of config.toml by key, and by table.
func configTexts(t *testing.T) map[string]string {
	t.Helper()
	head := regexp.MustCompile(`^\s*(?:# )?\[+([a-z_.]+)\]+(?:\s+# (.*))?$`)
	key := regexp.MustCompile(`^\s*#?\s*([A-Za-z0-9_]+) = (.*)$`)
	comment := regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^"#\[]*)\s*(?:# (.*))?$`)
	list := map[string]string{"whatsapp.accounts": "whatsapp.accounts[]", "whatsapp.accounts.numbers": "whatsapp.accounts[].numbers[]", "optin.keywords": "optin.keywords[]", "hooks": "hooks[]"}
	out, section := map[string]string{}, ""
	for line := range strings.Lines(text(t, "config.toml")) {
		line = strings.TrimRight(line, "\n")
		if m := head.FindStringSubmatch(line); m != nil {
			if section = regexp.MustCompile(`^otp\.purposes\.[a-z_]+`).ReplaceAllString(m[1], "otp.purposes.*"); list[section] != "" {
				section = list[section]
			}
			if out[section] == "" {
				out[section] = m[2]
			}
			continue
		}
		if m := key.FindStringSubmatch(line); m != nil {
			c := comment.FindStringSubmatch(m[2])
			if c == nil {
				t.Errorf("config.toml: not understood: %s", line)
			} else if out[section+"."+m[1]] == "" {
				out[section+"."+m[1]] = c[1]
			}
		}
	}
	return out
}

// campaignTexts are the meanings in docs/campaign-file.md by key.
func campaignTexts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range campaignRow.FindAllStringSubmatch(text(t, campaignPage), -1) {
		out[strings.TrimSuffix(m[1], "[]")] = strings.TrimSpace(m[3])
	}
	return out
}

// campaignRow is a key of the table: its name, its type, its meaning.
var campaignRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\| ([^|]*) \\|([^|]*)\\|$")

func configSchema(t *testing.T) *jsonschema.Schema {
	s := reflector().Reflect(&daemon.Config{})
	s.Title, s.Description = "config.toml of janela", "Every setting, with its default: docs/config.md"
	secret := map[string]bool{"whatsapp.token": true, "whatsapp.app_secret": true, "whatsapp.verify_token": true} // from files or the environment only
	defaults, texts := map[string]any{}, configTexts(t)
	cfg := daemon.Defaults()
	defaultsOf(reflect.ValueOf(&cfg).Elem(), "", defaults)
	walk(s, "", func(path string, s *jsonschema.Schema, _ bool) bool {
		s.Default = defaults[path]
		s.Description = texts[path]
		if limit, ok := strings.CutPrefix(path, "otp.purposes.*.limits."); ok { // the same as the general ones
			s.Description = texts["otp.limits."+limit]
		}
		if table := path[:max(strings.LastIndex(path, "."), 0)]; strings.HasPrefix(table, "optin.confirm") {
			s.Description = texts[table] // one text in three languages
		}
		if s.Type == "array" && s.Description == "" {
			s.Description = texts[path+"[]"]
		}
		scalar := s.Properties == nil && (s.Items == nil || s.Items.Properties == nil) && s.AdditionalProperties == nil
		if scalar && s.Description == "" && !secret[path] {
			t.Errorf("config.toml says nothing about %s: write a comment behind it", path)
		}
		return !secret[path]
	})
	return s
}

func campaignSchema(t *testing.T) *jsonschema.Schema {
	s := reflector().Reflect(&campaigns.Definition{})
	s.Title, s.Description = "A campaign of janela", "Every key: docs/campaign-file.md"
	least, _, _ := campaigns.ParseDefinition("-", nil)
	defaults, texts := map[string]any{}, campaignTexts(t)
	defaultsOf(reflect.ValueOf(least).Elem(), "", defaults)
	delete(defaults, "missed.policy") // the category's
	walk(s, "", func(path string, s *jsonschema.Schema, _ bool) bool {
		s.Default, s.Description = defaults[path], plain(texts[path])
		switch path { // the buttons of a card are fewer than those of a template
		case "template.cards[].buttons[].type":
			s.Enum = s.Enum[:2] // url, quick_reply
		case "template.cards[].buttons[].index":
			s.Maximum = json.Number("1")
		}
		return true
	})
	// Exactly one of at and cron.
	if schedule, ok := s.Properties.Get("schedule"); ok {
		schedule.OneOf = []*jsonschema.Schema{{Required: []string{"at"}}, {Required: []string{"cron"}}}
	}
	return s
}

// document writes a schema as it is committed.
func document(t *testing.T, s *jsonschema.Schema) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), `"$ref"`) {
		t.Error("the schema has references, which not every editor follows")
	}
	return b.String()
}

// The committed schemas are those of the structs into which the files are read.
func TestSchemas(t *testing.T) {
	same(t, "schema/config.schema.json", document(t, configSchema(t)))
	same(t, "schema/campaign.schema.json", document(t, campaignSchema(t)))
}

// kind is the type of a key in words.
func kind(s *jsonschema.Schema) string {
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(values, ", ")
	}
	switch {
	case len(s.AnyOf) > 0:
		return "text or table"
	case s.Pattern == durationPattern:
		return "duration"
	case s.Pattern == datePattern:
		return "date"
	case s.Pattern == timePattern:
		return "time"
	case s.Pattern == dateTimePattern:
		return "date with time"
	case s.Type == "array" && s.Items != nil:
		if inner := kind(s.Items); strings.HasPrefix(inner, "`") {
			return "list of " + inner
		} else {
			return "list of " + inner + "s"
		}
	}
	return map[string]string{"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "table"}[s.Type]
}

// The table of docs/campaign-file.md tells the type of each key.
func TestCampaignTable(t *testing.T) {
	kinds := map[string]string{}
	walk(campaignSchema(t), "", func(path string, s *jsonschema.Schema, _ bool) bool {
		kinds[path] = kind(s)
		return true
	})
	page := text(t, campaignPage)
	same(t, campaignPage, campaignRow.ReplaceAllStringFunc(page, func(row string) string {
		m := campaignRow.FindStringSubmatch(row)
		if kinds[m[1]] == "" || m[2] == "*reserved*" {
			return row
		}
		return "| `" + m[1] + "` | " + kinds[m[1]] + " |" + m[3] + "|"
	}))
}

// docs/config.md is config.toml as tables.
func TestConfigPage(t *testing.T) {
	const begin, end = "<!-- made by go test ./schema -update, from config.toml and the code -->\n", "<!-- end of what is made -->\n"
	page := text(t, configPage)
	head, rest, ok := strings.Cut(page, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks of what is made", configPage)
	}
	texts, rows, order := configTexts(t), map[string][]string{}, []string{}
	walk(configSchema(t), "", func(path string, s *jsonschema.Schema, required bool) bool {
		table, key := "", path
		if i := strings.LastIndex(path, "."); i >= 0 {
			table, key = path[:i], path[i+1:]
		}
		if table == "" || table == "otp.purposes.*.limits" || s.Properties != nil || s.Items != nil && s.Items.Properties != nil || s.AdditionalProperties != nil && s.AdditionalProperties.Properties != nil {
			return true
		}
		standard := ""
		switch {
		case required:
			standard = "required"
		case s.Default != nil:
			b, err := json.Marshal(s.Default)
			if err != nil {
				t.Fatal(err)
			}
			standard = "`" + string(b) + "`"
		}
		if rows[table] == nil {
			order = append(order, table)
		}
		rows[table] = append(rows[table], fmt.Sprintf("| `%s` | %s | %s | %s |", key, kind(s), standard, escape(s.Description)))
		return true
	})
	var b strings.Builder
	for _, table := range order {
		name := "[" + table + "]"
		if strings.HasSuffix(table, "[]") {
			name = "[[" + strings.ReplaceAll(table, "[]", "") + "]]"
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n", name)
		if texts[table] != "" {
			fmt.Fprintf(&b, "%s.\n\n", strings.ToUpper(texts[table][:1])+texts[table][1:])
		}
		fmt.Fprintf(&b, "| key | type | default | meaning |\n|---|---|---|---|\n%s\n", strings.Join(rows[table], "\n"))
	}
	b.WriteString("\n")
	same(t, configPage, head+begin+b.String()+end+tail)
}

// escape makes a comment stand in a table: pages of docs become links.
func escape(s string) string {
	s = regexp.MustCompile(`docs/([a-z-]+)\.md`).ReplaceAllString(s, "[$1]($1.md)")
	return strings.ReplaceAll(s, "|", `\|`)
}

// enums visits the keys that have a few allowed values.
func enums(s *jsonschema.Schema, visit func(path string, values []any, list bool)) {
	walk(s, "", func(path string, s *jsonschema.Schema, _ bool) bool {
		switch {
		case len(s.Enum) > 0:
			visit(path, s.Enum, false)
		case s.Items != nil && len(s.Items.Enum) > 0:
			visit(path, s.Items.Enum, true)
		}
		return true
	})
}
