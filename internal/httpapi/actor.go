package httpapi

import (
	"context"
	"net"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

type actorKey struct{}

// WithActor says who makes the requests that carry the context.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns who is asking, "" for nobody known.
func Actor(ctx context.Context) string {
	a, _ := ctx.Value(actorKey{}).(string)
	return a
}

// WithConn keeps with a unix connection who is at its other end, as the kernel
// says. Requests of other connections are nobody's.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *syscall.Ucred
	err = raw.Control(func(fd uintptr) {
		cred, _ = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || cred == nil {
		return ctx
	}
	return WithActor(ctx, UserName(int(cred.Uid)))
}

// UserName is how the audit log calls a user of this machine: by name, or
// "uid-1000" where the machine knows none.
func UserName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return strings.ReplaceAll(u.Username, " ", "_")
	}
	return "uid-" + id
}
