//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// status is what the action exit ends the process with.
const status = 86

// deed is what happens at a place.
type deed struct {
	action string
	left   int // times that it is passed before
	stall  time.Duration
}

var (
	mu     sync.Mutex
	deeds  = map[string]*deed{}
	passed = map[string]bool{}
	file   *os.File
)

func init() {
	for _, one := range strings.Split(os.Getenv("FAILPOINTS"), ",") {
		name, action, ok := strings.Cut(one, "=")
		if !ok {
			continue
		}
		d := &deed{action: action}
		if a, n, ok := strings.Cut(action, "@"); ok {
			times, err := strconv.Atoi(n)
			if err != nil || times < 1 {
				panic("failpoint: " + one + ": @ wants a number from 1")
			}
			d.action, d.left = a, times-1
		}
		if a, long, ok := strings.Cut(d.action, ":"); ok {
			var err error
			if d.stall, err = time.ParseDuration(long); err != nil {
				panic("failpoint: " + one + ": " + err.Error())
			}
			d.action = a
		}
		deeds[name] = d
	}
	if path := os.Getenv("FAILPOINTS_LOG"); path != "" {
		var err error
		if file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			panic("failpoint: " + err.Error())
		}
	}
}

// Hit passes a place at which nothing can be returned.
func Hit(name string) { _ = Err(name) }

// Err passes a place at which something can fail by itself.
func Err(name string) error {
	switch d := pass(name); d.action {
	case "exit":
		os.Exit(status)
	case "panic":
		panic("failpoint " + name)
	case "error":
		return fmt.Errorf("failpoint %s", name)
	case "stall":
		time.Sleep(d.stall)
	}
	return nil
}

// pass notes that a place is passed, and says what happens there now.
func pass(name string) deed {
	mu.Lock()
	defer mu.Unlock()
	if !passed[name] && file != nil {
		passed[name] = true
		_, _ = file.WriteString(name + "\n")
	}
	d := deeds[name]
	if d == nil {
		return deed{}
	}
	if d.left > 0 {
		d.left--
		return deed{}
	}
	delete(deeds, name)
	if file != nil {
		_, _ = file.WriteString("! " + name + "\n")
	}
	return *d
}

// Usual returns value, unless the environment has another for a test of its
// need: FAILPOINTS_SYNCHRONOUS for the name synchronous.
func Usual(name, value string) string {
	if other := os.Getenv("FAILPOINTS_" + strings.ToUpper(name)); other != "" {
		return other
	}
	return value
}
