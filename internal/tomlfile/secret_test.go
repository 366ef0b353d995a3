package tomlfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	toml "github.com/pelletier/go-toml/v2"
)

// blabber is a type whose error quotes what it was given.
type blabber struct{}

func (*blabber) UnmarshalText(b []byte) error { return errors.New("bad: " + string(b)) }

// vault has a secret of every shape that can be written wrongly.
type vault struct {
	Text     string             `toml:"text" secret:"true"`
	Bool     bool               `toml:"bool" secret:"true"`
	Int      int                `toml:"int" secret:"true"`
	Float    float64            `toml:"float" secret:"true"`
	Duration time.Duration      `toml:"duration" secret:"true"`
	Date     toml.LocalDate     `toml:"date" secret:"true"`
	DateTime toml.LocalDateTime `toml:"date_time" secret:"true"`
	Custom   blabber            `toml:"custom" secret:"true"`
	Optional *int               `toml:"optional" secret:"true"`
	List     []int              `toml:"list" secret:"true"`
	Map      map[string]int     `toml:"map" secret:"true"`
	Below    struct {
		A []int `toml:"a"`
	} `toml:"below" secret:"true"`
	Holder  server             `toml:"holder"`
	Holders []server           `toml:"holders"`
	Servers map[string]*server `toml:"servers"`
}

func TestSecretsAreNeverShown(t *testing.T) {
	values := map[string]string{
		"text": `"hunter2"`, "number": `9999999`, "float": `99999.99`, "duration without unit": `"9999999"`,
		"date": `2026-08-27`, "offset": `2026-08-27T10:00:00Z`, "time": `08:27:00`, "no such date": `2026-13-27`,
		"quoted date": `"2026-08-27"`, "list": `["hunter2", 9999999]`, "table": `{ hunted = "hunter2" }`,
		"quoted number": `"9999999"`, "too big": `99999999999999999999999999999999999`,
	}
	tells := []string{"hunter2", "9999999", "99999", "2026", "08:27", "2h"}
	for _, key := range []string{
		"text", "bool", "int", "float", "duration", "date", "date_time", "custom", "optional", "list", "map", "map.a",
		"below", "below.a", "holder", "holder.token", "holders", "servers", "servers.a", "servers.a.token",
		"txet", "holder.tokne", "servers.a.tokne", "nothing_like_it",
	} {
		faults := 0
		for name, value := range values {
			for _, form := range []string{"%s = %s\n", "%[1]s = %[2]s\n%[1]s = %[2]s\n"} {
				_, problems := Decode("f.toml", fmt.Appendf(nil, form, key, value), &vault{})
				faults += len(problems)
				for _, tell := range tells {
					if strings.Contains(problems.Error(), tell) {
						t.Errorf("%s given a %s shows it:\n%s", key, name, problems.Error())
					}
				}
			}
		}
		if faults < len(values) {
			t.Errorf("%s: only %d faults, so little was tested", key, faults)
		}
	}
}

// TestSyntaxFaultsShowNothing puts a syntax fault at each place of a secret.
func TestSyntaxFaultsShowNothing(t *testing.T) {
	const secret = "QzQzQzQzQzQz"
	for i := range len(secret) + 1 {
		for _, fault := range []string{`"`, `\`, "\n", "\x01", "\x7f", "\x00", "\xff", "'", `\u12`, `\U0011FFFF`, "é", "#", " ", "=", "", "]", "}", ","} {
			for _, form := range []string{"text = %s\n", "text = \"%s\"\n", "text = '%s\n", "text = [%s\n", "text = {a = %s}\n", "text = {%s}\n", "text = 1%s\n", "text = t%s\n", "%s\n", "text = \"\"\"%s\n"} {
				input := fmt.Sprintf(form, secret[:i]+fault+secret[i:])
				_, problems := Decode("f.toml", []byte(input), &vault{})
				for _, p := range problems {
					// A key of the file may be shown: only what is to the right of "=" is secret.
					if form != "%s\n" && form != "text = {%s}\n" && strings.ContainsAny(p.String(), "Qz") {
						t.Errorf("%q: %s", input, p)
					}
					if strings.Contains(p.String(), "U+") {
						t.Errorf("%q quotes a character: %s", input, p)
					}
				}
			}
		}
	}
}
