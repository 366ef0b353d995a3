package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"

	"janela/internal/access"
	"janela/internal/store"
	"janela/optin"
)

// ImportRequest says how a CSV file of consents is to be read; the file itself
// is the request's body.
type ImportRequest struct {
	Name        string            `json:"name"`               // the file's, for the evidence
	Category    string            `json:"category,omitempty"` // of rows without one
	Scope       string            `json:"scope,omitempty"`
	Purpose     string            `json:"purpose,omitempty"`
	Text        string            `json:"text,omitempty"`        // what the people were shown: the proof
	Origin      string            `json:"origin,omitempty"`      // where it was collected: site form, shop, call
	At          string            `json:"at,omitempty"`          // date of rows without one
	Columns     map[string]string `json:"columns,omitempty"`     // field to header
	Revocations bool              `json:"revocations,omitempty"` // every row is a revocation
	Rejects     bool              `json:"rejects,omitempty"`     // send the rejected rows back
}

// importConsents reads a CSV file of any size into the consent ledger. The
// answer has two parts: the report, and the rejected rows when they are wanted.
func (s *Server) importConsents(w http.ResponseWriter, r *http.Request) error {
	var in ImportRequest
	if err := json.Unmarshal([]byte(r.URL.Query().Get("options")), &in); err != nil {
		return invalid("the options are no JSON object: %v", err)
	}
	opt, err := s.importOptions(r, in)
	if err != nil {
		return err
	}
	patient(w)
	file, err := s.spool(r.Body)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	var rejects *os.File
	if in.Rejects {
		if rejects, err = s.temporary(); err != nil {
			return err
		}
		defer func() { _ = rejects.Close() }()
		opt.Rejects = rejects
	}
	report, err := optin.ImportCSV(r.Context(), s.cfg.DB, file, opt)
	if report.ImportID != 0 {
		err = errors.Join(err, s.noteImport(r, report))
	}
	if err != nil {
		var broken *os.PathError
		if p := problemOf(err); p.Status == http.StatusInternalServerError && report.ImportID == 0 && !errors.As(err, &broken) {
			p.Title, p.Status, p.Code = "the file cannot be imported", http.StatusUnprocessableEntity, CodeRefused
			return p
		}
		return err
	}
	return writeParts(w, report, rejects)
}

func (s *Server) importOptions(r *http.Request, in ImportRequest) (optin.ImportOptions, error) {
	opt := optin.ImportOptions{Name: filepath.Base(in.Name), Columns: in.Columns, DefaultCategory: in.Category, DefaultScope: in.Scope,
		DefaultPurpose: in.Purpose, DefaultRegion: s.live.Load().Region, Zone: s.live.Load().Zone, Actor: Actor(r.Context()),
		Evidence: optin.Evidence{Text: in.Text, Origin: in.Origin}, Revocations: in.Revocations, OnOutcome: s.cfg.Outcomes}
	var err error
	if opt.DefaultTime, err = s.when(in.At); err != nil {
		return opt, err
	}
	return opt, s.cfg.DB.Read(r.Context(), func(q *store.Snap) error { return knownScope(q, in.Scope) })
}

// noteImport writes the audit entry of an import, which has had many
// transactions.
func (s *Server) noteImport(r *http.Request, report optin.Report) error {
	return s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "optin import", Object: report.Name,
			After: fmt.Sprintf("import %d: %d rows, %d granted, %d revoked, %d unchanged, %d rejected", report.ImportID, report.Rows,
				report.Granted, report.Revoked, report.Unchanged, report.Rejected)})
	})
}

// temporary makes a file that has no name any more: whatever happens, nothing
// of it stays behind.
func (s *Server) temporary() (*os.File, error) {
	if err := os.MkdirAll(s.cfg.Spool, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	f, err := os.CreateTemp(s.cfg.Spool, ".upload-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool: %w", err), f.Close())
	}
	return f, nil
}

// spool keeps a request's body in a file, so that it can be read twice.
func (s *Server) spool(body io.Reader) (*os.File, error) {
	f, err := s.temporary()
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, body); err != nil {
		return nil, errors.Join(fmt.Errorf("receive the file: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeParts answers with a JSON value and, unless it is nil, a file.
func writeParts(w http.ResponseWriter, v any, file *os.File) error {
	parts := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+parts.Boundary())
	first, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	if err := json.NewEncoder(first).Encode(v); err != nil {
		return err
	}
	if file != nil {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		second, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/csv"}})
		if err != nil {
			return err
		}
		if _, err := io.Copy(second, file); err != nil {
			return err
		}
	}
	return parts.Close()
}

// ImportReport says what an import did.
type ImportReport = optin.Report
