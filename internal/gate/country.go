package gate

import (
	"slices"
	"time"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// barredFor is how long nothing goes to a country that Meta has barred; then one
// message tries again.
const barredFor = 24 * time.Hour

var (
	sqlBar    = store.SQL(`INSERT INTO barred_countries (waba_id, country, until) VALUES (?1, ?2, ?3) ON CONFLICT (waba_id, country) DO UPDATE SET until = excluded.until`)
	sqlBarred = store.SQL(`SELECT country FROM barred_countries WHERE waba_id = ?1 AND until > ?2`)
	sqlUnbar  = store.SQL(`DELETE FROM barred_countries WHERE until <= ?1`)
)

// bar notes that Meta bars the account from the country of a recipient, where the
// number tells which that is.
func bar(tx *store.Tx, f Failure) error {
	country := countryOf(f.Message.Kind, f.Message.Address)
	if country == "" {
		return nil
	}
	if _, err := tx.Exec(sqlUnbar, store.Millis(tx.Now())); err != nil {
		return err
	}
	_, err := tx.Exec(sqlBar, f.Stream.WABA, country, store.Millis(tx.Now().Add(barredFor)))
	return err
}

func countryOf(kind whatsapp.IdentityKind, address string) string {
	if kind != whatsapp.KindPhone && kind != whatsapp.KindWaID {
		return ""
	}
	return whatsapp.Phone(address).Region()
}

// barred returns the countries that are barred for an account: mostly none.
func barred(q store.Querier, waba string) (out []string, err error) {
	rows, err := store.All[store.Col[string]](q, sqlBarred, waba, store.Millis(q.Now()))
	for _, r := range rows {
		out = append(out, r.V)
	}
	return out, err
}

// barredAmong notes of candidates whose country is barred.
func barredAmong(q store.Querier, s outbox.Stream, rows []candidate) error {
	if reaches(s.Category) {
		return nil
	}
	countries, err := barred(q, s.WABA)
	if err != nil || len(countries) == 0 {
		return err
	}
	for i := range rows {
		rows[i].Facts.Barred = barredIn(countries, countryOf(rows[i].Message.Kind, rows[i].Message.Address))
	}
	return nil
}

// barredFrom is the country of a contact if it is barred for an account, else "".
func barredFrom(q store.Querier, waba string, contact int64) (string, error) {
	countries, err := barred(q, waba)
	if err != nil || len(countries) == 0 {
		return "", err
	}
	phone, _, err := contacts.Phone(q, contact)
	return barredIn(countries, phone.Region()), err
}

func barredIn(countries []string, country string) string {
	if country == "" || !slices.Contains(countries, country) {
		return ""
	}
	return country
}
