package bake

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"mime/multipart"
	"net/textproto"
	"os"
	"strings"
	"time"

	"github.com/goldline-dev/goldline/internal/fail"
	"gopkg.in/yaml.v3"
)

// maxUserData is EC2's limit, before encoding.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
const maxUserData = 16 << 10

// cloudConfigHeader starts a cloud-config.
const cloudConfigHeader = "#cloud-config"

// builderUserData is what cloud-init on the builder is to do: take the host
// key, and shut the machine down when nobody has removed it in time; and what
// the recipe's own user data says.
func (b *bake) builderUserData() ([]byte, error) {
	own, err := b.recipeUserData()
	if err != nil {
		return nil, err
	}
	if windows(b.image) {
		if len(own) > maxUserData {
			return nil, fail.Inputf("%s: user_data: %d bytes, EC2 takes %d", b.image.At("user_data"), len(own), maxUserData)
		}
		return own, nil // cloud-init's language is not spoken there
	}
	data, err := combine(b.host, b.selfDestruct(), own)
	if err != nil {
		return nil, fail.Inputf("%s: user_data: %w", b.image.At("user_data"), err)
	}
	if len(data) > maxUserData {
		return nil, fail.Inputf("%s: user_data: %d bytes together with the builder's host key, EC2 takes %d", b.image.At("user_data"), len(data), maxUserData)
	}
	return data, nil
}

func (b *bake) recipeUserData() ([]byte, error) {
	if file := b.image.UserDataFile; file != "" {
		text, err := os.ReadFile(resolve(b.image, file))
		if err != nil {
			return nil, fail.Inputf("%s: user_data_file: %w", b.image.At("user_data_file"), err)
		}
		return text, nil
	}
	text, err := b.render("user_data", b.image.UserData, b.sourceData())
	return []byte(text), err
}

// combine makes one document of ours and the recipe's. Two cloud-configs become
// one; anything else stands beside ours in a MIME message, ours last, since
// cloud-init lets the later part of two win.
func combine(host hostKey, selfDestruct time.Duration, own []byte) ([]byte, error) {
	ours := map[string]any{
		"power_state": map[string]any{
			"mode":    "poweroff",
			"delay":   fmt.Sprintf("+%d", int(math.Ceil(selfDestruct.Minutes()))),
			"message": "this builder was not removed in time",
		},
	}
	if host.given() {
		ours["ssh_deletekeys"] = true
		ours["ssh_keys"] = map[string]any{"ed25519_private": host.private, "ed25519_public": host.line}
	}
	if bytes.HasPrefix(own, []byte(cloudConfigHeader)) {
		merged, err := mergeConfig(own, ours)
		if err != nil {
			return nil, err
		}
		return cloudConfig(merged)
	}
	config, err := cloudConfig(ours)
	if err != nil || len(bytes.TrimSpace(own)) == 0 {
		return config, err
	}
	return message(own, config)
}

func cloudConfig(keys map[string]any) ([]byte, error) {
	text, err := yaml.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("cloud-config: %w", err)
	}
	return append([]byte(cloudConfigHeader+"\n"), text...), nil
}

// mergeConfig adds our keys to the recipe's cloud-config. Its own power_state
// stands; its own host keys cannot.
func mergeConfig(own []byte, ours map[string]any) (map[string]any, error) {
	merged := map[string]any{}
	if err := yaml.Unmarshal(own, &merged); err != nil {
		return nil, fmt.Errorf("cloud-config that is not YAML")
	}
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range ours {
		if _, given := merged[key]; given && key == "power_state" {
			continue
		} else if given && key == "ssh_keys" {
			return nil, fmt.Errorf("it gives ssh_keys of its own; say which to expect with ssh_host_public_key")
		}
		merged[key] = value
	}
	return merged, nil
}

// boundary parts the message. It stands in no text that a person writes.
const boundary = "==goldline-builder-user-data=="

func message(own, config []byte) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Content-Type: multipart/mixed; boundary=%q\nMIME-Version: 1.0\n\n", boundary)
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(boundary); err != nil {
		return nil, err
	}
	header, body := partOf(own)
	for _, part := range []struct {
		header textproto.MIMEHeader
		body   []byte
	}{{header, body}, {textproto.MIMEHeader{"Content-Type": {"text/cloud-config"}}, config}} {
		to, err := w.CreatePart(part.header)
		if err != nil {
			return nil, err
		}
		if _, err := to.Write(part.body); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// partOf is the recipe's user data as a part of a message. Its type is what
// cloud-init itself takes from the first line; a message within the message is
// taken apart by it too.
func partOf(own []byte) (textproto.MIMEHeader, []byte) {
	first := strings.ToLower(string(own[:min(len(own), 64)]))
	if strings.HasPrefix(first, "content-type:") || strings.HasPrefix(first, "mime-version:") {
		if header, body, ok := splitMessage(own); ok {
			return header, body
		}
	}
	for _, known := range []struct{ start, kind string }{
		{"#!", "text/x-shellscript"},
		{"#include-once", "text/x-include-once-url"},
		{"#include", "text/x-include-url"},
		{"#cloud-boothook", "text/cloud-boothook"},
		{"#part-handler", "text/part-handler"},
		{"## template: jinja", "text/jinja2"},
	} {
		if strings.HasPrefix(first, known.start) {
			return textproto.MIMEHeader{"Content-Type": {known.kind}}, own
		}
	}
	return textproto.MIMEHeader{
		"Content-Type":              {"application/octet-stream"},
		"Content-Transfer-Encoding": {"base64"},
	}, []byte(base64.StdEncoding.EncodeToString(own))
}

func splitMessage(text []byte) (textproto.MIMEHeader, []byte, bool) {
	plain := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	head, body, found := bytes.Cut(plain, []byte("\n\n"))
	if !found {
		return nil, nil, false
	}
	header := textproto.MIMEHeader{}
	unfolded := strings.NewReplacer("\n ", " ", "\n\t", " ").Replace(string(head))
	for _, line := range strings.Split(unfolded, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(strings.ToLower(key), "content-") {
			header.Set(key, strings.TrimSpace(value))
		}
	}
	return header, body, header.Get("Content-Type") != ""
}
