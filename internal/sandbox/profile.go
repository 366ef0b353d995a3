package sandbox

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Span is a range of time from which a delay is drawn, both ends included.
type Span struct {
	Min, Max time.Duration
}

func (s Span) draw(d *rand.Rand) time.Duration {
	u := d.Float64() // always drawn, so that a profile's zeros shift nothing
	if s.Max <= s.Min {
		return s.Min
	}
	return s.Min + time.Duration(u*float64(s.Max-s.Min)).Truncate(time.Millisecond)
}

// Profile is how the sandbox behaves. Chances are between 0 and 1. The zero
// value never misbehaves and posts every status at once.
type Profile struct {
	DuplicateWebhook float64 // a status is posted a second time
	ReorderWebhook   float64 // delivered is posted before sent
	OmitDelivered    float64 // read comes without delivered
	NeverDelivered   float64 // sent, and then silence; never a code
	FailedAfterSent  float64 // a failure is preceded by sent
	ReadChance       float64
	HeldChance       float64 // held_for_quality_assessment (marketing only)
	Undeliverable    float64 // failed with 131026; never a code
	MarketingCap     float64 // failed with 131049 (marketing only)
	BSUIDChance      float64 // share of people whose user_id is shown

	// Absent are beginnings of wa_ids that are not on WhatsApp: a message to one
	// is accepted and then fails with 131026. ChangePerson goes before it.
	Absent []string

	WithConversation bool // statuses as of v23.0: with a conversation object
	Batch            int  // most statuses in one POST; 0: 50; at most 1,000
	Posters          int  // webhooks posted side by side; 0: 1, which makes transcripts exact

	AnswerLatency Span
	StatusDelay   Span // from acceptance to sent, and from sent to delivered
	ReadDelay     Span // from delivered to read
	HeldDelay     Span // how long a held message is kept back

	// MarketingSync is how long the Marketing Messages API refuses a template
	// that is new to it, or was not sent for a week; 0: it never does.
	MarketingSync time.Duration

	RetryMin, RetryMax time.Duration // back-off of webhooks not answered with 200; 0: 1 s and 10 min
	PostTimeout        time.Duration // 0: 20 s
}

// Default misbehaves a little, as Meta does on an ordinary day.
func Default() Profile {
	return Profile{
		DuplicateWebhook: 0.03,
		ReorderWebhook:   0.05,
		OmitDelivered:    0.05,
		NeverDelivered:   0.02,
		FailedAfterSent:  0.3,
		ReadChance:       0.6,
		Undeliverable:    0.02,
		MarketingCap:     0.01,
		BSUIDChance:      0.5,
		Batch:            20,
		Posters:          4,
		AnswerLatency:    Span{40 * time.Millisecond, 160 * time.Millisecond},
		StatusDelay:      Span{200 * time.Millisecond, 3 * time.Second},
		ReadDelay:        Span{2 * time.Second, 40 * time.Second},
		HeldDelay:        Span{5 * time.Minute, 30 * time.Minute},
		MarketingSync:    4 * time.Minute,
		// The last hundred Brazilian examples, and the last ten American ones.
		Absent: []string{"55119000099", "1202555019"},
	}
}

// Quiet does everything right: sent, delivered and read, once and in order, and
// everybody is on WhatsApp.
func Quiet() Profile {
	return Profile{
		ReadChance:  1,
		StatusDelay: Span{time.Second, time.Second},
		ReadDelay:   Span{time.Second, time.Second},
		HeldDelay:   Span{10 * time.Minute, 10 * time.Minute},
	}
}

func (p *Profile) validate() error {
	for name, v := range map[string]float64{
		"DuplicateWebhook": p.DuplicateWebhook, "ReorderWebhook": p.ReorderWebhook,
		"OmitDelivered": p.OmitDelivered, "NeverDelivered": p.NeverDelivered,
		"FailedAfterSent": p.FailedAfterSent, "ReadChance": p.ReadChance,
		"HeldChance": p.HeldChance, "Undeliverable": p.Undeliverable,
		"MarketingCap": p.MarketingCap, "BSUIDChance": p.BSUIDChance,
	} {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("sandbox: profile: %s is %v; a chance is between 0 and 1", name, v)
		}
	}
	if p.Batch < 0 || p.Batch > 1000 {
		return fmt.Errorf("sandbox: profile: Batch is %d; Meta posts 1 to 1,000 updates at once", p.Batch)
	}
	return nil
}

// filled puts the defaults in the place of the zeros that mean one.
func (p Profile) filled() Profile {
	if p.Batch == 0 {
		p.Batch = 50
	}
	if p.Posters <= 0 {
		p.Posters = 1
	}
	if p.RetryMin <= 0 {
		p.RetryMin = time.Second
	}
	if p.RetryMax <= 0 {
		p.RetryMax = 10 * time.Minute
	}
	if p.PostTimeout <= 0 {
		p.PostTimeout = 20 * time.Second
	}
	return p
}
