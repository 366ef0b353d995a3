package campaigns

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"janela/internal/csvfile"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// planRows is how many rows are judged in one snapshot.
const planRows = 500

// planWalk goes over an audience as a run would, twice: once to find what is
// there several times, once to judge. What it keeps is a bit a row, and the
// people and once_per keys that several rows share.
type planWalk struct {
	c        *Campaigns
	in       inspection
	opt      PlanOptions
	plan     *Plan
	problems tomlfile.Problems

	stream  outbox.Stream
	pace    *pace
	tier    Tier
	fresh   int64     // of those who would get it: people new to the messaging limit
	start   time.Time // of the run
	ends    time.Time
	mapper  *Mapper
	skip    *rowSet         // rows whose number another row has
	shared  *rowSet         // rows whose once_per key another row has
	carried map[string]bool // of the shared keys, those that a row carries
	people  map[int64]bool  // roots of people with several numbers who have a message
	rejects *csv.Writer
	repairs map[string]int
	samples planSamples
	hours   map[string]*time.Location
}

// planRow is a row on its way to a verdict.
type planRow struct {
	entry
	row       int
	defaulted bool // a default stood in for an empty cell
}

// audience judges every row of an open file, which it closes, and returns its
// hash.
func (w *planWalk) audience(ctx context.Context, f *os.File, name string) (hash string, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	a, err := w.open(f)
	if err != nil {
		return "", w.unreadable(name, err)
	}
	needs, err := w.in.requirement()
	if err != nil {
		return "", err
	}
	d := w.in.Def
	w.mapper, err = Compile(d, a.Header, MapperOptions{Zone: d.Zone(w.c.live.Load().Zone), Needs: needs, File: func(string) string { return "planned" }})
	if err != nil {
		return "", err
	}
	if end := d.Schedule.EndsAt; end != nil {
		loc, err := time.LoadLocation(d.Zone(w.c.live.Load().Zone))
		if err != nil {
			return "", err
		}
		w.ends = end.AsTime(loc)
	}
	w.carried, w.people, w.repairs, w.hours = map[string]bool{}, map[int64]bool{}, map[string]int{}, map[string]*time.Location{}
	if err := w.survey(ctx, a, name); err != nil {
		return "", w.unreadable(name, err)
	}
	if a, err = w.open(f); err != nil {
		return "", w.unreadable(name, err)
	}
	if err := w.judge(ctx, a); err != nil {
		return "", w.unreadable(name, err)
	}
	w.plan.Samples, err = w.samples.text(w.in.Template.Components, w.mapper.zone)
	if w.plan.Go > 0 {
		w.plan.ByCategory[string(d.Category)] = w.plan.Go
	}
	return a.SHA256(), err
}

func (w *planWalk) open(f *os.File) (*Audience, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return ReadAudience(f)
}

func (w *planWalk) unreadable(name string, err error) error {
	var why *csvfile.Error
	if errors.As(err, &why) {
		return fmt.Errorf("%s: %w", name, why)
	}
	return err
}

// rows calls fn for every row, mapped; row counts from 0.
func (w *planWalk) rows(ctx context.Context, a *Audience, fn func(planRow) error) error {
	var raw csvfile.Row
	for n := 0; ; n++ {
		if err := a.Next(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		p := planRow{row: n}
		if p.r, p.bad = w.mapper.MapRow(&raw); p.bad == nil {
			p.defaulted = w.mapper.defaulted(&raw)
		}
		if err := fn(p); err != nil {
			return err
		}
	}
}

// defaulted reports whether a default stands in for a cell of the row.
func (m *Mapper) defaulted(row *csvfile.Row) bool {
	for i := range m.slots {
		s := &m.slots[i]
		if s.required {
			continue
		}
		value := row.Fields[s.column]
		for _, do := range s.transforms {
			if !isBlank(value) {
				value, _ = do(value)
			}
		}
		if isBlank(value) {
			return true
		}
	}
	return false
}

// survey finds rows that name a number or a once_per key again, and says where
// a run would stop for a human.
func (w *planWalk) survey(ctx context.Context, a *Audience, name string) error {
	if err := os.MkdirAll(w.c.cfg.Spool, 0o700); err != nil {
		return err
	}
	phones, keys := newDuplicates(w.c.cfg.Spool), newDuplicates(w.c.cfg.Spool)
	defer phones.close()
	defer keys.close()
	bad, rows := 0, 0
	news := noticed{x: &expansion{c: w.c, run: RunRecord{Campaign: w.in.Def.ID}}, dups: phones}
	err := w.rows(ctx, a, func(p planRow) error {
		rows++
		if p.bad != nil {
			bad++
			return nil
		}
		for _, repair := range p.r.Repairs {
			w.repairs[repair]++
		}
		if err := keys.addKey(p.r.OnceKey, p.row); err != nil {
			return err
		}
		return news.add(ctx, p.r, p.row)
	})
	if err == nil {
		err = news.flush(ctx)
	}
	if err != nil {
		return err
	}
	d := w.in.Def.Recipients
	if w.skip, err = phones.skip(d.Duplicates == DuplicatesLast); err != nil {
		return err
	}
	if w.shared, err = keys.again(); err != nil {
		return err
	}
	if percent := 100 * float64(bad) / float64(max(rows, 1)); percent > d.MaxRejectedPercent {
		w.stops("recipients.max_rejected_percent", fmt.Sprintf("%d of %d rows of %s cannot be used (%.1f %%), more than max_rejected_percent = %g", bad, rows, name, percent, d.MaxRejectedPercent),
			"mend the file, or raise the limit")
	}
	if d.Duplicates == DuplicatesFail && w.skip.n > 0 {
		w.stops("recipients.duplicates", fmt.Sprintf("%s names %d numbers again, and duplicates = \"fail\"", name, w.skip.n), "take them out of the file")
	}
	return nil
}

// stops notes why a run would end before anybody got anything.
func (w *planWalk) stops(path, message, hint string) {
	_, doc, _ := ParseDefinition(w.in.Path, w.in.Data)
	w.problems = append(w.problems, doc.Problem(path, message, hint))
}

// addKey notes a once_per key, by the first half of its hash.
func (d *duplicates) addKey(key string, row int) error {
	if key == "" {
		return nil
	}
	b, err := hex.DecodeString(key[:16])
	if err != nil {
		return err
	}
	d.rows = max(d.rows, row+1)
	return d.put(pair{binary.BigEndian.Uint64(b), uint64(row)})
}

// again returns every row whose value another row has.
func (d *duplicates) again() (*rowSet, error) {
	out := &rowSet{bits: make([]uint64, d.rows/64+1)}
	var before pair
	first := true
	err := d.merge(func(p pair) {
		if !first && p.key == before.key {
			out.add(before.value)
			out.add(p.value)
		}
		before, first = p, false
	})
	return out, err
}

// judge asks the gate about every row, in the order in which a run would.
func (w *planWalk) judge(ctx context.Context, a *Audience) error {
	if w.opt.Rejects != nil {
		w.rejects = csv.NewWriter(w.opt.Rejects)
		w.rejects.Comma = ';'
		if err := w.rejects.Write([]string{"line", "reason", "detail"}); err != nil {
			return err
		}
	}
	var batch []planRow
	flush := func() error {
		err := w.c.cfg.DB.Read(ctx, func(q *store.Snap) error {
			for _, p := range batch {
				if err := w.one(q, p); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	err := w.rows(ctx, a, func(p planRow) error {
		p.duplicate = p.bad == nil && w.skip.has(p.row)
		if batch = append(batch, p); len(batch) < planRows {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if w.rejects != nil {
		w.rejects.Flush()
		err = errors.Join(err, w.rejects.Error())
	}
	return err
}

func (w *planWalk) reject(line int, reason RowReason, detail string) error {
	w.plan.Rejected[string(reason)]++
	if w.rejects == nil {
		return nil
	}
	return w.rejects.Write([]string{strconv.Itoa(line), string(reason), cell(detail)})
}

// known is a contact with what makes it a duplicate of another.
type known struct{ id, root, phones int64 }

// Fields names the places of sqlKnown.
func (k *known) Fields() []any { return []any{&k.id, &k.root, &k.phones} }

var sqlKnown = store.SQL(`SELECT c.id, c.root, (SELECT count(*) FROM contacts m JOIN identities n ON n.contact_id = m.id
		WHERE m.root = c.root AND n.kind = 'phone') FROM identities i JOIN contacts c ON c.id = i.contact_id
	WHERE i.value = CAST(?1 AS TEXT) AND i.kind = CAST(?2 AS TEXT)`)

// one is batchWriter.add and the gate in one, without writing.
func (w *planWalk) one(q store.Querier, p planRow) error {
	w.plan.Rows++
	switch {
	case p.bad != nil:
		return w.reject(p.bad.Line, p.bad.Reason, p.bad.Detail)
	case p.duplicate:
		return w.reject(p.r.Line, RowDuplicate, "another row of the file has this number")
	}
	if p.r.offerEnded(w.start) {
		return w.reject(p.r.Line, RowOfferEnded, "the offer ended at "+p.r.OfferEnds.Format("2006-01-02T15:04"))
	}
	to := p.r.Phone.Identity()
	who, found, err := store.Get[known](q, sqlKnown, to.Value, string(to.Kind))
	if err != nil {
		return err
	}
	d := w.in.Def
	sent, err := sentBefore(q, d.ID, 0, d.oneOff(), who.id, p.r.OnceKey)
	if err != nil {
		return err
	}
	if sent || p.r.OnceKey != "" && w.carried[p.r.OnceKey] {
		return w.reject(p.r.Line, RowAlreadySent, "an earlier run, or an earlier row, carries this notice")
	}
	if !found {
		w.plan.Refused[string(gate.NoOptIn)]++
		return nil
	}
	if w.shared.has(p.row) {
		w.carried[p.r.OnceKey] = true
	}
	if who.phones > 1 {
		if w.people[who.root] {
			return w.reject(p.r.Line, RowDuplicate, "another row of the file reaches the same person")
		}
		w.people[who.root] = true
	}
	facts, err := gate.FactsOfPerson(q, who.id, d.Category, w.in.Number)
	if err != nil {
		return err
	}
	facts.Deadline = store.Millis(p.r.deadline(w.ends))
	counts := w.tier.Counts[who.root]
	at := w.pace.next(counts)
	v := gate.Decide(w.stream, nil, facts, at)
	if v.Kind != gate.Go {
		if v.Reason == gate.DryRun {
			w.samples.add(p)
		}
		w.plan.Refused[string(v.Reason)]++
		return nil
	}
	fresh := int64(0)
	if w.tier.Limit > 0 && counts <= store.Millis(at) {
		fresh = 1
	}
	w.pace.left(at, 1, fresh)
	w.fresh += fresh
	w.goes(p, at)
	return nil
}

// goes counts a row that would be sent at an instant.
func (w *planWalk) goes(p planRow, at time.Time) {
	plan := w.plan
	if plan.Go == 0 || at.Before(plan.FirstSend) {
		plan.FirstSend = at.UTC()
	}
	if plan.Go == 0 || at.After(plan.LastSend) {
		plan.LastSend = at.UTC()
	}
	plan.Go++
	plan.ByCountry[p.r.Phone.Region()]++
	if !at.IsZero() && w.outsideHours(p.r.Phone, at) {
		plan.OutsideHours++
	}
	w.samples.add(p)
}

// outsideHours reports whether an instant lies outside 08 to 20 h in a zone of
// the number's area code. It says nothing of numbers whose zone is not known.
func (w *planWalk) outsideHours(p whatsapp.Phone, at time.Time) bool {
	for _, name := range p.Zones() {
		loc, ok := w.hours[name]
		if !ok {
			loc, _ = time.LoadLocation(name)
			w.hours[name] = loc
		}
		if loc == nil {
			continue
		}
		if h := at.In(loc).Hour(); h < 8 || h >= 20 {
			return true
		}
	}
	return false
}

// planSamples keeps the first three messages, the one with the longest values,
// and the first in which a default stands in.
type planSamples struct {
	first              []Recipient
	longest, defaulted Recipient
}

func (s *planSamples) add(p planRow) {
	if len(s.first) < 3 {
		s.first = append(s.first, p.r)
	}
	if len(p.r.Params) > len(s.longest.Params) {
		s.longest = p.r
	}
	if p.defaulted && s.defaulted.Line == 0 {
		s.defaulted = p.r
	}
}

func (s *planSamples) text(components string, zone *time.Location) ([]Sample, error) {
	out := []Sample{}
	seen := map[int]bool{0: true}
	for _, r := range append(s.first, s.longest, s.defaulted) {
		if seen[r.Line] {
			continue
		}
		seen[r.Line] = true
		text, err := Preview(components, r.Params, zone)
		if err != nil {
			return out, err
		}
		out = append(out, Sample{Line: r.Line, To: r.Phone.String(), Text: text})
	}
	return out, nil
}
