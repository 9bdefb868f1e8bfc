package bake

import (
	"strings"
	"testing"
	"time"
)

func TestTemplates(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.UTC)
	tpl := templater{name: "web", dir: "/p", at: at, vars: map[string]string{"v": "1.2"}}
	for _, test := range []struct{ in, want, err string }{
		{in: "plain", want: "plain"},
		{in: "{{build_name}}-{{timestamp}}", want: "web-1795256100"},
		{in: "{{isotime}}", want: "2026-11-21T10:15:00Z"},
		{in: `{{isotime "2006-01-02"}}`, want: "2026-11-21"},
		{in: "{{clean_resource_name isotime}}", want: "2026-11-21T10-15-00Z"},
		{in: "{{isotime | clean_resource_name}}", want: "2026-11-21T10-15-00Z"},
		{in: "{{user `v`}}", want: "1.2"},
		{in: `{{strftime "%Y%m%d"}}`, want: "20261121"},
		{in: `{{upper "a"}}{{replace_all "-" "" "1-2-3"}}`, want: "A123"},
		{in: "{{.SourceAMI}}", want: "ami-1"},
		{in: "{{user `other`}}", err: `variable "other" is not defined`},
		{in: "{{isotme}}", err: `function "isotme" not defined`},
		{in: "{{.Nothing}}", err: `no entry for key "Nothing"`},
	} {
		got, err := tpl.render(test.in, map[string]string{"SourceAMI": "ami-1"})
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: error %v, want %q", test.in, err, test.err)
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("%s: got %q, %v; want %q", test.in, got, err, test.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"shop/web/1.0-abc": true, "a(b)[c] .-'@_": true,
		"ab": false, "a:b": false, "ümlaut": false, strings.Repeat("x", 129): false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v, want ok %t", name, err, ok)
		}
	}
}
