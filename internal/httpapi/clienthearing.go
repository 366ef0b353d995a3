package httpapi

import (
	"context"
	"net/url"
	"strconv"
)

// Reviews lists what waits for a decision, from behind an id on.
func (c *Client) Reviews(ctx context.Context, after int64) (out ReviewPage, err error) {
	return out, c.call(ctx, "GET", "/v1/reviews", url.Values{"after": {strconv.FormatInt(after, 10)}}, nil, &out)
}

// ReviewPage lists at most limit of what waits for a decision, from behind an id
// on.
func (c *Client) ReviewPage(ctx context.Context, after int64, limit int) (out ReviewPage, err error) {
	return out, c.call(ctx, "GET", "/v1/reviews", url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(limit)}}, nil, &out)
}

// Decide says what a message meant: stop or keep.
func (c *Client) Decide(ctx context.Context, id int64, verb string) (out DecideReply, err error) {
	return out, c.call(ctx, "POST", "/v1/reviews/"+strconv.FormatInt(id, 10)+"/"+verb, nil, nil, &out)
}

// Link finds the number and the word of a link to sign up.
func (c *Client) Link(ctx context.Context, number, word string) (out LinkReply, err error) {
	return out, c.call(ctx, "GET", "/v1/link", url.Values{"number": {number}, "word": {word}}, nil, &out)
}

// HookTargets lists the systems that hear what happens.
func (c *Client) HookTargets(ctx context.Context) (out []HookTarget, err error) {
	return out, c.call(ctx, "GET", "/v1/hooks", nil, nil, &out)
}

// HookDeliveries lists what waits for one, or with dead what was given up.
func (c *Client) HookDeliveries(ctx context.Context, name string, dead bool) (out []HookDelivery, err error) {
	return out, c.call(ctx, "GET", "/v1/hooks/"+url.PathEscape(name)+"/deliveries", url.Values{"dead": {strconv.FormatBool(dead)}}, nil, &out)
}

// HookCommand does something to a target: pause, resume or retry.
func (c *Client) HookCommand(ctx context.Context, name, verb string) (out HookReply, err error) {
	return out, c.call(ctx, "POST", "/v1/hooks/"+url.PathEscape(name)+"/"+verb, nil, nil, &out)
}

// RetryDelivery tries one delivery again.
func (c *Client) RetryDelivery(ctx context.Context, id int64) (out HookReply, err error) {
	return out, c.call(ctx, "POST", "/v1/deliveries/"+strconv.FormatInt(id, 10)+"/retry", nil, nil, &out)
}
