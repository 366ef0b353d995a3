package campaigns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"

	"janela/internal/account"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// inspection is a definition with everything it was judged by.
type inspection struct {
	Path, Dir string
	Data      []byte
	Def       *Definition
	Problems  tomlfile.Problems
	Number    account.Number
	Template  account.Template
	Synced    bool // Meta was asked for templates at least once
	at        facts
}

// facts is what the database says that a definition is checked against.
type facts struct {
	now       time.Time
	numbers   []account.Number
	templates map[whatsapp.TemplateRef]account.Template
	languages map[string][]string // account/name → languages
}

func readFacts(q store.Querier) (facts, error) {
	f := facts{now: q.Now(), templates: map[whatsapp.TemplateRef]account.Template{}, languages: map[string][]string{}}
	var err error
	if f.numbers, err = account.Numbers(q); err != nil {
		return f, err
	}
	all, err := account.Templates(q)
	for _, t := range all {
		if t.Missing {
			continue
		}
		f.templates[t.Ref] = t
		key := t.Ref.WABA + "/" + t.Ref.Name
		f.languages[key] = append(f.languages[key], t.Ref.Language)
	}
	return f, err
}

// number finds the definition's number; ok is false when Check will say so.
func (f *facts) number(name string) (account.Number, bool) {
	if name == "" && len(f.numbers) == 1 {
		return f.numbers[0], true
	}
	for _, n := range f.numbers {
		if n.Name == name {
			return n, true
		}
	}
	return account.Number{}, false
}

// inspect judges a definition against the world as it is now. planned says that
// its schedule is in force already.
func (c *Campaigns) inspect(ctx context.Context, path string, data []byte, siblings map[string][]string, planned bool) (inspection, error) {
	in := inspection{Path: path, Dir: filepath.Dir(path), Data: data}
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		in.at, err = readFacts(q)
		return err
	})
	if err != nil {
		return in, err
	}
	var doc *tomlfile.Document
	in.Def, doc, in.Problems = ParseDefinition(path, data)
	if in.Problems.HasErrors() && in.Def.ID == "" && in.Def.Template.Name == "" {
		return in, nil // nothing readable: more faults would only repeat it
	}
	env := c.checkEnv(&in, siblings, planned)
	in.Problems = append(in.Problems, Check(in.Def, doc, env)...)
	in.Problems.Sort()
	return in, nil
}

func (c *Campaigns) checkEnv(in *inspection, siblings map[string][]string, planned bool) CheckEnv {
	env := CheckEnv{Now: in.at.now, DefaultZone: c.live.Load().Zone, Numbers: []string{}, Dir: in.Dir, Planned: planned, Siblings: siblings}
	for _, n := range in.at.numbers {
		env.Numbers = append(env.Numbers, n.Name)
	}
	var known bool
	in.Number, known = in.at.number(in.Def.From)
	in.Synced = known && in.Number.SeenAt > 0
	ref := whatsapp.TemplateRef{WABA: in.Number.WABA, Name: in.Def.Template.Name, Language: in.Def.Template.Language}
	in.Template = in.at.templates[ref]
	env.Template = func(name, language string) (TemplateFacts, bool) {
		if !in.Synced {
			return TemplateFacts{}, false
		}
		t, ok := in.at.templates[whatsapp.TemplateRef{WABA: in.Number.WABA, Name: name, Language: language}]
		f := TemplateFacts{Found: ok, Status: t.Status, Category: t.Category, ParameterFormat: t.ParameterFormat, Components: t.Components}
		if !ok {
			f.OtherLanguages = in.at.languages[in.Number.WABA+"/"+name]
		}
		return f, true
	}
	return env
}

// requirement is what the template wants; Check has shown that it can be read.
func (in *inspection) requirement() (Requirement, error) {
	return Required(in.Template.ParameterFormat, in.Template.Components)
}

// revisionHash is the identity of a definition's content.
func revisionHash(data []byte, audience, media string) string {
	return digest(string(data), audience, media)
}

// planHash is what an approval names: the content and the template it was
// judged with. A changed file, one-off audience or template is another plan.
func planHash(data []byte, audience, media string, t account.Template) string {
	return digest(string(data), audience, media, t.Ref.Target(), t.Hash)[:12]
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// oneOff reports whether the campaign fires once.
func (d *Definition) oneOff() bool { return d.Schedule.At != nil }
