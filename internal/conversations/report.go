package conversations

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// Reading is how a report says who began.
type Reading string

// The two readings. Both count the same conversations and messages.
const (
	// ByMeta: a conversation's origin is the ledger's, and a message has that of
	// the conversation it counts in (Meta: Conversation-based pricing).
	ByMeta Reading = "meta"
	// ByWindow: what is sent inside the service window belongs to what the user
	// began; everything else to what the business began.
	ByWindow Reading = "window"
)

// NoOrigin is the origin, by Meta's reading, of a message that counts in no
// conversation: one of somebody else of which Meta has not told the category.
const NoOrigin Origin = "none"

// Share is one line of a report: what falls to a category, country and origin.
type Share struct {
	Reading  Reading
	Category whatsapp.Category // of the message; of the conversation it is the opener's. "" for not known
	Country  string            // of the person, ISO 3166-1 alpha-2; "" for not known
	Origin   Origin

	Conversations int64 // opened in the span
	Messages      int64 // sent in the span, as the ledger counts them
	Billed        int64 // of the messages: Meta said that it charges
	Free          int64 // Meta said that it does not
	Unknown       int64 // Meta has said nothing that is understood
}

// Report counts a span of time, [from, to). It is filled page by page, so that
// no snapshot is held long.
type Report struct {
	from, to time.Time
	shares   map[Share]*Share // by a Share without counts
}

// NewReport begins a report.
func NewReport(from, to time.Time) *Report {
	return &Report{from: from, to: to, shares: map[Share]*Share{}}
}

// Add counts the next people, at most limit after the given one. country says
// where a person is, "" if that is not known. more is false after the last one.
func (r *Report) Add(q store.Querier, after int64, limit int, country func(root int64) (string, error)) (last int64, more bool, err error) {
	roots, err := store.All[store.Col[int64]](q, sqlRoots, after, limit)
	if err != nil {
		return after, false, fmt.Errorf("conversations: the people after %d: %w", after, err)
	}
	last = after
	for _, root := range roots {
		last = root.V
		numbers, err := store.All[store.Col[string]](q, sqlNumbers, root.V)
		if err != nil {
			return last, false, fmt.Errorf("conversations: numbers of contact %d: %w", root.V, err)
		}
		if len(numbers) == 0 {
			continue
		}
		where, err := country(root.V)
		if err != nil {
			return last, false, err
		}
		for _, n := range numbers {
			if err := r.ledger(q, ledgerKey{n.V, root.V}, where); err != nil {
				return last, false, err
			}
		}
	}
	return last, len(roots) == limit, nil
}

// ledger counts one person on one number.
func (r *Report) ledger(q store.Querier, key ledgerKey, country string) error {
	t := task{ledgerKey: key, since: r.from, merge: true}
	back, err := t.load(q)
	if err != nil {
		return err
	}
	facts, err := events(q, key.number, key.root, back.from)
	if err != nil {
		return err
	}
	rows, home := Homes(back.freeEntryEnd, facts)
	opened := make([]bool, len(rows)) // the opener was counted
	var last *Event
	for i := range facts {
		e := &facts[i]
		if e.Inbound {
			last = e
			continue
		}
		if e.At.Before(r.from) || !e.At.Before(r.to) {
			if home[i] >= 0 {
				opened[home[i]] = true
			}
			continue
		}
		meta, window := NoOrigin, FromBusiness
		if within(last, e.At) {
			window = FromUser
		}
		var begun int64
		if at := home[i]; at >= 0 {
			meta = rows[at].Origin
			if !opened[at] && rows[at].OpenedAt.Equal(e.At) {
				begun, opened[at] = 1, true
			}
		}
		price, _, err := PriceOf(q, e.ID, e.Wamid)
		if err != nil {
			return err
		}
		for _, s := range []Share{{Reading: ByMeta, Origin: meta}, {Reading: ByWindow, Origin: window}} {
			s.Category, s.Country = e.Category, country
			if begun > 0 {
				s.Category = rows[home[i]].Category
			}
			r.count(s, begun, e.Category, price)
		}
	}
	return nil
}

// count adds a message, and the conversation that it opened, if it did. The two
// may differ in category: what answers an ad opens a service conversation,
// whatever it is itself.
func (r *Report) count(s Share, opened int64, category whatsapp.Category, price Pricing) {
	if opened > 0 {
		r.share(s).Conversations++
	}
	s.Category = category
	line := r.share(s)
	line.Messages++
	switch billed, known := price.Billed(); {
	case !known:
		line.Unknown++
	case billed:
		line.Billed++
	default:
		line.Free++
	}
}

func (r *Report) share(key Share) *Share {
	s, ok := r.shares[key]
	if !ok {
		s = &Share{}
		*s = key
		r.shares[key] = s
	}
	return s
}

// Billed reports what Meta said of the price: that it charges for the message,
// or not. billable speaks first; it is announced to go, so type speaks where it
// is missing (Meta: Webhooks, messages, status object). known is false for no
// word, and for one that is not known.
func (p Pricing) Billed() (billed, known bool) {
	switch p.Billable {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	switch kind := strings.ToLower(p.Type); {
	case kind == "regular":
		return true, true
	case strings.HasPrefix(kind, "free_"):
		return false, true
	default:
		return false, false
	}
}

// Shares returns the lines, Meta's reading first, ordered by category, country
// and origin.
func (r *Report) Shares() []Share {
	out := make([]Share, 0, len(r.shares))
	for _, s := range r.shares {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Share) int {
		return cmp.Or(cmp.Compare(a.Reading, b.Reading), cmp.Compare(a.Category, b.Category), cmp.Compare(a.Country, b.Country), cmp.Compare(a.Origin, b.Origin))
	})
	return out
}
