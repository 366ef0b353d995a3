package optin

var enAbout = []string{".", "<det>* <msg> -<other>", "<det>* <this>"}

//nolint:misspell // English, as people write it
var english = &language{
	name: "en",
	sets: map[string]map[string]bool{
		"not": words("dont not never dnt whydid"),
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
		"cease":   words("stop quit cease discontinue refrain halt"),
		"remove":  words("remove take delete drop get pull strike scrub unlist let wipe"),
		"unsub":   words("unsubscribe unsub unsubscribing desubscribe optout"),
		"det": words(`the a an any all of from off this that these those your ur you such kind kinds sort type types more anymore on in with via by for
			through other every another out their being unwanted stupid annoying marketing promotional sales to`),
		"this": words("this these anything stuff crap things that those nothing junk"),
		"msg": words(`message messages msg msgs text texts txt txts sms whatsapp whatsapps promo promos promotion promotions offer offers ad ads advert adverts
			advertising advertisement advertisements spam marketing newsletter newsletters notification notifications notices contact solicitation communication communications correspondence
			solicitations updates deals junk`),
		"pure": words("message messages msgs texts txts spam ads promos promotions newsletter newsletters"),
		"other": words(`bill bills invoice invoices delivery deliveries order orders payment payments code codes reminder reminders appointment
			appointments email emails mail voice audio waiting wait guest gift wedding`),
		"annoyed": words("annoying ridiculous sick tired hate irritating bothering harassing fedup relentless stupid invasive nuisance harassment pestering"),
		"list":    words("list lists group database mailing broadcast channel distribution newsletter system this here records record contacts"),
		"self":    words("number name contact info information details data phone"),
		"old":     words("old previous former"),
		"code":    words("code codes"),
		"cut":     words("stop cease quit discontinue cancel halt stopping"),
		"many":    words("messages msgs texts txts spam ads promos promotions offers blasts"),
		"lose":    words("to lose losing miss missing stop cancel leave the"),
		"place":   words("by at in near over on"),
		"wrote":   words("wrote sent typed said replied texted"),
		"go":      words("and but to because then"),
	},
	rules: []rule{
		{name: "no_more_messages", notAfter: "why", // "I don't want to receive these messages"
			heads: []string{
				"<not>/nolonger <want> to? in? <receive>",
				"not interested in <receive>",
				"rather not <receive>",
				"no interest in <receive>",
				"not get/receive",
				"<not>/nolonger <want> to? hear",
			},
			tails: []string{".", "<det>* <msg> -<other>", "<det>* <this>", "from you/u/this"}},
		{name: "no_more_messages", // "no more promos"
			heads: []string{
				"dont/nolonger/never <want> <det>* <msg> -<other>",
				"dont/nolonger <want> ~<lose> .. <many> -<other>",
				"dont/nolonger <want> anything from",
				"dont/nolonger <want> <det>* these/this <more>? .",
				"<not>/nolonger <want> to? be contacted/messaged/texted/bothered/disturbed",
				"<not>/nolonger <want> to? be on/in/part <det>* <list> -<other>",
				"not interested in <det>* <pure>",
				"nolonger interested .",
				"^ no more !",
				"no more <det>* <msg>/<this> -<other>",
				"^ no <pure> !",
				"enough <det>* <msg>",
				"enough .. <pure>",
			}},
		{name: "no_more_messages", notAfter: "not", heads: []string{"<cease> getting/receiving <det>* <msg>/<this> -<other>"}},
		{name: "no_more_codes", notAfter: "not", // "stop sending codes"
			heads: []string{
				"<cease> <sending>/getting/receiving <me>? <det>* <code>",
				"no more <code>",
				"dont want to? <receive>? <det>* <code>",
			}},
		{name: "stop_sending", notAfter: "not", // "stop sending me these"
			heads: []string{"<cease> <sending> <me>?"},
			tails: enAbout},
		{name: "stop_sending", notAfter: "not", // "stop texting me", "stop it"
			heads: []string{
				"<cease> from? <texting>",
				"<cease> <det>* <pure>/communication/communications/contact -<other>",
				"<cease> it? with <det>* <msg>",
				"<cut> ~<place> .. <many> -<other>",
				"<cease> it/this/that !",
				"cease and desist",
				"make it/this/them stop !",
				"knock it off",
				"cut it out",
				"^ can/could/would/will/i/you/u/yall/want/need/to* stop/unsub/unsubscribe !",
			}},
		{name: "asked_before", notAfter: "not", // "I've asked you three times to stop"
			heads: []string{
				"ask/asked/asking/tell/told/telling .. to stop !",
				"say/said/saying stop !",
				"<wrote> stop/unsubscribe/cancel .",
				"<wrote> stop/unsubscribe <go>",
			}},
		{name: "still_sending", notAfter: "not", // "why do I keep getting these messages"
			heads: []string{
				"you/u/they/people/yall/still keep/keeps? <texting>",
				"you/u/they/people/yall/still keep/keeps? sending <me>? <det>* <msg>/<this> -<other>",
				"i/we/still keep get/getting/receiving <det>* <msg>/<this> -<other>",
				"still get/getting/receiving <det>* <msg>/<this> -<other>",
				"why am i/we get/getting/receiving <det>* <msg>/<this> -<other>",
			}},
		{name: "annoyed", // "too many messages"
			heads: []string{
				"too many <det>* <pure>",
				"^ many <pure>",
				"too much <det>* spam",
				"you/u/yall text/message/txt/msg too .. much/often",
				"<pure> are .. <annoyed> !",
				"<annoyed> .. <many>",
				"you/youre are? .. <annoyed> !",
				"you people are <annoyed> !",
				"this is harassment/ridiculous/annoying !",
			}},
		{name: "do_not_send", notAfter: "why", // "don't text me again"
			heads: []string{
				"<not>/not <want>? you? to? <more>? <textimp> me/us/this",
				"<not> <more>? <textimp> my number/phone/cell",
				"<not> <more>? <textimp> <more>? .",
				"<not> <more>? call me/us/this <more>",
				"<not> <more>? write me? <more>",
				"<not> keep <texting>/<sending>",
			}},
		{name: "do_not_send", notAfter: "why", // "dont send me anything"
			heads: []string{"<not> <more>? send <me>?"},
			tails: []string{"<det>* <msg> -<other>", "<det>* <this>", "<more> .", ".. stuff/ads"}},
		{name: "unsubscribe", notAfter: "not", // "how do I unsubscribe?"
			heads: []string{
				"<unsub> me/us?",
				"opt/opted me out",
				"cancel <det>* my? subscription",
			},
			tails: []string{".", "<det>* <list> -<other>", "<det>* <msg> -<other>", "<det>* <this> .", "<det>* my? <self>"}},
		{name: "unsubscribe", notAfter: "not", heads: []string{"cancel <det> <pure> -<other>"}},
		{name: "remove_me", notAfter: "not", // "take me off your list"
			heads: []string{"<remove> me/us/him/her/them"},
			tails: []string{"off .", "out .", "<det>* <list> -<other>", "<det>* <msg> -<other>"}},
		{name: "remove_me", notAfter: "not", // "delete my number"
			heads: []string{
				"<remove>/lose/erase/forget all? my/this personal/phone/cell/mobile? <self> -<old>",
				"my <self> taken/removed/deleted/erased/off",
				"erasure .. data",
				"to be forgotten",
				"be removed/unsubscribed/deleted .",
				"be removed/deleted/unsubscribed/taken off? <det>* <list> -<other>",
				"^ delete me .",
			}},
		{name: "leave_list", notAfter: "not", // "I want out"
			heads: []string{
				"leave/leaving/quit/exit <det>* list/group/channel/broadcast -<other>",
				"want out !",
				"let me out !",
			}},
		{name: "how_to_leave", notAfter: "not", // "how do I make this stop"
			heads: []string{"how/where/what/which/way .. stop/quit/leave/unsubscribe/optout", "^ how/where .. cancel", "way/how .. out"},
			tails: []string{".", "<det>* this/these/it .", "<det>* <pure>"}},
		{name: "leave_me_alone", notAfter: "not", // "leave me alone"
			heads: []string{
				"leave me/us alone",
				"^ go away !",
				"^ get lost !",
				"^ enough !",
				"^ shut up !",
				"piss/fuck/fck/buzz/f/bugger off",
				"not disturb !",
				"^ dont disturb !",
			}},
		{name: "will_block", notAfter: "not", // "I'm going to block you"
			heads: []string{"ill/gonna/going/will/im to? block/report/blocking/reporting"},
			tails: []string{".", "you/u/this/these", "as spam"}},
		{name: "will_block", // "reported as spam"
			heads: []string{
				"^ blocked !",
				"time i block !",
				"^ reported !",
				"^ blocking/reporting you/u/this",
				"reported/reporting <det>* as spam",
			}},
		{name: "spam", heads: []string{"this/thats/its is? spam !", "^ spam !"}},
		{name: "wrong_person", // "you have the wrong number"
			heads: []string{
				"^ wrong number/person",
				"have/got/texting/messaging <det>* wrong number/person",
				"this isnt .. number/phone",
				"this isnt her/him/them",
				"changed her/his/their number",
				"this is my kids/sons/daughters/mothers/moms phone/number",
				"number/phone nolonger? belongs to",
			}},
		{name: "never_asked", // "I never signed up for this"
			heads: []string{
				"never/didnt signed/sign up",
				"never/didnt subscribed/subscribe",
				"never/didnt opted/opt in",
				"never/didnt gave/give you/u? my .. number",
				"nobody asked for",
				"who authorized/authorised/allowed you",
				"never/didnt gave/give you? permission/consent",
				"never/didnt agreed/agree to <det>? <msg>/receive/get/this",
				"never/didnt asked/ask for <det>? <msg>",
				"dont consent/agree/authorize/authorise to? <receive>? <det>* <msg>/<this>",
			}},
		{name: "revoke_consent", notAfter: "not", // "I withdraw my consent"
			heads: []string{"revoke/withdraw/revoking/withdrawing my? consent/permission/authorization"}},
	},
}

// languages in the order in which they are tried.
var languages = []*language{portuguese, spanish, english}
