package main

import (
	"os"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
)

// app is what every subcommand shares.
type app struct {
	config string
	socket string // of the daemon to ask; "" for the one that config.toml says
}

// installed is where a package puts the configuration; it counts where none lies
// in the working directory.
const installed = "/etc/janela/config.toml"

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "janela",
		Short: "Schedules WhatsApp messages: nobody without consent, nobody twice",
		Long: "Schedules WhatsApp messages: nobody without consent, nobody twice.\n\n" +
			"janela serve is the daemon. Every other command asks the running daemon, or works on the database itself when none runs.\n" +
			exitWords() + " janela help exit-codes says more.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	config := os.Getenv("JANELA_CONFIG")
	if config == "" {
		config = "config.toml"
		if _, err := os.Stat(config); err != nil {
			if _, err := os.Stat(installed); err == nil {
				config = installed
			}
		}
	}
	root.PersistentFlags().StringVar(&a.config, "config", config, "configuration file (or JANELA_CONFIG)")
	root.PersistentFlags().StringVar(&a.socket, "socket", os.Getenv("JANELA_SOCKET"), "socket of the daemon to ask (or JANELA_SOCKET); left out: the one that config.toml says")
	root.PersistentPreRunE = refuseSocket
	root.AddCommand(newServe(a), newInit(), newSandbox(), newVersion(), newMan(),
		newPlan(a), newCheck(a), newCampaigns(a), newWhy(a), newOptin(a), newDossier(a), newForget(a), newTemplates(a), newConversations(a), newReply(a),
		newHold(a), newRelease(a), newHolds(a), newUnknown(a), newUndeliverable(a), newCallbacks(a), newAudit(a), newStatus(a), newClock(a), newRecover(a), newBackup(a), newRestore(a), newReload(a), newHealthcheck(a), newKeys(a), newOperators(a), newConsole(a), newOTP(a), newHooks(a), newConnectMeta(a), newHouseDoctor(a), newTop(a), newToday(a), newContacts(a), newExitCodes(), newConfig(), newOpenAPI(), newBench())
	a.complete(root)
	return root
}

// load reads the configuration; its problems come all at once.
func (a *app) load() (daemon.Config, error) { return daemon.Load(a.config, os.Environ()) }
