package console

import (
	"embed"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// The words of the pages: one file for each page and language, with the same
// keys in every language. A test compares.
//
//go:embed words/*.toml
var wordFiles embed.FS

// lang is a language in which the pages are written.
type lang struct {
	tag     string // BCP 47
	name    string // in itself
	words   *i18n.Localizer
	numbers *message.Printer
}

// langs are all of them; the first stands in for others.
var langs = sync.OnceValue(func() []*lang {
	b := i18n.NewBundle(language.BrazilianPortuguese)
	b.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	files, err := wordFiles.ReadDir("words")
	if err != nil { // a fault of the program, as below
		panic(err)
	}
	for _, f := range files {
		if _, err := b.LoadMessageFileFS(wordFiles, path.Join("words", f.Name())); err != nil {
			panic(err)
		}
	}
	var out []*lang
	for _, l := range []struct{ tag, name string }{{"pt-BR", "Português"}, {"en", "English"}} {
		out = append(out, &lang{tag: l.tag, name: l.name, words: i18n.NewLocalizer(b, l.tag), numbers: message.NewPrinter(language.MustParse(l.tag))})
	}
	return out
})

// Tag and Name are for templates.
func (l *lang) Tag() string  { return l.tag }
func (l *lang) Name() string { return l.name }

func langNamed(tag string) (*lang, bool) {
	for _, l := range langs() {
		if l.tag == tag {
			return l, true
		}
	}
	return nil, false
}

// langOf is the language that the visitor chose, or the browser asks for.
func langOf(r *http.Request) *lang {
	if c, err := r.Cookie(languageCookie); err == nil {
		if l, ok := langNamed(c.Value); ok {
			return l
		}
	}
	all := langs()
	tags := make([]language.Tag, len(all))
	for i, l := range all {
		tags[i] = language.MustParse(l.tag)
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil || len(wanted) == 0 {
		return all[0]
	}
	_, at, sure := language.NewMatcher(tags).Match(wanted...)
	if sure == language.No {
		return all[0]
	}
	return all[at]
}

// t returns the words of a key, with values in pairs: t("today.sent", "N", 12).
// N chooses singular or plural and is written with the language's separators.
// A key without words shows itself: a test finds it first.
func (l *lang) t(key string, pairs ...any) string {
	if text, ok := l.maybe(key, pairs...); ok {
		return text
	}
	return key
}

// maybe is t for keys that need not have words.
func (l *lang) maybe(key string, pairs ...any) (string, bool) {
	cfg := i18n.LocalizeConfig{MessageID: key}
	if len(pairs) > 0 {
		data := make(map[string]any, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			name, value := fmt.Sprint(pairs[i]), pairs[i+1]
			if name == "N" {
				cfg.PluralCount = value
			}
			data[name] = l.value(value)
		}
		cfg.TemplateData = data
	}
	text, err := l.words.Localize(&cfg)
	if err != nil {
		return "", false
	}
	return text, text != ""
}

// value writes numbers with the language's separators.
func (l *lang) value(v any) any {
	switch v := v.(type) {
	case int, int32, int64, uint64:
		return l.numbers.Sprint(v)
	default:
		return v
	}
}

// word is t for a value of a closed set that may have got new members since, such
// as a reason: without words it is shown as it is, readable.
func (l *lang) word(set string, value any) string {
	v := fmt.Sprint(value)
	if v == "" {
		return ""
	}
	if text, ok := l.maybe(set + "." + v); ok {
		return text
	}
	return strings.ReplaceAll(v, "_", " ")
}
