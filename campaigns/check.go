package campaigns

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"janela/internal/csvfile"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

// CheckEnv is what a definition is checked against. What it does not know is
// reported as a warning that begins with "not checked:".
type CheckEnv struct {
	Now         time.Time
	DefaultZone string   // config.toml's; "" for none
	Numbers     []string // the names of the numbers in config.toml; nil: it was not read

	// Template looks up a template on the account of the definition's number;
	// known is false when templates cannot be looked up. nil: never known.
	Template func(name, language string) (facts TemplateFacts, known bool)

	// Dir is the folder of the definition, in which its files lie; "": they
	// are not looked at.
	Dir string
	// Header is the header of the audience; nil: it is read from the file.
	Header []string

	// Planned says that the schedule is in force already: a date in the past
	// is then the missed policy's business.
	Planned bool
	// Siblings are the other definitions of the folder: their files, by id.
	Siblings map[string][]string
}

// TemplateFacts is what Meta last said of a template.
type TemplateFacts struct {
	Found           bool
	Status          whatsapp.TemplateStatus
	Category        whatsapp.Category // in any case
	ParameterFormat string
	Components      string   // JSON, as Meta returns it
	OtherLanguages  []string // in which a template of the name exists, when not found
}

// Check judges a definition against the world: numbers, templates, files and
// the calendar. def and doc are ParseDefinition's; its problems are not
// repeated. Every problem is listed, in the order of the file.
func Check(def *Definition, doc *tomlfile.Document, env CheckEnv) tomlfile.Problems {
	if !def.judged { // a syntax fault: there is nothing to judge
		return nil
	}
	c := &outside{checker: newChecker(def, doc, nil), env: env}
	c.siblings()
	c.number()
	c.templateFacts()
	c.media()
	c.audience()
	c.calendar()
	c.problems.Sort()
	return c.problems
}

// outside is a checker that knows the world.
type outside struct {
	*checker
	env CheckEnv
}

func (c *outside) unchecked(path, what, why string) {
	c.warn(path, "not checked: "+what, why)
}

func (c *outside) siblings() {
	if files := c.env.Siblings[c.def.ID]; c.def.ID != "" && len(files) > 0 {
		files = slices.Sorted(slices.Values(files))
		c.fault("id", fmt.Sprintf("the id %q is also that of %s", c.def.ID, strings.Join(files, ", ")), "none of them starts; give each its own id")
	}
}

func (c *outside) number() {
	name, known := c.def.From, c.env.Numbers
	switch {
	case known == nil:
		c.unchecked("from", "number", "config.toml was not read")
	case len(known) == 0:
		c.fault("from", "there is no number to send from", "add one to config.toml")
	case name == "" && !c.doc.Has("from") && len(known) > 1:
		c.fault("from", `"from" is missing`, "there are several numbers: "+nameList(known))
	case name == "" || slices.Contains(known, name):
	default:
		hint := "config.toml has " + nameList(known)
		if near := tomlfile.Suggest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		c.fault("from", fmt.Sprintf("there is no number %q in config.toml", name), hint)
	}
}

// media looks at the files that messages show.
func (c *outside) media() {
	for _, m := range c.def.Files() {
		if !(&checker{def: c.def, doc: c.doc, faulty: map[string]bool{}}).filePath(m.Path, m.Name) {
			continue
		}
		if _, err := MediaTypeOf(m.Type, m.Name); err == nil {
			c.openMedia(m)
		}
	}
}

func (c *outside) openMedia(m MediaFile) {
	if c.env.Dir == "" {
		c.unchecked(m.Path, "file", "the campaign's folder is not known")
		return
	}
	f, _, err := OpenMedia(c.env.Dir, m)
	if err == nil {
		f.Close()
		return
	}
	var why *FileError
	if errors.As(err, &why) {
		c.fault(m.Path, why.Name+": "+why.Message, why.Hint)
	}
}

// audience looks at the columns of the CSV file.
func (c *outside) audience() {
	header := c.env.Header
	if header == nil {
		header = c.readHeader()
	}
	if header == nil {
		if !c.doc.Has("recipients.phone_column") {
			c.missing("recipients.phone_column", "name the column that holds the numbers")
		}
		return
	}
	columns := NewColumns(header)
	if !c.doc.Has("recipients.phone_column") {
		hint := "the audience has " + nameList(header)
		if near := columns.PhoneCandidates(); len(near) > 0 {
			hint = "name the column that holds the numbers: " + orList(near)
		}
		c.missing("recipients.phone_column", hint)
	}
	for _, use := range c.def.Columns() {
		var why *ColumnError
		if _, err := columns.Find(use.Name); errors.As(err, &why) {
			c.fault(use.Path, why.Message, why.Hint)
		}
	}
}

// readHeader returns the header of the audience's file, nil when there is none
// to read. Of a dated file it is today's; a file that a later run will find is
// no fault.
func (c *outside) readHeader() []string {
	const path = "recipients.file"
	name := c.def.Recipients.File
	if name == "" || !(&checker{def: c.def, doc: c.doc, faulty: map[string]bool{}}).filePath(path, strings.ReplaceAll(name, datePlaceholder, "")) {
		return nil
	}
	if c.env.Dir == "" {
		c.unchecked(path, "columns", "the campaign's folder is not known")
		return nil
	}
	if c.def.Recipients.Dated() {
		loc, err := time.LoadLocation(c.def.Zone(c.env.DefaultZone))
		if err != nil {
			loc = time.UTC
		}
		name = c.def.Recipients.FileOn(c.env.Now.In(loc))
	}
	f, err := OpenFile(c.env.Dir, name)
	var audience *Audience
	if err == nil {
		audience, err = OpenAudienceFile(f)
	}
	var missing *FileError
	var unusable *csvfile.Error
	switch {
	case err == nil:
		defer audience.Close()
		return slices.Clone(audience.Header)
	case errors.As(err, &missing) && missing.Missing && c.def.Schedule.Cron != "":
		c.unchecked(path, "columns", name+" is not there; a run without its file is missed")
	case errors.As(err, &missing):
		c.fault(path, missing.Name+": "+missing.Message, missing.Hint)
	case errors.As(err, &unusable):
		message := unusable.Message
		if unusable.Line > 0 {
			message = fmt.Sprintf("line %d: %s", unusable.Line, message)
		}
		c.fault(path, name+": "+message, unusable.Hint)
	default:
		c.fault(path, name+": cannot be read: "+cause(err), "")
	}
	return nil
}

// calendar puts the schedule on the calendar of its zone.
func (c *outside) calendar() {
	d := c.def
	zone := d.Zone(c.env.DefaultZone)
	switch {
	case d.Schedule.At == nil && d.Schedule.Cron == "" || c.doc.Has("schedule.timezone") && d.Schedule.Timezone == "":
		return // a fault already
	case zone == "" && c.env.Numbers == nil:
		c.unchecked("schedule.timezone", "schedule", "it has no timezone, and config.toml was not read")
		return
	case zone == "":
		c.fault("schedule.timezone", "the schedule has no time zone", `write timezone = "America/Sao_Paulo", or set it for all campaigns in config.toml`)
		return
	case !knownZone(zone):
		c.fault("schedule.timezone", fmt.Sprintf("config.toml's time zone %q is not known", zone), `write an IANA name such as "America/Sao_Paulo"`)
		return
	}
	if d.Schedule.At != nil {
		c.date(zone)
	} else {
		c.series(zone)
	}
	c.offerEnds(zone)
}

// date checks a single date.
func (c *outside) date(zone string) {
	const path = "schedule.at"
	at := civil(*c.def.Schedule.At)
	instant, warnings, err := scheduler.CheckAt(at, zone, c.env.Now)
	if err != nil {
		c.fault(path, err.Error(), "")
		return
	}
	late := c.env.Now.Sub(instant)
	if late > 0 { // said below, in the words of the missed policy
		_, warnings, _ = scheduler.CheckAt(at, zone, instant)
	}
	for _, w := range warnings {
		c.warn(path, w, "")
	}
	if c.env.Planned {
		return
	}
	missed := c.def.Missed
	switch past := late.Truncate(time.Second); {
	case late <= 0:
	case late > missed.MaxLateness:
		c.fault(path, fmt.Sprintf("%s is in the past by %s, more than max_lateness (%s)", at, past, missed.MaxLateness), "choose a time to come")
	case missed.Policy == scheduler.Skip && late > time.Minute:
		c.warn(path, fmt.Sprintf("%s is in the past by %s and will be skipped", at, past), `choose a time to come, or write missed.policy = "run_once"`)
	default:
		c.warn(path, fmt.Sprintf("%s is in the past by %s; it runs at once", at, past), "")
	}
	windows, sound := c.windows()
	if !sound || windows.Open(instant) {
		return
	}
	c.outsideWindows(path, at, windows, instant)
}

// series checks a cron expression.
func (c *outside) series(zone string) {
	const path = "schedule.cron"
	spec := c.def.Spec(c.env.DefaultZone)
	if _, err := scheduler.CheckCron(spec.Cron); err != nil {
		return // a fault already
	}
	if _, err := spec.Check(c.env.Now); err != nil {
		c.fault(path, err.Error(), "")
		return
	}
	windows, sound := c.windows()
	if !sound || windows.Always() {
		return
	}
	const piece = 500
	end := c.env.Now.AddDate(1, 0, 1)
	for from := c.env.Now; ; {
		slots, err := spec.Upcoming(from, piece)
		if err != nil || len(slots) == 0 {
			break
		}
		if slices.ContainsFunc(slots, func(s scheduler.Slot) bool { return windows.Open(s.DueAt) }) {
			return
		}
		if from = slots[len(slots)-1].DueAt; from.After(end) || len(slots) < piece {
			break
		}
	}
	first, err := spec.Upcoming(c.env.Now, 1)
	if err != nil || len(first) == 0 {
		return
	}
	c.outsideWindows(path, "no firing", windows, first[0].DueAt)
}

// outsideWindows faults a schedule that never falls into its windows.
func (c *outside) outsideWindows(path, what string, windows Windows, at time.Time) {
	hint := "move it, or widen the windows"
	if opens, ok := windows.Next(at); ok {
		if loc, err := time.LoadLocation(windows.Zone); err == nil {
			hint = fmt.Sprintf("the next window opens on %s; %s", opens.In(loc).Format("Mon 2006-01-02 at 15:04"), hint)
		}
	}
	message := what + " is outside every window"
	if what == "no firing" {
		message = "no firing is inside a window"
	}
	c.fault(path, message, hint)
}

// windows returns the definition's windows; sound is false when one of them has
// a fault.
func (c *outside) windows() (w Windows, sound bool) {
	inside := &checker{def: c.def, doc: c.doc, faulty: map[string]bool{}}
	for i := range c.def.Schedule.Windows {
		inside.window(item("schedule.windows", i, ""), &c.def.Schedule.Windows[i])
	}
	return c.def.Windows(c.env.DefaultZone), !inside.problems.HasErrors()
}
