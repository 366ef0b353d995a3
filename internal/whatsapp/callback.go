package whatsapp

import (
	"strconv"
	"strings"
)

// CallbackID is what we put into biz_opaque_callback_data: Meta returns it in
// every status of the message, which is how an unanswered request is
// reconciled. It carries nothing personal, because any app subscribed to the
// account can read it (Meta: Messages API, biz_opaque_callback_data, at most
// 512 characters).
type CallbackID struct {
	DB      string // random text of the database that sent it
	Message int64
	Attempt int
}

// String returns the wire form, "j1.<db>.<message>.<attempt>".
func (c CallbackID) String() string {
	return "j1." + c.DB + "." + strconv.FormatInt(c.Message, 10) + "." + strconv.Itoa(c.Attempt)
}

// ParseCallbackID reads the wire form. ok is false for a text that another
// system wrote.
func ParseCallbackID(s string) (c CallbackID, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 || parts[0] != "j1" || parts[1] == "" {
		return c, false
	}
	id, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || id <= 0 {
		return c, false
	}
	n, err := strconv.Atoi(parts[3])
	if err != nil || n <= 0 {
		return c, false
	}
	return CallbackID{DB: parts[1], Message: id, Attempt: n}, true
}
