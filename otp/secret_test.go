package otp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"janela/internal/keyfile"

	"pgregory.net/rapid"
)

// liveLooking is a number that is no example's: the one of the vectors.
func liveLooking(t *testing.T) string {
	t.Helper()
	list, err := os.ReadFile(filepath.Join("..", "internal", "whatsapp", "testdata", "live-looking-numbers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		if cells := strings.Split(line, "|"); strings.TrimSpace(cells[0]) == "br mobile" && len(cells) > 3 {
			return strings.TrimSpace(cells[3])
		}
	}
	t.Fatal("there is no line \"br mobile\"")
	return ""
}

// The vectors were made once by a program that shares no code with this one.
func TestGoldenDerivation(t *testing.T) {
	master := bytes.Repeat([]byte("k"), 32)
	key, err := keyfile.Derive(master, "otp/hotp/v1")
	if err != nil {
		t.Fatal(err)
	}
	b := bound{seed: bytes.Repeat([]byte("s"), 20), id: "otp_a", client: "app", purpose: "login", e164: liveLooking(t), binding: "b"}
	recovery := b
	recovery.purpose = "recovery"
	for _, c := range []struct {
		bound bound
		gen   uint64
		want  string
	}{{b, 1, "661313"}, {b, 2, "011171"}, {recovery, 1, "843126"}} {
		s, err := c.bound.secret(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Code(c.gen, 6)
		if err != nil || got.Reveal() != c.want {
			t.Errorf("%s %d: %s, %v; want %s", c.bound.purpose, c.gen, got.Reveal(), err, c.want)
		}
	}
	// The ring derives in the same way.
	ring := &Keyring{}
	if err := ring.take([]keyfile.Line{{Name: indexName, Key: bytes.Repeat([]byte("i"), 32)}, {Name: "k1", Key: master}}); err != nil {
		t.Fatal(err)
	}
	s, ok, err := ring.secret("k1", b)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if got, _ := s.Code(1, 6); got.Reveal() != "661313" {
		t.Errorf("the ring makes %s", got.Reveal())
	}
	if _, ok, _ := ring.secret("k2", b); ok {
		t.Error("a key that is not there made a secret")
	}
}

// Whatever is moved from one part to its neighbour, or changed, is another
// secret.
func TestEveryPartIsBound(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	text := rapid.StringN(0, 6, 12)
	draw := func(t *rapid.T, name string) bound {
		return bound{seed: []byte(text.Draw(t, name+" seed")), id: text.Draw(t, name+" id"), client: text.Draw(t, name+" client"),
			purpose: text.Draw(t, name+" purpose"), e164: text.Draw(t, name+" number"), binding: text.Draw(t, name+" binding")}
	}
	parts := func(b *bound) []*string { return []*string{&b.id, &b.client, &b.purpose, &b.e164, &b.binding} }
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, "a")
		b := a
		if i := rapid.IntRange(0, 4).Draw(t, "part"); i < 4 {
			// A letter goes over the border to the next part.
			from, to := parts(&b)[i], parts(&b)[i+1]
			if len(*from) > 0 {
				*to = (*from)[len(*from)-1:] + *to
				*from = (*from)[:len(*from)-1]
			}
		} else {
			b = draw(t, "b")
		}
		same := bytes.Equal(a.seed, b.seed)
		for i := range parts(&a) {
			same = same && *parts(&a)[i] == *parts(&b)[i]
		}
		x, err := a.secret(key)
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.secret(key)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(x.key, y.key) != same {
			t.Errorf("%+v and %+v: the same secret %v, want %v", a, b, !same, same)
		}
	})
}
