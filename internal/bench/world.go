package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
	"janela/optin"
)

// Secrets of what never leaves this machine.
const (
	token     = "bench-token"
	appSecret = "bench-app-secret"
	verify    = "bench-verify-token"
)

// environ is what the daemon reads its secrets from.
var environ = []string{"JANELA_WHATSAPP_TOKEN=" + token, "JANELA_WHATSAPP_APP_SECRET=" + appSecret, "JANELA_WHATSAPP_VERIFY_TOKEN=" + verify}

// phone is that of the i-th person.
func phone(i uint64) whatsapp.Phone { return whatsapp.Phone(fmt.Sprintf("+55119%08d", i)) }

// mixed maps 0 … n-1 to itself in no visible order; salt chooses which. Lists of
// people, and of their consents, come in the order in which people came.
func mixed(i, n, salt uint64) uint64 {
	bits := uint64(2)
	for 1<<bits < n {
		bits++
	}
	mask := uint64(1)<<bits - 1
	for { // walks a permutation of 2^bits until it is back below n
		i = (i*(salt*4+0x9e3779b5) + salt) & mask // by an odd number, so one to one
		i ^= i >> (bits/2 + 1)
		i = (i*0x2c1b3c6d + salt) & mask
		i ^= i >> (bits / 2)
		if i < n {
			return i
		}
	}
}

// world is a database whose people have agreed, and an audience of all of them.
// It is made once and copied for each run.
type world struct {
	dir    string
	people int
	bytes  int64 // of the database with the consents alone
}

// The files of a world.
const (
	databaseFile = "janela.db"
	audienceFile = "oferta.csv"
)

const campaignID = "oferta"

// world returns one with n people, and what must be called in the end.
func (c *Config) world(ctx context.Context, n int) (w *world, done func() error, err error) {
	if n < 1 {
		return nil, nil, fmt.Errorf("%d messages measure nothing: at least 1 message, or row, is needed", n)
	}
	if w, done = c.worlds[n], func() error { return nil }; w != nil {
		return w, done, nil
	}
	if w, err = c.prepare(ctx, n); err != nil {
		return nil, done, err
	}
	if !c.keep {
		return w, w.remove, nil
	}
	c.worlds[n] = w
	return w, done, nil
}

// keepWorlds makes later measurements use the worlds of earlier ones, until drop
// is called.
func (c *Config) keepWorlds() (drop func() error) {
	c.keep, c.worlds = true, map[int]*world{}
	return func() error {
		var errs []error
		for _, w := range c.worlds {
			errs = append(errs, w.remove())
		}
		c.keep, c.worlds = false, nil
		return errors.Join(errs...)
	}
}

// prepare records a consent for each of n people in a fresh database under
// c.Dir, seals them, and writes the audience.
func (c *Config) prepare(ctx context.Context, n int) (*world, error) {
	dir, err := os.MkdirTemp(c.Dir, "janela-bench-world-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, people: n}
	begun := time.Now()
	c.say("%d people agree …", n)
	err = errors.Join(w.consents(ctx), w.audience(), w.size())
	if err != nil {
		return nil, errors.Join(err, w.remove())
	}
	c.say("%d people agreed in %.1f s", n, time.Since(begun).Seconds())
	return w, nil
}

func (w *world) remove() error { return os.RemoveAll(w.dir) }

func (w *world) size() error {
	info, err := os.Stat(filepath.Join(w.dir, databaseFile))
	if err == nil {
		w.bytes = info.Size()
	}
	return err
}

// consents records a grant of marketing for everybody.
func (w *world) consents(ctx context.Context) (err error) {
	path := filepath.Join(w.dir, databaseFile)
	keys, err := optin.OpenKeys(filepath.Join(w.dir, "optin.key"))
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Config{Path: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ledger := optin.NewLedger(optin.LedgerConfig{DB: db, Keys: keys, Head: path + ".head"})
	for i := 0; i < w.people; {
		err := db.Bulk(ctx, func(tx *store.Tx) error {
			for range min(1000, w.people-i) {
				_, err := optin.Record(tx, optin.Grant{Identity: phone(mixed(uint64(i), uint64(w.people), 7)).Identity(), Category: whatsapp.Marketing,
					Source: optin.SourceImport, Actor: "bench", At: tx.Now().Add(-time.Hour)})
				if err != nil {
					return err
				}
				i++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err = ledger.Seal(ctx)
	return err
}

// value fills a message's parameters up to 160 bytes as they are stored.
func value(i int) string {
	const fixed = `[{"type":"body","parameters":[{"type":"text","text":"Ana Maria"},{"type":"text","text":""}]}]`
	s := fmt.Sprintf("Cupom %08d: vinte por cento em tudo, so hoje, na loja e no site", i)
	for len(s) < paramsBytes-len(fixed) {
		s += "."
	}
	return s[:paramsBytes-len(fixed)]
}

// paramsBytes is the size of each message's parameters.
const paramsBytes = 160

// audience writes the list of recipients.
func (w *world) audience() (err error) {
	f, err := os.OpenFile(filepath.Join(w.dir, audienceFile), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	_, _ = out.WriteString("telefone,nome,oferta\n")
	for i := range w.people {
		_, _ = fmt.Fprintf(out, "%s,Ana Maria,\"%s\"\n", phone(mixed(uint64(i), uint64(w.people), 23)).E164(), value(i))
	}
	return out.Flush()
}

// settings are what differs between the daemons of measurements.
type settings struct {
	graph   string
	senders int           // 0: the default
	poll    time.Duration // of the folder; 0: the default
	stable  time.Duration // 0: the default

	usualRate bool    // the number's rate is not raised
	perSecond float64 // its rate; 0: more than it can use
}

// copy makes a folder for one daemon: its own database, its configuration, and
// an audience that has not been dropped yet.
func (w *world) copy(s settings) (dir string, err error) {
	if dir, err = os.MkdirTemp(filepath.Dir(w.dir), "janela-bench-run-"); err != nil {
		return "", err
	}
	for _, name := range []string{databaseFile, databaseFile + ".head", databaseFile + ".epoch", "optin.key", audienceFile} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(w.dir, name)); err != nil {
			return dir, err
		}
	}
	return dir, errors.Join(os.Mkdir(filepath.Join(dir, "campaigns.d"), 0o700), writeConfig(dir, s))
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func writeConfig(dir string, s settings) error {
	var b strings.Builder
	put := func(key string, d time.Duration) {
		if d > 0 {
			fmt.Fprintf(&b, "%s = %q\n", key, d)
		}
	}
	fmt.Fprintf(&b, "[store]\npath = %q\nreserve_mb = 64\n[optin]\nkey_file = \"optin.key\"\n", databaseFile)
	fmt.Fprintf(&b, "[whatsapp]\ngraph_url = %q\nwebhook_silent = \"24h\"\n", s.graph) // nobody posts statuses
	if s.senders > 0 {
		fmt.Fprintf(&b, "senders = %d\n", s.senders)
	}
	fmt.Fprintf(&b, "[[whatsapp.accounts]]\nid = %q\n[[whatsapp.accounts.numbers]]\nid = %q\nname = \"bench\"\n", waba, number)
	if !s.usualRate {
		fmt.Fprintf(&b, "per_second = %g\n", cmp.Or(s.perSecond, 100_000))
	}
	fmt.Fprintf(&b, "[campaigns]\nfolder = \"campaigns.d\"\nstatus = \"status\"\ntimezone = \"UTC\"\napproval = \"off\"\n")
	put("poll", s.poll)
	put("stable", s.stable)
	fmt.Fprintf(&b, "[http]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\nformat = \"text\"\n")
	return os.WriteFile(filepath.Join(dir, "config.toml"), []byte(b.String()), 0o600)
}

// drop puts the campaign into the folder and returns when its files stopped
// changing.
func drop(dir string) (time.Time, error) {
	folder := filepath.Join(dir, "campaigns.d")
	if err := os.Rename(filepath.Join(dir, audienceFile), filepath.Join(folder, audienceFile)); err != nil {
		return time.Time{}, err
	}
	text := fmt.Sprintf(`
id = %q
category = "marketing"
[template]
name = %q
language = %q
[[template.body]]
column = "nome"
[[template.body]]
column = "oferta"
[recipients]
file = %q
phone_column = "telefone"
[schedule]
at = %s
[missed]
policy = "run_once"
max_lateness = "48h"
`, campaignID, template, language, audienceFile, time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:00"))
	err := os.WriteFile(filepath.Join(folder, campaignID+".toml"), []byte(text), 0o600)
	return time.Now(), err
}
