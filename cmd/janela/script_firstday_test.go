package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// firstdayCmd runs a block of docs/first-day.md, by its number from 1, as it
// stands there: only the address of callbacks is another. "firstday whole" wants
// every block to have been run. A block that only starts the daemon is the
// script's own serve.
func firstdayCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: firstday N, or firstday whole")
	}
	page, err := os.ReadFile(filepath.Join(repository, "docs", "first-day.md"))
	ts.Check(err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	done := strings.Fields(ts.Getenv("FIRSTDAY"))
	if args[0] == "whole" {
		for i, b := range blocks {
			if n := strconv.Itoa(i + 1); !slices.Contains(done, n) {
				ts.Fatalf("block %s of docs/first-day.md was not run:\n%s", n, b[1])
			}
		}
		return
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > len(blocks) {
		ts.Fatalf("docs/first-day.md has %d blocks", len(blocks))
	}
	ts.Setenv("FIRSTDAY", strings.Join(append(done, args[0]), " "))
	text := strings.ReplaceAll(blocks[n-1][1], "https://wa.example.com/webhooks/whatsapp", ts.Getenv("HOOK"))
	if strings.TrimSpace(text) == "janela serve" {
		serveCmd(ts, false, nil)
		return
	}
	ts.Logf("%s", text)
	ts.Check(ts.Exec("sh", "-e", "-c", text))
}
