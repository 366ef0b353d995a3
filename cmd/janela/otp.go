package main

import (
	"context"

	"github.com/spf13/cobra"

	"janela/internal/httpapi"
)

func newOTP(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "otp", Short: "Look after one-time codes"}
	cmd.AddCommand(newUnlock(a), newRotateKey(a))
	return cmd
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
