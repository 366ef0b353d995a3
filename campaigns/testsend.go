package campaigns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"janela/internal/access"
	"janela/internal/contacts"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
)

// TestRequest asks for one message of a campaign to one's own telephone.
type TestRequest struct {
	ID    string // the campaign's; the revision that waits goes before the one in force
	To    string // must be in config.toml's test_numbers or the definition's
	Row   int    // data row whose values are used, from 1; 0: the first
	Actor string
	// Done runs in the transaction that queues the message; nil: nothing does.
	Done func(tx *store.Tx, message int64) error
}

// testDeadline ends a test that could not leave: nobody waits longer.
const testDeadline = time.Hour

// Test sends one row's values to a test number, as a single message: consent
// and template are asked as for every other, the campaign's schedule, windows
// and pauses are not. It returns the message's id. What the gate refuses is an
// error with its reason, and nothing is queued.
func (c *Campaigns) Test(ctx context.Context, req TestRequest) (message int64, err error) {
	if req.Actor == "" {
		return 0, refusef("nobody is named as the one who does this")
	}
	to, err := whatsapp.ParsePhone(req.To, c.live.Load().Region)
	if err != nil {
		return 0, refusef("%v", err)
	}
	x, err := c.draft(ctx, req.ID)
	if err != nil {
		return 0, err
	}
	if d := x.in.Def; !slices.Contains(c.live.Load().TestNumbers, to.Phone) && !slices.Contains(d.Approval.Phones, to.Phone) {
		return 0, refuse(RefusedNoTest, "%v is no test number; add it to test_numbers in config.toml, or to [approval] in the definition", to.Phone)
	}
	path, done, err := x.testAudience(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := x.compile(ctx, path); err != nil {
		return 0, asRefusal(err)
	}
	row, err := x.testRow(ctx, path, max(req.Row, 1))
	if err != nil {
		return 0, asRefusal(err)
	}
	err = c.cfg.DB.Write(ctx, func(tx *store.Tx) error {
		if message, err = x.enqueueTest(tx, to.Phone, row, req.Actor); err != nil || req.Done == nil {
			return err
		}
		return req.Done(tx, message)
	})
	return message, err
}

// draft is a run that will not be: of the revision somebody would test now.
func (c *Campaigns) draft(ctx context.Context, id string) (*expansion, error) {
	x := &expansion{c: c, run: RunRecord{Campaign: id}}
	var camp Campaign
	err := c.cfg.DB.Read(ctx, func(q *store.Snap) error {
		var err error
		if camp, err = mustFind(q, id); err != nil {
			return err
		}
		rev := camp.Next
		if rev == 0 {
			rev = camp.Current
		}
		x.run.Revision = rev
		x.rev, _, err = RevisionByID(q, rev)
		return err
	})
	if err != nil {
		return nil, err
	}
	if camp.State == Cancelled {
		return nil, refuse(RefusedCancelled, "campaign %s was cancelled", id)
	}
	if x.in, err = c.inspect(ctx, camp.Path, []byte(x.rev.Definition), nil, true); err != nil {
		return nil, err
	}
	for _, p := range x.in.Problems {
		if p.Severity == tomlfile.Error && frozenMatters(p.Path) {
			return nil, refusef("%s", p.String())
		}
	}
	return x, nil
}

// testAudience returns the frozen audience of a one-off, or the file that a
// series would read if it fired now.
func (x *expansion) testAudience(ctx context.Context) (path string, done func(), err error) {
	done = func() {}
	x.run.Audience = x.in.Def.Recipients.File
	if x.in.Def.oneOff() {
		return x.c.spooled(x.rev.AudienceHash), done, nil
	}
	loc, err := time.LoadLocation(x.in.Def.Zone(x.c.live.Load().Zone))
	if err != nil {
		return "", done, err
	}
	x.run.Audience = x.in.Def.Recipients.FileOn(x.in.at.now.In(loc))
	f, err := x.openAudience(x.run.Audience)
	if err != nil {
		return "", done, asRefusal(err)
	}
	path = f.Name()
	return path, func() { _ = f.Close() }, ctx.Err()
}

// testRow reads one data row.
func (x *expansion) testRow(ctx context.Context, path string, want int) (Recipient, error) {
	var found Recipient
	var wrong error
	n, err := x.each(ctx, path, func(row int, r Recipient, bad *Reject) error {
		if row+1 < want {
			return nil
		}
		if found = r; bad != nil {
			wrong = refusef("row %d (line %d) of %s cannot be used: %s: %s", want, bad.Line, x.run.Audience, bad.Reason, bad.Detail)
		}
		return io.EOF
	})
	switch {
	case wrong != nil:
		return found, wrong
	case errors.Is(err, io.EOF):
		return found, nil
	case err == nil:
		return found, refusef("%s has %d rows, none of them is number %d", x.run.Audience, n, want)
	default:
		return found, err
	}
}

func (x *expansion) enqueueTest(tx *store.Tx, to whatsapp.Phone, row Recipient, actor string) (int64, error) {
	d, number := x.in.Def, x.in.Number
	if row.offerEnded(tx.Now()) {
		return 0, refusef("not sent: the offer of line %d ended at %s", row.Line, row.OfferEnds.Format("2006-01-02T15:04"))
	}
	contact, known, err := contacts.Find(tx, to.Identity())
	if err != nil {
		return 0, err
	}
	if !known {
		return 0, refuse(RefusedConsent, "not sent: %s: nobody has recorded a consent of %v; record it with janela optin grant PHONE --category %s", gate.NoOptIn, to, d.Category)
	}
	s, err := outbox.OpenStream(tx, outbox.Stream{Number: number.ID, WABA: number.WABA, Category: d.Category, Template: d.Template.Name,
		Language: whatsapp.Language(d.Template.Language)})
	if err != nil {
		return 0, err
	}
	holds, err := outbox.Holds(tx)
	if err != nil {
		return 0, err
	}
	stream, err := gate.FactsOfStream(tx, s, holds)
	if err != nil {
		return 0, err
	}
	person, err := gate.FactsOfPerson(tx, contact.ID, d.Category, number)
	if err != nil {
		return 0, err
	}
	if v := gate.Decide(s, gate.DecideStream(stream, tx.Now()), person, tx.Now()); v.Kind == gate.Refuse {
		return 0, refusef("not sent: %s: %s", v.Reason, v.Detail)
	}
	ids, out, err := outbox.Enqueue(tx, s, []outbox.New{{Contact: contact.ID, To: to.Identity(), Params: string(row.Params), Line: row.Line,
		Deadline: sooner(tx.Now().Add(testDeadline), row.OfferEnds)}})
	if err != nil {
		return 0, err
	}
	if err := x.c.tell(tx, out); err != nil {
		return 0, err
	}
	return ids[0], access.Note(tx, access.Entry{Actor: actor, Command: "campaigns test", Object: d.ID,
		After: fmt.Sprintf("message %d to %v, line %d, plan %s", ids[0], to, row.Line, x.rev.PlanHash)})
}

// asRefusal makes of a run's end what a command is refused with.
func asRefusal(err error) error {
	var stop *unusable
	if errors.As(err, &stop) {
		return refusef("%s", stop.note)
	}
	return err
}
