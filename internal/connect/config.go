package connect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"janela/internal/daemon"
	"janela/internal/tomlfile"
	"janela/internal/whatsapp/cloudapi"
)

// The example account of the repository's config.toml.
const (
	exampleAccount = "100000000000001"
	exampleNumber  = "200000000000001"
)

// load reads config.toml as far as it goes: what is missing of [whatsapp] is what
// connect is for.
func (h *house) load() error {
	cfg, err := daemon.Load(h.Path, h.Environ)
	var problems tomlfile.Problems
	switch {
	case errors.As(err, &problems):
		other := slices.DeleteFunc(slices.Clone(problems), func(p tomlfile.Problem) bool { return strings.HasPrefix(p.Path, "whatsapp.") || p.Path == "whatsapp" })
		if other.HasErrors() {
			return problems
		}
	case err != nil:
		return fmt.Errorf("%w\n  janela init writes a first one", err)
	}
	h.cfg = cfg
	if cfg.Embedded() {
		h.sandbox = cfg.SocketPath()
	}
	if h.GraphURL != "" {
		h.cfg.WhatsApp.GraphURL = strings.TrimRight(h.GraphURL, "/")
	}
	if h.cfg.WhatsApp.GraphURL == "" {
		h.cfg.WhatsApp.GraphURL = MetaURL
	}
	if h.CallbackURL == "" {
		h.CallbackURL = h.cfg.WhatsApp.CallbackURL
	}
	h.openSecrets()
	return nil
}

// configure writes what was found into config.toml.
func (h *house) configure(context.Context) error {
	if h.CallbackURL == "" && h.Ask != nil {
		answer, err := h.Ask("The public address at which Meta reaches "+h.cfg.HTTP.WebhookPath+", https://… (empty: it is registered by hand)", "")
		if err != nil {
			return err
		}
		h.CallbackURL = answer
	}
	path, err := filepath.EvalSymlinks(h.Path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := h.edited(data)
	switch {
	case errors.Is(err, tomlfile.ErrHand):
		return h.fail("change it yourself:\n"+h.byHand(), "config.toml cannot be changed by a program: %v", err)
	case err != nil:
		return h.fail("change it yourself:\n"+h.byHand(), "config.toml is left as it is: %v", err)
	case text == string(data):
		if err := h.again(); err != nil {
			return h.fail("correct it", "config.toml has faults:\n%v", err)
		}
		return h.kept("%s says so already", h.Path)
	}
	kept, err := replace(path, []byte(text), func(fresh string) error {
		_, err := daemon.Load(fresh, h.Environ)
		return err
	})
	var problems tomlfile.Problems
	switch {
	case errors.As(err, &problems):
		return h.fail("correct it first; nothing of it was changed. What is to be written:\n"+h.byHand(), "config.toml would have faults:\n%v", err)
	case err != nil:
		return h.fail("make "+filepath.Dir(path)+" writable, and try again", "config.toml cannot be written: %v", err)
	}
	if err := h.again(); err != nil {
		return h.fail("correct it; the file as it was is "+kept, "config.toml has faults:\n%v", err)
	}
	if h.moved != "" {
		return h.done("wrote %s; the file as it was is %s; the sandbox keeps its database, the account gets %s", h.Path, kept, h.moved)
	}
	return h.done("wrote %s; the file as it was is %s", h.Path, kept)
}

// again reads the file as the daemon will.
func (h *house) again() error {
	cfg, err := daemon.Load(h.Path, h.Environ)
	if err == nil {
		h.cfg = cfg
	}
	return err
}

// edited returns config.toml with what was found, and refuses a text that would
// say anything else beside it.
func (h *house) edited(data []byte) (string, error) {
	e, err := tomlfile.NewEditor(h.Path, data)
	if err != nil {
		return "", err
	}
	want := daemon.Defaults()
	if _, problems := tomlfile.Decode(h.Path, data, &want); problems.HasErrors() {
		return "", problems
	}
	w := &want.WhatsApp
	type setting struct {
		place    *string
		key, val string
	}
	all := []setting{{&w.GraphURL, "graph_url", h.cfg.WhatsApp.GraphURL}, {&w.CallbackURL, "callback_url", h.CallbackURL}}
	for _, s := range []*secretFile{&h.secrets.token, &h.secrets.app, &h.secrets.verify} {
		place := map[string]*string{"whatsapp.token_file": &w.TokenFile, "whatsapp.app_secret_file": &w.AppSecretFile, "whatsapp.verify_token_file": &w.VerifyTokenFile}[s.key]
		if s.env == "" {
			all = append(all, setting{place, strings.TrimPrefix(s.key, "whatsapp."), s.name})
		}
	}
	for _, s := range slices.Backward(all) { // each goes below the header
		if s.val == "" || *s.place == s.val || h.environment("JANELA_WHATSAPP_"+strings.ToUpper(s.key)) != "" {
			continue
		}
		*s.place = s.val
		if err := e.Set("whatsapp."+s.key, tomlfile.Quote(s.val)); err != nil {
			return "", err
		}
	}
	if err := h.leaveSandbox(e, &want); err != nil {
		return "", err
	}
	for _, f := range h.found {
		if err := h.enter(e, &want, f); err != nil {
			return "", err
		}
	}
	if err := h.sender(e, &want); err != nil {
		return "", err
	}
	return e.Text(), says(h.Path, e.Text(), want)
}

// says proves that a text which a program has changed says what is meant, and
// nothing beside it.
func says(path, text string, want daemon.Config) error {
	got := daemon.Defaults()
	if _, problems := tomlfile.Decode(path, []byte(text), &got); problems.HasErrors() {
		return problems
	}
	if !reflect.DeepEqual(got, want) {
		return errors.New("a change of it would say something else than is meant")
	}
	return nil
}

// leaveSandbox gives the real account a database of its own: what the sandbox
// was told, its consents and what it has queued, is nothing to Meta.
func (h *house) leaveSandbox(e *tomlfile.Editor, want *daemon.Config) error {
	if h.sandbox == "" || h.environment("JANELA_STORE_PATH") != "" {
		return nil
	}
	if _, err := os.Stat(h.cfg.File(want.Store.Path)); err != nil {
		return nil // there is none yet
	}
	fresh := filepath.Join(filepath.Dir(want.Store.Path), "live.db")
	if _, err := os.Stat(h.cfg.File(fresh)); err == nil {
		return fmt.Errorf("the sandbox's database stands there as [store] path, and %s is there already: write the one that is meant into [store] path", fresh)
	}
	want.Store.Path = fresh
	h.moved = fresh
	return e.Set("store.path", tomlfile.Quote(fresh))
}

// sender says which number sends codes, where there were one and are several
// now.
func (h *house) sender(e *tomlfile.Editor, want *daemon.Config) error {
	var names []string
	for _, a := range want.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			names = append(names, n.Name)
		}
	}
	if len(want.OTP.Purposes) == 0 || want.OTP.Number != "" || len(names) < 2 {
		return nil
	}
	want.OTP.Number = names[0]
	return e.Set("otp.number", tomlfile.Quote(names[0]))
}

// enter brings one account with its numbers into the file.
func (h *house) enter(e *tomlfile.Editor, want *daemon.Config, f found) error {
	accounts := &want.WhatsApp.Accounts
	at := slices.IndexFunc(*accounts, func(a daemon.AccountConfig) bool { return a.ID == f.account.ID })
	example := slices.IndexFunc(*accounts, func(a daemon.AccountConfig) bool { return a.ID == exampleAccount })
	switch {
	case at < 0 && example >= 0 && !h.isExample():
		at = example
		(*accounts)[at].ID = f.account.ID
		if err := e.Set(fmt.Sprintf("whatsapp.accounts.%d.id", at), tomlfile.Quote(f.account.ID)); err != nil {
			return err
		}
	case at < 0:
		at = len(*accounts)
		*accounts = append(*accounts, daemon.AccountConfig{ID: f.account.ID})
		if err := e.Append("whatsapp.accounts", tomlfile.Pair{Key: "id", Literal: tomlfile.Quote(f.account.ID)}); err != nil {
			return err
		}
	}
	taken := map[string]bool{}
	for _, a := range *accounts {
		for _, n := range a.Numbers {
			if n.ID != exampleNumber || h.isExample() {
				taken[n.Name] = true
			}
		}
	}
	numbers := &(*accounts)[at].Numbers
	for _, n := range f.numbers {
		if err := h.enterNumber(e, numbers, at, n, taken); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) enterNumber(e *tomlfile.Editor, numbers *[]daemon.NumberConfig, at int, n cloudapi.Number, taken map[string]bool) error {
	key := fmt.Sprintf("whatsapp.accounts.%d.numbers", at)
	if slices.ContainsFunc(*numbers, func(c daemon.NumberConfig) bool { return c.ID == n.ID }) {
		return nil // under the name it has
	}
	i := slices.IndexFunc(*numbers, func(c daemon.NumberConfig) bool { return c.ID == exampleNumber })
	if i >= 0 && !h.isExample() { // the example's place, under the name that campaigns call it by
		(*numbers)[i].ID = n.ID
		taken[(*numbers)[i].Name] = true
		if err := e.Set(fmt.Sprintf("%s.%d.id", key, i), tomlfile.Quote(n.ID)); err != nil {
			return err
		}
		name := h.wanted(n.ID)
		if name == "" {
			return nil
		}
		(*numbers)[i].Name = name
		return e.Set(fmt.Sprintf("%s.%d.name", key, i), tomlfile.Quote(name))
	}
	name := h.nameOf(n, taken)
	taken[name] = true
	*numbers = append(*numbers, daemon.NumberConfig{ID: n.ID, Name: name})
	return e.Append(key, tomlfile.Pair{Key: "id", Literal: tomlfile.Quote(n.ID)}, tomlfile.Pair{Key: "name", Literal: tomlfile.Quote(name)})
}

func (h *house) wanted(id string) string {
	for _, w := range h.Numbers {
		if w.ID == id {
			return w.Name
		}
	}
	return ""
}

// isExample reports whether the example account is one that was found: a sandbox
// has it.
func (h *house) isExample() bool {
	return slices.ContainsFunc(h.found, func(f found) bool { return f.account.ID == exampleAccount })
}

// byHand is what config.toml should say.
func (h *house) byHand() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[whatsapp]\ngraph_url = %q\n", h.cfg.WhatsApp.GraphURL)
	for _, s := range []*secretFile{&h.secrets.token, &h.secrets.app, &h.secrets.verify} {
		fmt.Fprintf(&b, "%s = %q\n", strings.TrimPrefix(s.key, "whatsapp."), s.name)
	}
	if h.CallbackURL != "" {
		fmt.Fprintf(&b, "callback_url = %q\n", h.CallbackURL)
	}
	for _, f := range h.found {
		fmt.Fprintf(&b, "[[whatsapp.accounts]]\nid = %q\n", f.account.ID)
		for _, n := range f.numbers {
			fmt.Fprintf(&b, "  [[whatsapp.accounts.numbers]]\n  id = %q\n  name = %q\n", n.ID, h.nameOf(n, nil))
		}
	}
	return b.String()
}

// replace writes a file in one step, with the mode and owner that it had, and
// keeps it as it was beside it. Nothing has changed where check says no.
func replace(path string, data []byte, check func(fresh string) error) (kept string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) { // of a run that was killed
		return "", err
	}
	if err := create(fresh, data, info); err != nil {
		return "", err
	}
	err = check(fresh)
	kept = path + ".before-" + time.Now().UTC().Format("20060102-150405.000")
	if err == nil {
		err = create(kept, old, info)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
		return "", err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return kept, errors.Join(dir.Sync(), dir.Close())
}

// create writes a new file as another one is.
func create(path string, data []byte, as os.FileInfo) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, as.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(as.Mode().Perm()))
	if st, ok := as.Sys().(*syscall.Stat_t); ok && os.Getuid() == 0 {
		err = errors.Join(err, f.Chown(int(st.Uid), int(st.Gid)))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
