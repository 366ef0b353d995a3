package campaigns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/scheduler"
)

// ErrUnsynced says that nothing can be planned before templates are known.
var ErrUnsynced = errors.New("Meta has not been asked for templates yet; try again in a moment")

// PlanOptions says how a plan is made.
type PlanOptions struct {
	Now     time.Time // zero: the database's
	Rejects io.Writer // gets every unusable row as CSV: line;reason;detail. nil: none
}

// Plan is what a definition would do if nothing changed until it fires. Go,
// Refused and Rejected add up to Rows.
type Plan struct {
	Campaign     string            `json:"campaign"`
	Hash         string            `json:"hash"` // what an approval names
	Category     whatsapp.Category `json:"category"`
	Template     string            `json:"template"`
	Language     string            `json:"language"`
	Number       string            `json:"number"` // its name in config.toml
	Rows         int64             `json:"rows"`
	Go           int64             `json:"go"`
	Refused      map[string]int64  `json:"refused"`  // by reason: no_opt_in, opted_out, …
	Rejected     map[string]int64  `json:"rejected"` // rows that are no message, by reason; duplicates among them
	Waits        []string          `json:"waits"`    // what stops it now, in words
	FirstSend    time.Time         `json:"first_send"`
	LastSend     time.Time         `json:"last_send"`
	PerSecond    float64           `json:"per_second"`
	ByCountry    map[string]int64  `json:"by_country"` // ISO 3166-1 of those who would get it; "" unknown
	ByCategory   map[string]int64  `json:"by_category"`
	OutsideHours int64             `json:"outside_hours"` // would get it outside 08 to 20 h where their area code lies
	Samples      []Sample          `json:"samples"`
	Approval     string            `json:"approval,omitempty"` // what it waits for; "" for nothing
	Hints        []string          `json:"hints"`
	Windows      string            `json:"windows"`                   // in words
	Limit        *PlanLimit        `json:"messaging_limit,omitempty"` // nil: none is known
}

// PlanLimit is what Meta's messaging limit makes of a plan.
type PlanLimit struct {
	Limit int   `json:"limit"`  // different people in 24 h, over the whole portfolio
	Kept  int   `json:"kept"`   // of them for codes, and for marketing for notices
	Count int   `json:"counts"` // who count now
	New   int64 `json:"new"`    // of those who would get it: who do not count yet when it leaves
}

// Sample is a message as a person would read it.
type Sample struct {
	Line int    `json:"line"`
	To   string `json:"to"` // masked
	Text string `json:"text"`
}

// rateShare is the part of a number's rate that a campaign plans with: the rest
// is for replies, codes and single messages.
const rateShare = 0.8

// CheckFile judges a definition as the daemon would if it lay in the folder. The
// error is for what kept it from judging.
func (c *Campaigns) CheckFile(ctx context.Context, path string) (tomlfile.Problems, error) {
	in, err := c.inspectFile(ctx, path)
	return in.Problems, err
}

// inspectFile is inspect for a file that somebody names.
func (c *Campaigns) inspectFile(ctx context.Context, path string) (inspection, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return inspection{}, err
	}
	data, err := readLimited(path)
	if err != nil {
		return inspection{}, err
	}
	d := drop{Path: path, Dir: filepath.Dir(path), ID: strings.TrimSuffix(filepath.Base(path), ".toml")}
	if filepath.Base(path) == "campaign.toml" {
		d.ID = filepath.Base(d.Dir)
	}
	// A file elsewhere may be the next version of one in the folder; only those
	// in the folder are each other's twins.
	var twins map[string][]string
	look := newWatcher(c.cfg.Folder, 0)
	if s, err := look.look(time.Now()); err == nil && slices.Contains(s.Present, d) {
		twins = others(siblingsByID(s.Present), d)
	}
	planned, err := c.planned(ctx, d.ID)
	if err != nil {
		return inspection{}, err
	}
	return c.inspect(ctx, path, data, twins, planned)
}

// Plan says what a definition would do: how many people would get it, who would
// not and why, and when. It changes nothing. With problems of severity error
// the plan is empty, or says what it could find out.
func (c *Campaigns) Plan(ctx context.Context, path string, opt PlanOptions) (Plan, tomlfile.Problems, error) {
	in, err := c.inspectFile(ctx, path)
	if err != nil {
		return Plan{}, nil, err
	}
	p := newPlan(in)
	if in.Problems.HasErrors() {
		return p, in.Problems, nil
	}
	if !in.Synced {
		return p, in.Problems, ErrUnsynced
	}
	if opt.Now.IsZero() {
		opt.Now = in.at.now
	}
	w := &planWalk{c: c, in: in, opt: opt, plan: &p}
	if err := w.all(ctx); err != nil {
		return p, in.Problems, err
	}
	return p, append(in.Problems, w.problems...), nil
}

func newPlan(in inspection) Plan {
	d := in.Def
	return Plan{Campaign: d.ID, Category: d.Category, Template: d.Template.Name, Language: d.Template.Language, Number: in.Number.Name,
		Refused: map[string]int64{}, Rejected: map[string]int64{}, ByCountry: map[string]int64{}, ByCategory: map[string]int64{},
		Waits: []string{}, Samples: []Sample{}, Hints: []string{}}
}

// all fills the plan, step by step.
func (w *planWalk) all(ctx context.Context) error {
	start, day, err := w.schedule()
	if err != nil {
		return err
	}
	p, d := w.plan, w.in.Def
	windows := d.Windows(w.c.live.Load().Zone)
	p.Windows = windowWords(windows)
	p.PerSecond = w.perSecond()
	w.pace, w.start = newPace(windows, p.PerSecond, start), start
	w.pace.throttle = d.pace(w.c.live.Load().Zone)
	if err := w.c.cfg.DB.Read(ctx, w.standing); err != nil {
		return err
	}
	w.pace.tier = newSlots(w.tier)
	media, err := mediaHash(w.in)
	if err != nil {
		return err
	}
	audience := ""
	name := d.Recipients.FileOn(day)
	f, err := OpenFile(w.in.Dir, name)
	var missing *FileError
	switch {
	case errors.As(err, &missing) && missing.Missing && !d.oneOff():
		p.Hints = append(p.Hints, name+" is not there (yet); a run without its file is missed")
	case err != nil:
		return err
	default:
		if audience, err = w.audience(ctx, f, name); err != nil {
			return err
		}
	}
	if !d.oneOff() {
		audience = "" // each run has its own
	}
	p.Hash = planHash(w.in.Data, audience, media, w.in.Template)
	w.hints()
	return w.c.cfg.DB.Read(ctx, func(q *store.Snap) error { return w.approval(q, audience, media) })
}

// schedule returns when the next run begins, moved to now if that is past, and
// the local date in the name of its file.
func (w *planWalk) schedule() (start, day time.Time, err error) {
	spec := w.in.Def.Spec(w.c.live.Load().Zone)
	after := w.opt.Now
	if w.in.Def.oneOff() {
		after = time.Time{}
	}
	slots, err := spec.Upcoming(after, 1)
	if err != nil || len(slots) == 0 {
		w.plan.Hints = append(w.plan.Hints, "the schedule has no firing to come")
		return w.opt.Now, w.opt.Now, err
	}
	if day, err = time.Parse("2006-01-02T15:04", slots[0].Civil); err != nil {
		return start, day, err
	}
	start = slots[0].DueAt
	if late := w.opt.Now.Sub(start); late > 0 {
		if w.in.Def.Missed.Policy == scheduler.Skip && late > time.Minute || late > w.in.Def.Missed.MaxLateness {
			w.plan.Hints = append(w.plan.Hints, "its date is past: by its missed policy it does not run any more")
		}
		start = w.opt.Now
	}
	return start, day, nil
}

func (w *planWalk) perSecond() float64 {
	rate := rateShare * w.c.cfg.PerSecond(w.in.Number)
	if own := w.in.Def.Throttle.PerSecond; own > 0 && own < rate {
		return own
	}
	return rate
}

// standing reads what would make every message wait now.
func (w *planWalk) standing(q *store.Snap) error {
	d := w.in.Def
	camp, ok, err := ByID(q, d.ID)
	if err != nil {
		return err
	}
	if ok && camp.State == Cancelled {
		w.plan.Waits = append(w.plan.Waits, "the campaign was cancelled, which is final: give the definition another id")
	}
	if w.c.cfg.Tier != nil {
		if w.tier, err = w.c.cfg.Tier(q, d.Category); err != nil {
			return err
		}
	}
	holds, err := outbox.Holds(q)
	if err != nil {
		return err
	}
	w.stream = w.c.streamOf(RunRecord{}, w.in, Revision{TemplateAt: w.in.Template.Hash})
	facts, err := gate.FactsOfStream(q, w.stream, holds)
	if err != nil {
		return err
	}
	for _, v := range gate.DecideStream(facts, w.opt.Now) {
		if v.Reason != gate.OutsideWindow { // the first send is in a window
			w.plan.Waits = append(w.plan.Waits, v.Detail)
		}
	}
	runs, err := Runs(q, d.ID, 100)
	for _, r := range runs {
		if r.State == Expanding || r.State == SendingRun {
			w.plan.Waits = append(w.plan.Waits, "the run of "+r.Civil+" is under way; a changed definition waits for its end")
		}
	}
	return err
}

// hashFile closes the file.
func hashFile(f *os.File) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, f.Close())
}

// approval says whether a person has to agree, and how.
func (w *planWalk) approval(q store.Querier, audience, media string) error {
	d := w.in.Def
	if !w.c.needsApproval(d.Category) {
		return nil
	}
	rev, ok, err := store.Get[Revision](q, sqlRevHash, d.ID, revisionHash(w.in.Data, audience, media))
	if err != nil || ok && rev.State == Approved && rev.PlanHash == w.plan.Hash && rev.ApprovedBy != byPolicy {
		return err
	}
	w.plan.Approval = fmt.Sprintf("waits for approval: janela campaigns approve %s --plan %s", d.ID, w.plan.Hash)
	return nil
}

// hints says what a person would ask next.
func (w *planWalk) hints() {
	p := w.plan
	people := p.Go
	for _, n := range p.Refused {
		people += n
	}
	if n := p.Refused[string(gate.NoOptIn)]; 2*n > people {
		p.Hints = append(p.Hints, fmt.Sprintf("%d of %d people have no recorded consent for %s; if you have it, import it: janela optin import FILE.csv", n, people, p.Category))
	}
	if w.tier.Limit > 0 {
		p.Limit = &PlanLimit{Limit: w.tier.Limit, Kept: w.tier.Kept, Count: len(w.tier.Counts), New: w.fresh}
		if left := max(w.tier.Room()-len(w.tier.Counts), 0); w.fresh > int64(left) {
			p.Hints = append(p.Hints, fmt.Sprintf("Meta's messaging limit lets messages like these reach %d new people in 24 hours (%d less what is kept), and %d more now: its %d new people take until %s",
				w.tier.Room(), w.tier.Limit, left, w.fresh, p.LastSend.Format(time.RFC3339)))
		}
	}
	if w.in.Def.DryRun {
		p.Hints = append(p.Hints, "dry_run = true: nothing leaves")
	}
	for _, repair := range slices.Sorted(maps.Keys(w.repairs)) {
		p.Hints = append(p.Hints, fmt.Sprintf("%d × %s", w.repairs[repair], repair))
	}
	if p.OutsideHours > 0 {
		p.Hints = append(p.Hints, fmt.Sprintf("%d people would get it outside 08 to 20 h of their own time; see [[schedule.windows]]", p.OutsideHours))
	}
}

// windowWords writes windows as people do.
func windowWords(w Windows) string {
	if w.Always() {
		return "at any time"
	}
	parts := make([]string, len(w.List))
	for i, win := range w.List {
		days := make([]string, len(win.Days))
		for j, day := range win.Days {
			days[j] = weekdays[day]
		}
		names := strings.Join(days, ", ")
		if len(days) == 7 {
			names = "every day"
		}
		parts[i] = fmt.Sprintf("%s %02d:%02d to %02d:%02d", names, win.From/60, win.From%60, win.To/60, win.To%60)
	}
	return strings.Join(parts, "; ") + " (" + w.Zone + ")"
}
