// Package tomlfile reads TOML files strictly and reports every fault at once,
// each with file, line, column and what to write instead.
//
// People write these files by hand: config.toml and the campaign definitions.
// A decoder that stops at the first fault, or that ignores a misspelt key,
// costs them an evening or sends a campaign with a default nobody meant.
//
// # How it works
//
// The text is checked (encoding.go), parsed by go-toml's own parser into a tree
// whose nodes know their place in the file (tree.go), and the tree is then
// walked along the Go struct (decode.go). The lexing and the reading of numbers
// and dates stay go-toml's.
//
//	bytes → encoding → tree → struct
//	          │         │       ├ unknown, reserved and wrongly typed keys
//	          │         └ syntax fault; doubled keys and tables
//	          └ encoding fault
//
// An encoding fault or a syntax fault ends the check, because nothing after it
// can be trusted. No other fault hides another.
//
// # Struct fields
//
// Fields carry a `toml:"name"` tag; names match exactly. Untagged fields are
// left alone, untagged embedded structs are flattened. Supported are strings,
// booleans, signed integers, float64, time.Duration (Go syntax in quotes),
// toml.LocalDate, toml.LocalTime, toml.LocalDateTime, types with UnmarshalText,
// structs, slices, maps keyed by strings, and pointers to all of these. A struct
// that has both tagged fields and UnmarshalText takes a table or a text. Any
// other field type is a mistake of the programmer, and Decode panics on the
// first call, whatever the file says.
//
// A key that is not in the file leaves its field untouched, so defaults set
// beforehand survive; the entries of a map are added to those it has. A list
// replaces the list that was there. A scalar with a fault leaves its field
// untouched; in a list it leaves a zero, so that indexes and positions agree.
//
// # Invariants
//
//   - The value of a field tagged `secret:"true"`, and of anything below it, is in
//     no problem; nor is any character of the file in a syntax fault, where the
//     field is not known yet.
//   - What Decode accepts without a fault, go-toml reads to the same values (but
//     for durations, which go-toml does not know). What go-toml accepts and we do
//     not: keys in another case, nan and inf, dates and times in quotes.
//   - A position is inside the file: lines and columns start at 1, columns count
//     characters, and a byte order mark is not one of them.
package tomlfile
