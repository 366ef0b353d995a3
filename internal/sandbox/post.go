package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// giveUp is how long Meta tries a webhook at most (Meta: Webhooks, overview).
const giveUp = 7 * 24 * time.Hour

// Run posts webhooks when they are due, and again, less and less often, until
// they are answered with 200. It returns nil after ctx has ended and every
// post has come back. Run it once.
func (s *Sandbox) Run(ctx context.Context) error {
	s.log.Warn("sandbox: this is NOT WhatsApp; messages go nowhere", "seed", s.cfg.Seed)
	var posts sync.WaitGroup
	defer func() {
		posts.Wait()
		s.end()
		s.client.CloseIdleConnections()
	}()
	slots := make(chan struct{}, s.profile.Posters)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		b, wait := s.due(time.Now())
		if b != nil {
			posts.Go(func() {
				defer func() { <-slots }()
				s.post(ctx, b)
			})
			continue
		}
		<-slots
		var fire <-chan time.Time
		var t *time.Timer
		if wait >= 0 {
			t = time.NewTimer(wait)
			fire = t.C
		}
		select {
		case <-fire:
		case <-s.wake:
		case <-ctx.Done():
		}
		if t != nil {
			t.Stop()
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// batch is one POST.
type batch struct {
	url    string
	body   []byte
	events []event
}

// due takes the events of the next POST. Without any it returns how long there
// will be none; -1: until something is queued.
func (s *Sandbox) due(now time.Time) (*batch, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold || !s.reachable() {
		return nil, -1
	}
	b := &batch{}
	for s.queue.Len() > 0 && s.queue.events[0].due <= now.UnixMilli() && len(b.events) < s.profile.Batch {
		if s.queue.events[0].hook != nil && len(b.events) > 0 {
			break
		}
		if to := s.addressOf(&s.queue.events[0]); len(b.events) > 0 && to != b.url {
			break
		}
		e := s.queue.take()
		if !s.wanted(&e) {
			s.forget([]event{e})
			continue
		}
		b.url = s.addressOf(&e)
		b.events = append(b.events, e)
		if e.hook != nil {
			b.body = e.hook.body
			break
		}
	}
	if len(b.events) == 0 {
		if s.queue.Len() == 0 {
			return nil, -1
		}
		return nil, time.Duration(s.queue.events[0].due-now.UnixMilli()) * time.Millisecond
	}
	if b.body == nil {
		body, err := asciiJSON(s.statuses(b.events))
		if err != nil { // plain structs of strings: it cannot happen
			s.log.Error("sandbox: statuses cannot be written as JSON", "err", err)
			return nil, 0
		}
		b.body = body
	}
	s.inFlight += len(b.events)
	return b, 0
}

// wanted reports whether an event is still to be posted: its account must be
// subscribed. A held message whose template is no longer approved turns into a
// failure at this moment.
func (s *Sandbox) wanted(e *event) bool {
	if e.hook != nil {
		for _, f := range fieldsOf(e.hook.body) {
			if !s.app.posts(f) {
				return false
			}
		}
		a := s.accounts[e.hook.waba]
		return s.addressOf(e) != "" && (a == nil || a.subscribed)
	}
	if !s.app.posts("messages") || s.addressOf(e) == "" {
		return false
	}
	r := s.ledger.get(int(e.rec))
	if r.flags&flagHeld != 0 && r.code == 0 && r.state == stateAccepted {
		if e.slot == slotSent && e.tries == 0 {
			k := s.ledger.kinds[r.kind]
			ref := (&Template{WABA: s.byIndex[r.number].account.ID, Name: k.template, Language: k.language}).ref()
			if t := s.templates[ref]; t == nil || t.Status != "APPROVED" {
				r.flags |= flagDropped
			}
		}
	}
	if r.flags&flagDropped != 0 {
		if e.slot != slotSent {
			return e.slot == slotFailed // the retry of the failure below
		}
		e.slot, e.priced = slotFailed, false
	}
	return s.byIndex[r.number].account.subscribed
}

// post delivers a batch and settles its events, or queues them again.
func (s *Sandbox) post(ctx context.Context, b *batch) {
	err := s.deliver(ctx, b.url, b.body)
	now := time.Now()
	s.mu.Lock()
	s.inFlight -= len(b.events)
	if err == nil {
		s.settled(b.events)
		s.mu.Unlock()
		return
	}
	for _, e := range b.events {
		if now.Sub(time.Unix(e.at, 0)) > giveUp {
			s.log.Warn("sandbox: webhook given up after seven days")
			s.forget([]event{e})
			continue
		}
		if ctx.Err() == nil {
			e.due = now.Add(backoff(s.profile, int(e.tries))).UnixMilli()
			e.tries = min(e.tries+1, 60)
		}
		s.queue.add(e)
	}
	s.mu.Unlock()
	s.log.Info("sandbox: webhook not accepted, it will be posted again", "err", err)
	s.kick()
}

func backoff(p Profile, tries int) time.Duration {
	d := p.RetryMin << min(tries, 20)
	if d > p.RetryMax || d <= 0 {
		return p.RetryMax
	}
	return d
}

func (s *Sandbox) deliver(ctx context.Context, to string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.profile.PostTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	req.Header.Set("X-Hub-Signature-256", sign(s.cfg.AppSecret, body))
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("webhook answered with status %d; Meta wants 200", resp.StatusCode)
	}
	return nil
}

// sign returns the value of X-Hub-Signature-256.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// settled notes events that were answered with 200. The caller holds the lock.
func (s *Sandbox) settled(events []event) {
	for _, e := range events {
		if e.rec >= 0 {
			s.ledger.get(int(e.rec)).reach(e.slot % slotAgain)
		}
	}
	s.forget(events)
}

// forget notes in the journal that events are not owed any more.
func (s *Sandbox) forget(events []event) {
	if s.journal == nil {
		return
	}
	if err := s.journal.ack(events); err != nil {
		s.log.Error("sandbox: the journal cannot be written; webhooks will come again after a restart", "err", err)
	}
}

// reach moves the state of a message forward, never back.
func (r *record) reach(slot uint8) {
	to := [...]state{stateSent, stateDelivered, stateRead, stateFailed}[slot]
	if to > r.state && !(to == stateFailed && r.state >= stateDelivered) {
		r.state = to
	}
}

// VerifyWebhook does the handshake that Meta does when a webhook is configured:
// a GET with a challenge that must come back as the whole body.
func (s *Sandbox) VerifyWebhook(ctx context.Context) error {
	s.mu.Lock()
	to := s.url
	s.mu.Unlock()
	if to == "" {
		return errors.New("sandbox: no webhook URL is set")
	}
	return s.challenge(ctx, to, s.cfg.VerifyToken)
}

// challenge does the handshake with an address.
func (s *Sandbox) challenge(ctx context.Context, to, verifyToken string) error {
	challenge := decimal(s.cfg.Seed, 10, "challenge", strconv.FormatUint(s.traces.Add(1), 10))
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {verifyToken}}
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	ctx, cancel := context.WithTimeout(ctx, s.profile.PostTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to+sep+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("sandbox: webhook handshake: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != challenge {
		return fmt.Errorf("sandbox: webhook handshake: status %d and not the challenge as the body; is the verify token the same on both sides?", resp.StatusCode)
	}
	return nil
}

// SetWebhook changes where webhooks are posted. Messages accepted while there
// is no URL get no statuses, so an embedding program sets it before the first.
func (s *Sandbox) SetWebhook(to string) error {
	if err := checkURL(to); err != nil {
		return err
	}
	s.mu.Lock()
	s.url, s.app.registered = to, to != ""
	s.mu.Unlock()
	s.kick()
	return nil
}

// reachable reports whether there is any address for callbacks. The caller holds
// the lock.
func (s *Sandbox) reachable() bool {
	for _, a := range s.accounts {
		if a.override != "" {
			return true
		}
	}
	return s.url != ""
}

// addressOf is where an event is posted. News of templates and of the account
// never follow an account's own address (Meta: Webhook overrides). The caller
// holds the lock.
func (s *Sandbox) addressOf(e *event) string {
	var a *account
	if e.hook == nil {
		a = s.byIndex[s.ledger.get(int(e.rec)).number].account
	} else if slices.Equal(fieldsOf(e.hook.body), []string{"messages"}) {
		a = s.accounts[e.hook.waba]
	}
	if a != nil && a.override != "" {
		return a.override
	}
	return s.url
}

// HoldWebhooks keeps due webhooks back, or lets them go again.
func (s *Sandbox) HoldWebhooks(hold bool) {
	s.mu.Lock()
	s.hold = hold
	s.mu.Unlock()
	s.kick()
}

// PostRaw posts a body as it is, signed, and until it is accepted.
func (s *Sandbox) PostRaw(body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reachable() {
		return errors.New("sandbox: no webhook URL is set")
	}
	err := s.addHook("", bytes.Clone(body), time.Now())
	s.kick()
	return err
}

// Pending returns how many webhooks are not acknowledged yet, due or not.
func (s *Sandbox) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len() + s.inFlight
}
