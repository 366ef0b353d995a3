package daemon

import (
	"time"

	"janela/internal/retention"
	"janela/internal/tomlfile"
	"janela/otp"
)

// Config is config.toml. The zero value is no configuration: start from
// Defaults.
type Config struct {
	Store     StoreConfig     `toml:"store"`
	WhatsApp  WhatsAppConfig  `toml:"whatsapp"`
	Sandbox   SandboxConfig   `toml:"sandbox"`
	Campaigns CampaignsConfig `toml:"campaigns"`
	Optin     OptinConfig     `toml:"optin"`
	OTP       OTPConfig       `toml:"otp"`
	Hooks     []HookConfig    `toml:"hooks"`
	Retention RetentionConfig `toml:"retention"`
	HTTP      HTTPConfig      `toml:"http"`
	Webhook   WebhookConfig   `toml:"webhook"`
	Console   ConsoleConfig   `toml:"console"`
	Backup    BackupConfig    `toml:"backup"`
	Log       LogConfig       `toml:"log"`

	again    func() (Config, error) // reads it again; nil: it came from no file
	doc      *tomlfile.Document     // as it was read
	dir      string                 // of config.toml: relative paths start there
	warnings tomlfile.Problems      // what Load found that a person should look at; New logs them
}

// StoreConfig says where the database is.
type StoreConfig struct {
	Path      string `toml:"path"`       // the SQLite file; keys, media and the socket stand beside it
	ReserveMB int64  `toml:"reserve_mb"` // MiB that must be free on its disk for everything to be sent; 0: by its size
}

// WhatsAppConfig says how to speak to Meta.
type WhatsAppConfig struct {
	GraphURL        string          `toml:"graph_url"`           // "" for the embedded sandbox
	GraphVersion    string          `toml:"graph_version"`       // v25.0
	CallbackURL     string          `toml:"callback_url"`        // where Meta reaches webhook_path; "" is not told
	Token           string          `toml:"token" secret:"true"` // refused in the file: environment only
	TokenFile       string          `toml:"token_file"`          // read again when it changes
	AppSecret       string          `toml:"app_secret" secret:"true"`
	AppSecretFile   string          `toml:"app_secret_file"` // one per line; two while one is replaced
	VerifyToken     string          `toml:"verify_token" secret:"true"`
	VerifyTokenFile string          `toml:"verify_token_file"`
	Accounts        []AccountConfig `toml:"accounts"`
	SyncEvery       time.Duration   `toml:"sync_every"`                                          // how often templates and numbers are read
	SendTimeout     time.Duration   `toml:"send_timeout"`                                        // how long one send may take
	Senders         int             `toml:"senders"`                                             // requests in flight per lane
	Drain           time.Duration   `toml:"drain"`                                               // how long a stop waits for them
	WebhookSilent   time.Duration   `toml:"webhook_silent"`                                      // marketing stops when no news of what was accepted came for so long
	OnUnknown       string          `toml:"on_unknown" jsonschema:"enum=park,enum=resend_after"` // utility without an answer: park, resend_after
	ResendAfter     time.Duration   `toml:"resend_after"`                                        // how long after, with resend_after
	OnTTLExpired    string          `toml:"on_ttl_expired" jsonschema:"enum=park,enum=resend"`   // utility whose time to live ended in silence: park, resend

	MarketingEndpoint string `toml:"marketing_endpoint" jsonschema:"enum=messages,enum=marketing_messages"` // messages, marketing_messages
	ProductPolicy     string `toml:"product_policy" jsonschema:"enum=cloud_api_fallback,enum=strict"`       // of marketing_messages: cloud_api_fallback, strict
	ActivitySharing   string `toml:"message_activity_sharing" jsonschema:"enum=default,enum=on,enum=off"`   // default: as it is set at Meta; on, off
}

// AccountConfig is one WhatsApp business account.
type AccountConfig struct {
	ID        string         `toml:"id" jsonschema:"required"`
	TokenFile string         `toml:"token_file"` // "" for [whatsapp] token_file
	Numbers   []NumberConfig `toml:"numbers"`
}

// NumberConfig is one sending number.
type NumberConfig struct {
	ID        string  `toml:"id" jsonschema:"required"` // phone_number_id
	Name      string  `toml:"name"`
	Unit      string  `toml:"unit"`
	PerSecond float64 `toml:"per_second"` // at most so many; 0: as Meta says
}

// SandboxConfig is the embedded stand-in for Meta.
type SandboxConfig struct {
	Seed     int64         `toml:"seed"`
	Consents string        `toml:"consents"` // CSV imported at start with source sandbox
	Journal  string        `toml:"journal"`  // its ledger
	Quiet    bool          `toml:"quiet"`    // no misbehaviour at all
	Latency  time.Duration `toml:"latency"`  // of an answer
	Listen   string        `toml:"listen"`   // of its management endpoint; port 0: a free one, another with every start
}

// CampaignsConfig is the drop folder.
type CampaignsConfig struct {
	Folder      string        `toml:"folder"`
	Status      string        `toml:"status"` // where status files go
	Poll        time.Duration `toml:"poll"`
	Stable      time.Duration `toml:"stable"` // a file is taken when it has not changed for this long
	Timezone    string        `toml:"timezone"`
	Region      string        `toml:"region"`                                                 // of numbers without a plus
	Approval    string        `toml:"approval" jsonschema:"enum=off,enum=marketing,enum=all"` // off, marketing, all; "" decides by account
	FourEyes    bool          `toml:"four_eyes"`
	TestNumbers []string      `toml:"test_numbers"`
}

// OptinConfig is the consent ledger.
type OptinConfig struct {
	KeyFile      string          `toml:"key_file"`      // made on the first start
	DoubleOptIn  bool            `toml:"double_opt_in"` // every grant by the API has to be confirmed by the person
	ConfirmWords []string        `toml:"confirm_words"` // by which a person confirms an opt-in that waits for it
	Confirm      ConfirmTexts    `toml:"confirm"`       // said to who stopped marketing
	ConfirmAll   ConfirmTexts    `toml:"confirm_all"`   // marketing and utility
	ConfirmCodes ConfirmTexts    `toml:"confirm_codes"` // one-time codes
	Keywords     []KeywordConfig `toml:"keywords"`
}

// ConfirmTexts is what the person hears whose STOP was heard, in the language of
// the word. "": nothing.
type ConfirmTexts struct {
	PT string `toml:"pt_BR"`
	ES string `toml:"es"`
	EN string `toml:"en"`
}

// KeywordConfig is a word by which people sign up.
type KeywordConfig struct {
	Words       []string `toml:"words"`
	Categories  []string `toml:"categories"`
	Scope       string   `toml:"scope"` // a number's name or a unit; "" for all
	Purpose     string   `toml:"purpose"`
	Text        string   `toml:"text"` // what is published beside the word: the proof
	TextVersion string   `toml:"text_version"`
}

// HookConfig is a system of the business's own that hears what happens.
type HookConfig struct {
	Name       string        `toml:"name"`
	URL        string        `toml:"url"`
	Mode       string        `toml:"mode" jsonschema:"enum=events,enum=passthrough,enum=stream"` // events, passthrough, stream
	Events     []string      `toml:"events"`
	Fields     []string      `toml:"fields"`
	Numbers    []string      `toml:"numbers"`     // by name
	SecretFile string        `toml:"secret_file"` // one per line; two while one is replaced
	Timeout    time.Duration `toml:"timeout"`     // of one request
	MaxAge     time.Duration `toml:"max_age"`     // how long a delivery is tried, or a stream kept
	MaxMB      int64         `toml:"max_mb"`      // what may wait, on disk
	AtOnce     int           `toml:"at_once"`     // requests at a time
}

// OTPConfig is one-time codes. Without a purpose there are none.
type OTPConfig struct {
	KeyFile         string                 `toml:"key_file"`          // made on the first start
	Number          string                 `toml:"number"`            // name or phone_number_id; "" where there is only one
	Countries       []string               `toml:"countries"`         // ISO 3166-1 alpha-2
	RequireClientIP bool                   `toml:"require_client_ip"` // a request without client_ip is refused
	MaxSends        int                    `toml:"max_sends_24h"`     // over all; has no off
	MuteFor         time.Duration          `toml:"mute_for"`          // after "I didn't request a code"
	AllowUnsafe     bool                   `toml:"allow_unsafe"`
	Limits          otp.Limits             `toml:"limits"`
	Fallback        FallbackConfig         `toml:"fallback"`
	Purposes        map[string]otp.Purpose `toml:"purposes"` // by name
}

// FallbackConfig is another way for a code that WhatsApp cannot bring.
type FallbackConfig struct {
	Mode       string  `toml:"mode" jsonschema:"enum=off,enum=manual,enum=on_failed"` // off, manual, on_failed; "": manual where there is an address
	URL        string  `toml:"url"`
	SecretFile string  `toml:"secret_file"` // signs the requests
	Share      float64 `toml:"share"`       // of the sends of an hour and country
	PerDay     int     `toml:"per_day"`     // of one phone
}

// RetentionConfig is how long things are kept. Days; 0: for ever.
type RetentionConfig struct {
	MessagesDays  int `toml:"messages_days"`  // after a message has ended it is moved to the past
	CallbacksDays int `toml:"callbacks_days"` // Meta's callbacks as they came
}

// days is a number of days.
func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func (r RetentionConfig) policy() retention.Policy {
	return retention.Policy{Messages: days(r.MessagesDays), Callbacks: days(r.CallbacksDays)}
}

// HTTPConfig is where the daemon listens.
type HTTPConfig struct {
	Listen       string  `toml:"listen"`
	WebhookPath  string  `toml:"webhook_path"`
	TLSCert      string  `toml:"tls_cert"`       // PEM, with its chain; read again when it changes
	TLSKey       string  `toml:"tls_key"`        // mode 0600
	KeyPerSecond float64 `toml:"key_per_second"` // requests of one API key, twice as many at once; -1: not bounded
}

// WebhookConfig is where Meta's callbacks come, if not at [http] listen.
type WebhookConfig struct {
	Listen  string `toml:"listen"`
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
}

// ConsoleConfig is where the operator's web pages are.
type ConsoleConfig struct {
	Listen  string `toml:"listen"` // "" for none
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
}

// LogConfig says how the daemon logs.
type LogConfig struct {
	Level  string `toml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"` // debug, info, warn, error
	Format string `toml:"format" jsonschema:"enum=auto,enum=text,enum=json"`            // auto, text, json
}

// Defaults is what a configuration says that says nothing.
func Defaults() Config {
	return Config{
		Store: StoreConfig{Path: "var/janela.db"},
		WhatsApp: WhatsAppConfig{GraphVersion: "v25.0", SyncEvery: 5 * time.Minute, SendTimeout: 30 * time.Second,
			Senders: 64, Drain: 30 * time.Second, WebhookSilent: 15 * time.Minute, OnUnknown: onPark, ResendAfter: 15 * time.Minute, OnTTLExpired: onPark,
			MarketingEndpoint: endpointMessages, ProductPolicy: "cloud_api_fallback", ActivitySharing: sharingDefault},
		Sandbox: SandboxConfig{Seed: 1, Latency: 40 * time.Millisecond, Listen: "127.0.0.1:0"},
		Campaigns: CampaignsConfig{Folder: "campaigns.d", Status: "var/status", Poll: 500 * time.Millisecond, Stable: 2 * time.Second,
			Region: "BR"},
		Optin: OptinConfig{KeyFile: "var/optin.key", ConfirmWords: []string{"CONFIRMO", "CONFIRM"}, Confirm: confirmStop, ConfirmAll: confirmStopAll, ConfirmCodes: confirmStopCodes},
		OTP: OTPConfig{KeyFile: "var/otp.key", Countries: []string{"BR"}, RequireClientIP: true, MaxSends: 1000, MuteFor: time.Hour,
			Limits: otp.DefaultLimits(), Fallback: FallbackConfig{Share: 0.2, PerDay: 2}},
		Backup:    defaultBackup,
		Retention: RetentionConfig{MessagesDays: 90, CallbacksDays: 90},
		HTTP:      HTTPConfig{Listen: "127.0.0.1:8790", WebhookPath: "/webhooks/whatsapp", KeyPerSecond: 200},
		Log:       LogConfig{Level: "info", Format: "auto"},
	}
}

// Embedded reports whether the embedded sandbox stands in for Meta.
func (c *Config) Embedded() bool { return c.WhatsApp.GraphURL == "" }

// Approval says which categories wait for an approval: off, marketing or all.
func (c *Config) Approval() string {
	switch {
	case c.Campaigns.Approval != "":
		return c.Campaigns.Approval
	case c.Embedded():
		return "off"
	default:
		return "marketing"
	}
}
