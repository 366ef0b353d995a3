package scripttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"janela/internal/sandbox"
	"janela/internal/whatsapp"
	"janela/optin"
)

// templates are those of the sandbox, and three plain ones with one value each.
func templates(waba string) []sandbox.Template {
	return append(sandbox.DefaultTemplates(waba),
		sandbox.Template{WABA: waba, Name: "promo", Language: "pt_BR", Category: "MARKETING", Status: "APPROVED", Components: plainBody("Oi, {{1}}! Hoje tudo com desconto.")},
		sandbox.Template{WABA: waba, Name: "aviso", Language: "pt_BR", Category: "UTILITY", Status: "APPROVED", Components: plainBody("Oi, {{1}}. Seu pedido saiu para entrega.")},
		sandbox.Template{WABA: waba, Name: "lembrete", Language: "pt_BR", Category: "UTILITY", Status: "APPROVED", TTLSeconds: 3600, Components: plainBody("Oi, {{1}}. Sua consulta é hoje.")})
}

func plainBody(text string) json.RawMessage {
	b, err := json.Marshal([]map[string]any{{"type": "BODY", "text": text, "example": map[string]any{"body_text": [][]string{{"Ana", "20%"}}}}})
	if err != nil {
		panic(err) // constant strings
	}
	return b
}

// metaVerb changes how Meta behaves. Before the first start: duplicate=0.5
// reorder=0.5 never-delivered=1 conversation=true rate=5 latency=400ms seed=2.
// At any time: meta away, meta back, meta token TEXT.
func metaVerb(w *world, l line) error {
	opt, words := options(l.words)
	switch strings.Join(words, " ") {
	case "away":
		w.net.refuse(graphAddr, true)
		return nil
	case "back":
		w.net.refuse(graphAddr, false)
		return nil
	}
	if len(words) == 2 && words[0] == "token" {
		w.secrets = append(w.secrets, words[1])
		return w.meta.do(func(s *sandbox.Sandbox) error { return s.SetToken(words[1]) })
	}
	if len(words) == 2 && words[0] == "marketing" {
		return metaMarketing(w, words[1])
	}
	if len(words) > 0 {
		return fmt.Errorf("meta cannot do %q", words)
	}
	if w.meta.box != nil {
		return errors.New("how Meta behaves is said before the first start")
	}
	for k, v := range opt {
		if err := w.meta.set(k, v); err != nil {
			return fmt.Errorf("%s=%s: %w", k, v, err)
		}
	}
	return nil
}

func (m *meta) set(key, value string) (err error) {
	p := &m.cfg.Profile
	chances := map[string]*float64{"duplicate": &p.DuplicateWebhook, "reorder": &p.ReorderWebhook, "never-delivered": &p.NeverDelivered,
		"omit-delivered": &p.OmitDelivered, "read": &p.ReadChance, "bsuid": &p.BSUIDChance, "undeliverable": &p.Undeliverable, "held": &p.HeldChance}
	if c := chances[key]; c != nil {
		*c, err = strconv.ParseFloat(value, 64)
		return err
	}
	switch key {
	case "conversation":
		p.WithConversation, err = strconv.ParseBool(value)
	case "rate":
		m.cfg.RatePerSecond, err = strconv.Atoi(value)
	case "pairs":
		m.cfg.PairRate, err = strconv.ParseBool(value)
	case "tier":
		m.tier, m.cfg.MessagingLimit = value, true
	case "posters":
		p.Posters, err = strconv.Atoi(value)
	case "batch":
		p.Batch, err = strconv.Atoi(value)
	case "seed":
		m.cfg.Seed, err = strconv.ParseInt(value, 10, 64)
	case "marketing-sync":
		p.MarketingSync, err = time.ParseDuration(value)
	case "latency":
		p.AnswerLatency, err = span(value)
	case "status-delay":
		p.StatusDelay, err = span(value)
	case "read-delay":
		p.ReadDelay, err = span(value)
	default:
		err = errors.New("this is not known")
	}
	return err
}

// span reads 400ms, or 1s..3s.
func span(text string) (s sandbox.Span, err error) {
	least, most, several := strings.Cut(text, "..")
	if s.Min, err = time.ParseDuration(least); err != nil {
		return s, err
	}
	s.Max = s.Min
	if several {
		s.Max, err = time.ParseDuration(most)
	}
	return s, err
}

// template changes a template at Meta: template promo/pt_BR PAUSED, template
// promo/pt_BR category=UTILITY, template promo/pt_BR PENDING silent, template
// promo/pt_BR body="Oi, {{1}} e {{2}}!" (a new body, without a callback).
func template(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "category", "body"); err != nil {
		return err
	}
	if err := need(l, 2); err != nil {
		return err
	}
	name, language, ok := strings.Cut(words[0], "/")
	if !ok {
		return errors.New("a template is written name/language")
	}
	if text := opt["body"]; text != "" {
		category := "MARKETING"
		if opt["category"] != "" {
			category = opt["category"]
		}
		t := sandbox.Template{WABA: waba, Name: name, Language: language, Category: category, Status: "APPROVED", Components: plainBody(text)}
		return w.meta.do(func(s *sandbox.Sandbox) error { return s.AddTemplate(t) })
	}
	c := sandbox.TemplateChange{WABA: waba, Name: name, Language: language, Category: opt["category"]}
	for _, word := range words[1:] {
		if word == "silent" {
			c.Silent = true
		} else {
			c.Status = word
		}
	}
	err := w.meta.do(func(s *sandbox.Sandbox) error { return s.SetTemplate(c) })
	if w.house != nil {
		w.settle()
	}
	return err
}

// fault makes Meta misbehave: fault reset_after [count=3] [code=130429] [to=ana]
// [template=promo] [delay=2s] [kind=read] [process=true]; fault none.
func fault(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "count", "code", "status", "to", "template", "number", "delay", "kind", "process"); err != nil {
		return err
	}
	if len(words) != 1 {
		return errors.New("write fault KIND")
	}
	if words[0] == "none" {
		return w.meta.do(func(s *sandbox.Sandbox) error { s.RemoveFault(0); return nil })
	}
	f := sandbox.Fault{Kind: sandbox.FaultKind(words[0]), Match: sandbox.Match{Template: opt["template"], Number: opt["number"], Kind: opt["kind"]},
		Process: opt["process"] == "true"}
	if who, ok := opt["to"]; ok {
		p, err := phoneOf(who)
		if err != nil {
			return err
		}
		f.Match.Recipient = p.Digits()
	}
	for key, into := range map[string]*int{"count": &f.Count, "code": &f.Code, "status": &f.HTTPStatus} {
		if text, ok := opt[key]; ok {
			n, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			*into = n
		}
	}
	if text, ok := opt["delay"]; ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		f.Delay = d
	}
	return w.meta.do(func(s *sandbox.Sandbox) error {
		_, err := s.AddFault(f)
		return err
	})
}

// webhooks keeps Meta's callbacks back, and lets them go.
func webhooks(w *world, l line) error {
	if len(l.words) != 1 || l.words[0] != "hold" && l.words[0] != "release" {
		return errors.New("write webhooks hold or webhooks release")
	}
	err := w.meta.do(func(s *sandbox.Sandbox) error { s.HoldWebhooks(l.words[0] == "hold"); return nil })
	if w.house != nil {
		w.settle()
	}
	return err
}

// inbound lets a person write: inbound ana "Olá" [number=ID] [type=image]
// [button=PAYLOAD] [answers=last] [ad=true] [by=userid].
func inbound(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "number", "type", "button", "answers", "ad", "by"); err != nil {
		return err
	}
	if len(words) != 2 {
		return errors.New("write inbound WHO TEXT")
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	in := sandbox.Inbound{From: string(p), NumberID: opt["number"], Type: opt["type"], Text: words[1], ButtonPayload: opt["button"], Referral: opt["ad"] == "true",
		BSUIDOnly: opt["by"] == "userid"}
	if opt["answers"] == "last" {
		list := w.meta.box.Phone(string(p), 1)
		if len(list) == 0 {
			return errors.New("there is no message to answer")
		}
		in.ReplyTo = list[0].Wamid
	}
	payload, _, _ := strings.Cut(in.ButtonPayload, ":")
	for _, text := range []string{in.Text, payload} {
		if word, ok := optin.Stop(text); ok {
			for _, c := range word.Categories() {
				w.wishes(p, c, false)
			}
		}
	}
	err = w.meta.do(func(s *sandbox.Sandbox) error {
		_, err := s.Inbound(in)
		return err
	})
	w.settle()
	return err
}

// preference is a person's choice in WhatsApp's own settings: preference ana stop.
func preference(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	p, err := phoneOf(l.words[0])
	if err != nil {
		return err
	}
	if l.words[1] == "stop" {
		w.wishes(p, whatsapp.Marketing, false)
	} else { // what held before the stop holds again
		w.wishes(p, whatsapp.Marketing, w.hadAgreed(p, whatsapp.Marketing))
	}
	err = w.meta.do(func(s *sandbox.Sandbox) error {
		return s.Preference(sandbox.Preference{From: string(p), Value: l.words[1]})
	})
	w.settle()
	return err
}

// foreign lets another program of the business send from our number: foreign
// ana "Olá", foreign ana template=promo.
func foreign(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "template", "number"); err != nil {
		return err
	}
	p, err := phoneOf(words[0])
	if err != nil {
		return err
	}
	msg := map[string]any{"messaging_product": "whatsapp", "to": string(p), "biz_opaque_callback_data": "chatbot:42"}
	if name := opt["template"]; name != "" {
		msg["type"] = "template"
		msg["template"] = map[string]any{"name": name, "language": map[string]any{"code": "pt_BR"},
			"components": []any{map[string]any{"type": "body", "parameters": []any{map[string]any{"type": "text", "text": "Ana"}}}}}
	} else if len(words) == 2 {
		msg["type"], msg["text"] = "text", map[string]any{"body": words[1]}
	} else {
		return errors.New("write foreign WHO TEXT, or foreign WHO template=NAME")
	}
	body, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	from := opt["number"]
	if from == "" {
		from = number
	}
	other := w.net.host()
	defer other.kill()
	ctx, cancel := within(time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+graphAddr+"/v25.0/"+from+"/messages", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DialContext: other.dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("Meta refused it: %s", answer)
	}
	w.settle()
	return nil
}
