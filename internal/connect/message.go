package connect

import (
	"context"
	"errors"
	"strings"
	"time"

	"janela/internal/gate"
	"janela/internal/httpapi"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// usualTemplate is what Meta gives every new account to try with.
const usualTemplate = "hello_world/en_US"

// consent is what is recorded for the phone that somebody tries with.
const consent = "asked for a test message on this telephone, with janela connect"

// addPhone is what to do about 131030.
const addPhone = "the number is Meta's test number, which sends to five telephones alone: App Dashboard, WhatsApp, API Setup, To, Manage phone number list: add the telephone and enter the code that it gets; then janela connect --test-to again"

// test sends one message and waits until Meta has told of it: that proves the
// way there and back.
func (h *house) test(ctx context.Context) error {
	if h.TestTo == "" && h.Ask != nil {
		answer, err := h.Ask("A telephone of yours for a test message, +55… (empty: none)", "")
		if err != nil {
			return err
		}
		h.TestTo = answer
	}
	if h.TestTo == "" {
		return h.left("janela connect --test-to +55…", "no telephone for a test message was named")
	}
	template := h.Template
	if template == "" {
		template = usualTemplate
	}
	name, language, ok := strings.Cut(template, "/")
	if !ok {
		return h.fail("write it as hello_world/en_US", "%q is no template with a language", template)
	}
	req := httpapi.TrialRequest{Number: h.numberName(), To: h.TestTo, Template: name, Language: language}
	out, err := h.client.Trial(ctx, req)
	if problem(err) == string(gate.NoOptIn) {
		if err = h.consent(ctx, name, language); err == nil {
			out, err = h.client.Trial(ctx, req)
		}
	}
	if err != nil {
		fix := "janela why PHONE says which rule"
		var p *httpapi.Problem
		if errors.As(err, &p) && p.Hint != "" {
			fix = p.Hint
		}
		if problem(err) == string(gate.TemplateUnknown) && h.Template == "" {
			fix = "choose one without variables: janela connect --test-to … --test-template NAME/LANGUAGE; janela templates list shows those that there are"
		}
		return h.fail(fix, "the test message was not sent: %s", oneLine(err))
	}
	return h.follow(ctx, out.Message, template)
}

// numberName is what config.toml calls the first of the numbers.
func (h *house) numberName() string {
	for _, a := range h.cfg.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			if n.ID == h.found[0].numbers[0].ID {
				return n.Name
			}
		}
	}
	return ""
}

// consent records what the owner of the telephone has just asked for.
func (h *house) consent(ctx context.Context, name, language string) error {
	all, err := h.client.Templates(ctx, false)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Name == name && t.Language == whatsapp.Language(language) && t.Account == h.found[0].account.ID {
			_, err = h.client.Grant(ctx, httpapi.GrantRequest{Phone: h.TestTo, Category: string(t.Category), Text: consent})
			return err
		}
	}
	return nil
}

// follow waits for what becomes of the message.
func (h *house) follow(ctx context.Context, id int64, template string) error {
	wait := h.Wait
	if wait <= 0 {
		wait = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last httpapi.MessageState
	for {
		if m, err := h.client.Message(ctx, id); err == nil {
			last = m
		}
		switch last.State {
		case outbox.Sent, outbox.Delivered, outbox.Read:
			h.changed++
			h.step(Changed, "", "%s is %s: Meta took it, and its callback reached us", template, last.State)
			return nil
		case outbox.Failed, outbox.Refused, outbox.Cancelled, outbox.Expired:
			fix := last.Do
			if last.Code == 131030 {
				fix = addPhone
			}
			if fix == "" {
				fix = "janela why PHONE says more"
			}
			return h.fail(fix, "the test message has %s: %s", last.State, last.Text)
		}
		select {
		case <-ctx.Done():
			if last.State == outbox.Accepted || last.State == outbox.AcceptedHeld {
				return h.fail("Meta's callbacks do not arrive: janela doctor tries the address; App Dashboard, WhatsApp, Configuration shows what Meta has", "Meta took the test message, and within %s no callback came", wait)
			}
			return h.fail("janela why PHONE says what it waits for", "the test message is %s after %s: %s", last.State, wait, last.Text)
		case <-tick.C:
		}
	}
}

// problem is the code of an operation's refusal.
func problem(err error) string {
	var p *httpapi.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// oneLine is a refusal without its hint, which is told as the way out.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}
