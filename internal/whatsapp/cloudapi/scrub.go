package cloudapi

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const maxRetryAfter = time.Hour

var (
	tokenLike = regexp.MustCompile(`EAA[0-9A-Za-z]{12,}`)
	queryLike = regexp.MustCompile(`\?[^\s"'<>]+|(?:access_token|appsecret_proof)=[^\s"'<>]*`)
	phoneLike = regexp.MustCompile(`\+?\d(?:[\s().\-]{0,2}\d){8,}`)
)

// scrub takes token, URL queries and phone numbers out of a text that came from
// outside, and bounds its length. It errs on the side of taking too much: long
// ids go as well.
func scrub(s, token string) string {
	if len(token) >= 4 {
		s = strings.ReplaceAll(s, token, "<token>")
	}
	s = tokenLike.ReplaceAllString(s, "<token>")
	s = queryLike.ReplaceAllString(s, "<query>")
	s = phoneLike.ReplaceAllString(s, "<number>")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	const most = 600
	if len(s) > most {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// retryAfter reads the Retry-After header: seconds, or a date, which is
// compared with the answer's own Date so that no clock of ours is asked. It is
// 0 when the header is absent, in the past or not readable, and at most 1 h.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" { // also longer than an int64
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n >= int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// regainAccess reads the longest estimated_time_to_regain_access, minutes, of
// Meta's usage header (Meta: Graph API, rate limits); 0 to 1 h.
func regainAccess(h http.Header) time.Duration {
	var usage map[string][]struct {
		Minutes number `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &usage) != nil {
		return 0
	}
	var longest int64
	for _, entries := range usage {
		for _, e := range entries {
			longest = max(longest, e.Minutes.value)
		}
	}
	return time.Duration(min(longest, int64(maxRetryAfter/time.Minute))) * time.Minute
}
