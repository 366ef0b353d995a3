package httpapi

import (
	"fmt"
	"strings"

	"janela/internal/access"
	"janela/internal/store"
	"janela/otp"
)

// authenticate finds the key that a request carries, and counts the request.
func (c *call) authenticate(q store.Querier, scope string) error {
	if err := c.known(q, scope); err != nil {
		return err
	}
	return c.bounded(q.Now())
}

// known finds the key that a request carries (RFC 6750) and asks whether it has
// the scope. It is looked up every time: a revoked key opens nothing from that
// moment on.
func (c *call) known(q store.Querier, scope string) error {
	plain, ok := bearer(c.r.Header["Authorization"])
	if !ok {
		return access.ErrUnauthorized
	}
	key, err := access.Authenticate(q, plain)
	if err != nil {
		return err
	}
	if !key.May(scope) {
		p := publicProblem(codeScope, "this key has not the scope "+scope)
		p.challenge = fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scope)
		return p
	}
	c.key = key
	return nil
}

// bearer takes the token out of the one Authorization field.
func bearer(fields []string) (string, bool) {
	if len(fields) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(fields[0], " ")
	token = strings.TrimLeft(token, " ")
	return token, ok && token != "" && strings.EqualFold(scheme, "Bearer")
}

// caller is who asks, as the otp room knows it.
func (c *call) caller() otp.Caller {
	return otp.Caller{Client: c.key.Client, Purposes: c.key.Purposes, Countries: c.key.Countries}
}
