package store

import "testing"

func TestMemoryIsNotCounted(t *testing.T) {
	if !memoryUncounted {
		t.Error("SQLite counts its memory: the setting came after its first connection, or was not linked")
	}
}
