package account

import (
	"strings"

	"janela/internal/store"
)

// Number is one of the business's own sending numbers.
type Number struct {
	ID             string // phone_number_id
	Name           string // as config.toml calls it
	WABA           string
	Unit           string // the business unit whose consents count for it; may be ""
	Display        string
	VerifiedName   string
	Status         string // CONNECTED, …; "" before the first sync
	Quality        string // GREEN, YELLOW, RED
	Throughput     string // STANDARD, HIGH
	MessagingLimit string // TIER_250, …
	OnBizApp       bool
	SeenAt         int64 // ms
}

const numberColumns = `id, name, waba_id, unit, display, verified_name, status, quality, throughput, messaging_limit, on_biz_app, seen_at`

// Fields names the places of numberColumns.
func (n *Number) Fields() []any {
	return []any{&n.ID, &n.Name, &n.WABA, &n.Unit, &n.Display, &n.VerifiedName, &n.Status, &n.Quality, &n.Throughput, &n.MessagingLimit, &n.OnBizApp, &n.SeenAt}
}

var (
	sqlNumber  = store.SQL(`SELECT ` + numberColumns + ` FROM numbers WHERE id = ?1`)
	sqlNumbers = store.SQL(`SELECT ` + numberColumns + ` FROM numbers ORDER BY name`)
	sqlDeclare = store.SQL(`INSERT INTO numbers (id, name, waba_id, unit) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, waba_id = excluded.waba_id, unit = excluded.unit`)
	sqlUnseen     = store.SQL(`SELECT COUNT(*) FROM numbers WHERE waba_id = ?1 AND seen_at = 0`)
	sqlSeenNumber = store.SQL(`UPDATE numbers SET display = ?2, verified_name = ?3, status = ?4, quality = ?5, throughput = ?6,
		messaging_limit = ?7, on_biz_app = ?8, seen_at = ?9 WHERE id = ?1`)
)

// Declare writes the numbers of the configuration.
func Declare(tx *store.Tx, numbers []Number) error {
	for _, n := range numbers {
		if _, err := tx.Exec(sqlDeclare, n.ID, n.Name, n.WABA, n.Unit); err != nil {
			return err
		}
	}
	return nil
}

// NumberByID returns a number by its phone_number_id.
func NumberByID(q store.Querier, id string) (Number, bool, error) {
	return store.Get[Number](q, sqlNumber, id)
}

// Numbers returns the numbers by name.
func Numbers(q store.Querier) ([]Number, error) { return store.All[Number](q, sqlNumbers) }

// Scopes are the consent scopes that speak for messages of the number.
func (n *Number) Scopes() []string {
	out := []string{"*", n.Name}
	if n.Unit != "" {
		out = append(out, n.Unit)
	}
	return out
}

// Meta's throughput of a number, in messages a second over all that it sends
// (Meta: Throughput). A number that is used by the WhatsApp Business app as well
// has less.
const (
	perSecondStandard = 80
	perSecondHigh     = 1000
	perSecondBizApp   = 20
)

// PerSecond is how many messages the number may send in a second: what Meta says
// of it, and never more than ceiling, which is configured (0: not). Where Meta
// says nothing, the ceiling alone counts, or else its standard.
func (n *Number) PerSecond(ceiling float64) float64 {
	var said float64
	switch level := strings.ToUpper(n.Throughput); {
	case n.OnBizApp:
		said = perSecondBizApp
	case level == "HIGH":
		said = perSecondHigh
	case level == "STANDARD":
		said = perSecondStandard
	}
	switch {
	case said == 0 && ceiling > 0:
		return ceiling
	case said == 0:
		return perSecondStandard
	case ceiling > 0:
		return min(said, ceiling)
	default:
		return said
	}
}
