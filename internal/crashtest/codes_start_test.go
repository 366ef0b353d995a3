package crashtest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startCodes starts the daemon and returns when codes go out; the func stops it.
func startCodes(b *testing.B, recipients int) (*codesWorld, func()) {
	c := newCodesWorld(b, recipients)
	cmd := c.start()
	c.proc = cmd.Process
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(c.base + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Since(begun) > time.Minute {
			b.Fatalf("the daemon did not start:\n%s", c.logs.String())
		}
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) { // until the templates have been read
		if _, err := c.cycle(); err == nil {
			break
		} else if time.Since(begun) > time.Minute {
			b.Fatalf("no code can be sent: %v\n%s", err, c.logs.String())
		}
	}
	return c, func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatalf("%v\n%s", err, c.logs.String())
		}
	}
}

// campaign drops the campaign and waits until everybody is admitted and it sends.
func (c *codesWorld) campaign(b *testing.B) {
	c.hold(true)
	if err := os.WriteFile(filepath.Join(c.dir, "campaigns.d", "natal.toml"), c.definition, 0o600); err != nil {
		b.Fatal(err)
	}
	wait := func(what string, ready func() bool) {
		for begun := time.Now(); !ready(); time.Sleep(100 * time.Millisecond) {
			if time.Since(begun) > 2*time.Minute {
				b.Fatalf("%s:\n%s", what, c.logs.String())
			}
		}
	}
	wait("the audience was not admitted", func() bool { return gauge(c.metrics(c.base), "queued") >= len(c.people) })
	c.hold(false)
	before := c.sink.messages.Load()
	wait("the campaign did not begin", func() bool { return c.sink.messages.Load() > before+500 })
}

// cpuOf is the processor time that a process has used, in user and kernel mode
// (proc(5): fields 14 and 15 of stat, in hundredths of a second).
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	ticks := 0
	for _, text := range f[11:13] {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

var commitsLine = regexp.MustCompile(`(?m)^janela_store_commits_total (\S+)`)

// commits is how many transactions the daemon has committed.
func (c *codesWorld) commits() int64 {
	found := commitsLine.FindStringSubmatch(c.metrics(c.base))
	if found == nil {
		return 0
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return 0
	}
	return int64(n)
}
