package daemon

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"janela/internal/httpapi"
)

// shown are keys, by their last part, whose text may stand in a log. Of any other
// text it is only said that it is another: addresses hold passwords, texts and
// numbers are about people.
var shown = []string{"level", "format", "graph_version", "on_unknown", "on_ttl_expired", "marketing_endpoint", "product_policy", "message_activity_sharing",
	"timezone", "region", "approval", "schedule", "mode", "number", "numbers", "template", "android_template", "languages", "countries", "events", "fields",
	"categories", "clients", "path", "folder", "status", "dir", "listen", "journal", "webhook_path", "consents", "key_file", "token_file", "app_secret_file", "verify_token_file",
	"secret_file", "id", "name", "unit", "scope"}

// value is what a key says.
type value struct {
	text string
	show bool
}

func (v value) String() string {
	if v.show || v.text == "" {
		return v.text
	}
	return "…"
}

// flatten gathers what every key says; lists of tables by the id or name of each.
func flatten(path string, v reflect.Value, out map[string]value) {
	key := path[strings.LastIndexByte(path, '.')+1:]
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if name := f.Tag.Get("toml"); name != "" {
				flatten(strings.TrimPrefix(path+"."+name, "."), v.Field(i), out)
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			flatten(path+"."+k.String(), v.MapIndex(k), out)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				flatten(path+"."+called(v.Index(i), i), v.Index(i), out)
			}
			return
		}
		var all []string
		for i := range v.Len() {
			all = append(all, fmt.Sprint(v.Index(i).Interface()))
		}
		out[path] = value{strings.Join(all, ", "), slices.Contains(shown, key)}
	case reflect.String:
		out[path] = value{v.String(), slices.Contains(shown, key)}
	default:
		text := fmt.Sprint(v.Interface())
		if d, ok := v.Interface().(time.Duration); ok {
			text = d.String()
		}
		out[path] = value{text, true}
	}
}

// called is how an element of a list is known.
func called(v reflect.Value, i int) string {
	for _, key := range []string{"id", "name"} {
		for j := range v.NumField() {
			if v.Type().Field(j).Tag.Get("toml") == key && v.Field(j).String() != "" {
				return v.Field(j).String()
			}
		}
	}
	return strconv.Itoa(i)
}

// nothing is what a key says that was left out.
var nothing = []string{"", "0", "0s", "false"}

// diff returns the keys that differ, in order; never what is secret.
func diff(was, next *Config) (out []httpapi.ReloadChange) {
	a, b := map[string]value{}, map[string]value{}
	flatten("", reflect.ValueOf(was).Elem(), a)
	flatten("", reflect.ValueOf(next).Elem(), b)
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		_, there := a[k]
		_, stays := b[k]
		if there != stays && slices.Contains(nothing, a[k].text+b[k].text) {
			continue // of a table that is new, or gone
		}
		if a[k].text != b[k].text {
			out = append(out, httpapi.ReloadChange{Key: k, Before: a[k].String(), After: b[k].String()})
		}
	}
	return out
}
