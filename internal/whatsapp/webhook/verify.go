package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strings"
)

// SignatureHeader is the header that Verify reads.
const SignatureHeader = "X-Hub-Signature-256"

// Verify tells whether header signs body, the raw bytes as they came, with any
// of the app secrets (several while one is being replaced). Empty secrets never
// verify. It takes the same time whether and where a signature differs.
func Verify(secrets [][]byte, header string, body []byte) bool {
	signature, found := strings.CutPrefix(header, "sha256=")
	var given [sha256.Size]byte
	if !found || len(signature) != hex.EncodedLen(len(given)) {
		return false
	}
	if _, err := hex.Decode(given[:], []byte(signature)); err != nil {
		return false
	}
	ok := 0
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		ok |= subtle.ConstantTimeCompare(given[:], mac.Sum(nil))
	}
	return ok == 1
}

// Challenge answers Meta's check of the endpoint (Meta: Webhooks, verification
// requests): the text to reply with as the raw body, in text/plain. ok is false
// when the request is no such check or the token is wrong; an empty verifyToken
// is never right.
func Challenge(q url.Values, verifyToken string) (challenge string, ok bool) {
	given, want := sha256.Sum256([]byte(q.Get("hub.verify_token"))), sha256.Sum256([]byte(verifyToken))
	right := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	challenge = q.Get("hub.challenge")
	if !right || verifyToken == "" || q.Get("hub.mode") != "subscribe" || challenge == "" || len(challenge) > 512 {
		return "", false
	}
	return challenge, true
}
