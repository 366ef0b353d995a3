package connect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"janela/internal/keyfile"
)

// secretFile is a secret and the file it belongs into.
type secretFile struct {
	what  string // the access token
	key   string // in config.toml: whatsapp.token_file
	env   string // its value in the environment, which needs no file
	name  string // as config.toml names the file
	path  string // absolute
	named bool   // config.toml names it
	have  string // what is in the file; "": nothing
	fresh bool   // it was asked for just now, and is not written yet
	text  string
	bad   error // why it cannot be used
}

type secretFiles struct{ token, app, verify secretFile }

// value returns the secret: what is there, or what is asked for.
func (s *secretFile) value(ask func(what string) (string, error)) (string, error) {
	switch {
	case s.bad != nil:
		return "", s.bad
	case s.env != "":
		s.text = s.env
	case s.have != "":
		s.text = s.have
	case s.text == "":
		text, err := ask(s.what)
		if err != nil {
			return "", err
		}
		if text = strings.TrimSpace(text); text == "" {
			return "", errors.New("it is empty")
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", errors.New("it holds characters that no such secret has")
		}
		s.text, s.fresh = text, true
	}
	return s.text, nil
}

// open reads what there is of a secret.
func (h *house) openSecret(what, key, env, named, usual string) secretFile {
	s := secretFile{what: what, key: key, env: env, name: named, named: named != ""}
	if s.name == "" {
		s.name = usual
	}
	s.path = h.cfg.File(s.name)
	if env != "" {
		return s
	}
	b, err := keyfile.Read(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.bad = err
	default:
		if s.have = strings.TrimSpace(string(b)); s.key == "whatsapp.app_secret_file" {
			s.have, _, _ = strings.Cut(s.have, "\n") // the newest of two
			s.have = strings.TrimSpace(s.have)
		}
	}
	return s
}

func (h *house) openSecrets() {
	w := h.cfg.WhatsApp
	h.secrets = secretFiles{
		token:  h.openSecret("the access token", "whatsapp.token_file", h.environment("JANELA_WHATSAPP_TOKEN"), w.TokenFile, "secrets/token"),
		app:    h.openSecret("the app secret (App Dashboard, App settings, Basic)", "whatsapp.app_secret_file", h.environment("JANELA_WHATSAPP_APP_SECRET"), w.AppSecretFile, "secrets/app-secret"),
		verify: h.openSecret("the verify token", "whatsapp.verify_token_file", h.environment("JANELA_WHATSAPP_VERIFY_TOKEN"), w.VerifyTokenFile, "secrets/verify-token"),
	}
}

func (h *house) environment(name string) string {
	for _, kv := range h.Environ {
		if n, v, _ := strings.Cut(kv, "="); n == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// writeSecrets asks for the app secret, checks it with Meta, and writes the files
// that are missing.
func (h *house) writeSecrets(ctx context.Context) error {
	secret, err := h.secrets.app.value(h.Secret)
	if err != nil {
		return h.fail("App Dashboard, App settings, Basic, App secret, Show: give it to janela connect, which asks for it or reads it as the second line of its input", "there is no app secret: %v", err)
	}
	own := h.cfg.Graph(func() (string, error) { return h.info.AppID + "|" + secret, nil })
	defer own.Close()
	if _, _, err := own.Subscription(ctx, h.info.AppID); refused(err) {
		return h.fail("copy the secret of this app: App Dashboard, App settings, Basic; write it into "+h.secrets.app.path+" if that has a wrong one", "Meta does not take the app secret for app %s", h.info.AppID)
	}
	if _, err := h.secrets.verify.value(func(string) (string, error) { return rand.Text(), nil }); err != nil {
		return h.fail("correct the file, or remove it", "the verify token cannot be used: %v", err)
	}
	var wrote []string
	for _, s := range []*secretFile{&h.secrets.token, &h.secrets.app, &h.secrets.verify} {
		if !s.fresh {
			continue
		}
		if err := h.write(s.path, s.text); err != nil {
			return h.fail("make the folder writable, or name another file as "+s.key, "%s cannot be written: %v", s.path, err)
		}
		s.fresh = false
		s.have = s.text
		wrote = append(wrote, s.path)
	}
	if len(wrote) == 0 {
		return h.kept("the token, the app secret and the verify token are where they belong")
	}
	return h.done("wrote %s, mode 0600", strings.Join(wrote, ", "))
}

// owner is the user who must read secrets: whose the folder of the database is.
// -1 keeps the one who writes.
func (h *house) owner() (uid, gid int) {
	dir := filepath.Dir(h.cfg.File(h.cfg.Store.Path))
	info, err := os.Stat(dir)
	if err != nil || os.Getuid() != 0 {
		return -1, -1
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}

// writeSecret puts a secret into a file in one step.
func writeSecret(path, text string, uid, gid int) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if uid >= 0 {
			if err := os.Chown(dir, uid, gid); err != nil {
				return err
			}
		}
	}
	if err := keyfile.Write(path, []byte(text+"\n")); err != nil {
		return err
	}
	if uid < 0 {
		return nil
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("give it to the user of the daemon: %w", err)
	}
	return nil
}

// write is writeSecret for the user of the daemon.
func (h *house) write(path, text string) error {
	uid, gid := h.owner()
	return writeSecret(path, text, uid, gid)
}
