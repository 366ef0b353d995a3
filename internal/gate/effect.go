package gate

import (
	"time"

	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// Effect is what an error of a class does, and how that ends. The table is what
// React acts by, and what docs/reasons.md shows.
type Effect struct {
	Class whatsapp.Class
	Scope string        // message, recipient, country, pair, number, template, campaign or account: whom it concerns
	Hold  string        // reason of the hold that is placed there; "" for none
	Probe time.Duration // after so long, or Meta's own longer time, a real message may try; 0: nothing tries by itself
	Does  string        // to the message, and beyond it
	Ends  string        // what is done beyond the message: by time, a probe, Meta's callback or a person
}

// Scopes of effects that are no scopes of holds.
const (
	scopeMessage   = "message"
	scopeRecipient = "recipient"
	scopePair      = "pair"
	scopeCountry   = "country"
	scopeNumber    = string(outbox.ScopeNumber)
	scopeTemplate  = string(outbox.ScopeTemplate)
	scopeCampaign  = string(outbox.ScopeCampaign)
	scopeAccount   = string(outbox.ScopeAccount)
)

var effects = []Effect{
	{whatsapp.ClassRetry, scopeMessage, "", 0, "tried again with back-off: after 1 s, 2 s, 4 s … 5 minutes; a code after 10 s at most", "with its deadline"},
	{whatsapp.ClassPair, scopePair, "", 0, "tried again after 6 s, 24 s, 96 s …; nothing else goes from this number to this person meanwhile, everybody else's flows on", "by time"},
	{whatsapp.ClassThrottleNumber, scopeNumber, "", 0, "the number's rate is halved; the message is tried again", "by time: the rate recovers by a tenth every ten seconds"},
	{whatsapp.ClassThrottleApp, scopeAccount, "account_throttled", 10 * time.Minute, "tried again", "a probe after 10 minutes"},
	{whatsapp.ClassWaitNumber, scopeNumber, "number_not_ready", 10 * time.Second, "tried again", "a probe after 10 s, then after 10 s, 20 s, 40 s …"},
	{whatsapp.ClassPauseNumber, scopeNumber, outbox.ReasonRestricted, time.Hour, "tried again; codes and texts flow on, until one of the codes meets the same: then they wait apart (`codes_restricted`)",
		"a probe after an hour, of codes after a minute; or a person: look at the number's quality first"},
	{whatsapp.ClassPauseTemplate, scopeTemplate, "template_paused", 5 * time.Minute, "tried again", "Meta's callback that it is approved, or a probe after 5 minutes"},
	{whatsapp.ClassWaitTemplate, scopeTemplate, "template_syncing", 10 * time.Minute, "tried again", "a probe after 10 minutes, or the time beside the code"},
	{whatsapp.ClassStopCampaign, scopeCampaign, "campaign_error", 0, "tried again when it goes on; a message without a campaign fails", "a person: correct it, then `janela campaigns resume`"},
	{whatsapp.ClassMedia, scopeMessage, "", 0, "the file is uploaded again, and the message tried again, three times in all; then the campaign stops (`campaign_error`)", "a person: mend the file, then `janela campaigns resume`"},
	{whatsapp.ClassDrop, scopeMessage, "", 0, "failed; the others go on", "-"},
	{whatsapp.ClassBarCountry, scopeCountry, "", 0, "failed; marketing and utility to the country are refused (`country_barred`)", "by time: after a day one message tries again"},
	{whatsapp.ClassDropDefer, scopeRecipient, "", 0, "failed; marketing to the person waits (`marketing_capped`)", "by time: after a day"},
	{whatsapp.ClassSuppressMarketing, scopeRecipient, "", 0, "failed; the opt-out is recorded, and marketing refused (`opted_out`)", "the person: they resume it in WhatsApp"},
	{whatsapp.ClassSuppressUser, scopeRecipient, "", 0, "failed; on the third day that it happens, and nothing arrived between, marketing and utility to the person are refused (`undeliverable`); codes and answers go",
		"the person, who writes to us or gets a code; or `janela undeliverable clear`"},
	{whatsapp.ClassWindow, scopeMessage, "", 0, "failed: free-form text outside the service window", "-"},
	{whatsapp.ClassHaltAuth, scopeAccount, BadToken, time.Minute, "tried again; the daemon is not ready meanwhile", "the next read of the account that succeeds, within 15 seconds of a new token; or a probe"},
	{whatsapp.ClassHaltAccount, scopeAccount, "account_blocked", 30 * time.Minute, "tried again", "a probe every 30 minutes, or Meta's callback"},
	{whatsapp.ClassHaltNumber, scopeNumber, "number_unusable", 30 * time.Minute, "tried again", "a probe after 30 minutes"},
	{whatsapp.ClassHaltPayment, scopeAccount, "payment", 30 * time.Minute, "tried again", "a probe after 30 minutes"},
	{whatsapp.ClassUnknown, scopeMessage, "", 0, "nobody knows whether Meta took it: it is [unknown](operations.md#unknown-messages)", "-"},
}

// Effects returns what errors of every class do, for docs/reasons.md.
func Effects() []Effect { return append([]Effect(nil), effects...) }

// effectOf returns what an error of a class does.
func effectOf(c whatsapp.Class) Effect {
	for _, e := range effects {
		if e.Class == c {
			return e
		}
	}
	return Effect{Class: c, Scope: scopeMessage}
}

// target names what of a stream a hold of the effect stops; ok is false where
// there is nothing to stop beyond the message.
func (e *Effect) target(s *outbox.Stream) (target string, ok bool) {
	if e.Hold == "" {
		return "", false
	}
	switch e.Scope {
	case scopeAccount:
		return s.WABA, true
	case scopeNumber:
		return s.Number, true
	case scopeTemplate:
		return s.Ref().Target(), s.Template != ""
	default:
		return s.Campaign, s.Campaign != ""
	}
}
