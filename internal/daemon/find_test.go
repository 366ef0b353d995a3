package daemon

import (
	"path/filepath"
	"testing"
)

// However broken a configuration is, its daemon is found where the file still
// says where the database is.
func TestFindSocket(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ text, want string }{
		"a value of the wrong kind": {"[store]\npath = \"data/x.db\"\n[log]\nlevel = 7\n", "data/x.db"},
		"no end of a text before":   {"[log]\nlevel = \"info\n[store] # here\n  path = 'data/x.db' # the database\n", "data/x.db"},
		"no end of a text after":    {"[store]\npath = \"data/x.db\"\n[log]\nlevel = \"info\n", "data/x.db"},
		"bytes that are no text":    {"[store]\npath = \"data/x.db\"\n[log]\nlevel = \"\xff\"\n", "data/x.db"},
		"at the top":                {"store.path = \"data/x.db\"\nlevel = \n", "data/x.db"},
		"a merge that was not done": {"<<<<<<< mine\n[store]\npath = \"data/x.db\"\n=======\n", "data/x.db"},
		"a path of something else":  {"[http]\nwebhook_path = \"/x\"\npath = \"y\"\nlisten = \n", "var/janela.db"},
		"the very line":             {"[store]\npath = \"data/x.db\n", "var/janela.db"},
		"a comment":                 {"[store]\n# path = \"data/x.db\"\nlisten\n", "var/janela.db"},
		"nothing":                   {"", "var/janela.db"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, dir, "config.toml", tt.text, 0o600)
			want(t, "the socket", FindSocket(path, []string{"HOME=/x"}), filepath.Join(dir, tt.want)+".sock")
			want(t, "as the environment says", FindSocket(path, []string{"JANELA_STORE_PATH=/srv/y.db"}), "/srv/y.db.sock")
		})
	}
	want(t, "no file", FindSocket(filepath.Join(dir, "none.toml"), nil), filepath.Join(dir, "var/janela.db.sock"))
	want(t, "the package's", FindSocket("/etc/janela/config.toml", []string{"JANELA_STORE_PATH="}), "/var/lib/janela/janela.db.sock")
}
