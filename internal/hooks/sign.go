package hooks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a signing secret (Standard Webhooks 1.0, Signature scheme).
const secretPrefix = "whsec_"

// errSecret never shows the secret.
var errSecret = errors.New(`hooks: a secret is "whsec_" and the base64 of 24 to 64 random bytes`)

// NewSecret makes a signing secret of 256 random bits.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// ParseSecret returns the key of a signing secret.
func ParseSecret(text string) ([]byte, error) {
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	if !ok {
		return nil, errSecret
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errSecret
	}
	return key, nil
}

// Sign makes the header webhook-signature: one signature for each secret, so
// that a receiver that has one of them can verify it (Standard Webhooks 1.0:
// HMAC-SHA256 of id, timestamp and body, joined by dots).
func Sign(secrets [][]byte, id string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, s := range secrets {
		key, err := ParseSecret(string(s))
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp(at) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if len(all) == 0 {
		return "", errSecret
	}
	return strings.Join(all, " "), nil
}

// timestamp is the header webhook-timestamp: of the request, in seconds.
func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
