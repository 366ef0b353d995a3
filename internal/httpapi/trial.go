package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/contacts"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// TrialRequest asks for one message to somebody's own telephone, to see that
// messages leave and their callbacks arrive.
type TrialRequest struct {
	Number   string `json:"number,omitempty"` // name; left out: the only one
	To       string `json:"to"`
	Template string `json:"template"` // without variables
	Language string `json:"language"`
}

// TrialReply says that it is queued.
type TrialReply struct {
	Message  int64             `json:"message"`
	Category whatsapp.Category `json:"category"`
}

// trialDeadline ends a trial that could not leave: nobody waits longer.
const trialDeadline = 10 * time.Minute

// trial queues a template without variables. Consent and everything else are
// asked as for every message; what the gate refuses is not queued.
func (s *Server) trial(w http.ResponseWriter, r *http.Request) error {
	var in TrialRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	to, err := s.phone(in.To)
	if err != nil {
		return err
	}
	var out TrialReply
	err = s.cfg.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out, err = s.queueTrial(tx, in, to.Phone, Actor(r.Context()))
		return err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

func (s *Server) queueTrial(tx *store.Tx, in TrialRequest, to whatsapp.Phone, actor string) (out TrialReply, err error) {
	numbers, err := account.Numbers(tx)
	if err != nil {
		return out, err
	}
	at := slices.IndexFunc(numbers, func(n account.Number) bool { return n.Name == in.Number || in.Number == "" && len(numbers) == 1 })
	if at < 0 {
		return out, invalid("there is no number %q", in.Number).hint("config.toml names them")
	}
	n := numbers[at]
	t, ok, err := account.Lookup(tx, whatsapp.TemplateRef{WABA: n.WABA, Name: in.Template, Language: whatsapp.Language(in.Language)})
	switch {
	case err != nil:
		return out, err
	case !ok || t.Missing:
		return out, refused(string(gate.TemplateUnknown), "Meta lists no template %s/%s", in.Template, in.Language).hint("janela templates list shows those that there are")
	case t.Category == whatsapp.Authentication || t.Category == "":
		return out, invalid("%s/%s is of category %q: a trial is marketing or utility", in.Template, in.Language, t.Category)
	}
	needs, err := campaigns.Required(t.ParameterFormat, t.Components)
	if err != nil {
		return out, invalid("%v", err)
	}
	if needs.Header != "" || len(needs.Body)+len(needs.Buttons)+len(needs.Cards) > 0 || needs.Offer {
		return out, invalid("%s/%s needs values", in.Template, in.Language).hint("choose a template without variables; hello_world is one that Meta gives every new account")
	}
	contact, known, err := contacts.Find(tx, to.Identity())
	if err != nil {
		return out, err
	}
	if !known {
		return out, refused(string(gate.NoOptIn), "nobody has recorded a consent of %v", to).hint("janela optin grant PHONE --category %s", t.Category)
	}
	stream, err := outbox.OpenStream(tx, outbox.Stream{Number: n.ID, WABA: n.WABA, Category: t.Category, Template: in.Template, Language: whatsapp.Language(in.Language)})
	if err != nil {
		return out, err
	}
	holds, err := outbox.Holds(tx)
	if err != nil {
		return out, err
	}
	facts, err := gate.FactsOfStream(tx, stream, holds)
	if err != nil {
		return out, err
	}
	person, err := gate.FactsOfPerson(tx, contact.ID, t.Category, n)
	if err != nil {
		return out, err
	}
	if v := gate.Decide(stream, gate.DecideStream(facts, tx.Now()), person, tx.Now()); v.Kind != gate.Go {
		return out, refused(string(v.Reason), "not sent: %s: %s", v.Reason, v.Detail).hint("janela why PHONE says which rule, and what it looks at")
	}
	ids, outcomes, err := outbox.Enqueue(tx, stream, []outbox.New{{Contact: contact.ID, To: to.Identity(), Params: "[]", Deadline: tx.Now().Add(trialDeadline)}})
	if err != nil {
		return out, err
	}
	if err := s.cfg.Outcomes(tx, outcomes); err != nil {
		return out, err
	}
	out.Message, out.Category = ids[0], t.Category
	return out, access.Note(tx, access.Entry{Actor: actor, Command: "connect test", Object: to.String(), After: fmt.Sprintf("message %d on %s", ids[0], n.Name)})
}

// Trial sends one message to somebody's own telephone.
func (c *Client) Trial(ctx context.Context, in TrialRequest) (out TrialReply, err error) {
	return out, c.call(ctx, "POST", "/v1/trials", nil, in, &out)
}
