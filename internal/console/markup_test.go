package console

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// spelled writes marks with brackets for what is bold, italic and struck, and
// plain is what was written.
func spelled(marks []mark) (brackets, plain string) {
	for _, m := range marks {
		b, p := spelled(m.Kids)
		switch m.Kind {
		case "":
			b, p = m.Text, m.Text
		case "var":
			b, p = "<"+m.Name+"="+m.Text+">", m.Text
		case "mono":
			b, p = "m("+m.Text+")", "```"+m.Text+"```"
		default:
			sign := map[string]string{"b": "*", "i": "_", "s": "~"}[m.Kind]
			b, p = m.Kind+"("+b+")", sign+p+sign
		}
		brackets, plain = brackets+b, plain+p
	}
	return brackets, plain
}

func TestMarkup(t *testing.T) {
	values := map[string]string{"1": "Ana", "nome": "*Bia*", "2": ""}
	for text, want := range map[string]string{
		"":                                     "",
		"Oi, *Ana*!":                           "Oi, b(Ana)!",
		"_a_ ~b~ ```c *d*```":                  "i(a) s(b) m(c *d*)",
		"*a _b_ c*":                            "b(a i(b) c)",
		"2*3*4 e snake_case_name":              "2*3*4 e snake_case_name",
		"* a * e ** e *a":                      "* a * e ** e *a",
		"*a\nb*":                               "*a\nb*",
		"```a\nb```":                           "m(a\nb)",
		"``````":                               "``````",
		"*{{1}}* é seu código":                 "b(<1=Ana>) é seu código",
		"{{ nome }} e {{2}} e {{3}} e {{x y}}": "<nome=*Bia*> e <2={{2}}> e <3={{3}}> e {{x y}}",
		"```{{1}} {{3}}```":                    "m(Ana {{3}})",
		"ção*não*":                             "ção*não*",
		"(*sim*)":                              "(b(sim))",
		"<b>*<i>*":                             "<b>b(<i>)",
	} {
		if got, _ := spelled(markup(text, values)); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got, _ := spelled(markup("*{{1}}*", nil)); got != "b({{1}})" {
		t.Errorf("without values: %q", got)
	}
}

// Nothing of a text is lost, whatever signs it holds.
func TestMarkupLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"*", "_", "~", "```", "a", "é", " ", "\n", "{{1}}", "\xff"}), 0, 40).Draw(t, "text"), "")
		if _, plain := spelled(markup(text, nil)); plain != text {
			t.Errorf("%q became %q", text, plain)
		}
	})
}
