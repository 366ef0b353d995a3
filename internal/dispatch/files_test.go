package dispatch

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/internal/whatsapp/cloudapi"
)

var (
	setParams = store.SQL(`UPDATE messages SET params = ?2 WHERE id = ?1`)
	setMedia  = store.SQL(`INSERT INTO media (number_id, sha256, media_id, uploaded_at) VALUES (?1, ?2, ?3, ?4)`)
)

// doorkeeper writes down by which door each body leaves.
type doorkeeper struct {
	mu     sync.Mutex
	bodies map[string]string // by recipient: "messages …" or "marketing_messages …"
}

func (k *doorkeeper) note(door string, body []byte) (cloudapi.Answer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, to, _ := strings.Cut(string(body), `"to":"`)
	k.bodies[to[:14]] = door + " " + string(body)
	return cloudapi.Answer{Wamid: whatsapp.Wamid("wamid." + to[:14])}, nil
}

func (k *doorkeeper) Send(_ context.Context, _ string, body []byte) (cloudapi.Answer, error) {
	return k.note("messages", body)
}

func (k *doorkeeper) SendMarketing(_ context.Context, _ string, body []byte) (cloudapi.Answer, error) {
	return k.note("marketing_messages", body)
}

// What leaves names files by the ids that hold now, and marketing goes by its
// own door where it is told to.
func TestFilesAndDoors(t *testing.T) {
	bubble(t, func(h *house) {
		k := &doorkeeper{bodies: map[string]string{}}
		h.cfg.Sender = func(string, whatsapp.Lane) (cloudapi.Sender, bool) { return k, true }
		h.cfg.Marketing = func(s outbox.Stream) *cloudapi.Marketing {
			if s.Category != whatsapp.Marketing || s.ProductPolicy == "" {
				return nil
			}
			return &cloudapi.Marketing{ProductPolicy: "STRICT"}
		}
		shows := func(files string) func(*outbox.Stream) { return func(s *outbox.Stream) { s.Files = files } }
		policy := func(s *outbox.Stream) { s.ProductPolicy = "strict" }
		marketing := h.queue(stream("oferta", shows("one two"), policy), 1, 2)
		notices := h.queue(stream("aviso", policy), 3, 1)
		plain := h.queue(stream("oferta", from(filial)), 4, 1)
		h.write(func(tx *store.Tx) error {
			for id, params := range map[int64]string{
				marketing[0]: `[{"type":"header","parameters":[{"type":"image","image":{"id":"janela-file:two"}}]}]`,
				marketing[1]: `[{"type":"header","parameters":[{"type":"image","image":{"id":"janela-file:three"}}]}]`,
			} {
				if _, err := tx.Exec(setParams, id, params); err != nil {
					return err
				}
			}
			for _, m := range [][2]string{{"one", "1001"}, {"two", "1002"}} {
				if _, err := tx.Exec(setMedia, loja, m[0], m[1], store.Millis(tx.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		h.start()
		h.pass(time.Minute)
		for who, want := range map[string][]string{
			"+5511900000001": {`marketing_messages {`, `"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1002"}}]}]`, `,"product_policy":"STRICT",`},
			"+5511900000003": {`messages {`},
			"+5511900000004": {`messages {`},
		} {
			for _, part := range want {
				if !strings.Contains(k.bodies[who], part) || strings.HasPrefix(k.bodies[who], "marketing") != strings.HasPrefix(want[0], "marketing") {
					t.Errorf("%s: %q, want %q in it", who, k.bodies[who], part)
				}
			}
			if len(want) == 1 && strings.Contains(k.bodies[who], "product_policy") {
				t.Errorf("%s: %q", who, k.bodies[who])
			}
		}
		// A file that is not the stream's has no id: nothing leaves, and the
		// message says why.
		if m := h.message(marketing[1]); m.State != outbox.Failed || m.Reason != "file_unavailable" || k.bodies["+5511900000002"] != "" {
			t.Errorf("%s %s %q", m.State, m.Reason, k.bodies["+5511900000002"])
		}
		for _, id := range []int64{marketing[0], notices[0], plain[0]} {
			if m := h.message(id); m.State != outbox.Accepted || m.Attempt != 1 {
				t.Errorf("%d: %s, attempt %d", id, m.State, m.Attempt)
			}
		}
	})
}
