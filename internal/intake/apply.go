package intake

import (
	"fmt"
	"strings"

	"janela/internal/account"
	"janela/internal/conversations"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/webhook"
	"janela/optin"
)

func (in *Intake) preference(tx *store.Tx, p webhook.Preference) error {
	ids := identities(p.WaID, p.UserID, p.ParentUserID)
	if len(ids) == 0 || p.Category != "" && p.Category != "marketing_messages" {
		return nil
	}
	if _, err := learn(tx, ids...); err != nil {
		return err
	}
	at := conversations.SaneTime(p.At, tx.Now())
	ev := optin.Evidence{Text: p.Detail, Origin: "WhatsApp preferences"}
	if p.Value == "resume" { // lifts the block set there, and grants nothing
		_, err := optin.Lift(tx, ids[0], whatsapp.Marketing, optin.SourcePreferences, "person", ev, at)
		return err
	}
	_, out, err := optin.Revoke(tx, optin.Revocation{Identities: ids, Categories: []whatsapp.Category{whatsapp.Marketing}, Scope: optin.ScopeMeta,
		Source: optin.SourcePreferences, Actor: "person", Evidence: ev, At: at})
	if err != nil {
		return err
	}
	return in.tell(tx, out)
}

// applyEvent applies everything else but statuses. why names what was not understood.
func (in *Intake) applyEvent(tx *store.Tx, e webhook.Event) (why string, err error) {
	switch e := e.(type) {
	case webhook.Inbound:
		_, why, err = in.inbound(tx, e)
		return why, err
	case webhook.Preference:
		return "", nil // a wish: applied before
	case webhook.UserIDUpdate:
		ids := identities(e.WaID, e.Previous, e.PreviousParent)
		ids = append(ids, identities("", e.Current, e.CurrentParent)...)
		if len(ids) > 1 {
			_, err = learn(tx, ids...)
		}
		return "", err
	case webhook.Unknown:
		return e.Field + ": " + e.Reason, nil
	default:
		return in.ofAccount(tx, e)
	}
}

// ofAccount applies what Meta says of our own templates, numbers and accounts.
func (in *Intake) ofAccount(tx *store.Tx, e webhook.Event) (string, error) {
	switch e := e.(type) {
	case webhook.TemplateStatus:
		return "", in.reread(account.ApplyStatus(tx, whatsapp.TemplateRef{WABA: e.WABA, Name: e.Name, Language: e.Language}, e.Event, e.Reason, e.At))
	case webhook.TemplateCategory:
		ref := whatsapp.TemplateRef{WABA: e.WABA, Name: e.Name, Language: e.Language}
		if !e.Done {
			return "", in.reread(account.ApplyCorrectCategory(tx, ref, e.Correct, e.At))
		}
		c, err := whatsapp.ParseCategory(e.Current)
		if err != nil {
			in.cfg.Resync()
			return "template category: " + err.Error(), nil
		}
		return "", in.reread(account.ApplyCategory(tx, ref, c, e.At))
	case webhook.TemplateQuality:
		return "", in.reread(account.ApplyQuality(tx, whatsapp.TemplateRef{WABA: e.WABA, Name: e.Name, Language: e.Language}, e.Current, e.At))
	case webhook.TemplateComponents, webhook.NumberQuality, webhook.Capability:
		in.cfg.Resync()
		return "", nil
	case webhook.AccountUpdate:
		return "", in.accountUpdate(tx, e)
	case webhook.AccountAlert:
		in.cfg.Log.Warn("Meta alerts", "account", e.WABA, "severity", e.Severity, "type", e.Type)
		return "", nil
	case webhook.AccountReview:
		in.cfg.Log.Warn("Meta reviewed the account", "account", e.WABA, "decision", e.Decision)
		return "", nil
	case webhook.AccountError:
		for _, d := range e.Errors {
			in.cfg.Log.Warn("Meta reports an error of the account", "account", e.WABA, "number", e.NumberID, "code", d.Code, "title", d.Title)
		}
		return "", nil
	case webhook.UsernameUpdate:
		return "", nil // our own number's public name: nothing that we send depends on it
	default:
		return fmt.Sprintf("event %T", e), nil
	}
}

// reread asks for a fresh look at the account where a callback wants it.
func (in *Intake) reread(wanted bool, err error) error {
	if wanted {
		in.cfg.Resync()
	}
	return err
}

// stopping are the restrictions under which business-initiated messages are
// refused (Meta: account_update webhook).
var stopping = map[string]bool{"RESTRICTED_BIZ_INITIATED_MESSAGING": true, "RESTRICTED_UTILITY_TEMPLATES": true}

// accountUpdate stops an account that Meta restricts or bans, until the end
// that Meta names.
func (in *Intake) accountUpdate(tx *store.Tx, e webhook.AccountUpdate) error {
	hold := outbox.Hold{Scope: outbox.ScopeAccount, Target: e.WABA, Reason: "account_blocked", Actor: "meta", Detail: e.Event}
	stop := e.BanState != "" && !strings.EqualFold(e.BanState, "REINSTATE") || e.Event == "ACCOUNT_DELETED"
	for _, r := range e.Restrictions {
		if stopping[r.Type] {
			stop = true
			hold.Detail += ", " + r.Type
			hold.Until = max(hold.Until, store.Millis(r.Until))
		}
	}
	if !stop {
		if strings.EqualFold(e.BanState, "REINSTATE") {
			_, err := outbox.Lift(tx, outbox.ScopeAccount, e.WABA, "account_blocked", "meta")
			return err
		}
		in.cfg.Log.Info("Meta reports a change of the account", "account", e.WABA, "event", e.Event)
		return nil
	}
	in.cfg.Log.Error("Meta restricts the account; its messages stand still", "account", e.WABA, "event", hold.Detail)
	_, err := outbox.Place(tx, hold)
	return err
}
