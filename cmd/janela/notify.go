package main

import (
	"os"
	"strings"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"janela/internal/daemon"
)

// notifier tells systemd how the daemon is (sd_notify); nil where it was not
// started by systemd, or by something that speaks as systemd does.
func notifier() func(daemon.State, string) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	return func(s daemon.State, sentence string) { _, _ = sd.SdNotify(false, notification(s, sentence)) }
}

// notification is what systemd reads: sd_notify(3).
func notification(s daemon.State, sentence string) string {
	status := "STATUS=" + strings.ReplaceAll(sentence, "\n", " ")
	switch s {
	case daemon.Ready:
		return sd.SdNotifyReady + "\n" + status
	case daemon.Reloading: // systemd wants to know when, by its own clock
		return sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec() + status
	case daemon.Stopping:
		return sd.SdNotifyStopping + "\n" + status
	case daemon.Alive:
		return sd.SdNotifyWatchdog + "\n" + status
	default:
		return status
	}
}
