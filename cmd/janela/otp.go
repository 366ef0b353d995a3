package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newOTP(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "otp", Short: "Look after one-time codes"}
	cmd.AddCommand(newDoctor(a), newUnlock(a), newRotateKey(a), newOTPFunnel(a))
	return cmd
}

func newDoctor(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is unsafe about codes, how likely a guess is, and what a day can cost",
		Long: "Looks at the configuration of codes and at their templates as Meta lists them: what is unsafe or will not be sent, how likely\n" +
			"somebody guesses a code, how many codes a day can cost at most, and which limit holds an attacker last.\n" +
			"Exit code 1 when there is an error; warnings alone are fine.",
		Args: cobra.NoArgs,
	}
	as := outputFlag(cmd, asTable, asJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.ask(func(ctx context.Context, c *httpapi.Client) error {
			r, err := c.Doctor(ctx)
			if err != nil {
				return err
			}
			if as.value == asJSON {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				err = showReport(cmd.OutOrStdout(), r)
			}
			for _, f := range r.Findings {
				if err == nil && f.Level == "error" {
					err = &exitError{code: 1}
				}
			}
			return err
		})
	}
	return cmd
}

func showReport(w io.Writer, r httpapi.OTPReport) error {
	for _, f := range r.Findings {
		if err := say(w, "%s: %s: %s (%s)", f.Level, f.Where, f.Text, f.Code); err != nil {
			return err
		}
		if err := say(w, "  %s", f.Fix); err != nil {
			return err
		}
	}
	if len(r.Findings) == 0 {
		if err := say(w, "fine: nothing is unsafe, and every template can carry codes"); err != nil {
			return err
		}
	}
	s := &sections{w: w}
	ceiling := fmt.Sprintf("%d codes in any 24 h; %d sent, %d left", r.Cost.SendsPerDay, r.Cost.Sent, r.Cost.Left)
	if r.Cost.FallbackPerDay > 0 {
		ceiling += fmt.Sprintf("; by the fallback at most %d of them", r.Cost.FallbackPerDay)
	}
	var guess string
	var easiest float64
	var rows [][]string
	for _, p := range r.Purposes {
		g := p.Untrusted
		rows = append(rows, []string{p.Name, strconv.Itoa(p.Digits), p.TTL, limit(g.Guesses), chance(g.Day), chance(g.Year), limit(g.Lock), limit(p.PhoneSends)})
		if g.Day > easiest {
			easiest, guess = g.Day, fmt.Sprintf("%s that a code of one phone is guessed in a day, %s in a year", chance(g.Day), chance(g.Year))
		}
	}
	s.facts([][]string{{"guess bound", guess}, {"cost ceiling", ceiling}, {"weakest limit", r.Weakest}})
	s.table("somebody who guesses the codes of one phone (a device called trusted has as many guesses again)",
		[]string{"purpose", "digits", "valid", "guesses a day", "right in a day", "right in a year", "locked after", "codes a day"}, rows)
	rows = nil
	for _, b := range r.Sends {
		rows = append(rows, []string{b.Attack, b.First, b.Rule, limit(b.Sends)})
	}
	s.table("somebody who has codes sent and verifies none", []string{"attack", "met first", "ended by", "codes a day"}, rows)
	return s.err
}

// limit writes a number of which -1 is none.
func limit(n int) string {
	if n < 0 {
		return "no limit"
	}
	return strconv.Itoa(n)
}

// chance writes a probability.
func chance(p float64) string {
	switch {
	case p <= 0:
		return "never"
	case p >= 1:
		return "certain"
	default:
		return fmt.Sprintf("1 in %.0f (%.2g)", 1/p, p)
	}
}

func newUnlock(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "unlock PHONE",
		Short: "Open a phone for codes again",
		Long: "Opens a phone that too many wrong guesses locked, that was muted because its owner had asked for no code, or that Meta says is\n" +
			"another device's or person's now. Verify the person by another way first.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.Unlock(ctx, args[0])
				if err != nil {
					return err
				}
				if !out.Changed {
					return say(cmd.OutOrStdout(), "was open already: %s", out.Phone)
				}
				return say(cmd.OutOrStdout(), "unlocked: %s", out.Phone)
			})
		},
	}
}

func newRotateKey(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-key",
		Short: "Replace the key that codes are made of",
		Long: "Puts a new key on top of the key file; new codes are made with it. The two keys before it stay, so that codes under way can\n" +
			"still be verified: rotate three times within twenty minutes, and they cannot. Make a copy of the file afterwards.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(func(ctx context.Context, c *httpapi.Client) error {
				out, err := c.RotateKey(ctx)
				if err != nil {
					return err
				}
				return say(cmd.OutOrStdout(), "codes are made with key %s from now on", out.Key)
			})
		},
	}
}
