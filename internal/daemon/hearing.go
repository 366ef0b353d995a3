package daemon

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/hooks"
	"janela/internal/httpapi"
	"janela/internal/whatsapp"
	"janela/optin"
)

// What a person hears whose STOP was heard, unless config.toml says something
// else.
var (
	confirmStop = ConfirmTexts{
		PT: "Pronto: você não vai mais receber nossas ofertas. Avisos do que você pediu continuam; para parar tudo, responda SAIR DE TUDO.",
		ES: "Listo: ya no recibirás nuestras ofertas. Los avisos de lo que pediste continúan; para detener todo, responde BAJA TOTAL.",
		EN: "Done: you will get no more offers from us. Notices about what you ordered continue; to stop everything, reply STOP ALL.",
	}
	confirmStopAll = ConfirmTexts{
		PT: "Pronto: você não vai mais receber nossas ofertas nem nossos avisos.",
		ES: "Listo: ya no recibirás nuestras ofertas ni nuestros avisos.",
		EN: "Done: you will get no more offers and no more notices from us.",
	}
	confirmStopCodes = ConfirmTexts{
		PT: "Pronto: você não vai mais receber códigos por aqui.",
		ES: "Listo: ya no recibirás códigos por aquí.",
		EN: "Done: you will get no more codes here.",
	}
)

// in returns the text of a language of optin's words.
func (t ConfirmTexts) in(language string) string {
	switch language {
	case "es":
		return t.ES
	case "en":
		return t.EN
	default:
		return t.PT
	}
}

// confirm is what the person hears who stopped by that word.
func (c *Config) confirm(k optin.Keyword) string {
	texts := c.Optin.Confirm
	switch {
	case k.Codes:
		texts = c.Optin.ConfirmCodes
	case k.All:
		texts = c.Optin.ConfirmAll
	}
	return strings.TrimSpace(texts.in(k.Language))
}

// offers are the words by which people sign up.
func (c *Config) offers() []optin.Offer {
	var out []optin.Offer
	for _, k := range c.Optin.Keywords {
		o := optin.Offer{Words: k.Words, Scope: k.Scope, Purpose: k.Purpose, Text: k.Text, Version: k.TextVersion}
		for _, name := range k.Categories {
			if category, err := whatsapp.ParseCategory(name); err == nil { // checked with the configuration
				o.Categories = append(o.Categories, category)
			}
		}
		out = append(out, o)
	}
	return out
}

func (c *Config) confirmWords() (out []string) {
	for _, w := range c.Optin.ConfirmWords {
		out = append(out, optin.FoldWord(w))
	}
	return out
}

// links are the words that can stand in a wa.me link, as published.
func (c *Config) links() []httpapi.LinkWord {
	var out []httpapi.LinkWord
	for _, k := range c.Optin.Keywords {
		for _, w := range k.Words {
			out = append(out, httpapi.LinkWord{Word: w, Categories: k.Categories, Scope: k.Scope, Text: k.Text})
		}
	}
	return out
}

// maxWaiting bounds what may wait for one target, in megabytes.
const maxWaiting = 1 << 20

// hookTargets is the configuration as the room wants it.
func (c *Config) hookTargets(log *slog.Logger) []hooks.Target {
	var out []hooks.Target
	for _, h := range c.Hooks {
		t := hooks.Target{Name: h.Name, URL: h.URL, Mode: hooks.Mode(h.Mode), Events: h.Events, Fields: h.Fields,
			Timeout: h.Timeout, MaxAge: h.MaxAge, MaxBytes: h.MaxMB << 20, AtOnce: h.AtOnce}
		for _, n := range h.Numbers {
			t.Numbers = append(t.Numbers, c.numberID(n))
		}
		if h.SecretFile != "" {
			read := secret("", c.file(h.SecretFile))
			t.Secrets = func() [][]byte {
				b, err := read()
				if err != nil {
					log.Error("the secret of a webhook target cannot be read; nothing is sent there", "target", h.Name, "error", err)
					return nil
				}
				return lines(b)
			}
		}
		out = append(out, t)
	}
	return out
}

// hooks finds what is wrong with the targets.
func (k *checker) hooks() {
	unreadable := map[int]bool{}
	for i, h := range k.cfg.Hooks {
		at := fmt.Sprintf("hooks.%d", i)
		if h.SecretFile != "" {
			if err := checkSecretFile(k.cfg.file(h.SecretFile)); err != nil {
				k.fault(at+".secret_file", err.Error(), "janela hooks secret > FILE makes one")
				unreadable[i] = true
			}
			if h.Mode == string(hooks.Stream) {
				k.fault(at+".secret_file", "a stream signs nothing: it is read with an API key", "take secret_file out")
			}
			if h.Mode == string(hooks.Passthrough) {
				k.fault(at+".secret_file", "mode passthrough signs nothing itself: it passes on Meta's signature", "take secret_file out")
			}
		}
		for j, n := range h.Numbers {
			if n == "" || k.cfg.numberID(n) == "" {
				k.fault(fmt.Sprintf("%s.numbers.%d", at, j), fmt.Sprintf("there is no number %q", n), "write the name of one of [[whatsapp.accounts.numbers]]")
			}
		}
		for key, d := range map[string]time.Duration{"timeout": h.Timeout, "max_age": h.MaxAge} {
			if k.doc.Has(at+"."+key) && d < time.Second {
				k.fault(at+"."+key, fmt.Sprintf("%v is too short", d), "write at least 1s, or leave it out")
			}
		}
		if h.MaxMB < 0 || h.MaxMB > maxWaiting {
			k.fault(at+".max_mb", fmt.Sprintf("max_mb must be from 1 to %d", maxWaiting), "leave it out for 1024")
		}
		if h.AtOnce < 0 || h.AtOnce > 1000 {
			k.fault(at+".at_once", "at_once must be from 1 to 1000", "leave it out for 16")
		}
	}
	for _, f := range hooks.Faults(k.cfg.hookTargets(slog.New(slog.DiscardHandler))) {
		if f.Key == "secret_file" && unreadable[f.Target] {
			continue
		}
		k.fault(fmt.Sprintf("hooks.%d.%s", f.Target, f.Key), f.Text, "")
	}
}

// longestText is how many characters a text message may have (Meta: Messages
// API, text object).
const longestText = 4096

// keywords finds what is wrong with the words that sign up, and with the texts
// that confirm a STOP.
func (k *checker) keywords() {
	for name, t := range map[string]ConfirmTexts{"confirm": k.cfg.Optin.Confirm, "confirm_all": k.cfg.Optin.ConfirmAll, "confirm_codes": k.cfg.Optin.ConfirmCodes} {
		for language, text := range map[string]string{"pt_BR": t.PT, "es": t.ES, "en": t.EN} {
			if n := utf8.RuneCountInString(text); n > longestText {
				k.fault("optin."+name+"."+language, fmt.Sprintf("the text has %d characters; WhatsApp takes %d", n, longestText), "shorten it")
			}
		}
	}
	seen := map[string]bool{}
	for i, w := range k.cfg.Optin.ConfirmWords {
		at, key := fmt.Sprintf("optin.confirm_words.%d", i), optin.FoldWord(w)
		if _, stops := optin.Stop(w); stops || key == "" {
			k.fault(at, fmt.Sprintf("%q cannot confirm: it stops, or has neither letter nor digit", w), `write a word, "CONFIRMO"`)
		}
		seen[key] = true
	}
	for i, kw := range k.cfg.Optin.Keywords {
		at := fmt.Sprintf("optin.keywords.%d", i)
		if len(kw.Words) == 0 {
			k.fault(at, "there is no word", `write words = ["QUERO RECEBER"]`)
		}
		for j, w := range kw.Words {
			at, key := fmt.Sprintf("%s.words.%d", at, j), optin.FoldWord(w)
			_, stops := optin.Stop(w)
			_, hint := optin.Maybe(w)
			switch {
			case key == "":
				k.fault(at, fmt.Sprintf("%q has neither letter nor digit", w), `write a word, "QUERO RECEBER"`)
			case stops:
				k.fault(at, fmt.Sprintf("%q is a word that stops", w), "docs/consent.md lists them; take another")
			case hint:
				k.fault(at, fmt.Sprintf("%q may mean an opt-out", w), "take a word that cannot")
			case seen[key]:
				k.fault(at, fmt.Sprintf("%q stands twice; case and accents do not matter", w), "take one out")
			}
			seen[key] = true
		}
		if len(kw.Categories) == 0 {
			k.fault(at, "it is not said what the word agrees to", `write categories = ["marketing"]`)
		}
		for j, name := range kw.Categories {
			c, err := whatsapp.ParseCategory(name)
			if err != nil || !slices.Contains(whatsapp.TemplateCategories, c) {
				k.fault(fmt.Sprintf("%s.categories.%d", at, j), fmt.Sprintf("%q is no category", name), "write marketing, utility or authentication")
			}
		}
		if strings.TrimSpace(kw.Text) == "" {
			k.fault(at, "there is no text", "write what you publish beside the word: it is the proof that people knew what they agreed to")
		}
		if kw.Scope != "" && !k.cfg.knownScope(kw.Scope) {
			k.fault(at+".scope", fmt.Sprintf("there is no number and no business unit %q", kw.Scope), "leave it out for all numbers")
		}
	}
}

func (c *Config) knownScope(scope string) bool {
	return scope == optin.ScopeAll || slices.ContainsFunc(c.WhatsApp.Accounts, func(a AccountConfig) bool {
		return slices.ContainsFunc(a.Numbers, func(n NumberConfig) bool { return n.Name == scope || n.Unit == scope })
	})
}
