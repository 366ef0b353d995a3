package campaigns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"janela/internal/access"
	"janela/internal/failpoint"
	"janela/internal/store"
	"janela/internal/tomlfile"
)

// An upload is a definition with its files that came by the API. It is gathered
// in a hidden folder, judged there as if it lay in the campaigns folder, and then
// put in its place in one step: what the folder has stays the one truth, and the
// watcher takes it as everything else that is dropped there.
//
//	campaigns.d/.upload-123/angebot/campaign.toml, kunden.csv, .uploaded
//	     └──rename, or exchange with what was there──▶ campaigns.d/angebot/

const (
	uploadPrefix = ".upload-"
	uploadedMark = ".uploaded" // who uploaded what lies beside it
	definitionAt = "campaign.toml"
	uploadStale  = 24 * time.Hour // a crash left it
)

// Errors of uploads.
var (
	ErrFileName = errors.New("campaigns: the name of an uploaded file must be a plain file name")
	ErrTaken    = errors.New("campaigns: a definition of this id lies in the folder that was not uploaded")
	ErrOver     = errors.New("campaigns: the campaign was cancelled, which is final")
)

// Upload is a definition with its files on their way. Remove must be called.
type Upload struct {
	c    *Campaigns
	id   string
	root string // hidden, until Put
	sums map[string]string
}

// uploaded is what stands in the mark.
type uploaded struct {
	By    string            `json:"by"`
	Files map[string]string `json:"files"` // SHA-256 by name, the definition among them
}

var uploadID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// fileName keeps an uploaded file from being a definition, hidden, or elsewhere.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}$`)

// ValidID reports whether a text can be a campaign's id.
func ValidID(id string) bool { return uploadID.MatchString(id) }

// NewUpload begins one. It lies beside the campaigns where put says that it may
// become one, in the spool otherwise.
func (c *Campaigns) NewUpload(id string, put bool) (*Upload, error) {
	at := c.cfg.Spool
	if put {
		at = c.cfg.Folder
		c.dropStale()
	} else if err := os.MkdirAll(at, 0o700); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(at, uploadPrefix+"*")
	if err != nil {
		return nil, err
	}
	u := &Upload{c: c, id: id, root: root, sums: map[string]string{}}
	if err := os.Mkdir(u.dir(), 0o700); err != nil {
		return nil, errors.Join(err, u.Remove())
	}
	return u, nil
}

// dropStale removes what uploads of an earlier process left behind.
func (c *Campaigns) dropStale() {
	entries, _ := os.ReadDir(c.cfg.Folder)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), uploadPrefix) && time.Since(info.ModTime()) > uploadStale {
			_ = os.RemoveAll(filepath.Join(c.cfg.Folder, e.Name()))
		}
	}
}

func (u *Upload) dir() string { return filepath.Join(u.root, u.id) }

// Remove takes away what has not been put.
func (u *Upload) Remove() error { return os.RemoveAll(u.root) }

// Definition writes the definition.
func (u *Upload) Definition(from io.Reader) error {
	if err := u.write(definitionAt, from); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(u.dir(), definitionAt))
	if err == nil && info.Size() > maxDefinition {
		err = errTooLarge
	}
	return err
}

// ErrTooLarge says that a definition has more than MaxDefinition bytes.
var ErrTooLarge = errTooLarge

// File writes one of the files that the definition names. ErrFileName: not by
// that name; fs.ErrExist: there is one.
func (u *Upload) File(name string, from io.Reader) error {
	if !fileName.MatchString(name) || strings.HasSuffix(strings.ToLower(name), ".toml") || leftover(name) || name == "STOP" {
		return ErrFileName
	}
	return u.write(name, from)
}

func (u *Upload) write(name string, from io.Reader) error {
	f, err := os.OpenFile(filepath.Join(u.dir(), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), from)
	if err == nil {
		err = f.Sync()
	}
	u.sums[name] = hex.EncodeToString(sum.Sum(nil))
	return errors.Join(err, f.Close())
}

// Named gives an upload that is only planned the id of its definition, where it
// has one.
func (u *Upload) Named() (id string, err error) {
	path := filepath.Join(u.dir(), definitionAt)
	data, err := readLimited(path)
	if err != nil {
		return u.id, err
	}
	def, _, _ := ParseDefinition(path, data)
	if def.ID == u.id || !ValidID(def.ID) {
		return u.id, nil
	}
	from := u.dir()
	u.id = def.ID
	return u.id, os.Rename(from, u.dir())
}

// Text returns the definition as it was sent, "" where there is none.
func (u *Upload) Text() string {
	data, err := readLimited(filepath.Join(u.dir(), definitionAt))
	if err != nil {
		return ""
	}
	return string(data)
}

// Plan judges the upload and says what it would do. Faults name files as the
// upload does.
func (u *Upload) Plan(ctx context.Context, opt PlanOptions) (Plan, tomlfile.Problems, error) {
	plan, problems, err := u.c.Plan(ctx, filepath.Join(u.dir(), definitionAt), opt)
	for i := range problems {
		problems[i].File = filepath.Base(problems[i].File)
		for _, text := range []*string{&problems[i].Message, &problems[i].Hint} {
			*text = strings.ReplaceAll(strings.ReplaceAll(*text, u.dir()+string(filepath.Separator), ""), u.dir(), "the upload")
		}
	}
	return plan, problems, err
}

// Put puts the upload where the watcher takes it, all of it or nothing. by is
// who did it: whoever approves it must be somebody else, with four eyes.
// ErrTaken: what is there is not ours to replace. ErrOver: it was cancelled.
func (u *Upload) Put(ctx context.Context, by string) error {
	mark, err := json.Marshal(uploaded{by, u.sums})
	if err != nil {
		return err
	}
	if err := u.write(uploadedMark, strings.NewReader(string(mark))); err != nil {
		return err
	}
	if err := syncDir(u.dir()); err != nil {
		return err
	}
	u.c.uploads.Lock()
	defer u.c.uploads.Unlock()
	there, err := u.replaces()
	if err != nil {
		return err
	}
	err = u.c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		camp, _, err := ByID(tx, u.id)
		if err != nil {
			return err
		}
		if camp.State == Cancelled {
			return ErrOver
		}
		return access.Note(tx, access.Entry{Actor: by, Command: "campaigns upload", Object: u.id, Before: camp.State, After: "definition " + u.sums[definitionAt][:12]})
	})
	if err != nil {
		return err
	}
	if err := failpoint.Err("campaigns.upload.put"); err != nil {
		return err
	}
	to := filepath.Join(u.c.cfg.Folder, u.id)
	if there {
		err = exchange(u.dir(), to)
	} else {
		err = os.Rename(u.dir(), to)
	}
	if err != nil {
		return fmt.Errorf("put the upload into the campaigns folder: %w", err)
	}
	return syncDir(u.c.cfg.Folder)
}

// replaces reports whether an earlier upload is to be replaced.
func (u *Upload) replaces() (bool, error) {
	if _, err := os.Lstat(filepath.Join(u.c.cfg.Folder, u.id+".toml")); !errors.Is(err, fs.ErrNotExist) {
		return false, errors.Join(ErrTaken, err)
	}
	dir := filepath.Join(u.c.cfg.Folder, u.id)
	switch _, err := os.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if _, ok := readMark(dir); !ok {
		return false, ErrTaken
	}
	return true, nil
}

// exchange swaps two folders in one step, so that no moment shows half. A file
// system that cannot do it gets the files one after the other, the definition
// last: a change that is seen in between has not lain still for long enough.
func exchange(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, e := range entries {
			if (e.Name() == definitionAt) == last {
				if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readMark reads who uploaded what lies in a folder. A mark that somebody else
// than this process's user wrote says nothing: who may drop files is told by
// whose they are.
func readMark(dir string) (m uploaded, ok bool) {
	f, err := OpenFile(dir, uploadedMark)
	if err != nil {
		return m, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !ours(info) {
		return m, false
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return m, false
	}
	return m, m.By != ""
}

func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// submitter names who dropped a definition: who uploaded it, where it and its
// audience are as they were uploaded, or whose file it is.
func submitter(d drop, data []byte, audience string) string {
	m, ok := readMark(d.Dir)
	sum := sha256.Sum256(data)
	if !ok || filepath.Base(d.Path) != definitionAt || m.Files[definitionAt] != hex.EncodeToString(sum[:]) {
		return owner(d.Path)
	}
	if audience == "" {
		return m.By
	}
	for _, hash := range m.Files {
		if hash == audience {
			return m.By
		}
	}
	return owner(d.Path)
}
