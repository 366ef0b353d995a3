package dispatch

import (
	"strings"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
)

// files are Meta's ids of the files that a stream's messages show, by their
// SHA-256, as they hold at the claim. Stored parameters name files by content:
// a message may wait longer than an id lives.
type files map[string]string

func (f files) id(sha256 string) string { return f[sha256] }

// filesOf reads the ids for n messages just claimed; the gate has seen that
// there are some.
func filesOf(q store.Querier, s outbox.Stream, n int) (files, error) {
	if s.Files == "" || n == 0 {
		return nil, nil
	}
	out := files{}
	for sha := range strings.FieldsSeq(s.Files) {
		id, err := account.MediaID(q, s.Number, sha)
		if err != nil {
			return nil, err
		}
		out[sha] = id
	}
	return out, nil
}
