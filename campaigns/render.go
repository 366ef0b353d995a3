package campaigns

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"janela/internal/csvfile"
	"janela/internal/whatsapp"
)

// RowReason says why a row of an audience is not sent to. The texts are stable:
// they stand in the database, in reports and in docs/campaign-file.md.
type RowReason string

// The reasons.
const (
	RowMissingPhone     RowReason = "missing_phone"
	RowInvalidPhone     RowReason = "invalid_phone"
	RowAmbiguousPhone   RowReason = "ambiguous_phone"
	RowScientificNumber RowReason = "scientific_number"
	RowMissingParameter RowReason = "missing_parameter"
	RowInvalidParameter RowReason = "invalid_parameter"
	RowParameterTooLong RowReason = "parameter_too_long"
	RowMissingOncePer   RowReason = "missing_once_per"
	RowInvalidExpiry    RowReason = "invalid_expiry"
	RowRagged           RowReason = "ragged_row"
	RowMalformed        RowReason = "malformed_row"
)

// RowReasons lists every reason.
var RowReasons = []RowReason{
	RowMissingPhone, RowInvalidPhone, RowAmbiguousPhone, RowScientificNumber, RowMissingParameter, RowInvalidParameter,
	RowParameterTooLong, RowMissingOncePer, RowInvalidExpiry, RowRagged, RowMalformed,
}

// Reject is a row that cannot be used. Detail names the column and what is
// wrong; it repeats no cell.
type Reject struct {
	Line   int
	Reason RowReason
	Detail string
}

// Recipient is a usable row: who gets the message, and the message's values.
type Recipient struct {
	Line       int
	Phone      whatsapp.Phone
	ExternalID string
	Params     json.RawMessage // the components of the send; nil for a template without values
	OnceKey    string          // hash of the once_per cells; "" without once_per
	Expires    time.Time       // the row's own deadline; zero for none
	OfferEnds  time.Time       // of a limited-time offer; zero for none
	Repairs    []string        // what was corrected in the number
}

// MapperOptions is what a Mapper needs beside the definition.
type MapperOptions struct {
	Zone  string                   // of expires_column; an IANA name
	File  func(name string) string // the id of a file of the definition; "" where it was not uploaded. nil: none was
	Needs Requirement              // the template's, for its length limits; the zero value knows none
}

// Mapper turns rows into recipients. It is compiled once for a run; a row then
// only appends bytes. It is not safe for use by several goroutines.
type Mapper struct {
	phone, external, expires int // places of columns, -1 for none
	once                     []int
	region                   string
	zone                     *time.Location
	offer                    int       // place of the column that says when an offer ends, -1 for none
	offerEnds                time.Time // of an offer that ends for everybody
	pieces                   []string  // the components around the slots; one more than slots
	slots                    []slot
	once0                    []byte // scratch
	buffer                   []byte // scratch
}

// slot is one value of the message.
type slot struct {
	label      string // for Reject.Detail
	column     int
	fallback   string
	required   bool // no fallback
	transforms []func(string) (string, bool)
	max        int                          // characters; 0 for no limit
	limit      int                          // Meta's limit in characters, of the encoded value
	read       func(string) (string, error) // makes of the value what Meta takes; nil: as it is
	encode     func(string) string
	bare       bool // a number: without quotation marks
}

// Compile resolves the columns of a definition against a header and prepares
// the message. The error joins every *ColumnError.
func Compile(def *Definition, header []string, opt MapperOptions) (*Mapper, error) {
	zone, err := time.LoadLocation(opt.Zone)
	if err != nil {
		return nil, fmt.Errorf("campaigns: zone of the audience: %w", err)
	}
	c := &compiler{columns: NewColumns(header), file: opt.File}
	m := &Mapper{region: def.Recipients.DefaultRegion, zone: zone}
	m.phone = c.find(def.Recipients.PhoneColumn)
	m.external = c.find(def.Recipients.ExternalIDColumn)
	m.expires = c.find(def.Recipients.ExpiresColumn)
	m.offer = -1
	if o := def.Template.Offer; o != nil {
		if m.offer = c.find(o.Column); o.ExpiresAt != nil {
			m.offerEnds = o.ExpiresAt.AsTime(zone)
		}
	}
	c.zone = zone
	for _, name := range def.Recipients.OncePer {
		m.once = append(m.once, c.find(name))
	}
	if m.phone < 0 && def.Recipients.PhoneColumn == "" {
		c.errs = append(c.errs, &ColumnError{Message: "recipients.phone_column is missing"})
	}
	components, err := c.components(def, opt)
	if err := errors.Join(append(c.errs, err)...); err != nil {
		return nil, err
	}
	m.pieces, m.slots, err = c.split(components)
	return m, err
}

// MapRow turns a row into a recipient, or says why it cannot be one.
func (m *Mapper) MapRow(row *csvfile.Row) (Recipient, *Reject) {
	if fault := rowFault(row); fault != nil {
		return Recipient{}, fault
	}
	r := Recipient{Line: row.Line}
	phone, err := whatsapp.ParsePhone(row.Fields[m.phone], m.region)
	if err != nil {
		return Recipient{}, phoneReject(row.Line, err)
	}
	r.Phone, r.Repairs = phone.Phone, phone.Repairs
	if m.external >= 0 {
		r.ExternalID = strings.TrimSpace(row.Fields[m.external])
	}
	if m.expires >= 0 {
		var ok bool
		if r.Expires, ok = readExpiry(row.Fields[m.expires], m.zone); !ok {
			return Recipient{}, &Reject{row.Line, RowInvalidExpiry, "expires_column: write 2026-11-27 or 2026-11-27T18:00"}
		}
	}
	if len(m.once) > 0 {
		var reject *Reject
		if r.OnceKey, reject = m.onceKey(row); reject != nil {
			return Recipient{}, reject
		}
	}
	var reject *Reject
	if r.Params, reject = m.render(row); reject != nil {
		return Recipient{}, reject
	}
	if r.OfferEnds = m.offerEnds; m.offer >= 0 {
		r.OfferEnds, _ = readExpiry(row.Fields[m.offer], m.zone) // rendered already: it can be read
	}
	return r, nil
}

func phoneReject(line int, err error) *Reject {
	r := &Reject{Line: line, Reason: RowInvalidPhone, Detail: err.Error()}
	var why *whatsapp.PhoneError
	if errors.As(err, &why) {
		r.Detail = why.Hint
		switch why.Kind {
		case whatsapp.PhoneEmpty:
			r.Reason = RowMissingPhone
		case whatsapp.PhoneScientific:
			r.Reason = RowScientificNumber
		case whatsapp.PhoneAmbiguous:
			r.Reason = RowAmbiguousPhone
		}
	}
	return r
}

// onceKey hashes the cells with their lengths, so that no two lists of cells
// run together. The hash keeps personal data out of the table of keys.
func (m *Mapper) onceKey(row *csvfile.Row) (string, *Reject) {
	m.once0 = m.once0[:0]
	for _, place := range m.once {
		cell := strings.TrimSpace(row.Fields[place])
		if cell == "" {
			return "", &Reject{row.Line, RowMissingOncePer, "a cell of once_per is empty; without it the row cannot be told from others"}
		}
		m.once0 = strconv.AppendInt(m.once0, int64(len(cell)), 10)
		m.once0 = append(m.once0, ':')
		m.once0 = append(m.once0, cell...)
	}
	sum := sha256.Sum256(m.once0)
	return hex.EncodeToString(sum[:]), nil
}

// render appends the values of a row between the pieces.
func (m *Mapper) render(row *csvfile.Row) (json.RawMessage, *Reject) {
	if len(m.pieces) == 0 {
		return nil, nil
	}
	b := append(m.buffer[:0], m.pieces[0]...)
	for i := range m.slots {
		s := &m.slots[i]
		value, reason, why := s.take(row.Fields[s.column])
		if reason != "" {
			return nil, &Reject{row.Line, reason, s.label + ": " + why}
		}
		if s.bare {
			b = append(b, value...)
		} else {
			b = appendJSON(b, value)
		}
		b = append(b, m.pieces[i+1]...)
	}
	m.buffer = b
	return append(make(json.RawMessage, 0, len(b)), b...), nil
}

// take makes the value of a cell. reason is "" when it may be sent.
func (s *slot) take(cell string) (value string, reason RowReason, why string) {
	value = cell
	if !isBlank(cell) {
		for _, do := range s.transforms {
			var ok bool
			if value, ok = do(value); !ok {
				return "", RowInvalidParameter, "the cell is no amount; write 1234.56 or 1.234,56"
			}
		}
	}
	if isBlank(value) {
		if s.required {
			return "", RowMissingParameter, "the cell is empty and there is no default"
		}
		value = s.fallback
	}
	if err := whatsapp.CheckText(value); err != nil {
		return "", RowInvalidParameter, err.Error()
	}
	if n := len(value); s.max > 0 && n > s.max {
		if n = utf8.RuneCountInString(value); n > s.max {
			return "", RowParameterTooLong, fmt.Sprintf("the value has %d characters, max_length is %d", n, s.max)
		}
	}
	if s.read != nil {
		var err error
		if value, err = s.read(value); err != nil {
			return "", RowInvalidParameter, err.Error()
		}
	}
	value = s.encode(value)
	if n := len(value); n > s.limit {
		if n = utf8.RuneCountInString(value); n > s.limit {
			return "", RowParameterTooLong, fmt.Sprintf("the value has %d characters, WhatsApp takes %d here", n, s.limit)
		}
	}
	return value, "", ""
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// expiryLayouts are the forms of a deadline, the date alone aside.
var expiryLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"}

// readExpiry reads a row's deadline. A date means until its end; a time without
// offset is of the campaign's zone. An empty cell is no deadline.
func readExpiry(cell string, zone *time.Location) (time.Time, bool) {
	cell = strings.TrimSpace(cell)
	if cell == "" {
		return time.Time{}, true
	}
	if day, err := time.ParseInLocation("2006-01-02", cell, zone); err == nil {
		return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone), true
	}
	for _, layout := range expiryLayouts {
		if t, err := time.ParseInLocation(layout, cell, zone); err == nil {
			return t, true
		}
	}
	t, err := time.Parse(time.RFC3339, cell)
	return t, err == nil
}
