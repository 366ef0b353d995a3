package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"janela/internal/tomlfile"
)

var (
	configUnread  = declare("config", "unread", FAIL, "the configuration cannot be read: {error}", "name the file with --config or JANELA_CONFIG; janela init writes a first one")
	configFault   = declare("config", "fault", FAIL, "{problem}", "{hint}")
	configWarning = declare("config", "warning", WARN, "{problem}", "{hint}")
)

func (l *look) config(context.Context) outcome {
	if l.Unread != nil {
		return outcome{found: []Finding{configUnread.of("error", l.Unread.Error())}}
	}
	secrets := map[string]bool{}
	for _, s := range l.Config.SecretFiles() {
		secrets[s.Key] = true
	}
	var o outcome
	for _, p := range l.Faults {
		if secrets[p.Path] { // the next check says it
			continue
		}
		f, hint := configFault, p.Hint
		if p.Severity == tomlfile.Warning {
			f = configWarning
		}
		p.Hint = ""
		if hint == "" {
			hint = "correct it there; config.toml of the repository explains every key"
		}
		o.found = append(o.found, f.of("problem", p.String(), "hint", hint))
	}
	if o.ok = "a real account"; l.Config.Embedded() {
		o.ok = "the embedded sandbox stands in for Meta"
	}
	return o
}

var (
	secretMissing = declare("secrets", "missing", FAIL, "{key}: there is no file {file}", "janela connect writes it; or write it yourself with mode 0600")
	secretOpen    = declare("secrets", "readable_by_others", FAIL, "{key}: {file} can be read by others (mode {mode})", "chmod 600 {file}, and replace the secret if somebody may have read it")
	secretDenied  = declare("secrets", "not_readable", FAIL, "{key}: {file} cannot be read: {error}", "run as the user of the daemon; the file must be that user's: chown USER {file}")
	secretEmpty   = declare("secrets", "empty", FAIL, "{key}: {file} is empty", "write the secret into it: janela connect asks for it")
	secretFolder  = declare("secrets", "folder_writable", WARN, "{key}: others may write into the folder {folder}, and put a file of theirs in the place of the secret", "chmod go-w {folder}")
)

func (l *look) secrets(context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	var o outcome
	folders, n := map[string]bool{}, 0
	for _, s := range l.Config.SecretFiles() {
		at := []string{"key", s.Key, "file", s.Path}
		info, err := os.Stat(s.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && s.Made: // the first start makes it
			continue
		case errors.Is(err, fs.ErrNotExist):
			o.found = append(o.found, secretMissing.of(at...))
			continue
		case err != nil:
			o.found = append(o.found, secretDenied.of(append(at, "error", err.Error())...))
			continue
		}
		n++
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			o.found = append(o.found, secretOpen.of(append(at, "mode", fmt.Sprintf("%04o", mode))...))
		}
		if data, err := os.ReadFile(s.Path); err != nil {
			o.found = append(o.found, secretDenied.of(append(at, "error", err.Error())...))
		} else if strings.TrimSpace(string(data)) == "" {
			o.found = append(o.found, secretEmpty.of(at...))
		}
		dir := filepath.Dir(s.Path)
		if folder, err := os.Stat(dir); err == nil && !folders[dir] && folder.Mode()&0o022 != 0 && folder.Mode()&fs.ModeSticky == 0 {
			folders[dir] = true
			o.found = append(o.found, secretFolder.of("key", s.Key, "folder", dir))
		}
	}
	o.ok = plural(n, "file") + ", nobody else's to read"
	return o
}

var timezonesOld = declare("timezones", "old", WARN, "the rules of time zones on this machine are from before {since}: {zone} is {got} in {when}, and should be {want}", "apt-get install --only-upgrade tzdata (or the like), and restart janela")

// knownRules are changes of the law that an old list of time zones does not have.
var knownRules = []struct {
	zone, since string
	at          time.Time
	want        int // hours from UTC
}{
	{"America/Sao_Paulo", "2019", time.Date(2020, 1, 15, 12, 0, 0, 0, time.UTC), -3},
	{"America/Mexico_City", "2023", time.Date(2023, 7, 15, 12, 0, 0, 0, time.UTC), -6},
}

func (l *look) timezones(context.Context) outcome {
	var o outcome
	for _, k := range knownRules {
		zone, err := l.Zone(k.zone)
		got := "not known"
		if err == nil {
			_, seconds := k.at.In(zone).Zone()
			if seconds == k.want*3600 {
				continue
			}
			got = fmt.Sprintf("%+d h", seconds/3600)
		}
		o.found = append(o.found, timezonesOld.of("since", k.since, "zone", k.zone, "got", got, "when", k.at.Format("January 2006"), "want", fmt.Sprintf("%+d h", k.want)))
	}
	names := []string{l.Config.Campaigns.Timezone, l.Config.Backup.Timezone}
	names = slices.DeleteFunc(slices.Compact(names), func(s string) bool { return s == "" })
	o.ok = "up to date"
	if len(names) > 0 {
		o.ok += "; " + strings.Join(names, ", ")
	}
	return o
}
