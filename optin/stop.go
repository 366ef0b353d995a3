package optin

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"janela/internal/whatsapp"
)

// Keyword is a word by which a person stops our messages.
type Keyword struct {
	Word     string // as folded: "sair"
	Language string // "pt_BR", "es" or "en": the language to confirm in
	All      bool   // "SAIR DE TUDO": utility too, not only marketing
}

// Categories returns what the word revokes. Authentication is never among them:
// the person asks for each code, and could not log in without.
func (k Keyword) Categories() []whatsapp.Category {
	if k.All {
		return []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	}
	return []whatsapp.Category{whatsapp.Marketing}
}

// The words, folded. Nobody's message is read for its meaning: only a message
// that is one of these, and nothing else, stops. Words that two languages share
// stand with the one in which they are written more.
var stopWords = map[string]struct{ some, all []string }{
	"pt_BR": {
		some: []string{"sair", "parar", "pare", "cancelar", "cancele", "descadastrar", "descadastre", "me descadastre", "descadastrar me",
			"descadastro", "remover", "remova", "me remova", "cancelar inscricao", "sair da lista", "quero sair", "parar mensagens"},
		all: []string{"sair de tudo", "sair tudo", "parar tudo", "pare tudo", "cancelar tudo", "descadastrar de tudo", "remover tudo"},
	},
	"es": {
		some: []string{"baja", "dar de baja", "darme de baja", "darse de baja", "dame de baja", "de baja", "salir", "detener", "desuscribir",
			"desuscribirme", "desuscribirse", "anular suscripcion", "cancelar suscripcion", "salir de la lista", "quiero salir", "parar mensajes"},
		all: []string{"baja total", "salir de todo", "salir todo", "parar todo", "detener todo", "cancelar todo", "baja de todo", "dar de baja todo"},
	},
	"en": {
		some: []string{"stop", "unsubscribe", "unsubscribe me", "cancel", "quit", "opt out", "optout", "remove", "remove me", "stop messages",
			"stop promotions", "cancel subscription"},
		all: []string{"stop all", "stopall", "stop everything", "unsubscribe all", "cancel all", "opt out all"},
	},
}

var stopTable = func() map[string]Keyword {
	table := map[string]Keyword{}
	for language, words := range stopWords {
		for _, w := range words.some {
			table[w] = Keyword{Word: w, Language: language}
		}
		for _, w := range words.all {
			table[w] = Keyword{Word: w, Language: language, All: true}
		}
	}
	return table
}()

// longest bounds what is looked at: a longer text is no keyword.
const longest = 200

// Stop tells whether a message, as a whole, is a word that stops: STOP, SAIR,
// PARAR, BAJA, … Case, accents, punctuation, emoji and spaces around it do not
// matter; any other word beside it does ("pare o carro" stops nothing).
func Stop(text string) (Keyword, bool) {
	if len(text) > longest {
		return Keyword{}, false
	}
	k, ok := stopTable[fold(text)]
	return k, ok
}

// StopWords returns every word that Stop knows, sorted, for help texts.
func StopWords() []Keyword {
	out := make([]Keyword, 0, len(stopTable))
	for _, k := range stopTable {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b Keyword) int {
		return strings.Compare(a.Language+" "+a.Word, b.Language+" "+b.Word)
	})
	return out
}

// fold brings a text to lower case without accents, with one space in place of
// whatever is neither letter nor digit. Marks and invisible characters vanish.
func fold(s string) string {
	var b strings.Builder
	space := false
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(strings.ToLower(s), " ")) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(unicode.ToLower(r))
		case unicode.In(r, unicode.M, unicode.Cf):
		default:
			space = true
		}
	}
	return b.String()
}
