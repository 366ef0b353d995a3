package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"janela/internal/connect"
	"janela/internal/daemon"
	"janela/internal/httpapi"
)

// connectFlags are what can be asked for beside what is asked.
type connectFlags struct {
	opt     connect.Options
	numbers []string
	add     []string
	rotate  bool
	yes     bool
}

func newConnectMeta(a *app) *cobra.Command {
	f := &connectFlags{}
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "Connect a real account: token, numbers, callbacks, and a test message",
		Long: "Checks the token, finds your accounts and numbers, writes the secrets and config.toml, has Meta post its callbacks here, reads the\n" +
			"templates, and sends a message to a telephone of yours. Each step says what it found or did, and what to do when it fails. What is\n" +
			"as it should be is left alone: run it again at any time. docs/first-day.md goes through it.\n\n" +
			"Secrets are asked for without showing them. Where nobody is there to answer, they are read from standard input, one per line, those\n" +
			"that are not there yet: the token, then the app secret. They are never arguments.\n" +
			"  printf '%s\\n%s\\n' \"$TOKEN\" \"$APP_SECRET\" | janela connect --yes --callback-url https://wa.example.com/webhooks/whatsapp\n" +
			"Exit codes: 0 connected, 1 a step failed, 2 it could not be run.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.connectMeta(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.opt.Accounts, "account", nil, "WhatsApp Business Account ID; left out: those that the token sees")
	fl.StringVar(&f.opt.Business, "business", "", "business portfolio whose accounts are looked for")
	fl.StringSliceVar(&f.numbers, "number", nil, "phone_number_id to use, or ID=NAME with what campaigns call it; left out: all")
	fl.StringSliceVar(&f.add, "add-number", nil, "one more number of the account, ID or ID=NAME; the others stay")
	fl.BoolVar(&f.rotate, "rotate-token", false, "put a new token in the place of the one that is used, and nothing else; with --account, of the account that has one of its own")
	fl.StringVar(&f.opt.CallbackURL, "callback-url", "", "public address of [http] webhook_path, https://wa.example.com/webhooks/whatsapp")
	fl.BoolVar(&f.opt.Replace, "replace-callback", false, "take the app's callback address from the program that has it")
	fl.BoolVar(&f.opt.Override, "override", false, "leave the app's callback address to the program that has it, and bring only this account's messages here")
	fl.StringVar(&f.opt.TestTo, "test-to", "", "a telephone of yours for a test message; your consent to it is recorded")
	fl.StringVar(&f.opt.Template, "test-template", "", "NAME/LANGUAGE of a template without variables (default hello_world/en_US)")
	fl.StringVar(&f.opt.GraphURL, "graph-url", "", "address of the Graph API; left out: config.toml's, or "+connect.MetaURL)
	fl.DurationVar(&f.opt.Wait, "wait", time.Minute, "how long to wait for the test message's callback")
	fl.BoolVarP(&f.yes, "yes", "y", false, "ask nothing")
	cmd.MarkFlagsMutuallyExclusive("replace-callback", "override")
	cmd.MarkFlagsMutuallyExclusive("number", "add-number", "rotate-token")
	return cmd
}

func (a *app) connectMeta(cmd *cobra.Command, f *connectFlags) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	w, in := cmd.OutOrStdout(), cmd.InOrStdin()
	f.opt.Path, f.opt.Environ = a.config, os.Environ()
	for _, n := range append(f.numbers, f.add...) {
		id, name, _ := strings.Cut(n, "=")
		f.opt.Numbers = append(f.opt.Numbers, connect.Wanted{ID: id, Name: name})
	}
	colours := coloured(w)
	f.opt.Tell = func(s connect.Step) { _, _ = fmt.Fprint(w, stepLine(s, colours)) }
	lines := bufio.NewReader(in)
	f.opt.Secret = func(what string) (string, error) { return readLine(lines, what) }
	if tty, ok := in.(*os.File); ok && term.IsTerminal(int(tty.Fd())) {
		f.opt.Secret = func(what string) (string, error) { return readHidden(cmd.ErrOrStderr(), tty, what) }
		if !f.yes {
			f.opt.Ask = func(question, usual string) (string, error) {
				return askLine(cmd.ErrOrStderr(), lines, question, usual)
			}
		}
	}
	f.opt.Daemon = momentary
	run := connect.Run
	if f.rotate {
		run = connect.Rotate
	}
	changed, err := run(ctx, f.opt)
	var failed *connect.Error
	switch {
	case errors.As(err, &failed): // which was told
		return &exitError{code: 1}
	case err != nil:
		return err
	case !changed:
		return say(w, "nothing had to be changed")
	case f.rotate:
		return say(w, "the new token is in use; revoke the old one at Meta")
	default:
		return say(w, "connected; next: janela serve, then janela doctor, and docs/first-day.md")
	}
}

// stepLine is a step as it is shown, with the way out below.
func stepLine(s connect.Step, colours bool) string {
	word := fmt.Sprintf("%-8s", s.Result)
	if colours {
		text.EnableColors()
		colour := map[connect.Result]text.Color{connect.Kept: text.FgGreen, connect.Changed: text.FgGreen, connect.Skipped: text.FgYellow, connect.Failed: text.FgRed}[s.Result]
		word = colour.Sprint(word)
	}
	out := fmt.Sprintf("%2d/%d %-13s %s %s\n", s.Number, s.Of, s.Name, word, clean(s.Text))
	if s.Fix == "" {
		return out
	}
	for i, line := range strings.Split(strings.TrimRight(s.Fix, "\n"), "\n") {
		if i == 0 {
			line = "do: " + line
		}
		out += "      " + clean(line) + "\n"
	}
	return out
}

// readHidden reads a secret from a terminal that does not show it.
func readHidden(w io.Writer, tty *os.File, what string) (string, error) {
	if _, err := fmt.Fprintf(w, "%s: ", what); err != nil {
		return "", err
	}
	b, err := term.ReadPassword(int(tty.Fd()))
	_, _ = fmt.Fprintln(w)
	return string(b), err
}

// readLine reads the next secret from standard input.
func readLine(r *bufio.Reader, what string) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("%s was to be a line of standard input", what)
	}
	return strings.TrimSpace(line), nil
}

// askLine asks a person.
func askLine(w io.Writer, r *bufio.Reader, question, usual string) (string, error) {
	if usual != "" {
		question += " [" + usual + "]"
	}
	if _, err := fmt.Fprintf(w, "%s: ", question); err != nil {
		return "", err
	}
	line, err := r.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("nobody answers; --yes asks nothing")
	}
	if line = strings.TrimSpace(line); line == "" {
		return usual, nil
	}
	return line, nil
}

// foreignOwner is whose a folder is, where we are root and it is not root's: what
// we would make in it, its owner could not open. -1: it may be used.
func foreignOwner(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return -1
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return foreign(int(st.Uid), os.Getuid())
}

func foreign(owner, we int) int {
	if we != 0 || owner == 0 {
		return -1
	}
	return owner
}

// momentary finds the running daemon, or runs one for the moment: its doors
// without its producers.
func momentary(ctx context.Context, cfg daemon.Config) (*httpapi.Client, bool, func() error, error) {
	if c, err := httpapi.Dial(ctx, cfg.SocketPath()); err == nil {
		return c, false, nil, nil
	}
	if owner := foreignOwner(filepath.Dir(cfg.File(cfg.Store.Path))); owner >= 0 {
		return nil, false, nil, fmt.Errorf("you are root, and the database belongs to user %d: systemctl restart janela, and run janela connect again", owner)
	}
	quiet := cfg.Log
	quiet.Level = "error"
	d, err := daemon.New(ctx, daemon.Options{Config: cfg, Log: newLog(quiet, new(slog.LevelVar), os.Stderr), Version: version()})
	if err != nil {
		return nil, false, nil, err
	}
	stop, err := d.Trial(ctx)
	if err != nil {
		return nil, false, nil, errors.Join(err, d.Close())
	}
	end := func() error {
		stop()
		return d.Close()
	}
	c, err := httpapi.Dial(ctx, cfg.SocketPath())
	if err != nil {
		return nil, false, nil, errors.Join(err, end())
	}
	return c, true, end, nil
}
