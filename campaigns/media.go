package campaigns

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"janela/internal/account"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// MediaFile is a file that a definition shows, and the path of the key that
// names it.
type MediaFile struct {
	Path string
	Type whatsapp.HeaderType
	Name string // below the definition's folder
}

// Files returns the files that every message of the definition shows, each name
// once, in the order of the definition.
func (d *Definition) Files() []MediaFile {
	var out []MediaFile
	seen := map[string]bool{}
	add := func(path string, kind whatsapp.HeaderType, m Media) {
		if m.File == "" || !slices.Contains(mediaKinds, string(kind)) || seen[m.File] {
			return
		}
		seen[m.File] = true
		out = append(out, MediaFile{Path: path + ".header.media", Type: kind, Name: m.File})
	}
	if h := d.Template.Header; h != nil {
		add("template", h.Type, h.Media)
	}
	for i, card := range d.Template.Cards {
		if card.Header != nil {
			add(item("template.cards", i, ""), card.Header.Type, card.Header.Media)
		}
	}
	return out
}

// aboutFile reports whether a problem's path is that of a key that names a file.
func aboutFile(path string) bool { return strings.HasSuffix(path, "header.media") }

// freezeMedia copies the files into the spool and returns their hashes, apart by
// spaces, in the order of Files.
func (c *Campaigns) freezeMedia(in inspection) (string, error) {
	var hashes []string
	for _, m := range in.Def.Files() {
		hash, err := c.freezeOne(in.Dir, m)
		if err != nil {
			return "", err
		}
		hashes = append(hashes, hash)
	}
	return strings.Join(hashes, " "), nil
}

func (c *Campaigns) freezeOne(dir string, m MediaFile) (string, error) {
	f, _, err := OpenMedia(dir, m)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return c.freeze(f, "")
}

// mediaHash is what freezeMedia would return.
func mediaHash(in inspection) (string, error) {
	var hashes []string
	for _, m := range in.Def.Files() {
		f, _, err := OpenMedia(in.Dir, m)
		if err != nil {
			return "", err
		}
		hash, err := hashFile(f)
		if err != nil {
			return "", err
		}
		hashes = append(hashes, hash)
	}
	return strings.Join(hashes, " "), nil
}

// upload brings the frozen files of a definition to Meta, where they are not
// there or not for long any more, and returns Meta's ids by the files' names.
// Its errors may be *unusable.
func (c *Campaigns) upload(ctx context.Context, n account.Number, d *Definition, hashes string) (ids map[string]string, err error) {
	ids = map[string]string{}
	frozen := strings.Fields(hashes)
	for i, m := range d.Files() {
		kind, err := MediaTypeOf(m.Type, m.Name)
		if err != nil {
			return nil, &unusable{FailedRun, err.Error()}
		}
		if i >= len(frozen) {
			return nil, &unusable{FailedRun, "the frozen copy of " + m.Name + " is not known"}
		}
		file := c.spooled(frozen[i])
		info, err := os.Stat(file)
		if err != nil {
			return nil, &unusable{FailedRun, "the frozen copy of " + m.Name + " is gone from the spool: " + err.Error()}
		}
		ids[m.Name], err = c.cfg.Media(ctx, n, account.File{SHA256: frozen[i], Name: m.Name, MIME: kind.MIME,
			Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(file) }})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// How often the files of runs under way are looked at, and how soon again when
// one could not be uploaded.
const (
	mediaEvery = time.Hour
	mediaAgain = time.Minute
)

// keepMedia keeps the files of runs under way at Meta: a run may last longer
// than an uploaded file does.
func (c *Campaigns) keepMedia(ctx context.Context) {
	wanted := c.cfg.DB.Wakes(account.MediaWanted)
	for {
		wait := mediaEvery
		if err := c.renewMedia(ctx); err != nil && ctx.Err() == nil {
			wait = mediaAgain
			c.cfg.Log.Error("files of campaigns could not be uploaded again; trying again", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wanted:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (c *Campaigns) renewMedia(ctx context.Context) error {
	var open []RunRecord
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
		open, err = store.All[RunRecord](q, sqlOpenRuns)
		return err
	})
	var first error
	for _, run := range open {
		if run.Stream == 0 {
			continue // nothing of it may leave yet; its expansion uploads
		}
		about := "media of " + run.Campaign
		if one := c.renewRun(ctx, run); one != nil {
			if ctx.Err() != nil {
				return one
			}
			first = fmt.Errorf("campaign %s: %w", run.Campaign, one)
			c.raise(about, first.Error())
			continue
		}
		c.clear(about)
	}
	if err == nil {
		err = first
	}
	return err
}

func (c *Campaigns) renewRun(ctx context.Context, run RunRecord) error {
	var rev Revision
	var number account.Number
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		if rev, _, err = RevisionByID(q, run.Revision); err != nil || rev.MediaHash == "" {
			return err
		}
		s, _, err := outbox.StreamByID(q, run.Stream)
		if err != nil {
			return err
		}
		number, _, err = account.NumberByID(q, s.Number)
		return err
	})
	if err != nil || rev.MediaHash == "" {
		return err
	}
	def, _, _ := ParseDefinition(run.Campaign+".toml", []byte(rev.Definition))
	_, err = c.upload(ctx, number, def, rev.MediaHash)
	return err
}
