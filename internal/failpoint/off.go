//go:build !failpoint

package failpoint

// Hit is a place at which nothing can be returned.
func Hit(string) {}

// Err is a place at which something can fail by itself.
func Err(string) error { return nil }

// Usual returns value, which a test of its need replaces.
func Usual(_, value string) string { return value }
