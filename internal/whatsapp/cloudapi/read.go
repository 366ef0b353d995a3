package cloudapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hashicorp/go-retryablehttp"

	"janela/internal/whatsapp"
)

const (
	maxPage     = 16 << 20 // bytes of one page; a template with a carousel is some 10 KiB
	maxPages    = 1000
	maxRestarts = 2
	badCursor   = 131059
)

// retryRead is the retry rule of GETs: a GET changes nothing, so whatever may
// pass is tried again. The Graph code decides over the status, because Meta
// answers permanent faults with 500 too.
func retryRead(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return true, nil
	}
	if !mayRetry(resp) {
		return false, nil
	}
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if g, graph := parseGraph(body); graph && readErr == nil {
		switch whatsapp.LookupCode(int(g.Code.value), resp.StatusCode).Class {
		case whatsapp.ClassRetry, whatsapp.ClassUnknown:
			return true, nil
		default:
			return false, nil
		}
	}
	return true, nil
}

func mayRetry(resp *http.Response) bool {
	return resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
}

// get reads one answer and hands a 2xx body to decode.
func (c *Client) get(ctx context.Context, op, path string, query url.Values, decode func([]byte) error) error {
	header, token, err := c.bearer()
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassHaltAuth, NotSent: true, Err: err}
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: withoutURL(err)}
	}
	req.Header.Set("Authorization", header)
	req.Header.Set("Accept", "application/json")
	var body []byte
	// Read inside, so that a body that breaks off is tried again too.
	req.SetResponseHandler(func(resp *http.Response) error {
		if mayRetry(resp) { // retryRead looks into this body once more
			return nil
		}
		defer resp.Body.Close()
		var err error
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
		if len(body) > maxPage {
			body = nil
		}
		return err
	})
	resp, err := c.reads.Do(req)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return &Error{Op: op, Class: whatsapp.ClassRetry, NotSent: true, Err: scrubbed{withoutURL(err), token}}
	}
	if mayRetry(resp) {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	}
	if e := refusal(op, resp, body, token); e != nil {
		return readable(e)
	}
	if err := decode(body); err != nil {
		return &Error{Op: op, HTTPStatus: resp.StatusCode, Class: whatsapp.ClassRetry, NotSent: true, Err: scrubbed{err, token}}
	}
	return nil
}

// readable restates a refusal for a read: nothing was changed, so nothing is
// unknown.
func readable(e *Error) *Error {
	e.NotSent = true
	if e.Class == whatsapp.ClassUnknown {
		e.Class = whatsapp.ClassRetry
	}
	return e
}

// list walks all pages of an edge and calls item for each element. A page says
// that another follows by paging.next; the address in it holds the token, so
// only its cursor is used. An invalid cursor starts the walk over, and item
// may then see elements again.
func (c *Client) list(ctx context.Context, op, path string, query url.Values, item func(json.RawMessage) error) error {
	restarts := 0
	for pages, after := 0, ""; ; pages++ {
		if pages == maxPages {
			return listFault(op, "the list does not end")
		}
		query.Del("after")
		if after != "" {
			query.Set("after", after)
		}
		var page struct {
			Data   []json.RawMessage `json:"data"`
			Paging struct {
				Cursors struct {
					After text `json:"after"`
				} `json:"cursors"`
				Next text `json:"next"`
			} `json:"paging"`
		}
		err := c.get(ctx, op, path, query, func(body []byte) error {
			var probe struct {
				Data json.RawMessage `json:"data"`
			}
			if json.Unmarshal(body, &probe) != nil || len(probe.Data) == 0 || probe.Data[0] != '[' {
				return errors.New("the answer holds no list")
			}
			return json.Unmarshal(body, &page)
		})
		if e, ok := errors.AsType[*Error](err); ok && e.Coded && e.Code == badCursor && after != "" && restarts < maxRestarts {
			restarts++
			after = ""
			continue
		}
		if err != nil {
			return err
		}
		for _, raw := range page.Data {
			if err := item(raw); err != nil {
				return err
			}
		}
		if page.Paging.Next == "" {
			return nil
		}
		next := string(page.Paging.Cursors.After)
		if next == "" {
			if u, err := url.Parse(string(page.Paging.Next)); err == nil {
				next = u.Query().Get("after")
			}
		}
		if next == "" || next == after {
			return listFault(op, "a page names no further cursor although another page follows")
		}
		after = next
	}
}

func listFault(op, what string) *Error {
	return &Error{Op: op, HTTPStatus: http.StatusOK, Class: whatsapp.ClassRetry, NotSent: true, Err: errors.New(what)}
}

// elementFault names an element that could not be read, by its place only.
func elementFault(op string, i int) *Error {
	return listFault(op, "element "+strconv.Itoa(i)+" of the list has no id")
}

// Health is what Meta says whether something can send, and why not (Meta:
// Messaging health status). It is the best single check before a campaign.
type Health struct {
	CanSend  string // AVAILABLE, LIMITED, BLOCKED; "" when not told
	Entities []HealthEntity
}

// HealthEntity is one link of the chain app, business, account, number,
// template.
type HealthEntity struct {
	Type    string // MESSAGE_TEMPLATE, PHONE_NUMBER, WABA, BUSINESS, APP
	ID      string
	CanSend string
	Errors  []HealthError
	Info    []string
}

// HealthError is a reason of a HealthEntity.
type HealthError struct {
	Code        int
	Description string
	Solution    string
}

type healthBody struct {
	CanSend  text `json:"can_send_message"`
	Entities []struct {
		Type    text `json:"entity_type"`
		ID      text `json:"id"`
		CanSend text `json:"can_send_message"`
		Errors  []struct {
			Code        number `json:"error_code"`
			Description text   `json:"error_description"`
			Solution    text   `json:"possible_solution"`
		} `json:"errors"`
		Info []text `json:"additional_info"`
	} `json:"entities"`
}

func (b healthBody) health() Health {
	h := Health{CanSend: string(b.CanSend)}
	for _, e := range b.Entities {
		entity := HealthEntity{Type: string(e.Type), ID: string(e.ID), CanSend: string(e.CanSend)}
		for _, fault := range e.Errors {
			entity.Errors = append(entity.Errors, HealthError{int(fault.Code.value), string(fault.Description), string(fault.Solution)})
		}
		for _, info := range e.Info {
			entity.Info = append(entity.Info, string(info))
		}
		h.Entities = append(h.Entities, entity)
	}
	return h
}

// decodeLoosely reads an object of which single fields may have another type
// than expected; those stay empty.
func decodeLoosely(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil && !isTypeError(err) {
		return fmt.Errorf("the answer is no JSON object: %w", err)
	}
	return nil
}
