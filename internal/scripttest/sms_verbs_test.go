package scripttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	smsAddr   = "127.0.0.1:9001"
	smsSecret = "whsec_c2NyaXB0LWZhbGxiYWNrLXNlY3JldC0wNWM3"
)

// textMessage is a code as the business's own system got it.
type textMessage struct {
	id, to, code string
	requests     int
}

// smsSystem is the business's own system that sends text messages. It verifies
// signatures by the text of Standard Webhooks, and knows repeats by webhook-id.
// It outlives janela.
type smsSystem struct {
	host    *host
	server  *http.Server
	running sync.WaitGroup

	mu       sync.Mutex
	answers  string // a status, or hangs
	messages []*textMessage
	faults   []error // requests that no receiver should accept
}

// up starts it with janela's first life.
func (s *smsSystem) up(w *world) error {
	if s.host != nil {
		return nil
	}
	s.host, s.answers = w.net.host(), "200"
	lis, err := s.host.listen("tcp", smsAddr)
	if err != nil {
		return err
	}
	s.server = &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	s.running.Go(func() { _ = s.server.Serve(lis) })
	return nil
}

func (s *smsSystem) down() error {
	if s.host == nil {
		return nil
	}
	err := s.server.Close()
	s.host.kill()
	s.running.Wait()
	return err
}

func (s *smsSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if err := s.take(r.Header, body); err != nil {
		s.mu.Lock()
		s.faults = append(s.faults, err)
		s.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	answers := s.answers
	s.mu.Unlock()
	if answers == "hangs" {
		<-r.Context().Done()
		return
	}
	if n, err := strconv.Atoi(answers); err == nil {
		w.WriteHeader(n)
	}
}

func (s *smsSystem) take(h http.Header, body []byte) error {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age > 5*time.Minute || age < -5*time.Minute {
		return fmt.Errorf("the request's time is %q", at)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(smsSecret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(body)))
	if h.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		return errors.New("the signature is wrong")
	}
	var m struct{ To, Code, Channel string }
	if err := json.Unmarshal(body, &m); err != nil || m.To == "" || m.Code == "" || m.Channel != "sms" {
		return fmt.Errorf("the body is incomplete: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.messages {
		if have.id == id {
			have.requests++
			if have.to != m.To || have.code != m.Code || have.requests > 2 {
				return fmt.Errorf("request %d with the id of another", have.requests)
			}
			return nil
		}
	}
	s.messages = append(s.messages, &textMessage{id: id, to: m.To, code: m.Code, requests: 1})
	return nil
}

// to are the text messages that a phone received, the latest first, and how many
// requests they came in.
func (s *smsSystem) to(number string) (codes []string, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.messages) - 1; i >= 0; i-- {
		if m := s.messages[i]; m.to == number {
			codes = append(codes, m.code)
			requests += m.requests
		}
	}
	return codes, requests
}

// smsVerb changes what the system answers: sms STATUS, sms hangs; and whether it
// is reached at all: sms away, sms back.
func smsVerb(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	switch how := l.words[0]; how {
	case "away":
		w.net.refuse(smsAddr, true)
	case "back":
		w.net.refuse(smsAddr, false)
	default:
		if _, err := strconv.Atoi(how); err != nil && how != "hangs" {
			return fmt.Errorf("the SMS system cannot do %q", how)
		}
		w.sms.mu.Lock()
		w.sms.answers = how
		w.sms.mu.Unlock()
	}
	return nil
}

// expectSMS says how many text messages came to a phone: expect-sms WHO N
// [requests=N].
func expectSMS(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "requests"); err != nil {
		return err
	}
	if len(words) != 2 {
		return errors.New("write expect-sms WHO N")
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	w.settle()
	codes, requests := w.sms.to(string(p))
	if strconv.Itoa(len(codes)) != words[1] {
		return fmt.Errorf("%d text messages came to the phone, expected %s", len(codes), words[1])
	}
	if want, ok := opt["requests"]; ok && strconv.Itoa(requests) != want {
		return fmt.Errorf("they came in %d requests, expected %s", requests, want)
	}
	return nil
}

// forged posts a callback that says that the latest code to somebody found no
// WhatsApp there, signed with another secret: forged WHO.
func forged(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	w.settle()
	i := -1
	sends := w.meta.box.Sends()
	for j, s := range sends {
		if s.To == string(p) || "+"+s.To == string(p) {
			i = j
		}
	}
	if i < 0 {
		return errors.New("nothing was sent there")
	}
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"%s","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",
		"metadata":{"display_phone_number":"12025550190","phone_number_id":"%s"},"statuses":[{"id":"%s","status":"failed","timestamp":"%d","recipient_id":"%s",
		"errors":[{"code":131026,"title":"Message undeliverable"}]}]}}]}]}`, waba, number, sends[i].Wamid, time.Now().Unix(), strings.TrimPrefix(string(p), "+"))
	mac := hmac.New(sha256.New, []byte("another secret"))
	mac.Write([]byte(body))
	caller := w.net.host()
	defer caller.kill()
	ctx, cancel := within(time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+listenAddr+"/webhooks/whatsapp", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: caller.dial, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return fmt.Errorf("the forged callback is answered %d", resp.StatusCode)
	}
	return nil
}

// smsIsSound: every request was one that a receiver accepts.
func (w *world) smsIsSound() error {
	w.sms.mu.Lock()
	defer w.sms.mu.Unlock()
	return errors.Join(w.sms.faults...)
}
