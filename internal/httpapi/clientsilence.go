package httpapi

import (
	"context"
	"net/url"
	"strconv"
)

// Unknown lists a page of the messages of which nobody knows whether Meta took
// them.
func (c *Client) Unknown(ctx context.Context, q UnknownQuery) (out UnknownPage, err error) {
	v := url.Values{"campaign": {q.Campaign}, "number": {q.Number}, "category": {q.Category}, "resolved": {strconv.FormatBool(q.Resolved)},
		"after": {q.After}}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return out, c.call(ctx, "GET", "/v1/unknown", v, nil, &out)
}

// ResolveUnknown does what a person decided about unknown messages.
func (c *Client) ResolveUnknown(ctx context.Context, in ResolveRequest) (out ResolveReply, err error) {
	return out, c.call(ctx, "POST", "/v1/unknown/resolve", nil, in, &out)
}

// Undeliverable lists a page of the people to whom nothing could be delivered.
func (c *Client) Undeliverable(ctx context.Context, after string) (out UndeliverablePage, err error) {
	return out, c.call(ctx, "GET", "/v1/undeliverable", url.Values{"after": {after}}, nil, &out)
}

// ClearUndeliverable lets messages to a person be tried again.
func (c *Client) ClearUndeliverable(ctx context.Context, of string) (out ClearReply, err error) {
	return out, c.call(ctx, "POST", "/v1/undeliverable/clear", nil, ClearRequest{of}, &out)
}

// FailedCallbacks lists a page of callbacks that could not be applied.
func (c *Client) FailedCallbacks(ctx context.Context, after int64) (out FailedPage, err error) {
	return out, c.call(ctx, "GET", "/v1/callbacks", url.Values{"after": {strconv.FormatInt(after, 10)}}, nil, &out)
}

// RetryCallbacks lets some of them be applied again.
func (c *Client) RetryCallbacks(ctx context.Context, ids []int64) (out RetryReply, err error) {
	return out, c.call(ctx, "POST", "/v1/callbacks/retry", nil, RetryRequest{ids}, &out)
}
