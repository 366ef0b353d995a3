package scripttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/sandbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// readAlerts asks janela itself, as an operator's probe does.
func (w *world) readAlerts() ([]string, error) {
	w.settle()
	if _, err := w.running(); err != nil {
		return nil, err
	}
	probe := w.net.host()
	defer probe.kill()
	client := &http.Client{Transport: &http.Transport{DialContext: probe.dial, DisableKeepAlives: true}}
	ctx, cancel := within(time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listenAddr+"/readyz", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var report struct{ Problems, Alerts []string }
	if err := json.Unmarshal(body, &report); err != nil {
		return nil, fmt.Errorf("/readyz: %w: %s", err, body)
	}
	all := append(report.Problems, report.Alerts...)
	for _, a := range all {
		w.alerts[a] = true
	}
	return all, nil
}

// invariants asks, after janela has stopped, what must hold after any script.
func (w *world) invariants() (bad []error) {
	if w.meta.box == nil {
		return nil
	}
	for _, check := range []func() error{w.noneTwice, w.sendsHaveRows, w.sendsHadConsent, w.allSettled, w.talliesAdd, w.hoursAdd, w.callbacksApplied, w.ledgerIsPure, w.nothingLeaks, w.codesNowhere, w.smsIsSound} {
		if err := check(); err != nil {
			bad = append(bad, err)
		}
	}
	return bad
}

// sentAgain are the messages of which janela says itself that Meta took two
// copies: utility that the operator wanted to go out once more.
func (w *world) sentAgain() (map[int64]bool, error) {
	rows, err := w.rows("SELECT 'm' || message_id FROM resends WHERE second_at > 0 AND (first_at > 0 OR cause = 'presumed_expired')")
	out := map[int64]bool{}
	for _, r := range rows {
		id, err := strconv.ParseInt(r[1:], 10, 64)
		if err != nil {
			return nil, err
		}
		out[id] = true
	}
	return out, err
}

// noneTwice: Meta's ledger shows no message of ours twice, but those of which
// janela says so, and none three times.
func (w *world) noneTwice() error {
	again, err := w.sentAgain()
	errs := []error{err}
	w.meta.box.EachTally(func(key string, t sandbox.Tally) {
		id, ours := whatsapp.ParseCallbackID(key + ".1")
		if ours && again[id.Message] && t.Accepted == 2 {
			return
		}
		if t.Accepted > 1 && strings.HasPrefix(key, "j1.") {
			errs = append(errs, fmt.Errorf("message %s was processed %d times", key, t.Accepted))
		}
	})
	return errors.Join(errs...)
}

// sendsHaveRows: what Meta accepted stands in a row that says it may have been
// sent, and nobody got one run twice.
func (w *world) sendsHaveRows() error {
	rows, err := w.rows("SELECT 'm' || id, address, state, 'r' || run_id FROM messages UNION ALL SELECT 'm' || id, address, state, 'r' || run_id FROM past_messages")
	if err != nil {
		return err
	}
	type message struct{ address, state, run string }
	byID := map[string]message{}
	for _, r := range rows {
		c := strings.Split(r, " | ")
		byID[c[0]] = message{c[1], c[2], c[3]}
	}
	again, err := w.sentAgain()
	errs := []error{err}
	runs := map[string]int{}
	for _, s := range w.meta.box.Sends() {
		id, ours := whatsapp.ParseCallbackID(s.Key)
		if !ours {
			continue
		}
		m, ok := byID["m"+strconv.FormatInt(id.Message, 10)]
		switch {
		case !ok && w.past: // it was sent by a run that the backup does not know
		case !ok:
			errs = append(errs, fmt.Errorf("Meta accepted message %d, of which there is no row", id.Message))
		case m.state == "queued" || m.state == "refused" || m.state == "cancelled" || m.state == "expired":
			errs = append(errs, fmt.Errorf("Meta accepted message %d to %s, whose row says %s", id.Message, m.address, m.state))
		case again[id.Message] && id.Attempt > 1:
		case m.run != "r0":
			if runs[m.run+s.To]++; runs[m.run+s.To] > 1 {
				errs = append(errs, fmt.Errorf("run %s reached %s %d times", m.run, m.address, runs[m.run+s.To]))
			}
		}
	}
	return errors.Join(errs...)
}

// sendsHadConsent: by what the script itself made people want, nobody got a
// template without consent. A wish counts after a second: it travels.
func (w *world) sendsHadConsent() error {
	var errs []error
	for _, s := range w.meta.box.Sends() {
		if _, ours := whatsapp.ParseCallbackID(s.Key); !ours || s.Category == "service" {
			continue
		}
		agreed, before := false, false
		for _, wish := range w.consent["+"+s.To] {
			if string(wish.category) != s.Category || wish.at.After(s.At) {
				continue
			}
			if s.At.Sub(wish.at) >= time.Second {
				before = wish.granted
			}
			agreed = wish.granted
		}
		if !agreed && !before {
			errs = append(errs, fmt.Errorf("%s reached somebody who had not agreed to %s:\n%s", s.Template, s.Category, describe([]sandbox.Send{s})))
		}
	}
	return errors.Join(errs...)
}

// allSettled: after a stop nothing is in flight.
func (w *world) allSettled() error {
	rows, err := w.rows("SELECT state, count(*) FROM messages WHERE state = 'sending' GROUP BY state")
	if err == nil && len(rows) > 0 {
		err = fmt.Errorf("messages were left in flight: %s", rows[0])
	}
	return err
}

// talliesAdd: the tallies of every stream are its messages, also those that were
// moved to the past.
func (w *world) talliesAdd() error {
	const reason = "CASE WHEN state IN ('refused','cancelled','failed','expired','unknown') THEN reason ELSE '' END"
	wrong, err := w.rows(`SELECT 's' || stream_id, state, reason, SUM(a), SUM(b) FROM (
		SELECT stream_id, state, reason, n AS a, 0 AS b FROM tallies UNION ALL
		SELECT stream_id, state, ` + reason + `, 0, count(*) FROM messages GROUP BY 1, 2, 3 UNION ALL
		SELECT stream_id, state, ` + reason + `, 0, count(*) FROM past_messages GROUP BY 1, 2, 3)
		GROUP BY 1, 2, 3 HAVING SUM(a) <> SUM(b)`)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("tallies differ from messages (stream | state | reason | tally | messages):\n%s", strings.Join(wrong, "\n"))
	}
	return err
}

// hoursAdd: what is counted by the hour are the messages and codes that were made
// in it, as far back as it is kept.
func (w *world) hoursAdd() error {
	const reason = "CASE WHEN m.state IN ('refused','cancelled','failed','expired','unknown') THEN m.reason ELSE '' END"
	kept := time.Now().Add(-outbox.KeepHours).UnixMilli()/3600000 + 2
	wrong, err := w.rows(`SELECT 'h' || hour, lane, state, reason, SUM(a), SUM(b) FROM (
		SELECT hour, lane, state, reason, n AS a, 0 AS b FROM message_hours UNION ALL
		SELECT (m.id / 1024 + 1577836800000) / 3600000, s.lane, m.state, ` + reason + `, 0, count(*) FROM messages m JOIN streams s ON s.id = m.stream_id WHERE s.dry_run = 0 GROUP BY 1, 2, 3, 4 UNION ALL
		SELECT (m.id / 1024 + 1577836800000) / 3600000, s.lane, m.state, ` + reason + `, 0, count(*) FROM past_messages m JOIN streams s ON s.id = m.stream_id WHERE s.dry_run = 0 GROUP BY 1, 2, 3, 4)
		WHERE hour >= ` + strconv.FormatInt(kept, 10) + ` GROUP BY 1, 2, 3, 4 HAVING SUM(a) <> SUM(b)`)
	if err == nil && len(wrong) > 0 {
		return fmt.Errorf("hours differ from messages (hour | lane | state | reason | counted | messages):\n%s", strings.Join(wrong, "\n"))
	}
	if err != nil {
		return err
	}
	minute := strconv.FormatInt(time.Now().Add(-50*time.Minute).UnixMilli()/60000, 10)
	wrong, err = w.rows(`SELECT 'm' || minute, category, SUM(a), SUM(b) FROM (
		SELECT minute, category, n AS a, 0 AS b FROM conversation_ends UNION ALL
		SELECT CASE WHEN closed_at > 0 THEN closed_at ELSE expires_at END / 60000, category, 0, count(*) FROM conversations GROUP BY 1, 2)
		WHERE minute >= ` + minute + ` GROUP BY 1, 2 HAVING SUM(a) <> SUM(b)`)
	if err == nil && len(wrong) > 0 {
		return fmt.Errorf("open conversations are counted otherwise (minute | category | counted | conversations):\n%s", strings.Join(wrong, "\n"))
	}
	if err != nil {
		return err
	}
	// Challenges go a day after they ended.
	since := strconv.FormatInt(time.Now().Add(-22*time.Hour).UnixMilli()/3600000, 10)
	wrong, err = w.rows(`SELECT 'h' || hour, purpose, state, reason, stage, decoy, SUM(a), SUM(b) FROM (
		SELECT hour, purpose, state, reason, stage, decoy, n AS a, 0 AS b FROM code_hours UNION ALL
		SELECT created_at / 3600000, purpose, state, reason, stage, decoy, 0, count(*) FROM challenges GROUP BY 1, 2, 3, 4, 5, 6)
		WHERE hour >= ` + since + ` GROUP BY 1, 2, 3, 4, 5, 6 HAVING SUM(a) <> SUM(b)`)
	if err == nil && len(wrong) > 0 {
		return fmt.Errorf("hours differ from codes (hour | purpose | state | reason | stage | decoy | counted | codes):\n%s", strings.Join(wrong, "\n"))
	}
	if err != nil {
		return err
	}
	wrong, err = w.rows(`SELECT c.id, c.stage FROM challenges c WHERE c.decoy = 0 AND (c.stage >= 2) <> EXISTS (
		SELECT 1 FROM code_sends s JOIN messages m ON m.id = s.message_id WHERE s.challenge_id = c.id AND (m.delivered_at > 0 OR m.read_at > 0))
		OR c.decoy = 0 AND (c.stage >= 1) <> (EXISTS (SELECT 1 FROM code_sends s JOIN messages m ON m.id = s.message_id
			WHERE s.challenge_id = c.id AND (m.accepted_at > 0 OR m.sent_at > 0 OR m.delivered_at > 0 OR m.read_at > 0))
			OR EXISTS (SELECT 1 FROM code_fallbacks f WHERE f.challenge_id = c.id AND f.state = 'sent'))`)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("the stage of a code is not that of its messages:\n%s", strings.Join(wrong, "\n"))
	}
	return err
}

// callbacksApplied: every callback that was answered with 200 was understood.
func (w *world) callbacksApplied() error {
	rows, err := w.rows("SELECT state, note, body FROM callbacks WHERE state = 'failed' OR note <> ''")
	if err == nil && len(rows) > 0 {
		err = fmt.Errorf("callbacks were not understood:\n%s", strings.Join(rows, "\n"))
	}
	return err
}

// ledgerIsPure: the conversations are what a fresh look at the messages gives.
func (w *world) ledgerIsPure() error {
	db, err := store.Open(context.Background(), store.Config{Path: w.database()})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	rows, err := w.rows(`SELECT DISTINCT 'c' || contact_id, 'n' || number_id FROM (
		SELECT m.contact_id, s.number_id FROM messages m JOIN streams s ON s.id = m.stream_id WHERE m.contact_id > 0
		UNION SELECT m.contact_id, s.number_id FROM past_messages m JOIN streams s ON s.id = m.stream_id WHERE m.contact_id > 0
		UNION SELECT contact_id, number_id FROM foreign_messages UNION SELECT contact_id, number_id FROM inbound_messages
		UNION SELECT contact_id, number_id FROM conversations)`)
	if err != nil {
		return err
	}
	var touches []conversations.Touch
	for _, r := range rows {
		contact, number, _ := strings.Cut(r, " | ")
		id, err := strconv.ParseInt(contact[1:], 10, 64)
		if err != nil {
			return err
		}
		touches = append(touches, conversations.Touch{Contact: id, Number: number[1:]})
	}
	const ledger = `SELECT 'c' || contact_id, number_id, category, origin, opened_at, expires_at, closed_at, provisional, messages_out, messages_in
		FROM conversations ORDER BY contact_id, number_id, opened_at, category`
	before, err := w.rows(ledger)
	if err != nil {
		return err
	}
	err = db.Write(context.Background(), func(tx *store.Tx) error {
		_, err := conversations.Recompute(tx, touches...)
		return err
	})
	if err != nil {
		return err
	}
	after, err := w.rows(ledger)
	if diff := cmp.Diff(before, after); err == nil && diff != "" {
		err = fmt.Errorf("a fresh look at the messages gives other conversations (- kept, + fresh):\n%s", diff)
	}
	return err
}

var longNumber = regexp.MustCompile(`(?:1202555\d{4}|55119\d{8})`)

// nothingLeaks: no secret, full number, message text or wamid stands in a log,
// an alert, or the status of a campaign.
func (w *world) nothingLeaks() error {
	texts := map[string]string{"the log": w.logs.text(), "the metrics": w.metrics}
	for a := range w.alerts {
		texts["an alert"] += a + "\n"
	}
	err := filepath.WalkDir(w.path("var", "status"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".json" { // the report for people, CSV, names them
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		b, err := os.ReadFile(path)
		texts["a status file"] += string(b)
		return err
	})
	if err != nil {
		return err
	}
	canaries := map[string]string{}
	for _, s := range w.secrets {
		canaries[s] = "a secret"
	}
	for _, s := range w.meta.box.Sends() {
		canaries[s.Wamid] = "a wamid"
		if text := strings.TrimSpace(s.Text); len(text) > 8 {
			canaries[text] = "a message's text"
		}
	}
	var errs []error
	for where, text := range texts {
		for _, row := range strings.Split(text, "\n") {
			if m := longNumber.FindString(row); m != "" {
				errs = append(errs, fmt.Errorf("%s names a full number: %s", where, row))
			}
		}
		for canary, what := range canaries {
			if strings.Contains(text, canary) {
				errs = append(errs, fmt.Errorf("%s holds %s: %q", where, what, canary))
			}
		}
	}
	return errors.Join(errs...)
}
