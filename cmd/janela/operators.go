package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"janela/internal/httpapi"
)

func newOperators(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "operators", Short: "Say who may log in to the web console, and as what"}
	cmd.AddCommand(newAddOperator(a), newListOperators(a), newOperatorPassword(a), newOperatorRole(a), newDisableOperator(a))
	return cmd
}

// askPassword reads a new password: twice from a terminal that does not show it,
// else the first line of standard input.
func askPassword(cmd *cobra.Command, name string) (string, error) {
	tty, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if line == "" && err != nil {
			return "", errors.New("the password was to be a line of standard input; run the command on a terminal to be asked for it")
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	first, err := readHidden(cmd.ErrOrStderr(), tty, "new password of "+name)
	if err != nil {
		return "", err
	}
	second, err := readHidden(cmd.ErrOrStderr(), tty, "once more")
	if err == nil && first != second {
		err = errors.New("the two are not the same; nothing was changed")
	}
	return first, err
}

const passwordHelp = "The password is asked for without showing it, or is the first line of standard input; it is never an argument. It has at least\n" +
	"12 characters and is not the name. Only a hash of it is kept (argon2id).\n"

func newAddOperator(a *app) *cobra.Command {
	in := httpapi.OperatorRequest{}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Let somebody log in to the web console with a password",
		Long: "Makes an operator. One who was disabled comes back, with the role and password given now.\n" + passwordHelp +
			"  printf '%s\\n' \"$PASSWORD\" | janela operators add maria --role approver",
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&in.Role, "role", "", "viewer looks, operator also changes, approver also lets plans be sent")
	if err := errors.Join(cmd.MarkFlagRequired("role"), cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(httpapi.Roles(), noFiles))); err != nil {
		panic(err) // the flag was made above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		in.Name = args[0]
		if err := httpapi.CheckOperator(in.Name, in.Role); err != nil { // before a password is typed for nothing
			return coded(err)
		}
		if in.Password, err = askPassword(cmd, in.Name); err != nil {
			return err
		}
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.AddOperator(ctx, in)
			if err != nil {
				return err
			}
			return say(cmd.OutOrStdout(), "%s may log in to the console as %s", out.Name, out.Role)
		})
	}
	return cmd
}

func newListOperators(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List who may log in to the web console with a password, by name", Args: cobra.NoArgs}
	as := outputFlag(cmd, asTable, asCSV, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			all, err := c.Operators(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, o := range all {
				rows = append(rows, []string{o.Name, o.Role, o.State, fmt.Sprint(o.Sessions), stamp(o.SeenAt), stamp(o.CreatedAt), o.CreatedBy, stamp(o.ChangedAt), stamp(o.DisabledAt)})
			}
			header := []string{"name", "role", "state", "sessions", "seen", "created", "by", "changed", "disabled"}
			return printRows(cmd.OutOrStdout(), as, header, rows, all)
		})
	}
	return cmd
}

func newOperatorPassword(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "password NAME",
		Short: "Give an operator another password, and end his sessions",
		Long:  "Gives an operator another password. Whoever is in with the old one is out with his next click.\n" + passwordHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := askPassword(cmd, args[0])
			if err != nil {
				return err
			}
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.SetPassword(ctx, args[0], password)
				if err != nil {
					return err
				}
				return say(cmd.OutOrStdout(), "%s has another password, and has to log in with it", out.Name)
			})
		},
	}
}

func newOperatorRole(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "role NAME ROLE",
		Short: "Give an operator another role, at once",
		Long:  "Gives an operator another role: viewer looks, operator also changes, approver also lets plans be sent. It counts from his next click on.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.SetRole(ctx, args[0], args[1])
				if err != nil {
					return err
				}
				word := "is"
				if !out.Changed {
					word = "was already"
				}
				return say(cmd.OutOrStdout(), "%s %s %s", out.Name, word, out.Role)
			})
		},
	}
}

func newDisableOperator(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "disable NAME",
		Short: "Keep an operator out, and end his sessions",
		Long:  "Keeps an operator out: his next click is refused. What he did stays in the audit log; janela operators add lets him in again.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.DisableOperator(ctx, args[0])
				if err != nil {
					return err
				}
				word := "is disabled"
				if !out.Changed {
					word = "was disabled already"
				}
				return say(cmd.OutOrStdout(), "%s %s", out.Name, word)
			})
		},
	}
}

func newConsole(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Open the web console: a link for one login",
		Long: "Asks the running daemon for a link into the web console and shows it. It works once, within five minutes, and lets in whoever opens\n" +
			"it as an approver: who may talk to the daemon's socket may do everything anyway. The audit log names the machine's user.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			out, err := c.ConsoleLink(ctx)
			if err != nil {
				return err
			}
			if as.value == asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), out.URL); err != nil {
				return err
			}
			return say(cmd.ErrOrStderr(), "open it in a browser on this machine, before %s; it works once", out.Expires.Local().Format("15:04"))
		})
	}
	return cmd
}
