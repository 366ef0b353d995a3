package main

import (
	"os"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
)

// app is what every subcommand shares.
type app struct {
	config string
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:           "janela",
		Short:         "Schedules WhatsApp messages: nobody without consent, nobody twice",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	config := os.Getenv("JANELA_CONFIG")
	if config == "" {
		config = "config.toml"
	}
	root.PersistentFlags().StringVar(&a.config, "config", config, "configuration file (or JANELA_CONFIG)")
	root.AddCommand(newServe(a), newSandbox())
	return root
}

// load reads the configuration; its problems come all at once.
func (a *app) load() (daemon.Config, error) { return daemon.Load(a.config, os.Environ()) }
