package account

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

const (
	first, second = "100000000000001", "100000000000002"
	loja, filial  = "200000000000001", "200000000000002"
)

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// graph stands for Meta: two accounts, their templates in pages of two.
type graph struct {
	mu        sync.Mutex
	templates map[string][]map[string]any // by account
	tokens    map[string]string           // the right one of each account
	down      map[string]bool
	pages     int
	meanwhile func()   // happens once, between the reading and its answer
	uploads   []string // numbers
	stored    map[string]string
}

func tpl(name, category, status string) map[string]any {
	return map[string]any{"id": "id-" + name, "name": name, "language": "pt_BR", "category": category, "status": status, "parameter_format": "POSITIONAL",
		"components": []any{map[string]any{"type": "BODY", "text": "Oi, {{1}}!"}}, "quality_score": map[string]any{"score": "GREEN"}, "message_send_ttl_seconds": 3600}
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	id, edge := parts[1], parts[len(parts)-1]
	w.Header().Set("Content-Type", "application/json")
	fault := func(status, code int) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"no","type":"OAuthException","code":%d,"fbtrace_id":"trace%d"}}`, code, time.Now().UnixNano())
	}
	if g.down[id] {
		fault(http.StatusBadRequest, 100)
		return
	}
	if want := g.tokens[id]; want != "" && r.Header.Get("Authorization") != "Bearer "+want {
		fault(http.StatusUnauthorized, 190)
		return
	}
	answer := map[string]any{}
	switch edge {
	case "message_templates":
		g.pages++
		all, from := g.templates[id], 0
		if after := r.URL.Query().Get("after"); after != "" {
			_, _ = fmt.Sscanf(after, "at%d", &from)
		}
		to := min(from+2, len(all))
		answer["data"] = append([]map[string]any{}, all[from:to]...)
		if to < len(all) {
			answer["paging"] = map[string]any{"cursors": map[string]any{"after": fmt.Sprintf("at%d", to)}, "next": "https://graph.facebook.com/next"}
		}
		if fn := g.meanwhile; fn != nil {
			g.meanwhile = nil
			fn()
		}
	case "phone_numbers":
		number := map[string]string{first: loja, second: filial}[id]
		answer["data"] = []any{map[string]any{"id": number, "display_phone_number": "+1 202-555-0190", "verified_name": "Loja", "status": "CONNECTED",
			"quality_rating": "GREEN", "throughput": map[string]any{"level": "STANDARD"}, "whatsapp_business_manager_messaging_limit": "TIER_2K", "is_on_biz_app": true}}
	case "media":
		file, _, err := r.FormFile("file")
		if err != nil {
			fault(http.StatusBadRequest, 131053)
			return
		}
		content, _ := io.ReadAll(file)
		g.uploads = append(g.uploads, id)
		media := fmt.Sprintf("media-%d", len(g.uploads))
		g.stored[media] = string(content)
		answer["id"] = media
	default:
		fault(http.StatusBadRequest, 33)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (g *graph) set(waba string, templates ...map[string]any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.templates[waba] = templates
}

// house is a syncer over a real database and a server of its own.
type house struct {
	t      testing.TB
	db     *store.DB
	meta   *graph
	syncer *Syncer
	token  string
	log    bytes.Buffer
	mu     sync.Mutex
	now    time.Time
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, token: "good", now: began, meta: &graph{tokens: map[string]string{first: "good"}, down: map[string]bool{}, stored: map[string]string{},
		templates: map[string][]map[string]any{first: {tpl("a", "MARKETING", "APPROVED")}, second: {tpl("a", "UTILITY", "PENDING")}}}}
	var err error
	if h.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "janela.db"), Wall: h.wall}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.db.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(h.meta)
	t.Cleanup(server.Close)
	client := cloudapi.New(cloudapi.Config{BaseURL: server.URL, Token: func() (string, error) { return h.token, nil }})
	t.Cleanup(client.Close)
	h.syncer = NewSyncer(Config{DB: h.db, Accounts: []string{first, second}, Every: time.Hour, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		Reader: func(waba string) (cloudapi.Reader, bool) { return client, waba == first || waba == second }})
	h.write(func(tx *store.Tx) error {
		return Declare(tx, []Number{{ID: loja, Name: "loja", WABA: first, Unit: "varejo"}, {ID: filial, Name: "filial", WABA: second}})
	})
	return h
}

func (h *house) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) write(fn func(*store.Tx) error) {
	h.t.Helper()
	if err := h.db.Write(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(fn func(*store.Snap) error) {
	h.t.Helper()
	if err := h.db.Read(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// sync looks at Meta, a minute later.
func (h *house) sync() {
	h.t.Helper()
	h.pass(time.Minute)
	if err := h.syncer.Sync(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// known lists the templates as "account/name STATUS category", missing ones so.
func (h *house) known() (out []string) {
	h.t.Helper()
	h.read(func(q *store.Snap) error {
		all, err := Templates(q)
		for _, t := range all {
			s := fmt.Sprintf("%s/%s %s %s", t.Ref.WABA[len(t.Ref.WABA)-1:], t.Ref.Name, t.Status, t.Category)
			if t.Missing {
				s += " missing"
			}
			out = append(out, s)
		}
		return err
	})
	return out
}

func (h *house) template(waba, name string) (t Template) {
	h.t.Helper()
	h.read(func(q *store.Snap) (err error) {
		t, _, err = Lookup(q, whatsapp.TemplateRef{WABA: waba, Name: name, Language: "pt_BR"})
		return err
	})
	return t
}

func (h *house) holds() []string {
	h.t.Helper()
	out := []string{}
	h.read(func(q *store.Snap) error {
		all, err := outbox.Holds(q)
		for _, o := range all {
			out = append(out, fmt.Sprintf("%s %s %s", o.Scope, o.Target, o.Reason))
		}
		return err
	})
	return out
}

func want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSyncReadsEverything(t *testing.T) {
	h := newHouse(t)
	h.meta.set(first, tpl("a", "MARKETING", "APPROVED"), tpl("b", "UTILITY", "PAUSED"), tpl("c", "authentication", "REJECTED"), tpl("d", "TRANSACTIONAL", "APPROVED"), tpl("e", "MARKETING", "LIMIT_EXCEEDED"))
	h.sync()
	want(t, "templates", h.known(), []string{"1/a APPROVED marketing", "1/b PAUSED utility", "1/c REJECTED authentication", "1/d APPROVED ", "1/e LIMIT_EXCEEDED marketing", "2/a PENDING utility"})
	want(t, "pages", h.meta.pages, 4)
	a := h.template(first, "a")
	want(t, "template", a, Template{Ref: whatsapp.TemplateRef{WABA: first, Name: "a", Language: "pt_BR"}, MetaID: "id-a", Category: whatsapp.Marketing,
		Status: whatsapp.TemplateApproved, ParameterFormat: "POSITIONAL", Components: `[{"text":"Oi, {{1}}!","type":"BODY"}]`, Quality: "GREEN", TTLSeconds: 3600,
		Hash: a.Hash, SeenAt: store.Millis(h.wall()), ChangedAt: store.Millis(h.wall()), ReadAt: store.Millis(h.wall())})
	want(t, "sendable", []bool{a.Sendable(), new(h.template(first, "b")).Sendable()}, []bool{true, false})
	h.read(func(q *store.Snap) error {
		n, ok, err := NumberByID(q, loja)
		want(t, "known", ok, true)
		want(t, "number", n, Number{ID: loja, Name: "loja", WABA: first, Unit: "varejo", Display: "+1 202-555-0190", VerifiedName: "Loja", Status: "CONNECTED",
			Quality: "GREEN", Throughput: "STANDARD", MessagingLimit: "TIER_2K", OnBizApp: true, SeenAt: store.Millis(h.wall())})
		want(t, "scopes", n.Scopes(), []string{"*", "loja", "varejo"})
		return err
	})
}

// More templates than one transaction takes, in many pages.
func TestSyncOfManyTemplates(t *testing.T) {
	h := newHouse(t)
	var all []map[string]any
	for i := range 251 {
		all = append(all, tpl(fmt.Sprintf("t%03d", i), "UTILITY", "APPROVED"))
	}
	h.meta.set(first, all...)
	h.sync()
	if n := len(h.known()); n != 252 {
		t.Errorf("%d templates are known, want 252", n)
	}
	h.meta.set(first, all[:250]...)
	h.sync()
	missing := 0
	for _, k := range h.known() {
		if strings.HasSuffix(k, "missing") {
			missing++
		}
	}
	want(t, "missing", missing, 1)
}

func TestTemplateDisappearsAndComesBack(t *testing.T) {
	h := newHouse(t)
	h.meta.set(first, tpl("a", "MARKETING", "APPROVED"), tpl("b", "MARKETING", "APPROVED"))
	h.sync()
	changed := h.db.Wakes(Changed)
	lane := h.db.Wakes(outbox.Topic(whatsapp.LaneMarketing))
	h.meta.set(first, tpl("a", "MARKETING", "APPROVED"))
	h.sync()
	want(t, "gone", h.known(), []string{"1/a APPROVED marketing", "1/b APPROVED marketing missing", "2/a PENDING utility"})
	woken(t, "at the loss", changed, lane)
	h.read(func(q *store.Snap) error {
		languages, err := Languages(q, first, "b")
		want(t, "languages of a missing one", languages, nil)
		return err
	})
	gone := h.template(first, "b").ChangedAt
	h.pass(time.Second) // more would be a jump of the clock, which wakes everybody
	if err := h.syncer.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	asleep(t, "when nothing changed", changed, lane)
	want(t, "since when it is missing", h.template(first, "b").ChangedAt, gone)
	h.meta.set(first, tpl("a", "MARKETING", "APPROVED"), tpl("b", "MARKETING", "APPROVED"))
	h.sync()
	want(t, "back", h.known(), []string{"1/a APPROVED marketing", "1/b APPROVED marketing", "2/a PENDING utility"})
	woken(t, "at the return", changed, lane)
	h.meta.set(first)
	h.sync()
	want(t, "all gone", h.known(), []string{"1/a APPROVED marketing missing", "1/b APPROVED marketing missing", "2/a PENDING utility"})
}

func woken(t testing.TB, when string, topics ...<-chan struct{}) {
	t.Helper()
	for i, c := range topics {
		select {
		case <-c:
		default:
			t.Errorf("%s: topic %d was not woken", when, i)
		}
	}
}

func asleep(t testing.TB, when string, topics ...<-chan struct{}) {
	t.Helper()
	for i, c := range topics {
		select {
		case <-c:
			t.Errorf("%s: topic %d was woken", when, i)
		default:
		}
	}
}

// The hash is of what decides about parameters: category and components.
func TestHashFollowsContentAndCategory(t *testing.T) {
	h := newHouse(t)
	h.sync()
	before := h.template(first, "a")
	same := tpl("a", "MARKETING", "PAUSED")
	same["quality_score"] = map[string]any{"score": "RED"}
	h.meta.set(first, same)
	h.sync()
	if now := h.template(first, "a"); now.Hash != before.Hash || now.ChangedAt == before.ChangedAt || now.Quality != "RED" {
		t.Errorf("a pause: hash %s to %s, changed at %d to %d", before.Hash, now.Hash, before.ChangedAt, now.ChangedAt)
	}
	other := tpl("a", "MARKETING", "APPROVED")
	other["components"] = []any{map[string]any{"type": "BODY", "text": "Olá, {{1}} e {{2}}!"}}
	h.meta.set(first, other)
	h.sync()
	edited := h.template(first, "a")
	if edited.Hash == before.Hash {
		t.Error("an edited body kept its hash")
	}
	other["category"] = "UTILITY"
	h.sync()
	if h.template(first, "a").Hash == edited.Hash {
		t.Error("another category kept its hash")
	}
}

// A refused token stops the account, and only that; the next look that succeeds
// lets it go on.
func TestBadTokenHolds(t *testing.T) {
	h := newHouse(t)
	h.sync()
	h.token = "bad" // the second account does not ask for one
	h.meta.set(second, tpl("a", "UTILITY", "APPROVED"))
	h.pass(time.Minute)
	err := h.syncer.Sync(t.Context())
	var e *cloudapi.Error
	if !errors.As(err, &e) || e.Code != 190 || !strings.Contains(err.Error(), first) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "bad") {
		t.Errorf("the error holds the token: %v", err)
	}
	want(t, "holds", h.holds(), []string{"account " + first + " bad_token"})
	want(t, "what is known stays, and the other account was read", h.known(), []string{"1/a APPROVED marketing", "2/a APPROVED utility"})
	_ = h.syncer.Sync(t.Context())
	want(t, "one hold, however often", h.holds(), []string{"account " + first + " bad_token"})
	h.token = "good"
	lane := h.db.Wakes(outbox.Topic(whatsapp.LaneAuthentication))
	h.sync()
	want(t, "holds", h.holds(), []string{})
	woken(t, "at the end of the hold", lane)
}

// Another fault than the token's places no hold, and lifts none of others.
func TestOneAccountsFaultIsItsOwn(t *testing.T) {
	h := newHouse(t)
	h.write(func(tx *store.Tx) error {
		_, err := outbox.Place(tx, outbox.Hold{Scope: outbox.ScopeAccount, Target: second, Reason: "account_blocked", Actor: "meta"})
		return err
	})
	h.meta.down[first] = true
	err := h.syncer.Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "account "+first+": read templates") || strings.Contains(err.Error(), second) {
		t.Fatalf("got %v", err)
	}
	want(t, "templates", h.known(), []string{"2/a PENDING utility"})
	want(t, "holds", h.holds(), []string{"account " + second + " account_blocked"})
}

// Run looks at once, sooner again after a failure, and when somebody asks; the
// same failure is told once.
func TestRun(t *testing.T) {
	h := newHouse(t)
	h.token = "bad"
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.syncer.Run(ctx); err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	looks := func() int {
		h.meta.mu.Lock()
		defer h.meta.mu.Unlock()
		return h.meta.pages // of the second account, one a look
	}
	until(t, func() bool { return looks() >= 1 })
	for i := range 3 {
		h.syncer.Kick()
		until(t, func() bool { return looks() >= i+2 })
	}
	cancel()
	wg.Wait()
	if n := strings.Count(h.log.String(), "templates and numbers could not be read"); n != 1 {
		t.Errorf("the same failure was told %d times:\n%s", n, h.log.String())
	}
}

func until(t testing.TB, fn func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if fn() {
			return
		}
	}
	t.Fatal("it did not happen in 10 s")
}

func TestDeclareKeepsWhatMetaSaid(t *testing.T) {
	h := newHouse(t)
	h.sync()
	h.write(func(tx *store.Tx) error {
		return Declare(tx, []Number{{ID: loja, Name: "matriz", WABA: first}})
	})
	h.read(func(q *store.Snap) error {
		n, _, err := NumberByID(q, loja)
		want(t, "name, unit, quality", []string{n.Name, n.Unit, n.Quality}, []string{"matriz", "", "GREEN"})
		want(t, "scopes", n.Scopes(), []string{"*", "matriz"})
		return err
	})
}
