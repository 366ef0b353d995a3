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
