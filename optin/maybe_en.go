package optin

var enAbout = []string{".", "<det>* <msg> -<other>", "<det>* <this>"}

//nolint:misspell // English, as people write it
var english = &language{
	name: "en",
	sets: map[string]map[string]bool{
		"not": words("dont not never dnt"),
		"why": words("why"),
		"if":  words("if why"),
		"aux": words(`i you u we it to want wanna need wish ever me going gonna like have wanted asking asked ask said saying mean trying that be would
			should want`),
		"want":    words("want wanna wish need like care interested"),
		"more":    words("more anymore again ever"),
		"me":      words("me us to"),
		"receive": words("receive recieve get getting receiving recieving see hear have"),
		"sending": words("sending sendin send"),
		"texting": words(`texting txting messaging msging contacting bothering spamming harassing bugging pestering annoying calling writing pinging bombarding
			hounding`),
		"textimp": words("text txt message msg contact bother spam disturb harass annoy bug pester whatsapp"),
		"cease":   words("stop quit cease stopped halt"),
		"remove":  words("remove take delete drop get pull strike scrub unlist"),
		"unsub":   words("unsubscribe unsub unsubscribing optout"),
		"det": words(`the a an any all of from off this that these those your ur you such kind kinds sort type types more anymore on in with via by for
			through other every another out their being unwanted stupid annoying marketing promotional sales`),
		"this": words("this these anything stuff crap things that those nothing junk"),
		"msg": words(`message messages msg msgs text texts txt txts sms whatsapp whatsapps promo promos promotion promotions offer offers ad ads advert adverts
			advertising advertisement advertisements spam marketing newsletter newsletters notification notifications notices contact solicitation communication communications correspondence
			solicitations updates deals junk`),
		"pure": words("message messages msgs texts txts spam ads promos promotions newsletter newsletters"),
		"other": words(`bill bills invoice invoices delivery deliveries order orders payment payments code codes reminder reminders appointment
			appointments email emails mail voice audio waiting wait guest gift wedding`),
		"list": words("list lists group database mailing broadcast channel distribution newsletter system this here"),
		"self": words("number name contact info information details data phone"),
		"old":  words("old previous former"),
		"code": words("code codes"),
	},
	rules: []rule{
		{name: "no_more_codes", notAfter: "not", heads: []string{"<cease> <sending>/getting/receiving <me>? <det>* <code>", "no more <code>",
			"dont want to? <receive>? <det>* <code>"}},
		{name: "no_more_messages", notAfter: "why", heads: []string{"<not> <want> to? in? <receive>", "not interested in <receive>", "nolonger <want> to? in? <receive>"},
			tails: []string{".", "<det>* <msg> -<other>", "<det>* <this>", "from you/u/this"}},
		{name: "no_more_messages", heads: []string{"<not> want to be contacted/messaged/texted/bothered/disturbed", "<not> want to be on/in/part <det>* <list> -<other>", "^ no more !",
			"dont/nolonger/never <want> <det>* <msg> -<other>", "dont/nolonger <want> these/this <more>? .",
			"no more <det>* <msg> -<other>", "enough <det>* <msg>", "enough .. <pure>", "nolonger interested .", "sick/tired of .. <pure>",
			"<cease> getting/receiving <det>* <msg>/<this> -<other>"}},
		{name: "stop_sending", notAfter: "not", heads: []string{"<cease> <sending> <me>?"}, tails: enAbout},
		{name: "stop_sending", notAfter: "not", heads: []string{"<cease> <texting>", "<cease> <det>* <pure>/communication/communications/contact -<other>", "<cease> it? with <det>* <msg>", "knock it off", "cut it out", "<cease> it/this/that !",
			"^ can/could/would/will/i/you/u/yall/want/need/to* stop/unsub/unsubscribe !", "make it/this/them stop !"}},
		{name: "still_sending", notAfter: "not", heads: []string{"keep/keeps/still <texting>", "keep/keeps/still sending <me>? <det>* <msg>/<this> -<other>",
			"keep/still get/getting/receiving <det>* <msg>/<this> -<other>"}},
		{name: "too_many", heads: []string{"too many <det>* <pure>", "too much <det>* spam"}},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> <want>? you? to? <more>? <textimp> me/us/this", "<not> <more>? <textimp> my number/phone/cell", "<not> <more>? <textimp> <more>? .",
			"<not> <more>? call me/us/this <more>", "<not> <more>? write me? <more>", "<not> keep <texting>/<sending>"}},
		{name: "do_not_send", notAfter: "why", heads: []string{"<not> <more>? send <me>?"}, tails: []string{"<det>* <msg> -<other>", "<det>* <this>"}},
		{name: "unsubscribe", notAfter: "not", heads: []string{"<unsub> me/us?", "opt/opted me out", "cancel <det>* my? subscription"},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <msg> -<other>", "<det>* <this> .", "<det>* my? <self>"}},
		{name: "remove_me", notAfter: "not", heads: []string{"<remove> me/us"}, tails: []string{"off .", "out .", "<det>* <list> -<other>", "<det>* <msg> -<other>"}},
		{name: "remove_me", notAfter: "not", heads: []string{"<remove>/lose/erase/forget my/this phone/cell/mobile? <self> -<old>"}},
		{name: "remove_me", notAfter: "not", heads: []string{"be removed/unsubscribed/deleted .", "be removed/deleted/unsubscribed/taken off? <det>* <list> -<other>", "^ delete me ."}},
		{name: "leave_list", notAfter: "not", heads: []string{"leave/quit/exit <det>* list/group/channel/broadcast -<other>", "want out !", "let me out !"}},
		{name: "how_to_leave", notAfter: "not", heads: []string{"how/where .. stop/cancel/quit/leave/unsubscribe/optout"}, tails: []string{".", "<det>* this/these/it .", "<det>* <pure>"}},
		{name: "leave_me_alone", notAfter: "not", heads: []string{"leave me/us alone", "^ go away !", "^ get lost !", "^ enough !", "piss/fuck/buzz/f/bugger off", "^ shut up !"}},
		{name: "will_block", notAfter: "not", heads: []string{"ill/gonna/going/will/im to? block/report/blocking/reporting"},
			tails: []string{".", "you/u/this/these", "as spam"}},
		{name: "will_block", heads: []string{"^ blocked !", "^ reported !", "reported/reporting <det>* as spam"}},
		{name: "spam", heads: []string{"this/thats/its is? spam !", "^ spam !"}},
		{name: "wrong_person", heads: []string{"^ wrong number/person", "have <det>* wrong number/person", "got <det>* wrong number/person", "this isnt .. number/phone", "number/phone nolonger? belongs to <det>*",
			"texting/messaging <det>* wrong number/person"}},
		{name: "never_asked", heads: []string{"never/didnt signed/sign up", "never/didnt subscribed/subscribe", "never/didnt gave/give you? permission/consent",
			"never/didnt agreed/agree to <det>? <msg>/receive/get/this", "never/didnt asked/ask for <det>? <msg>", "never/didnt opted/opt in"}},
		{name: "never_asked", heads: []string{"dont consent/agree/authorize/authorise to? <receive>? <det>* <msg>/<this>"}},
		{name: "revoke_consent", notAfter: "not", heads: []string{"revoke/withdraw/revoking/withdrawing my? consent/permission/authorization"}},
	},
}

// languages in the order in which they are tried.
var languages = []*language{portuguese, spanish, english}
