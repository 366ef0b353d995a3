package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"janela/internal/whatsapp"
)

// FaultKind is what goes wrong.
type FaultKind string

// The faults. "Processed" means that the message exists all the same.
const (
	FaultError              FaultKind = "error"                // the Graph error Code with HTTPStatus
	FaultResetBefore        FaultKind = "reset_before"         // the connection is closed, nothing processed
	FaultResetAfter         FaultKind = "reset_after"          // processed, then the connection is closed
	FaultTimeout            FaultKind = "timeout"              // processed, then silence for Delay, or until the client goes
	FaultGarbage            FaultKind = "garbage_200"          // processed, answered 200 with what is no JSON
	FaultNoWamid            FaultKind = "no_wamid_200"         // processed, answered 200 with JSON that names no message
	FaultBadGateway         FaultKind = "http_502_html"        // a proxy's page, with HTTPStatus
	FaultSlow               FaultKind = "slow"                 // processed, answered after Delay
	FaultStatusBeforeAnswer FaultKind = "status_before_answer" // the sent status leaves at once, the answer after Delay
	FaultRedirect           FaultKind = "redirect_307"         // to the same address; nothing processed
	FaultFailedStatus       FaultKind = "failed_status"        // accepted, then failed with Code by webhook
	FaultHeld               FaultKind = "held"                 // accepted as held_for_quality_assessment
	FaultSilence            FaultKind = "silence"              // accepted, and never a status
)

// answers reports whether the client gets the true answer, sooner or later.
func (k FaultKind) answers() bool {
	switch k {
	case FaultSlow, FaultStatusBeforeAnswer, FaultFailedStatus, FaultHeld, FaultSilence:
		return true
	default:
		return false
	}
}

// Match says which requests a fault meets. Empty fields match everything.
type Match struct {
	Number    string `json:"number"`    // phone_number_id; for reads the id in the path
	Template  string `json:"template"`  // name
	Recipient string `json:"recipient"` // suffix of the digits, or of the BSUID
	Key       string `json:"key"`       // prefix of biz_opaque_callback_data
	Kind      string `json:"kind"`      // "" every message; its type (template, text …), mark, media, read
}

// Fault is a misbehaviour to come.
type Fault struct {
	ID         int           `json:"id"` // given by AddFault
	Match      Match         `json:"match"`
	Kind       FaultKind     `json:"kind"`
	Code       int           `json:"code"`
	HTTPStatus int           `json:"http_status"` // 0: Meta's for the code; 502 for http_502_html
	Process    bool          `json:"process"`     // error, http_502_html: the message exists all the same
	Count      int           `json:"count"`       // how often; 0: once; negative: until removed
	Chance     float64       `json:"chance"`      // that it meets a request that matches; 0: it meets each
	Delay      time.Duration `json:"-"`

	asked uint64 // how many requests matched
}

// facts is what a request offers to a Match.
type facts struct {
	kind, number, template, recipient, key string
}

func (m Match) meets(f facts) bool {
	isSend := f.kind != "read" && f.kind != "media" && f.kind != "mark"
	return (m.Kind == f.kind || m.Kind == "" && isSend) &&
		(m.Number == "" || m.Number == f.number) &&
		(m.Template == "" || m.Template == f.template) &&
		(m.Recipient == "" || strings.HasSuffix(f.recipient, strings.TrimPrefix(m.Recipient, "+"))) &&
		(m.Key == "" || strings.HasPrefix(f.key, m.Key))
}

// AddFault puts a fault in line and returns its id. Of several that match a
// request the first added is used.
func (s *Sandbox) AddFault(f Fault) (int, error) {
	switch f.Kind {
	case FaultError, FaultFailedStatus:
		if f.Code < 0 || f.Code == 0 && f.Kind == FaultFailedStatus {
			return 0, fmt.Errorf("sandbox: fault %s needs a code of Meta's, such as 130429", f.Kind)
		}
	case FaultResetBefore, FaultResetAfter, FaultTimeout, FaultGarbage, FaultNoWamid, FaultBadGateway,
		FaultSlow, FaultStatusBeforeAnswer, FaultRedirect, FaultHeld, FaultSilence:
	default:
		return 0, fmt.Errorf("sandbox: fault kind %q is not known", f.Kind)
	}
	if f.HTTPStatus != 0 && (f.HTTPStatus < 400 || f.HTTPStatus > 599) {
		return 0, fmt.Errorf("sandbox: fault with HTTP status %d; write one from 400 to 599, or none", f.HTTPStatus)
	}
	if !(f.Chance >= 0 && f.Chance <= 1) {
		return 0, fmt.Errorf("sandbox: fault with a chance of %v; a chance is between 0 and 1", f.Chance)
	}
	if f.Delay < 0 {
		return 0, errors.New("sandbox: fault with a negative delay")
	}
	if f.Count == 0 {
		f.Count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextFault++
	f.ID = s.nextFault
	s.faults = append(s.faults, f)
	return f.ID, nil
}

// Faults returns the faults that are still to come.
func (s *Sandbox) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Fault{}, s.faults...)
}

// RemoveFault removes the fault with this id, or all of them for id 0. It
// reports whether there was one.
func (s *Sandbox) RemoveFault(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.faults[:0]
	for _, f := range s.faults {
		if id != 0 && f.ID != id {
			kept = append(kept, f)
		}
	}
	removed := len(kept) < len(s.faults)
	s.faults = kept
	return removed
}

// takeFault uses up the first fault that meets the request, if there is one.
func (s *Sandbox) takeFault(f facts) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		hit := s.faults[i]
		if !hit.Match.meets(f) {
			continue
		}
		if s.faults[i].asked++; hit.Chance > 0 && s.luck(&s.faults[i]) >= hit.Chance {
			continue
		}
		if s.faults[i].Count > 0 {
			s.faults[i].Count--
		}
		if s.faults[i].Count == 0 {
			s.faults = append(s.faults[:i], s.faults[i+1:]...)
		}
		s.log.Info("sandbox: fault", "kind", string(hit.Kind), "code", hit.Code, "recipient", whatsapp.Mask(f.recipient))
		return &hit
	}
	return nil
}

// luck is the throw of the dice for a fault and one more request.
func (s *Sandbox) luck(f *Fault) float64 {
	return dice(s.cfg.Seed, "fault", strconv.Itoa(f.ID), strconv.FormatUint(f.asked, 10)).Float64()
}

// faultBefore answers the faults that leave the request unprocessed. It
// reports whether it did.
func (s *Sandbox) faultBefore(c *call, f *Fault) bool {
	if f == nil || f.Process {
		return false
	}
	switch f.Kind {
	case FaultResetBefore:
		panic(http.ErrAbortHandler)
	case FaultError, FaultBadGateway:
		s.pause(c.r, f.Delay, false)
		s.answerFault(c, f)
		return true
	case FaultRedirect:
		c.w.Header().Set("Location", c.r.URL.RequestURI())
		c.w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	default:
		return false
	}
}

// faultAfter ends a processed request: with the true answer, unless the fault
// wants it otherwise.
func (s *Sandbox) faultAfter(c *call, f *Fault, answer func()) {
	if f == nil {
		answer()
		return
	}
	switch f.Kind {
	case FaultResetAfter:
		panic(http.ErrAbortHandler)
	case FaultTimeout:
		s.pause(c.r, f.Delay, true)
		panic(http.ErrAbortHandler)
	case FaultGarbage:
		c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(c.w, "<!DOCTYPE html><title>Facebook</title><p>Sorry, something went")
	case FaultNoWamid:
		s.answer(c.w, http.StatusOK, json.RawMessage(`{"messaging_product":"whatsapp","contacts":[],"messages":[]}`))
	case FaultError, FaultBadGateway:
		s.pause(c.r, f.Delay, false)
		s.answerFault(c, f)
	case FaultSlow:
		s.pause(c.r, f.Delay, false)
		answer()
	case FaultStatusBeforeAnswer:
		s.pause(c.r, max(f.Delay, 2*time.Second), false)
		answer()
	default:
		answer()
	}
}

func (s *Sandbox) answerFault(c *call, f *Fault) {
	if f.Kind == FaultBadGateway {
		status := f.HTTPStatus
		if status == 0 {
			status = http.StatusBadGateway
		}
		c.w.Header().Set("Content-Type", "text/html")
		c.w.WriteHeader(status)
		_, _ = io.WriteString(c.w, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n")
		return
	}
	e := refuse(f.Code, "fault %d of the sandbox", f.ID)
	if f.HTTPStatus != 0 {
		e.status = f.HTTPStatus
	}
	s.count(e)
	s.answerError(c.w, e)
}
