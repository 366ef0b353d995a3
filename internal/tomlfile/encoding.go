package tomlfile

import (
	"bytes"
	"encoding/json"
	"regexp"
	"unicode/utf8"
)

var byteOrderMark = []byte("\xEF\xBB\xBF")

// checkEncoding reports the first reason why the bytes are not UTF-8 text, and
// whether the file may be read. It never quotes a byte: it could be a secret's.
func checkEncoding(r *report) bool {
	data := r.src.data
	if isUTF16(data) {
		r.faultAt(0, "", "the file is UTF-16 text, not UTF-8", "save it as UTF-8")
		return false
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		r.faultAt(i, "", "the file holds a NUL byte, so it is not text", "save it as UTF-8 text")
		return false
	}
	for i := 0; i < len(data); {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 {
			r.faultAt(i, "", "the file is not UTF-8 text: this character is in another encoding", "save it as UTF-8")
			return false
		}
		i += n
	}
	return true
}

// isUTF16 knows UTF-16 by its mark, or by every other byte of the start being
// NUL, as it is in files of mostly ASCII letters.
func isUTF16(data []byte) bool {
	if bytes.HasPrefix(data, []byte("\xFF\xFE")) || bytes.HasPrefix(data, []byte("\xFE\xFF")) {
		return true
	}
	return len(data) >= 4 && len(data)%2 == 0 &&
		(data[0] == 0) == (data[2] == 0) && (data[1] == 0) == (data[3] == 0) && (data[0] == 0) != (data[1] == 0)
}

var yamlLine = regexp.MustCompile(`^\s*(- )?["']?[\w.-]+["']?:(\s|$)`)

// foreign names the other format that text which is not TOML seems to be in, and
// where it starts. It is asked after a syntax fault only: nothing that TOML
// allows is ever refused for its looks.
func foreign(data []byte) (format string, offset int) {
	for offset < len(data) {
		line, _, _ := bytes.Cut(data[offset:], []byte("\n"))
		text := bytes.TrimSpace(line)
		if len(text) == 0 || text[0] == '#' {
			offset += len(line) + 1
			continue
		}
		offset += bytes.Index(line, text)
		switch {
		case text[0] == '{', text[0] == '[' && json.Valid(data):
			return "JSON", offset
		case bytes.Equal(text, []byte("---")), bytes.HasPrefix(text, []byte("--- ")), yamlLine.Match(text):
			return "YAML", offset
		}
		return "", 0
	}
	return "", 0
}
