package scripttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// talk are the single messages that a script sent by the API, by name.
type talk map[string]string

// message sends one message: message NAME WHO TEXT | template=T [client=]
// [number=] [send-at=TIME] [expires=TIME] [key=] [want=202].
func message(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "template", "client", "number", "send-at", "expires", "key", "want"); err != nil {
		return err
	}
	name, template := opt["template"], opt["template"] != ""
	if len(words) != 2 && (template || len(words) != 3) {
		return errors.New("write message NAME WHO TEXT, or message NAME WHO template=T")
	}
	to := words[1]
	if p, err := phoneOf(to); err == nil {
		to = string(p)
	}
	body := map[string]any{"to": to}
	if template {
		body["template"] = map[string]any{"name": name, "language": "pt_BR", "parameters": map[string]any{"body": []string{"hoje"}}}
	} else {
		body["text"] = map[string]any{"body": words[2]}
	}
	for _, k := range [][2]string{{"number", "number"}, {"send-at", "send_at"}, {"expires", "expires_at"}} {
		if v, ok := opt[k[0]]; ok {
			body[k[1]] = v
		}
	}
	a, err := w.ask(pick(opt["client"], "erp"), http.MethodPost, "/v1/messages", body, w.repeat(opt))
	if err != nil {
		return err
	}
	if err := a.wants(opt["want"], "202"); err != nil {
		return err
	}
	if a.status == http.StatusAccepted {
		w.talk[words[0]] = a.body.ID
	}
	return nil
}

// expectMessage looks at one: expect-message NAME STATUS [reason=R]
// [conversation=CATEGORY/ORIGIN] [replies=N].
func expectMessage(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "reason", "conversation", "replies"); err != nil {
		return err
	}
	if len(words) != 2 {
		return errors.New("write expect-message NAME STATUS")
	}
	a, err := w.ask("erp", http.MethodGet, "/v1/messages/"+w.talk[words[0]], nil, nil)
	if err != nil {
		return err
	}
	var v struct {
		Status, Reason string
		Conversation   *struct{ Category, Origin string }
		Replies        []any
	}
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		return err
	}
	home := ""
	if v.Conversation != nil {
		home = v.Conversation.Category + "/" + v.Conversation.Origin
	}
	got := []string{v.Status, v.Reason, home, strconv.Itoa(len(v.Replies))}
	want := []string{words[1], pick(opt["reason"], v.Reason), pick(opt["conversation"], home), pick(opt["replies"], got[3])}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("message %s is %q, expected %q:\n%s", words[0], got, want, a.text)
	}
	return nil
}
