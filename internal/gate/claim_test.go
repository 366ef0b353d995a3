package gate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/contacts"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// TestClaim queues one message to one person and looks what a claim makes of
// it, under facts as the ledgers hold them.
func TestClaim(t *testing.T) {
	hour := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	var never time.Time
	mkt := whatsapp.Marketing
	// joined makes another contact the same person.
	joined := func(tx *store.Tx, contact int64) (int64, error) {
		other, err := person(tx, 9)
		if err != nil {
			return 0, err
		}
		_, err = contacts.Learn(tx, phone(1), phone(9))
		return other.ID, err
	}
	type facts func(tx *store.Tx, contact int64) error
	granted := func(scope string, c whatsapp.Category) facts {
		return func(tx *store.Tx, contact int64) error { return consent(tx, contact, c, scope, hour(-1), never) }
	}
	both := func(scope string, grantedAt, revokedAt time.Time) facts {
		return func(tx *store.Tx, contact int64) error { return consent(tx, contact, mkt, scope, grantedAt, revokedAt) }
	}
	also := func(all ...facts) facts {
		return func(tx *store.Tx, contact int64) error {
			for _, f := range all {
				if err := f(tx, contact); err != nil {
					return err
				}
			}
			return nil
		}
	}
	other := func(f facts) facts {
		return func(tx *store.Tx, contact int64) error {
			o, err := joined(tx, contact)
			if err != nil {
				return err
			}
			return f(tx, o)
		}
	}
	held := func(h outbox.Hold) facts {
		return func(tx *store.Tx, _ int64) error { _, err := outbox.Place(tx, h); return err }
	}
	ok := granted("*", mkt)
	template := func(name string) func(*outbox.Stream) { return func(s *outbox.Stream) { s.Template = name } }

	w := newWorld(t)
	for _, c := range []struct {
		name   string
		facts  facts
		change func(*outbox.Stream)
		want   outbox.State
		reason Reason
	}{
		{name: "granted everywhere", facts: ok, want: outbox.Sending},
		{name: "granted for the number", facts: granted("loja", mkt), want: outbox.Sending},
		{name: "granted for its unit", facts: granted("varejo", mkt), want: outbox.Sending},
		{name: "granted for another number", facts: granted("cobranca", mkt), want: outbox.Refused, reason: NoOptIn},
		{name: "granted by nobody", want: outbox.Refused, reason: NoOptIn},
		{name: "granted in another category", facts: granted("*", whatsapp.Utility), want: outbox.Refused, reason: NoOptIn},
		{name: "a lifted block is no grant", facts: granted("@meta", mkt), want: outbox.Refused, reason: NoOptIn},
		{name: "granted by the same person's other contact", facts: other(ok), want: outbox.Refused, reason: NoOptIn},
		{name: "a number without a unit takes no grant of an empty scope", facts: granted("", mkt), change: func(s *outbox.Stream) { s.Number = number2 }, want: outbox.Refused, reason: NoOptIn},

		{name: "revoked later", facts: both("*", hour(-2), hour(-1)), want: outbox.Refused, reason: OptedOut},
		{name: "revoked at the same instant", facts: both("*", hour(-1), hour(-1)), want: outbox.Refused, reason: OptedOut},
		{name: "granted again", facts: both("*", hour(-1), hour(-2)), want: outbox.Sending},
		{name: "revoked for the number", facts: also(ok, both("loja", never, hour(0))), want: outbox.Refused, reason: OptedOut},
		{name: "revoked for the unit", facts: also(ok, both("varejo", never, hour(0))), want: outbox.Refused, reason: OptedOut},
		{name: "revoked for another number", facts: also(ok, both("cobranca", never, hour(0))), want: outbox.Sending},
		{name: "granted for the number, revoked everywhere", facts: also(granted("loja", mkt), both("*", never, hour(0))), want: outbox.Refused, reason: OptedOut},
		{name: "revoked by the same person's other contact", facts: also(ok, other(both("*", never, hour(0)))), want: outbox.Refused, reason: OptedOut},
		{name: "revoked by the other contact before the grant", facts: also(ok, other(both("*", never, hour(-2)))), want: outbox.Sending},
		{name: "revoked in another category", facts: also(ok, func(tx *store.Tx, contact int64) error {
			return consent(tx, contact, whatsapp.Utility, "*", never, hour(0))
		}), want: outbox.Sending},
		{name: "blocked in WhatsApp", facts: also(ok, both("@meta", never, hour(-3))), want: outbox.Refused, reason: OptedOut},
		{name: "blocked and lifted", facts: also(ok, both("@meta", hour(-2), hour(-3))), want: outbox.Sending},
		{name: "blocked by the other contact", facts: also(ok, other(both("@meta", never, hour(-3)))), want: outbox.Refused, reason: OptedOut},

		{name: "template paused", facts: ok, change: template("paused"), want: outbox.Queued},
		{name: "template rejected", facts: ok, change: template("rejected"), want: outbox.Queued},
		{name: "template never listed", facts: ok, change: template("invented"), want: outbox.Queued},
		{name: "template no longer listed", facts: ok, change: template("missing"), want: outbox.Queued},
		{name: "template of another category", facts: ok, change: template("utility"), want: outbox.Queued},
		{name: "template in another language", facts: ok, change: func(s *outbox.Stream) { s.Language = "pt" }, want: outbox.Queued},
		{name: "template of another account", facts: ok, change: func(s *outbox.Stream) { s.WABA = "901" }, want: outbox.Queued},
		{name: "template changed", facts: ok, change: func(s *outbox.Stream) { s.TemplateHash = "of before" }, want: outbox.Queued},
		{name: "any template's parameters", facts: ok, change: func(s *outbox.Stream) { s.TemplateHash = "" }, want: outbox.Sending},
		{name: "skip a paused one", facts: ok, change: func(s *outbox.Stream) { s.Template, s.NotApproved = "paused", "skip" }, want: outbox.Refused, reason: TemplateSkipped},
		{name: "fail a paused one", facts: ok, change: func(s *outbox.Stream) { s.Template, s.NotApproved = "paused", "fail" }, want: outbox.Refused, reason: TemplateSkipped},
		{name: "skip an unknown one", facts: ok, change: func(s *outbox.Stream) { s.Template, s.NotApproved = "missing", "skip" }, want: outbox.Refused, reason: TemplateSkipped},
		{name: "skip is not about drift", facts: ok, change: func(s *outbox.Stream) { s.Template, s.NotApproved = "utility", "skip" }, want: outbox.Queued},
		{name: "skip and approved", facts: ok, change: func(s *outbox.Stream) { s.NotApproved = "skip" }, want: outbox.Sending},
		{name: "paused waits although nobody consented", change: template("paused"), want: outbox.Queued},

		{name: "number not configured", facts: ok, change: func(s *outbox.Stream) { s.Number = number3 }, want: outbox.Queued},
		{name: "outside its windows", facts: ok, change: func(s *outbox.Stream) {
			s.Windows = outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{start.Weekday()}, From: 0, To: 720}}}
		}, want: outbox.Queued},
		{name: "dry run", facts: ok, change: func(s *outbox.Stream) { s.DryRun = true }, want: outbox.Cancelled, reason: DryRun},
		{name: "dry run of who never consented", change: func(s *outbox.Stream) { s.DryRun = true }, want: outbox.Refused, reason: NoOptIn},

		{name: "held everywhere", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeAll, Reason: "stop"})), want: outbox.Queued},
		{name: "held account", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeAccount, Target: waba})), want: outbox.Queued},
		{name: "held number", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeNumber, Target: number1})), want: outbox.Queued},
		{name: "held category", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeCategory, Target: "marketing"})), want: outbox.Queued},
		{name: "held template", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeTemplate, Target: "900/marketing/pt_BR"})), want: outbox.Queued},
		{name: "held campaign", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeCampaign, Target: "natal"})), change: func(s *outbox.Stream) { s.Campaign, s.Run = "natal", 7 }, want: outbox.Queued},
		{name: "another campaign held", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeCampaign, Target: "natal"})), want: outbox.Sending},
		{name: "another number held", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeNumber, Target: number2})), want: outbox.Sending},
		{name: "held until a minute ago", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeAll, Until: ms(-1)})), want: outbox.Sending},
		{name: "held for another minute", facts: also(ok, held(outbox.Hold{Scope: outbox.ScopeAll, Until: ms(1)})), want: outbox.Queued},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.undone(t, func(tx *store.Tx) error {
				for name, status := range map[string]whatsapp.TemplateStatus{"paused": whatsapp.TemplatePaused, "rejected": whatsapp.TemplateRejected, "missing": whatsapp.TemplateApproved} {
					if err := listed(tx, name, mkt, status, hash, name == "missing"); err != nil {
						return err
					}
				}
				p, err := person(tx, 1)
				if err != nil {
					return err
				}
				if c.facts != nil {
					if err := c.facts(tx, p.ID); err != nil {
						return err
					}
				}
				s := streamOf(mkt)
				if c.change != nil {
					c.change(&s)
				}
				_, ids, err := queue(tx, s, p.ID)
				if err != nil {
					return err
				}
				claimed, out, err := claimAll(tx, whatsapp.LaneMarketing, 10)
				if err != nil {
					return err
				}
				if (len(claimed) == 1) != (c.want == outbox.Sending) || (len(out) == 1) != (c.want != outbox.Queued) {
					t.Errorf("%d claimed, outcomes %+v", len(claimed), out)
				}
				m, _, err := outbox.ByID(tx, ids[0])
				attempts := map[bool]int{true: 1}[c.want == outbox.Sending]
				if m.State != c.want || m.Reason != string(c.reason) || m.Attempt != attempts || m.NotBefore != 0 {
					t.Errorf("it is %s %q after %d attempts, not before %d; want %s %q", m.State, m.Reason, m.Attempt, m.NotBefore, c.want, c.reason)
				}
				return err
			})
		})
	}
}

// Messages of other categories, and what is about one message of several.
func TestClaimJudgesEachMessage(t *testing.T) {
	w := newWorld(t)
	type msg struct {
		category whatsapp.Category
		to       outbox.New
		want     outbox.State
		reason   Reason
	}
	consented, unknown := int64(0), int64(0)
	w.write(t, func(tx *store.Tx) error {
		a, err := person(tx, 1)
		if err != nil {
			return err
		}
		b, err := person(tx, 2)
		if err != nil {
			return err
		}
		consented, unknown = a.ID, b.ID
		for _, c := range []whatsapp.Category{whatsapp.Utility, whatsapp.Authentication} {
			if err := grant(tx, consented, c); err != nil {
				return err
			}
		}
		_, err = tx.Exec(putWindow, number1, unknown, ms(10)) // who wrote to us, and consented to nothing
		return err
	})
	bsuid := whatsapp.BSUID("BR.1502").Identity()
	rows := []msg{
		{whatsapp.Utility, outbox.New{Contact: consented, To: phone(1)}, outbox.Sending, ""},
		{whatsapp.Utility, outbox.New{Contact: consented, To: bsuid}, outbox.Sending, ""},
		{whatsapp.Utility, outbox.New{Contact: unknown, To: phone(2)}, outbox.Refused, NoOptIn},
		{whatsapp.Utility, outbox.New{Contact: consented, To: phone(1), NotBefore: at(1)}, outbox.Queued, ""},
		{whatsapp.Utility, outbox.New{Contact: consented, To: phone(1), NotBefore: at(0)}, outbox.Sending, ""},
		{whatsapp.Utility, outbox.New{Contact: consented, To: phone(1), Deadline: at(0)}, outbox.Expired, Deadline},
		{whatsapp.Utility, outbox.New{Contact: consented, To: phone(1), Deadline: at(1)}, outbox.Sending, ""},
		{whatsapp.Authentication, outbox.New{Contact: consented, To: phone(1)}, outbox.Sending, ""},
		{whatsapp.Authentication, outbox.New{Contact: consented, To: bsuid}, outbox.Refused, AuthenticationOnly},
		{whatsapp.Service, outbox.New{Contact: consented, To: phone(1)}, outbox.Refused, WindowClosed},
		{whatsapp.Service, outbox.New{Contact: unknown, To: phone(2)}, outbox.Sending, ""},
	}
	ids := make([]int64, len(rows))
	w.write(t, func(tx *store.Tx) error {
		for i, r := range rows {
			s, err := outbox.OpenStream(tx, streamOf(r.category))
			if err != nil {
				return err
			}
			got, _, err := outbox.Enqueue(tx, s, []outbox.New{r.to})
			if err != nil {
				return err
			}
			ids[i] = got[0]
		}
		return nil
	})
	w.write(t, func(tx *store.Tx) error {
		for _, l := range []whatsapp.Lane{whatsapp.LaneAuthentication, whatsapp.LaneUtility, whatsapp.LaneMarketing} {
			if _, _, err := claimAll(tx, l, 100); err != nil {
				return err
			}
		}
		for i, r := range rows {
			m, _, err := outbox.ByID(tx, ids[i])
			if err != nil {
				return err
			}
			if m.State != r.want || m.Reason != string(r.reason) {
				t.Errorf("row %d, %s to %v: %s %q, want %s %q", i, r.category, r.to.To, m.State, m.Reason, r.want, r.reason)
			}
		}
		return nil
	})
}

// Whatever is committed between the look at the streams and the claim counts.
func TestWhatComesBetweenLookAndClaimCounts(t *testing.T) {
	for _, c := range []struct {
		name    string
		between func(tx *store.Tx) error
		want    outbox.State
		reason  string
	}{
		{"nothing", func(*store.Tx) error { return nil }, outbox.Sending, ""},
		{"a revocation in the ledger alone", func(tx *store.Tx) error {
			c, err := person(tx, 1)
			if err != nil {
				return err
			}
			return consent(tx, c.ID, whatsapp.Marketing, "*", at(-60), at(0))
		}, outbox.Refused, "opted_out"},
		{"a STOP", func(tx *store.Tx) error {
			_, _, err := optin.Revoke(tx, optin.Revocation{Identities: []whatsapp.Identity{phone(1)}, Categories: []whatsapp.Category{whatsapp.Marketing},
				Source: optin.SourceWhatsApp, At: tx.Now()})
			return err
		}, outbox.Cancelled, "opted_out"},
		{"a hold", func(tx *store.Tx) error {
			_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAll, Reason: "stop"})
			return err
		}, outbox.Queued, ""},
		{"a template's pause", func(tx *store.Tx) error {
			_, err := tx.Exec(pauseTemplate)
			return err
		}, outbox.Queued, ""},
		{"a join with somebody who had revoked", func(tx *store.Tx) error {
			other, err := person(tx, 2)
			if err != nil {
				return err
			}
			if err := consent(tx, other.ID, whatsapp.Marketing, "*", time.Time{}, at(-1)); err != nil {
				return err
			}
			_, err = contacts.Learn(tx, phone(1), phone(2))
			return err
		}, outbox.Refused, "opted_out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var id int64
			w.write(t, func(tx *store.Tx) error {
				p, err := person(tx, 1)
				if err != nil {
					return err
				}
				if err := grant(tx, p.ID, whatsapp.Marketing); err != nil {
					return err
				}
				_, ids, err := queue(tx, streamOf(whatsapp.Marketing), p.ID)
				id = ids[0]
				return err
			})
			var open []Open
			if err := w.Read(t.Context(), func(s *store.Snap) (err error) { open, _, err = Opens(s, whatsapp.LaneMarketing); return err }); err != nil || len(open) != 1 {
				t.Fatalf("%d open streams, %v", len(open), err)
			}
			w.write(t, c.between)
			w.write(t, func(tx *store.Tx) error {
				if _, _, err := Claim(tx, open[0], 10); err != nil {
					return err
				}
				m, _, err := outbox.ByID(tx, id)
				if m.State != c.want || m.Reason != c.reason {
					t.Errorf("it is %s %q, want %s %q", m.State, m.Reason, c.want, c.reason)
				}
				return err
			})
		})
	}
}

var pauseTemplate = store.SQL(`UPDATE templates SET status = 'PAUSED' WHERE name = 'marketing'`)

// Opens says when the next closed stream opens by itself.
func TestOpensNext(t *testing.T) {
	w := newWorld(t)
	afternoon := outbox.Windows{Zone: "UTC", List: []outbox.Window{{Days: []time.Weekday{start.Weekday()}, From: 780, To: 800}}}
	for _, c := range []struct {
		name   string
		change func(*outbox.Stream)
		holds  []outbox.Hold
		open   int
		next   time.Time
	}{
		{"open", nil, nil, 1, time.Time{}},
		{"held for 5 minutes", nil, []outbox.Hold{{Scope: outbox.ScopeAll, Until: ms(5)}}, 0, at(5)},
		{"held until lifted", nil, []outbox.Hold{{Scope: outbox.ScopeAll}}, 0, time.Time{}},
		{"held for 5 and for 9 minutes", nil, []outbox.Hold{{Scope: outbox.ScopeAll, Reason: "a", Until: ms(9)}, {Scope: outbox.ScopeAll, Reason: "b", Until: ms(5)}}, 0, at(9)},
		{"held for 5 minutes and until lifted", nil, []outbox.Hold{{Scope: outbox.ScopeAll, Reason: "a", Until: ms(5)}, {Scope: outbox.ScopeAll, Reason: "b"}}, 0, time.Time{}},
		{"probe in 5 minutes", nil, []outbox.Hold{{Scope: outbox.ScopeAll, Until: ms(5), Probe: true}}, 0, at(5)},
		{"opens in an hour", func(s *outbox.Stream) { s.Windows = afternoon }, nil, 0, at(60)},
		{"opens in an hour, held for two", func(s *outbox.Stream) { s.Windows = afternoon }, []outbox.Hold{{Scope: outbox.ScopeAll, Until: ms(120)}}, 0, at(120)},
		{"template paused", func(s *outbox.Stream) { s.Template = "utility" }, []outbox.Hold{{Scope: outbox.ScopeAll, Until: ms(5)}}, 0, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.undone(t, func(tx *store.Tx) error {
				s := streamOf(whatsapp.Marketing)
				if c.change != nil {
					c.change(&s)
				}
				for _, h := range c.holds {
					if _, err := outbox.Place(tx, h); err != nil {
						return err
					}
				}
				if _, _, err := queue(tx, s, 1); err != nil {
					return err
				}
				open, next, err := Opens(tx, whatsapp.LaneMarketing)
				if len(open) != c.open || !next.Equal(c.next) {
					t.Errorf("%d open, next %v; want %d, %v", len(open), next, c.open, c.next)
				}
				return err
			})
		})
	}
}

// A hold that may probe lets one message through over all its streams, and
// waits twice as long after each; what Meta takes lifts it.
func TestProbe(t *testing.T) {
	w := newWorld(t)
	var people []int64
	w.write(t, func(tx *store.Tx) error {
		for i := range 60 {
			p, err := person(tx, i+1)
			if err != nil {
				return err
			}
			people = append(people, p.ID)
			if i == 0 {
				continue // the first of the queue never consented
			}
			if err := grant(tx, p.ID, whatsapp.Marketing); err != nil {
				return err
			}
		}
		hold := outbox.Hold{Scope: outbox.ScopeAccount, Target: waba, Reason: "payment", Until: ms(30), Probe: true}
		if _, err := outbox.Place(tx, hold); err != nil {
			return err
		}
		s := streamOf(whatsapp.Marketing)
		for run := range int64(2) {
			s.Run, s.Campaign = run, fmt.Sprint("campaign", run)
			if _, _, err := queue(tx, s, people...); err != nil {
				return err
			}
		}
		return nil
	})
	var last outbox.Message
	probes := func() (n int) {
		w.write(t, func(tx *store.Tx) error {
			for range 3 { // a lane looks again and again
				claimed, _, err := claimAll(tx, whatsapp.LaneMarketing, 20)
				if err != nil {
					return err
				}
				if n += len(claimed); len(claimed) > 0 {
					last = claimed[0]
				}
			}
			return nil
		})
		return n
	}
	if n := probes(); n != 0 {
		t.Fatalf("%d went before the hold's time", n)
	}
	w.wall = at(30).Add(-time.Millisecond)
	if n := probes(); n != 0 {
		t.Fatalf("%d went a millisecond before the hold's time", n)
	}
	// The first candidate is refused, which proves nothing and costs no time.
	w.wall = at(30)
	for try, wait := range []int{1, 2, 4, 8, 16, 32, 64, 64, 64} {
		if n := probes(); n != 1 {
			t.Fatalf("probe %d: %d messages went, want one", try+1, n)
		}
		w.wall = w.wall.Add(time.Duration(wait)*time.Minute - time.Millisecond)
		if n := probes(); n != 0 {
			t.Fatalf("after probe %d: another %d went before %d minutes had passed", try+1, n, wait)
		}
		w.wall = w.wall.Add(time.Millisecond)
	}
	w.write(t, func(tx *store.Tx) error {
		s, _, err := outbox.StreamByID(tx, last.Stream)
		if err != nil {
			return err
		}
		return liftProbed(tx, s)
	})
	if n, left := probes(), 2*59-9; n != left {
		t.Errorf("%d went after the hold was lifted, want the %d that were left", n, left)
	}
}

// What is taken lifts the holds whose probe it can have been, and no others.
func TestLiftProbed(t *testing.T) {
	w := newWorld(t)
	holds := []outbox.Hold{
		{Scope: outbox.ScopeNumber, Target: number1, Reason: "probed", Until: ms(5), Probe: true, Tries: 1},
		{Scope: outbox.ScopeNumber, Target: number1, Reason: "not yet probed", Until: ms(5), Probe: true},
		{Scope: outbox.ScopeNumber, Target: number1, Reason: "for a time", Until: ms(5), Tries: 1},
		{Scope: outbox.ScopeNumber, Target: number2, Reason: "another number", Until: ms(5), Probe: true, Tries: 1},
		{Scope: outbox.ScopeAccount, Target: waba, Reason: "account", Until: ms(5), Probe: true, Tries: 3},
	}
	w.write(t, func(tx *store.Tx) error {
		for i, h := range holds {
			if _, err := tx.Exec(putHold, i+1, string(h.Scope), h.Target, h.Reason, ms(0), h.Until, h.Probe, h.Tries); err != nil {
				return err
			}
		}
		if err := liftProbed(tx, streamOf(whatsapp.Marketing)); err != nil {
			return err
		}
		left, err := outbox.Holds(tx)
		var reasons []string
		for _, h := range left {
			reasons = append(reasons, h.Reason)
		}
		slices.Sort(reasons)
		if diff := cmp.Diff([]string{"another number", "for a time", "not yet probed"}, reasons); diff != "" {
			t.Error(diff)
		}
		return err
	})
}

func liftProbed(tx *store.Tx, s outbox.Stream) error {
	holds, err := outbox.Holds(tx)
	if err == nil {
		_, err = LiftProbed(tx, holds, s, false)
	}
	return err
}
