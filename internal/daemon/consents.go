package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"janela/optin"
)

// importSandboxConsents reads the example consents of the sandbox, so that the
// first start shows something. With a real account it never runs.
func (d *Daemon) importSandboxConsents(ctx context.Context) error {
	path := d.cfg.file(d.cfg.Sandbox.Consents)
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sandbox consents: %w", err)
	}
	defer func() { _ = f.Close() }()
	zone := d.cfg.Campaigns.Timezone
	if zone == "" {
		zone = "UTC"
	}
	report, err := optin.ImportCSV(ctx, d.db, f, optin.ImportOptions{Name: filepath.Base(path), DefaultRegion: d.cfg.Campaigns.Region, Zone: zone,
		Source: optin.SourceSandbox, Actor: "sandbox", OnOutcome: d.outcomes,
		DefaultTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return fmt.Errorf("sandbox consents: %w", err)
	}
	if !report.Already {
		d.log.Info("example consents imported", "granted", report.Granted, "revoked", report.Revoked, "rejected", report.Rejected)
	}
	return nil
}
