package whatsapp

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ReadDegrees reads a latitude or longitude as people and spreadsheets write it,
// with a point or a comma, and returns it as Meta wants it. most is 90 or 180.
func ReadDegrees(text string, most float64) (string, error) {
	text = strings.Replace(strings.TrimSpace(text), ",", ".", 1)
	if strings.Trim(text, "+-.0123456789") != "" { // no exponents, no words, no hexadecimal
		return "", fmt.Errorf("it is no number of degrees; write -23.5505")
	}
	d, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "", fmt.Errorf("it is no number of degrees; write -23.5505")
	}
	if d < -most || d > most {
		return "", fmt.Errorf("it is outside of %g to %g degrees", -most, most)
	}
	return strings.TrimPrefix(text, "+"), nil
}

// The ranges of ReadDegrees.
const (
	MostLatitude  = 90
	MostLongitude = 180
)

// CheckLink says whether Meta could fetch a file there: an https address with a
// host, of at most 2,000 characters.
func CheckLink(link string) error {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(link, " \t\r\n") || len(link) > 2000 {
		return fmt.Errorf("it is no link to a file; write https://example.com/picture.jpg")
	}
	return nil
}

// FileName is the last part of a link's path, as the name of a document.
func FileName(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return "document"
	}
	name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if name == "" {
		return "document"
	}
	return name
}
