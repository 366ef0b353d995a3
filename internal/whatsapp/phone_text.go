package whatsapp

import (
	"regexp"
	"strings"
	"unicode"
)

// written is a number as somebody wrote it, without its separators.
type written struct {
	digits  string
	plus    bool
	dropped bool // a character that is no separator was left out; then nothing may be repaired
}

// maxWritten is far above any number with its separators.
const maxWritten = 80

var (
	// 5.51E+12: a spreadsheet's scientific notation; the last digits are gone.
	scientificText = regexp.MustCompile(`(?i)^'?\+?\d+([.,]\d+)?e\+?\d+$`)
	extensionText  = regexp.MustCompile(`(?i)\d[\s.,()-]*(x|ext|extension|ramal|anexo|interno|int|r)[\s.:]*\d+$`)
)

// readWritten takes the digits out of a text and refuses everything that is
// not plainly one number.
func readWritten(input string) (written, error) {
	var w written
	if len(input) > maxWritten {
		_, err := refuse(PhoneInvalid, "the text is far longer than a number; put one number in the cell")
		return w, err
	}
	text := strings.TrimSpace(input)
	if text == "" {
		_, err := refuse(PhoneEmpty, "there is no number")
		return w, err
	}
	digits := make([]byte, 0, 16)
	dots, afterDot := 0, 0
	for i, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
			afterDot++
		case r >= '０' && r <= '９': // full width, from Asian keyboards: the same digit
			digits = append(digits, byte(r-'０')+'0')
			afterDot++
		case r == '+' || r == '＋':
			if w.plus || len(digits) > 0 {
				_, err := refuse(PhoneInvalid, "the plus stands in the middle; put one number in the cell")
				return w, err
			}
			w.plus = true
		case r == '\'' && i == 0: // a spreadsheet's mark for "this is text"
			w.dropped = true
		case r == '.':
			dots, afterDot = dots+1, 0
		case r == '(' || r == ')' || r == '-' || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || r == '\u2212':
		case unicode.Is(unicode.Cf, r): // direction marks that come along when a number is copied from a chat
			w.dropped = true
		default:
			return w, oddCharacter(text, r)
		}
	}
	switch {
	case len(digits) == 0:
		_, err := refuse(PhoneEmpty, "there is no digit in it")
		return w, err
	case dots == 1 && afterDot < 3:
		// 5511900000001.0: the zero would become a digit of somebody else's number.
		_, err := refuse(PhoneScientific, "a spreadsheet wrote it as a decimal; format the column as text and export again")
		return w, err
	}
	w.digits = string(digits)
	return w, nil
}

// oddCharacter explains the first character that has no place in a number. It
// names characters that cannot be part of anybody's number or name.
func oddCharacter(text string, r rune) error {
	lower := strings.ToLower(text)
	kind, hint := PhoneInvalid, "there is more than a number in it; put one number in the cell"
	switch {
	case scientificText.MatchString(text):
		kind, hint = PhoneScientific, "a spreadsheet shortened it and its last digits are lost; format the column as text and export again"
	case strings.Contains(lower, "://"), strings.Contains(lower, "wa.me"), strings.Contains(lower, "www."), strings.HasPrefix(lower, "tel:"):
		kind, hint = PhoneLetters, "this is a link; write the number alone"
	case r == '#', r == ';', extensionText.MatchString(text):
		kind, hint = PhoneExtension, "WhatsApp has no extensions; write the number alone"
	case unicode.IsLetter(r):
		kind, hint = PhoneLetters, "there are letters in it; write the number alone"
	case r == '/' || r == ',' || r == '|':
		hint = "there seem to be several numbers in it; put one number in the cell"
	}
	_, err := refuse(kind, hint)
	return err
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
