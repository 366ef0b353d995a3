package otp_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"janela/otp"

	"pgregory.net/rapid"
)

func secret(t testing.TB, key []byte) otp.Secret {
	t.Helper()
	s, err := otp.NewSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The first secrets are derived ones, as challenges will have them: an HMAC of
// purpose login, and of the same challenge with purpose recovery. The others are
// of RFC 6238, appendix B, where the counter is the number of 30 s steps.
func TestGoldenVectors(t *testing.T) {
	const (
		login    = "cfbc85476dec05a373a5dc2bb97189fb5b3a5919b67a95f7de62b6ca9cec83b6"
		recovery = "b13af8f3d15c9cc69ca901c1348b57d889db7e409c648f667d33e0423f7fbe1e"
	)
	rfc := hex.EncodeToString([]byte("12345678901234567890123456789012"))
	for _, c := range []struct {
		secret  string
		counter uint64
		want    string
	}{
		{login, 1, "661313"},
		{login, 2, "011171"},
		{recovery, 1, "843126"},
		{rfc, 1, "46119246"},
		{rfc, 37037036, "68084774"},
		{rfc, 37037037, "67062674"},
		{rfc, 41152263, "91819424"},
		{rfc, 66666666, "90698825"},
		{rfc, 666666666, "77737706"},
	} {
		key, err := hex.DecodeString(c.secret)
		if err != nil {
			t.Fatal(err)
		}
		got, err := secret(t, key).Code(c.counter, len(c.want))
		if err != nil {
			t.Fatal(err)
		}
		if got.Reveal() != c.want {
			t.Errorf("counter %d: %s, want %s", c.counter, got.Reveal(), c.want)
		}
	}
}

// RFC 4226, section 5.3, written out.
func TestCodeAgainstTheRFC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 20, 64).Draw(t, "key")
		counter := rapid.Uint64().Draw(t, "counter")
		digits := rapid.IntRange(6, 8).Draw(t, "digits")

		mac := hmac.New(sha256.New, key)
		_ = binary.Write(mac, binary.BigEndian, counter)
		sum := mac.Sum(nil)
		n := binary.BigEndian.Uint32(sum[sum[31]&15:]) & 0x7fffffff
		want := fmt.Sprintf("%08d", n%100_000_000)[8-digits:]

		s, err := otp.NewSecret(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Code(counter, digits)
		if err != nil || got.Reveal() != want {
			t.Fatalf("got %q, %v; want %q", got.Reveal(), err, want)
		}
		if !got.Equal(want) {
			t.Fatal("a code is not equal to its own digits")
		}
	})
}

func TestWeakSecretsAndOddLengthsAreRefused(t *testing.T) {
	for _, n := range []int{0, 1, 19} {
		if _, err := otp.NewSecret(make([]byte, n)); err == nil {
			t.Errorf("a secret of %d bytes was taken", n)
		}
	}
	if _, err := (otp.Secret{}).Code(1, 6); err == nil {
		t.Error("the zero Secret made a code")
	}
	s := secret(t, bytes.Repeat([]byte("k"), 20))
	for _, digits := range []int{-1, 0, 5, 9, 10} {
		if c, err := s.Code(1, digits); err == nil {
			t.Errorf("%d digits gave %q", digits, c.Reveal())
		}
	}
}

func TestSecretKeepsItsOwnCopy(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	s := secret(t, key)
	before, _ := s.Code(1, 6)
	clear(key)
	after, _ := s.Code(1, 6)
	if before.Reveal() != after.Reveal() {
		t.Error("the secret changed with the caller's bytes")
	}
}

func TestEqual(t *testing.T) {
	c, err := secret(t, bytes.Repeat([]byte("k"), 32)).Code(7, 6)
	if err != nil {
		t.Fatal(err)
	}
	right := c.Reveal()
	for _, typed := range []string{"", " ", right[:5], right + "0", right + "\n", " " + right, "00000x"} {
		if c.Equal(typed) {
			t.Errorf("%q was taken for the code", typed)
		}
	}
	if (otp.Code{}).Equal("") {
		t.Error("an empty code equals an empty text")
	}
}

func TestNothingPrintsItself(t *testing.T) {
	key := []byte("canary-canary-canary-canary")
	s := secret(t, key)
	c, err := s.Code(1, 8)
	if err != nil {
		t.Fatal(err)
	}
	type both struct {
		Secret  otp.Secret
		Code    otp.Code
		Pointer *otp.Code
	}
	all := both{s, c, &c}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, s, c, &c, all)
	}
	for _, h := range []slog.Handler{
		slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil),
	} {
		slog.New(h).Info("x", "secret", s, "code", c, "all", all, "error", fmt.Errorf("no: %v", c))
	}
	if err := json.NewEncoder(&out).Encode(all); err != nil {
		t.Fatal(err)
	}
	out.WriteString(errors.Join(fmt.Errorf("%v %v", s, c)).Error())
	for _, leak := range []string{c.Reveal(), "canary", hex.EncodeToString(key), fmt.Sprint(key), hex.EncodeToString([]byte(c.Reveal()))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q was printed", leak)
		}
	}
	if strings.Count(out.String(), "<secret>") < 20 {
		t.Error("the mask is missing; was anything printed at all?")
	}
}
