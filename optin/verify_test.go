package optin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// sealed is a ledger of some people with its seals.
type sealed struct {
	*ledger
	sealer *Ledger
	events []int64
}

func keysFor(t testing.TB) *Keys {
	t.Helper()
	k, err := OpenKeys(filepath.Join(t.TempDir(), "optin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSealed(t testing.TB, people int) *sealed {
	t.Helper()
	l := newLedger(t)
	s := &sealed{ledger: l, sealer: NewLedger(LedgerConfig{DB: l.DB, Keys: keysFor(t), Head: filepath.Join(t.TempDir(), "head")})}
	for i := range people {
		id := whatsapp.Phone(fmt.Sprintf("+1202555%04d", 100+i)).Identity()
		*l.clock = l.clock.Add(time.Second) // so that ids have room between them
		s.grant(id, whatsapp.Marketing, ScopeAll, day(1).Add(time.Duration(i)*time.Minute))
		*l.clock = l.clock.Add(time.Second)
		if i%2 == 0 {
			s.revoke(id, whatsapp.Marketing, "loja-sp", day(2))
		}
	}
	s.seal(0)
	s.read(func(q *store.Snap) error {
		rows, err := store.All[eventRow](q, sqlSince, 0, int64(1)<<62, 1000)
		for _, r := range rows {
			s.events = append(s.events, r.ID)
		}
		return err
	})
	return s
}

// seal seals everything; want is how much that must be, 0 for whatever.
func (s *sealed) seal(want int) {
	s.Helper()
	n, err := s.sealer.Seal(s.Context())
	if err != nil || want > 0 && n != want {
		s.Fatalf("%d sealed, %v", n, err)
	}
}

func (s *sealed) verify(heads ...Head) VerifyReport {
	s.Helper()
	r, err := s.sealer.Verify(s.Context(), heads...)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *sealed) intact() VerifyReport {
	s.Helper()
	r := s.verify()
	if r.FaultCount != 0 {
		s.Fatalf("an untouched ledger has faults: %+v", r.Faults)
	}
	return r
}

// Statements of somebody who has the database and not the key.
var (
	tamperEvent = map[string]*store.Stmt{
		"contact_id":  store.SQL(`UPDATE consent_events SET contact_id = contact_id + 1 WHERE id = ?1`),
		"category":    store.SQL(`UPDATE consent_events SET category = 'authentication' WHERE id = ?1`),
		"kind":        store.SQL(`UPDATE consent_events SET kind = CASE kind WHEN 'grant' THEN 'revoke' ELSE 'grant' END WHERE id = ?1`),
		"scope":       store.SQL(`UPDATE consent_events SET scope = 'cobranca' WHERE id = ?1`),
		"purpose":     store.SQL(`UPDATE consent_events SET purpose = 'tudo' WHERE id = ?1`),
		"source":      store.SQL(`UPDATE consent_events SET source = 'operator' WHERE id = ?1`),
		"actor":       store.SQL(`UPDATE consent_events SET actor = 'maria' WHERE id = ?1`),
		"at":          store.SQL(`UPDATE consent_events SET at = at - 1 WHERE id = ?1`),
		"recorded_at": store.SQL(`UPDATE consent_events SET recorded_at = recorded_at + 1 WHERE id = ?1`),
	}
	tamperEvidence   = store.SQL(`UPDATE consent_events SET evidence = '{"text":"outra coisa"}' WHERE id = ?1`)
	tamperBlank      = store.SQL(`UPDATE consent_events SET evidence = '{}' WHERE id = ?1`)
	tamperSwapProof  = store.SQL(`UPDATE consent_events SET evidence = (SELECT e.evidence FROM consent_events e WHERE e.id = ?2) WHERE id = ?1`)
	tamperID         = store.SQL(`UPDATE consent_events SET id = ?2 WHERE id = ?1`)
	tamperDelete     = store.SQL(`DELETE FROM consent_events WHERE id = ?1`)
	tamperDeleteFrom = store.SQL(`DELETE FROM consent_events WHERE id >= ?1`)
	tamperInsert     = store.SQL(`INSERT INTO consent_events (id, contact_id, category, kind, source, at, recorded_at) SELECT ?2, contact_id, category, 'grant', source, at, recorded_at FROM consent_events WHERE id = ?1`)
	tamperSeal       = map[string]*store.Stmt{
		"kind":          store.SQL(`UPDATE consent_seals SET kind = 'forgetting' WHERE seq = ?1`),
		"ref":           store.SQL(`UPDATE consent_seals SET ref = ref + 1 WHERE seq = ?1`),
		"evidence_hash": store.SQL(`UPDATE consent_seals SET evidence_hash = x'00' WHERE seq = ?1`),
		"digest":        store.SQL(`UPDATE consent_seals SET digest = x'00' WHERE seq = ?1`),
		"mac":           store.SQL(`UPDATE consent_seals SET mac = x'00' WHERE seq = ?1`),
	}
	tamperSealSeq    = store.SQL(`UPDATE consent_seals SET seq = ?2 WHERE seq = ?1`)
	tamperSealDelete = store.SQL(`DELETE FROM consent_seals WHERE seq = ?1`)
	tamperSealFrom   = store.SQL(`DELETE FROM consent_seals WHERE seq >= ?1`)
	tamperGranted    = store.SQL(`UPDATE consents SET granted_at = granted_at + 1 WHERE grant_event = ?1`)
	tamperRevoked    = store.SQL(`UPDATE consents SET revoked_at = 0, revoke_event = 0 WHERE revoke_event = ?1`)
	tamperNoRow      = store.SQL(`DELETE FROM consents WHERE grant_event = ?1 OR revoke_event = ?1`)
	tamperRow        = store.SQL(`INSERT INTO consents (contact_id, category, scope, granted_at, grant_event) VALUES (?1, 'utility', '*', 5, ?2)`)
)

// The tables as they were, for the next change.
var (
	keepTables = []*store.Stmt{
		store.SQL(`CREATE TABLE kept_events AS SELECT * FROM consent_events`),
		store.SQL(`CREATE TABLE kept_seals AS SELECT * FROM consent_seals`),
		store.SQL(`CREATE TABLE kept_consents AS SELECT * FROM consents`),
	}
	restoreTables = []*store.Stmt{
		store.SQL(`DELETE FROM consent_events`), store.SQL(`INSERT INTO consent_events SELECT * FROM kept_events`),
		store.SQL(`DELETE FROM consent_seals`), store.SQL(`INSERT INTO consent_seals SELECT * FROM kept_seals`),
		store.SQL(`DELETE FROM consents`), store.SQL(`INSERT INTO consents SELECT * FROM kept_consents`),
	}
)

func (s *sealed) tamper(stmt *store.Stmt, args ...any) {
	s.Helper()
	s.write(func(tx *store.Tx) error { return tx.One(stmt, args...) })
}

// Every kind of change is found, at its place, and nothing else is accused.
func TestTamperingIsFoundAndLocated(t *testing.T) {
	type located struct {
		kind  string
		seq   int64
		event int64
	}
	s := newSealed(t, 6)
	for _, stmt := range keepTables {
		s.tamperAll(stmt)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s.restore()
		s.intact()
		n := int64(len(s.events))
		seq := rapid.Int64Range(1, n).Draw(rt, "seq")
		event := s.events[seq-1]
		other := rapid.Int64Range(1, n).Filter(func(o int64) bool { return o != seq }).Draw(rt, "other")
		otherEvent := s.events[other-1]
		var want []located
		standings := false // those of the event follow from the change
		kind := rapid.SampledFrom([]string{"event field", "evidence", "blank", "swap evidence", "swap events", "delete event", "insert event",
			"insert behind", "seal field", "delete seal", "delete seal and renumber", "swap seals", "cut seals", "cut both", "delete both"}).Draw(rt, "kind")
		switch kind {
		case "event field":
			field := rapid.SampledFrom(slices.Sorted(mapsKeys(tamperEvent))).Draw(rt, "field")
			s.tamper(tamperEvent[field], event)
			want, standings = []located{{FaultEventAltered, seq, event}}, true
		case "evidence":
			s.tamper(tamperEvidence, event)
			want = []located{{FaultEvidenceAltered, seq, event}}
		case "blank":
			s.tamper(tamperBlank, event)
			want = []located{{FaultEvidenceRemoved, seq, event}}
		case "swap evidence":
			s.tamper(tamperEvidence, event) // of two events that are not alike
			s.tamper(tamperSwapProof, otherEvent, event)
			want = []located{{FaultEvidenceAltered, seq, event}, {FaultEvidenceAltered, other, otherEvent}}
		case "swap events":
			s.tamper(tamperID, event, 1)
			s.tamper(tamperID, otherEvent, event)
			s.tamper(tamperID, 1, otherEvent)
			want, standings = []located{{FaultEventAltered, seq, event}, {FaultEventAltered, other, otherEvent}}, true
		case "delete event":
			s.tamper(tamperDelete, event)
			want, standings = []located{{FaultEventRemoved, seq, event}}, true
		case "insert event":
			s.tamper(tamperInsert, event, event-1)
			want, standings = []located{{FaultEventInserted, 0, event - 1}}, true
		case "insert behind": // with an id that is still to come: it is never sealed
			late := s.events[n-1] + 1<<30
			s.tamper(tamperInsert, event, late)
			if got, err := s.sealer.Seal(t.Context()); got != 0 || err != nil {
				rt.Fatalf("%d were sealed, %v", got, err)
			}
			if r := s.verify(); r.Unsealed != 1 {
				rt.Fatalf("%d are not sealed", r.Unsealed)
			}
			standings = true
		case "seal field":
			field := rapid.SampledFrom(slices.Sorted(mapsKeys(tamperSeal))).Draw(rt, "field")
			s.tamper(tamperSeal[field], seq)
			ref := event
			if field == "ref" {
				ref++
				want = append(want, located{FaultEventInserted, 0, event}) // nothing says any more which event it was
			}
			want = append(want, located{FaultSealAltered, seq, ref})
			if field == "mac" && seq == n {
				want = append(want, located{FaultHeadDiffers, seq, 0})
			}
		case "delete seal":
			s.tamper(tamperSealDelete, seq)
			if want = []located{{FaultSealsRemoved, seq, 0}}; seq == n {
				want = []located{{FaultTailRemoved, seq, 0}}
			}
		case "delete seal and renumber":
			s.tamper(tamperSealDelete, seq)
			for i := seq + 1; i <= n; i++ {
				s.tamper(tamperSealSeq, i, i-1)
			}
			if want = []located{{FaultTailRemoved, n, 0}}; seq < n {
				want = append(want, located{FaultSealAltered, seq, s.events[seq]}, located{FaultEventInserted, 0, event})
			}
		case "swap seals":
			s.tamper(tamperSealSeq, seq, 0)
			s.tamper(tamperSealSeq, other, seq)
			s.tamper(tamperSealSeq, 0, other)
			if want = []located{{FaultSealAltered, seq, otherEvent}}; other < seq {
				want = []located{{FaultSealAltered, other, event}}
			}
			if max(seq, other) == n {
				want = append(want, located{FaultHeadDiffers, n, 0})
			}
		case "cut seals":
			s.tamperAll(tamperSealFrom, seq)
			want = []located{{FaultTailRemoved, seq, 0}}
		case "cut both":
			s.tamperAll(tamperSealFrom, seq)
			s.tamperAll(tamperDeleteFrom, event)
			want, standings = []located{{FaultTailRemoved, seq, 0}}, true
		case "delete both":
			s.tamper(tamperSealDelete, seq)
			s.tamper(tamperDelete, event)
			if want, standings = []located{{FaultSealsRemoved, seq, 0}}, true; seq == n {
				want = []located{{FaultTailRemoved, seq, 0}}
			}
		}
		r := s.verify()
		var got []located
		for _, f := range r.Faults {
			if strings.HasPrefix(f.Kind, "standing_") {
				if !standings {
					rt.Errorf("%s: %+v", kind, f)
				}
				continue
			}
			got = append(got, located{f.Kind, f.Seq, f.Event})
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				rt.Errorf("%s of %d (event %d): %+v is not found, but %+v", kind, seq, event, w, r.Faults)
			}
		}
		for _, g := range got {
			switch {
			case slices.Contains(want, g):
			case kind == "swap seals" && g.seq > min(seq, other) && g.seq <= max(seq, other)+1 && g.kind == FaultSealAltered: // between the two, neighbours are not as they were
			case kind == "swap seals" && g.kind == FaultEventInserted:
			case kind == "swap events" && g.kind == FaultEvidenceAltered && (g.seq == seq || g.seq == other):
			default:
				rt.Errorf("%s of %d (event %d): %+v is accused: %+v", kind, seq, event, g, r.Faults)
			}
		}
	})
}

// No field of an event, and none of a seal, can be changed unseen.
func TestEveryFieldIsSealed(t *testing.T) {
	s := newSealed(t, 4)
	for _, stmt := range keepTables {
		s.tamperAll(stmt)
	}
	for seq := int64(1); seq <= int64(len(s.events)); seq++ {
		event := s.events[seq-1]
		tries := map[string]*store.Stmt{"evidence": tamperEvidence}
		for field, stmt := range tamperEvent {
			tries[field] = stmt
		}
		for field, stmt := range tries {
			s.tamper(stmt, event)
			if r := s.verify(); !slices.ContainsFunc(r.Faults, func(f Fault) bool {
				return f.Seq == seq && f.Event == event && (f.Kind == FaultEventAltered || f.Kind == FaultEvidenceAltered)
			}) {
				t.Errorf("%s of event %d was changed unseen: %+v", field, event, r.Faults)
			}
			s.restore()
		}
		for field, stmt := range tamperSeal {
			s.tamper(stmt, seq)
			if r := s.verify(); !slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Seq == seq && f.Kind == FaultSealAltered }) {
				t.Errorf("%s of seal %d was changed unseen: %+v", field, seq, r.Faults)
			}
			s.restore()
		}
	}
	s.intact()
}

func (s *sealed) restore() {
	s.Helper()
	for _, stmt := range restoreTables {
		s.tamperAll(stmt)
	}
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (s *sealed) tamperAll(stmt *store.Stmt, args ...any) {
	s.Helper()
	s.write(func(tx *store.Tx) error { _, err := tx.Exec(stmt, args...); return err })
}

// What the gate reads is compared with what the events add up to.
func TestStandingsAreVerified(t *testing.T) {
	for name, c := range map[string]struct {
		stmt *store.Stmt
		kind string
	}{"a later grant": {tamperGranted, FaultStandingAltered}, "no revocation": {tamperRevoked, FaultStandingAltered}, "no row": {tamperNoRow, FaultStandingRemoved}} {
		s := newSealed(t, 5)
		event := s.events[0]
		if c.stmt == tamperRevoked {
			event = s.events[1]
		}
		s.tamper(c.stmt, event)
		r := s.verify()
		if len(r.Faults) != 1 || r.Faults[0].Kind != c.kind || r.Faults[0].Event != event {
			t.Errorf("%s: %+v", name, r.Faults)
		}
	}
	s := newSealed(t, 5)
	s.tamper(tamperRow, 99, s.events[0])
	if r := s.verify(); len(r.Faults) != 1 || r.Faults[0].Kind != FaultStandingInserted || r.Faults[0].Contact != 99 {
		t.Errorf("a row of nobody: %+v", r.Faults)
	}
}

// A head that was kept elsewhere shows that everything was made anew, also by
// somebody who has the key and the head file.
func TestHeadKeptElsewhere(t *testing.T) {
	s := newSealed(t, 4)
	kept := s.intact().Head
	if got, err := ParseHead(kept.String()); err != nil || got.String() != kept.String() {
		t.Fatalf("%v became %v, %v", kept, got, err)
	}
	if r := s.verify(kept); r.FaultCount != 0 {
		t.Fatalf("%+v", r.Faults)
	}
	s.tamperAll(tamperSealFrom, 1)
	s.tamper(tamperEvidence, s.events[0])
	if err := os.Remove(s.sealer.cfg.Head); err != nil {
		t.Fatal(err)
	}
	s.sealer.checked = false
	s.seal(len(s.events))
	s.intact()
	if r := s.verify(kept); len(r.Faults) != 1 || r.Faults[0].Kind != FaultHeadDiffers || r.Faults[0].Seq != kept.Seq {
		t.Errorf("%+v", r.Faults)
	}
	for _, text := range []string{"", "1", "1:", "1:zz", "0:" + strings.Repeat("00", 32), "-1:" + strings.Repeat("00", 32), "1:00", "x:" + strings.Repeat("00", 32)} {
		if h, err := ParseHead(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is a head: %v", text, h)
		}
	}
}

// Where the seals do not reach the head, sealing would hide it: nothing is
// sealed until somebody accepts what is there.
func TestBrokenLedgerIsNotSealedOver(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(s *sealed)
		kind   string
	}{
		"cut":         {func(s *sealed) { s.tamperAll(tamperSealFrom, 3) }, FaultTailRemoved},
		"all cut":     {func(s *sealed) { s.tamperAll(tamperSealFrom, 1) }, FaultTailRemoved},
		"head gone":   {func(s *sealed) { _ = os.Remove(s.sealer.cfg.Head) }, FaultHeadMissing},
		"another mac": {func(s *sealed) { s.tamper(tamperSeal["mac"], len(s.events)) }, FaultHeadDiffers},
	} {
		s := newSealed(t, 4)
		c.break_(s)
		again := NewLedger(s.sealer.cfg) // the daemon was started anew
		s.sealer = again
		s.grant(ana, whatsapp.Utility, ScopeAll, day(5))
		if n, err := s.sealer.Seal(t.Context()); n != 0 || !errors.Is(err, ErrBroken) {
			t.Fatalf("%s: %d sealed, %v", name, n, err)
		}
		if r := s.verify(); !slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Kind == c.kind }) {
			t.Errorf("%s: %+v", name, r.Faults)
		}
		if _, _, err := s.sealer.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.seal(0)
		r := s.verify()
		if r.Unsealed != 0 || slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Kind == c.kind }) {
			t.Errorf("%s, accepted: %+v", name, r)
		}
	}
}

// A crash between a seal and the head file leaves a head that lies behind.
func TestHeadBehindIsACrash(t *testing.T) {
	s := newSealed(t, 4)
	data, err := os.ReadFile(s.sealer.cfg.Head)
	if err != nil {
		t.Fatal(err)
	}
	s.grant(ana, whatsapp.Utility, ScopeAll, day(5))
	s.seal(1)
	if err := os.WriteFile(s.sealer.cfg.Head, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.sealer = NewLedger(s.sealer.cfg)
	s.intact()
	s.grant(bruno, whatsapp.Utility, ScopeAll, day(5))
	s.seal(1)
	s.intact()
}

// Another key, or the seals of another database, prove nothing.
func TestAnotherKey(t *testing.T) {
	s := newSealed(t, 3)
	cfg := s.sealer.cfg
	cfg.Keys = keysFor(t)
	r, err := NewLedger(cfg).Verify(t.Context())
	if err != nil || r.FaultCount < len(s.events) {
		t.Errorf("%d faults, %v", r.FaultCount, err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v %s", cfg.Keys, cfg, s.sealer.cfg, cfg.Keys), fmt.Sprint(cfg.Keys.of.chain[:4])[1:8]) {
		t.Error("a key was printed")
	}
}

// The loop seals what was there, what comes, and what comes while it stops; one
// transaction a second and not one for each event.
func TestRunSeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSealed(t, 3)
		s.grant(ana, whatsapp.Utility, ScopeAll, day(5)) // before the start
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var failed error
		wg.Go(func() { failed = s.sealer.Run(ctx) })
		synctest.Wait()
		if r := s.intact(); r.Unsealed != 0 {
			t.Errorf("%d are not sealed at the start", r.Unsealed)
		}
		commits := s.Commits()
		for i := range 40 {
			s.grant(whatsapp.Phone(fmt.Sprintf("+1202555%04d", 140+i)).Identity(), whatsapp.Utility, ScopeAll, day(6))
		}
		time.Sleep(3 * time.Second)
		r := s.intact()
		if own := s.Commits() - commits - 40; r.Unsealed != 0 || own < 1 || own > 3 {
			t.Errorf("%d are not sealed, in %d transactions", r.Unsealed, own)
		}
		s.grant(bruno, whatsapp.Utility, ScopeAll, day(7))
		cancel()
		wg.Wait()
		if failed != nil {
			t.Error(failed)
		}
		if r := s.intact(); r.Unsealed != 0 || r.Seals != r.Events {
			t.Errorf("%+v", r)
		}
		_ = s.Close()
	})
}

// The pages of a verification hang together.
func TestVerifyOfManyPages(t *testing.T) {
	s := newSealed(t, 2)
	s.write(func(tx *store.Tx) error {
		for i := range 2 * verifyPage {
			_, err := Record(tx, Grant{Identity: ana, Category: whatsapp.Marketing, Source: SourceAPI, At: day(3).Add(time.Duration(i) * time.Second)})
			if err != nil {
				return err
			}
		}
		for i := range verifyPage + 7 {
			_, err := Record(tx, Grant{Identity: whatsapp.Phone(fmt.Sprintf("+551190000%04d", i)).Identity(), Category: whatsapp.Utility, Source: SourceAPI, At: day(3)})
			if err != nil {
				return err
			}
		}
		return nil
	})
	s.seal(3*verifyPage + 7)
	r := s.intact()
	if want := int64(len(s.events) + 3*verifyPage + 7); r.Events != want || r.Seals != want || r.Unsealed != 0 {
		t.Errorf("%d events, %d seals, want %d", r.Events, r.Seals, want)
	}
	if want := int64(4 + verifyPage + 6); r.Standings < want {
		t.Errorf("%d standings, want %d", r.Standings, want)
	}
}
