package optin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"janela/internal/keyfile"
	"janela/internal/whatsapp"
)

const (
	keyHead = "# Key of the consent ledger. Keep a copy apart from the database: without it nobody can tell whether the\n" +
		"# ledger was changed, and whom you have promised to forget.\n"
	keyName = "consents"
	masked  = "<secret>"
)

// Keys are what seals the ledger and hides who was forgotten. They stand in no
// database, do not rotate, and never print themselves.
type Keys struct{ of *derived }

// derived are the keys of single uses.
type derived struct{ chain, proof, suppression, request []byte }

// OpenKeys reads the key file, and makes it where there is none. It refuses one
// that others may read; an error repeats nothing of it.
func OpenKeys(path string) (*Keys, error) {
	lines, err := keyfile.Open(path, keyHead, keyName)
	if err != nil {
		return nil, fmt.Errorf("optin: key file: %w", err)
	}
	if len(lines) != 1 || lines[0].Name != keyName {
		return nil, fmt.Errorf("optin: key file %s: it needs one line, that of the key %s; restore it from its copy", path, keyName)
	}
	d := &derived{}
	for use, into := range map[string]*[]byte{"chain": &d.chain, "proof": &d.proof, "suppression": &d.suppression, "request": &d.request} {
		if *into, err = keyfile.Derive(lines[0].Key, "optin/"+use+"/v1"); err != nil {
			return nil, err
		}
	}
	return &Keys{d}, nil
}

// MAC returns the keyed hash of what a caller must be recognised by and may not
// be kept, as hexadecimal digits: the same data give another one in another
// domain.
func (k *Keys) MAC(domain string, data []byte) string {
	return hex.EncodeToString(keyed(k.of.request, []byte(domain+":"), data))
}

// nameHash stands for one name of a person in the list of the forgotten: with
// wide, for every spelling of the number.
func (k *Keys) nameHash(id whatsapp.Identity, wide bool) string {
	if wide {
		return hex.EncodeToString(keyed(k.of.suppression, []byte("wide:"), []byte(whatsapp.MatchKey(id))))
	}
	return hex.EncodeToString(keyed(k.of.suppression, []byte("exact:"+string(id.Kind)+":"), []byte(id.Value)))
}

func keyed(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// String returns <secret>.
func (k *Keys) String() string { return masked }

// Format writes <secret> for every verb.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue is <secret>.
func (k *Keys) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText writes <secret>; JSON uses it too.
func (k *Keys) MarshalText() ([]byte, error) { return []byte(masked), nil }
