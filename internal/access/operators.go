package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"janela/internal/store"
)

// Role is what somebody may do in the console.
type Role string

// Roles, each of which may what those before it may.
const (
	RoleViewer   Role = "viewer"   // look
	RoleOperator Role = "operator" // and change
	RoleApprover Role = "approver" // and let plans be sent
)

// Roles are all there are, the smallest first.
var Roles = []Role{RoleViewer, RoleOperator, RoleApprover}

// May reports whether the role permits what needs another.
func (r Role) May(need Role) bool {
	needed := slices.Index(Roles, need)
	return needed >= 0 && slices.Index(Roles, r) >= needed
}

// Errors of operators.
var (
	ErrInvalidOperator = errors.New("the operator cannot be made or changed")
	ErrNoOperator      = errors.New("access: there is no such operator")
	ErrOperatorExists  = errors.New("access: there is an operator of this name")
	ErrDisabled        = errors.New("access: the operator is disabled")
)

// Operator is somebody who may log in to the console with a password.
type Operator struct {
	Name       string
	Role       Role
	CreatedAt  time.Time
	CreatedBy  string
	ChangedAt  time.Time // of the password or the role
	SeenAt     time.Time // zero: never; else to within a minute
	DisabledAt time.Time // zero: he is not
	Sessions   int       // that are under way
}

var operatorForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`)

// operatorColumns are those of operatorRow.
const operatorColumns = `o.name, o.role, o.password, o.created_at, o.created_by, o.changed_at, o.seen_at, o.disabled_at`

var (
	sqlNewOperator = store.SQL(`INSERT INTO operators (name, role, password, created_at, created_by, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?4)`)
	sqlOperator    = store.SQL(`SELECT ` + operatorColumns + `, 0 FROM operators o WHERE o.name = ?1`)
	sqlOperators   = store.SQL(`SELECT ` + operatorColumns + `, (SELECT count(*) FROM sessions s WHERE s.how = 'password' AND s.name = o.name AND s.expires_at > ?1)
		FROM operators o ORDER BY o.name`)
	sqlReopen      = store.SQL(`UPDATE operators SET role = ?2, password = ?3, changed_at = ?4, disabled_at = 0 WHERE name = ?1 AND disabled_at > 0`)
	sqlSetPassword = store.SQL(`UPDATE operators SET password = ?2, changed_at = ?3 WHERE name = ?1 AND disabled_at = 0`)
	sqlSetRole     = store.SQL(`UPDATE operators SET role = ?2, changed_at = ?3 WHERE name = ?1 AND disabled_at = 0`)
	sqlDisable     = store.SQL(`UPDATE operators SET disabled_at = ?2 WHERE name = ?1 AND disabled_at = 0`)
	sqlSeen        = store.SQL(`UPDATE operators SET seen_at = ?2 WHERE name = ?1`)
)

// operatorRow is a row of operators.
type operatorRow struct {
	name, role, password          string
	createdAt                     int64
	createdBy                     string
	changedAt, seenAt, disabledAt int64
	sessions                      int
}

// Fields names the places of operatorColumns, and of how many sessions there are.
func (r *operatorRow) Fields() []any {
	return []any{&r.name, &r.role, &r.password, &r.createdAt, &r.createdBy, &r.changedAt, &r.seenAt, &r.disabledAt, &r.sessions}
}

func (r *operatorRow) operator() Operator {
	return Operator{Name: r.name, Role: Role(r.role), CreatedAt: store.Time(r.createdAt), CreatedBy: r.createdBy, ChangedAt: store.Time(r.changedAt),
		SeenAt: store.Time(r.seenAt), DisabledAt: store.Time(r.disabledAt), Sessions: r.sessions}
}

// CheckOperator says what is wrong with a new operator's name and role, before
// his password is asked for.
func CheckOperator(name string, role Role) error {
	var wrong []string
	if !operatorForm.MatchString(name) {
		wrong = append(wrong, "a name has 1 to 32 of a-z, 0-9, ., - and _, and begins with a letter")
	}
	if !slices.Contains(Roles, role) {
		wrong = append(wrong, fmt.Sprintf("role %q is not known; there are viewer, operator, approver", role))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s", ErrInvalidOperator, strings.Join(wrong, "; "))
	}
	return nil
}

// AddOperator makes an operator. One who was disabled comes back, with this role
// and password; of any other it is ErrOperatorExists.
func AddOperator(tx *store.Tx, name string, role Role, p Password, actor string) error {
	if err := CheckOperator(name, role); err != nil {
		return err
	}
	if p.hash == "" {
		return fmt.Errorf("%w: without a password", ErrInvalidOperator)
	}
	now := store.Millis(tx.Now())
	before, ok, err := store.Get[operatorRow](tx, sqlOperator, name)
	note := Entry{Actor: actor, Command: "operators add", Object: "operator " + name, After: string(role)}
	switch {
	case err != nil:
		return err
	case ok && before.disabledAt == 0:
		return ErrOperatorExists
	case ok:
		note.Before = "disabled"
		err = tx.One(sqlReopen, name, string(role), p.hash, now)
	default:
		err = tx.One(sqlNewOperator, name, string(role), p.hash, now, actor)
	}
	if err != nil {
		return err
	}
	return Note(tx, note)
}

// enabled finds an operator who may come in.
func enabled(q store.Querier, name string) (operatorRow, error) {
	row, ok, err := store.Get[operatorRow](q, sqlOperator, name)
	switch {
	case err != nil:
		return operatorRow{}, err
	case !ok:
		return operatorRow{}, ErrNoOperator
	case row.disabledAt != 0:
		return operatorRow{}, ErrDisabled
	default:
		return row, nil
	}
}

// SetPassword gives an operator another password, and ends his sessions.
func SetPassword(tx *store.Tx, name string, p Password, actor string) error {
	if _, err := enabled(tx, name); err != nil {
		return err
	}
	if p.hash == "" {
		return fmt.Errorf("%w: without a password", ErrInvalidOperator)
	}
	if err := tx.One(sqlSetPassword, name, p.hash, store.Millis(tx.Now())); err != nil {
		return err
	}
	n, err := endAll(tx, byPassword, name)
	if err != nil {
		return err
	}
	return Note(tx, Entry{Actor: actor, Command: "operators password", Object: "operator " + name, After: "another password, " + ended(n)})
}

// SetRole gives an operator another role, from the next request of his on. It
// reports whether he had another one.
func SetRole(tx *store.Tx, name string, role Role, actor string) (changed bool, err error) {
	if err := CheckOperator(name, role); err != nil {
		return false, err
	}
	before, err := enabled(tx, name)
	if err != nil || before.role == string(role) {
		return false, err
	}
	if err := tx.One(sqlSetRole, name, string(role), store.Millis(tx.Now())); err != nil {
		return false, err
	}
	return true, Note(tx, Entry{Actor: actor, Command: "operators role", Object: "operator " + name, Before: before.role, After: string(role)})
}

// DisableOperator keeps an operator out from this transaction on, and ends his
// sessions. It reports whether he was in before; AddOperator lets him in again.
func DisableOperator(tx *store.Tx, name, actor string) (changed bool, err error) {
	before, err := enabled(tx, name)
	switch {
	case errors.Is(err, ErrDisabled):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := tx.One(sqlDisable, name, store.Millis(tx.Now())); err != nil {
		return false, err
	}
	n, err := endAll(tx, byPassword, name)
	if err != nil {
		return false, err
	}
	return true, Note(tx, Entry{Actor: actor, Command: "operators disable", Object: "operator " + name, Before: before.role, After: "disabled, " + ended(n)})
}

// Operators lists every operator by name, also those who are disabled.
func Operators(q store.Querier) ([]Operator, error) {
	rows, err := store.All[operatorRow](q, sqlOperators, store.Millis(q.Now()))
	out := make([]Operator, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.operator())
	}
	return out, err
}
