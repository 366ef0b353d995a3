package main

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"janela"
	"janela/internal/daemon"
	"janela/internal/httpapi"
	"janela/internal/tomlfile"
)

//go:embed first
var first embed.FS

// firstID is the first campaign's id.
const firstID = "primeira"

// firstFlags are the answers to what janela init asks.
type firstFlags struct {
	zone, region, name string
	codes, yes         bool
}

func newInit() *cobra.Command {
	f := &firstFlags{}
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a first configuration and a first campaign into a new folder",
		Long: "Writes config.toml, with every setting and what it means, and a first campaign with its audience, into a new folder (janela, if\n" +
			"none is named). It runs as it is, with the embedded sandbox: nothing leaves the machine until janela connect. It asks for what it\n" +
			"cannot know; --yes takes the flags and asks nothing. Nothing is ever written over.",
		Args: cobra.MaximumNArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.zone, "timezone", localZone(), "IANA name of the time zone of campaigns")
	fl.StringVar(&f.region, "region", "BR", "country of telephone numbers without a plus")
	fl.StringVar(&f.name, "number-name", "loja", "what campaigns call your number: a to z, 0 to 9, - and _")
	fl.BoolVar(&f.codes, "codes", false, "one-time codes too: their templates must exist, or janela is not ready")
	fl.BoolVarP(&f.yes, "yes", "y", false, "ask nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "janela"
		if len(args) > 0 {
			dir = args[0]
		}
		if in, ok := cmd.InOrStdin().(*os.File); ok && !f.yes && term.IsTerminal(int(in.Fd())) {
			if err := f.ask(cmd.ErrOrStderr(), bufio.NewReader(in)); err != nil {
				return err
			}
		}
		return f.write(cmd.OutOrStdout(), dir)
	}
	return cmd
}

// localZone is the machine's time zone, where it has a name.
func localZone() string {
	if name := time.Local.String(); name != "Local" {
		return name
	}
	if to, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(to, "zoneinfo/"); ok {
			return name
		}
	}
	return "America/Sao_Paulo"
}

func (f *firstFlags) ask(w io.Writer, r *bufio.Reader) error {
	for _, q := range []struct {
		into     *string
		question string
	}{
		{&f.zone, "Time zone of campaigns"}, {&f.region, "Country of telephone numbers without a plus"}, {&f.name, "What campaigns call your number"},
	} {
		answer, err := askLine(w, r, q.question, *q.into)
		if err != nil {
			return err
		}
		*q.into = answer
	}
	answer, err := askLine(w, r, "One-time codes too? yes or no", "no")
	f.codes = strings.HasPrefix(strings.ToLower(answer), "y")
	return err
}

// write makes the folder. Everything is checked before it has its name: what was
// written passes, or there is nothing.
func (f *firstFlags) write(w io.Writer, dir string) error {
	if _, err := time.LoadLocation(f.zone); err != nil || f.zone == "Local" || f.zone == "" {
		return fmt.Errorf("%q is no time zone; write an IANA name like America/Sao_Paulo", f.zone)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return &exitError{1, fmt.Errorf("%s is there already, and not empty: nothing is written over\n  choose another folder: janela init FOLDER", dir)}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &exitError{1, fmt.Errorf("%s cannot be used: %w", dir, err)}
	}
	config, err := f.config()
	if err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(parent, ".janela-init-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(draft) }()
	if err := f.fill(draft, config); err != nil {
		return err
	}
	if err := f.check(draft); err != nil {
		return err
	}
	_ = os.Remove(dir) // an empty one
	if err := os.Rename(draft, dir); err != nil {
		return err
	}
	for _, line := range []string{
		"wrote " + filepath.Join(dir, "config.toml") + ", and a first campaign in " + filepath.Join(dir, "campaigns.d"),
		"next:",
		"  cd " + dir,
		"  janela serve                                   with the sandbox: nothing leaves this machine",
		"  janela campaigns test " + firstID + "                 in another terminal: one message, and what the phone receives",
		"  janela connect                                 your account at Meta: docs/first-day.md",
	} {
		if err := say(w, "%s", line); err != nil {
			return err
		}
	}
	return nil
}

// config is the repository's config.toml with the answers in it.
func (f *firstFlags) config() (string, error) {
	e, err := tomlfile.NewEditor("config.toml", []byte(janela.Config))
	if err != nil {
		return "", err
	}
	for _, s := range [][2]string{{"campaigns.timezone", f.zone}, {"campaigns.region", strings.ToUpper(f.region)},
		{"whatsapp.accounts.0.numbers.0.name", f.name}, {"sandbox.consents", "consents.csv"}} {
		if err := e.Set(s[0], tomlfile.Quote(s[1])); err != nil {
			return "", err
		}
	}
	text := e.Text()
	if !f.codes {
		text = withoutPurposes(text)
	}
	return text, nil
}

var tableHeader = regexp.MustCompile(`^\s*\[`)

// withoutPurposes makes remarks of the purposes of codes: without one there are
// none.
func withoutPurposes(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if tableHeader.MatchString(line) {
			inside = strings.HasPrefix(strings.TrimSpace(line), "[otp.purposes.")
		}
		if bare := strings.TrimSpace(line); inside && bare != "" && !strings.HasPrefix(bare, "#") {
			b.WriteString("# ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// fill writes the files.
func (f *firstFlags) fill(dir, config string) error {
	if err := os.Mkdir(filepath.Join(dir, "campaigns.d"), 0o700); err != nil {
		return err
	}
	zone, err := time.LoadLocation(f.zone)
	if err != nil {
		return err
	}
	day := time.Now().In(zone).AddDate(0, 0, 1)
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday { // inside its windows
		day = day.AddDate(0, 0, 1)
	}
	fill := strings.NewReplacer("{{", "{{", "{id}", firstID, "{folder}", "campaigns.d", "{region}", strings.ToUpper(f.region), "{day}", day.Format(time.DateOnly), "{zone}", f.zone)
	files := map[string]string{"config.toml": config}
	for name, to := range map[string]string{"campaign.toml": "campaigns.d/" + firstID + ".toml", "audience.csv": "campaigns.d/" + firstID + ".csv", "consents.csv": "consents.csv"} {
		data, err := first.ReadFile("first/" + name)
		if err != nil {
			return err
		}
		files[to] = string(data)
		if strings.HasSuffix(name, ".toml") {
			files[to] = fill.Replace(string(data))
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// check looks at what was written as janela check does, and as the start will.
func (f *firstFlags) check(dir string) error {
	if _, err := daemon.Load(filepath.Join(dir, "config.toml"), nil); err != nil {
		return fmt.Errorf("these answers make no configuration:\n%w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "campaigns.d", firstID+".toml"))
	if err != nil {
		return err
	}
	faults, err := httpapi.CheckOffline(path, time.Now(), httpapi.Offline{Zone: f.zone, Numbers: []string{f.name}})
	if err != nil || httpapi.Faulty(faults) {
		return errors.Join(fmt.Errorf("these answers make no campaign: %v", faults), err)
	}
	return nil
}
