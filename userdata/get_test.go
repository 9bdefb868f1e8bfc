package userdata

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestGet(t *testing.T) {
	data, err := sample().Render()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"version":              "20261121-1",
		"goldline":             json.Number("1"),
		"extra.feature":        "off",
		"extra.list[0]":        "a",
		"extra.list[2]":        true,
		"extra.list[3]":        nil,
		"extra.numbers.big":    json.Number("12345678901234567890"),
		`extra["a.b"]`:         "dotted",
		`["extra"].feature`:    "off",
		`["extra"]["a.b"]`:     "dotted",
		"extra.list":           []any{"a", json.Number("1"), true, nil},
		"extra.empty":          map[string]any{},
		`extra.numbers["big"]`: json.Number("12345678901234567890"),
	} {
		if got, err := Get(data, path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v (%v)", path, got, want, err)
		}
	}
	whole, err := Get(data, "")
	if tree, ok := whole.(map[string]any); err != nil || !ok || len(tree) != 9 {
		t.Errorf("the whole: %v, %v", whole, err)
	}
}

func TestGetNothing(t *testing.T) {
	data, err := sample().Render()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"extra.featur":      "extra.featur: no such value: the keys there are: a.b, accents,",
		"extra.list[4]":     "extra.list[4]: no such value: the list has 4",
		"version[0]":        "an index into text",
		"version.x":         "a key of text",
		"extra.list[3].x":   "a key of null",
		`extra["a.b"]["c"]`: `extra["a.b"].c: no such value`,
	} {
		if _, err := Get(data, path); !errors.Is(err, ErrNoValue) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	for path, want := range map[string]string{
		"extra..x":          "a key is empty",
		".extra":            "a key is empty",
		"extra.":            "a key is empty",
		"extra.list[":       "a bracket is not closed",
		"extra.list[-1]":    `"-1" is no index`,
		"extra.list[x]":     `"x" is no index`,
		"extra.list[0]x":    "a dot or a bracket belongs before",
		`extra["a`:          "the key in brackets is not closed",
		`extra["a"`:         "a bracket is not closed",
		"x[99999999999999]": "is no index",
	} {
		if _, err := Get(data, path); err == nil || errors.Is(err, ErrNoValue) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if _, err := Get([]byte("{}"), ""); err == nil {
		t.Error("a document of another's was read")
	}
}

func FuzzGet(f *testing.F) {
	data, err := sample().Render()
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"", "extra.list[0]", `extra["a.b"]`, "[", "a..b", `["`} {
		f.Add(path)
	}
	f.Fuzz(func(_ *testing.T, path string) {
		_, _ = Get(data, path) // must not panic
	})
}
