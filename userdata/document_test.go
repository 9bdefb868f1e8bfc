package userdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sample() Document {
	return Document{
		Project: "shop", Environment: "prod", Region: "eu-central-1", Image: "web", Version: "20261121-1",
		Address: "instance.web[0]", UUID: "7b0f3f0e-98a1-5c55-a8f5-6b7f0f4c2f11",
		Extra: map[string]any{
			"feature": "off", "list": []any{"a", 1, true, nil}, "a.b": "dotted", "html": "<a href='x'>&</a>", "accents": "Käse, 乾酪",
			"numbers": map[string]any{"big": json.Number("12345678901234567890"), "exact": json.Number("1.10"), "negative": -3, "float": 0.5},
			"empty":   map[string]any{}, "none": []any{}, "lines": "one\ntwo\t\"three\"",
		},
	}
}

// golden compares with a file, or writes it where GOLDEN=update is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestRenderGolden(t *testing.T) {
	for name, d := range map[string]Document{
		"full.json":    sample(),
		"minimal.json": {Project: "shop", Environment: "dev", Address: "instance.db", UUID: "u"},
	} {
		data, err := d.Render()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, data)
		back, err := Decode(data)
		if err != nil {
			t.Fatalf("%s does not come back: %v", name, err)
		}
		again, err := back.Render()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s is not canonical: %v\n%s", name, err, again)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	deep := map[string]any{}
	for range 100 {
		deep = map[string]any{"a": deep}
	}
	for name, c := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"no project":     {func(d *Document) { d.Project = "" }, "project is empty"},
		"not a number":   {func(d *Document) { d.Extra["x"] = math.NaN() }, "extra: JSON has no way to write NaN"},
		"no JSON value":  {func(d *Document) { d.Extra["x"] = make(chan int) }, "extra: json: unsupported type"},
		"not UTF-8":      {func(d *Document) { d.Extra["x"] = []any{"\xff"} }, "extra.x[0]: the text is not UTF-8"},
		"key not UTF-8":  {func(d *Document) { d.Extra["\xff"] = 1 }, "is not UTF-8"},
		"region":         {func(d *Document) { d.Region = "\xff" }, "region: the text is not UTF-8"},
		"deep":           {func(d *Document) { d.Extra["x"] = deep }, "nested deeper than 64"},
		"a MIME message": {func(d *Document) { d.Extra["x"] = "Mime-Version: 1.0" }, "cloud-init takes"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			c.change(&d)
			if _, err := d.Render(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestRenderAtTheLimit(t *testing.T) {
	d := sample()
	d.Extra["pad"] = ""
	data, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	d.Extra["pad"] = strings.Repeat("x", Limit-len(data))
	if data, err = d.Render(); err != nil || len(data) != Limit {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	d.Extra["pad"] = d.Extra["pad"].(string) + "xyz"
	_, err = d.Render()
	var large *TooLargeError
	if !errors.As(err, &large) || large.Size != Limit+3 {
		t.Fatalf("got %v", err)
	}
	if want := "user data: 16387 bytes are 3 more than the 16384 that EC2 takes"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// TestShellReadsIt: images without Python or jq read the document with sed.
func TestShellReadsIt(t *testing.T) {
	if _, err := exec.LookPath("sed"); err != nil {
		t.Skip("sed is not installed")
	}
	data, err := sample().Render()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"environment": "prod", "version": "20261121-1", "address": "instance.web[0]", "feature": "off"} {
		cmd := exec.Command("sed", "-n", `s/^ *"`+key+`": *"\(.*\)",*$/\1/p`)
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: got %q, want %q (%v)", key, got, want, err)
		}
	}
}

func TestDecode(t *testing.T) {
	d, err := Decode([]byte(`{"uuid":"u","address":"instance.db","goldline":1,"environment":"dev","project":"p","extra":{"n":1.10}}`))
	want := Document{Project: "p", Environment: "dev", Address: "instance.db", UUID: "u", Extra: map[string]any{"n": json.Number("1.10")}}
	if err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := func(more string) string {
		return `{"goldline":1,"project":"p","environment":"dev","address":"a","uuid":"u"` + more + `}`
	}
	for name, c := range map[string]struct{ data, want string }{
		"nothing":        {"", "line 1: the document ends too early"},
		"cut off":        {"{\n\"goldline\": 1,\n", "line 2: the document ends too early"},
		"YAML":           {"#cloud-config\n", "not JSON"},
		"a list":         {"[]", "the document is a list and must be an object"},
		"null":           {"null", "the document is null"},
		"two documents":  {whole("") + whole(""), "something stands behind the document"},
		"another's":      {`{"hello":"world"}`, `no key "goldline"`},
		"newer":          {`{"goldline":2}`, "format 2 is unknown: this goldline reads format 1"},
		"format as text": {`{"goldline":"1"}`, "goldline is text and must be the number"},
		"1.0":            {`{"goldline":1.0}`, "format 1.0 is unknown"},
		"unknown key":    {whole(`,"enviroment":"dev"`), `unknown key "enviroment": the keys are goldline, project, environment, region, image, version, address, uuid, extra`},
		"another case":   {whole(`,"Region":"x"`), `unknown key "Region"`},
		"wrong type":     {whole(`,"region":1`), "region is a number and must be text"},
		"null region":    {whole(`,"region":null`), "region is null and must be text"},
		"extra":          {whole(`,"extra":[1]`), "extra is a list and must be an object"},
		"missing":        {`{"goldline":1,"project":"p","environment":"dev","uuid":"u"}`, "address is missing"},
		"twice":          {whole(`,"project":"q"`), `the key "project" stands twice`},
		"twice below":    {whole(`,"extra":{"a":[{"b":1,"b":2}]}`), `the key "extra.a.b" stands twice`},
		"too large":      {whole(`,"region":"` + strings.Repeat("x", Limit) + `"`), "more than the 16384"},
		"not UTF-8":      {whole(`,"region":"` + "\xff" + `"`), "not UTF-8"},
		"deep":           {whole(`,"extra":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)), "nested deeper than 64"},
		"hostile depth":  {strings.Repeat("[", Limit), "nested deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"full.json", "minimal.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, data := range []string{"", "{", `{"goldline":1}`, `{"goldline":1,"extra":{"a":"\ud800"}}`, "[[[[", `{"a":1e999}`, "\xff"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Decode(data)
		if err != nil {
			return
		}
		rendered, err := d.Render()
		if err != nil {
			// Indented it may no longer fit; anything else that decodes renders.
			var large *TooLargeError
			if !errors.As(err, &large) && !strings.Contains(err.Error(), "cloud-init") {
				t.Fatalf("decoded but does not render: %v", err)
			}
			return
		}
		again, err := Decode(rendered)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("not the same after rendering: %v\n%#v\n%#v", err, d, again)
		}
		twice, err := again.Render()
		if err != nil || !bytes.Equal(twice, rendered) {
			t.Fatalf("not canonical: %v\n%s\n%s", err, rendered, twice)
		}
	})
}
