package daemon

import (
	"os"
	"path/filepath"
	"strings"

	"janela/internal/tomlfile"
)

// The package's configuration, and where it keeps the database.
const (
	packagedConfig   = "/etc/janela/config.toml"
	packagedDatabase = "/var/lib/janela/janela.db"
)

// FindSocket is where a daemon listens, if one runs, whose configuration cannot
// be used any more: where the environment has the database, or the file still
// says so, however broken the rest of it is; else where the package has it, or
// the defaults. See SocketPath.
func FindSocket(path string, environ []string) string {
	cfg := Config{dir: filepath.Dir(path)}
	for _, kv := range environ {
		if database, ok := strings.CutPrefix(kv, "JANELA_STORE_PATH="); ok {
			cfg.Store.Path = database
		}
	}
	if cfg.Store.Path == "" {
		cfg.Store.Path = writtenPath(path)
	}
	if cfg.Store.Path == "" && filepath.Clean(path) == packagedConfig {
		cfg.Store.Path = packagedDatabase
	}
	if cfg.Store.Path == "" {
		cfg.Store.Path = Defaults().Store.Path
	}
	return cfg.SocketPath()
}

// writtenPath is what a broken file says of [store] path: each line is read by
// itself, below the last head, so that a fault hides no other line.
func writtenPath(path string) (out string) {
	if info, err := os.Stat(path); err != nil || info.Size() > maxConfig {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	head := ""
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "[") {
			head = text + "\n"
			continue
		}
		if !strings.Contains(text, "path") || head != "" && !strings.Contains(head, "store") {
			continue
		}
		var said struct {
			Store struct {
				Path string `toml:"path"`
			} `toml:"store"`
		}
		_, _ = tomlfile.Decode(path, []byte(head+text), &said) // it has faults, or we were not here
		if said.Store.Path != "" {
			out = said.Store.Path
		}
	}
	return out
}
