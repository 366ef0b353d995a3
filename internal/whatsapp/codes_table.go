package whatsapp

import (
	"sort"
	"time"
)

// Texts that several codes share.
const (
	doToken     = "check the token and its permissions (whatsapp_business_messaging, whatsapp_business_management)"
	doWait      = "nothing; it is tried again"
	doTemplate  = "compare the campaign's parameters with the template in WhatsApp Manager"
	doSupport   = "open Meta's Account Quality page, and Meta's support if it says nothing"
	doNothing   = "nothing"
	doMarketing = "look at the template's category in WhatsApp Manager; take product_policy out of a campaign that is not marketing"
	doNeverCall = "this program does not make this call; look for another one that uses the same account"
)

// codeTable is sorted by code. Source: Meta's page of error codes as of
// December 2025, the page on business-scoped user ids, and for 131062 to
// 131064, 132008 and 137000 the published clients that handle them.
var codeTable = func() []Code {
	table := []Code{
		{Code: 0, Class: ClassHaltAuth, Meaning: "the token has expired or was invalidated", Do: "make a new system-user token and replace the old one"},
		{Code: 1, Class: ClassUnknown, Accepted: AcceptedMaybe, Meaning: "unknown error, perhaps Meta's", Do: "look at Meta's status page; the message may have been sent and is not sent again"},
		{Code: 2, Class: ClassRetry, Meaning: "Meta's service is down or overloaded", Do: doWait},
		{Code: 3, Class: ClassHaltAuth, Meaning: "the app lacks a capability or permission", Do: doToken},
		{Code: 4, Class: ClassThrottleApp, Meaning: "the app has made too many calls", Do: "find what else calls with this app; it is tried again"},
		{Code: 10, Class: ClassHaltAuth, Meaning: "permission missing or removed, or not eligible for this call", Do: doToken},
		{Code: 33, Class: ClassHaltNumber, Meaning: "the phone number id is wrong or was deleted", Do: "correct phone_number_id in config.toml"},
		{Code: 100, Class: ClassStopCampaign, Meaning: "a parameter is invalid or not supported", Do: "read the details; correct the campaign or the configuration"},
		{Code: 190, Class: ClassHaltAuth, Meaning: "the access token has expired", Do: "make a new system-user token and replace the old one"},
		{Code: 200, Last: 299, Class: ClassHaltAuth, Meaning: "a permission is missing", Do: doToken},
		{Code: 368, Class: ClassHaltAccount, Meaning: "the account is blocked for a time for violating policy", Do: doSupport},
		{Code: 470, Class: ClassWindow, Meaning: "more than 24 hours since the person's last message (older code)", Do: "send a template instead"},
		{Code: 80007, Class: ClassThrottleApp, Meaning: "the business account has made too many calls", Do: "find what else calls for this account; it is tried again"},
		{Code: 130429, Class: ClassThrottleNumber, Meaning: "the number sends faster than its throughput allows", Do: "nothing; it slows down. If it comes often, lower the number's rate in config.toml"},
		{Code: 130472, Class: ClassDrop, Meaning: "the person is in one of Meta's marketing experiments; not sent, not charged", Do: doNothing},
		{Code: 130497, Class: ClassBarCountry, Meaning: "the business may not message people in this country", Do: "take the country's numbers out of the audience"},
		{Code: 131000, Class: ClassUnknown, Accepted: AcceptedMaybe, Meaning: "unknown failure at Meta", Do: "look at Meta's status page; the message may have been sent and is not sent again"},
		{Code: 131005, Class: ClassHaltAuth, Meaning: "access denied", Do: doToken},
		{Code: 131008, Class: ClassStopCampaign, Meaning: "a required parameter is missing", Do: doTemplate},
		{Code: 131009, Class: ClassStopCampaign, Meaning: "a parameter's value is invalid", Do: doTemplate},
		{Code: 131014, Class: ClassMedia, Meaning: "media could not be fetched (older code)", Do: "check the media file and its type"},
		{Code: 131016, Class: ClassRetry, Meaning: "the service is not available for a moment", Do: doWait},
		{Code: 131020, Class: ClassDrop, Meaning: "groups: not available to this account", Do: doNeverCall},
		{Code: 131021, Class: ClassDrop, Meaning: "recipient and sender are the same number", Do: "take the business's own number out of the audience"},
		{Code: 131026, Class: ClassSuppressUser, Meaning: "undeliverable: not on WhatsApp, terms not accepted, or an old app; Meta does not say which", Do: doNothing},
		{Code: 131030, Class: ClassDrop, Meaning: "the number is a test number and the recipient is not on its list", Do: "add the recipient to the test number's list, or send from a real number"},
		{Code: 131031, Class: ClassHaltAccount, Meaning: "the account is locked, or data such as the PIN do not match", Do: doSupport},
		{Code: 131037, Class: ClassHaltNumber, Meaning: "the number's display name is not approved", Do: "have the display name approved in WhatsApp Manager"},
		{Code: 131041, Class: ClassDrop, Meaning: "groups: request refused", Do: doNeverCall},
		{Code: 131042, Class: ClassHaltPayment, Meaning: "payment problem: no method, credit line, currency or time zone", Do: "mend the payment settings of the business account"},
		{Code: 131044, Class: ClassDrop, Meaning: "payment problem with calls", Do: doNeverCall},
		{Code: 131045, Class: ClassHaltNumber, Meaning: "the number is not registered, or its certificate is wrong", Do: "register the number again in WhatsApp Manager"},
		{Code: 131047, Class: ClassWindow, Meaning: "more than 24 hours since the person's last message", Do: "send a template instead"},
		{Code: 131048, Class: ClassPauseNumber, RetryAfter: time.Hour, Meaning: "the number is restricted: too many messages were blocked or reported, or the messaging limit is used up", Do: "look at the number's quality and limit in WhatsApp Manager before resuming"},
		{Code: 131049, Class: ClassDropDefer, RetryAfter: 24 * time.Hour, Meaning: "Meta chose not to deliver: the person's marketing limit, or a number in the United States", Do: "nothing; marketing to the person waits for a day"},
		{Code: 131050, Class: ClassSuppressMarketing, Meaning: "the person stopped marketing from this business in WhatsApp", Do: "nothing; the opt-out was recorded"},
		{Code: 131051, Class: ClassStopCampaign, Meaning: "message type not supported", Do: "correct the message's type"},
		{Code: 131052, Class: ClassDrop, Meaning: "media sent by the person could not be downloaded", Do: doNothing},
		{Code: 131053, Class: ClassMedia, Meaning: "our media could not be fetched or has a wrong type", Do: "check the media file, its type and its link"},
		{Code: 131055, Class: ClassStopCampaign, Meaning: "the Marketing Messages API takes marketing templates only", Do: doMarketing},
		{Code: 131056, Class: ClassPair, Meaning: "too many messages to this recipient in a short time", Do: doWait},
		{Code: 131057, Class: ClassWaitNumber, RetryAfter: 10 * time.Second, Meaning: "the number is in maintenance, for example a throughput upgrade", Do: doWait},
		{Code: 131059, Class: ClassRetry, Meaning: "a list's cursor is no longer valid", Do: "nothing; the list is read again"},
		{Code: 131062, Class: ClassDrop, Meaning: "this kind of message needs a phone number, not a business-scoped user id", Do: "ask the person for a phone number"},
		{Code: 131063, Class: ClassStopCampaign, Meaning: "the account sends marketing by the Marketing Messages API only", Do: "write marketing_endpoint = \"marketing_messages\" in config.toml, restart, and resume the campaign"},
		{Code: 131064, Class: ClassPauseNumber, Meaning: "the account is limited because templates were put into the wrong category", Do: "correct the templates' categories, then resume"},
		{Code: 131200, Last: 131299, Class: ClassDrop, Meaning: "groups: request refused", Do: doNeverCall},
		{Code: 132000, Class: ClassStopCampaign, Meaning: "the number of parameters differs from the template's", Do: doTemplate},
		{Code: 132001, Class: ClassPauseTemplate, Meaning: "the template does not exist in this language, or is not approved", Do: "look at the template in WhatsApp Manager"},
		{Code: 132005, Class: ClassDrop, InARow: 3, Meaning: "the text is too long with its parameters", Do: "shorten the values, or set max_length"},
		{Code: 132007, Class: ClassPauseTemplate, Meaning: "the template's content violates policy", Do: "correct the template and have it approved"},
		{Code: 132008, Class: ClassDrop, InARow: 3, Meaning: "a parameter's value is invalid", Do: doTemplate},
		{Code: 132012, Class: ClassStopCampaign, Meaning: "a parameter has the wrong kind or format", Do: doTemplate},
		{Code: 132015, Class: ClassPauseTemplate, Meaning: "the template is paused for low quality, or messages held by pacing were dropped", Do: "improve the template; it resumes when Meta approves it again"},
		{Code: 132016, Class: ClassPauseTemplate, Meaning: "the template was paused too often and is disabled for good", Do: "make a new template"},
		{Code: 132068, Class: ClassStopCampaign, Meaning: "the flow is blocked", Do: "correct the flow"},
		{Code: 132069, Class: ClassWaitTemplate, RetryAfter: time.Hour, Meaning: "the flow is throttled to 10 an hour", Do: "correct the flow"},
		{Code: 133000, Class: ClassDrop, Meaning: "an earlier removal of the number failed", Do: doNeverCall},
		{Code: 133004, Class: ClassRetry, Meaning: "the server is not available for a moment", Do: doWait},
		{Code: 133005, Class: ClassDrop, Meaning: "wrong PIN for two-step verification", Do: doNeverCall},
		{Code: 133006, Class: ClassDrop, Meaning: "the number must be verified before it is registered", Do: doNeverCall},
		{Code: 133008, Class: ClassDrop, Meaning: "too many wrong PINs", Do: doNeverCall},
		{Code: 133009, Class: ClassDrop, Meaning: "the PIN was entered too fast", Do: doNeverCall},
		{Code: 133010, Class: ClassHaltNumber, Meaning: "the number is not registered on the platform", Do: "register the number"},
		{Code: 133015, Class: ClassDrop, Meaning: "the number was deleted a moment ago", Do: doNeverCall},
		{Code: 133016, Class: ClassDrop, Meaning: "the number was registered and removed too often", Do: doNeverCall},
		{Code: 134011, Class: ClassDrop, Meaning: "the terms of payments were not accepted", Do: doNeverCall},
		{Code: 134100, Class: ClassStopCampaign, Meaning: "the Marketing Messages API takes marketing templates only", Do: doMarketing},
		{Code: 134101, Class: ClassWaitTemplate, RetryAfter: 10 * time.Minute, Meaning: "Meta is still preparing the template for marketing, up to 10 minutes", Do: doWait},
		{Code: 134102, Class: ClassStopCampaign, Meaning: "the template or the account is not available for the Marketing Messages API", Do: "finish the account's onboarding in WhatsApp Manager, or write product_policy = \"cloud_api_fallback\""},
		{Code: 135000, Class: ClassStopCampaign, Meaning: "the request is wrong; Meta does not say where", Do: doTemplate},
		{Code: 137000, Class: ClassDrop, Meaning: "the person's identity changed since we last saw it (new phone or SIM)", Do: "verify the person by another way before sending codes"},
		{Code: 139200, Class: ClassStopCampaign, Meaning: "Direct Send is blocked for the account", Do: doNeverCall},
		{Code: 2388000, Last: 2388999, Class: ClassDrop, Meaning: "managing templates failed", Do: doNeverCall},
		{Code: 2494000, Last: 2494999, Class: ClassDrop, Meaning: "migrating the number failed", Do: doNeverCall},
		{Code: 2593000, Last: 2593999, Class: ClassDrop, Meaning: "synchronising the account failed", Do: doNeverCall},
	}
	for i := range table {
		table[i].Documented = true
	}
	sort.Slice(table, func(i, j int) bool { return table[i].Code < table[j].Code })
	return table
}()
