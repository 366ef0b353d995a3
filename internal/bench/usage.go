package bench

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	At      int64   `json:"at"`       // wall clock, ns
	CPU     int64   `json:"cpu"`      // user and kernel mode, µs
	RSS     float64 `json:"rss"`      // resident now, MiB
	Peak    float64 `json:"peak"`     // resident at most since resetPeak, MiB
	Commits int64   `json:"commits"`  // of the daemon's database
	Bytes   int64   `json:"bytes"`    // of the database file, without its log
	LogSize int64   `json:"log_size"` // of the database's log
}

// usageNow reads what this process has used.
func usageNow() Usage {
	u := Usage{At: time.Now().UnixNano()}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = r.Utime.Nano()/1000 + r.Stime.Nano()/1000
		u.Peak = float64(r.Maxrss) / 1024 // KiB on Linux
	}
	if now, peak, ok := resident(); ok {
		u.RSS, u.Peak = now, peak
	}
	return u
}

// resident reads resident memory and its peak, MiB (proc(5), status).
func resident() (now, peak float64, ok bool) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, false
	}
	for line := range bytes.Lines(text) {
		name, rest, _ := strings.Cut(string(line), ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return 0, 0, false
		}
		if name == "VmRSS" {
			now = kib / 1024
		} else {
			peak = kib / 1024
		}
	}
	return now, peak, now > 0
}

// resetPeak begins a new peak of resident memory (proc(5), clear_refs); where
// that cannot be, the peak is that of the process's whole life.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
