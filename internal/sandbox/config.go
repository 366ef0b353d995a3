package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// Config is what a Sandbox is made of. The zero value is not usable: a token,
// an app secret and at least one business account with one number are needed.
type Config struct {
	Token       string // the bearer token it accepts; must not look like one of Meta's
	AppSecret   string // signs the webhooks
	VerifyToken string // sent in the handshake of VerifyWebhook

	WebhookURL string            // where webhooks are posted; empty: none are planned
	Transport  http.RoundTripper // posts the webhooks; nil: a clone of http.DefaultTransport

	WABAs     []WABA
	Templates []Template

	Seed    int64
	Profile Profile

	RatePerSecond int // messages per second and number, above it 130429; 0: no limit
	// MessagingLimit: 131048 above so many different people in 24 hours, over all
	// numbers, as the number's messaging limit says. A restart forgets them.
	MessagingLimit bool
	PairRate       bool // 131056 above one message per six seconds and person, burst 45

	// Journal is the path of an append-only file of JSON lines (mode 0600):
	// the ledger and the webhooks still to be acknowledged survive a restart.
	// It holds telephone numbers and inbound messages, but no text of what was
	// sent, so no one-time code. Empty: memory only.
	Journal string

	Logger *slog.Logger // nil: nothing is logged
}

// WABA is a WhatsApp business account.
type WABA struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Numbers      []Number `json:"numbers"`
	Unsubscribed bool     `json:"unsubscribed"` // no webhooks until POST /{waba}/subscribed_apps

	NotOnboarded     bool `json:"not_onboarded"`      // to the Marketing Messages API
	NoCloudMarketing bool `json:"no_cloud_marketing"` // marketing goes by the Marketing Messages API only
}

// Number is one of the business's own sending numbers. Empty fields read back
// as a healthy number's.
type Number struct {
	ID             string `json:"id"`
	Display        string `json:"display_phone_number"` // "+1 202-555-0100"
	VerifiedName   string `json:"verified_name"`
	Status         string `json:"status"`                                    // CONNECTED
	Quality        string `json:"quality_rating"`                            // GREEN
	Throughput     string `json:"throughput"`                                // STANDARD
	MessagingLimit string `json:"whatsapp_business_manager_messaging_limit"` // TIER_100K
	NameStatus     string `json:"name_status"`                               // APPROVED
	IdentityCheck  bool   `json:"identity_key_check"`                        // callbacks carry people's identity hashes; see /{number}/settings
}

// Template is a message template. Its identity is WABA, name and language.
type Template struct {
	WABA             string          `json:"waba"`
	ID               string          `json:"id"` // digits; empty: derived from the identity
	Name             string          `json:"name"`
	Language         string          `json:"language"` // pt_BR
	Category         string          `json:"category"` // MARKETING, UTILITY, AUTHENTICATION
	SubCategory      string          `json:"sub_category"`
	Status           string          `json:"status"`
	ParameterFormat  string          `json:"parameter_format"` // POSITIONAL (default) or NAMED
	Components       json.RawMessage `json:"components"`       // as GET /{waba}/message_templates answers them
	RejectedReason   string          `json:"rejected_reason"`
	Quality          string          `json:"quality"` // GREEN, YELLOW, RED, UNKNOWN
	CorrectCategory  string          `json:"correct_category"`
	PreviousCategory string          `json:"previous_category"`
	TTLSeconds       int             `json:"message_send_ttl_seconds"`
}

// checkToken refuses what could be a token of Meta's: the sandbox must never
// be the place where a real one leaks to.
func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("sandbox: the token is empty; choose any short text, such as sandbox-token")
	case strings.HasPrefix(token, "EAA"), len(token) > 60:
		return errors.New("sandbox: the token looks like a real one of Meta's; choose a short text that does not start with EAA")
	default:
		return nil
	}
}

func checkURL(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("sandbox: webhook URL %q is not an http or https address", raw)
	}
	return nil
}

func (c *Config) validate() error {
	if err := checkToken(c.Token); err != nil {
		return err
	}
	if c.AppSecret == "" {
		return errors.New("sandbox: the app secret is empty; webhooks could not be signed")
	}
	if err := checkURL(c.WebhookURL); err != nil {
		return err
	}
	if c.RatePerSecond < 0 {
		return errors.New("sandbox: RatePerSecond is negative; write 0 for no limit")
	}
	if err := c.Profile.validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	numbers := 0
	for _, a := range c.WABAs {
		ids := []string{a.ID}
		for _, n := range a.Numbers {
			ids = append(ids, n.ID)
			if digitsOf(n.Display) == "" {
				return fmt.Errorf("sandbox: number %q has no display number", n.ID)
			}
		}
		numbers += len(a.Numbers)
		for _, id := range ids {
			if id == "" || digitsOf(id) != id {
				return fmt.Errorf("sandbox: id %q of a business account or number is not made of digits", id)
			}
			if seen[id] {
				return fmt.Errorf("sandbox: id %s is given twice", id)
			}
			seen[id] = true
		}
	}
	if numbers == 0 {
		return errors.New("sandbox: no number; give at least one business account with one number")
	}
	return nil
}
