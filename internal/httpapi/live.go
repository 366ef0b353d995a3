package httpapi

import (
	"cmp"

	"janela/internal/whatsapp"
)

// Live is what may change while a Server answers; Config says what each is.
type Live struct {
	Zone, Region string
	TestNumbers  []whatsapp.Phone
	Links        []LinkWord
	DoubleOptIn  bool
}

// Set changes it from now on.
func (s *Server) Set(l Live) {
	l.Zone = cmp.Or(l.Zone, "UTC")
	s.live.Store(&l)
}
