package gate

import (
	"strings"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
)

// mediaTries is how often a message is tried with a file that Meta cannot use,
// and how many uploads of one file.
const mediaTries = 3

// fileless reports whether a file that messages of the stream show must be
// uploaded first.
func fileless(q store.Querier, s outbox.Stream) (bool, error) {
	for sha := range strings.FieldsSeq(s.Files) {
		if id, err := account.MediaID(q, s.Number, sha); err != nil || id == "" {
			return err == nil, err
		}
	}
	return false, nil
}

// stopsForMedia reports whether a file that Meta cannot use stops the campaign:
// it is the campaign's own, so every message would meet the same.
func stopsForMedia(s outbox.Stream) bool { return s.Campaign != "" && s.Files != "" }

// refusedMedia forgets the ids of the files that a message was sent with, so
// that they are uploaded again. hopeless: that did not help, several times, and
// the campaign must stop.
func refusedMedia(tx *store.Tx, f Failure) (hopeless bool, err error) {
	inARow, err := account.ForgetMedia(tx, f.Stream.Number, f.Stream.Files, f.Message.ClaimedAt)
	return stopsForMedia(f.Stream) && inARow >= mediaTries, err
}
