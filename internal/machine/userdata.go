package machine

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"gopkg.in/yaml.v3"
)

// userData is what a boot takes out of user data.
type userData struct {
	raw     []byte // as the machine keeps it
	scripts []userScript
	config  cloudConfig
}

// userScript is a script that user data holds.
type userScript struct {
	name string
	when scriptTime
	text []byte
}

// scriptTime is when a script of user data runs: the end of its media type.
type scriptTime string

const (
	onceLast    scriptTime = "x-shellscript" // by this instance, after everything else
	perBoot     scriptTime = "x-shellscript-per-boot"
	perInstance scriptTime = "x-shellscript-per-instance"
	perOnce     scriptTime = "x-shellscript-per-once"
	bootHook    scriptTime = "cloud-boothook" // at each boot, before everything else
)

const cloudConfigType = "cloud-config"

// maxUnpacked bounds gzip'd user data once unpacked; maxNested how deep MIME
// messages stand in each other.
const (
	maxUnpacked = 16 << 20
	maxNested   = 8
)

// parseUserData takes user data apart: a script, a cloud-config, or a MIME
// message of such parts. What is none of these is kept and not acted upon. Its
// error leaves what could be read in force, as with cloud-init.
// https://cloudinit.readthedocs.io/en/latest/explanation/format.html
func parseUserData(raw []byte) (userData, error) {
	data, err := unpacked(raw)
	if err != nil {
		return userData{raw: raw}, fmt.Errorf("user data: %w", err)
	}
	r := userDataReader{config: map[string]yaml.Node{}}
	switch {
	case isMessage(data):
		r.message(data)
	default:
		r.part(textproto.MIMEHeader{}, data, 0)
	}
	parsed := userData{raw: data, scripts: r.scripts}
	if err := decodeKeys(r.config, &parsed.config); err != nil {
		r.fail(err)
	}
	return parsed, errors.Join(r.failed...)
}

// isMessage is cloud-init's own test.
func isMessage(data []byte) bool {
	return bytes.Contains(bytes.ToLower(data[:min(len(data), 4096)]), []byte("mime-version:"))
}

// userDataReader collects what the parts of user data ask for.
type userDataReader struct {
	parts   int
	scripts []userScript
	config  map[string]yaml.Node // a later part's key takes the place of an earlier one's
	failed  []error
}

func (r *userDataReader) fail(err error) {
	r.failed = append(r.failed, fmt.Errorf("user data: %w", err))
}

func (r *userDataReader) message(data []byte) {
	whole, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		r.fail(errors.New("not a MIME message"))
		return
	}
	body, err := io.ReadAll(whole.Body)
	if err != nil {
		r.fail(err)
		return
	}
	r.part(textproto.MIMEHeader(whole.Header), body, 0)
}

// part takes one part; its type is its header's or, where that says nothing,
// what its first line says.
func (r *userDataReader) part(header textproto.MIMEHeader, body []byte, depth int) {
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") {
		r.nested(params["boundary"], body, depth)
		return
	}
	r.parts++
	name := partName(header, r.parts)
	if body, err = decodeTransfer(header, body); err == nil {
		body, err = unpacked(body)
	}
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
		return
	}
	kind := strings.TrimPrefix(media, "text/")
	if media == "text/plain" || media == "text/x-not-multipart" || !strings.HasPrefix(media, "text/") {
		kind = kindOf(body)
	}
	switch kind {
	case cloudConfigType:
		r.keys(body)
	case string(onceLast), string(perBoot), string(perInstance), string(perOnce), string(bootHook):
		r.scripts = append(r.scripts, userScript{name: name, when: scriptTime(kind), text: body})
	case "x-include-url", "x-include-once-url", "jinja2", "cloud-config-archive", "part-handler":
		r.fail(fmt.Errorf("%s: text/%s is not carried out on an emulated machine", name, kind))
	}
}

func (r *userDataReader) nested(boundary string, body []byte, depth int) {
	if depth == maxNested {
		r.fail(fmt.Errorf("MIME messages in each other, more than %d deep", maxNested))
		return
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(part)
		}
		if err != nil {
			r.fail(errors.New("a MIME message that does not end at its boundary"))
			return
		}
		r.part(part.Header, text, depth+1)
	}
}

// keys adds the keys of a cloud-config.
func (r *userDataReader) keys(text []byte) {
	var keys map[string]yaml.Node
	if yaml.Unmarshal(text, &keys) != nil { // its error quotes values, which may be keys
		r.fail(errors.New("#cloud-config is not YAML"))
		return
	}
	for key, value := range keys {
		r.config[key] = value
	}
}

// decodeKeys decodes what the cloud-configs gave together. A key of the wrong
// kind is left out: the others are in force.
func decodeKeys(keys map[string]yaml.Node, into *cloudConfig) error {
	node := yaml.Node{Kind: yaml.MappingNode}
	for key, value := range keys {
		name := yaml.Node{Kind: yaml.ScalarNode, Value: key}
		node.Content = append(node.Content, &name, &value)
	}
	if node.Decode(into) != nil { // its error quotes values, too
		return errors.New("#cloud-config has values of the wrong kind")
	}
	return nil
}

// kindOf is what cloud-init takes from the first line.
func kindOf(body []byte) string {
	for _, known := range []struct{ prefix, kind string }{
		{"#!", string(onceLast)}, {"#cloud-config-archive", "cloud-config-archive"}, {"#cloud-config", cloudConfigType},
		{"#cloud-boothook", string(bootHook)}, {"#include-once", "x-include-once-url"}, {"#include", "x-include-url"},
		{"#part-handler", "part-handler"}, {"## template: jinja", "jinja2"},
	} {
		if bytes.HasPrefix(body, []byte(known.prefix)) {
			return known.kind
		}
	}
	return ""
}

// partName is the file that a part's script is kept in.
func partName(header textproto.MIMEHeader, number int) string {
	_, params, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	name := strings.ReplaceAll(params["filename"], "/", "_")
	if err != nil || name == "" || strings.HasPrefix(name, ".") {
		return fmt.Sprintf("part-%03d", number)
	}
	return name
}

func decodeTransfer(header textproto.MIMEHeader, body []byte) ([]byte, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))); encoding {
	case "", "7bit", "8bit", "binary":
		return body, nil
	case "base64":
		return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
	default:
		return nil, fmt.Errorf("transfer encoding %q is not known", encoding)
	}
}

// unpacked undoes gzip where it is.
func unpacked(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	return gunzip(data)
}

func gunzip(data []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, maxUnpacked+1))
	if err != nil {
		return nil, err
	}
	if len(unpacked) > maxUnpacked {
		return nil, fmt.Errorf("more than %d bytes once unpacked", maxUnpacked)
	}
	return unpacked, nil
}
