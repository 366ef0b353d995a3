package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pressly/goose/v3"

	"janela/internal/outbox"
	"janela/internal/store"
)

// A house of each earlier schema goes on: what was in flight is unknown, what was
// stored is applied, what was stopped stands still, and it takes work. OLD_HOUSE
// is where packaging/test-deb wants one of the first schema, to go on with it too.
func TestAnOlderHouseGoesOn(t *testing.T) {
	files, err := filepath.Glob("../store/migrations/*.sql")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d migrations: %v", len(files), err)
	}
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{"var", "campaigns.d"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			config := filepath.Join(dir, "config.toml")
			if err := os.WriteFile(config, []byte(smallest), 0o600); err != nil {
				t.Fatal(err)
			}
			oldHouse(t, filepath.Join(dir, "var", "janela.db"), version)
			if path := os.Getenv("OLD_HOUSE"); path != "" && version == 1 {
				oldHouse(t, path, version)
			}
			synctest.Test(t, func(t *testing.T) { goesOn(t, config, version) })
		})
	}
}

func goesOn(t *testing.T, config string, version int64) {
	time.Sleep(time.Until(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)))
	cfg, err := Load(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	d, err := New(context.Background(), Options{Config: cfg, Space: roomy, Log: slog.New(slog.NewJSONHandler(log, nil)),
		Listen: func(string, string) (net.Listener, error) { return &noNetwork{make(chan struct{})}, nil },
		Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }})
	if err != nil {
		t.Fatal(err)
	}
	if _, upgraded := d.db.Upgrade(); upgraded != strings.Contains(log.String(), "the database as it was before is kept") {
		t.Errorf("schema %d was brought up to date: %v; the log says\n%s", version, upgraded, log)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(30 * time.Second)
	synctest.Wait()
	if h := d.health(context.Background()); !h.Ready {
		t.Errorf("it takes no work: %q", h.Problems)
	}
	err = d.db.Read(context.Background(), func(q *store.Snap) error {
		m, ok, err := outbox.ByID(q, 62)
		if err != nil || !ok || m.State != outbox.Unknown || m.Reason != outbox.ReasonRestart {
			t.Errorf("what was in flight is %s (%s): %v %v", m.State, m.Reason, ok, err)
		}
		for id, want := range map[int64]outbox.State{61: outbox.Delivered, 63: outbox.Unknown, 64: outbox.Read, 65: outbox.Failed} {
			if m, ok, err := outbox.ByID(q, id); err != nil || !ok || m.State != want {
				t.Errorf("message %d is %s, want %s: %v %v", id, m.State, want, ok, err)
			}
		}
		holds, err := outbox.Holds(q)
		if err != nil || len(holds) == 0 || holds[0].Reason != "operator" {
			t.Errorf("the holds are %v: %v", holds, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := d.intake.Stats.Applied.Load(); n != 1 {
		t.Errorf("%d stored callbacks were applied", n)
	}
	cancel()
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// oldHouse makes a database of an earlier schema, with the rows of its time.
func oldHouse(t *testing.T, path string, version int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", path+"?_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("../store/migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.ListSources() {
		if s.Version > version {
			break
		}
		if _, err := p.UpTo(t.Context(), s.Version); err != nil {
			t.Fatal(err)
		}
		rows, err := os.ReadFile(fmt.Sprintf("../store/testdata/upgrade/%05d.sql", s.Version))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = db.Exec(string(rows))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
