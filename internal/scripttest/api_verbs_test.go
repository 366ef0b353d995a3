package scripttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// api is any call of a business's own system: api CLIENT METHOD PATH WANT [JSON].
// What it answered, expect-answer looks at. {hash} is the plan that was seen last.
func api(w *world, l line) error {
	if err := need(l, 4); err != nil {
		return err
	}
	client, method, path, want := l.words[0], l.words[1], l.words[2], l.words[3]
	_, body, _ := strings.Cut(l.rest, " "+want)
	return w.call(client, method, w.seen(path), want, []byte(strings.TrimSpace(w.seen(body))), "application/json")
}

// upload puts a definition of the archive with its files: upload CLIENT ID WANT
// DEFINITION [FILE[:AS] …]; ID - asks for a plan only.
func upload(w *world, l line) error {
	if err := need(l, 4); err != nil {
		return err
	}
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for i, name := range l.words[3:] {
		name, as, _ := strings.Cut(name, ":")
		file, err := w.script.file(name)
		if err != nil {
			return err
		}
		field := "file"
		as = pick(as, filepath.Base(name))
		if i == 0 {
			field, as = "definition", "campaign.toml"
		}
		part, err := form.CreateFormFile(field, as)
		if err != nil {
			return err
		}
		if _, err := part.Write(expand(file.Data)); err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	method, path := http.MethodPut, "/v1/campaigns/"+l.words[1]
	if l.words[1] == "-" {
		method, path = http.MethodPost, "/v1/plans"
	}
	return w.call(l.words[0], method, path, l.words[2], b.Bytes(), form.FormDataContentType())
}

func (w *world) call(client, method, path, want string, body []byte, kind string) error {
	headers := map[string]string{"Content-Type": kind}
	if method == http.MethodPost {
		headers["Idempotency-Key"] = "script-" + strconv.Itoa(len(w.replies))
	}
	a, err := w.askWith(client, method, path, body, headers)
	if err != nil {
		return err
	}
	w.last = a.text
	_ = json.Unmarshal([]byte(a.text), &a.body) // a list has other fields
	if m := planSeen.FindStringSubmatch(a.text); m != nil {
		w.plan = m[1]
	}
	return a.wants(want, "200")
}

var planSeen = regexp.MustCompile(`"(?:hash|next_plan)":"([0-9a-f]{12})"`)

func (w *world) seen(text string) string { return strings.ReplaceAll(text, "{hash}", w.plan) }

// expectAnswer looks for a text in what api was answered last; ' stands for ".
func expectAnswer(w *world, l line) error {
	if text := strings.ReplaceAll(l.rest, "'", `"`); !strings.Contains(w.last, text) {
		return fmt.Errorf("the answer has no %s:\n%s", text, w.last)
	}
	return nil
}

// expectEvents connects to the stream behind an id, and takes what comes within
// two seconds: expect-events N|gap [TYPE] [after=last|0]. last is the latest that
// was heard.
func expectEvents(w *world, l line) error {
	opt, words := options(l.words)
	if err := only(opt, "after", "client"); err != nil {
		return err
	}
	if len(words) < 1 {
		return errors.New("write expect-events N [TYPE]")
	}
	after := pick(opt["after"], "last")
	if after == "last" {
		after = pick(w.event, "0")
	}
	key, err := w.key(pick(opt["client"], "erp"))
	if err != nil {
		return err
	}
	caller := w.net.host()
	defer caller.kill()
	client := &http.Client{Transport: &http.Transport{DialContext: caller.dial, DisableKeepAlives: true}}
	ctx, cancel := within(2 * time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listenAddr+"/v1/events", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Last-Event-ID", after)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	b, _ := io.ReadAll(resp.Body) // it has no end
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream is answered %d %s", resp.StatusCode, b)
	}
	w.replies = append(w.replies, string(b))
	n := 0
	for block := range strings.SplitSeq(string(b), "\n\n") {
		id, kind := field(block, "id: "), field(block, "event: ")
		if id != "" {
			w.event = id
		}
		if kind != "" && (len(words) < 2 || kind == words[1]) {
			n++
		}
	}
	if strconv.Itoa(n) != words[0] {
		return fmt.Errorf("%d events came, expected %s:\n%s", n, words[0], b)
	}
	return nil
}

func field(block, name string) string {
	for line := range strings.Lines(block) {
		if v, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
