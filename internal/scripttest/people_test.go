package scripttest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"janela/internal/whatsapp"
)

// names are the people of the scripts, with numbers that belong to nobody.
var names = []string{"ana", "bruno", "carla", "diego", "elisa", "fabio", "gabi", "heitor", "iris", "joao"}

var numbered = regexp.MustCompile(`^p(\d{1,5})$`)

// phoneOf returns the number of a person: a name, or p1 to p9999.
func phoneOf(who string) (whatsapp.Phone, error) {
	for i, name := range names {
		if who == name {
			return whatsapp.Phone(fmt.Sprintf("+120255501%02d", i+1)), nil
		}
	}
	if m := numbered.FindStringSubmatch(who); m != nil {
		n, _ := strconv.Atoi(m[1])
		return whatsapp.Phone(fmt.Sprintf("+55119%08d", n)), nil
	}
	if strings.HasPrefix(who, "+") {
		return whatsapp.Phone(who), nil
	}
	return "", fmt.Errorf("%q is nobody; write one of %s, p1 to p99999, or a number with its plus", who, strings.Join(names, ", "))
}

// phonesOf reads a person, or several: p1-p40.
func phonesOf(who string) ([]whatsapp.Phone, error) {
	from, to, several := strings.Cut(who, "-")
	if !several {
		p, err := phoneOf(who)
		return []whatsapp.Phone{p}, err
	}
	a, b := numbered.FindStringSubmatch(from), numbered.FindStringSubmatch(to)
	if a == nil || b == nil {
		return nil, fmt.Errorf("%q: several people are written p1-p40", who)
	}
	first, _ := strconv.Atoi(a[1])
	last, _ := strconv.Atoi(b[1])
	var out []whatsapp.Phone
	for n := first; n <= last; n++ {
		p, err := phoneOf("p" + strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// nameOf is the inverse: what a number is called in expected rows.
func nameOf(phone string) (string, bool) {
	digits := strings.TrimPrefix(phone, "+")
	if rest, ok := strings.CutPrefix(digits, "120255501"); ok && len(rest) == 2 {
		if n, err := strconv.Atoi(rest); err == nil && n >= 1 && n <= len(names) {
			return names[n-1], true
		}
	}
	if rest, ok := strings.CutPrefix(digits, "55119"); ok && len(rest) == 8 && strings.HasPrefix(rest, "000") {
		n, err := strconv.Atoi(rest)
		return "p" + strconv.Itoa(n), err == nil && n > 0
	}
	return "", false
}

var placeholder = regexp.MustCompile(`\$(\w+)`)

// expand writes the numbers of people into a file: $ana becomes +12025550101.
func expand(data []byte) []byte {
	return placeholder.ReplaceAllFunc(data, func(m []byte) []byte {
		p, err := phoneOf(string(m[1:]))
		if err != nil {
			return m
		}
		return []byte(p)
	})
}
