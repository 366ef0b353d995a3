package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"janela/internal/store"
)

// What a key may do.
const (
	ScopeOTPSend   = "otp:send"   // ask for a code, again, and cancel
	ScopeOTPVerify = "otp:verify" // try a code
	ScopeOTPRead   = "otp:read"   // see where a code stands
	ScopeOTPStats  = "otp:stats"  // see how many codes of all systems arrive

	ScopeOptinWrite       = "optin:write"       // record what people granted and revoked
	ScopeOptinRead        = "optin:read"        // see what they granted and revoked, with the proof
	ScopeOptinImport      = "optin:import"      // record what many people granted and revoked, from a file
	ScopeOptinExport      = "optin:export"      // take the whole ledger out, with every number in full
	ScopeMessageSend      = "message:send"      // send single messages
	ScopeMessageRead      = "message:read"      // see where they stand
	ScopeConversationRead = "conversation:read" // see conversations and service windows
	ScopeContactRead      = "contact:read"      // see a person: names masked, consents, windows, conversations, messages
	ScopeContactDossier   = "contact:dossier"   // take out everything that is known of a person, in full
	ScopeContactForget    = "contact:forget"    // forget a person, for ever

	ScopeCampaignRead    = "campaign:read"    // see campaigns, plans and reports
	ScopeCampaignWrite   = "campaign:write"   // upload, pause, resume, cancel and test
	ScopeCampaignApprove = "campaign:approve" // let plans be sent

	ScopeTemplateRead   = "template:read"   // see templates, and have Meta asked for them
	ScopeNumberRead     = "number:read"     // see numbers: quality, limits, pace
	ScopeHoldRead       = "hold:read"       // see what stands still
	ScopeHoldWrite      = "hold:write"      // stop things and let them go on
	ScopeUnknownResolve = "unknown:resolve" // say what became of unknown messages
	ScopeHookRead       = "hook:read"       // see the systems that hear what happens
	ScopeHookWrite      = "hook:write"      // pause, resume and retry them
	ScopeStatusRead     = "status:read"     // see how the daemon is
	ScopeAuditRead      = "audit:read"      // see who did what
	ScopeEventRead      = "event:read"      // hear what happens

	ScopeConsoleView    = "console:view"    // log in to the console and look
	ScopeConsoleOperate = "console:operate" // and change
	ScopeConsoleApprove = "console:approve" // and let plans be sent
)

// Scopes are all there are, in the order in which they are shown.
var Scopes = []string{ScopeOTPSend, ScopeOTPVerify, ScopeOTPRead, ScopeOTPStats, ScopeOptinWrite, ScopeOptinRead, ScopeOptinImport, ScopeOptinExport,
	ScopeMessageSend, ScopeMessageRead, ScopeConversationRead, ScopeContactRead, ScopeContactDossier, ScopeContactForget,
	ScopeCampaignRead, ScopeCampaignWrite, ScopeCampaignApprove, ScopeTemplateRead, ScopeNumberRead,
	ScopeHoldRead, ScopeHoldWrite, ScopeUnknownResolve, ScopeHookRead, ScopeHookWrite, ScopeStatusRead, ScopeAuditRead, ScopeEventRead,
	ScopeConsoleView, ScopeConsoleOperate, ScopeConsoleApprove}

// ConsoleScopes are those of the web console: no call of the API needs them.
var ConsoleScopes = Scopes[len(Scopes)-3:]

// OTPScopes are those of one-time codes: what a key may do if nobody says.
var OTPScopes = Scopes[:3:3]

// Errors of keys.
var (
	ErrUnauthorized = errors.New("access: the API key is not valid") // unknown, mistyped, expired or revoked: never told apart
	ErrInvalidKey   = errors.New("the key cannot be made")
	ErrNoKey        = errors.New("access: there is no such key")
)

// Key is what is known of an API key; the key itself is kept nowhere.
type Key struct {
	ID        string
	Client    string   // the system that has it
	Scopes    []string // some of Scopes
	Purposes  []string // of codes; empty: all
	Countries []string // ISO 3166-1 alpha-2; empty: all that codes are sent to
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: it is not
	RevokedBy string
}

// KeyRequest asks for a new key.
type KeyRequest struct {
	Client    string
	Scopes    []string
	Purposes  []string
	Countries []string
	ExpiresAt time.Time // zero: never
	Actor     string
}

var (
	clientForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`) // purposes too
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	keyForm     = regexp.MustCompile(`^jnl_([a-z2-7]{12})_([A-Za-z0-9_-]{43})$`)
)

// keyLength is that of every key: a longer text is not even looked at.
const keyLength = len("jnl_") + 12 + len("_") + 43

// noHash stands for the hash of an unknown key, quoted for SQL: nothing hashes to
// what is not hex.
const noHash = "'----------------------------------------------------------------'"

// keyColumns are those of keyRow.
const keyColumns = `id, client, hash, scopes, purposes, countries, created_at, created_by, expires_at, revoked_at, revoked_by FROM api_keys`

var (
	sqlNewKey = store.SQL(`INSERT INTO api_keys (id, client, hash, scopes, purposes, countries, created_at, created_by, expires_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`)
	sqlKey = store.SQL(`SELECT ` + keyColumns + ` WHERE id = ?1`)
	// sqlPresented reads one row for every id; that of an unknown one has the hash
	// of no key, and is as long.
	sqlPresented = store.SQL(`SELECT p.id, coalesce(k.client, 'nobody'), coalesce(k.hash, ` + noHash + `), coalesce(k.scopes, '["otp:send","otp:verify"]'),
		coalesce(k.purposes, '[]'), coalesce(k.countries, '[]'), coalesce(k.created_at, 0), coalesce(k.created_by, 'nobody'), coalesce(k.expires_at, 0),
		coalesce(k.revoked_at, 0), coalesce(k.revoked_by, '') FROM (SELECT CAST(?1 AS TEXT) AS id) p LEFT JOIN api_keys k ON k.id = p.id`)
	sqlKeys      = store.SQL(`SELECT ` + keyColumns + ` ORDER BY created_at DESC, id`)
	sqlRevokeKey = store.SQL(`UPDATE api_keys SET revoked_at = ?2, revoked_by = ?3 WHERE id = ?1 AND revoked_at = 0`)
)

// keyRow is a row of api_keys.
type keyRow struct {
	id, client, hash, scopes, purposes, countries string
	createdAt                                     int64
	createdBy                                     string
	expiresAt, revokedAt                          int64
	revokedBy                                     string
}

// Fields names the places of keyColumns.
func (r *keyRow) Fields() []any {
	return []any{&r.id, &r.client, &r.hash, &r.scopes, &r.purposes, &r.countries, &r.createdAt, &r.createdBy, &r.expiresAt, &r.revokedAt, &r.revokedBy}
}

func (r *keyRow) key() (Key, error) {
	k := Key{ID: r.id, Client: r.client, CreatedAt: store.Time(r.createdAt), CreatedBy: r.createdBy,
		ExpiresAt: store.Time(r.expiresAt), RevokedAt: store.Time(r.revokedAt), RevokedBy: r.revokedBy}
	for _, l := range []struct {
		text string
		into *[]string
	}{{r.scopes, &k.Scopes}, {r.purposes, &k.Purposes}, {r.countries, &k.Countries}} {
		if err := json.Unmarshal([]byte(l.text), l.into); err != nil {
			return Key{}, fmt.Errorf("access: key %s: %w", r.id, err)
		}
	}
	return k, nil
}

// NewKey makes a key and returns it, this once. What is wrong with the request
// is ErrInvalidKey.
func NewKey(tx *store.Tx, r KeyRequest) (plain string, k Key, err error) {
	if k, err = r.check(tx.Now()); err != nil {
		return "", Key{}, err
	}
	k.ID = strings.ToLower(rand.Text()[:12])
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	text := base64.RawURLEncoding.EncodeToString(secret)
	if _, err := tx.Exec(sqlNewKey, k.ID, k.Client, hashOf(text), list(k.Scopes), list(k.Purposes), list(k.Countries),
		store.Millis(k.CreatedAt), k.CreatedBy, store.Millis(k.ExpiresAt)); err != nil {
		return "", Key{}, err
	}
	if err := Note(tx, Entry{Actor: r.Actor, Command: "keys add", Object: "key " + k.ID, After: k.describe()}); err != nil {
		return "", Key{}, err
	}
	return "jnl_" + k.ID + "_" + text, k, nil
}

// check returns the key that is asked for, lists in order and without repeats.
func (r KeyRequest) check(now time.Time) (Key, error) {
	k := Key{Client: r.Client, CreatedAt: now, CreatedBy: r.Actor}
	if !clientForm.MatchString(r.Client) {
		return k, fmt.Errorf("%w: a client's name has 1 to 32 of a-z, 0-9, - and _, and begins with a letter or digit", ErrInvalidKey)
	}
	for _, s := range Scopes {
		if slices.Contains(r.Scopes, s) {
			k.Scopes = append(k.Scopes, s)
		}
	}
	for _, s := range r.Scopes {
		if !slices.Contains(Scopes, s) {
			return k, fmt.Errorf("%w: scope %q is not known; there are %s", ErrInvalidKey, s, strings.Join(Scopes, ", "))
		}
	}
	if len(k.Scopes) == 0 {
		return k, fmt.Errorf("%w: it needs a scope; there are %s", ErrInvalidKey, strings.Join(Scopes, ", "))
	}
	if k.Purposes = sorted(r.Purposes); slices.ContainsFunc(k.Purposes, func(p string) bool { return !clientForm.MatchString(p) }) {
		return k, fmt.Errorf("%w: a purpose is named as in config.toml, such as login", ErrInvalidKey)
	}
	if k.Countries = sorted(r.Countries); slices.ContainsFunc(k.Countries, func(c string) bool { return !countryForm.MatchString(c) }) {
		return k, fmt.Errorf("%w: a country is written in two capital letters, such as BR", ErrInvalidKey)
	}
	if r.ExpiresAt.IsZero() {
		return k, nil
	}
	if k.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Millisecond); !k.ExpiresAt.After(now) {
		return k, fmt.Errorf("%w: it would have expired already", ErrInvalidKey)
	}
	return k, nil
}

// sorted returns each word once, and never nil.
func sorted(in []string) []string {
	return append([]string{}, slices.Compact(slices.Sorted(slices.Values(in)))...)
}

// list writes a JSON list.
func list(in []string) string {
	b, _ := json.Marshal(in) // strings always encode
	return string(b)
}

// describe tells the audit log what a key may do.
func (k Key) describe() string {
	text := "client " + k.Client + ": " + strings.Join(k.Scopes, " ")
	if len(k.Purposes) > 0 {
		text += ", for " + strings.Join(k.Purposes, " ")
	}
	if len(k.Countries) > 0 {
		text += ", in " + strings.Join(k.Countries, " ")
	}
	if !k.ExpiresAt.IsZero() {
		text += ", until " + k.ExpiresAt.Format(time.RFC3339)
	}
	return text
}

// Authenticate returns the key whose plain text this is, or ErrUnauthorized. An
// unknown id costs the same look-up, hash and comparison as a wrong secret, and
// expiry and revocation are asked only of whoever has the whole key.
func Authenticate(q store.Querier, plain string) (Key, error) {
	id, secret, ok := parseKey(plain)
	if !ok {
		return Key{}, ErrUnauthorized // the form is no secret
	}
	row, _, err := store.Get[keyRow](q, sqlPresented, id)
	if err != nil {
		return Key{}, err
	}
	if subtle.ConstantTimeCompare([]byte(hashOf(secret)), []byte(row.hash)) != 1 {
		return Key{}, ErrUnauthorized
	}
	if row.revokedAt != 0 || row.expiresAt != 0 && row.expiresAt <= store.Millis(q.Now()) {
		return Key{}, ErrUnauthorized
	}
	return row.key()
}

// parseKey splits a key into id and secret.
func parseKey(plain string) (id, secret string, ok bool) {
	if len(plain) != keyLength {
		return "", "", false
	}
	m := keyForm.FindStringSubmatch(plain)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// hashOf hashes a secret as it is written, not the bytes behind it: base64
// reads some texts as the same bytes.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// KeyID returns the id of which a text is the whole key, or else the text: for
// commands on a key that leaked, and is at hand.
func KeyID(text string) string {
	if id, _, ok := parseKey(text); ok {
		return id
	}
	return text
}

// Keys lists every key, newest first, also those that are no longer valid.
func Keys(q store.Querier) ([]Key, error) {
	rows, err := store.All[keyRow](q, sqlKeys)
	if err != nil {
		return nil, err
	}
	out := make([]Key, 0, len(rows))
	for _, r := range rows {
		k, err := r.key()
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// RevokeKey ends a key from this transaction on, for ever. One that was revoked
// before stays as it is. ErrNoKey: there is none.
func RevokeKey(tx *store.Tx, id, actor string) error {
	row, ok, err := store.Get[keyRow](tx, sqlKey, id)
	switch {
	case err != nil:
		return err
	case !ok:
		return ErrNoKey
	case row.revokedAt != 0:
		return nil
	}
	k, err := row.key()
	if err != nil {
		return err
	}
	if err := tx.One(sqlRevokeKey, id, store.Millis(tx.Now()), actor); err != nil {
		return err
	}
	return Note(tx, Entry{Actor: actor, Command: "keys revoke", Object: "key " + id, Before: k.describe(), After: "revoked"})
}

// May reports whether the key has a scope.
func (k Key) May(scope string) bool { return slices.Contains(k.Scopes, scope) }

// Valid reports whether the key opens anything at an instant.
func (k Key) Valid(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}
