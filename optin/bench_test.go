package optin

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"janela/internal/store"
	"janela/internal/whatsapp"
)

// What sealing costs an import: rows a second without it and with it, in turns
// of one run.
func BenchmarkRecordSealed(b *testing.B) {
	l := newLedger(b)
	next := 0
	rows := func(n int) time.Duration {
		began := time.Now()
		for range n / batch {
			err := l.Bulk(b.Context(), func(tx *store.Tx) error {
				for range batch {
					next++
					_, err := Record(tx, Grant{Identity: whatsapp.Phone(fmt.Sprintf("+5511%09d", 900000000+next)).Identity(), Category: whatsapp.Marketing,
						Source: SourceImport, Actor: "maria", At: day(3), Evidence: Evidence{Text: "Aceito receber ofertas", File: "lista.csv", Line: next}})
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(began)
	}
	ledger := NewLedger(LedgerConfig{DB: l.DB, Keys: keysFor(b), Head: filepath.Join(b.TempDir(), "head")})
	const turn = 100_000
	var plain, sealed, sealing time.Duration
	for b.Loop() {
		plain += rows(turn)
		if _, err := ledger.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		var failed error
		wg.Go(func() { failed = ledger.Run(ctx) })
		sealed += rows(turn)
		cancel()
		wg.Wait()
		if failed != nil {
			b.Fatal(failed)
		}
		plain += rows(turn) // once before and once after: the database grows
		began := time.Now()
		if _, err := ledger.Seal(b.Context()); err != nil {
			b.Fatal(err)
		}
		sealing += time.Since(began)
	}
	n := float64(b.N * turn)
	plain /= 2
	b.ReportMetric(n/plain.Seconds(), "plain/s")
	b.ReportMetric(n/sealed.Seconds(), "sealed/s")
	b.ReportMetric(sealed.Seconds()/plain.Seconds(), "ratio")
	b.ReportMetric(n/sealing.Seconds(), "seals/s")
}
