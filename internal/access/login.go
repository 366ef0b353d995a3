package access

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"

	"janela/internal/store"
)

// Logins lets people into the console, and keeps guessers out.
type Logins struct {
	db       *store.DB
	log      *slog.Logger
	throttle throttle
}

// NewLogins returns a Logins of a database.
func NewLogins(db *store.DB, log *slog.Logger) *Logins { return &Logins{db: db, log: log} }

// Login begins a session of an operator. Whatever is wrong is ErrLogin, after the
// same work; who guesses too often gets a *TooManyError. from is the visitor's
// address.
func (l *Logins) Login(ctx context.Context, name, password string, from netip.Addr) (token string, s Session, err error) {
	name = strings.ToLower(strings.TrimSpace(name))
	var who, at = guesserName(name), guesserAddress(from)
	row, err := l.operator(ctx, name, who, at)
	if err != nil {
		return "", Session{}, err
	}
	ok, err := matches(ctx, row.password, password)
	if err != nil {
		l.throttle.takeBack(who, at)
		return "", Session{}, waits(err)
	}
	if !ok {
		return "", Session{}, l.refused(byPassword, row.name, from)
	}
	err = l.db.Write(ctx, func(tx *store.Tx) error {
		now, err := enabled(tx, name)
		switch {
		case errors.Is(err, ErrNoOperator), errors.Is(err, ErrDisabled), err == nil && now.password != row.password:
			return ErrLogin // changed while the password was being checked
		case err != nil:
			return err
		}
		if err := tx.One(sqlSeen, name, store.Millis(tx.Now())); err != nil {
			return err
		}
		token, s, err = start(tx, byPassword, name, "")
		return err
	})
	if err != nil {
		return "", Session{}, err
	}
	l.throttle.takeBack(at)
	l.throttle.forget(who)
	return token, s, nil
}

// operator finds the one of a name who may come in, and counts the attempt. Of
// anybody else it returns an empty row.
func (l *Logins) operator(ctx context.Context, name string, who ...guesser) (row operatorRow, err error) {
	err = l.db.Read(ctx, func(q *store.Snap) error {
		if err := l.throttle.begin(q.Now(), who...); err != nil {
			return err
		}
		row, err = enabled(q, name)
		if errors.Is(err, ErrNoOperator) || errors.Is(err, ErrDisabled) {
			return nil
		}
		return err
	})
	return row, err
}

// waits says how long to wait when too many passwords are checked at once.
func waits(err error) error {
	if errors.Is(err, ErrBusy) {
		return &TooManyError{firstWait}
	}
	return err
}

// refused logs a failure. The name is told only where it is an operator's: people
// type passwords into the wrong field.
func (l *Logins) refused(how, name string, from netip.Addr) error {
	if name == "" {
		name = "(unknown)"
	}
	l.log.Warn("a login to the console was refused", "how", how, "name", name, "address", from.Unmap().String())
	return ErrLogin
}

// LoginByKey begins a session of the client that has an API key with a scope of
// the console.
func (l *Logins) LoginByKey(ctx context.Context, plain string, from netip.Addr) (token string, s Session, err error) {
	at := guesserAddress(from)
	var k Key
	err = l.db.Read(ctx, func(q *store.Snap) error {
		if err := l.throttle.begin(q.Now(), at); err != nil {
			return err
		}
		k, err = Authenticate(q, strings.TrimSpace(plain))
		return err
	})
	if err == nil && roleOfScopes(k.Scopes) == "" {
		err = ErrUnauthorized
	}
	if err == nil {
		err = l.db.Write(ctx, func(tx *store.Tx) error { token, s, err = start(tx, byKey, k.Client, k.ID); return err })
	}
	switch {
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrNoSession): // the latter: revoked in between
		return "", Session{}, l.refused(byKey, "", from)
	case err != nil:
		return "", Session{}, err
	}
	l.throttle.takeBack(at)
	return token, s, nil
}

// LoginByLink begins a session of the machine's user who asked for a link, and
// uses it up. Guesses are not counted: nobody guesses 256 bits, and so it is the
// way in while somebody else guesses.
func (l *Logins) LoginByLink(ctx context.Context, link string, from netip.Addr) (token string, s Session, err error) {
	if !tokenForm.MatchString(link) {
		return "", Session{}, l.refused(byLink, "", from)
	}
	err = l.db.Write(ctx, func(tx *store.Tx) error {
		row, ok, err := store.Get[store.Col[string]](tx, sqlLink, hashOf(link), store.Millis(tx.Now()))
		if err != nil {
			return err
		}
		if !ok {
			return ErrLogin
		}
		if err := tx.One(sqlUseLink, hashOf(link)); err != nil {
			return err
		}
		token, s, err = start(tx, byLink, row.V, "")
		return err
	})
	switch {
	case errors.Is(err, ErrLogin):
		return "", Session{}, l.refused(byLink, "", from)
	case err != nil:
		return "", Session{}, err
	}
	return token, s, nil
}

// ChangePassword gives the operator whose session a token is another password. It
// ends all his sessions and returns the token of a new one. ErrLogin: the old
// password is not his; ErrNoSession also where the session is none of a password.
func (l *Logins) ChangePassword(ctx context.Context, token, old, fresh string, from netip.Addr) (next string, err error) {
	var s Session
	err = l.db.Read(ctx, func(q *store.Snap) (err error) { s, err = SessionOf(q, token); return err })
	if err == nil && s.How != byPassword {
		err = ErrNoSession
	}
	if err != nil {
		return "", err
	}
	if err := checkPassword(s.Name, fresh); err != nil {
		return "", err
	}
	who, at := guesserName(s.Name), guesserAddress(from)
	row, err := l.operator(ctx, s.Name, who, at)
	if err != nil {
		return "", err
	}
	ok, err := matches(ctx, row.password, old)
	if err != nil {
		l.throttle.takeBack(who, at)
		return "", waits(err)
	}
	if !ok {
		return "", l.refused(byPassword, s.Name, from)
	}
	l.throttle.takeBack(who, at)
	p, err := HashPassword(ctx, s.Name, fresh)
	if err != nil {
		return "", waits(err)
	}
	err = l.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := SessionOf(tx, token); err != nil {
			return err
		}
		if now, err := enabled(tx, s.Name); err != nil || now.password != row.password {
			return errors.Join(err, ErrNoSession)
		}
		if err := SetPassword(tx, s.Name, p, s.Actor()); err != nil {
			return err
		}
		next, _, err = start(tx, byPassword, s.Name, "")
		return err
	})
	if err != nil {
		return "", err
	}
	return next, nil
}
