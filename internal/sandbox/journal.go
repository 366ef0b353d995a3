package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// journal is the append-only file of JSON lines. A line is written whole with
// one call, before the act it tells of is answered. It is not synced: it
// survives the death of the process, not that of the machine.
type journal struct {
	file *os.File
}

// line is one line of the journal: exactly one of its fields is set.
type line struct {
	Seed       *int64          `json:"seed,omitempty"` // the first line
	Send       *sendLine       `json:"send,omitempty"`
	Hook       *hookLine       `json:"hook,omitempty"`
	Ack        *ackLine        `json:"ack,omitempty"`
	Heard      *heardLine      `json:"heard,omitempty"`
	Preference *preferenceLine `json:"preference,omitempty"`
	Change     *TemplateChange `json:"change,omitempty"`
	Template   *Template       `json:"template,omitempty"`
	Media      *media          `json:"media,omitempty"`
	MediaGone  string          `json:"media_gone,omitempty"`
	Subscribed *subscribedLine `json:"subscribed,omitempty"`
	Person     *personLine     `json:"person,omitempty"`
	Identity   *identityLine   `json:"identity,omitempty"`
}

type sendLine struct {
	Key      string `json:"key,omitempty"`
	To       string `json:"to"`
	Number   string `json:"number"`
	Type     string `json:"type"`
	Template string `json:"template,omitempty"`
	Language string `json:"language,omitempty"`
	Category string `json:"category"`
	At       int64  `json:"at"`
	Nth      uint32 `json:"nth"`
	Code     int32  `json:"code,omitempty"`
	Flags    uint16 `json:"flags,omitempty"`
	TTL      int32  `json:"ttl,omitempty"`
}

type hookLine struct {
	ID   uint64 `json:"id"`
	At   int64  `json:"at"`
	WABA string `json:"waba,omitempty"`
	Body []byte `json:"body"` // base64: any body can be posted, also one that is no JSON
}

// ackLine names what was acknowledged: statuses as 8*message+slot, hooks by id.
type ackLine struct {
	Statuses []int64  `json:"statuses,omitempty"`
	Hooks    []uint64 `json:"hooks,omitempty"`
}

type heardLine struct {
	WaID   string `json:"wa_id"`
	Number string `json:"number"`
	At     int64  `json:"at"`
	Ad     bool   `json:"ad,omitempty"`
	Window bool   `json:"window"`
}

type preferenceLine struct {
	WaID    string `json:"wa_id"`
	Stopped bool   `json:"stopped"`
}

// personLine is a PersonChange of the person with this wa_id.
type personLine struct {
	WaID string `json:"wa_id"`
	At   int64  `json:"at"`
	PersonChange
}

// identityLine is a number's identity key check, switched.
type identityLine struct {
	Number string `json:"number"`
	On     bool   `json:"on"`
}

type subscribedLine struct {
	WABA string `json:"waba"`
	On   bool   `json:"on"`
}

func (j *journal) write(l line) error {
	if j.file == nil {
		return errors.New("the journal is closed")
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(text, '\n'))
	return err
}

func (j *journal) send(r *record, number string, k kind) error {
	return j.write(line{Send: &sendLine{
		Key: r.key, To: r.to, Number: number, Type: k.typ, Template: k.template, Language: k.language,
		Category: k.category, At: r.at, Nth: r.nth, Code: r.code, Flags: uint16(r.flags), TTL: r.ttl,
	}})
}

func (j *journal) hook(h *hook, at int64) error {
	return j.write(line{Hook: &hookLine{ID: h.id, At: at, WABA: h.waba, Body: h.body}})
}

func (j *journal) ack(events []event) error {
	var a ackLine
	for _, e := range events {
		if e.hook != nil {
			a.Hooks = append(a.Hooks, e.hook.id)
		} else {
			a.Statuses = append(a.Statuses, int64(e.rec)*8+int64(e.slot))
		}
	}
	return j.write(line{Ack: &a})
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

// note writes a line when there is a journal. The caller holds the lock.
func (s *Sandbox) note(l line) error {
	if s.journal == nil {
		return nil
	}
	if err := s.journal.write(l); err != nil {
		return fmt.Errorf("sandbox: journal: %w", err)
	}
	return nil
}

// openJournal replays the file, cuts off a line that a death left half
// written, and goes on behind it.
func (s *Sandbox) openJournal(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("sandbox: journal: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	if err := file.Chmod(0o600); err != nil {
		return fmt.Errorf("sandbox: journal: %w", err)
	}
	whole, err := s.replay(bufio.NewReaderSize(file, 1<<16))
	if err != nil {
		return fmt.Errorf("sandbox: journal %s: %w", path, err)
	}
	if err := file.Truncate(whole); err != nil {
		return fmt.Errorf("sandbox: journal: %w", err)
	}
	s.journal = &journal{file: file}
	if whole == 0 {
		return s.note(line{Seed: &s.cfg.Seed})
	}
	s.log.Info("sandbox: journal replayed", "messages", s.ledger.count, "webhooks_owed", s.queue.Len())
	return nil
}

// owed are the webhooks planned by the lines so far and not acknowledged.
type owed struct {
	statuses map[int64]event
	hooks    map[uint64]event
	order    []any // int64 or uint64: in which order they were planned
}

// replay reads the lines and returns how many bytes of whole lines there are.
func (s *Sandbox) replay(in *bufio.Reader) (int64, error) {
	var whole int64
	due := owed{statuses: map[int64]event{}, hooks: map[uint64]event{}}
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what stands behind the last newline was never finished
		}
		if err != nil {
			return 0, err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return 0, fmt.Errorf("line %d is not readable: %w; move the file away to begin anew", n, err)
		}
		if n == 1 && (l.Seed == nil || *l.Seed != s.cfg.Seed) {
			return 0, fmt.Errorf("it is not a journal of seed %d; use the seed it was written with, or move the file away", s.cfg.Seed)
		}
		if err := s.redo(l, &due); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		whole += int64(len(text))
	}
	for _, id := range due.order {
		switch id := id.(type) {
		case int64:
			if e, ok := due.statuses[id]; ok {
				s.queue.add(e)
			}
		case uint64:
			if e, ok := due.hooks[id]; ok {
				s.queue.add(e)
			}
		}
	}
	return whole, nil
}

// redo applies one line.
func (s *Sandbox) redo(l line, due *owed) error {
	switch {
	case l.Send != nil:
		return s.redoSend(l.Send, due)
	case l.Hook != nil:
		h := &hook{id: l.Hook.ID, waba: l.Hook.WABA, body: l.Hook.Body}
		s.nextHook = max(s.nextHook, h.id)
		due.hooks[h.id] = event{due: l.Hook.At, at: l.Hook.At / 1000, rec: -1, hook: h}
		due.order = append(due.order, h.id)
	case l.Ack != nil:
		for _, id := range l.Ack.Statuses {
			delete(due.statuses, id)
			if i := int(id / 8); id >= 0 && i < s.ledger.count {
				s.ledger.get(i).reach(uint8(id%8) % slotAgain)
			}
		}
		for _, id := range l.Ack.Hooks {
			delete(due.hooks, id)
		}
	case l.Heard != nil:
		num := s.numbers[l.Heard.Number]
		if num == nil {
			return fmt.Errorf("number %s is not configured any more", l.Heard.Number)
		}
		s.person(l.Heard.WaID).written++
		if l.Heard.Window {
			s.hear(l.Heard.WaID, num.index, l.Heard.At, l.Heard.Ad)
		}
	case l.Preference != nil:
		s.person(l.Preference.WaID).Stopped = l.Preference.Stopped
	case l.Template != nil:
		return s.put(*l.Template)
	case l.Change != nil:
		if t := s.templates[l.Change.ref()]; t != nil {
			s.alter(t, *l.Change)
		}
	case l.Media != nil:
		s.media[l.Media.ID] = *l.Media
	case l.MediaGone != "":
		delete(s.media, l.MediaGone)
	case l.Subscribed != nil:
		if a := s.accounts[l.Subscribed.WABA]; a != nil {
			a.subscribed = l.Subscribed.On
		}
	case l.Person != nil:
		for _, e := range s.changePerson(l.Person) {
			id := int64(e.rec)*8 + int64(e.slot)
			due.statuses[id] = e
			due.order = append(due.order, id)
		}
	case l.Identity != nil:
		if num := s.numbers[l.Identity.Number]; num != nil {
			num.IdentityCheck = l.Identity.On
		}
	}
	return nil
}

func (s *Sandbox) redoSend(l *sendLine, due *owed) error {
	num := s.numbers[l.Number]
	if num == nil {
		return fmt.Errorf("number %s is not configured any more", l.Number)
	}
	r := record{
		key: l.Key, to: l.To, at: l.At, ttl: l.TTL, code: l.Code, nth: l.Nth, number: num.index, flags: flags(l.Flags),
		kind: s.ledger.kind(kind{l.Type, l.Template, l.Language, l.Category}),
	}
	s.openEntryPoint(&r, time.UnixMilli(r.at))
	i := s.ledger.add(r, "")
	for _, e := range planned(&r, s.chance(&r), false) {
		e.rec = int32(i)
		id := int64(i)*8 + int64(e.slot)
		due.statuses[id] = e
		due.order = append(due.order, id)
	}
	return nil
}
