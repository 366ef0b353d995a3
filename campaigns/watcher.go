package campaigns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// watcher polls the folder: right on NFS, bind mounts and after a folder was
// made anew, where file events are lost. It decides by size, time and inode
// when a file has stopped changing; what is in it is the business of others.
type watcher struct {
	folder string
	stable time.Duration
	files  map[string]*watched // by path of the definition
	dir    string              // device and inode of the folder
	odd    map[string]bool     // files already named as not accepted
}

// watched is one definition with everything it hangs on.
type watched struct {
	drop
	own     string    // mark of the definition alone
	names   []string  // files that it names
	mark    string    // of the definition and those files
	since   time.Time // when mark was seen first
	offered string    // the mark that was handed out last
}

// drop is a definition file in the folder.
type drop struct {
	ID   string // from the file's or the folder's name
	Path string // of the definition
	Dir  string // where its files are
}

func newWatcher(folder string, stable time.Duration) watcher {
	return watcher{folder: folder, stable: stable, files: map[string]*watched{}, odd: map[string]bool{}}
}

// scan is what one look at the folder found.
type scan struct {
	Ready   []drop   // new or changed, and quiet for long enough
	Present []drop   // all there are
	Removed []drop   // gone since the last look
	Odd     []string // not accepted, named once
	Stop    bool     // the STOP file is there
}

// errEmptied says that every definition vanished at once.
var errEmptied = errors.New("every definition vanished from the folder at once; this looks like an unmounted share, so nothing is changed")

// look reads the folder. An error means that nothing can be concluded.
func (w *watcher) look(now time.Time) (scan, error) {
	var s scan
	entries, err := os.ReadDir(w.folder)
	if err != nil {
		return s, fmt.Errorf("the campaigns folder cannot be read: %w", err)
	}
	found := map[string]drop{}
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == "STOP":
			s.Stop = true
		case leftover(name):
		case e.IsDir():
			path := filepath.Join(w.folder, name, "campaign.toml")
			if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
				found[path] = drop{ID: name, Path: path, Dir: filepath.Join(w.folder, name)}
			}
		case strings.HasSuffix(name, ".toml") && e.Type().IsRegular():
			path := filepath.Join(w.folder, name)
			found[path] = drop{ID: strings.TrimSuffix(name, ".toml"), Path: path, Dir: w.folder}
		case odd(name) && !w.odd[name]:
			w.odd[name] = true
			s.Odd = append(s.Odd, name)
		}
	}
	dir, err := identity(w.folder)
	if err != nil {
		return s, fmt.Errorf("the campaigns folder cannot be read: %w", err)
	}
	if len(found) == 0 && len(w.files) > 0 && (len(w.files) > 1 || dir != w.dir) {
		return scan{Stop: s.Stop}, errEmptied
	}
	w.dir = dir
	w.compare(found, now, &s)
	return s, nil
}

// compare finds what is new, changed, quiet, and gone.
func (w *watcher) compare(found map[string]drop, now time.Time, s *scan) {
	for path, d := range found {
		f := w.files[path]
		if f == nil {
			f = &watched{drop: d}
			w.files[path] = f
		}
		if mark := f.look(); mark != f.mark {
			f.mark, f.since = mark, now
		}
		s.Present = append(s.Present, d)
		if f.mark != f.offered && now.Sub(f.since) >= w.stable {
			s.Ready = append(s.Ready, d)
			f.offered = f.mark
		}
	}
	for path, f := range w.files {
		if _, ok := found[path]; !ok {
			s.Removed = append(s.Removed, f.drop)
			delete(w.files, path)
		}
	}
	for _, list := range [][]drop{s.Ready, s.Present, s.Removed} {
		sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	}
}

// again offers a definition once more, although it did not change.
func (w *watcher) again(path string) {
	if f := w.files[path]; f != nil {
		f.offered = ""
	}
}

// look sums up the definition and the files that it names: a copy that is still
// growing keeps the definition from being taken.
func (f *watched) look() string {
	own := fileMark(f.Path)
	if own != f.own {
		f.own, f.names = own, filesNamed(f.Path)
	}
	var b strings.Builder
	b.WriteString(own)
	for _, name := range f.names {
		b.WriteString("|" + name + targetMark(filepath.Join(f.Dir, name)))
	}
	return b.String()
}

// filesNamed returns the files that a definition is judged with. A dated one is
// another file every day, and read when the series fires.
func filesNamed(path string) (names []string) {
	data, err := readLimited(path)
	if err != nil {
		return nil
	}
	def, _, _ := ParseDefinition(path, data)
	if name := def.Recipients.File; name != "" && !def.Recipients.Dated() {
		names = append(names, name)
	}
	for _, m := range def.Files() {
		names = append(names, m.Name)
	}
	return names
}

// targetMark is fileMark of what a link leads to: campaigns follow links inside
// their folder.
func targetMark(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return fileMark(path)
}

func fileMark(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "-"
	}
	var inode uint64
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	return fmt.Sprintf("%d/%d/%d", info.Size(), info.ModTime().UnixNano(), inode)
}

func identity(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d/%d", st.Dev, st.Ino), nil
	}
	return path, nil
}

// leftover reports whether an editor or a copying program left the file.
func leftover(name string) bool {
	for _, suffix := range []string{"~", ".swp", ".swx", ".tmp", ".part", ".partial", ".filepart", ".crdownload", ".bak", ".orig"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#")
}

// odd reports whether somebody may have meant the file as a definition.
func odd(name string) bool {
	switch filepath.Ext(name) {
	case ".json", ".yaml", ".yml":
		return true
	default:
		return false
	}
}

// maxDefinition bounds a definition file.
const maxDefinition = 1 << 20

var errTooLarge = errors.New("the file is larger than 1 MiB, so it is no campaign definition")

// readLimited reads a definition.
func readLimited(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	case info.Size() > maxDefinition:
		return nil, errTooLarge
	}
	return os.ReadFile(path)
}
