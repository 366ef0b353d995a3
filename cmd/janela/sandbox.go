package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"janela/internal/daemon"
	"janela/internal/sandbox"
)

// sandboxFlags are the settings of a sandbox that runs alone.
type sandboxFlags struct {
	listen, token, secret, verify, webhook, journal, waba, number, tier string
	seed                                                                int64
	quiet, unconnected                                                  bool
	latency                                                             time.Duration
	rate                                                                int
}

func newSandbox() *cobra.Command {
	f := &sandboxFlags{}
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the stand-in for Meta alone",
		Long: "Runs the stand-in for Meta's Graph API as its own process, for any client that speaks to it. Its management endpoint\n" +
			"is below /sandbox/ on the same address: inject faults and inbound messages, see what a phone received. It is not WhatsApp.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runSandbox(f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8791", "loopback address to listen on")
	fl.StringVar(&f.token, "token", "sandbox-token", "the bearer token that it accepts")
	fl.StringVar(&f.secret, "app-secret", "sandbox-app-secret", "signs the callbacks")
	fl.StringVar(&f.verify, "verify-token", "sandbox-verify-token", "sent in the handshake")
	fl.StringVar(&f.webhook, "webhook", "http://127.0.0.1:8790/webhooks/whatsapp", "where callbacks are posted")
	fl.StringVar(&f.journal, "journal", "", "file that keeps its ledger over restarts")
	fl.StringVar(&f.waba, "account", "100000000000001", "account id")
	fl.StringVar(&f.number, "number", "200000000000001", "phone_number_id")
	fl.Int64Var(&f.seed, "seed", 1, "the same seed, the same fates")
	fl.BoolVar(&f.quiet, "quiet", false, "no misbehaviour at all")
	fl.BoolVar(&f.unconnected, "unconnected", false, "as Meta is before janela connect: no callback address, and the account not subscribed")
	fl.DurationVar(&f.latency, "latency", 0, "of an answer")
	fl.StringVar(&f.tier, "messaging-limit", "", "TIER_2K and the like: different people in 24 hours before 131048; left out: nobody is counted")
	fl.IntVar(&f.rate, "rate", 0, "messages per second and number before 130429; 0: no limit")
	return cmd
}

func runSandbox(f *sandboxFlags) error {
	log := newLog(daemon.LogConfig{Level: "info", Format: "auto"}, new(slog.LevelVar), os.Stderr)
	cfg := sandbox.Config{Token: f.token, AppSecret: f.secret, VerifyToken: f.verify, WebhookURL: f.webhook, Seed: f.seed,
		Journal: f.journal, RatePerSecond: f.rate, MessagingLimit: f.tier != "", Profile: sandbox.Default(), Logger: log,
		WABAs:     []sandbox.WABA{{ID: f.waba, Name: "Sandbox", Numbers: []sandbox.Number{{ID: f.number, Display: "+1 202-555-0100", VerifiedName: "Sandbox", MessagingLimit: f.tier}}}},
		Templates: append(sandbox.DefaultTemplates(f.waba), sandbox.HelloWorld(f.waba))}
	if f.unconnected {
		cfg.WebhookURL, cfg.WABAs[0].Unsubscribed = "", true
	}
	if f.quiet {
		cfg.Profile = sandbox.Quiet()
	}
	cfg.Profile.AnswerLatency = sandbox.Span{Min: f.latency, Max: f.latency}
	s, err := sandbox.New(cfg)
	if err != nil {
		return err
	}
	lis, err := listenLoopback(f.listen)
	if err != nil {
		return err
	}
	log.Info("the sandbox answers in Meta's place", "graph_url", "http://"+lis.Addr().String(), "management", "http://"+lis.Addr().String()+"/sandbox/")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return errors.Join(answer(ctx, s, lis, log), s.Close())
}

func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%q: the sandbox listens on loopback addresses only, 127.0.0.1:8791", address)
	}
	return net.Listen("tcp", address)
}

// answer serves until ctx ends.
func answer(ctx context.Context, s *sandbox.Sandbox, lis net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("/sandbox/", http.StripPrefix("/sandbox", s.Manage()))
	mux.Handle("/", s)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			log.Error("the sandbox's callbacks have ended", "error", err)
		}
	})
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
