package optin

import (
	"slices"
	"strings"
	"testing"
	"unicode"

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

// Codes are stopped by phrases that name them, alone, and by nothing else.
func TestStopAndAuthentication(t *testing.T) {
	words := StopWords()
	if len(words) != len(stopTable) {
		t.Fatalf("%d words, the table has %d", len(words), len(stopTable))
	}
	for _, k := range words {
		if again, ok := Stop(k.Word); !ok || again != k {
			t.Errorf("%q is not found by itself: the table must hold folded words", k.Word)
		}
		cats := k.Categories()
		want := []whatsapp.Category{whatsapp.Marketing}
		switch names := strings.Contains(k.Word, "codigo") || strings.Contains(k.Word, "code"); {
		case names != k.Codes || k.Codes && k.All:
			t.Errorf("%q: %+v; a phrase stops codes if and only if it names them", k.Word, k)
		case k.Codes:
			want = []whatsapp.Category{whatsapp.Authentication}
		case k.All:
			want = append(want, whatsapp.Utility)
		}
		if !slices.Equal(cats, want) {
			t.Errorf("%q revokes %v, not %v", k.Word, cats, want)
		}
	}
}

func TestNoWordStandsTwice(t *testing.T) {
	n := 0
	for _, w := range stopWords {
		n += len(w.some) + len(w.all) + len(w.codes)
	}
	if n != len(stopTable) {
		t.Errorf("%d words listed, %d different", n, len(stopTable))
	}
}

// A button stops by its payload or its label, but not with the words that mean
// something else on buttons.
func TestStopButton(t *testing.T) {
	for _, c := range []struct {
		payload, label, word string
	}{
		{"STOP", "", "stop"},
		{"STOP:natal26", "Não quero mais", "stop"},
		{"stop_all", "x", "stop all"},
		{"", "Sair", "sair"},
		{"btn_3", "Parar promoções", "parar promocoes"},
		{"PARAR_CODIGOS", "", "parar codigos"},
		{"CANCELAR:4711", "Cancelar", ""},
		{"", "Cancel", ""},
		{"end", "End chat", ""},
		{"natal26:STOP", "Comprar", ""},
		{"", "", ""},
	} {
		if k, ok := StopButton(c.payload, c.label); k.Word != c.word || ok != (c.word != "") {
			t.Errorf("StopButton(%q, %q) = %+v, %t; want %q", c.payload, c.label, k, ok, c.word)
		}
	}
	for w := range typedOnly {
		if _, ok := stopTable[w]; !ok {
			t.Errorf("%q is no word that stops: take it out of typedOnly", w)
		}
	}
}

// shout writes every letter in capitals, with an accent and an invisible
// character behind each.
func shout(s string) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsLetter(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteRune(unicode.ToUpper(r))
		b.WriteString("\u0301\u200d")
	}
	return b.String()
}

func FuzzStop(f *testing.F) {
	for _, s := range []string{"STOP", "Cancelar inscrição", "ＳＴＯＰ", "\xff\xfe", "sair\u0301", "İ", "ﬀ", "ı", "ς", "ẞ", "\u0345", "stop ALL"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := fold(s)
		if twice := fold(once); twice != once {
			t.Errorf("fold(%q) = %q, again %q", s, once, twice)
		}
		if loud := fold(shout(s)); loud != once {
			t.Errorf("fold(%q) = %q, in capitals %q", s, once, loud)
		}
		k, ok := Stop(s)
		if ok && stopTable[k.Word] != k {
			t.Errorf("Stop(%q) = %+v, which is no row of the table", s, k)
		}
		for _, same := range []string{" " + s + "!", "«…" + s + "»\n🙏🏽", "*_" + s + "_*", shout(s)} {
			if again, okAgain := Stop(same); len(same) <= longest && (ok != okAgain || k != again) {
				t.Errorf("Stop(%q) = %v, but %v of %q", s, ok, okAgain, same)
			}
		}
	})
}
