package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"janela/campaigns"
	"janela/internal/access"
	"janela/internal/account"
	"janela/internal/dispatch"
	"janela/internal/httpapi"
	"janela/internal/intake"
	"janela/internal/store"
	"janela/optin"
)

// now is the configuration that holds now, of what may change while the daemon
// runs. What needs a restart is in cfg.
func (d *Daemon) now() *Config { return d.live.Load() }

// waiting tells of keys that the file has changed and that wait for a restart.
func (d *Daemon) waiting() []string {
	keys := d.waits.Load()
	if keys == nil || len(*keys) == 0 {
		return nil
	}
	return []string{"the configuration has changed where it takes a restart: " + strings.Join(*keys, ", ")}
}

// ErrNoFile says that the configuration came from no file.
var ErrNoFile = errors.New("the configuration was not read from a file: there is nothing to read again")

// Reload reads config.toml again, checks the whole as a start does, and takes
// what may change while the daemon runs. Anything wrong refuses the whole, as
// tomlfile.Problems or another error, and nothing changes. by is who asked.
func (d *Daemon) Reload(ctx context.Context, by string) (httpapi.Reload, error) {
	d.reloads.Lock()
	defer d.reloads.Unlock()
	if ready := d.ready.Load(); ready {
		d.notify(Reloading)
		defer d.notify(Ready)
	}
	out, err := d.reload(ctx, by)
	if err != nil {
		d.log.Error("the configuration was not taken; the one before stays", "by", by, "error", err)
	}
	return out, err
}

func (d *Daemon) reload(ctx context.Context, by string) (out httpapi.Reload, err error) {
	if d.cfg.again == nil {
		return out, ErrNoFile
	}
	next, err := d.cfg.again()
	if err != nil {
		return out, err
	}
	was := d.now()
	changes := diff(was, &next)
	held := hold(&d.cfg, was, &next)
	if problems := next.check(next.doc); problems.HasErrors() { // only where something was held back
		problems.Sort()
		return out, fmt.Errorf("what is new does not go with what waits for a restart (%s): restart the daemon\n%w", strings.Join(held, ", "), problems.Errors())
	}
	if err := d.take(ctx, was, &next, by, len(changes)); err != nil {
		return out, err
	}
	d.waits.Store(&held)
	for _, w := range next.warnings {
		out.Warnings = append(out.Warnings, w.String())
	}
	for _, c := range changes {
		c.Restart = needsRestart(c.Key, held)
		out.Changes = append(out.Changes, c)
		if c.Restart {
			d.log.Warn("the configuration has changed where it takes a restart", "key", c.Key, "before", c.Before, "after", c.After)
			continue
		}
		d.log.Info("the configuration has changed", "key", c.Key, "before", c.Before, "after", c.After)
	}
	d.log.Info("the configuration was read again", "by", by, "changes", len(changes), "need_restart", len(held))
	return out, nil
}

// take makes next hold. What can fail comes first.
func (d *Daemon) take(ctx context.Context, was, next *Config, by string, changes int) error {
	accounts := !reflect.DeepEqual(was.WhatsApp.Accounts, next.WhatsApp.Accounts)
	from, err := d.openSecrets(next)
	if err != nil {
		return err
	}
	if accounts {
		if err := d.declare(ctx, next); err != nil {
			return err
		}
	}
	if accounts || !reflect.DeepEqual(was.Hooks, next.Hooks) {
		if err := d.hooks.Set(ctx, next.hookTargets(d.log)); err != nil {
			return errors.Join(err, d.declare(ctx, was))
		}
	}
	err = d.db.Write(ctx, func(tx *store.Tx) error {
		return access.Note(tx, access.Entry{Actor: by, Command: "reload", Object: "configuration", After: fmt.Sprintf("%d keys have changed", changes)})
	})
	if err != nil {
		return errors.Join(err, d.declare(ctx, was), d.hooks.Set(ctx, was.hookTargets(d.log)))
	}
	if d.otp != nil {
		if err := d.otp.Set(next.otpConfig()); err != nil { // which was checked
			return err
		}
	}
	d.live.Store(next)
	d.secrets.Store(from)
	if w, n := was.WhatsApp, next.WhatsApp; accounts || w.GraphVersion != n.GraphVersion || w.SendTimeout != n.SendTimeout || w.TokenFile != n.TokenFile {
		old := d.clients.Swap(newClients(d, next, from)) // what is under way ends on its connections
		for _, c := range slices.Concat(slices.Collect(maps.Values(old.byAccount)), slices.Collect(maps.Values(old.codes))) {
			c.Close()
		}
	}
	d.swap(was, next)
	return nil
}

// swap tells every room; none of it fails.
func (d *Daemon) swap(was, next *Config) {
	c, w := next.Campaigns, next.WhatsApp
	d.guard.SetReserve(next.Store.ReserveMB << 20)
	d.backups.Set(next.backup())
	d.dispatch.Set(dispatch.Live{Policy: next.policy(), Drain: w.Drain})
	d.intake.Set(intake.Live{Offers: optin.NewOffers(next.offers()), ConfirmWords: next.confirmWords(), Silent: w.WebhookSilent})
	d.campaigns.Set(campaigns.Live{Zone: c.Timezone, Region: c.Region, Approval: next.Approval(), FourEyes: c.FourEyes, TestNumbers: next.testNumbers()})
	d.api.Set(httpapi.Live{Zone: c.Timezone, Region: c.Region, TestNumbers: next.testNumbers(), Links: next.links(), DoubleOptIn: next.Optin.DoubleOptIn})
	if !reflect.DeepEqual(was.WhatsApp.Accounts, w.Accounts) || was.WhatsApp.SyncEvery != w.SyncEvery || was.WhatsApp.GraphVersion != w.GraphVersion {
		d.account.Set(account.Live{Accounts: next.accountIDs(), Every: w.SyncEvery})
	}
	if d.opt.Level != nil {
		_ = d.opt.Level.UnmarshalText([]byte(next.Log.Level)) // which was checked
	}
}

// restarts are keys, or tables of them, that take a restart, with the reason.
// docs/operations.md lists them.
var restarts = [][2]string{
	{"store.path", "the database is open"},
	{"whatsapp.graph_url", "another Meta knows nothing of what is under way"},
	{"whatsapp.senders", "the lanes are built for so many"},
	{"sandbox", "it begins anew"},
	{"campaigns.folder", "it is watched"},
	{"campaigns.status", "files lie there"},
	{"campaigns.poll", "the folder is watched by it"},
	{"campaigns.stable", "the folder is watched by it"},
	{"optin.key_file", "the ledger is sealed with it"},
	{"otp.key_file", "open codes were made with it"},
	{"http", "the listeners are open"},
	{"console", "the listeners are open"},
	{"webhook", "the listeners are open"},
	{"log.format", "the log is open"},
}

// lives are keys, or tables of them, that hold from a reload on.
var lives = []string{
	"store.reserve_mb", "whatsapp", "campaigns.timezone", "campaigns.region", "campaigns.approval", "campaigns.four_eyes", "campaigns.test_numbers",
	"optin", "otp", "hooks", "retention", "backup", "log.level",
}

// Keys that take a restart only where it is said.
const (
	keyAccounts = "whatsapp.accounts" // the sandbox has the accounts and numbers that it began with
	keyPurposes = "otp.purposes"      // the first purpose, and the last one that goes
)

// hold puts back into next what takes a restart and differs from what the daemon
// began with, and returns its keys.
func hold(boot, was, next *Config) (held []string) {
	for _, r := range restarts {
		from, to := field(reflect.ValueOf(boot).Elem(), r[0]), field(reflect.ValueOf(next).Elem(), r[0])
		if !reflect.DeepEqual(from.Interface(), to.Interface()) {
			to.Set(from)
			held = append(held, r[0])
		}
	}
	if boot.Embedded() && !sameNumbers(boot, next) {
		next.WhatsApp.Accounts = was.WhatsApp.Accounts
		held = append(held, keyAccounts)
	}
	if boot.Codes() != next.Codes() {
		key := next.OTP.KeyFile
		next.OTP = was.OTP
		next.OTP.KeyFile = key
		held = append(held, keyPurposes)
	}
	return held
}

func sameNumbers(a, b *Config) bool {
	ids := func(c *Config) (out []string) {
		for _, a := range c.WhatsApp.Accounts {
			for _, n := range a.Numbers {
				out = append(out, a.ID+" "+n.ID)
			}
		}
		return out
	}
	return reflect.DeepEqual(ids(a), ids(b))
}

// needsRestart says whether a key is one of those held back, or below one.
func needsRestart(key string, held []string) bool {
	for _, h := range held {
		if key == h || strings.HasPrefix(key, h+".") || h == keyPurposes && strings.HasPrefix(key, "otp.") {
			return true
		}
	}
	return false
}

// field finds the place of a key by its name in the file.
func field(v reflect.Value, key string) reflect.Value {
	name, rest, deeper := strings.Cut(key, ".")
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("toml") != name {
			continue
		}
		if deeper {
			return field(v.Field(i), rest)
		}
		return v.Field(i)
	}
	panic("daemon: there is no key " + key)
}
