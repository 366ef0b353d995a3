package optin

import (
	"errors"
	"slices"
	"strings"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// scopeReview marks, in consents, whose marketing waits for a review.
const scopeReview = "@review"

// States of a review.
const (
	ReviewOpen    = "open"    // marketing waits
	ReviewStopped = "stopped" // it was an opt-out
	ReviewKept    = "kept"    // it was none
)

// ErrNoReview says that there is no open review of that id.
var ErrNoReview = errors.New("optin: there is no such open review")

// Doubt is a message that may mean an opt-out, to be looked at by somebody.
type Doubt struct {
	Contact int64  // who wrote it
	Number  string // to which of our numbers (phone_number_id)
	Wamid   whatsapp.Wamid
	Text    string // personal: what the person wrote
	Hint    Hint
	At      time.Time // when
}

// Review is a doubt and what became of it.
type Review struct {
	ID        int64
	Contact   int64
	Number    string
	Text      string // personal; "" once decided
	Hint      Hint
	SaidAt    time.Time
	OpenedAt  time.Time
	State     string
	DecidedAt time.Time // zero while it is open
	DecidedBy string
}

var (
	sqlReviewOf   = store.SQL(`SELECT revoke_event FROM consents WHERE contact_id = ?1 AND category = 'marketing' AND scope = '@review'`)
	sqlOpenReview = store.SQL(`INSERT INTO consent_reviews (id, contact_id, number_id, wamid, text, rule, language, said_at, opened_at, state)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'open') ON CONFLICT DO NOTHING`)
	sqlMark = store.SQL(`INSERT INTO consents (contact_id, category, scope, revoked_at, revoke_event)
		VALUES (?1, 'marketing', '@review', ?2, ?3) ON CONFLICT (contact_id, category, scope) DO NOTHING`)
	sqlUnmark = store.SQL(`DELETE FROM consents WHERE contact_id = ?1 AND category = 'marketing' AND scope = '@review' AND revoke_event = ?2`)
	sqlClose  = store.SQL(`UPDATE consent_reviews SET state = ?2, decided_at = ?3, decided_by = ?4, text = '' WHERE id = ?1 AND state = 'open'`)
	sqlReview = store.SQL(`SELECT ` + reviewColumns + ` FROM consent_reviews WHERE id = ?1`)
	sqlQueue  = store.SQL(`SELECT ` + reviewColumns + ` FROM consent_reviews WHERE state = 'open' AND id > ?1 ORDER BY id LIMIT ?2`)
	sqlOldest = store.SQL(`SELECT COUNT(*), COALESCE(MIN(opened_at), 0) FROM consent_reviews WHERE state = 'open'`)
	sqlOfWho  = store.SQL(`SELECT ` + reviewColumns + ` FROM consent_reviews WHERE contact_id = ?1 ORDER BY id`)
)

const reviewColumns = `id, contact_id, number_id, text, rule, language, said_at, opened_at, state, decided_at, decided_by`

type reviewRow struct {
	Review
	said, opened, decided int64
}

// Fields names the places of reviewColumns.
func (r *reviewRow) Fields() []any {
	return []any{&r.ID, &r.Contact, &r.Number, &r.Text, &r.Hint.Rule, &r.Hint.Language, &r.said, &r.opened, &r.State, &r.decided, &r.DecidedBy}
}

func (r *reviewRow) review() Review {
	r.SaidAt, r.OpenedAt, r.DecidedAt = store.Time(r.said), store.Time(r.opened), store.Time(r.decided)
	return r.Review
}

// OpenReview puts a doubt on the list, and makes marketing wait for the person
// and for everybody a STOP of theirs would reach. Nothing is opened (id 0) for
// the same message again, for somebody whose review is open already, or for who
// has stopped marketing anyway.
func OpenReview(tx *store.Tx, d Doubt) (id int64, err error) {
	reached, err := bound(tx, d.Contact)
	if err != nil {
		return 0, err
	}
	for _, contact := range reached {
		if _, open, err := store.Value[int64](tx, sqlReviewOf, contact); err != nil || open {
			return 0, err
		}
	}
	st, err := Current(tx, d.Contact, whatsapp.Marketing, Scopes("", ""))
	if err != nil || st.Reason == ReasonOptedOut {
		return 0, err
	}
	id = tx.NewID()
	text := strings.ToValidUTF8(d.Text, "\uFFFD")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	n, err := tx.Exec(sqlOpenReview, id, d.Contact, d.Number, string(d.Wamid), text, d.Hint.Rule, d.Hint.Language, store.Millis(d.At), store.Millis(tx.Now()))
	if err != nil || n == 0 {
		return 0, err
	}
	for _, contact := range reached {
		if err := mark(tx, contact, store.Millis(tx.Now()), id); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func mark(tx *store.Tx, contact, since, review int64) error {
	_, err := tx.Exec(sqlMark, contact, since, review)
	return err
}

// bound returns the contact, and everybody a STOP of theirs would reach.
func bound(q store.Querier, contact int64) ([]int64, error) {
	ids, err := contacts.Identities(q, contact)
	if err != nil {
		return nil, err
	}
	reached, err := contacts.Reach(q, ids...)
	if err != nil || slices.Contains(reached, contact) {
		return reached, err
	}
	return append(reached, contact), nil // forgotten: nothing leads there any more
}

// closeReview ends an open review; false: it is not open. Whom it bound can only
// have become more.
func closeReview(tx *store.Tx, r Review, state, by string) (bool, error) {
	n, err := tx.Exec(sqlClose, r.ID, state, store.Millis(tx.Now()), by)
	if err != nil || n == 0 {
		return false, err
	}
	reached, err := bound(tx, r.Contact)
	if err != nil {
		return false, err
	}
	for _, contact := range reached {
		if _, err := tx.Exec(sqlUnmark, contact, r.ID); err != nil {
			return false, err
		}
	}
	return true, nil
}

// ReviewByID returns a review.
func ReviewByID(q store.Querier, id int64) (Review, bool, error) {
	row, ok, err := store.Get[reviewRow](q, sqlReview, id)
	return row.review(), ok, err
}

// DecideReview says what an open review meant. With stop it is a revocation of
// marketing, whose evidence is what the person wrote, at the time they wrote it;
// its outcomes are for the caller to hand on. It is ErrNoReview when it is not
// open.
func DecideReview(tx *store.Tx, id int64, stop bool, actor string) (Review, []outbox.Outcome, error) {
	r, ok, err := ReviewByID(tx, id)
	if err != nil {
		return r, nil, err
	}
	if !ok || r.State != ReviewOpen {
		return r, nil, ErrNoReview
	}
	state := ReviewKept
	if stop {
		state = ReviewStopped
	}
	// Before Revoke, which would close it in its own name.
	if ok, err := closeReview(tx, r, state, actor); err != nil || !ok {
		return r, nil, errors.Join(err, ErrNoReview)
	}
	var out []outbox.Outcome
	if stop {
		ids, err := contacts.Identities(tx, r.Contact)
		if err != nil {
			return r, nil, err
		}
		if len(ids) == 0 { // forgotten meanwhile: suppressed for ever
			r, _, err = ReviewByID(tx, id)
			return r, nil, err
		}
		_, out, err = Revoke(tx, Revocation{Identities: ids, Categories: []whatsapp.Category{whatsapp.Marketing}, Source: SourceWhatsApp, Actor: actor,
			Evidence: Evidence{Text: r.Text, Origin: "reply to number " + r.Number, Via: "decided by an operator; the rule was " + r.Hint.Rule}, At: r.SaidAt})
		if err != nil {
			return r, nil, err
		}
	}
	outbox.WakeAll(tx)
	r, _, err = ReviewByID(tx, id)
	return r, out, err
}

// SettleReviews ends the open reviews that bind a contact, because the person
// has said now what they want.
func SettleReviews(tx *store.Tx, contact int64, state, by string) error {
	reached, err := bound(tx, contact)
	if err != nil {
		return err
	}
	return settleReviews(tx, reached, state, by)
}

func settleReviews(tx *store.Tx, reached []int64, state, by string) error {
	for _, contact := range reached {
		id, open, err := store.Value[int64](tx, sqlReviewOf, contact)
		if err != nil {
			return err
		}
		if !open {
			continue
		}
		r, _, err := ReviewByID(tx, id)
		if err != nil {
			return err
		}
		if _, err := closeReview(tx, r, state, by); err != nil {
			return err
		}
	}
	return nil
}

// stopReviews ends the reviews of those who have stopped all marketing now.
func stopReviews(tx *store.Tx, reached []int64, by string) error {
	for _, contact := range reached {
		if _, open, err := store.Value[int64](tx, sqlReviewOf, contact); err != nil {
			return err
		} else if !open {
			continue
		}
		st, err := Current(tx, contact, whatsapp.Marketing, Scopes("", ""))
		if err != nil {
			return err
		}
		if st.Reason != ReasonOptedOut {
			continue // an older revocation than the grant that holds
		}
		if err := settleReviews(tx, []int64{contact}, ReviewStopped, by); err != nil {
			return err
		}
	}
	return nil
}

// OpenReviews lists the reviews that nobody has decided, from behind the id after
// on, the oldest first.
func OpenReviews(q store.Querier, after int64, limit int) ([]Review, error) {
	return reviews(q, sqlQueue, after, limit)
}

// ReviewsOf lists every review of a contact, the oldest first.
func ReviewsOf(q store.Querier, contact int64) ([]Review, error) {
	return reviews(q, sqlOfWho, contact)
}

func reviews(q store.Querier, s *store.Stmt, args ...any) ([]Review, error) {
	rows, err := store.All[reviewRow](q, s, args...)
	out := make([]Review, len(rows))
	for i := range rows {
		out[i] = rows[i].review()
	}
	return out, err
}

// ReviewQueue tells how many reviews are open, and since when the oldest is.
func ReviewQueue(q store.Querier) (n int64, oldest time.Time, err error) {
	row, _, err := store.Get[queueRow](q, sqlOldest)
	return row.n, store.Time(row.oldest), err
}

type queueRow struct{ n, oldest int64 }

// Fields names the places of sqlOldest.
func (r *queueRow) Fields() []any { return []any{&r.n, &r.oldest} }
