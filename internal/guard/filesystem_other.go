//go:build !linux

package guard

// FileSystemOf knows nothing on this system.
func FileSystemOf(string) (FileSystem, error) { return FileSystem{}, nil }
