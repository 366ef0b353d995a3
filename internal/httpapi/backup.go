package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"janela/internal/access"
	"janela/internal/store"
)

// BackupNote says that somebody has made a backup: a copy of everybody's data.
type BackupNote struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	Rows  int64  `json:"rows"`
}

// noteBackup writes it into the audit log.
func (s *Server) noteBackup(w http.ResponseWriter, r *http.Request) error {
	var in BackupNote
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.File == "" {
		return invalid("file is missing")
	}
	err := s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "backup", Object: in.File, After: fmt.Sprintf("%d bytes, %d rows", in.Bytes, in.Rows)})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, in)
}

// NoteBackup tells the daemon of a backup, for the audit log.
func (c *Client) NoteBackup(ctx context.Context, in BackupNote) (out BackupNote, err error) {
	return out, c.call(ctx, "POST", "/v1/backups", nil, in, &out)
}
