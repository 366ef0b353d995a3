package optin

import (
	"janela/internal/whatsapp"
)

// Offer is what a business publishes with a word: who sends the word, and nothing
// else, agrees to it.
type Offer struct {
	Words      []string // as published; any spelling of fold's counts
	Categories []whatsapp.Category
	Scope      string // ScopeAll if empty
	Purpose    string // in the business's words
	Text       string // what was published beside the word: the proof
	Version    string // of that text
}

// Offers are the words by which people sign up. The zero value has none.
type Offers struct{ table map[string]*Offer }

// NewOffers makes the table of a configuration's offers. A word that stops never
// signs anybody up, and of a word that stands twice the first counts: who
// configures it should say so before (see FoldWord and Stop).
func NewOffers(all []Offer) Offers {
	o := Offers{table: map[string]*Offer{}}
	for i := range all {
		for _, w := range all[i].Words {
			key := fold(w)
			if _, stops := stopTable[key]; stops || key == "" || o.table[key] != nil {
				continue
			}
			o.table[key] = &all[i]
		}
	}
	return o
}

// Match tells whether a message, as a whole, is the word of an offer, and which
// word it is, folded. As with Stop only letters and digits count.
func (o Offers) Match(text string) (Offer, string, bool) {
	if len(o.table) == 0 || len(text) > longest {
		return Offer{}, "", false
	}
	key := fold(text)
	of, ok := o.table[key]
	if !ok {
		return Offer{}, "", false
	}
	return *of, key, true
}

// FoldWord is the form in which words are compared: lower case, without accents,
// one space for whatever is neither letter nor digit. "" if nothing is left.
func FoldWord(word string) string { return fold(word) }
