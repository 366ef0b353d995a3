package campaigns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// datePlaceholder stands in recipients.file for the run's local date.
const datePlaceholder = "{{date}}"

// FileOn returns recipients.file for a run's local date.
func (r Recipients) FileOn(date time.Time) string {
	return strings.ReplaceAll(r.File, datePlaceholder, date.Format("2006-01-02"))
}

// Dated reports whether each run has a file of its own.
func (r Recipients) Dated() bool { return strings.Contains(r.File, datePlaceholder) }

// filePath checks a file's name as it is written; OpenFile checks what is there.
func (c *checker) filePath(key, name string) bool {
	before := len(c.problems)
	switch ext := strings.ToLower(path.Ext(name)); {
	case c.empty(key, name, `name a file beside this one`):
	case path.IsAbs(name) || strings.HasPrefix(name, "~") || len(name) > 1 && name[1] == ':':
		c.fault(key, fmt.Sprintf("%q does not begin in the campaign's folder", name), "put the file beside this one and write its name alone")
	case strings.Contains(name, `\`):
		c.fault(key, fmt.Sprintf("%q has a backslash", name), `write folders with "/"`)
	case slices.Contains(strings.Split(name, "/"), ".."):
		c.fault(key, fmt.Sprintf("%q leads out of the campaign's folder", name), "put the file beside this one")
	case strings.ContainsAny(name, "\x00\n\r"):
		c.fault(key, "the file's name has a line end in it", "write its name on one line")
	case strings.Contains(name, "{{"):
		c.fault(key, fmt.Sprintf("%q has a placeholder that is not known", name), "only {{date}} in recipients.file is: the local date of the run, 2026-11-27")
	case key == "recipients.file" && slices.Contains([]string{".xlsx", ".xls", ".ods"}, ext):
		c.fault(key, "spreadsheets are not in this version", `save the sheet as "CSV UTF-8" and name that file`)
	}
	return len(c.problems) == before
}

// FileError says why a file of a campaign cannot be used.
type FileError struct {
	Name, Message, Hint string
	Missing             bool // there is no such file (yet)
}

// Error returns name, message and hint.
func (e *FileError) Error() string {
	s := e.Name + ": " + e.Message
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// OpenFile opens a file of a campaign for reading. dir is the folder of the
// definition, name the path below it. It follows no link out of dir and opens
// nothing but regular files. Errors are *FileError.
func OpenFile(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &FileError{Name: dir, Message: "the campaign's folder cannot be read: " + cause(err)}
	}
	defer root.Close()
	info, err := root.Stat(name) // before opening: a pipe would wait for ever
	if err != nil {
		return nil, fileError(root, name, err)
	}
	if !info.Mode().IsRegular() {
		what := "it is not a regular file"
		if info.IsDir() {
			what = "it is a folder"
		}
		return nil, &FileError{Name: name, Message: what, Hint: "name a file"}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fileError(root, name, err)
	}
	return f, nil
}

func fileError(root *os.Root, name string, err error) *FileError {
	e := &FileError{Name: name, Message: "cannot be read: " + cause(err)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Message, e.Missing = "the file is not there", true
		if near := tomlfile.Suggest(path.Base(name), siblings(root, path.Dir(name))); near != "" {
			e.Hint = fmt.Sprintf("did you mean %q?", path.Join(path.Dir(name), near))
		}
	case strings.Contains(err.Error(), "escapes"): // os.Root has no exported error for it
		e.Message, e.Hint = "it is a link out of the campaign's folder", "put the file itself there"
	case errors.Is(err, fs.ErrPermission):
		e.Message, e.Hint = "the daemon may not read it", "let its user read the file"
	}
	return e
}

func siblings(root *os.Root, dir string) []string {
	d, err := root.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(1000) // what was read is good enough for a hint
	slices.Sort(names)
	return names
}

// cause drops the path and the verb of a file error.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// MediaType is a kind of file that Meta takes as a header.
type MediaType struct {
	MIME  string
	Limit int64 // bytes
	magic func(start []byte) bool
}

const (
	mib            = 1 << 20
	openDocuments  = "application/vnd.openxmlformats-officedocument."
	oldMicrosoft   = "\xD0\xCF\x11\xE0"
	zipped         = "PK\x03\x04"
	imageLimit     = 5 * mib
	videoLimit     = 16 * mib
	documentLimit  = 100 * mib
	longestMagic   = 12
	documentFormat = "pdf, txt, doc, docx, xls, xlsx, ppt or pptx"
)

func begins(with string) func([]byte) bool {
	return func(start []byte) bool { return bytes.HasPrefix(start, []byte(with)) }
}

func isMP4(start []byte) bool { return len(start) >= 8 && string(start[4:8]) == "ftyp" }

func isText(start []byte) bool { return bytes.IndexByte(start, 0) < 0 }

// mediaTypes are Meta's (Cloud API, Media: supported media types).
var mediaTypes = map[whatsapp.HeaderType]map[string]MediaType{
	whatsapp.HeaderImage: {
		".jpg":  {"image/jpeg", imageLimit, begins("\xFF\xD8\xFF")},
		".jpeg": {"image/jpeg", imageLimit, begins("\xFF\xD8\xFF")},
		".png":  {"image/png", imageLimit, begins("\x89PNG")},
	},
	whatsapp.HeaderVideo: {
		".mp4": {"video/mp4", videoLimit, isMP4},
	},
	whatsapp.HeaderDocument: {
		".pdf":  {"application/pdf", documentLimit, begins("%PDF")},
		".txt":  {"text/plain", documentLimit, isText},
		".doc":  {"application/msword", documentLimit, begins(oldMicrosoft)},
		".xls":  {"application/vnd.ms-excel", documentLimit, begins(oldMicrosoft)},
		".ppt":  {"application/vnd.ms-powerpoint", documentLimit, begins(oldMicrosoft)},
		".docx": {openDocuments + "wordprocessingml.document", documentLimit, begins(zipped)},
		".xlsx": {openDocuments + "spreadsheetml.sheet", documentLimit, begins(zipped)},
		".pptx": {openDocuments + "presentationml.presentation", documentLimit, begins(zipped)},
	},
}

// MediaTypeOf returns what a file is to Meta, by its ending.
func MediaTypeOf(header whatsapp.HeaderType, name string) (MediaType, error) {
	m, ok := mediaTypes[header][strings.ToLower(path.Ext(name))]
	if ok {
		return m, nil
	}
	want := documentFormat
	switch header {
	case whatsapp.HeaderImage:
		want = "jpg, jpeg or png"
	case whatsapp.HeaderVideo:
		want = "mp4"
	}
	return m, fmt.Errorf("%q is no %s that WhatsApp takes: the file must end in %s", baseName(name), header, want)
}

// OpenMedia opens a file that messages show, and checks that it is what its
// ending says, and small enough for Meta. The caller closes it. Errors are
// *FileError.
func OpenMedia(dir string, m MediaFile) (*os.File, MediaType, error) {
	kind, err := MediaTypeOf(m.Type, m.Name)
	if err != nil {
		return nil, kind, &FileError{Name: m.Name, Message: err.Error()}
	}
	f, err := OpenFile(dir, m.Name)
	if err != nil {
		return nil, kind, err
	}
	if err := kind.inspect(f, m.Name); err != nil {
		return nil, kind, errors.Join(err, f.Close())
	}
	return f, kind, nil
}

func (m MediaType) inspect(f *os.File, name string) error {
	info, err := f.Stat()
	if err != nil {
		return &FileError{Name: name, Message: "cannot be read: " + cause(err)}
	}
	switch size := info.Size(); {
	case size == 0:
		return &FileError{Name: name, Message: "the file is empty"}
	case size > m.Limit:
		return &FileError{Name: name, Message: fmt.Sprintf("the file has %.1f MB; WhatsApp takes at most %d MB", float64(size)/mib, m.Limit/mib), Hint: "make it smaller"}
	}
	start := make([]byte, longestMagic)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return &FileError{Name: name, Message: "cannot be read: " + cause(err)}
	}
	if !m.magic(start[:n]) {
		return &FileError{Name: name, Message: "the file is not what its ending says", Hint: "export it again as " + strings.TrimPrefix(path.Ext(name), ".")}
	}
	return nil
}
