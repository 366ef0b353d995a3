package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// Files that pages load. Those in vendor are others' work: VENDOR.md says whose,
// which version and what they hash to, and a test compares.
//
//go:embed static/*.css static/*.js static/*.svg static/vendor/*.js static/vendor/*.css
var staticFiles embed.FS

// file is an asset under the name that holds its hash: it never changes.
type file struct {
	name, kind string
	body       []byte
}

// assets are the files by what pages call them (app.css) and by the name in their
// address (app.1f2e3d4c.css).
var assets = sync.OnceValue(func() (out struct{ byWord, byName map[string]file }) {
	out.byWord, out.byName = map[string]file{}, map[string]file{}
	for _, dir := range []string{"static", "static/vendor"} {
		list, err := staticFiles.ReadDir(dir)
		if err != nil { // a fault of the program
			panic(err)
		}
		for _, f := range list {
			if f.IsDir() {
				continue
			}
			body, err := staticFiles.ReadFile(path.Join(dir, f.Name()))
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(body)
			ext := path.Ext(f.Name())
			a := file{fmt.Sprintf("%s.%s%s", strings.TrimSuffix(f.Name(), ext), hex.EncodeToString(sum[:4]), ext), mime.TypeByExtension(ext), body}
			out.byWord[f.Name()], out.byName[a.name] = a, a
		}
	}
	return out
})

// assetPath is where a file is served.
func assetPath(word string) (string, error) {
	a, ok := assets().byWord[word]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", word)
	}
	return "/static/" + a.name, nil
}

func asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets().byName[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.body)
}
