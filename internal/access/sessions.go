package access

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"janela/internal/store"
)

// How long a session lasts: without a request, and at all.
const (
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
)

// touchEvery is how often it is written down that somebody is there.
const touchEvery = time.Minute

// LinkLife is how long a link waits to be used.
const LinkLife = 5 * time.Minute

// How somebody came in.
const (
	byPassword = "password"
	byKey      = "key"
	byLink     = "link"
)

// Errors of sessions.
var (
	ErrNoSession = errors.New("access: there is no such session") // unknown, over, or of somebody who may no more: never told apart
	ErrLogin     = errors.New("access: that does not open the console")
)

// Session is somebody who is in the console. Its token is kept nowhere but in the
// browser.
type Session struct {
	ID      string // names it, and opens nothing
	Name    string // of the operator, of the API key's client, or of the machine's user
	Role    Role   // as it is now
	How     string // password, key or link
	Created time.Time
	Seen    time.Time // to within a minute
	Expires time.Time // unless he does something before
}

// Actor is how the audit log calls whoever it is.
func (s Session) Actor() string {
	switch s.How {
	case byPassword:
		return "operator:" + s.Name
	case byKey:
		return "key:" + s.Name
	default:
		return s.Name
	}
}

// Stale reports whether Touch has something to write down.
func (s Session) Stale(now time.Time) bool { return now.Sub(s.Seen) >= touchEvery }

// consoleRoles are what scopes of API keys permit in the console, the highest
// first.
var consoleRoles = []struct {
	scope string
	role  Role
}{{ScopeConsoleApprove, RoleApprover}, {ScopeConsoleOperate, RoleOperator}, {ScopeConsoleView, RoleViewer}}

// roleOfScopes is the highest that a key permits, "" for none.
func roleOfScopes(scopes []string) Role {
	for _, c := range consoleRoles {
		if slices.Contains(scopes, c.scope) {
			return c.role
		}
	}
	return ""
}

// sessionColumns are those of sessionRow: the session, and what its operator or
// key is now.
const sessionColumns = `s.hash, s.how, s.name, s.key_id, s.created_at, s.seen_at, s.expires_at, coalesce(o.role, ''), coalesce(k.scopes, '[]')
	FROM sessions s LEFT JOIN operators o ON s.how = 'password' AND o.name = s.name AND o.disabled_at = 0
	LEFT JOIN api_keys k ON s.how = 'key' AND k.id = s.key_id AND k.revoked_at = 0 AND (k.expires_at = 0 OR k.expires_at > ?1)`

var (
	sqlNewSession = store.SQL(`INSERT INTO sessions (hash, how, name, key_id, created_at, seen_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)`)
	sqlSession    = store.SQL(`SELECT ` + sessionColumns + ` WHERE s.hash = ?2 AND s.expires_at > ?1`)
	sqlSessions   = store.SQL(`SELECT ` + sessionColumns + ` WHERE s.how = ?2 AND s.name = ?3 AND s.expires_at > ?1 ORDER BY s.created_at DESC, s.hash`)
	sqlTouch      = store.SQL(`UPDATE sessions SET seen_at = ?2, expires_at = ?3 WHERE hash = ?1 AND expires_at > ?2`)
	sqlEndSession = store.SQL(`DELETE FROM sessions WHERE hash = ?1`)
	sqlEndAll     = store.SQL(`DELETE FROM sessions WHERE how = ?1 AND name = ?2`)
	sqlEndOthers  = store.SQL(`DELETE FROM sessions WHERE how = ?1 AND name = ?2 AND hash <> ?3`)
	sqlSweep      = store.SQL(`DELETE FROM sessions WHERE expires_at <= ?1`)

	sqlNewLink    = store.SQL(`INSERT INTO login_links (hash, actor, expires_at) VALUES (?1, ?2, ?3)`)
	sqlLink       = store.SQL(`SELECT actor FROM login_links WHERE hash = ?1 AND expires_at > ?2`)
	sqlUseLink    = store.SQL(`DELETE FROM login_links WHERE hash = ?1`)
	sqlSweepLinks = store.SQL(`DELETE FROM login_links WHERE expires_at <= ?1`)
)

// sessionRow is a row of sessions with what it hangs on.
type sessionRow struct {
	hash, how, name, keyID       string
	createdAt, seenAt, expiresAt int64
	role, scopes                 string
}

// Fields names the places of sessionColumns.
func (r *sessionRow) Fields() []any {
	return []any{&r.hash, &r.how, &r.name, &r.keyID, &r.createdAt, &r.seenAt, &r.expiresAt, &r.role, &r.scopes}
}

// session is what a row is worth now; false: nothing.
func (r *sessionRow) session() (Session, bool, error) {
	s := Session{ID: r.hash[:12], Name: r.name, How: r.how, Created: store.Time(r.createdAt), Seen: store.Time(r.seenAt), Expires: store.Time(r.expiresAt)}
	switch r.how {
	case byPassword:
		s.Role = Role(r.role)
	case byKey:
		var scopes []string
		if err := json.Unmarshal([]byte(r.scopes), &scopes); err != nil {
			return Session{}, false, fmt.Errorf("access: key %s: %w", r.keyID, err)
		}
		s.Role = roleOfScopes(scopes)
	case byLink:
		s.Role = RoleApprover // who may talk to the daemon's socket may do everything anyway
	}
	return s, s.Role.May(RoleViewer), nil
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// newToken returns 256 random bits.
func newToken() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return base64.RawURLEncoding.EncodeToString(secret)
}

// lasts is when a session ends that somebody uses now.
func lasts(created, now time.Time) time.Time {
	idle, end := now.Add(SessionIdle), created.Add(SessionLife)
	if idle.Before(end) {
		return idle
	}
	return end
}

// start begins a session, with a token of its own, and notes who came in.
func start(tx *store.Tx, how, name, keyID string) (token string, s Session, err error) {
	now := tx.Now()
	token = newToken()
	if _, err := tx.Exec(sqlNewSession, hashOf(token), how, name, keyID, store.Millis(now), store.Millis(lasts(now, now))); err != nil {
		return "", Session{}, err
	}
	if s, err = SessionOf(tx, token); err != nil {
		return "", Session{}, err
	}
	return token, s, Note(tx, Entry{Actor: s.Actor(), Command: "login", Object: "console", After: "by " + how + ", " + string(s.Role)})
}

// SessionOf returns the session that a token opens, with the role that its
// operator or key has now, or ErrNoSession.
func SessionOf(q store.Querier, token string) (Session, error) {
	if len(token) != 43 || !tokenForm.MatchString(token) {
		return Session{}, ErrNoSession
	}
	row, ok, err := store.Get[sessionRow](q, sqlSession, store.Millis(q.Now()), hashOf(token))
	if err != nil {
		return Session{}, err
	}
	if !ok {
		return Session{}, ErrNoSession
	}
	s, ok, err := row.session()
	if err == nil && !ok {
		err = ErrNoSession
	}
	if err != nil {
		return Session{}, err
	}
	return s, nil
}

// Sessions lists those of the one whose session s is, newest first.
func Sessions(q store.Querier, s Session) ([]Session, error) {
	rows, err := store.All[sessionRow](q, sqlSessions, store.Millis(q.Now()), s.How, s.Name)
	if err != nil {
		return nil, err
	}
	var out []Session
	for _, r := range rows {
		one, ok, err := r.session()
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, one)
		}
	}
	return out, nil
}

// Touch writes down that somebody is there, which puts the end of his session
// off. Within a minute of the time before it writes nothing: ask Stale first.
func Touch(tx *store.Tx, token string) error {
	s, err := SessionOf(tx, token)
	now := tx.Now()
	if err != nil || !s.Stale(now) {
		return err
	}
	if err := tx.One(sqlTouch, hashOf(token), store.Millis(now), store.Millis(lasts(s.Created, now))); err != nil {
		return err
	}
	if s.How != byPassword {
		return nil
	}
	return tx.One(sqlSeen, s.Name, store.Millis(now))
}

// Logout ends a session. One that is over already stays over.
func Logout(tx *store.Tx, token string) error {
	s, err := SessionOf(tx, token)
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.One(sqlEndSession, hashOf(token)); err != nil {
		return err
	}
	return Note(tx, Entry{Actor: s.Actor(), Command: "logout", Object: "console"})
}

// EndSessions ends all sessions of an operator, and returns how many there were.
func EndSessions(tx *store.Tx, name, actor string) (int, error) {
	n, err := endAll(tx, byPassword, name)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, Note(tx, Entry{Actor: actor, Command: "sessions end", Object: "operator " + name, After: ended(n)})
}

// EndOthers ends the other sessions of whoever a token belongs to, and returns
// how many there were.
func EndOthers(tx *store.Tx, token string) (int, error) {
	s, err := SessionOf(tx, token)
	if err != nil {
		return 0, err
	}
	n, err := tx.Exec(sqlEndOthers, s.How, s.Name, hashOf(token))
	if err != nil || n == 0 {
		return 0, err
	}
	return int(n), Note(tx, Entry{Actor: s.Actor(), Command: "sessions end", Object: s.Actor(), After: ended(int(n)) + ", all but his own"})
}

func endAll(tx *store.Tx, how, name string) (int, error) {
	n, err := tx.Exec(sqlEndAll, how, name)
	return int(n), err
}

// ended tells the audit log how many sessions are over.
func ended(n int) string {
	if n == 1 {
		return "1 session ended"
	}
	return fmt.Sprintf("%d sessions ended", n)
}

// MakeLink returns a token that opens the console once, within LinkLife, as the
// machine's user who asks for it.
func MakeLink(tx *store.Tx, actor string) (token string, expires time.Time, err error) {
	token, expires = newToken(), tx.Now().Add(LinkLife)
	if _, err := tx.Exec(sqlNewLink, hashOf(token), actor, store.Millis(expires)); err != nil {
		return "", time.Time{}, err
	}
	return token, expires, Note(tx, Entry{Actor: actor, Command: "console", Object: "console", After: "a link for one login"})
}

// SweepSessions removes what is over: sessions, and links that nobody used.
func SweepSessions(tx *store.Tx) error {
	now := store.Millis(tx.Now())
	if _, err := tx.Exec(sqlSweep, now); err != nil {
		return err
	}
	_, err := tx.Exec(sqlSweepLinks, now)
	return err
}
