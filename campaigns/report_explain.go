package campaigns

import (
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
)

// explained is what a state or reason means, and what to do about it.
type explained struct{ text, do string }

const (
	doMendRow  = "mend the row and send it with the next audience"
	doConsent  = "if you have the person's consent, record it (janela optin import FILE.csv) and send to them again"
	doNoBlind  = "nothing; a callback of Meta's may still settle it"
	doTemplate = "see the template in WhatsApp Manager"
)

// explainedStates are read where the reason says nothing more.
var explainedStates = map[string]explained{
	string(outbox.Queued):          {"it waits for its turn", "janela why MESSAGE says what it waits for"},
	string(outbox.Sending):         {"it is on its way to Meta", ""},
	string(outbox.Accepted):        {"Meta took it; no status has come yet", ""},
	string(outbox.AcceptedHeld):    {"Meta took it and holds it back to assess the template's quality", ""},
	string(outbox.Sent):            {"it left Meta; the person's telephone has not confirmed it", ""},
	string(outbox.Delivered):       {"it reached the person's telephone", ""},
	string(outbox.Read):            {"the person read it", ""},
	string(outbox.Unknown):         {"nobody knows whether Meta took it; it is not sent again", doNoBlind},
	string(outbox.Failed):          {"it could not be sent", ""},
	string(outbox.PresumedExpired): {"Meta took it and its time to live ended without a status", ""},
	string(outbox.Refused):         {"a rule said no", ""},
	string(outbox.Cancelled):       {"it was cancelled before it left", ""},
	string(outbox.Expired):         {"its deadline passed before it could leave", "look at the windows, the holds and the speed of the campaign"},
	Rejected:                       {"the row could not be used", doMendRow},
}

// explainedReasons are the reasons of messages that end without Meta, and of
// rows that become none.
var explainedReasons = map[string]explained{
	string(gate.NoOptIn):            {"nobody has recorded this person's consent", doConsent},
	string(gate.OptedOut):           {"the person does not want these messages any more", "nothing; only they can change it"},
	string(gate.WindowClosed):       {"the person's service window is closed, so no free text may go", "send a template instead"},
	string(gate.TemplateSkipped):    {"the template was not approved, and on_not_approved says not to wait", doTemplate},
	string(gate.Deadline):           {"its deadline passed before it could leave", "look at the windows, the holds and the speed of the campaign"},
	string(gate.DryRun):             {"it would have been sent: dry_run = true", ""},
	string(gate.AuthenticationOnly): {"codes go to telephone numbers only, and this person has none here", ""},
	string(gate.Held):               {"something stops it", "janela holds lists what, since when and by whom"},
	string(gate.OutsideWindow):      {"it waits for its sending window", ""},
	string(gate.DayLimit):           {"the campaign has sent today what it may in a day", "nothing; or raise throttle.per_day for the next run"},
	string(gate.UnderReview):        {"what the person wrote may be an opt-out", "janela optin review lists it; decide stop or keep"},
	string(gate.NotReachable):       {"on several days nothing could be delivered to the person", "nothing, until they write; janela undeliverable clear lets it be tried again"},
	string(gate.CountryBarred):      {"Meta does not let the account's messages to this country", "take the country's numbers out of the audience"},
	string(gate.MarketingCapped):    {"Meta chose not to deliver marketing to the person", "nothing; it waits for a day, if it may still leave then"},
	string(gate.TemplateUnknown):    {"Meta lists no such template", doTemplate},
	string(gate.CategoryDrift):      {"Meta has moved the template to another category", "write the category that Meta has, if that is what people consented to"},
	string(gate.TemplateChanged):    {"the template was changed since the run began", "look at the plan and approve it anew"},
	string(gate.NotDue):             {"it waits for its next attempt", ""},
	string(gate.MediaExpired):       {"a file that it shows is not at Meta any more", "nothing; the file is uploaded again. If that fails, an alert says why"},
	string(gate.NumberUnknown):      {"the sending number is not in config.toml", "add it, or mend from"},
	reasonCampaignCancelled:         {"the campaign was cancelled before it left", ""},
	outbox.ReasonRestart:            {"the program ended while the request was under way; nobody knows whether Meta took it", doNoBlind},
	outbox.ReasonNoAnswer:           {"Meta gave no readable answer; nobody knows whether it took it", doNoBlind},
	outbox.ReasonAgain:              {"nobody knew what became of it, so it goes out a second time; the person may get it twice", ""},
	outbox.ReasonResolvedSent:       {"Meta never answered; somebody says that it was sent", ""},
	outbox.ReasonResolvedNotSent:    {"Meta never answered; somebody says that it was not sent", "send it with a next run, if it is still wanted"},
	"account_unknown":               {"the account is not in config.toml", "add it"},
	"file_unavailable":              {"a file that it shows was not at Meta", "look at the alerts, and send to the person again"},
	"code_unavailable":              {"the one-time code was not there any more", ""},

	string(RowMissingPhone):     {"the cell of the number is empty", doMendRow},
	string(RowInvalidPhone):     {"it is not one number, or no such number exists", doMendRow},
	string(RowAmbiguousPhone):   {"it can be read as two numbers", "write the number with its plus"},
	string(RowScientificNumber): {"a spreadsheet shortened the number and its last digits are lost", "format the column as text and export it again"},
	string(RowMissingParameter): {"a cell is empty and there is no default", "fill the cell, or give the value a default"},
	string(RowInvalidParameter): {"a cell has something WhatsApp does not take", `mend the cell, or add "spaces" to its transforms`},
	string(RowParameterTooLong): {"a value is too long", "shorten the cell"},
	string(RowMissingOncePer):   {"a cell of once_per is empty", doMendRow},
	string(RowInvalidExpiry):    {"the row's deadline is no date or time", "write 2026-11-27 or 2026-11-27T18:00"},
	string(RowRagged):           {"the row has another number of cells than the header", "put quotes around a cell that holds the separator"},
	string(RowMalformed):        {"a quote stands in the wrong place", "put quotes around the whole cell, and double those inside"},
	string(RowOfferEnded):       {"the limited-time offer was over before the row's turn", "send it earlier, or let the offer end later"},
	string(RowDuplicate):        {"the person has a message in this run", ""},
	string(RowAlreadySent):      {"the person got this notice before", ""},
}

// Explain says in plain words what a state, reason and error code of Meta's
// mean, and what to do; do is "" where nothing is to be done.
func Explain(state, reason string, code int) (text, do string) {
	if reason == outbox.ReasonResolvedSent || reason == outbox.ReasonResolvedNotSent {
		code = 0 // who resolved it knew it
	}
	if code != 0 && (state == string(outbox.Failed) || state == string(outbox.Unknown)) {
		c := whatsapp.LookupCode(code, 0)
		return c.Meaning, c.Do
	}
	if e, ok := explainedReasons[reason]; ok {
		return e.text, e.do
	}
	e := explainedStates[state]
	return e.text, e.do
}
