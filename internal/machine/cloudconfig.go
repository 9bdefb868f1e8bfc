package machine

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// cloudConfig holds the keys of cloud-init's #cloud-config that machines honour.
// https://cloudinit.readthedocs.io/en/latest/reference/modules.html
type cloudConfig struct {
	Hostname       string            `yaml:"hostname"`
	SSHKeys        map[string]string `yaml:"ssh_keys"`
	SSHDeleteKeys  *bool             `yaml:"ssh_deletekeys"`
	AuthorizedKeys []string          `yaml:"ssh_authorized_keys"`
	WriteFiles     []writtenFile     `yaml:"write_files"`
	BootCmd        []command         `yaml:"bootcmd"`
	RunCmd         []command         `yaml:"runcmd"`
	PowerState     *powerState       `yaml:"power_state"`
}

type writtenFile struct {
	Path        string    `yaml:"path"`
	Content     string    `yaml:"content"`
	Encoding    string    `yaml:"encoding"`
	Owner       string    `yaml:"owner"`
	Permissions yaml.Node `yaml:"permissions"`
	Append      bool      `yaml:"append"`
}

type powerState struct {
	Delay     yaml.Node `yaml:"delay"`
	Mode      string    `yaml:"mode"`
	Condition yaml.Node `yaml:"condition"`
}

// command is one line of runcmd: a string for the shell, or a list run as it
// stands.
type command struct{ shell string }

func (c *command) UnmarshalYAML(node *yaml.Node) error {
	var words []string
	switch node.Kind {
	case yaml.ScalarNode:
		c.shell = node.Value
		return nil
	case yaml.SequenceNode:
		if err := node.Decode(&words); err != nil {
			return err
		}
	default:
		return fmt.Errorf("line %d: a command is a string or a list", node.Line)
	}
	for i, word := range words {
		words[i] = quote(word)
	}
	c.shell = strings.Join(words, " ")
	return nil
}

// quote makes a word of any text for sh.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// script makes commands into one shell script, as cloud-init does of runcmd.
func script(commands []command) []byte {
	var text bytes.Buffer
	text.WriteString("#!/bin/sh\n")
	for _, c := range commands {
		text.WriteString(c.shell + "\n")
	}
	return text.Bytes()
}

// contents decodes what write_files gives.
func (f writtenFile) contents() ([]byte, error) {
	data := []byte(f.Content)
	encoding := strings.ToLower(f.Encoding)
	if strings.Contains(encoding, "b64") || strings.Contains(encoding, "base64") {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), ""))
		if err != nil {
			return nil, err
		}
		data = decoded
	}
	if strings.HasPrefix(encoding, "gz") {
		return gunzip(data)
	}
	return data, nil
}

func (f writtenFile) write(t *tree) error {
	data, err := f.contents()
	if err != nil {
		return err
	}
	mode := uint64(0o644)
	if f.Permissions.Value != "" {
		text := strings.TrimPrefix(f.Permissions.Value, "0o")
		if mode, err = strconv.ParseUint(text, 8, 12); err != nil {
			return fmt.Errorf("permissions %q: not an octal number", f.Permissions.Value)
		}
	}
	if err := t.mkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if f.Append {
		old, _ := t.readFile(f.Path) // none is as good as empty
		data = append(old, data...)
	}
	if err := t.writeFile(f.Path, data, fileMode(uint32(mode))); err != nil {
		return err
	}
	if f.Owner == "" {
		return nil
	}
	user, err := ownerOf(t, f.Owner)
	if err != nil {
		return err
	}
	return own(t, f.Path, user)
}

// ownerOf reads user, user:group or :group.
func ownerOf(t *tree, spec string) (account, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	if !hasGroup {
		name, group, hasGroup = strings.Cut(spec, ".")
	}
	owner := account{uid: -1, gid: -1}
	if name != "" {
		user, ok := lookup(t, name)
		if !ok {
			number, err := strconv.Atoi(name)
			if err != nil {
				return account{}, fmt.Errorf("invalid user: %q", spec)
			}
			user = account{uid: number, gid: -1}
		}
		owner.uid = user.uid
		if hasGroup && group == "" {
			owner.gid = user.gid
		}
	}
	if group != "" {
		gid, ok := groups(t)[group]
		if !ok {
			number, err := strconv.Atoi(group)
			if err != nil {
				return account{}, fmt.Errorf("invalid group: %q", spec)
			}
			gid = number
		}
		owner.gid = gid
	}
	return owner, nil
}
