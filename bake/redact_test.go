package bake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/project"
)

// TestNoFormOfASecretIsShown: a value, and the forms that programs print it in.
func TestNoFormOfASecretIsShown(t *testing.T) {
	key := "-----BEGIN KEY-----\n" + strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB\n", 6) + "-----END KEY-----\n"
	const password = `p@ss "word"/it's+50%`
	hide := newRedactor(&project.Image{
		Variables: map[string]string{"key": key, "password": password}, SensitiveVariables: []string{"key", "password"}, Secrets: []string{"of-a-list"},
	})
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	quoted, err := json.Marshal(password)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain": password, "of a list": "x of-a-list y", "JSON": string(quoted), "shell": strings.ReplaceAll(password, "'", `'"'"'`),
		"query": url.QueryEscape(password), "hexadecimal": fmt.Sprintf("%x", password),
		"base64": base64.StdEncoding.EncodeToString([]byte(password)), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(password)),
		"base64 behind a user":         base64.StdEncoding.EncodeToString([]byte("me:" + password)),
		"base64 behind a longer user":  base64.StdEncoding.EncodeToString([]byte("root:" + password)),
		"base64 behind another user":   base64.StdEncoding.EncodeToString([]byte("user:" + password + "\n")),
		"a line of a key":              "| MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB |",
		"a line of the key in base64":  encoded[76:152],
		"a narrower line in base64":    encoded[128:192],
		"the last line of it":          encoded[len(encoded)/76*76:],
		"the key between other output": "before " + key + " after",
	} {
		got := hide.text(text)
		if !strings.Contains(got, hidden) || strings.Contains(got, password) || strings.Contains(got, "MIIEv") {
			t.Errorf("%s: %q stays %q", name, text, got)
		}
	}
	if got := hide.text("nothing of the kind 50%"); got != "nothing of the kind 50%" {
		t.Errorf("%q", got)
	}
}
