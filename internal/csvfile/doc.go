// Package csvfile reads CSV files as Brazilian Excel writes them: with or
// without a mark and a "sep=" line, separated by semicolon, comma or tab, in
// UTF-8 or Windows-1252, with line ends inside quotes.
//
// A file is passed over twice: once to the end for its encoding and hash, since
// a single wrong byte decides, and once for its rows. No more of it than a row
// is held. What is no CSV is refused by name; a row that cannot be read is that
// row's fault and the others go on. Faults never repeat a cell.
//
// Invariants: the rows that came out are those of the bytes that SHA256 names,
// or Next ends with an error; lines are those an editor shows, and rise; a quote
// that is never closed is an error, for it would swallow everybody after it.
package csvfile
