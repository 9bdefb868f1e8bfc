package tags

import (
	"maps"
	"testing"
)

func TestPlain(t *testing.T) {
	for address, plain := range map[string]string{
		"iam_role.web": "iam_role.web", "iam_role.web[0]": "iam_role.web:0", "zone.main[eu-central-1a]": "zone.main:eu-central-1a", "": "",
	} {
		set := map[string]string{Address: address, Name: "web[0]"}
		written := Plain(set)
		if written[Address] != plain || !IsPlain(written[Address]) {
			t.Errorf("%s is written %s", address, written[Address])
		}
		if read := FromPlain(written); !maps.Equal(read, set) {
			t.Errorf("%s is read as %v", plain, read)
		}
		// What carries the address as it is reads the same.
		if read := FromPlain(set); !maps.Equal(read, set) {
			t.Errorf("%s is read as %v", address, read)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for text, plain := range map[string]bool{
		"": true, "ops@example.com": true, "a b_c.d:e/f=g+h-i": true, "größe": true, "web[0]": false, "a;b": false, "r&d": false, "a\tb": false,
	} {
		if IsPlain(text) != plain {
			t.Errorf("%q: %t", text, !plain)
		}
	}
}
