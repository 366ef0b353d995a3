// Package backup makes backups of the database by a schedule, keeps the newest
// of them, and says when the last is old or failed. It has no table: what was
// made is what lies in the folder, by name.
//
//	janela-20261123T063000Z.db   the database as it was then, UTC
//
// A backup that was due while the daemon did not run is made at its start. One
// that failed is tried again every quarter of an hour. Files that are not named
// so are never touched, and an old backup goes only after a new one was made and
// looked through.
package backup
