package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var graphURL = regexp.MustCompile(`"graph_url":"([^"]+)"`)

// metaCmd starts a sandbox that runs alone, or asks it for something.
func metaCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: meta start FLAGS…, or meta PATH JSON")
	}
	if args[0] != "start" {
		resp, err := http.Post(ts.Getenv("META")+"/sandbox/"+args[0], "application/json", strings.NewReader(strings.Join(args[1:], " ")))
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("the sandbox answered %s: %s", resp.Status, body)
		}
		return
	}
	path := ts.MkAbs("meta.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd := exec.Command(janelaOf(ts), append([]string{"sandbox", "--quiet", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), environ(ts), log, log
	ts.Check(cmd.Start())
	ts.Check(log.Close())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for until := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(path)
		ts.Check(err)
		if m := graphURL.FindSubmatch(b); m != nil && bytes.Contains(b, []byte("NOT WhatsApp")) {
			ts.Setenv("META", string(m[1]))
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("the sandbox did not start:\n%s", b)
		}
	}
}

// portCmd finds a port that is free now, and that the kernel gives to nobody who
// asks for any.
func portCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port VAR")
	}
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		lis, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		ts.Check(lis.Close())
		ts.Setenv(args[0], port)
		return
	}
	ts.Fatalf("no port is free")
}
