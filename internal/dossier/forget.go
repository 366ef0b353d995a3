package dossier

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/conversations"
	"janela/internal/hooks"
	"janela/internal/intake"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
	"janela/otp"
)

// Personal says of every table that holds personal data what forgetting somebody
// does to it.
var Personal = map[string]string{
	"identities":       "removed",
	"consent_events":   "the evidence is blanked; its hash stays in the seal",
	"consent_reviews":  "the text is blanked",
	"messages":         "address, parameters and Meta's id are blanked; what is queued is cancelled",
	"past_messages":    "address and Meta's id are blanked; what a message said went when it was moved there",
	"callbacks":        "those that name the person are emptied",
	"hook_payloads":    "those that name the person and have not arrived are emptied",
	"pending_consents": "removed",
	"challenges":       "metadata and masked number are blanked",
	"rejects":          "nothing: they hold a line's number and a reason, and no number or name",
}

// Config says what Forget works with.
type Config struct {
	DB       *store.DB
	Ledger   *optin.Ledger
	Outcomes func(tx *store.Tx, out []outbox.Outcome) error // of what is cancelled
	Reason   string                                         // for the audit log; "" for none
}

// Forgotten says what was done.
type Forgotten struct {
	Contacts  []int64 `json:"contacts"`  // that stay, and name nobody
	Names     int     `json:"names"`     // that were removed
	Messages  int     `json:"messages"`  // whose address and text were blanked
	Cancelled int     `json:"cancelled"` // queued messages
	Callbacks int     `json:"callbacks"` // that were emptied
	Payloads  int     `json:"payloads"`  // on their way to your own systems, that were emptied
}

// forgetBatch is how many rows one transaction empties.
const forgetBatch = 100

// Forget removes what is known of the person of a contact. The names go last, in
// one transaction with all that is found by contact, so that after a crash the
// same command goes on; then the log of the database is emptied. named are names
// under which messages may have been refused while nobody knew the person.
func Forget(ctx context.Context, cfg Config, contact int64, named []whatsapp.Identity, actor string) (Forgotten, error) {
	var out Forgotten
	var ids []whatsapp.Identity
	err := cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
		if out.Contacts, err = contacts.Members(q, contact); err != nil {
			return err
		}
		if len(out.Contacts) == 0 {
			return ErrUnknown
		}
		ids, err = contacts.Identities(q, contact)
		return err
	})
	if err != nil {
		return out, err
	}
	for _, id := range named {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	f := File{}
	for _, id := range ids {
		f.Identities = append(f.Identities, Identity{Value: id.Value})
	}
	// A broken chain is no reason to keep what must go: it stays broken, and seen.
	if _, err := cfg.Ledger.Seal(ctx); err != nil && !errors.Is(err, optin.ErrBroken) {
		return out, err
	}
	sweep := func() error { return cfg.sweep(ctx, f.needles(), &out) }
	if err := sweep(); err != nil {
		return out, err
	}
	if err := cfg.strangers(ctx, ids, &out); err != nil {
		return out, err
	}
	err = cfg.DB.Write(ctx, func(tx *store.Tx) error { return cfg.person(tx, &out, ids, actor) })
	if err != nil {
		return out, err
	}
	if err := sweep(); err != nil { // what came meanwhile
		return out, err
	}
	if _, err := cfg.Ledger.Seal(ctx); err != nil && !errors.Is(err, optin.ErrBroken) { // the head moved
		return out, err
	}
	return out, cfg.DB.Scrub(ctx)
}

// person takes away all that is found by contact.
func (cfg *Config) person(tx *store.Tx, out *Forgotten, ids []whatsapp.Identity, actor string) error {
	if err := cfg.Ledger.Forget(tx, out.Contacts, ids, actor); err != nil {
		return err
	}
	rename := func(message int64, wamid string) (string, error) {
		name := "forgotten-" + rand.Text()
		return name, conversations.ForgetPrice(tx, message, wamid, name)
	}
	for _, contact := range out.Contacts {
		messages, cancelled, err := outbox.Forget(tx, contact, optin.ReasonForgotten, rename)
		if err != nil {
			return err
		}
		if err := cfg.Outcomes(tx, cancelled); err != nil {
			return err
		}
		out.Messages += len(messages)
		out.Cancelled += len(cancelled)
		if err := otp.Forget(tx, messages); err != nil {
			return err
		}
		if err := conversations.Forget(tx, contact); err != nil {
			return err
		}
		if err := contacts.Forget(tx, contact); err != nil {
			return err
		}
	}
	out.Names = len(ids)
	done := fmt.Sprintf("%d names removed, %d messages blanked, %d cancelled", out.Names, out.Messages, out.Cancelled)
	if cfg.Reason != "" {
		done += "; " + cfg.Reason
	}
	return access.Note(tx, access.Entry{Actor: actor, Command: "forget", Object: fmt.Sprintf("contact %d", out.Contacts[0]), After: done})
}

// strangers blanks the messages that were refused while nobody knew the person.
func (cfg *Config) strangers(ctx context.Context, ids []whatsapp.Identity, out *Forgotten) error {
	var messages []int64
	err := cfg.DB.Read(ctx, func(q *store.Snap) error {
		for _, id := range ids {
			found, err := outbox.Strangers(q, id.Value)
			if err != nil {
				return err
			}
			messages = append(messages, found...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(messages, forgetBatch) {
		if err := cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return outbox.ForgetStrangers(tx, batch) }); err != nil {
			return err
		}
		out.Messages += len(batch)
	}
	return nil
}

// sweep empties what Meta posted about the person, and what of it is still on
// its way to the business's own systems.
func (cfg *Config) sweep(ctx context.Context, needles []string, out *Forgotten) error {
	for _, kind := range []struct {
		bodies func(q store.Querier, after int64, limit int, each func(id int64, body []byte)) (int64, bool, error)
		forget func(tx *store.Tx, ids []int64) error
		count  *int
	}{{intake.Bodies, intake.ForgetBodies, &out.Callbacks}, {hooks.Bodies, hooks.ForgetBodies, &out.Payloads}} {
		for after, more := int64(0), true; more; {
			var hit []int64
			err := cfg.DB.Read(ctx, func(q *store.Snap) (err error) {
				after, more, err = kind.bodies(q, after, callbackPage, func(id int64, body []byte) {
					if slices.ContainsFunc(needles, func(n string) bool { return bytes.Contains(body, []byte(n)) }) {
						hit = append(hit, id)
					}
				})
				return err
			})
			if err != nil {
				return err
			}
			for batch := range slices.Chunk(hit, forgetBatch) {
				if err := cfg.DB.Bulk(ctx, func(tx *store.Tx) error { return kind.forget(tx, batch) }); err != nil {
					return err
				}
				*kind.count += len(batch)
			}
		}
	}
	return nil
}
