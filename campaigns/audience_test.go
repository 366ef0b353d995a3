package campaigns

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpenAudience(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"rows.csv": "fone\n1\n", "header.csv": "fone\n", "empty.csv": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"rows.csv":   "",
		"header.csv": "the file has a header and no rows",
		"empty.csv":  "the file is empty; the first line names the columns",
		"":           "it is not a regular file",
		"none.csv":   "stat " + filepath.Join(dir, "none.csv") + ": no such file or directory",
	} {
		a, err := OpenAudience(filepath.Join(dir, name))
		got := ""
		if err != nil {
			got = err.Error()
		} else if err := a.Close(); err != nil {
			t.Error(err)
		}
		if got != want {
			t.Errorf("%s: error %q, want %q", name, got, want)
		}
	}
}
