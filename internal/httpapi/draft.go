package httpapi

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/store"
)

//go:embed draft.toml
var draftText string

// draftAudience is the example beside a fresh draft. Its number is one of those
// that nobody has.
const draftAudience = "telefone,nome\n+5511900000001,Ana\n"

var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// draft writes a definition that does not start: ID.toml.draft, and an audience
// to fill in beside it. It never writes over a file.
func (s *Server) draft(w http.ResponseWriter, r *http.Request) error {
	return s.command(w, r, func(id string, in CampaignCommand, out *CampaignReply) error {
		if !idForm.MatchString(id) {
			return invalid("%q is no campaign id", id).hint("use a to z, 0 to 9 and -, at most 64")
		}
		if err := s.unused(r, id); err != nil {
			return err
		}
		text, audience, err := s.draftOf(id, in.From)
		if err != nil {
			return err
		}
		for _, file := range []struct{ name, text string }{{id + ".csv", audience}, {id + ".toml.draft", text}} {
			path, err := filepath.Abs(filepath.Join(s.cfg.Folder, file.name))
			if err != nil {
				return err
			}
			if err := writeNew(path, file.text); err != nil {
				return err
			}
			out.Files = append(out.Files, path)
		}
		return s.cfg.DB.Write(r.Context(), func(tx *store.Tx) error {
			after := "draft"
			if in.From != "" {
				after += " from " + filepath.Base(in.From)
			}
			return access.Note(tx, access.Entry{Actor: Actor(r.Context()), Command: "campaigns new", Object: id, After: after})
		})
	})
}

// unused refuses an id that a campaign or a file has.
func (s *Server) unused(r *http.Request, id string) error {
	err := s.cfg.DB.Read(r.Context(), func(q *store.Snap) error {
		_, ok, err := campaigns.ByID(q, id)
		if err == nil && ok {
			err = refused(CodeRefused, "there is a campaign %s already", id).hint("ids are never used again; choose another")
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range []string{id, id + ".toml", id + ".toml.draft", id + ".csv"} {
		path := filepath.Join(s.cfg.Folder, name)
		if _, err := os.Lstat(path); err == nil {
			return refused(CodeRefused, "%s is there already", path).hint("nothing is ever written over; choose another id, or move it away")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the draft: %w", err)
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// draftOf returns the definition and the audience of a draft.
func (s *Server) draftOf(id, from string) (text, audience string, err error) {
	if from == "" {
		zone, err := time.LoadLocation(s.live.Load().Zone)
		if err != nil {
			zone = time.UTC
		}
		day := time.Now().In(zone).AddDate(0, 0, 7)
		for day.Weekday() != time.Monday { // inside the draft's windows
			day = day.AddDate(0, 0, 1)
		}
		return strings.NewReplacer("{id}", id, "{day}", day.Format(time.DateOnly), "{zone}", s.live.Load().Zone).Replace(draftText), draftAudience, nil
	}
	path, err := s.definitionOf(from)
	if err != nil {
		return "", "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", "", invalid("the definition cannot be read: %v", err)
	}
	defer func() { _ = f.Close() }()
	data, err := readDefinition(f)
	if err != nil {
		return "", "", err
	}
	def, _, problems := campaigns.ParseDefinition(path, data)
	if def.ID == "" {
		return "", "", refused(CodeRefused, "%s has faults and cannot be copied", path).hint("janela check %s", path)
	}
	text = setKey(string(data), "", "id", id)
	if def.Recipients.File == "" || problems.HasErrors() {
		return text, draftAudience, nil
	}
	return setKey(text, "recipients", "file", id+".csv"), headerOf(filepath.Dir(path), def.Recipients.File), nil
}

// definitionOf finds a definition by its campaign's id or by its path.
func (s *Server) definitionOf(from string) (string, error) {
	if filepath.IsAbs(from) {
		return from, readable(from)
	}
	if !idForm.MatchString(from) {
		return "", invalid("%q is neither a campaign id nor a file", from)
	}
	for _, path := range []string{filepath.Join(s.cfg.Folder, from+".toml"), filepath.Join(s.cfg.Folder, from, "campaign.toml")} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", notFound("there is no definition of %q in %s", from, s.cfg.Folder).hint("janela campaigns list shows those that there are; a path names any file")
}

func readDefinition(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, campaigns.MaxDefinition+1))
	if err != nil {
		return nil, fmt.Errorf("read the definition: %w", err)
	}
	return data, nil
}

var (
	tableLine = regexp.MustCompile(`^\s*\[+\s*([^\]]+?)\s*\]`)
	keyLine   = regexp.MustCompile(`^(\s*)([A-Za-z0-9_-]+)(\s*=\s*)("[^"]*"|'[^']*')`)
)

// setKey replaces the text of a key where it stands on a line of its own, and
// leaves everything else as it was, comments too.
func setKey(text, table, key, value string) string {
	lines := strings.SplitAfter(text, "\n")
	at := ""
	for i, line := range lines {
		if m := tableLine.FindStringSubmatch(line); m != nil {
			at = m[1]
		}
		if m := keyLine.FindStringSubmatch(line); m != nil && at == table && m[2] == key {
			lines[i] = fmt.Sprintf("%s%s%s%q", m[1], key, m[3], value) + line[len(m[0]):]
			return strings.Join(lines, "")
		}
	}
	return text
}

// headerOf returns the header line of an audience: the people are others each
// time.
func headerOf(dir, name string) string {
	f, err := campaigns.OpenFile(dir, name)
	if err != nil {
		return draftAudience
	}
	defer func() { _ = f.Close() }()
	line, _ := bufio.NewReader(io.LimitReader(f, 64<<10)).ReadString('\n')
	return strings.TrimRight(line, "\r\n") + "\n"
}
