package campaigns

import (
	"fmt"
	"slices"
	"testing"
)

func TestColumns(t *testing.T) {
	c := NewColumns([]string{"Primeiro Nome", "telefone-celular", "Observação", "UF", "uf", "", ""})
	for name, want := range map[string]string{
		"primeiro_nome":          "0",
		" PRIMEIRO  NOME ":       "0",
		"Telefone Celular":       "1",
		"observacao":             "2",
		"OBSERVAC\u0327A\u0303O": "2",
		"uf":                     `the audience has the column "uf" 2 times (columns 4, 5); rename one of them in the file`,
		"telefone_celualr":       `the audience has no column "telefone_celualr"; did you mean "telefone-celular"?`,
	} {
		i, err := c.Find(name)
		got := fmt.Sprint(i)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if got := c.PhoneCandidates(); !slices.Equal(got, []string{"telefone-celular"}) {
		t.Errorf("candidates %q", got)
	}
}
