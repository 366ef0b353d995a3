package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"

	"janela/campaigns"
	"janela/internal/daemon"
	"janela/internal/tomlfile"
)

// judge compiles a committed schema with a validator that is not ours.
func judge(t *testing.T, text []byte) func(file string) error {
	t.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("janela.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("janela.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(file string) error {
		var content map[string]any
		if err := toml.Unmarshal([]byte(file), &content); err != nil {
			return err
		}
		b, err := json.Marshal(content) // dates become text, as in editors
		if err != nil {
			return err
		}
		instance, err := validator.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return s.Validate(instance)
	}
}

// files are TOML files of the repository by name: as files, and inside of pages
// and scripts.
func files(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	fence := regexp.MustCompile("(?s)```toml\n(.*?)```")
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no files (%v)", pattern, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			switch filepath.Ext(name) {
			case ".txtar":
				for _, f := range txtar.Parse(b).Files {
					if strings.HasSuffix(f.Name, ".toml") {
						out[name+"/"+f.Name] = string(f.Data)
					}
				}
			case ".md":
				for i, m := range fence.FindAllStringSubmatch(string(b), -1) {
					out[fmt.Sprintf("%s/%d", name, i)] = m[1]
				}
			default:
				out[name] = string(b)
			}
		}
	}
	return out
}

// formal are problems of the form of a file, which a schema must find as well.
var formal = regexp.MustCompile(`^unknown key |must be (a |text|true|one)|is not in this version$|is not a value of |^"(id|category|template|template\.name|template\.language|recipients|recipients\.file|recipients\.phone_column|schedule)" is missing$|has both at and cron$`)

// quoted are dates in quotes: a schema sees text either way.
var quoted = regexp.MustCompile(`must be a (date|time|date with time), not the text`)

// compare holds the schema's verdict against the program's.
func compare(t *testing.T, check func(string) error, name, file string, problems tomlfile.Problems) (sound, wrong int) {
	t.Helper()
	err := check(file)
	form := ""
	for _, p := range problems.Errors() {
		if formal.MatchString(p.Message) && !quoted.MatchString(p.Message) {
			form = p.Message
		}
	}
	switch {
	case form != "" && err == nil:
		t.Errorf("%s: the schema finds nothing wrong, and %s", name, form)
	case form != "":
		return 0, 1
	case !problems.HasErrors() && err != nil:
		t.Errorf("%s is sound, and the schema says: %v", name, err)
	case !problems.HasErrors():
		return 1, 0
	}
	return 0, 0
}

// Every definition of the repository that is sound fits the schema, and each
// whose form is wrong does not.
func TestDefinitionsFitTheSchema(t *testing.T) {
	check, sound, wrong := judge(t, Campaign), 0, 0
	for name, file := range files(t, "campaigns.d/*.toml", campaignPage, "campaigns/testdata/check/*.toml", "testdata/script/*.txtar", "testdata/script/cli/*.txtar") {
		if strings.HasSuffix(name, "config.toml") {
			continue
		}
		def, doc, problems := campaigns.ParseDefinition("-", []byte(file))
		for _, p := range campaigns.Check(def, doc, campaigns.CheckEnv{Now: time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)}) {
			if p.Path == "recipients.phone_column" { // looked for among the audience's columns
				problems = append(problems, p)
			}
		}
		s, w := compare(t, check, name, file, problems)
		sound, wrong = sound+s, wrong+w
	}
	if sound < 30 || wrong < 5 {
		t.Errorf("only %d sound and %d wrong definitions were compared", sound, wrong)
	}
}

// load reads a configuration as the daemon does.
func load(t *testing.T, file string) tomlfile.Problems {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := daemon.Load(path, nil)
	var problems tomlfile.Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	return problems
}

// The same for configurations.
func TestConfigurationsFitTheSchema(t *testing.T) {
	check, sound, wrong := judge(t, Config), 0, 0
	for name, file := range files(t, "config.toml", "internal/daemon/testdata/*.toml", "testdata/script/cli/*.txtar") {
		if strings.HasSuffix(name, ".toml") && strings.Contains(name, ".txtar/") && !strings.HasSuffix(name, "config.toml") {
			continue
		}
		s, w := compare(t, check, name, file, load(t, file))
		sound, wrong = sound+s, wrong+w
	}
	if sound < 2 || wrong < 2 {
		t.Errorf("only %d sound and %d wrong configurations were compared", sound, wrong)
	}
}

// nested writes one key of a path as a file: a[].b becomes a = [{b = value}].
func nested(path, value string) string {
	key, rest, more := strings.Cut(path, ".")
	if more {
		value = nested(rest, value)
		value = "{" + value + "}"
	}
	if name, list := strings.CutSuffix(key, "[]"); list {
		return name + " = [" + value + "]"
	}
	return strings.ReplaceAll(key, "*", "any") + " = " + value
}

// contexts are keys that are judged only among others.
var contexts = map[string]string{
	"template.header.transform": `template.header = {type = "text", column = "x", transform = %s}`,
	"otp.fallback.mode":         "[otp.fallback]\nmode = %s\nurl = \"https://sms.example/codes\"\n[otp.purposes.login]\ntemplate = \"x\"\nlanguages = [\"en\"]\n",
}

// The values that a schema allows are those that the program takes: each of
// them is taken, and another is refused.
func TestAllowedValues(t *testing.T) {
	for _, of := range []struct {
		name     string
		walk     func(visit func(path string, values []any, list bool))
		problems func(file string) tomlfile.Problems
		least    int
	}{
		{"campaign", func(visit func(string, []any, bool)) { enums(campaignSchema(t), visit) }, func(file string) tomlfile.Problems {
			_, _, problems := campaigns.ParseDefinition("-", []byte(file))
			return problems
		}, 10},
		{"config", func(visit func(string, []any, bool)) { enums(configSchema(t), visit) }, func(file string) tomlfile.Problems { return load(t, file) }, 8},
	} {
		seen := 0
		of.walk(func(path string, values []any, list bool) {
			seen++
			at := regexp.MustCompile(`\[\]`).ReplaceAllString(path, ".0")
			at = strings.ReplaceAll(at, "*", "any")
			refused := func(value any) bool {
				b, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				text := string(b)
				if list {
					text = "[" + text + "]"
				}
				file := nested(path, text)
				if path == "hooks[].mode" {
					return slices.ContainsFunc(of.problems(file).Errors(), func(p tomlfile.Problem) bool { return p.Path == "hooks.0.mode" })
				}
				if in, ok := contexts[path]; ok {
					file = fmt.Sprintf(in, text)
				}
				for _, p := range of.problems(file).Errors() {
					if strings.HasPrefix(p.Path, strings.Split(at, ".")[0]) && strings.Contains(p.Message, fmt.Sprintf("%#v", value)) && !strings.Contains(p.Message, "must be") ||
						p.Path == "version" && strings.Contains(p.Message, " 7 ") {
						return true
					}
				}
				return false
			}
			for _, v := range values {
				if refused(v) {
					t.Errorf("%s: %s allows %v, and the program refuses it", of.name, path, v)
				}
			}
			other := any("nonsense")
			if _, text := values[0].(string); !text {
				other = 7
			}
			if !refused(other) {
				t.Errorf("%s: the program takes %v for %s", of.name, other, path)
			}
		})
		if seen < of.least {
			t.Errorf("%s: only %d keys with allowed values", of.name, seen)
		}
	}
}
