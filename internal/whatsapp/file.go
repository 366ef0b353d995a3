package whatsapp

import "strings"

// Meta's id of an uploaded file lives 30 days, and a message may wait longer. So
// stored parameters name a file of ours by its content, in the place of the id:
// FileID makes that name, FillFiles puts the id there just before the request.
const (
	filePrefix = "janela-file:"
	fileField  = `"id":"` + filePrefix // no value can hold it: its quotes are escaped in JSON
)

// FileID names a file of ours in a MediaRef by the SHA-256 of its content, in
// hex.
func FileID(sha256 string) string { return filePrefix + sha256 }

// IsFileID reports whether an id names a file of ours.
func IsFileID(id string) bool { return strings.HasPrefix(id, filePrefix) }

// FillFiles puts Meta's ids in the place of the files that the parameters of a
// message (JSON as encoding/json writes it) name. ok is false when an id is
// missing. Parameters that name none come back as they are.
func FillFiles(params string, id func(sha256 string) string) (filled string, ok bool) {
	if !strings.Contains(params, filePrefix) { // found faster than what begins with a quotation mark
		return params, true
	}
	at := strings.Index(params, fileField)
	if at < 0 {
		return params, true
	}
	var b strings.Builder
	b.Grow(len(params))
	for ; at >= 0; at = strings.Index(params, fileField) {
		rest := params[at+len(fileField):]
		end := strings.IndexByte(rest, '"')
		if end < 0 {
			return "", false
		}
		meta := id(rest[:end])
		if meta == "" || strings.ContainsAny(meta, `"\`) {
			return "", false
		}
		b.WriteString(params[:at])
		b.WriteString(`"id":"` + meta)
		params = rest[end:]
	}
	b.WriteString(params)
	return b.String(), true
}
