package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"janela/internal/httpapi"
	"janela/internal/store"
)

var (
	daemonNone    = declare("daemon", "none", WARN, "no daemon runs", "systemctl start janela, or janela serve")
	daemonSilent  = declare("daemon", "silent", FAIL, "another process holds {file}, and nobody answers at {socket}", "a daemon may be starting, stopping or hanging: try again, then look at its log; fuser {file}.lock says who it is")
	daemonUnlock  = declare("daemon", "lock_gone", FAIL, "a daemon runs, and {file}.lock is not locked: somebody removed it, and a second daemon could start", "restart the daemon, and never delete the lock")
	daemonVersion = declare("daemon", "other_version", WARN, "the daemon is {runs}, this program {here}", "restart the daemon: systemctl restart janela")
	daemonNumbers = declare("daemon", "other_numbers", WARN, "the daemon does not send from number {number} of config.toml: the file was changed since it read it", "janela reload")
	daemonProblem = declare("daemon", "problem", FAIL, "not ready: {problem}", "docs/operations.md says what to do about each problem")
	daemonAlert   = declare("daemon", "alert", WARN, "{alert}", "docs/operations.md says what to do about each alert")
)

func (l *look) daemon(context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	file := l.Config.File(l.Config.Store.Path)
	held, err := store.Held(file)
	if err != nil {
		return outcome{skip: err.Error()}
	}
	at := []string{"file", file, "socket", l.Config.SocketPath()}
	if l.self == nil {
		f := daemonNone
		if held {
			f = daemonSilent
		}
		return outcome{found: []Finding{f.of(at...)}}
	}
	var o outcome
	if !held {
		o.found = append(o.found, daemonUnlock.of(at...))
	}
	if l.self.Version != l.Version {
		o.found = append(o.found, daemonVersion.of("runs", l.self.Version, "here", l.Version))
	}
	for _, a := range l.Config.WhatsApp.Accounts {
		for _, n := range a.Numbers {
			known := slices.ContainsFunc(l.self.Numbers, func(x httpapi.SelfNumber) bool { return x.ID == n.ID && x.Account == a.ID && x.Name == n.Name })
			if !known {
				o.found = append(o.found, daemonNumbers.of("number", n.Name))
			}
		}
	}
	if l.status != nil && l.status.Health != nil {
		for _, p := range l.status.Health.Problems {
			o.found = append(o.found, daemonProblem.of("problem", p))
		}
		for _, a := range l.status.Health.Alerts {
			o.found = append(o.found, daemonAlert.of("alert", a))
		}
	}
	o.ok = fmt.Sprintf("%s runs since %s, process %d", l.self.Version, l.self.Started.UTC().Format("2006-01-02 15:04:05 UTC"), l.self.PID)
	return o
}

var (
	portTaken = declare("ports", "taken", FAIL, "{key}: {address} cannot be listened on: {error}", "see who is there with ss -ltnp, and end it; or write another address into {key}")
	portOther = declare("ports", "other", WARN, "{key} is {address}, and the daemon listens on {real}: the file was changed since it started", "restart the daemon: systemctl restart janela")
)

func (l *look) ports(ctx context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	type listener struct{ key, address, real string }
	all := []listener{{key: "[http] listen", address: l.Config.HTTP.Listen}}
	if w := l.Config.Webhook.Listen; w != "" {
		webhook := listener{key: "[webhook] listen", address: w}
		if l.self != nil {
			webhook.real = w
		}
		all = append(all, webhook)
	}
	if l.Config.Embedded() {
		all = append(all, listener{key: "[sandbox] listen", address: l.Config.Sandbox.Listen})
	}
	if l.self != nil {
		all[0].real = l.self.HTTP
		if l.Config.Embedded() {
			all[len(all)-1].real = l.self.Sandbox
		}
	}
	var o outcome
	for _, p := range all {
		_, port, _ := net.SplitHostPort(p.address)
		switch {
		case port == "0" || p.address == p.real || everywhere(p.address) && everywhere(p.real) && strings.HasSuffix(p.real, ":"+port):
		case p.real != "":
			o.found = append(o.found, portOther.of("key", p.key, "address", p.address, "real", p.real))
		default:
			lis, err := new(net.ListenConfig).Listen(ctx, "tcp", p.address)
			if err != nil {
				o.found = append(o.found, portTaken.of("key", p.key, "address", p.address, "error", err.Error()))
				continue
			}
			_ = lis.Close()
		}
	}
	if o.ok = "free"; l.self != nil {
		o.ok = "the daemon listens on " + l.self.HTTP
	}
	return o
}

var (
	folderUnread = declare("folder", "unreadable", FAIL, "the campaigns folder cannot be read: {error}", "make it, mount it, or write another into [campaigns] folder; it must be readable by the user of the daemon")
	folderStop   = declare("folder", "stopped", WARN, "the file {file} stops all marketing", "somebody meant it: ask, then remove the file")
	folderOpen   = declare("folder", "writable_by_others", WARN, "everybody may write into {folder}: whoever can, sends", "chmod o-w {folder}")
	folderFuture = declare("folder", "future", WARN, "{file} was changed at {time}, which has not come yet: it is not taken before", "the clock of the machine that wrote it is wrong: correct it, then touch the file")
	folderStatus = declare("folder", "status_not_writable", FAIL, "status files cannot be written into {folder}: {error}", "chown USER {folder}, for the user of the daemon; or write another into [campaigns] status")
)

func (l *look) folder(context.Context) outcome {
	if o, yes := l.unread(); yes {
		return o
	}
	var o outcome
	dir := l.Config.File(l.Config.Campaigns.Folder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return outcome{found: []Finding{folderUnread.of("error", err.Error())}}
	}
	if info, err := os.Stat(dir); err == nil && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		o.found = append(o.found, folderOpen.of("folder", dir))
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Name() == "STOP" {
			o.found = append(o.found, folderStop.of("file", path))
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return outcome{found: []Finding{folderUnread.of("error", err.Error())}}
		}
		if at := info.ModTime(); !e.IsDir() && at.After(l.Now().Add(5*time.Second)) {
			o.found = append(o.found, folderFuture.of("file", path, "time", at.UTC().Format(time.RFC3339)))
		}
	}
	status := l.Config.File(l.Config.Campaigns.Status)
	if _, err := os.Stat(status); err == nil {
		if err := writable(status); err != nil {
			o.found = append(o.found, folderStatus.of("folder", status, "error", err.Error()))
		}
	}
	o.ok = fmt.Sprintf("%s, %s, looked at every %s", dir, plural(len(l.definitions()), "definition"), l.Config.Campaigns.Poll)
	return o
}

// definitions are the definitions in the folder: NAME.toml, and campaign.toml in
// a folder of its own.
func (l *look) definitions() []string {
	dir := l.Config.File(l.Config.Campaigns.Folder)
	flat, _ := filepath.Glob(filepath.Join(dir, "*.toml"))
	deep, _ := filepath.Glob(filepath.Join(dir, "*", "campaign.toml"))
	return append(flat, deep...)
}

// everywhere reports whether an address is that of every interface, however it is
// written: 0.0.0.0, [::], or nothing.
func everywhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified())
}
