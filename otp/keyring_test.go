package otp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	hexA = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	hexB = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff404142434445464748494a4b4c4d4e4f"
	hexC = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf606162636465666768696a6b6c6d6e6f"
)

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "otp.key")
	first, err := OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(path)
	if !regexp.MustCompile(`^# [^\n]+\nindex [0-9a-f]{64}\nk1 [0-9a-f]{64}\n$`).Match(before) {
		t.Error("the file is not as documented")
	}
	second, err := OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(path)
	if !bytes.Equal(before, after) {
		t.Error("opening changed the file")
	}
	if first.mac("phone", []byte("x")) != second.mac("phone", []byte("x")) || first.newest() != "k1" {
		t.Error("the same file gives other keys")
	}
	other, err := OpenKeyring(filepath.Join(t.TempDir(), "otp.key"))
	if err != nil {
		t.Fatal(err)
	}
	if other.mac("phone", []byte("x")) == first.mac("phone", []byte("x")) {
		t.Error("two files have the same keys")
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
}

func TestUnsafeKeyFilesAreRefused(t *testing.T) {
	good := "index " + hexA + "\nk1 " + hexB + "\n"
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       string // part of the error; "" for fine
	}{
		{"good", good, 0o600, ""},
		{"read only", good, 0o400, ""},
		{"blank lines and remarks", "# mine\n\n" + good + "\n# end", 0o600, ""},
		{"several keys", good + "old " + hexC, 0o600, ""},
		{"readable by the group", good, 0o640, "chmod 600"},
		{"readable by others", good, 0o604, "chmod 600"},
		{"writable by others", good, 0o602, "chmod 600"},
		{"empty", "", 0o600, "needs the line of the index key"},
		{"no index", "k1 " + hexB, 0o600, "needs the line of the index key"},
		{"no code key", "index " + hexA, 0o600, "one of a code key"},
		{"short", "index " + hexA + "\nk1 " + hexB[:62], 0o600, "line 2: a key has 64"},
		{"long", "index " + hexA + "\nk1 " + hexB + "00", 0o600, "line 2: a key has 64"},
		{"no key", "index " + hexA + "\nk1", 0o600, "line 2: a key has 64"},
		{"not hexadecimal", "index " + hexA + "\nk1 " + strings.Repeat("zz", 32), 0o600, "line 2: a key has 64"},
		{"zero", "index " + hexA + "\nk1 " + strings.Repeat("00", 32), 0o600, "line 2: the key is not random"},
		{"one byte", "index " + strings.Repeat("6b", 32) + "\nk1 " + hexB, 0o600, "line 1: the key is not random"},
		{"a pattern", "index " + hexA + "\nk1 " + strings.Repeat("deadbeef", 8), 0o600, "line 2: the key is not random"},
		{"the same id twice", good + "k1 " + hexC, 0o600, "line 3: k1 stands there twice"},
		{"the index twice", good + "index " + hexC, 0o600, "line 3: index stands there twice"},
		{"the same key twice", good + "k2 " + hexB, 0o600, "line 3: the key stands there twice"},
		{"the index key as a code key", "index " + hexA + "\nk1 " + hexA, 0o600, "line 2: the key stands there twice"},
		{"an odd id", "index " + hexA + "\nK=1 " + hexB, 0o600, "line 2: want"},
		{"the index last", "k1 " + hexB + "\nindex " + hexA, 0o600, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "otp.key")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := OpenKeyring(path)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, leak := range []string{hexA[:8], hexB[:8], "deadbeef", "6b6b"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("the error shows a key: %v", err)
				}
			}
		})
	}
	if _, err := OpenKeyring(t.TempDir()); err == nil {
		t.Error("a directory is a key file")
	}
	if os.Geteuid() == 0 {
		return
	}
	shut := t.TempDir()
	_ = os.Chmod(shut, 0o500)
	if _, err := OpenKeyring(filepath.Join(shut, "otp.key")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("no place for the file: %v", err)
	}
}

func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.key")
	k, err := OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	index := k.mac("phone", nil)
	b := bound{seed: []byte("seed"), id: "otp_a"}
	secretOf := func(k *Keyring, kid string) string {
		s, ok, err := k.secret(kid, b)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return hex.EncodeToString(s.key)
	}
	secrets := map[string]string{"k1": secretOf(k, "k1")}
	for i := 2; i <= 5; i++ {
		kid, err := k.Rotate()
		if err != nil || kid != fmt.Sprint("k", i) || k.newest() != kid {
			t.Fatalf("%s, %v", kid, err)
		}
		secrets[kid] = secretOf(k, kid)
		reopened, err := OpenKeyring(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= i; n++ {
			kid := fmt.Sprint("k", n)
			want := secrets[kid]
			if n < i-2 {
				want = "" // the newest and the two before it
			}
			if got := secretOf(k, kid); got != want {
				t.Errorf("after %d: %s in memory differs", i, kid)
			}
			if got := secretOf(reopened, kid); got != want {
				t.Errorf("after %d: %s on disk differs", i, kid)
			}
		}
		if k.mac("phone", nil) != index || reopened.mac("phone", nil) != index {
			t.Error("the index key rotated")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	seen := map[string]bool{}
	for _, s := range secrets {
		if s == "" || seen[s] {
			t.Error("two keys are the same")
		}
		seen[s] = true
	}
}

func TestRotateRefusesAnotherIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.key")
	k, err := OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	text := "index " + hexA + "\nk1 " + hexB + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(); err == nil || !strings.Contains(err.Error(), "index key") {
		t.Errorf("rotated over another file: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != text {
		t.Error("the file changed")
	}
	if k.newest() != "k1" {
		t.Error("the keys changed")
	}
}

func TestDomainsOfHashes(t *testing.T) {
	k, err := OpenKeyring(filepath.Join(t.TempDir(), "otp.key"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, domain := range []string{"phone", "exact", "prefix", "ip", "binding"} {
		h := k.mac(domain, []byte("12025550101"))
		if len(h) != 32 || seen[h] || strings.Trim(h, "0123456789abcdef") != "" {
			t.Errorf("%s: %q", domain, h)
		}
		seen[h] = true
	}
}

func TestKeyringNeverPrintsItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.key")
	if err := os.WriteFile(path, []byte("index "+hexA+"\nk1 "+hexB+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	deps := Deps{Keys: k}
	o := &OTP{deps: deps}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", k, deps, o)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "keys", k, "deps", deps)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"keys": k}); err != nil {
		t.Fatal(err)
	}
	key, _ := hex.DecodeString(hexB)
	for _, leak := range []string{hexA[:10], hexB[:10], strings.ToUpper(hexB[:10]), fmt.Sprint(key[:4])[1:10], string(key[:6])} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q was printed", leak)
		}
	}
	if strings.Count(out.String(), masked) < 10 {
		t.Error("the mask is missing; was anything printed at all?")
	}
}
