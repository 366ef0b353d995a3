package scripttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// verbs are all commands of a script; doc.go explains them.
var verbs map[string]func(*world, line) error

func init() { // a map literal would refer to itself through readScript
	verbs = map[string]func(*world, line) error{
		"clock": clock, "advance": advance, "until": until,
		"config": config, "start": func(w *world, _ line) error { return w.start() },
		"stop":  func(w *world, _ line) error { return w.stop() },
		"crash": crash, "wall": wall, "backup": backupVerb, "restore": restore, "lose": lose, "disk": disk,
		"write": write, "drop": drop, "remove": remove, "audience": audience,
		"consent": consent, "revoke": revoke, "reply": reply,
		"meta": metaVerb, "template": template, "fault": fault, "webhooks": webhooks,
		"inbound": inbound, "preference": preference, "foreign": foreign,
		"hook": hook, "receivers": receiversVerb, "decide": decideVerb,
		"operate": func(w *world, l line) error { return w.operate(l.rest) },
		"note":    note, "expect-noted": expectNoted,
		"expect-hooks": expectHooks, "expect-hook-text": expectHookText, "expect-callbacks-passed": expectCallbacksPassed,
		"code": code, "verify": verifyCode, "resend": resend, "cancel-code": cancelCode, "unlock": unlock, "not-requested": notRequested, "person": person,
		"expect-code": expectCode, "expect-received": expectReceived, "sms": smsVerb, "expect-sms": expectSMS, "forged": forged,
		"picture": picture, "media": mediaVerb,
		"api": api, "upload": upload, "expect-answer": expectAnswer, "expect-events": expectEvents,
		"message": message, "expect-message": expectMessage,
		"expect-sends": expectSends, "expect-no-send": expectNoSend, "expect-state": expectState, "expect-states": expectStates,
		"expect-wait": expectWait, "expect-hold": expectHold, "expect-no-hold": expectNoHold,
		"expect-rows": expectRows, "expect-log": expectLog, "expect-no-log": expectNoLog, "expect-logged": expectLogged,
		"expect-alert": expectAlert, "expect-no-alert": expectNoAlert, "expect-refusals": expectRefusals,
	}
}

func need(l line, n int) error {
	if len(l.words) < n {
		return fmt.Errorf("%s needs at least %d words; doc.go explains it", l.verb, n)
	}
	return nil
}

// options splits words into key=value and the rest.
func options(words []string) (opt map[string]string, rest []string) {
	opt = map[string]string{}
	for _, word := range words {
		if k, v, ok := strings.Cut(word, "="); ok && !strings.ContainsAny(k, " /:") {
			opt[k] = v
		} else {
			rest = append(rest, word)
		}
	}
	return opt, rest
}

// only refuses options that a verb does not know.
func only(opt map[string]string, known ...string) error {
	for k := range opt {
		found := false
		for _, name := range known {
			found = found || name == k
		}
		if !found {
			return fmt.Errorf("there is no option %s=; known are %s", k, strings.Join(known, ", "))
		}
	}
	return nil
}

func instant(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no time; write 2026-11-23T12:00:00Z or 2026-11-23T09:00:00-03:00", text)
	}
	return at, nil
}

// clock sets the time before anything has been started: it costs nothing.
func clock(w *world, l line) error {
	if w.house != nil {
		return errors.New("the clock is set before start; write until")
	}
	return until(w, l)
}

func until(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	at, err := instant(l.words[0])
	if err != nil {
		return err
	}
	d := time.Until(at)
	if d < 0 {
		return fmt.Errorf("it is %s already", time.Now().UTC().Format(time.RFC3339Nano))
	}
	time.Sleep(d)
	w.settle()
	return nil
}

func advance(w *world, l line) error {
	if err := need(l, 1); err != nil {
		return err
	}
	d, err := time.ParseDuration(l.words[0])
	if err != nil {
		return err
	}
	time.Sleep(d)
	w.settle()
	return nil
}

// crash kills janela, or kills it in the midst of its work: at a time, as soon as
// a query gives a row. crash when 2026-11-23T12:00:00Z SELECT 1 FROM runs WHERE …
func crash(w *world, l line) error {
	if len(l.words) == 0 {
		return errors.Join(w.crash(), w.codesNowhere()) // the write-ahead log is still there
	}
	if len(l.words) < 3 || l.words[0] != "when" {
		return errors.New("write crash, or crash when TIME QUERY")
	}
	at, err := instant(l.words[1])
	if err != nil {
		return err
	}
	_, query, _ := strings.Cut(l.rest, l.words[1])
	time.Sleep(time.Until(at))
	// Not settled on purpose: time stands still while others work, so asking
	// again and again meets them in the middle of it.
	for range 100_000 {
		rows, err := w.rows(query)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return errors.Join(w.crash(), w.codesNowhere())
		}
	}
	return errors.New("the query never gave a row")
}

// config lays settings over config.toml: campaigns.poll=500ms.
func config(w *world, l line) error {
	opt, rest := options(l.words)
	if len(rest) > 0 {
		return fmt.Errorf("%q is no section.key=value", rest[0])
	}
	for k, v := range opt {
		w.env["JANELA_"+strings.ToUpper(strings.ReplaceAll(k, ".", "_"))] = v
	}
	return nil
}

// put writes a file as a copying program does that renames at the end.
func (w *world) put(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp := path + ".part"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	// The file system's clock is the machine's: a script of today would see a file of tomorrow.
	if err := os.Chtimes(tmp, time.Now(), time.Now()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// write puts a text into a file beside config.toml: write token "another".
func write(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	if l.words[0] == "token" {
		w.secrets = append(w.secrets, l.words[1])
	}
	return w.put(w.path(l.words[0]), []byte(l.words[1]))
}

// drop copies files of the archive into the campaigns folder: drop a.toml a.csv,
// drop second.toml as a.toml.
func drop(w *world, l line) error {
	if err := w.prepare(); err != nil {
		return err
	}
	for i := 0; i < len(l.words); i++ {
		from := l.words[i]
		to := from
		if i+2 < len(l.words) && l.words[i+1] == "as" {
			to, i = l.words[i+2], i+2
		}
		f, err := w.script.file(from)
		if err != nil {
			return err
		}
		if err := w.put(w.path("campaigns.d", to), expand(f.Data)); err != nil {
			return err
		}
	}
	return nil
}

func remove(w *world, l line) error {
	for _, name := range l.words {
		if err := os.Remove(w.path("campaigns.d", name)); err != nil {
			return err
		}
	}
	return need(l, 1)
}

// audience drops a file with people p1, p2, … who are all called differently:
// audience promo.csv p1-p40.
func audience(w *world, l line) error {
	if err := need(l, 2); err != nil {
		return err
	}
	people, err := phonesOf(l.words[1])
	if err != nil {
		return err
	}
	if err := w.prepare(); err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("telefone;nome\n")
	for i, p := range people {
		fmt.Fprintf(&b, "%s;Pessoa %d\n", string(p), i+1)
	}
	return w.put(w.path("campaigns.d", l.words[0]), b.Bytes())
}
