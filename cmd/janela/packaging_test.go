package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
)

func repoFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// understood fails where a command line is not one of the program's.
func understood(t *testing.T, where string, args []string) {
	t.Helper()
	cmd, rest, err := newRoot().Find(args)
	if err != nil || !cmd.Runnable() {
		t.Errorf("%s: %q is no command: %v", where, args, err)
		return
	}
	cmd.DisableFlagParsing = false
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", where, args, err)
		return
	}
	if err := argsOf(cmd, cmd.Flags().Args()); err != nil {
		t.Errorf("%s: %q: %v", where, args, err)
	}
}

func argsOf(cmd *cobra.Command, args []string) error {
	if cmd.Args == nil {
		return nil
	}
	return cmd.Args(cmd, args)
}

// What the container runs and copies is there.
func TestDockerfileIsTrue(t *testing.T) {
	text := repoFile(t, "Dockerfile")
	lists := regexp.MustCompile(`(?m)^(?:ENTRYPOINT|CMD|HEALTHCHECK.* CMD) (\[.*\])$`).FindAllStringSubmatch(text, -1)
	if len(lists) != 3 {
		t.Fatalf("the Dockerfile has %d commands, want 3", len(lists))
	}
	var program []string
	for _, l := range lists {
		var args []string
		if err := json.Unmarshal([]byte(l[1]), &args); err != nil {
			t.Fatal(err)
		}
		if args[0] == "/usr/bin/janela" {
			program, args = args[:1], args[1:]
		}
		if len(args) > 0 {
			understood(t, "Dockerfile", args)
		}
	}
	if program == nil || !strings.Contains(text, "COPY --from=build /out/janela /usr/bin/janela") {
		t.Error("the program is not copied to where it is run")
	}
	copies := regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(text, -1)
	if len(copies) < 3 {
		t.Fatalf("only %d files are copied", len(copies))
	}
	for _, c := range copies {
		for _, name := range strings.Fields(c[1]) {
			if _, err := os.Stat(filepath.Join(repository, name)); err != nil {
				t.Errorf("the Dockerfile copies what is not there: %v", err)
			}
		}
	}
	for _, target := range regexp.MustCompile(`make (\w+) `).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(repoFile(t, "Makefile"), "\n"+target[1]+": ## ") {
			t.Errorf("the Makefile has no %s", target[1])
		}
	}
	version := regexp.MustCompile(`golang:([0-9.]+)-`).FindStringSubmatch(text)
	if version == nil || !strings.Contains(repoFile(t, "go.mod"), "\ngo "+version[1]+"\n") {
		t.Errorf("the Dockerfile builds with Go %v, and go.mod says otherwise", version)
	}
}

// The three commands to a running service are the same on every page, word for
// word; packaging/play-deb runs those of the README.
func TestInstallingIsThreeCommands(t *testing.T) {
	block := regexp.MustCompile("(?s)packaging/play-deb runs these lines -->\n```sh\n(.*?)```\n")
	var before string
	for _, name := range []string{"README.md", "README.pt-BR.md", "docs/install.md"} {
		m := block.FindStringSubmatch(repoFile(t, name))
		if m == nil || strings.Count(m[1], "\n") != 3 {
			t.Fatalf("%s has lost its three commands: %q", name, m)
		}
		if before != "" && m[1] != before {
			t.Errorf("%s installs by other commands:\n%s\nand the page before by\n%s", name, m[1], before)
		}
		before = m[1]
	}
}

// Secrets have one place, beside config.toml: where janela connect writes them.
func TestSecretsHaveOnePlace(t *testing.T) {
	said := regexp.MustCompile(`(?m)^[# ]*(token|app_secret|verify_token)_file = "([^"]*)"`)
	seen := 0
	for _, name := range []string{"README.md", "README.pt-BR.md", "config.toml", "packaging/config.toml", "docs/config.md", "docs/first-day.md", "docs/systemd.md", "docs/privacy.md"} {
		text := repoFile(t, name)
		for _, m := range said.FindAllStringSubmatch(text, -1) {
			file := strings.ReplaceAll(m[1], "_", "-")
			if m[2] != "secrets/"+file && m[2] != "secrets/"+file+"-2" && m[2] != "$CREDENTIALS_DIRECTORY/"+file {
				t.Errorf("%s has %s elsewhere than janela connect: %s", name, m[1], m[2])
			}
			seen++
		}
		for _, old := range []string{"/etc/janela/token", "/etc/janela/app-secret", "/etc/janela/verify-token"} {
			if strings.Contains(text, old) {
				t.Errorf("%s still says %s", name, old)
			}
		}
	}
	if seen < 16 {
		t.Errorf("only %d were found", seen)
	}
	if script := repoFile(t, "testdata/script/cli/connect.txtar"); !strings.Contains(script, `grep 'token_file = "secrets/token"' config.toml`) {
		t.Error("no script looks where janela connect writes the token")
	}
}

// The unit runs what the program understands, and waits longer than it does.
func TestUnitIsTrue(t *testing.T) {
	text := repoFile(t, "packaging/janela.service")
	lines := regexp.MustCompile(`(?m)^Exec(?:Start|Reload)=/usr/bin/janela (.*)$`).FindAllStringSubmatch(text, -1)
	if len(lines) != 2 {
		t.Fatalf("the unit runs janela %d times, want 2", len(lines))
	}
	for _, l := range lines {
		understood(t, "janela.service", strings.Fields(l[1]))
	}
	for _, want := range []string{"Type=notify\n", "WatchdogSec=90s\n", "TimeoutStopSec=90s\n", "User=janela\n", "StateDirectory=janela\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit does not say %s", want)
		}
	}
	if d := daemon.Defaults().WhatsApp.Drain; d.Seconds() > 60 {
		t.Errorf("a stop waits for %v, and systemd for 90 s", d)
	}
}

// The package's configuration is one.
func TestThePackagesConfigurationIsOne(t *testing.T) {
	cfg, err := daemon.Load(filepath.Join(repository, "packaging", "config.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Embedded() || cfg.Backup.Dir == "" {
		t.Error("as it comes it speaks to the sandbox, and makes backups")
	}
	for _, path := range []string{cfg.Store.Path, cfg.Campaigns.Folder, cfg.Campaigns.Status, cfg.Optin.KeyFile, cfg.OTP.KeyFile, cfg.Backup.Dir, cfg.Sandbox.Journal} {
		if !strings.HasPrefix(path, "/var/lib/janela/") {
			t.Errorf("%s is not in the folder of the service", path)
		}
	}
}
