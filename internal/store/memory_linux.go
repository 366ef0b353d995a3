package store

/*
// Weak: the driver's package has it, which is linked later than this one is checked.
__attribute__((weak)) int sqlite3_config(int, ...);

static int without_memory_statistics(void) {
	const int SQLITE_CONFIG_MEMSTATUS = 9;
	return sqlite3_config ? sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) : -1;
}
*/
import "C"

// SQLite counts the memory it uses, under one lock for every allocation: a
// twentieth of what a transaction costs, for figures that nobody reads. It can be
// told only before its first connection, and its driver has no word for it. Where
// it refuses it only counts on.
var memoryUncounted = C.without_memory_statistics() == 0
