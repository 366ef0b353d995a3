package optin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"janela/internal/keyfile"
)

// Head names the last seal of the ledger. Whoever keeps one elsewhere can tell
// later whether anything up to it was cut off or made anew.
type Head struct {
	Seq int64
	MAC []byte // 32 bytes; none for seq 0
}

// ParseHead reads what String wrote.
func ParseHead(text string) (Head, error) {
	seq, mac, ok := strings.Cut(strings.TrimSpace(text), ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	b, hexErr := hex.DecodeString(mac)
	if !ok || err != nil || hexErr != nil || n < 0 || (n == 0) != (len(b) == 0) || n > 0 && len(b) != 32 {
		return Head{}, invalid("a head of the ledger looks like 120:5f0c…, as janela optin verify prints it")
	}
	return Head{n, b}, nil
}

// String returns "120:5f0c…", "0:" where nothing is sealed.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.MAC) }

// headWord begins the head file, whose one line is "<word> <database> <head>".
const headWord = "janela-consents-1"

// readHead reads the head file. ok is false where there is none, or one of
// another database that stood here before.
func readHead(path, database string) (h Head, ok bool, err error) {
	data, err := keyfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("optin: head file: %w", err)
	}
	words := strings.Fields(string(data))
	if len(words) != 3 || words[0] != headWord {
		return h, false, fmt.Errorf("optin: head file %s: it is not one that janela wrote", path)
	}
	if words[1] != database {
		return h, false, nil
	}
	h, err = ParseHead(words[2])
	return h, err == nil, err
}

func writeHead(path, database string, h Head) error {
	if err := keyfile.Write(path, fmt.Appendf(nil, "%s %s %s\n", headWord, database, h)); err != nil {
		return fmt.Errorf("optin: head file: %w", err)
	}
	return nil
}
