package campaigns

import (
	"time"

	toml "github.com/pelletier/go-toml/v2"

	"janela/internal/whatsapp"
	"janela/scheduler"
)

// Definition is a campaign file as it was read, with the defaults filled in.
// docs/campaign-file.md says what each key means.
type Definition struct {
	Version    int               `toml:"version" jsonschema:"enum=1"`
	ID         string            `toml:"id" jsonschema:"required,pattern=^[a-z0-9][a-z0-9-]*$,maxLength=64"`
	Title      string            `toml:"title"`
	Category   whatsapp.Category `toml:"category" jsonschema:"required,enum=marketing,enum=utility"` // marketing or utility
	From       string            `toml:"from"`                                                       // a number's name; "" when config.toml has only one
	DryRun     bool              `toml:"dry_run"`
	Tags       []string          `toml:"tags"`
	Template   Template          `toml:"template" jsonschema:"required"`
	Recipients Recipients        `toml:"recipients" jsonschema:"required"`
	Schedule   Schedule          `toml:"schedule" jsonschema:"required"`
	Missed     Missed            `toml:"missed"`
	Throttle   Throttle          `toml:"throttle"`
	Guard      Guard             `toml:"guard"`
	Approval   Approval          `toml:"approval"`

	judged bool // the file could be read as TOML
}

// Template says which template is sent, and where its values come from.
type Template struct {
	Name          string      `toml:"name" jsonschema:"required"`
	Language      string      `toml:"language" jsonschema:"required"`                                  // as the API writes it, pt_BR
	OnNotApproved string      `toml:"on_not_approved" jsonschema:"enum=wait,enum=skip,enum=fail"`      // Wait, Skip or Fail
	ProductPolicy string      `toml:"product_policy" jsonschema:"enum=strict,enum=cloud_api_fallback"` // "": as config.toml has marketing sent
	Header        *Header     `toml:"header"`                                                          // nil: none, or one without a value
	Body          []Parameter `toml:"body"`                                                            // in the template's order, or all named
	Buttons       []Button    `toml:"buttons"`
	Offer         *Offer      `toml:"limited_time_offer"`
	Cards         []Card      `toml:"cards"` // of a carousel, in the template's order
}

// Offer is when a limited-time offer ends: for everybody, or for each row.
type Offer struct {
	ExpiresAt *toml.LocalDateTime `toml:"expires_at"`
	Column    string              `toml:"column"` // a date or date-time, as in recipients.expires_column
}

// Card is one card of a carousel. Its header is an image or a video.
type Card struct {
	Header  *CardHeader `toml:"header" jsonschema:"required"`
	Body    []Parameter `toml:"body"`
	Buttons []Button    `toml:"buttons"` // by index within the card
}

// CardHeader is the file that a card shows.
type CardHeader struct {
	Type  whatsapp.HeaderType `toml:"type" jsonschema:"required,enum=image,enum=video"`
	Media Media               `toml:"media" jsonschema:"required"`
}

// The policies of a campaign that goes by the Marketing Messages API.
const (
	PolicyStrict   = "strict"
	PolicyFallback = "cloud_api_fallback"
)

// What to do with messages whose template is not approved.
const (
	NotApprovedWait = "wait"
	NotApprovedSkip = "skip"
	NotApprovedFail = "fail"
)

// Parameter is one value of a template: a column of the audience or a constant.
type Parameter struct {
	Named     string   `toml:"named"` // the parameter's name; "" where the template counts
	Column    string   `toml:"column"`
	Value     *string  `toml:"value"`   // constant: the same for every row
	Default   *string  `toml:"default"` // for an empty cell; nil: such a row is refused
	Transform []string `toml:"transform" jsonschema:"enum=trim,enum=title,enum=upper,enum=lower,enum=spaces,enum=brl"`
	MaxLength int      `toml:"max_length" jsonschema:"minimum=1"` // in characters; 0: only Meta's limit
}

// Header is the value of the template's header: a text, a file, or a place.
type Header struct {
	Type     whatsapp.HeaderType `toml:"type" jsonschema:"required,enum=text,enum=image,enum=video,enum=document,enum=location"`
	Media    Media               `toml:"media"` // for image, video and document
	Location *Location           `toml:"location"`
	Parameter
}

// Media is a file beside the definition, or in the table form,
// media = { column = … }, a column of links.
type Media struct {
	File    string
	Column  string  `toml:"column"`
	Default *string `toml:"default"` // a link, for an empty cell; nil: such a row is refused
}

// Location is where the header's map points.
type Location struct {
	Latitude  Place  `toml:"latitude" jsonschema:"required"` // degrees, as text: "-23.5505"
	Longitude Place  `toml:"longitude" jsonschema:"required"`
	Name      *Place `toml:"name"`
	Address   *Place `toml:"address"`
}

// Place is one value of a location: a column or a constant.
type Place struct {
	Column  string  `toml:"column"`
	Value   *string `toml:"value"`
	Default *string `toml:"default"`
}

// UnmarshalText takes the file's name.
func (m *Media) UnmarshalText(text []byte) error {
	m.File = string(text)
	return nil
}

// Button is the value of one button.
type Button struct {
	Index *int       `toml:"index" jsonschema:"required,minimum=0,maximum=9"` // from 0, over all buttons of the template
	Type  ButtonType `toml:"type" jsonschema:"required,enum=url,enum=quick_reply,enum=copy_code"`
	Parameter
}

// Recipients is the audience: a CSV file and which of its columns mean what.
type Recipients struct {
	File               string   `toml:"file" jsonschema:"required"` // may hold {{date}}
	PhoneColumn        string   `toml:"phone_column" jsonschema:"required"`
	DefaultRegion      string   `toml:"default_region"` // ISO 3166-1, for numbers without a plus
	ExternalIDColumn   string   `toml:"external_id_column"`
	ExpiresColumn      string   `toml:"expires_column"`
	OncePer            []string `toml:"once_per"`
	Duplicates         string   `toml:"duplicates" jsonschema:"enum=first,enum=last,enum=fail"`  // First, Last or Fail
	MaxRejectedPercent float64  `toml:"max_rejected_percent" jsonschema:"minimum=0,maximum=100"` // 0 to 100, of unusable rows
}

// Which of several rows for one person counts.
const (
	DuplicatesFirst = "first"
	DuplicatesLast  = "last"
	DuplicatesFail  = "fail"
)

// Schedule says when: once (At) or again and again (Cron). Times are civil, in
// the zone that Definition.Zone returns.
type Schedule struct {
	At        *toml.LocalDateTime `toml:"at"`
	Cron      string              `toml:"cron"`
	Timezone  string              `toml:"timezone"`
	Windows   []Window            `toml:"windows" jsonschema:"maxItems=100"`
	EndsAt    *toml.LocalDateTime `toml:"ends_at"`
	SkipDates []toml.LocalDate    `toml:"skip_dates"`
}

// Window is [From, To) of local time on some days.
type Window struct {
	Days []string        `toml:"days" jsonschema:"enum=mon,enum=tue,enum=wed,enum=thu,enum=fri,enum=sat,enum=sun"` // mon … sun; none: every day
	From *toml.LocalTime `toml:"from"`                                                                             // nil: midnight
	To   *toml.LocalTime `toml:"to"`                                                                               // nil: the end of the day
}

// Missed says what happens to firings that could not start in time.
type Missed struct {
	Policy      scheduler.Missed `toml:"policy" jsonschema:"enum=run_once,enum=skip,enum=run_all"`
	MaxLateness time.Duration    `toml:"max_lateness"`
}

// Throttle is the campaign's own speed limit, below the number's.
type Throttle struct {
	PerSecond float64 `toml:"per_second" jsonschema:"exclusiveMinimum=0"` // 0: none of its own
	PerDay    int64   `toml:"per_day" jsonschema:"minimum=1"`             // messages on a local day, over all runs; 0: no limit
	Ramp      *Ramp   `toml:"ramp"`                                       // nil: at once
}

// Ramp is a slow beginning of each run.
type Ramp struct {
	StartPerSecond float64       `toml:"start_per_second" jsonschema:"required,exclusiveMinimum=0"`
	DoubleEvery    time.Duration `toml:"double_every" jsonschema:"required"`
}

// Guard pauses the campaign when its run goes badly.
type Guard struct {
	MaxFailedPercent  *float64 `toml:"max_failed_percent" jsonschema:"minimum=0,maximum=100"`          // nil: not watched
	MaxBlockedPercent *float64 `toml:"max_blocked_by_user_percent" jsonschema:"minimum=0,maximum=100"` // nil: not watched
	MinSample         int64    `toml:"min_sample" jsonschema:"minimum=1"`                              // messages before a percentage counts
	PauseOnQuality    string   `toml:"pause_on_quality" jsonschema:"enum=yellow,enum=red"`             // of the number: yellow or red; "" not watched
}

// Set reports whether the guard watches anything.
func (g *Guard) Set() bool {
	return g.MaxFailedPercent != nil || g.MaxBlockedPercent != nil || g.PauseOnQuality != ""
}

// DefaultMinSample stands in for a min_sample left out.
const DefaultMinSample = 200

// Ratings of a number at which a campaign can be paused.
const (
	QualityYellow = "yellow"
	QualityRed    = "red"
)

// Approval names the numbers that get the message before anybody else.
type Approval struct {
	TestNumbers []string         `toml:"test_numbers"`
	Phones      []whatsapp.Phone `toml:"-"` // the same, read
}

// DefaultMaxRejectedPercent stands in for a max_rejected_percent left out.
const DefaultMaxRejectedPercent = 5.0

// Zone returns the zone of the campaign's civil times: its own, else the one
// given, which is config.toml's. "" when neither is set.
func (d *Definition) Zone(fallback string) string {
	if d.Schedule.Timezone != "" {
		return d.Schedule.Timezone
	}
	return fallback
}

// Spec returns the schedule as the scheduler takes it; fallback is the zone of
// config.toml.
func (d *Definition) Spec(fallback string) scheduler.Spec {
	s := scheduler.Spec{
		Cron: d.Schedule.Cron, Zone: d.Zone(fallback),
		Missed: d.Missed.Policy, MaxLateness: d.Missed.MaxLateness,
	}
	if d.Schedule.At != nil {
		s.At = civil(*d.Schedule.At)
	}
	if d.Schedule.EndsAt != nil {
		s.EndsAt = civil(*d.Schedule.EndsAt)
	}
	for _, date := range d.Schedule.SkipDates {
		s.SkipDates = append(s.SkipDates, date.String())
	}
	return s
}

// civil writes a local time as the scheduler reads it.
func civil(t toml.LocalDateTime) string { return t.AsTime(time.UTC).Format("2006-01-02T15:04:05") }

// Columns returns the columns of the audience that the definition uses, each
// with the path of the key that names it, in the order of the table of keys.
func (d *Definition) Columns() []ColumnUse {
	var out []ColumnUse
	add := func(path, name string) {
		if name != "" {
			out = append(out, ColumnUse{Path: path, Name: name})
		}
	}
	d.Template.columns(add)
	add("recipients.phone_column", d.Recipients.PhoneColumn)
	add("recipients.external_id_column", d.Recipients.ExternalIDColumn)
	add("recipients.expires_column", d.Recipients.ExpiresColumn)
	for i, c := range d.Recipients.OncePer {
		add(item("recipients.once_per", i, ""), c)
	}
	return out
}

// ColumnUse is a column's name as the definition writes it, and where.
type ColumnUse struct{ Path, Name string }
