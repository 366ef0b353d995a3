package dispatch

import (
	"context"
	"errors"
	"time"

	"janela/internal/failpoint"
	"janela/internal/outbox"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// ticket is one claimed message on its way to a sender.
type ticket struct {
	message *outbox.Message // among those of its claim
	stream  *outbox.Stream  // all of a claim share it
	pacer   *pacer
	own     *bucket
	end               // it must not leave later
	closes  time.Time // when the window closes that was open at its claim; zero: never
	root    int64     // the person, where the messaging limit counts them; else 0
	files   files     // that its stream shows
}

// result is what came of a ticket.
type result struct {
	*ticket
	outbox.Result
	answer   cloudapi.Answer
	code     whatsapp.Code // of an error
	details  string
	took     time.Duration
	unknowns int  // in a row on this number, with this one
	resync   bool // what is known of the account is old
}

// launch hands tickets to senders. Each waits for its turn: first for a place
// among the requests under way, then for its lane's share of the rate, then for
// the number's own limit and the person's, as the last thing before the request.
func (l *lane) launch(tickets []*ticket) {
	l.mu.Lock()
	l.flying += len(tickets)
	for _, t := range tickets {
		l.waiting[t.stream.Number]++
	}
	l.mu.Unlock()
	for i, t := range tickets {
		if t.pacer.enter(l.lane, t) {
			l.serve(tickets[i : i+1])
		}
	}
}

// serve starts a sender for each of the tickets, which have a place.
func (l *lane) serve(tickets []*ticket) {
	for _, t := range tickets {
		l.wg.Go(func() { l.sender(t) })
	}
}

// sender sends a ticket, then the one that has its place afterwards, and so on:
// a goroutine for each message would grow its stack each time.
func (l *lane) sender(t *ticket) {
	for t != nil {
		r, begun := l.admit(l.ctx, t)
		l.mu.Lock()
		l.waiting[t.stream.Number]--
		l.mu.Unlock()
		var in []*ticket
		if begun {
			r = l.send(l.sendCtx, t)
			r.unknowns = t.pacer.answered(l.lane, r.To)
			in = t.pacer.done(l.lane, r.took, r.To == outbox.Unknown || r.code.Class == whatsapp.ClassRetry && r.Code == 0)
			<-l.slots
		} else {
			in = t.pacer.exit(l.lane)
			if t.own != nil {
				t.own.give(1)
			}
		}
		l.came(r)
		t = nil
		if len(in) > 0 {
			t = in[0]
			l.serve(in[1:])
		}
	}
}

// admit holds a ticket that has a place until it may leave; begun is false when
// it must go back.
func (l *lane) admit(ctx context.Context, t *ticket) (r result, begun bool) {
	if r, begun = l.d.mayLeave(t); !begun { // it takes nothing of the rate
		return r, false
	}
	r = t.back(time.Time{})
	if t.pacer.wait(ctx, l.lane) != nil {
		return r, false
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return r, false
	}
	next, ok, err := t.pacer.leave(ctx, l.lane, t.message.Contact)
	switch {
	case err != nil || ctx.Err() != nil:
	case !ok: // not_before is cut to milliseconds: it would come again at once
		r = t.back(next.Add(time.Millisecond))
		t.pacer.giveBack(l.lane)
	default:
		if last, may := l.d.mayLeave(t); !may {
			r = last
			break
		}
		return r, true
	}
	<-l.slots
	return r, false
}

// back is the result of a ticket that never reached a sender.
func (t *ticket) back(retry time.Time) result {
	return result{ticket: t, Result: outbox.Result{Message: t.message.ID, Attempt: t.message.Attempt, To: outbox.Queued, Unused: true, Retry: retry}}
}

// codeTime is how long a request with a code may take: the person waits, and an
// outcome that stays unknown is sent once more.
const codeTime = 8 * time.Second

// send makes the one request. That of a code ends with the code's deadline at
// the latest: nothing of it leaves afterwards, also not by a retry further down.
// Of another message no request begins after its time, and one that has begun is
// not cut short: its answer would be lost.
func (l *lane) send(ctx context.Context, t *ticket) result {
	if l.lane == whatsapp.LaneAuthentication {
		end := time.Now().Add(codeTime)
		if t.late(end) {
			end = t.until
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	} else if !t.until.IsZero() {
		ctx = cloudapi.LeaveBy(ctx, t.until)
	}
	failpoint.Hit("dispatch.send")
	r := result{ticket: t, Result: outbox.Result{Message: t.message.ID, Attempt: t.message.Attempt}}
	sender, ok := l.d.cfg.Sender(t.stream.WABA, l.lane)
	if !ok {
		r.To, r.Reason = outbox.Failed, "account_unknown"
		return r
	}
	params, key, err := l.reveal(ctx, t)
	if err != nil {
		r.To, r.Reason = outbox.Failed, "code_unavailable"
		return r
	}
	params, ok = whatsapp.FillFiles(params, t.files.id)
	if !ok {
		r.To, r.Reason = outbox.Failed, "file_unavailable"
		return r
	}
	var template cloudapi.TemplateSend
	m := l.d.message(t, params, &template)
	m.IdentityKeyHash = key
	body := cloudapi.AppendMessage(make([]byte, 0, 256+len(t.stream.Template)+len(params)), m) // not used again: a request that failed may still be read
	start := time.Now()
	send := sender.Send
	if m.Marketing != nil {
		send = sender.SendMarketing
	}
	answer, err := send(ctx, t.stream.Number, body)
	failpoint.Hit("dispatch.answered")
	r.took = time.Since(start)
	if err != nil {
		return r.failed(err)
	}
	r.answer, r.Wamid, r.To = answer, answer.Wamid, outbox.Accepted
	if answer.Held || answer.Paused {
		r.To = outbox.AcceptedHeld
	}
	return r
}

// reveal returns the parameters that leave: those of a code are made now, and
// stand nowhere.
func (l *lane) reveal(ctx context.Context, t *ticket) (params, identityKeyHash string, err error) {
	if t.stream.Category != whatsapp.Authentication {
		return t.message.Params, "", nil
	}
	if l.d.cfg.Reveal == nil {
		return "", "", errors.New("nothing reveals codes")
	}
	return l.d.cfg.Reveal(ctx, *t.message)
}

// message is Meta's form of a ticket; template is room for its own.
func (d *Dispatcher) message(t *ticket, params string, template *cloudapi.TemplateSend) cloudapi.Message {
	id := whatsapp.CallbackID{DB: d.cfg.DB.Name(), Message: t.message.ID, Attempt: t.message.Attempt}
	m := cloudapi.Message{To: t.message.To(), ReplyTo: t.message.ReplyTo, Callback: id.String()}
	if t.stream.Template == "" {
		m.Text = params
	} else {
		if d.cfg.Marketing != nil {
			m.Marketing = d.cfg.Marketing(*t.stream)
		}
		*template = cloudapi.TemplateSend{Name: t.stream.Template, Language: t.stream.Language, Components: params}
		m.Template = template
	}
	return m
}

// failed reads what an error proves. Only a request that surely was not taken
// may be tried again; what stays open is unknown.
func (r result) failed(err error) result {
	var e *cloudapi.Error
	if !errors.As(err, &e) || !e.NotSent {
		r.To, r.Reason = outbox.Unknown, outbox.ReasonNoAnswer
		if e != nil {
			r.Code, r.details = e.Code, e.Details
			r.code = whatsapp.Code{Code: e.Code, Class: whatsapp.ClassUnknown}
		}
		return r
	}
	r.Code, r.details = e.Code, e.Details
	r.code = whatsapp.LookupCode(e.Code, e.HTTPStatus).Said(e.Message + "; " + e.Details)
	if !e.Coded { // no connection was ever made
		r.code = whatsapp.Code{Class: whatsapp.ClassRetry, Meaning: "no connection to Meta"}
	}
	r.Reason = string(r.code.Class)
	r.To = outbox.Failed // settle asks the gate whether it may be tried again
	r.code.RetryAfter = max(r.code.RetryAfter, e.RetryAfter)
	return r
}
