package console

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkPages opens pages with few and with very many messages in the
// database, in one run with so many recipients: what a page costs must not
// depend on it. Recipients are people who never agreed, so that every row has
// its reason and none needs Meta.
func BenchmarkPages(b *testing.B) {
	many := 1_000_000
	if testing.Short() {
		many = 5_000
	}
	for _, n := range []int{10, many} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			f, end := openFair(b, "off")
			defer end()
			var rows strings.Builder
			rows.WriteString("nome;telefone\n")
			for i := range n {
				fmt.Fprintf(&rows, "P;+55119%08d\n", 100+i)
			}
			for name, text := range map[string]string{"gente.csv": rows.String(), "primavera.toml": strings.Replace(spring, "2026-11-23T10:10:00", "2026-11-23T08:59:00", 1) + "[missed]\npolicy = \"run_once\"\nmax_lateness = \"24h\"\n"} {
				if err := os.WriteFile(filepath.Join(f.folder, name), []byte(text), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
				f.wait(time.Second)
				c, err := f.api.Campaign(b.Context(), "primavera")
				if err == nil && len(c.Runs) == 1 && c.Runs[0].Reasons["no_opt_in"] == int64(n) {
					break
				}
				if time.Since(began) > time.Minute+time.Duration(n)*time.Millisecond {
					b.Fatalf("%v %+v", err, c)
				}
			}
			maria := f.as("maria", "pt-BR")
			run, err := f.api.Campaign(b.Context(), "primavera")
			if err != nil {
				b.Fatal(err)
			}
			deep := fmt.Sprintf("/campaigns/primavera/recipients?run=%d", run.Runs[0].ID)
			for _, path := range []string{"/", "/campaigns", "/campaigns/primavera", deep, "/conversations", "/codes", "/audit"} {
				b.Run("page="+strings.SplitN(path, "?", 2)[0], func(b *testing.B) {
					for b.Loop() {
						if a := maria.get(path); a.StatusCode != http.StatusOK {
							b.Fatalf("%s answers %d: %s", path, a.StatusCode, a.text)
						}
					}
				})
			}
		})
	}
}
