package guard

// FileSystem is what a folder lies on.
type FileSystem struct {
	Name string // ext4, nfs; "" where nobody knows
	// Doubt says why a database should not lie there: network (locks and the
	// write-ahead log are not safe), memory (a restart of the machine takes it), container (a new
	// container takes it); "": nothing is wrong with it.
	Doubt string
}

// Reserve is how much must be free for everything to be sent; see [store]
// reserve_mb. configured is in bytes, 0 for none.
func (s Space) Reserve(configured int64) int64 { return s.reserve(configured) }
