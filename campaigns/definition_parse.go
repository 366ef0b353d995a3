package campaigns

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	toml "github.com/pelletier/go-toml/v2"

	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

// MaxDefinition is how many bytes a definition may have.
const MaxDefinition = 1 << 20

// ParseDefinition reads a campaign file and judges everything that needs no
// knowledge from outside it; Check does the rest. name is the file's path: it
// stands in the problems, and the id is compared with it. The Definition is
// never nil and holds what could be read; it may be used only when the problems
// have no errors.
func ParseDefinition(name string, data []byte) (*Definition, *tomlfile.Document, tomlfile.Problems) {
	d := &Definition{Version: 1}
	d.Recipients.MaxRejectedPercent = DefaultMaxRejectedPercent
	d.Guard.MinSample = DefaultMinSample
	if len(data) > MaxDefinition {
		doc, _ := tomlfile.Decode(name, nil, d)
		return d, doc, tomlfile.Problems{{
			File: name, Line: 1, Column: 1,
			Message: fmt.Sprintf("the file has %d bytes; a definition has at most %d", len(data), MaxDefinition),
			Hint:    "people belong in the CSV file",
		}}
	}
	doc, problems := tomlfile.Decode(name, data, d, tomlfile.Reserved(reserved))
	if len(problems) == 1 && problems[0].Path == "" { // of syntax or encoding: nothing was read
		return d, doc, problems
	}
	d.judged = true
	c := newChecker(d, doc, problems)
	c.identity(name)
	c.template()
	c.recipients()
	c.schedule()
	c.rest()
	d.fillDefaults()
	c.problems.Sort()
	return d, doc, c.problems
}

func (d *Definition) fillDefaults() {
	if d.Template.OnNotApproved == "" {
		d.Template.OnNotApproved = NotApprovedWait
	}
	if d.Recipients.Duplicates == "" {
		d.Recipients.Duplicates = DuplicatesFirst
	}
	if d.Missed.Policy == "" {
		d.Missed.Policy = scheduler.RunOnce
		if d.Category == whatsapp.Marketing {
			d.Missed.Policy = scheduler.Skip
		}
	}
	if d.Missed.MaxLateness == 0 {
		d.Missed.MaxLateness = scheduler.DefaultMaxLateness
	}
}

// maxProblems is how many problems of one definition are listed.
const maxProblems = 1000

// checker gathers the problems of one definition.
type checker struct {
	def      *Definition
	doc      *tomlfile.Document
	problems tomlfile.Problems
	faulty   map[string]bool // paths that have an error
}

func newChecker(def *Definition, doc *tomlfile.Document, known tomlfile.Problems) *checker {
	c := &checker{def: def, doc: doc, problems: known, faulty: make(map[string]bool)}
	for _, p := range known.Errors() {
		c.faulty[p.Path] = true
	}
	return c
}

func (c *checker) fault(path, message, hint string) {
	c.faulty[path] = true
	c.add(c.doc.Problem(path, message, hint))
}

func (c *checker) warn(path, message, hint string) { c.add(c.doc.Warning(path, message, hint)) }

func (c *checker) add(p tomlfile.Problem) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, p)
	}
}

// missing faults a key that is not written. One that is written wrongly has its
// fault already.
func (c *checker) missing(path, hint string) {
	if !c.doc.Has(path) {
		c.fault(path, fmt.Sprintf("%q is missing", path), hint)
	}
}

// empty faults a key that is written as an empty text.
func (c *checker) empty(path, value, hint string) bool {
	if c.typed(path) && strings.TrimSpace(value) == "" {
		c.fault(path, fmt.Sprintf("%q is empty", path), hint)
		return true
	}
	return false
}

// typed reports whether a key is written and nothing is wrong with it so far.
func (c *checker) typed(path string) bool { return !c.faulty[path] && c.doc.Has(path) }

// oneOf checks a key with a few known values. Empty means not written.
func (c *checker) oneOf(path, value string, known ...string) {
	if !c.typed(path) || slices.Contains(known, value) {
		return
	}
	hint := "write " + orList(known)
	if near := tomlfile.Suggest(value, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.fault(path, fmt.Sprintf("%q is not a value of %q", value, path), hint)
}

// item returns the path of a key in a list of tables.
func item(list string, i int, key string) string {
	path := fmt.Sprintf("%s.%d", list, i)
	if key != "" {
		path += "." + key
	}
	return path
}

func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func (c *checker) identity(name string) {
	d := c.def
	if c.typed("version") && d.Version != 1 {
		c.fault("version", fmt.Sprintf("version %d is not known", d.Version), "this janela reads version = 1")
	}
	want, where := IDFromPath(name)
	hint := `write id = "black-friday-2026"`
	if idPattern.MatchString(want) {
		hint = fmt.Sprintf("write id = %q, the name of the %s", want, where)
	}
	switch {
	case !c.typed("id"):
		c.missing("id", hint)
	case !idPattern.MatchString(d.ID):
		c.fault("id", fmt.Sprintf("%q is no id: small letters, digits and hyphens, at most 64, not a hyphen first", d.ID), hint)
	case want != "" && !idPattern.MatchString(want):
		c.fault("id", fmt.Sprintf("the id %q differs from %q, the name of the %s", d.ID, want, where),
			fmt.Sprintf("rename the %s to %q", where, d.ID))
	case want != "" && d.ID != want:
		c.fault("id", fmt.Sprintf("the id %q differs from %q, the name of the %s", d.ID, want, where), "make them the same; for a new campaign, a new name for both")
	}

	switch {
	case !c.typed("category"):
		c.missing("category", `write category = "marketing" or "utility"`)
	case d.Category == whatsapp.Authentication:
		c.fault("category", "campaigns do not send one-time codes", "ask for codes over HTTP: docs/api.md")
	default:
		c.oneOf("category", string(d.Category), string(whatsapp.Marketing), string(whatsapp.Utility))
	}
	c.empty("from", d.From, "write the number's name in config.toml")
	for i, tag := range d.Tags {
		c.empty(item("tags", i, ""), tag, "take it out")
	}
}

// IDFromPath returns the id that a definition at a path must have, and what
// carries it: "folder" for <id>/campaign.toml, else "file". Both are "" when
// the path tells nothing.
func IDFromPath(path string) (id, where string) {
	base := baseName(path)
	stem, ok := strings.CutSuffix(base, ".toml")
	switch {
	case !ok || stem == "":
		return "", ""
	case base != "campaign.toml":
		return stem, "file"
	}
	folder := baseName(filepath.Dir(path))
	if folder == "." || folder == ".." || folder == "/" {
		return "", ""
	}
	return folder, "folder"
}

func baseName(path string) string { return filepath.Base(filepath.ToSlash(path)) }

func (c *checker) recipients() {
	r := &c.def.Recipients
	switch {
	case !c.typed("recipients.file"):
		c.missing("recipients.file", `write file = "recipients.csv", a file beside this one`)
	default:
		c.filePath("recipients.file", strings.ReplaceAll(r.File, datePlaceholder, "2026-11-27"))
	}
	if c.typed("recipients.default_region") {
		r.DefaultRegion = strings.ToUpper(strings.TrimSpace(r.DefaultRegion))
		if !knownRegion(r.DefaultRegion) {
			c.fault("recipients.default_region", fmt.Sprintf("%q is no country", r.DefaultRegion), `write its code of two letters: "BR"`)
		}
	}
	c.empty("recipients.phone_column", r.PhoneColumn, "name the column that holds the numbers")
	c.empty("recipients.external_id_column", r.ExternalIDColumn, "leave the key out")
	if c.typed("recipients.expires_column") && strings.TrimSpace(r.ExpiresColumn) == "" {
		r.ExpiresColumn = "" // as in the examples that people copy
	}
	seen := map[string]bool{}
	for i, name := range r.OncePer {
		path := item("recipients.once_per", i, "")
		if c.empty(path, name, "take it out") || !c.typed(path) {
			continue
		}
		if folded := foldColumn(name); seen[folded] {
			c.fault(path, fmt.Sprintf("the column %q stands twice in once_per", name), "keep one")
		} else {
			seen[folded] = true
		}
	}
	if c.typed("recipients.once_per") && len(r.OncePer) == 0 {
		c.fault("recipients.once_per", "once_per names no column", "leave the key out, or name the columns that make a notice unique")
	}
	c.oneOf("recipients.duplicates", r.Duplicates, DuplicatesFirst, DuplicatesLast, DuplicatesFail)
	if p := r.MaxRejectedPercent; p < 0 || p > 100 {
		c.fault("recipients.max_rejected_percent", fmt.Sprintf("max_rejected_percent is %v", p), "write a number from 0 to 100")
	}
}

// knownRegion asks the number reader: it refuses a region before it looks at
// the digits.
func knownRegion(region string) bool {
	_, err := whatsapp.ParsePhone("1234567", region)
	var why *whatsapp.PhoneError
	return len(region) == 2 && (!errors.As(err, &why) || why.Kind != whatsapp.PhoneNoRegion)
}

func shortHours(d time.Duration) string { return fmt.Sprintf("%dh", int(d.Hours())) }

func (c *checker) rest() {
	d := c.def
	c.oneOf("missed.policy", string(d.Missed.Policy), string(scheduler.RunOnce), string(scheduler.Skip), string(scheduler.RunAll))
	if c.typed("missed.policy") && d.Missed.Policy == scheduler.RunAll && d.Schedule.At != nil {
		c.fault("missed.policy", "run_all is for schedules that fire again and again; at fires once", `write "run_once" or "skip"`)
	}
	most := 366 * 24 * time.Hour
	if d.Schedule.At != nil {
		most *= 10 // a single date has no series of missed ones behind it
	}
	if c.typed("missed.max_lateness") && (d.Missed.MaxLateness <= 0 || d.Missed.MaxLateness > most) {
		c.fault("missed.max_lateness", fmt.Sprintf("max_lateness is %s", d.Missed.MaxLateness), fmt.Sprintf(`write a duration above 0, at most %s: "2h"`, shortHours(most)))
	}
	c.pacing()
	c.guard()
	seen := map[whatsapp.Phone]int{}
	for i, text := range d.Approval.TestNumbers {
		path := item("approval.test_numbers", i, "")
		if !c.typed(path) {
			continue
		}
		p, err := whatsapp.ParsePhone(text, d.Recipients.DefaultRegion)
		if err != nil {
			c.fault(path, "the test number cannot be used", phoneReject(0, err).Detail)
			continue
		}
		if first, twice := seen[p.Phone]; twice {
			c.fault(path, fmt.Sprintf("the test number is the same as number %d of the list", first+1), "take it out")
			continue
		}
		seen[p.Phone] = i
		for _, repair := range p.Repairs {
			c.warn(path, repair, "write the number in full")
		}
		d.Approval.Phones = append(d.Approval.Phones, p.Phone)
	}
}

// sameDay reports whether a civil time lies on a date.
func sameDay(t toml.LocalDateTime, d toml.LocalDate) bool { return t.LocalDate == d }
