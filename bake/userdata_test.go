package bake

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

func TestCombineWithoutUserData(t *testing.T) {
	host := hostKey{private: "PRIVATE\nKEY\n", line: "ssh-ed25519 AAAA"}
	data, err := combine(host, 90*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := parseConfig(t, data)
	keys, _ := config["ssh_keys"].(map[string]any)
	if keys["ed25519_private"] != host.private || keys["ed25519_public"] != host.line || config["ssh_deletekeys"] != true {
		t.Errorf("host keys %+v", config)
	}
	power, _ := config["power_state"].(map[string]any)
	if power["delay"] != "+90" || power["mode"] != "poweroff" {
		t.Errorf("self-destruct %+v", power)
	}
}

func TestCombineGivenHostKey(t *testing.T) {
	data, err := combine(hostKey{}, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	if config := parseConfig(t, data); config["ssh_keys"] != nil || config["power_state"] == nil {
		t.Errorf("config %+v", config)
	}
}

func TestCombineWithCloudConfig(t *testing.T) {
	host := hostKey{private: "P", line: "L"}
	data, err := combine(host, time.Hour, []byte("#cloud-config\npackages: [nginx]\npower_state: {mode: reboot}\n"))
	if err != nil {
		t.Fatal(err)
	}
	config := parseConfig(t, data)
	if config["packages"] == nil || config["ssh_keys"] == nil || config["power_state"].(map[string]any)["mode"] != "reboot" {
		t.Errorf("config %+v", config)
	}
	if _, err := combine(host, time.Hour, []byte("#cloud-config\nssh_keys: {}\n")); err == nil {
		t.Error("host keys of its own were taken")
	}
}

func TestCombineWithOthers(t *testing.T) {
	for _, test := range []struct{ name, own, kind, body string }{
		{"script", "#!/bin/sh\necho hi\n", "text/x-shellscript", "#!/bin/sh\necho hi\n"},
		{"boothook", "#cloud-boothook\nx", "text/cloud-boothook", "#cloud-boothook\nx"},
		{"message", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"B\"\n\n--B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--B--\n", "multipart/mixed", "--B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--B--\n"},
		{"binary", "\x1f\x8b\x00", "application/octet-stream", "H4sA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			data, err := combine(hostKey{private: "P", line: "L"}, time.Hour, []byte(test.own))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := mail.ReadMessage(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			_, params, err := mime.ParseMediaType(whole.Header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			parts := multipart.NewReader(whole.Body, params["boundary"])
			first, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(first)
			if kind := first.Header.Get("Content-Type"); !strings.HasPrefix(kind, test.kind) || string(body) != test.body {
				t.Errorf("first part %s: %q", kind, body)
			}
			last, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			body, _ = io.ReadAll(last)
			if config := parseConfig(t, body); config["ssh_keys"] == nil {
				t.Errorf("last part %q", body)
			}
		})
	}
}

func parseConfig(t *testing.T, data []byte) map[string]any {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("#cloud-config\n")) {
		t.Fatalf("no cloud-config: %q", data)
	}
	var config map[string]any
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	return config
}
