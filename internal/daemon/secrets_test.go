package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// A secret that others can read is refused. What systemd hands over looks as if
// the group could read it, and nobody else can get there.
func TestSecretFilesOfOthersAreRefused(t *testing.T) {
	credentials, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials+"/")
	for _, c := range []struct {
		dir  string
		mode os.FileMode
		want bool
	}{
		{elsewhere, 0o600, true}, {elsewhere, 0o400, true}, {elsewhere, 0o440, false}, {elsewhere, 0o604, false}, {elsewhere, 0o620, false},
		{credentials, 0o440, true}, {credentials, 0o400, true}, {credentials, 0o444, false}, {credentials, 0o460, false},
	} {
		path := filepath.Join(c.dir, "token")
		_ = os.Remove(path)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := checkSecretFile(path); (err == nil) != c.want {
			t.Errorf("mode %o in %s: %v", c.mode, c.dir, err)
		}
	}
}
