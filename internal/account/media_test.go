package account

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"janela/internal/outbox"
	"janela/internal/store"
	"janela/internal/whatsapp"
)

// A file is uploaded once per content and number, and again before Meta throws
// it away after 30 days.
func TestMedia(t *testing.T) {
	h := newHouse(t)
	file := func(content string) File {
		return File{SHA256: "sha-" + content, Name: "header.jpg", MIME: "image/jpeg", Size: int64(len(content)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
	}
	up := func(n string, f File) string {
		t.Helper()
		waba := map[string]string{loja: first, filial: second}[n]
		id, err := h.syncer.Media(t.Context(), Number{ID: n, WABA: waba}, f)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	one := up(loja, file("one"))
	want(t, "content", h.meta.stored[one], "one")
	want(t, "again", up(loja, file("one")), one)
	if other := up(loja, file("two")); other == one {
		t.Error("other content got the same id")
	}
	if other := up(filial, file("one")); other == one {
		t.Error("another number got the same id")
	}
	want(t, "uploads", h.meta.uploads, []string{loja, loja, filial})
	h.pass(25*24*time.Hour - time.Minute)
	want(t, "just before 25 days", up(loja, file("one")), one)
	h.pass(time.Minute)
	renewed := up(loja, file("one"))
	if renewed == one {
		t.Error("after 25 days the old id was handed out")
	}
	want(t, "and the new one lasts", up(loja, file("one")), renewed)
	want(t, "uploads", len(h.meta.uploads), 4)

	if _, err := h.syncer.Media(t.Context(), Number{ID: "3", WABA: "unknown"}, file("x")); err == nil || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("an account that is not configured: %v", err)
	}
	broken := file("x")
	broken.Open = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
	if _, err := h.syncer.Media(t.Context(), Number{ID: loja, WABA: first}, broken); err == nil || !strings.Contains(err.Error(), "upload header.jpg") || !strings.Contains(err.Error(), "the file is gone") {
		t.Errorf("a file that is gone: %v", err)
	}
}

// While Meta takes no files, an id serves until it is 29 days old and not a
// minute longer.
func TestMediaThatCannotBeRenewed(t *testing.T) {
	h := newHouse(t)
	f := File{SHA256: "sha", Name: "header.jpg", MIME: "image/jpeg", Size: 1,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}
	n := Number{ID: loja, WABA: first}
	up := func() (string, error) { return h.syncer.Media(t.Context(), n, f) }
	usable := func() (id string) {
		h.read(func(q *store.Snap) (err error) { id, err = MediaID(q, loja, "sha"); return err })
		return id
	}
	want(t, "before the first upload", usable(), "")
	one, err := up()
	if err != nil {
		t.Fatal(err)
	}
	h.meta.down[loja] = true
	h.pass(29*24*time.Hour - time.Minute)
	if id, err := up(); id != one || err != nil {
		t.Errorf("an id of nearly 29 days: %q, %v", id, err)
	}
	want(t, "of nearly 29 days", usable(), one)
	h.pass(time.Minute)
	want(t, "of 29 days", usable(), "")
	if id, err := up(); err == nil {
		t.Errorf("an id of 29 days was handed out: %q", id)
	}
	h.meta.down[loja] = false
	lane := h.db.Wakes(outbox.Topic(whatsapp.LaneMarketing))
	two, err := up()
	if err != nil || two == one {
		t.Fatalf("%q, %v", two, err)
	}
	want(t, "renewed", usable(), two)
	woken(t, "at the upload", lane)
}

// What Meta refused is forgotten, and asked for again; what was uploaded since
// is not.
func TestForgetMedia(t *testing.T) {
	h := newHouse(t)
	up := func(sha string) {
		t.Helper()
		_, err := h.syncer.Media(t.Context(), Number{ID: loja, WABA: first}, File{SHA256: sha, Name: sha + ".jpg", MIME: "image/jpeg", Size: 1,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }})
		if err != nil {
			t.Fatal(err)
		}
	}
	known := func() (out []bool) {
		h.read(func(q *store.Snap) error {
			for _, sha := range []string{"a", "b", "c"} {
				id, err := MediaID(q, loja, sha)
				if err != nil {
					return err
				}
				out = append(out, id != "")
			}
			return nil
		})
		return out
	}
	forget := func(number, files string, uploaded time.Time) (inARow int64) {
		t.Helper()
		h.write(func(tx *store.Tx) (err error) {
			inARow, err = ForgetMedia(tx, number, files, store.Millis(uploaded))
			return err
		})
		return inARow
	}
	up("a")
	up("b")
	sent := h.wall()
	h.pass(time.Minute)
	up("c")
	wanted := h.db.Wakes(MediaWanted)
	want(t, "of another number", forget(filial, "a b c", sent), 0)
	want(t, "of no file", forget(loja, "", sent), 0)
	asleep(t, "when nothing was forgotten", wanted)
	want(t, "uploads in a row", forget(loja, "a c", sent), 1)
	want(t, "known", known(), []bool{false, true, true})
	woken(t, "at the loss", wanted)
	want(t, "again, of what is forgotten already", forget(loja, "a", h.wall()), 1)
	asleep(t, "when nothing was forgotten", wanted)
	for n := int64(2); n < 4; n++ {
		up("a")
		want(t, "known", known(), []bool{true, true, true})
		h.pass(59 * time.Minute)
		want(t, "uploads in a row", forget(loja, "a", h.wall()), n)
	}
	up("a")
	h.pass(time.Hour)
	want(t, "of an upload that was good for an hour", forget(loja, "a", h.wall()), 1)
}
