package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/account"
	"janela/internal/gate"
	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

// uploads stands for Meta: it keeps what is uploaded for 30 days.
type uploads struct {
	cloudapi.Reader
	mu   sync.Mutex
	made map[string]time.Time // when, by id
	away bool
}

func (u *uploads) UploadMedia(_ context.Context, _, name, mime string, size int64, open func() (io.ReadCloser, error)) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.away {
		return "", &cloudapi.Error{Op: "upload media", NotSent: true, Class: whatsapp.ClassRetry, Err: errors.New("away")}
	}
	f, err := open()
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if b, err := io.ReadAll(f); err != nil || int64(len(b)) != size || !strings.Contains(string(b), filepath.Base(name)) || mime != "image/jpeg" {
		return "", fmt.Errorf("%s: %d bytes of %d, %s, %w", name, len(b), size, mime, err)
	}
	id := fmt.Sprint(1000 + len(u.made))
	u.made[id] = time.Now()
	return id, nil
}

// good reports whether Meta can still show an id.
func (u *uploads) good(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.made[id]
	return ok && time.Since(at) < 30*24*time.Hour
}

const showDefinition = `id = "vitrine"
category = "marketing"
[template]
name = "vitrine"
language = "pt_BR"
[[template.body]]
column = "nome"
[[template.cards]]
header = { type = "image", media = "fotos/a.jpg" }
[[template.cards.body]]
value = "10%"
[[template.cards.buttons]]
index = 1
type = "url"
column = "nome"
[[template.cards]]
header = { type = "image", media = "fotos/b.jpg" }
[[template.cards.body]]
value = "20%"
[[template.cards.buttons]]
index = 1
type = "url"
value = "b"
[recipients]
file = "vitrine.csv"
phone_column = "telefone"
[schedule]
at = 2026-11-20T10:01:00
`

// inShow is a world with a template of two cards, their files, and Meta's
// uploads.
func inShow(t *testing.T, fn func(t *testing.T, w *world, u *uploads)) {
	t.Helper()
	u := &uploads{made: map[string]time.Time{}}
	var syncer *account.Syncer
	inWorld(t, func(c *Config) {
		c.Media = func(ctx context.Context, n account.Number, f account.File) (string, error) {
			return syncer.Media(ctx, n, f)
		}
	}, func(t *testing.T, w *world) {
		syncer = account.NewSyncer(account.Config{DB: w.db, Reader: func(string) (cloudapi.Reader, bool) { return u, true }, Log: w.cfg.Log})
		w.must(func(tx *store.Tx) error {
			_, err := tx.Exec(putTemplate, "vitrine", "marketing", "APPROVED", vitrineComponents, "hash")
			return err
		})
		for _, name := range []string{"fotos/a.jpg", "fotos/b.jpg"} {
			w.put(name, "\xFF\xD8\xFF\xE0 "+name)
		}
		fn(t, w, u)
	})
}

var getParams = store.SQL(`SELECT params FROM messages WHERE run_id > 0 ORDER BY line`)

// A run lasts 46 days; all along what leaves shows files that Meta has. While
// nothing can be uploaded it waits, and says so.
func TestMediaOfALongRun(t *testing.T) {
	inShow(t, func(t *testing.T, w *world, u *uploads) {
		const days = 46
		w.consent(whatsapp.Marketing, 1, 2*days)
		w.put("vitrine.csv", people(1, 2*days))
		w.put("vitrine.toml", showDefinition)
		w.run()
		w.pass(2 * time.Minute)
		w.halt()
		for _, params := range w.list(getParams) {
			if strings.Count(params, `"id":"janela-file:`) != 2 {
				t.Fatalf("a message that waits names an id: %s", params)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var keeper sync.WaitGroup
		keeper.Go(func() { w.c.keepMedia(ctx) })
		defer keeper.Wait()
		defer cancel()

		sent, waited := 0, 0
		for half := range 2 * days {
			u.mu.Lock()
			u.away = half >= 48 && half < 60 // from day 24 to 30
			u.mu.Unlock()
			n := w.showOne(t, u)
			if sent += n; n == 0 {
				waited++
			}
			w.pass(12 * time.Hour)
		}
		if sent+waited != 2*days || waited == 0 || waited > 3 {
			t.Errorf("%d left, and %d times nothing did", sent, waited)
		}
		if len(u.made) != 4 {
			t.Errorf("%d uploads of two files", len(u.made))
		}
		if len(w.c.Alerts()) != 0 || w.logged("ALERT: campaign vitrine") == 0 {
			t.Errorf("alerts %+v", w.c.Alerts())
		}
	})
}

// showOne claims a message as the sender does, and checks what it would show.
func (w *world) showOne(t *testing.T, u *uploads) (left int) {
	t.Helper()
	w.must(func(tx *store.Tx) error {
		open, _, err := gate.Opens(tx, whatsapp.LaneMarketing)
		if err != nil || len(open) == 0 {
			return err
		}
		claimed, _, err := gate.Claim(tx, open[0], 1)
		if err != nil {
			return err
		}
		for _, m := range claimed {
			params, ok := whatsapp.FillFiles(m.Params, func(sha string) string {
				id, err := account.MediaID(tx, open[0].Number, sha)
				if err != nil || !u.good(id) {
					t.Errorf("after %s: %q, %v", time.Since(worldStart), id, err)
				}
				return id
			})
			if !ok || strings.Contains(params, "janela") {
				t.Errorf("leaves as %s", params)
			}
			left++
			_, err := outbox.Settle(tx, []outbox.Result{{Message: m.ID, Attempt: m.Attempt, To: outbox.Accepted, At: tx.Now(), Wamid: whatsapp.Wamid(fmt.Sprint("wamid.", m.ID))}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	synctest.Wait()
	return left
}

// What a plan shows of a carousel is what a run would send; a file that is not
// there is a fault with its place.
func TestPlanOfACarousel(t *testing.T) {
	inShow(t, func(t *testing.T, w *world, _ *uploads) {
		w.consent(whatsapp.Marketing, 1, 2)
		w.put("vitrine.csv", people(1, 2))
		w.put("vitrine.toml", showDefinition)
		plan, problems, err := w.c.Plan(t.Context(), w.path("vitrine.toml"), PlanOptions{})
		if err != nil || problems.HasErrors() {
			t.Fatal(err, problems)
		}
		want := "Olá P1, escolha:\ncard 1: Tênis com 10% [Quero] [Ver https://example.com/P1]\ncard 2: Botas com 20% [Quero] [Ver https://example.com/b]"
		if plan.Go != 2 || plan.Samples[0].Text != want {
			t.Errorf("%+v", plan)
		}
		w.run()
		w.pass(5 * time.Second)
		equal(t, "plan hash", w.revision("vitrine").PlanHash, plan.Hash)
		w.put("fotos/b.jpg", "\xFF\xD8\xFF\xE0 another fotos/b.jpg")
		other, _, err := w.c.Plan(t.Context(), w.path("vitrine.toml"), PlanOptions{})
		if err != nil || other.Hash == plan.Hash {
			t.Errorf("another picture is the same plan: %v", err)
		}
		w.remove("fotos/b.jpg")
		_, problems, err = w.c.Plan(t.Context(), w.path("vitrine.toml"), PlanOptions{})
		if err != nil || !slices.ContainsFunc(problems.Errors(), func(p tomlfile.Problem) bool { return p.Path == "template.cards.1.header.media" && p.Line == 17 }) {
			t.Errorf("%v %v", problems, err)
		}
	})
}

// Both files of a campaign to come stay in the spool, and a test of it goes with
// ids of its own.
func TestFilesOfCardsStay(t *testing.T) {
	inShow(t, func(t *testing.T, w *world, u *uploads) {
		w.put("vitrine.csv", people(1, 2))
		w.put("vitrine.toml", strings.Replace(showDefinition, "2026-11-20T10:01:00", "2026-12-20T10:01:00", 1))
		w.run()
		w.pass(5 * time.Second)
		w.halt()
		w.spooled(time.Now().Add(-25 * time.Hour))
		if err := w.c.sweepSpool(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.spooled(time.Now()); n != 3 {
			t.Errorf("%d files in the spool, want two pictures and an audience", n)
		}
		w.consent(whatsapp.Marketing, 9999, 9999)
		id, err := w.c.Test(t.Context(), TestRequest{ID: "vitrine", To: testPhone(9999), Actor: "ana"})
		if err != nil {
			t.Fatal(err)
		}
		var m outbox.Message
		w.read(func(q *store.Snap) (err error) { m, _, err = outbox.ByID(q, id); return err })
		var sent []whatsapp.Component
		if err := json.Unmarshal([]byte(m.Params), &sent); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, card := range sent[1].Cards {
			ids = append(ids, card.Components[0].Parameters[0].Image.ID)
		}
		if diff := cmp.Diff([]string{"1000", "1001"}, ids); diff != "" || !u.good("1000") {
			t.Error(diff)
		}
	})
}

// Rows whose offer is over are refused before anybody asks for consent, in a
// plan as in a run, and a test of one is refused.
func TestOffersThatAreOver(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.must(func(tx *store.Tx) error {
			_, err := tx.Exec(putTemplate, "relampago", "marketing", "APPROVED", relampagoComponents, "hash")
			return err
		})
		w.consent(whatsapp.Marketing, 1, 3)
		w.consent(whatsapp.Marketing, 9999, 9999)
		w.put("m.csv", fmt.Sprintf("telefone;nome;fim\n%s;A;2026-11-20T10:01\n%s;B;2026-11-20T10:02\n%s;C;2026-11-20\n", testPhone(1), testPhone(2), testPhone(3)))
		w.put("m.toml", `id = "m"
category = "marketing"
[template]
name = "relampago"
language = "pt_BR"
limited_time_offer = { column = "fim" }
[[template.body]]
column = "nome"
[[template.buttons]]
index = 0
type = "copy_code"
value = "JA10"
[[template.buttons]]
index = 1
type = "url"
column = "nome"
[recipients]
file = "m.csv"
phone_column = "telefone"
[schedule]
at = 2026-11-20T10:01:00
`)
		plan, problems, err := w.c.Plan(t.Context(), w.path("m.toml"), PlanOptions{})
		if err != nil || problems.HasErrors() {
			t.Fatal(err, problems)
		}
		if diff := cmp.Diff(map[string]int64{"offer_ended": 1}, plan.Rejected); diff != "" || plan.Go != 2 {
			t.Errorf("%+v\n%s", plan, diff)
		}
		if want := "Olá B, é só hoje.\n[the offer ends 2026-11-20 10:02]"; plan.Samples[0].Text != want {
			t.Errorf("%q", plan.Samples[0].Text)
		}
		w.run()
		w.pass(2*time.Minute + time.Second)
		if diff := cmp.Diff([]string{"2 offer_ended"}, w.list(getRejects)); diff != "" {
			t.Error(diff)
		}
		equal(t, "left", w.send(), 1) // B's was over a second ago
		_, err = w.c.Test(t.Context(), TestRequest{ID: "m", To: testPhone(9999), Row: 1, Actor: "ana"})
		refused(t, err, "the offer of line 2 ended at 2026-11-20T10:01")
		id, err := w.c.Test(t.Context(), TestRequest{ID: "m", To: testPhone(9999), Row: 3, Actor: "ana"})
		if err != nil || id == 0 {
			t.Error(err)
		}
	})
}
