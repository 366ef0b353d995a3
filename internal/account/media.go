package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp/cloudapi"
)

// An uploaded file can be sent for 30 days (Meta: Media). It is uploaded again
// after 25, and an id of 29 days is not used any more: a message that Meta holds
// back for a while must still find it.
const (
	mediaRenewed = 25 * 24 * time.Hour
	mediaUsed    = 29 * 24 * time.Hour
)

// mediaYoung is how soon after its upload a refusal says something of the file
// itself, and not only of its id.
const mediaYoung = time.Hour

var (
	sqlMedia    = store.SQL(`SELECT media_id FROM media WHERE number_id = ?1 AND sha256 = ?2 AND uploaded_at > ?3`)
	sqlPutMedia = store.SQL(`INSERT INTO media (number_id, sha256, media_id, uploaded_at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (number_id, sha256) DO UPDATE SET media_id = excluded.media_id, uploaded_at = excluded.uploaded_at`)
	sqlForgetMedia = store.SQL(`UPDATE media SET refused = CASE WHEN uploaded_at > ?4 THEN refused + 1 ELSE 1 END, uploaded_at = 0
		WHERE number_id = ?1 AND sha256 = ?2 AND uploaded_at > 0 AND uploaded_at <= ?3`)
	sqlMediaRefused = store.SQL(`SELECT refused FROM media WHERE number_id = ?1 AND sha256 = ?2`)
)

// File is something to upload.
type File struct {
	SHA256, Name, MIME string
	Size               int64
	Open               func() (io.ReadCloser, error)
}

// MediaWanted is woken when a file must be uploaded again: Meta does not know
// its id any more.
const MediaWanted store.Topic = "account.media"

// Media returns Meta's id of a file for a number, and uploads it where it is
// not there yet, or not for long any more: once per content and number. When it
// cannot be uploaded again, the id it had is good as long as Meta keeps it.
func (s *Syncer) Media(ctx context.Context, n Number, f File) (string, error) {
	s.uploads.Lock() // two who want one file upload it once
	defer s.uploads.Unlock()
	var fresh, usable string
	err := s.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		if fresh, _, err = store.Value[string](q, sqlMedia, n.ID, f.SHA256, store.Millis(q.Now().Add(-mediaRenewed))); err != nil {
			return err
		}
		usable, err = MediaID(q, n.ID, f.SHA256)
		return err
	})
	if err != nil || fresh != "" {
		return fresh, err
	}
	r, ok := s.cfg.Reader(n.WABA)
	if !ok {
		return "", fmt.Errorf("account %s is not configured", n.WABA)
	}
	id, err := r.UploadMedia(ctx, n.ID, f.Name, f.MIME, f.Size, f.Open)
	if err != nil {
		err = fmt.Errorf("upload %s: %w", f.Name, err)
		if usable != "" && isMeta(err) {
			s.cfg.Log.Warn("a file at Meta that ends soon could not be uploaded again; it is tried again, and good until then", "file", f.Name, "error", err)
			return usable, nil
		}
		return "", err
	}
	return id, s.cfg.DB.Bulk(ctx, func(tx *store.Tx) error {
		outbox.WakeAll(tx) // what waited for it can go on
		_, err := tx.Exec(sqlPutMedia, n.ID, f.SHA256, id, store.Millis(tx.Now()))
		return err
	})
}

// isMeta tells what Meta or the network refused from what is wrong here.
func isMeta(err error) bool {
	var e *cloudapi.Error
	return errors.As(err, &e)
}

// MediaID returns the id under which a number can send a file now; "" when it
// must be uploaded first.
func MediaID(q store.Querier, number, sha256 string) (string, error) {
	id, _, err := store.Value[string](q, sqlMedia, number, sha256, store.Millis(q.Now().Add(-mediaUsed)))
	return id, err
}

// ForgetMedia forgets the ids of a stream's files, apart by spaces, that were
// uploaded at an instant (ms) or before: Meta could not use one of them. What was
// uploaded since stays. inARow is how many uploads of one of the files it could
// not use, each soon after it was made.
func ForgetMedia(tx *store.Tx, number, files string, uploaded int64) (inARow int64, err error) {
	young := store.Millis(tx.Now().Add(-mediaYoung))
	for sha := range strings.FieldsSeq(files) {
		n, err := tx.Exec(sqlForgetMedia, number, sha, uploaded, young)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			tx.Wake(MediaWanted)
		}
		refused, _, err := store.Value[int64](tx, sqlMediaRefused, number, sha)
		if err != nil {
			return 0, err
		}
		inARow = max(inARow, refused)
	}
	return inARow, nil
}
