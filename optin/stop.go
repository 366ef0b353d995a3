package optin

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"janela/internal/whatsapp"
)

// Keyword is a word, or a fixed phrase, by which a person stops our messages.
type Keyword struct {
	Word     string // as folded: "sair"
	Language string // "pt_BR", "es" or "en": the language to confirm in
	All      bool   // "SAIR DE TUDO": utility too, not only marketing
	Codes    bool   // "PARAR CÓDIGOS": one-time codes, and nothing else
}

// Categories returns what the word revokes. Authentication goes only with a
// phrase that names the codes, and then alone: the person asks for each code,
// and could not log in without.
func (k Keyword) Categories() []whatsapp.Category {
	switch {
	case k.Codes:
		return []whatsapp.Category{whatsapp.Authentication}
	case k.All:
		return []whatsapp.Category{whatsapp.Marketing, whatsapp.Utility}
	default:
		return []whatsapp.Category{whatsapp.Marketing}
	}
}

// The words, folded. Nobody's message is read for its meaning here: only a
// message that is one of these, and nothing else, stops. So what stands here is
// what a business prints below its messages or on a button, and sentences that
// can mean nothing else; whatever may mean something else is for Maybe. Words
// that two languages share stand with the one in which they are written more.
//
// Codes need more than the word "codes", which may be those of a discount: either
// a command ("parar códigos"), or a sentence that says codes for what.
//
//nolint:misspell // Portuguese and Spanish
var stopWords = map[string]struct{ some, all, codes []string }{
	"pt_BR": {
		some: []string{"sair", "parar", "pare", "cancelar", "cancele", "descadastrar", "descadastre", "me descadastre", "me descadastra", "descadastrar me", "descadastre me",
			"descadastro", "quero me descadastrar", "desinscrever", "me desinscrever", "desinscrever me", "remover", "remova", "me remova",
			"cancelar inscricao", "sair da lista", "quero sair", "quero sair da lista", "parar mensagens", "parar promocoes", "interromper promocoes",
			"cancelar promocoes", "parar de receber", "parar de receber mensagens", "nao quero receber mensagens", "nao quero mais receber mensagens",
			"nao quero receber promocoes", "nao quero mais receber promocoes", "nao quero mais receber propaganda"},
		all: []string{"sair de tudo", "sair tudo", "quero sair de tudo", "parar tudo", "pare tudo", "cancelar tudo", "descadastrar de tudo", "remover tudo",
			"sair de todas as listas", "parar todas as mensagens"},
		codes: []string{"parar codigos", "sair dos codigos", "parar codigos de acesso", "parar codigos de verificacao",
			"nao quero mais receber codigos de acesso", "nao quero mais receber codigos de verificacao", "nao quero mais receber codigos de seguranca"},
	},
	"es": {
		some: []string{"baja", "dar de baja", "darme de baja", "darse de baja", "dame de baja", "de baja", "salir", "detener", "desuscribir",
			"desuscribirme", "desuscribirse", "anular suscripcion", "cancelar suscripcion", "salir de la lista", "quiero salir", "quiero salir de la lista",
			"baja de la lista", "parar mensajes", "detener mensajes", "detener promociones", "parar promociones", "cancelar promociones",
			"no quiero recibir mensajes", "no quiero recibir mas mensajes", "no quiero mas mensajes", "ya no quiero recibir mensajes",
			"no quiero recibir promociones", "no quiero recibir mas promociones", "no quiero recibir publicidad", "no quiero recibir mas publicidad"},
		all: []string{"baja total", "salir de todo", "salir todo", "parar todo", "detener todo", "cancelar todo", "baja de todo", "dar de baja todo",
			"detener todos los mensajes", "parar todos los mensajes"},
		codes: []string{"detener codigos", "baja de codigos", "detener codigos de acceso", "detener codigos de verificacion",
			"no quiero recibir mas codigos de acceso", "no quiero recibir mas codigos de verificacion", "ya no quiero recibir codigos de verificacion"},
	},
	"en": {
		some: []string{"stop", "unsubscribe", "unsubscribe me", "unsub", "cancel", "quit", "end", "revoke", "opt out", "optout", "opt me out", "remove", "remove me",
			"stop messages", "stop texts", "stop promotions", "stop offers", "stop marketing", "stop texting me", "stop messaging me",
			"stop sending me messages", "stop sending me texts", "cancel subscription", "no more messages", "no more texts"},
		all: []string{"stop all", "stopall", "stop everything", "stop all messages", "unsubscribe all", "unsubscribe from all",
			"unsubscribe from everything", "cancel all", "opt out all", "opt out of everything"},
		codes: []string{"stop codes", "stop login codes", "stop verification codes", "no more login codes", "no more verification codes",
			"stop sending me login codes", "stop sending me verification codes"},
	},
}

// typedOnly are the words that a person writes to be left alone, and a business
// prints on buttons for something else: the appointment that is cancelled, the
// item that is removed, the chat that is ended.
var typedOnly = map[string]bool{"cancelar": true, "cancele": true, "cancelar tudo": true, "cancelar todo": true, "cancel": true, "cancel all": true,
	"remover": true, "remova": true, "remover tudo": true, "remove": true, "end": true, "quit": true}

var stopTable = func() map[string]Keyword {
	table := map[string]Keyword{}
	for language, words := range stopWords {
		for _, w := range words.some {
			table[w] = Keyword{Word: w, Language: language}
		}
		for _, w := range words.all {
			table[w] = Keyword{Word: w, Language: language, All: true}
		}
		for _, w := range words.codes {
			table[w] = Keyword{Word: w, Language: language, Codes: true}
		}
	}
	return table
}()

// longest bounds, in bytes, what is looked at. A text in WhatsApp has at most
// 4,096 characters (Meta: Send messages, text object).
const longest = 4 * 4096

// Stop tells whether a message, as a whole, is a word or a fixed phrase that
// stops: STOP, SAIR, PARAR, BAJA, … Case, accents, punctuation, emoji, spaces,
// invisible characters and full-width letters do not matter; any other word
// beside it does ("pare o carro" stops nothing).
func Stop(text string) (Keyword, bool) {
	if len(text) > longest {
		return Keyword{}, false
	}
	k, ok := stopTable[fold(text)]
	return k, ok
}

// StopButton tells whether a button that was pressed stops, by what the person
// read on it (label), or by what the business hid behind it (payload) up to a
// colon that begins the business's own reference: "STOP:natal26". The words with
// which a button can mean something else (Cancelar, Remove) stop only as typed.
func StopButton(payload, label string) (Keyword, bool) {
	payload, _, _ = strings.Cut(payload, ":")
	for _, said := range []string{payload, label} {
		if k, ok := Stop(said); ok && !typedOnly[k.Word] {
			return k, true
		}
	}
	return Keyword{}, false
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
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(s, " ")) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(small(r))
		case unicode.In(r, unicode.M, unicode.Cf):
		default:
			space = true
		}
	}
	return b.String()
}

// small is one form for all cases of a letter. By way of the upper case, because
// some small letters have two forms (the Turkish ı, the Greek ς).
func small(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }
