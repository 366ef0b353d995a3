package access

// CheapPasswords makes hashes of passwords cheap until a test ends.
func CheapPasswords(cleanup func(func())) {
	before := current
	current = cost{m: 8, t: 1, p: 1}
	cleanup(func() { current = before })
}

// OnHash hears of every hash that is computed until a test ends.
func OnHash(cleanup func(func()), f func(atOnce int)) {
	computed = f
	cleanup(func() { computed = nil })
}

// PHC is what is kept of a password.
func (p Password) PHC() string { return p.hash }

// MaxGuessers is how many names and addresses are counted.
const MaxGuessers = maxGuessers

// Guessers is how many are.
func (l *Logins) Guessers() int { return len(l.throttle.of) }
