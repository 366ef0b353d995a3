// Package keyfile reads and writes the files that hold keys, and others that
// are as delicate: made on the first start with random keys and mode 0600,
// replaced in one step, refused when others may read them.
//
// A file of keys has one key a line, 32 bytes as hexadecimal digits behind a
// name; lines that begin with # are remarks.
//
//	# Keys of one-time codes. …
//	index 8f0c…
//	k1 04be…
//
// Keys of the file are not worked with: Derive makes one for each use.
//
// Invariants:
//   - no error repeats anything of a key
//   - a file that is there is never written over by Open, also by a second
//     process at the same moment
//   - after a crash a file is the one before or the one after, whole
package keyfile
