package conversations

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"janela/internal/whatsapp"
)

// drawEvents draws a history on whole hours, so that instants meet and
// intervals end exactly.
func drawEvents(t *rapid.T) []Event {
	hour := rapid.IntRange(0, 130)
	var events []Event
	for i := range rapid.IntRange(0, 14).Draw(t, "messages") {
		h := float64(hour.Draw(t, "hour"))
		if rapid.IntRange(0, 3).Draw(t, "whose") == 0 {
			events = append(events, other(i, h, rapid.SampledFrom([]whatsapp.Category{mkt, util, auth, text, ""}).Draw(t, "category")))
			continue
		}
		e := out(int64(i+1), h, rapid.SampledFrom([]whatsapp.Category{mkt, util, auth, text, text}).Draw(t, "category"))
		e.Provisional = rapid.Bool().Draw(t, "provisional")
		events = append(events, e)
	}
	sent := len(events)
	for i := range rapid.IntRange(0, 8).Draw(t, "inbound") {
		e := in(int64(i+50), float64(hour.Draw(t, "hour")))
		e.Referral = rapid.IntRange(0, 2).Draw(t, "ad") == 0
		switch j := rapid.IntRange(-3, sent).Draw(t, "answers"); {
		case j < 0:
		case j == sent:
			e.AnswersWamid = "wamid.unheard"
		case rapid.Bool().Draw(t, "by wamid"):
			e.AnswersWamid = events[j].Wamid
		default:
			e.Answers, e.AnswersWamid = events[j].ID, events[j].Wamid
		}
		events = append(events, e)
	}
	return events
}

// running is something that has so many hours left.
type running struct {
	row   int
	event Event
	left  int
}

// finding is what an inbound message found open.
type finding struct {
	event Event
	open  []running
}

// model lets the hours pass one by one: everything open has a number of hours
// left, which every hour makes one less. It knows no intervals.
func model(events []Event) []Conversation {
	var (
		rows      []Conversation
		open      []running
		said, ads []running // what the user said, and by which ads, in the last 24 h
		home      = map[whatsapp.Wamid]int{}
		found     []finding
	)
	has := func(c whatsapp.Category) bool {
		return slices.ContainsFunc(open, func(r running) bool { return rows[r.row].Category == c })
	}
	free := func() bool {
		return slices.ContainsFunc(open, func(r running) bool { return rows[r.row].FreeEntryPoint })
	}
	start := func(e Event, c Conversation, hours int) {
		c.OpenedAt, c.ExpiresAt, c.Provisional = e.At, e.At.Add(time.Duration(hours)*time.Hour), e.Provisional
		if c.OpenedBy = e.ID; e.ID == 0 {
			c.OpenedByWamid = e.Wamid
		}
		if c.Origin = FromBusiness; c.Inbound != 0 {
			c.Origin = FromUser
		}
		open = append(open, running{row: len(rows), left: hours})
		rows = append(rows, c)
	}
	hours := 0
	for _, e := range events {
		hours = max(hours, int(e.At.Sub(day).Hours()))
	}
	for h := range hours + 1 {
		for _, list := range []*[]running{&open, &said, &ads} {
			for i := range *list {
				(*list)[i].left--
			}
			*list = slices.DeleteFunc(*list, func(r running) bool { return r.left == 0 })
		}
		var user, we, they []Event
		for _, e := range events {
			switch {
			case !e.At.Equal(at(float64(h))):
			case e.Inbound:
				user = append(user, e)
			case e.ID != 0:
				we = append(we, e)
			default:
				they = append(they, e)
			}
		}
		byWamid := func(a, b Event) int { return strings.Compare(string(a.Wamid), string(b.Wamid)) }
		slices.SortFunc(user, byWamid)
		slices.SortFunc(we, func(a, b Event) int { return int(a.ID - b.ID) })
		slices.SortFunc(they, byWamid)

		for _, e := range user {
			said = append(said, running{event: e, left: 24})
			if e.Referral && !free() {
				ads = append(ads, running{event: e, left: 24})
			}
		}
		for _, e := range append(we, they...) {
			switch {
			case e.Category == "" || free():
			case len(ads) > 0:
				for _, r := range open {
					rows[r.row].ClosedAt = e.At
				}
				open = nil
				start(e, Conversation{Category: text, FreeEntryPoint: true, Inbound: ads[len(ads)-1].event.ID}, 72)
				ads = nil
			case e.Category == text && len(open) > 0, e.Category != text && has(e.Category):
			case e.Category == text && len(said) > 0:
				start(e, Conversation{Category: text, Inbound: said[len(said)-1].event.ID}, 24)
			default:
				start(e, Conversation{Category: e.Category}, 24)
			}
			if len(open) == 0 {
				continue
			}
			into := open[len(open)-1].row
			for _, r := range open {
				if c := rows[r.row].Category; c == e.Category || (e.Category == "" && c == text) {
					into = r.row
				}
			}
			rows[into].MessagesOut++
			home[e.Wamid] = into
		}
		// What was open when the hour was over is what its inbound messages find.
		for _, e := range user {
			found = append(found, finding{e, slices.Clone(open)})
		}
	}
	for _, f := range found {
		if len(f.open) == 0 {
			continue
		}
		into := f.open[len(f.open)-1].row
		for _, r := range f.open {
			if row, ok := home[f.event.AnswersWamid]; ok && row == r.row {
				into = row
			}
		}
		rows[into].MessagesIn++
	}
	return rows
}
