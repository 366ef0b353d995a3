package campaigns

import (
	"errors"
	"io"
	"os"

	"janela/internal/csvfile"
)

// Audience is a CSV file with people, read row by row.
type Audience struct {
	*csvfile.File
	closeFile func() error
}

// OpenAudience opens a CSV file. Errors are *csvfile.Error where the file's
// content is at fault.
func OpenAudience(path string) (*Audience, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	return OpenAudienceFile(f)
}

// again opens the same file once more, from its beginning.
func (a *Audience) again(path string) (*Audience, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	file, err := csvfile.Again(f, a.File)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Audience{File: file, closeFile: f.Close}, nil
}

func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, &csvfile.Error{Message: "it is not a regular file"}
	}
	return os.Open(path)
}

// OpenAudienceFile reads an open file, and owns it: it is closed with the
// Audience, or before an error is returned.
func OpenAudienceFile(f *os.File) (*Audience, error) {
	a, err := ReadAudience(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a.closeFile = f.Close
	return a, nil
}

// ReadAudience reads r from where it stands. One without rows is refused: there
// is nobody to send to.
func ReadAudience(r io.ReadSeeker) (*Audience, error) {
	f, err := csvfile.Open(r, csvfile.Options{})
	if err != nil {
		return nil, err
	}
	if f.Empty() {
		return nil, &csvfile.Error{Message: "the file has a header and no rows"}
	}
	return &Audience{File: f}, nil
}

// Close closes the file that OpenAudience opened.
func (a *Audience) Close() error {
	if a.closeFile == nil {
		return nil
	}
	return a.closeFile()
}

// rowFault says why a row cannot be read; nil if it can.
func rowFault(row *csvfile.Row) *Reject {
	switch {
	case row.Fault == "":
		return nil
	case row.Fields == nil:
		return &Reject{row.Line, RowMalformed, row.Fault}
	default:
		return &Reject{row.Line, RowRagged, row.Fault}
	}
}
