package optin

import (
	"testing"

	"janela/internal/whatsapp"
)

func TestStop(t *testing.T) {
	for _, c := range []struct {
		text, language string
		all            bool
	}{
		{"STOP", "en", false},
		{"stop", "en", false},
		{"  Stop.  ", "en", false},
		{"STOP!!!", "en", false},
		{"«stop»", "en", false},
		{"ＳＴＯＰ", "en", false},
		{"stop\u200b", "en", false},
		{"UNSUBSCRIBE", "en", false},
		{"opt-out", "en", false},
		{"Opt out", "en", false},
		{"STOP ALL", "en", true},
		{"stopall", "en", true},
		{"SAIR", "pt_BR", false},
		{"Sair 🛑", "pt_BR", false},
		{"*SAIR*", "pt_BR", false},
		{"PARAR", "pt_BR", false},
		{"pare", "pt_BR", false},
		{"Pare!", "pt_BR", false},
		{"CANCELAR", "pt_BR", false},
		{"descadastrar", "pt_BR", false},
		{"Remover", "pt_BR", false},
		{"Cancelar inscrição", "pt_BR", false},
		{"cancelar inscrição", "pt_BR", false},
		{"SAIR DE TUDO", "pt_BR", true},
		{"sair\nde  tudo", "pt_BR", true},
		{"PARAR TUDO", "pt_BR", true},
		{"BAJA", "es", false},
		{"¡Baja!", "es", false},
		{"Salir", "es", false},
		{"darme de baja", "es", false},
		{"Cancelar suscripción", "es", false},
		{"BAJA TOTAL", "es", true},
		{"salir de todo", "es", true},
	} {
		k, ok := Stop(c.text)
		if !ok || k.Language != c.language || k.All != c.all {
			t.Errorf("Stop(%q) = %+v, %t; want %s, all=%t", c.text, k, ok, c.language, c.all)
		}
	}
}

func TestStopLeavesOthersAlone(t *testing.T) {
	for _, text := range []string{
		"", " ", "🛑", "...", "1",
		"não me mande mais boletos",
		"¿dónde doy de baja la pauta?",
		"pare o carro",
		"não quero sair",
		"quero sair hoje à noite",
		"sairei amanhã",
		"como faço para cancelar?",
		"cancelar o pedido 1234",
		"a loja para que horas?",
		"para",
		"non-stop",
		"don't stop",
		"bus stop",
		"please stop",
		"la temporada baja",
		"baja california",
		"preço baixa?",
		"remover o item 2",
		"tudo",
		"SAIR SAIR",
		"s a i r",
		"STOP\nPedido 12",
	} {
		if k, ok := Stop(text); ok {
			t.Errorf("Stop(%q) = %+v; it is no keyword", text, k)
		}
	}
}

func TestStopNeverTouchesAuthentication(t *testing.T) {
	words := StopWords()
	if len(words) != len(stopTable) {
		t.Fatalf("%d words, the table has %d", len(words), len(stopTable))
	}
	for _, k := range words {
		if again, ok := Stop(k.Word); !ok || again != k {
			t.Errorf("%q is not found by itself: the table must hold folded words", k.Word)
		}
		cats := k.Categories()
		if cats[0] != whatsapp.Marketing || (len(cats) == 2) != k.All {
			t.Errorf("%q revokes %v", k.Word, cats)
		}
		for _, c := range cats {
			if c == whatsapp.Authentication {
				t.Errorf("%q would stop codes", k.Word)
			}
		}
	}
}

func TestNoWordStandsTwice(t *testing.T) {
	n := 0
	for _, w := range stopWords {
		n += len(w.some) + len(w.all)
	}
	if n != len(stopTable) {
		t.Errorf("%d words listed, %d different", n, len(stopTable))
	}
}

func FuzzStop(f *testing.F) {
	for _, s := range []string{"STOP", "Cancelar inscrição", "ＳＴＯＰ", "\xff\xfe", "sair\u0301", "İ", "ﬀ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := fold(s)
		if twice := fold(once); twice != once {
			t.Errorf("fold(%q) = %q, again %q", s, once, twice)
		}
		k, ok := Stop(s)
		padded, okPadded := Stop(" " + s + "!")
		if len(s)+2 <= longest && (ok != okPadded || k != padded) {
			t.Errorf("Stop(%q) = %v, with space and mark %v", s, ok, okPadded)
		}
	})
}
