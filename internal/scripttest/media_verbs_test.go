package scripttest

import (
	"errors"

	"janela/internal/sandbox"
)

// picture drops a JPEG that differs from others by its name.
func picture(w *world, l line) error {
	if err := errors.Join(need(l, 1), w.prepare()); err != nil {
		return err
	}
	for _, name := range l.words {
		if err := w.put(w.path("campaigns.d", name), []byte("\xFF\xD8\xFF\xE0 "+name)); err != nil {
			return err
		}
	}
	return nil
}

// mediaVerb lets Meta lose what was uploaded: media forget.
func mediaVerb(w *world, l line) error {
	if len(l.words) != 1 || l.words[0] != "forget" {
		return errors.New("write media forget")
	}
	w.settle()
	return w.meta.do(func(s *sandbox.Sandbox) error { return s.ForgetMedia() })
}

// metaMarketing changes what the account may do: meta marketing not-onboarded.
func metaMarketing(w *world, what string) error {
	yes, no := true, false
	changes := map[string]sandbox.AccountChange{
		"onboarded": {Onboarded: &yes}, "not-onboarded": {Onboarded: &no},
		"on-cloud": {OnCloud: &yes}, "not-on-cloud": {OnCloud: &no},
	}
	c, ok := changes[what]
	if !ok {
		return errors.New("write meta marketing onboarded, not-onboarded, on-cloud or not-on-cloud")
	}
	return w.meta.do(func(s *sandbox.Sandbox) error { return s.SetAccount(c) })
}
