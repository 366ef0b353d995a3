package keyfile

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	hexA = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	hexB = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff404142434445464748494a4b4c4d4e4f"
)

// Several processes that start at once end with one file and the same keys.
func TestOpenMakesTheFileOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "x.key")
	got := make([][]Line, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			lines, err := Open(path, "# remark\n", "a", "b")
			if err != nil {
				t.Error(err)
			}
			got[i] = lines
		})
	}
	wg.Wait()
	for _, lines := range got {
		if len(lines) != 2 || lines[0].Name != "a" || lines[1].Name != "b" || bytes.Equal(lines[0].Key, lines[1].Key) ||
			!bytes.Equal(lines[0].Key, got[0][0].Key) || !bytes.Equal(lines[1].Key, got[0][1].Key) {
			t.Fatal("not everybody has the same two keys")
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(data, []byte("# remark\na ")) {
		t.Errorf("the file is not as documented: %v", err)
	}
	alone(t, path)
}

// alone checks that nothing else was left beside a file, and its mode.
func alone(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestReplaceAndWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.key")
	first, err := Open(path, "", "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, "# new\n", append([]Line{{"b", Random()}}, first...)); err != nil {
		t.Fatal(err)
	}
	second, err := Load(path)
	if err != nil || len(second) != 2 || second[0].Name != "b" || !bytes.Equal(second[1].Key, first[0].Key) {
		t.Fatalf("%d keys, %v", len(second), err)
	}
	for _, text := range []string{"one", ""} {
		if err := Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	alone(t, path)
	if err := Write(filepath.Join(path, "below a file"), nil); err == nil {
		t.Error("a file was written where none can be")
	}
	alone(t, path)
}

func TestWhatOthersReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.key")
	for mode, fine := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o602: false, 0o610: false} {
		if err := os.WriteFile(path, []byte("a "+hexA+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		lines, err := Open(path, "")
		if fine != (err == nil) || !fine && (!strings.Contains(err.Error(), "chmod 600") || lines != nil) {
			t.Errorf("mode %#o: %v", mode, err)
		}
		if err != nil && strings.Contains(err.Error(), hexA[:8]) {
			t.Errorf("the error shows a key: %v", err)
		}
		_ = os.Remove(path)
	}
	if _, err := Open(filepath.Dir(path), ""); err == nil {
		t.Error("a folder is a key file")
	}
}

// Each use has a key of its own, always the same.
func TestDerive(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	one, err := Derive(key, "one")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Derive(key, "one")
	two, _ := Derive(key, "two")
	if len(one) != 32 || !bytes.Equal(one, again) || bytes.Equal(one, two) || bytes.Equal(one, key) {
		t.Error("the derived keys are not apart")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("index " + hexA + "\nk1 " + hexB + "\n"))
	f.Add([]byte("# x\nindex\nk1 zz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, err := parse(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, l := range lines {
			if len(l.Key) != keyBytes || distinct(l.Key) < fewBytes || seen[l.Name] || seen[string(l.Key)] {
				t.Fatalf("%q has %d bytes", l.Name, len(l.Key))
			}
			seen[l.Name], seen[string(l.Key)] = true, true
		}
		if again, err := parse(text("# x\n", lines)); err != nil || len(again) != len(lines) {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
