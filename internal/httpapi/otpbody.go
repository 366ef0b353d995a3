package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"janela/otp"
)

// maxSmallBody is how many bytes a request for a code, a guess or a consent may
// have.
const maxSmallBody = 4 << 10

// bodies are used again, so that a request costs no 4 KiB; they are wiped, since
// they held numbers and codes.
var bodies = sync.Pool{New: func() any { return new([maxSmallBody + 1]byte) }}

// withBody reads a small body and hands it to f, which must not keep it.
func (c *call) withBody(f func(body []byte) error) error {
	buf, _ := bodies.Get().(*[maxSmallBody + 1]byte)
	defer bodies.Put(buf)
	return c.readBody(buf[:], f)
}

// withLargeBody is withBody for at most limit bytes.
func (c *call) withLargeBody(limit int, f func(body []byte) error) error {
	return c.readBody(make([]byte, limit+1), f)
}

// readBody reads a body of fewer bytes than buf has, and wipes buf at the end.
func (c *call) readBody(buf []byte, f func(body []byte) error) error {
	limit := len(buf) - 1
	if c.r.ContentLength > int64(limit) {
		return tooLarge(limit)
	}
	n, err := io.ReadFull(c.r.Body, buf)
	defer func() { clear(buf[:n]) }()
	switch {
	case err == nil:
		return tooLarge(limit)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the body did not arrive whole")
	case n > 0 && !isJSON(c.r.Header["Content-Type"]):
		p := malformed("the body must be application/json, and its Content-Type must say so")
		p.Status = http.StatusUnsupportedMediaType
		return p
	}
	return f(buf[:n])
}

func tooLarge(limit int) *Problem {
	p := malformed("the body has more than %d bytes", limit)
	p.Status = http.StatusRequestEntityTooLarge
	return p
}

func isJSON(fields []string) bool {
	if len(fields) != 1 {
		return false
	}
	if fields[0] == "application/json" {
		return true
	}
	kind, params, err := mime.ParseMediaType(fields[0])
	charset, other := params["charset"]
	return err == nil && kind == "application/json" && (!other || strings.EqualFold(charset, "utf-8"))
}

// document walks a JSON object strictly. Its errors name the path of a field
// that is known, and never what stood there.
type document struct{ dec *json.Decoder }

// readDocument walks the one object that a body is; each gets the name of every
// field. required says whether an empty body stands for an object without any.
func readDocument(body []byte, required bool, known string, each func(d document, name string) error) error {
	switch {
	case len(body) == 0 && !required:
		return nil
	case len(body) == 0:
		return malformed("the body is empty; it must be a JSON object")
	case !utf8.Valid(body) || !json.Valid(body):
		return malformed("the body is no JSON in UTF-8, or has something behind its end")
	}
	d := document{json.NewDecoder(bytes.NewReader(body))}
	return d.object("the body", known, func(name string) error { return each(d, name) })
}

// errUnknown is what each returns for a field that there is not.
var errUnknown = errors.New("unknown field")

// object walks the fields of an object, each at most once.
func (d document) object(at, known string, each func(name string) error) error {
	if t, err := d.dec.Token(); err != nil || t != json.Delim('{') {
		return malformed("%s must be an object", at)
	}
	var seen []string
	for d.dec.More() {
		t, err := d.dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return malformed("%s cannot be read", at)
		}
		if slices.Contains(seen, name) {
			return malformed("%s has a field twice", at)
		}
		seen = append(seen, name)
		err = each(name)
		if errors.Is(err, errUnknown) {
			return malformed("%s has a field that is not known; known are %s", at, known)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.dec.Token()
	return err
}

// text reads a string.
func (d document) text(at string, into *string) error {
	t, err := d.dec.Token()
	s, ok := t.(string)
	if err != nil || !ok {
		return malformed("%s must be a string; leave it out where there is none", at)
	}
	if strings.ContainsRune(s, utf8.RuneError) { // what the decoder makes of half a surrogate pair
		return malformed("%s holds a character that is none", at)
	}
	*into = s
	return nil
}

// word reads a string that must be one of a few.
func (d document) word(at string, into *string, of ...string) error {
	if err := d.text(at, into); err != nil {
		return err
	}
	if !slices.Contains(of, *into) {
		return malformed("%s must be one of %s", at, strings.Join(of, ", "))
	}
	return nil
}

// flag reads true or false.
func (d document) flag(at string, into *bool) error {
	t, err := d.dec.Token()
	b, ok := t.(bool)
	if err != nil || !ok {
		return malformed("%s must be true or false", at)
	}
	*into = b
	return nil
}

// readRequest reads the body of a request for a code. What its words mean, and
// how long they may be, is the otp room's to judge.
func readRequest(body []byte) (otp.Request, error) {
	var r otp.Request
	const known = "to, purpose, locale, client_ip, binding, trusted, decoy, device, consent, metadata"
	err := readDocument(body, true, known, func(d document, name string) error {
		switch name {
		case "to":
			return d.text(name, &r.To)
		case "purpose":
			return d.text(name, &r.Purpose)
		case "locale":
			return d.text(name, &r.Locale)
		case "client_ip":
			return d.text(name, &r.ClientIP)
		case "binding":
			return d.text(name, &r.Binding)
		case "trusted":
			return d.flag(name, &r.Trusted)
		case "decoy":
			return d.flag(name, &r.Decoy)
		case "device":
			return d.text(name, &r.Device)
		case "consent":
			r.Consent = &otp.Consent{}
			return d.consent(r.Consent)
		case "metadata":
			r.Metadata = map[string]string{}
			return d.metadata(r.Metadata)
		default:
			return errUnknown
		}
	})
	switch {
	case err != nil:
		return r, err
	case r.To == "":
		return r, malformed("to is missing: the phone number in E.164")
	case r.Purpose == "":
		return r, malformed("purpose is missing: what the code is for, as in the configuration")
	}
	return r, nil
}

func (d document) consent(into *otp.Consent) error {
	return d.object("consent", "source, text, at", func(name string) error {
		switch name {
		case "source":
			return d.text("consent.source", &into.Source)
		case "text":
			return d.text("consent.text", &into.Text)
		case "at":
			var at string
			if err := d.text("consent.at", &at); err != nil {
				return err
			}
			var err error
			if into.At, err = time.Parse(time.RFC3339, at); err != nil {
				return malformed("consent.at must be a time in RFC 3339, with its offset")
			}
			into.At = into.At.UTC()
			return nil
		default:
			return errUnknown
		}
	})
}

// metadata reads the caller's own words; their names are not ours to repeat.
func (d document) metadata(into map[string]string) error {
	return d.object("metadata", "", func(name string) error {
		var v string
		if err := d.text("a value of metadata", &v); err != nil {
			return err
		}
		into[name] = v
		return nil
	})
}

// readProof reads the body of a guess.
func readProof(body []byte) (otp.Proof, error) {
	var p otp.Proof
	err := readDocument(body, true, "code, binding, client_ip", func(d document, name string) error {
		switch name {
		case "code":
			return d.text(name, &p.Code)
		case "binding":
			return d.text(name, &p.Binding)
		case "client_ip":
			return d.text(name, &p.ClientIP)
		default:
			return errUnknown
		}
	})
	if err == nil && p.Code == "" {
		return p, malformed("code is missing: what the person typed, as a string")
	}
	return p, err
}

// readResend reads the body of a request for another message.
func readResend(body []byte) (otp.Resend, error) {
	r := otp.Resend{Channel: "whatsapp", Code: "auto"}
	err := readDocument(body, false, "channel, code", func(d document, name string) error {
		switch name {
		case "channel":
			return d.word(name, &r.Channel, "whatsapp", "sms")
		case "code":
			return d.word(name, &r.Code, "auto", "new")
		default:
			return errUnknown
		}
	})
	return r, err
}

// readNothing reads a body that has nothing to say: none, or {}.
func readNothing(body []byte) error {
	return readDocument(body, false, "none", func(document, string) error { return errUnknown })
}
