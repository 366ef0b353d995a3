package otp

import (
	"log/slog"
	"net/http"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
)

// Config says what codes are sent for, and how often. Check finds what is
// unsafe in it.
type Config struct {
	Number          string             // the sending number's name or phone_number_id; purposes may name another
	Countries       []string           // ISO 3166-1 alpha-2: where codes are sent to
	RequireClientIP bool               // a request without client_ip is refused, so that no limit is lost silently
	MaxSends        int                // codes sent in any 24 h, over all: the most that one day may cost
	Purposes        map[string]Purpose // by name: login, signup, recovery, step_up, …
	Limits          Limits             // of purposes that set none of their own
	MuteFor         time.Duration      // after "I didn't request a code"
	Fallback        Fallback
	AllowUnsafe     bool // starts although a guess succeeds more often than one in ten thousand per phone and day
}

// Purpose is one thing a code is for.
type Purpose struct {
	Template        string        `toml:"template"`         // of category AUTHENTICATION
	AndroidTemplate string        `toml:"android_template"` // one-tap or zero-tap, for device = "android"; "" for Template
	Languages       []string      `toml:"languages"`        // in order of preference; the first stands in for others
	Number          string        `toml:"number"`           // "" for Config.Number
	Digits          int           `toml:"digits"`           // 6 to 8
	TTL             time.Duration `toml:"ttl"`              // of a code; at most 10 min
	Clients         []string      `toml:"clients"`          // whose keys may ask; empty: all
	StepUpRequired  bool          `toml:"step_up_required"` // the success answer says that the code alone does not suffice
	Limits          Limits        `toml:"limits"`           // over Config.Limits; 0: that one's
}

// Limits bound what is sent and what may be guessed. 0 in a purpose stands for
// the general limit; -1 is none.
type Limits struct {
	Attempts         int           `toml:"attempts"`           // guesses per challenge, over all its codes
	Resends          int           `toml:"resends"`            // per challenge
	Life             time.Duration `toml:"life"`               // of a challenge, over all its codes
	Live             int           `toml:"live"`               // challenges of one phone and purpose at a time
	Cooldown         time.Duration `toml:"cooldown"`           // until the next send to a phone; doubles with each
	Phone10m         int           `toml:"phone_10m"`          // sends to a phone in any 10 min
	PhoneHour        int           `toml:"phone_hour"`         // in any hour
	PhoneDay         int           `toml:"phone_day"`          // in any 24 h
	Unverified       int           `toml:"unverified"`         // sends in a row without a right code, before the wait doubles from 2 min to 24 h
	Failures         int           `toml:"failures_day"`       // wrong guesses of a phone in any 24 h, over all challenges
	Lock             int           `toml:"lock"`               // wrong guesses in a row that lock a phone; at most 100
	IP10m            int           `toml:"ip_10m"`             // sends for a client address (IPv6: its /64) in any 10 min
	IPHour           int           `toml:"ip_hour"`            // in any hour
	IPDay            int           `toml:"ip_day"`             // in any 24 h
	IPPhones         int           `toml:"ip_phones_hour"`     // different phones of a client address in an hour
	IPCountries      int           `toml:"ip_countries_day"`   // different countries of a client address in 24 h without a right code
	PrefixUnverified int           `toml:"prefix_unverified"`  // unverified sends to a number range (without the last four digits) in an hour
	CountryDay       int           `toml:"country_unverified"` // unverified sends to a country in 24 h that are always allowed
	CountryHour      int           `toml:"country_hour"`       // in an hour
	ClientPerSecond  float64       `toml:"client_per_second"`  // requests of one API client
	ClientBurst      int           `toml:"client_burst"`
	PerSecond        float64       `toml:"per_second"`           // sends of the whole service
	VerifyIPMinute   int           `toml:"verify_ip_per_minute"` // guesses from a client address in a minute
}

// Fallback is another way for a code that WhatsApp cannot bring: a signed HTTP
// request to a system of the business, which sends it on.
type Fallback struct {
	Mode   string // off, manual (when the caller asks), on_failed (also when Meta says the number is not on WhatsApp)
	URL    string
	Secret func() ([]byte, error) // signs the requests: whsec_…, two lines while one is replaced
	Share  float64                // of the sends of an hour and country that may fall back; 0.2
	PerDay int                    // of one phone; 2
}

// Deps are the rooms that a code goes through.
type Deps struct {
	DB        *store.DB
	Keys      *Keyring
	Outcomes  func(tx *store.Tx, out []outbox.Outcome) error // the daemon's follow-up of what changed
	Transport http.RoundTripper                              // of the fallback's requests; nil: its own. It reports connections to httptrace
	Stats     Stats
	Log       *slog.Logger
}

// DefaultLimits are those that config.toml shows.
func DefaultLimits() Limits {
	return Limits{
		Attempts: 5, Resends: 3, Life: 20 * time.Minute, Live: 3,
		Cooldown: 30 * time.Second, Phone10m: 3, PhoneHour: 5, PhoneDay: 10, Unverified: 5,
		Failures: 15, Lock: 100,
		IP10m: 10, IPHour: 30, IPDay: 100, IPPhones: 5, IPCountries: 3,
		PrefixUnverified: 10, CountryDay: 20, CountryHour: 10,
		ClientPerSecond: 20, ClientBurst: 50, PerSecond: 40, VerifyIPMinute: 60,
	}
}
