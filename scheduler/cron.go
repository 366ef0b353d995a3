package scheduler

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// yearAhead is how soon a cron expression must fire: a year, leap or not.
const yearAhead = 366 * 24 * time.Hour

// field is one of the five of a cron expression.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, …; nil if numbers only
}

var fields = [5]field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of month", 1, 31, nil},
	{"month", 1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
	{"day of week", 0, 6, strings.Fields("SUN MON TUE WED THU FRI SAT")},
}

// macros are refused, with what to write instead.
var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// cronStar is the bit by which cron marks a field that began with *.
const cronStar = 1 << 63

// CheckCron says whether an expression of five fields can be used. It refuses
// time zones and macros inside of it, values and steps out of range, and days
// that do not exist (31 February). Whether it fires soon enough depends on the
// day, and is Spec.Check's question.
func CheckCron(expr string) (warnings []string, err error) {
	sched, err := parseCron(expr)
	if err != nil {
		return nil, err
	}
	if sched.Dom&cronStar == 0 && sched.Dow&cronStar == 0 {
		warnings = append(warnings, fmt.Sprintf("%q gives a day of month and a day of week: it fires when either of them matches", expr))
	}
	const nextButLeap = 2001 // from here the next 29 February is three years away
	if first := sched.Next(time.Date(nextButLeap, 1, 1, 0, 0, 0, 0, time.UTC)); first.Year() > nextButLeap {
		warnings = append(warnings, fmt.Sprintf("%q fires on 29 February only: not every year", expr))
	}
	return warnings, nil
}

// parseCron reads an expression that never panics, never fires in another zone,
// and fires at some time.
func parseCron(expr string) (sched *cron.SpecSchedule, err error) {
	if err := checkFields(expr); err != nil {
		return nil, fmt.Errorf("cron %q: %w", expr, err)
	}
	defer func() { // the parser has panicked on text before
		if p := recover(); p != nil {
			sched, err = nil, fmt.Errorf("cron %q: cannot be read", expr)
		}
	}()
	parsed, err := cronParser.Parse(expr)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w", expr, err)
	}
	sched, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("cron %q: cannot be read as five fields", expr)
	}
	sched.Location = time.UTC // civil time, where no hour is lost or doubled
	if sched.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("cron %q: never fires: no month it names has such a day", expr)
	}
	return sched, nil
}

// checkFields is stricter than the parser, which takes +5, *-3, */70 and 1,,2,
// and panics on a time zone without a space.
func checkFields(expr string) error {
	for _, r := range expr {
		if r != '\t' && (r < ' ' || r > '~') {
			return fmt.Errorf("the character %q does not belong into a cron expression", r)
		}
	}
	expr = strings.TrimSpace(expr)
	if strings.Contains(expr, "=") {
		return fmt.Errorf("a time zone does not belong into the expression; write it as the schedule's timezone")
	}
	if strings.HasPrefix(expr, "@") {
		if instead, ok := macros[strings.ToLower(expr)]; ok {
			return fmt.Errorf("macros are not accepted; write %q", instead)
		}
		return fmt.Errorf("macros are not accepted; write five fields: minute, hour, day of month, month, day of week")
	}
	parts := strings.Fields(expr)
	if len(parts) != len(fields) {
		hint := ""
		if len(parts) == 6 {
			hint = " (there is no field for seconds)"
		}
		return fmt.Errorf("has %d fields; write five: minute, hour, day of month, month, day of week%s", len(parts), hint)
	}
	for i, part := range parts {
		for item := range strings.SplitSeq(part, ",") {
			if err := fields[i].check(item); err != nil {
				return fmt.Errorf("%s: %w", fields[i].name, err)
			}
		}
	}
	return nil
}

// check accepts *, a value, a range, and each of them with a step.
func (f field) check(item string) error {
	switch {
	case item == "":
		return fmt.Errorf("a value is missing; is there a comma too many?")
	case strings.Contains(item, "?"):
		return fmt.Errorf("? is not accepted; write *")
	}
	base, stepText, stepped := strings.Cut(item, "/")
	low, high, ranged := strings.Cut(base, "-")
	from, to := f.min, f.max
	var err error
	if base != "*" {
		if from, err = f.value(low); err != nil {
			return err
		}
		if ranged {
			if to, err = f.value(high); err != nil {
				return err
			}
			if to < from {
				return fmt.Errorf("the range %s runs backwards; write it as two, with a comma", base)
			}
		}
	}
	if !stepped {
		return nil
	}
	step, err := number(stepText)
	if err != nil || step == 0 {
		return fmt.Errorf("the step %q is not a number above 0", stepText)
	}
	if step > to-from {
		return fmt.Errorf("the step %d is larger than the range %d-%d, so only %d would be left; write that", step, from, to, from)
	}
	return nil
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	switch {
	case err != nil && f.names != nil:
		return 0, fmt.Errorf("%q is neither a number from %d to %d nor one of %s", text, f.min, f.max, strings.Join(f.names, " "))
	case err != nil:
		return 0, fmt.Errorf("%q is not a number from %d to %d", text, f.min, f.max)
	case f.max == 6 && n == 7:
		return 0, fmt.Errorf("7 is not a day here; Sunday is 0 or SUN")
	case n < f.min || n > f.max:
		return 0, fmt.Errorf("%d is not between %d and %d", n, f.min, f.max)
	}
	return n, nil
}

// number reads up to three digits, and nothing else.
func number(text string) (int, error) {
	if len(text) == 0 || len(text) > 3 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}
