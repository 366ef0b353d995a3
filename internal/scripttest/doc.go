// Package scripttest plays the scripts of testdata/script/*.txtar: each drives
// the whole daemon against the sandbox, in one process and in fake time.
//
// A script runs in a testing/synctest bubble. The daemon is the real one, built
// from a config.toml; the sandbox stands behind a server of its own, because
// Meta outlives us; between them is a network of pipes in memory with a real
// http.Server and http.Transport at its ends. Time passes only where the script
// says so, and then at once, so a script may take a year. The calendar is real:
// begin with clock.
//
//	go test ./internal/scripttest                       all
//	go test ./internal/scripttest -run '/crash'         some
//	go test ./internal/scripttest -update -run '/crash' write the expected rows anew; read the diff
//
// A script is a txtar archive: commands first, one a line, # for remarks, then
// files. People are ana, bruno, carla, diego, elisa, fabio, gabi, heitor, iris,
// joao, and p1 to p99999; in files and queries $ana stands for her number. There
// are the sandbox's templates, and promo (marketing), aviso and lembrete (utility),
// all pt_BR with one value; lembrete is delivered within an hour or not at all.
//
// The daemon:
//
//	clock TIME                       set the time, before start
//	config SECTION.KEY=VALUE …       over the archive's config.toml, or the usual one; before start
//	start, stop                      stop is SIGTERM
//	crash [when TIME QUERY]          kill -9, now or as soon as the query has a row
//	advance DURATION, until TIME
//	backup NAME, restore NAME        a copy of the database; restore while janela does not run
//	lose db | db-wal | db.epoch …    removes them, while janela does not run
//	disk MIB | full | well           so much is free on it; nothing can be written, or it can again
//	wall +1h | -24h | 0s             janela's wall clock is set to so far from the true time; the monotonic one goes on
//	drop FILE [as NAME] …            into the campaigns folder; remove NAME …
//	audience NAME p1-p40             a file with these people in it
//	picture NAME …                   a small JPEG, each another, in the campaigns folder
//	write FILE TEXT                  beside config.toml
//	consent WHO CATEGORY [at=TIME]   revoke WHO [CATEGORY]
//	reply WHO TEXT [number=ID]       a free-form message, as the API queues it
//
// Meta:
//
//	meta KEY=VALUE …                 before start: latency, status-delay, read-delay, duplicate, reorder,
//	                                 omit-delivered, never-delivered, undeliverable, held, read, bsuid,
//	                                 conversation, rate, pairs, tier, posters, batch, seed, marketing-sync
//	meta marketing onboarded|not-onboarded|on-cloud|not-on-cloud   what the account may do with marketing
//	meta away, meta back             nobody reaches it; meta token TEXT: only this token counts
//	template NAME/LANG STATUS [silent] | category=C | body=TEXT
//	media forget                     Meta forgets every file that was uploaded
//	fault KIND [count=N] [code=N] [status=N] [to=WHO] [template=T] [number=ID] [delay=D] [kind=K] [process=true]
//	fault none                       the kinds are the sandbox's
//	webhooks hold, webhooks release
//	inbound WHO TEXT [number=ID] [type=T] [button=PAYLOAD] [answers=last] [ad=true] [by=userid]
//	preference WHO stop|resume
//	foreign WHO TEXT | template=T    another program sends from our number
//
// Single messages by the API, as a business's own system sends them:
//
//	message NAME WHO TEXT | template=T [client=] [number=] [send-at=TIME] [expires=TIME] [key=] [want=202]
//	expect-message NAME STATUS [reason=R] [conversation=CATEGORY/ORIGIN] [replies=N]
//
// What the command line's API answers:
//
//	note PATH                        keeps an answer; {NAME} is the id of a message of that name
//	expect-noted                     asks all of it again: the answers are the same
//
// Any call of the API; every answer, of these and of the verbs below, is held to
// the description by a validator that is not ours:
//
//	api CLIENT METHOD PATH WANT [JSON]        {hash} is the plan that was seen last
//	upload CLIENT ID|- WANT DEFINITION [FILE …]   - asks for the plan only
//	expect-answer TEXT               of the last of these; ' stands for "
//	expect-events N [TYPE] [after=ID|last] [client=]   what the stream tells within two seconds
//
// The business's own systems, which verify every webhook as they were told to:
//
//	hook NAME events|passthrough|stream [events=PATTERN] [fields=FIELD] [numbers=NAME]   before start
//	receivers up, receivers down
//	decide WHO stop|keep             the open review of a person; operate PATH [JSON]: another operation
//	expect-hooks NAME N [TYPE]       webhooks that came, each once
//	expect-hook-text NAME TEXT       ' stands for "
//	expect-callbacks-passed NAME     every callback that was stored, byte for byte
//
// One-time codes, asked for as a business's own system does:
//
//	code NAME WHO PURPOSE [client=] [ip=] [binding=] [locale=] [device=] [trusted=true] [consent=SOURCE] [key=] [want=202]
//	verify NAME right|wrong|previous|sms|CODE [client=] [binding=] [ip=] [key=] [want=200]
//	resend NAME [code=new] [channel=] [key=] [want=202]
//	cancel-code NAME [want=200], unlock WHO
//	not-requested WHO [by=WHO]       taps "I didn't request a code"
//	person WHO identity|off|on|without-whatsapp|with-whatsapp, person numbers identity-check
//	expect-code NAME STATE [delivery=] [error=] [fallback=] [reason=] [attempts-left=N]
//	expect-received WHO N [different=N]
//	sms STATUS|hangs|away|back       the system behind the fallback: config otp.fallback.mode=manual
//	expect-sms WHO N [requests=N]    text messages; a repeat with the same webhook-id is none
//	forged WHO                       a callback of another signature: the latest code found no WhatsApp
//
// want is a status, with its problem's code and reason where wanted:
// 429/rate-limited, 410/gone/expired.
//
// What should be (asked when everything that can happen now has happened):
//
//	expect-sends N|A..B [to WHO] [template T] [number ID] [category C] [endpoint marketing_messages]   accepted by Meta, since the beginning
//	expect-no-send WHO
//	expect-state WHO STATE [REASON]  of the latest message to them
//	expect-states STATE=N …          of all messages; no others
//	expect-wait WHO REASON           what the gate says of it
//	expect-rows FILE QUERY           FILE is in the archive; instants and numbers are made readable
//	expect-hold SCOPE REASON, expect-no-hold [REASON]
//	expect-alert TEXT, expect-no-alert
//	expect-log TEXT, expect-no-log TEXT, expect-logged MOST TEXT
//	expect-refusals [CODE=N|some …]  of Meta
//
// After every script, whatever it was about, invariants_test.go asks: by Meta's
// ledger no message was processed twice, and no run reached anybody twice; what
// Meta accepted has a row that says it may have been sent; nobody got a template
// without consent, by what the script itself made them want; nothing is in
// flight; tallies add up; every callback was understood; the conversations are
// what a fresh look at the messages gives; no secret, number, text or wamid
// stands in a log, an alert or a status; no one-time code and no API key stands
// in the database, its write-ahead log, a log or an answer; no goroutine is left.
package scripttest
