//go:build unix

package campaigns

import (
	"syscall"
	"testing"
)

// makePipe makes a file whose opening would wait for ever.
func makePipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
